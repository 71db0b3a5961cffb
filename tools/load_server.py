"""`examples/server`: does it answer right, and how fast, under load?

Starts the server on this machine and sends it recordings from several clients
at the same time, one request in twenty malformed. Each answer is compared with
ONNX Runtime's own. Run time: a minute and a quarter. Expected: no wrong answer,
every malformed request answered 4xx with a sentence, no crash, steady memory.

    python tools/load_server.py --model=classifier.onnx --seconds=60
"""

import asyncio
import glob
import io
import itertools
import json
import logging
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path

import httpx2
import numpy as np
import onnxruntime
import soundfile
import soxr
from absl import app, flags

from keras_c2f.utils.environment import hardware

FLAGS = flags.FLAGS
flags.DEFINE_string("model", None, "Exported ONNX classifier.", required=True)
flags.DEFINE_string("audio", None, "Audio files, such as 'folder/*.ogg'.")
flags.DEFINE_float("seconds", 60, "How long requests are sent.")
flags.DEFINE_integer("clients", 8, "Requests at the same time.")

SERVER = Path(__file__).parents[1] / "examples" / "server" / "serve.py"
PACKAGES = ("starlette", "uvicorn", "onnxruntime", "soundfile", "soxr")
NUM_RECORDINGS = 48
MALFORMED = 0.05  # share of the requests
PREDICT_SHARE = 0.1  # of the others
TOLERANCE = 1e-4  # float32, summed in another order in another batch
PERCENT = (50, 95, 99, 100)
PREDICT = "/v1/models/audio:predict"


class Oracle:
    """What the server has to answer, found without it."""

    def __init__(self, path):
        self._session = onnxruntime.InferenceSession(path)
        properties = self._session.get_modelmeta().custom_metadata_map
        info = json.loads(properties["keras_c2f"])
        self.names, self.size = info["class_names"], info["num_samples"]
        self._rate = info["sample_rate"]

    def windows(self, body):
        """Dict from start and end in seconds to the samples between."""
        samples, rate = soundfile.read(io.BytesIO(body), always_2d=True)
        samples = samples.mean(axis=1).astype("float32")
        samples = soxr.resample(samples, rate, self._rate)
        starts = [0]
        while starts[-1] + self.size < len(samples):
            last = len(samples) - self.size
            starts.append(min(starts[-1] + self.size // 2, last))
        ends = [min(start + self.size, len(samples)) for start in starts]
        return {
            (start / self._rate, end / self._rate): samples[start:end]
            for start, end in zip(starts, ends, strict=True)
        }

    def scores(self, window):
        """`(num_classes,)` of one window alone."""
        waveform = np.zeros((1, self.size), "float32")
        waveform[0, : len(window)] = window
        counts = np.array([len(window)], "int32")
        feeds = {"waveform": waveform, "num_samples": counts}
        return self._session.run(None, feeds)[0][0]


def encode(samples, rate, kind="WAV", subtype=None):
    """The bytes of an audio file."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def make_audio():
    """Bytes of audio files: as they are, joined to long ones, cut short."""
    paths = sorted(glob.glob(FLAGS.audio)) if FLAGS.audio else []
    if FLAGS.audio and not paths:
        raise app.UsageError(f"--audio={FLAGS.audio} finds no file.")
    paths = paths[:: max(len(paths) // NUM_RECORDINGS, 1)][:NUM_RECORDINGS]
    recordings = [Path(path).read_bytes() for path in paths]
    rng = np.random.default_rng(0)
    for i in range(0 if paths else NUM_RECORDINGS):
        rate = (8000, 16000, 44100)[i % 3]
        tone = np.sin(rng.uniform(0.02, 2) * np.arange(5 * rate))[:, None]
        noise = rng.normal(0, rng.uniform(0, 0.2), (5 * rate, 1 + i % 2))
        recordings.append(encode(tone / 5 + noise, rate, ("WAV", "MP3")[i % 2]))
    for audio in recordings[::8]:
        samples, rate = soundfile.read(io.BytesIO(audio))
        recordings.append(encode(np.concatenate([samples] * 4), rate, "FLAC"))
        recordings.append(encode(samples[: rate // 2], rate))
    return recordings


def good_requests(oracle):
    """Lists of (path, body, check of the answer): recordings, and tensors."""
    recordings, tensors = [], []
    for i, body in enumerate(make_audio()):
        windows = oracle.windows(body)
        scores = [oracle.scores(window) for window in windows.values()]
        check = classify_check(oracle.names, list(windows), scores)
        recordings.append(("/classify", body, check))
        waveform = np.zeros((len(windows), oracle.size), "float32")
        for row, window in zip(waveform, windows.values(), strict=True):
            row[: len(window)] = window
        request = {
            "waveform": waveform[:3].tolist(),
            "num_samples": [len(window) for window in windows.values()][:3],
        }
        name, answer = ("inputs", "outputs")
        if i % 2:
            name, answer = ("instances", "predictions")
            columns = zip(*request.values(), strict=True)
            request = [dict(zip(request, row, strict=True)) for row in columns]
        body = json.dumps({name: request}).encode()
        tensors.append((PREDICT, body, predict_check(answer, scores[:3])))
    return recordings, tensors


def classify_check(names, spans, scores):
    """A function that says whether an answer of `/classify` is right."""

    def is_near(found, right):
        return all(
            abs(score - right[names.index(name)]) <= TOLERANCE
            for name, score in found.items()
        )

    def is_right(answer):
        windows = answer["windows"]
        return (
            [(window["start"], window["end"]) for window in windows] == spans
            and sorted(answer["scores"]) == sorted(names)
            and is_near(answer["scores"], np.mean(scores, axis=0))
            and all(
                is_near(window["top"], row)
                and max(window["top"].values()) >= max(row) - TOLERANCE
                for window, row in zip(windows, scores, strict=True)
            )
        )

    return is_right


def predict_check(name, scores):
    """A function that says whether an answer of `predict` is right."""
    return lambda answer: np.allclose(answer[name], scores, atol=TOLERANCE)


def bad_requests(oracle):
    """List of (method, path, body, right status)."""
    noise = np.random.default_rng(0).normal(0, 0.1, 16000)
    zeros = [0.0] * oracle.size
    large = bytes(20_000_001)

    async def without_length():
        for first in range(0, len(large), 2**16):
            yield large[first : first + 2**16]

    def instance(waveform=zeros, num_samples=oracle.size):
        row = {"waveform": waveform, "num_samples": num_samples}
        return json.dumps({"instances": [row]}).encode()

    recordings = {
        b"This is a text. " * 1000: 415,
        encode(noise, 16000, "FLAC")[:9000]: 415,
        encode(noise, 16000)[:40]: 415,
        b"": 400,
        encode(noise[:0], 16000): 400,
        encode(noise + np.nan, 16000, subtype="FLOAT"): 400,
        encode(np.zeros(601_000), 1000, subtype="PCM_U8"): 413,
        large: 413,
        without_length: 413,
    }
    tensors = {
        b"[1, 2": 400,
        b"[" * 100_000: 400,
        b"{}": 400,
        b'{"instances": 5}': 400,
        b'{"inputs": {"waveform": [[1], [1, 2]], "num_samples": [1]}}': 400,
        instance(zeros[:100]): 400,
        instance(["a"] * oracle.size): 400,
        instance([np.nan] * oracle.size): 400,
        instance(num_samples=0): 400,
        instance(num_samples=oracle.size + 1): 400,
        large: 413,
    }
    return [
        *(("POST", "/classify", *pair) for pair in recordings.items()),
        *(("POST", PREDICT, *pair) for pair in tensors.items()),
        ("GET", "/classify", None, 405),
        ("DELETE", PREDICT, None, 405),
        ("POST", "/v1/models/others:predict", b"{}", 404),
        ("GET", "/classify/../../secret", None, 404),
    ]


class Load:
    """Clients that send requests, and what they count.

    Attributes:
        milliseconds: dict from path to how long its right answers took.
        wrong: list of str, about answers that are not right.
        crashes: list of str: lost connections and answers 5xx.
        busy: int, answers 503 with `Retry-After`.
    """

    def __init__(self, address, good, bad):
        self._address = address
        self._audio, self._tensors = good
        self._bad = itertools.cycle(bad)
        self.milliseconds = defaultdict(list)
        self.wrong, self.crashes, self.busy = [], [], 0

    async def client(self, seed, end):
        """Sends one request after the other until `end`."""
        rng = random.Random(seed)
        options = {"base_url": self._address, "timeout": 60}
        async with httpx2.AsyncClient(**options) as http:
            while time.monotonic() < end:
                if rng.random() < MALFORMED:
                    await self._send(http, "malformed", *next(self._bad))
                else:
                    rare = rng.random() < PREDICT_SHARE
                    good = rng.choice(self._tensors if rare else self._audio)
                    await self._send(http, good[0], "POST", *good)

    async def _send(self, http, kind, method, path, body, right):
        """One request; `right` is a status, or a function of the answer."""
        content = body() if callable(body) else body
        start = time.perf_counter()
        try:
            answer = await http.request(method, path, content=content)
        except httpx2.TransportError as error:
            self.crashes.append(f"{error!r} for {method} {path}")
            await asyncio.sleep(1)  # the server may be gone
            return
        took = 1000 * (time.perf_counter() - start)
        status, text = answer.status_code, f"{method} {path}: {answer.text}"
        if status == 503 and "Retry-After" in answer.headers:
            self.busy += 1
            await asyncio.sleep(float(answer.headers["Retry-After"]))
        elif status >= 500:
            self.crashes.append(f"{status} for {text}")
        elif status != (200 if callable(right) else right):
            self.wrong.append(f"{status} for {text}")
        elif callable(right) and not right(answer.json()):
            self.wrong.append(text)
        elif not callable(right) and not answer.json()["error"].endswith("."):
            self.wrong.append(text)
        else:
            self.milliseconds[kind].append(took)


def start_server():
    """The server's process and address, when it is ready."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, SERVER, f"--model={FLAGS.model}", f"--port={port}"]
    )
    address = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            httpx2.get(f"{address}/health").raise_for_status()
            return process, address
        except httpx2.HTTPError:
            time.sleep(0.1)
        if process.poll() is not None:
            break
    process.kill()
    raise SystemExit("The server did not start; see above.")


def megabytes(process, field):
    """`VmRSS`, memory now, or `VmHWM`, the most so far; Linux only."""
    status = Path(f"/proc/{process.pid}/status")
    text = status.read_text() if status.exists() else ""
    found = re.search(rf"{field}:\s*(\d+) kB", text)
    return int(found[1]) / 1000 if found else float("nan")


async def send_all(process, load):
    """Megabytes at each second, while the clients send what they can."""
    end, memory = time.monotonic() + FLAGS.seconds, []
    clients = [load.client(seed, end) for seed in range(FLAGS.clients)]
    clients = asyncio.gather(*clients)
    while not clients.done() and process.poll() is None:
        memory.append(megabytes(process, "VmRSS"))
        await asyncio.sleep(1)
    await clients
    return memory


def stop(process):
    """Seconds that the server takes to end after Ctrl-C."""
    start = time.perf_counter()
    process.send_signal(signal.SIGINT)
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
    return time.perf_counter() - start


def show(load):
    """Prints a row for each path and one for all."""
    rows = dict(sorted(load.milliseconds.items()))
    rows["all"] = list(itertools.chain(*rows.values()))
    print("\n| right answers | number | per second | p50, ms ", end="")
    print("| p95 | p99 | max |\n|---|---|---|---|---|---|---|")
    for kind, row in rows.items():
        cells = [kind, len(row), f"{len(row) / FLAGS.seconds:.1f}"]
        cells += [
            f"{mark:.0f}" for mark in np.percentile(row or np.nan, PERCENT)
        ]
        print(f"| {' | '.join(map(str, cells))} |")


def main(_):
    logging.getLogger("httpx2").setLevel("WARNING")  # no line per request
    oracle = Oracle(FLAGS.model)
    good, bad = good_requests(oracle), bad_requests(oracle)
    print(f"# Server, {FLAGS.clients} clients, {FLAGS.seconds:g} s\n")
    print(", ".join(f"{name} {version(name)}" for name in PACKAGES))
    print(f"{hardware()}, load {os.getloadavg()[0]:.1f}.", flush=True)
    process, address = start_server()
    try:
        load = Load(address, good, bad)
        memory = asyncio.run(send_all(process, load))
        peak = megabytes(process, "VmHWM")
        seconds = stop(process)
    finally:
        process.kill()
    if process.returncode:
        load.crashes.append(f"The server ended with {process.returncode}.")
    show(load)
    third = memory[len(memory) // 3]
    print("\n| what | number |\n|---|---|")
    print(f"| wrong answers | {len(load.wrong)} |")
    print(f"| malformed answered 4xx | {len(load.milliseconds['malformed'])} |")
    print(f"| turned away with 503 | {load.busy} |")
    print(f"| crashes | {len(load.crashes)} |")
    print(f"| memory after a third of the time, MB | {third:.0f} |")
    print(f"| memory at the end, MB | {memory[-1]:.0f} |")
    print(f"| peak memory, MB | {peak:.0f} |")
    print(f"| seconds to end after Ctrl-C | {seconds:.1f} |")
    for text in (load.wrong + load.crashes)[:10]:
        print(text[:300])
    if load.wrong or load.crashes:
        sys.exit(1)


if __name__ == "__main__":
    app.run(main)
