"""Serves an exported classifier over HTTP.

    pip install ../.. -r requirements.txt
    python serve.py --model=classifier.onnx

README.md beside this file has the addresses and the limits.
"""

import argparse
import asyncio
import contextlib
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import uvicorn
from inputs import MAX_BYTES, read_audio, read_tensors
from scoring import Batcher, Model
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.routing import Route

OVERLAP = 0.5  # share of a window that the next one repeats
TOP = 3  # classes of a window that are named
RETRY = {"Retry-After": "1"}  # seconds
BODY_SECONDS = 60  # longest that a body may take to arrive


class Service:
    """What is served.

    Args:
        model: `Model`.
        name: str, the model's in TensorFlow Serving's addresses.
        max_requests: int; further ones at the same time get 503.
        max_batch, wait_ms: see `Batcher`.
    """

    def __init__(self, model, name, max_requests=32, max_batch=8, wait_ms=2):
        self._model = model
        self._max_requests = max_requests
        self._num_requests = 0
        self._batcher = Batcher(model.scores, max_batch, wait_ms)
        self._readers = ThreadPoolExecutor(os.cpu_count())
        address = f"/v1/models/{name}"
        self.app = Starlette(
            routes=[
                Route("/health", self.health),
                Route("/classify", self.classify, methods=["POST"]),
                Route(address, self.status),
                Route(f"{address}:predict", self.predict, methods=["POST"]),
            ],
            lifespan=self._lifespan,
            exception_handlers={HTTPException: answer_error, Exception: fail},
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, app):
        self._batches = asyncio.create_task(self._batcher.run())
        yield
        self._batches.cancel()
        self._readers.shutdown()

    async def health(self, request):
        if self._batches.done():
            raise HTTPException(503, "The model has stopped. Restart it.")
        return JSONResponse({"status": "ok"})

    async def status(self, request):
        status = {"error_code": "OK", "error_message": ""}
        version = {"version": "1", "state": "AVAILABLE", "status": status}
        return JSONResponse({"model_version_status": [version]})

    async def predict(self, request):
        with self._place():
            windows, key = await self._read(
                request, read_tensors, self._model.num_samples
            )
            scores = await self._batcher.scores(windows)
        return JSONResponse({key: [row.tolist() for row in scores]})

    async def classify(self, request):
        rate = self._model.sample_rate
        with self._place():
            samples = await self._read(request, read_audio, rate)
            starts, windows = self._model.windows(samples, OVERLAP)
            scores = await self._batcher.scores(windows)
        return JSONResponse(
            {
                "sample_rate": rate,
                "window_seconds": self._model.num_samples / rate,
                "overlap": OVERLAP,
                "scores": self._named(np.mean(scores, axis=0)),
                "windows": [
                    {
                        "start": start / rate,
                        "end": (start + len(window)) / rate,
                        "top": self._named(row, TOP),
                    }
                    for start, window, row in zip(
                        starts, windows, scores, strict=True
                    )
                ],
            }
        )

    def _named(self, row, count=None):
        """The highest scores by class name, the highest first."""
        order = np.argsort(-row)[:count]
        return {self._model.class_names[i]: float(row[i]) for i in order}

    @contextlib.contextmanager
    def _place(self):
        """One of the places for requests, taken before a body is read."""
        if self._num_requests >= self._max_requests:
            raise HTTPException(503, "The server is busy. Try again.", RETRY)
        self._num_requests += 1
        try:
            yield
        except asyncio.CancelledError as error:  # long after Ctrl-C
            raise HTTPException(503, "The server ends.", RETRY) from error
        finally:
            self._num_requests -= 1

    async def _read(self, request, read, argument):
        """What `read`, in a thread, makes of the body."""
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await read_body(request)
        except (TimeoutError, ClientDisconnect) as error:
            raise HTTPException(
                408, f"The body did not arrive in {BODY_SECONDS} s."
            ) from error
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, read, body, argument)


async def read_body(request):
    """The body, of which no more than `MAX_BYTES` are read."""
    body = bytearray()
    if int(request.headers.get("content-length", 0)) <= MAX_BYTES:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BYTES:
                break
        else:
            return body
    raise HTTPException(
        413, f"The body has more than {MAX_BYTES} bytes. Send it in parts."
    )


async def answer_error(request, error):
    """The error as TensorFlow Serving writes one."""
    path, headers = request.url.path, error.headers or {}
    sentence = {  # for Starlette's own words
        "Not Found": f"There is nothing at {path}. README.md lists what is.",
        "Method Not Allowed": f"{path} answers {headers.get('Allow')} only.",
    }.get(error.detail, error.detail)
    return JSONResponse({"error": sentence}, error.status_code, headers)


async def fail(request, error):
    return JSONResponse({"error": "The server failed; its log says how."}, 500)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="exported ONNX file")
    parser.add_argument("--name", default="audio", help="the model's name")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument(
        "--max_requests", type=int, default=32, help="more at once get 503"
    )
    parser.add_argument(
        "--max_batch", type=int, default=8, help="windows scored together"
    )
    parser.add_argument(
        "--wait_ms", type=float, default=2, help="to fill a batch"
    )
    flags = vars(parser.parse_args())
    path, host, port = (flags.pop(name) for name in ("model", "host", "port"))
    uvicorn.run(
        Service(Model(path), **flags).app,
        host=host,
        port=port,
        access_log=False,
        timeout_keep_alive=75,  # longer than clients reuse a connection
        timeout_graceful_shutdown=10,  # seconds for requests after Ctrl-C
    )


if __name__ == "__main__":
    main()
