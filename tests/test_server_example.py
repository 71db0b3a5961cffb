"""`examples/server` answers right, and says what is wrong with a request."""

import asyncio
import io
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
soundfile = pytest.importorskip("soundfile")
httpx2 = pytest.importorskip("httpx2")
for name in ("onnxruntime", "soxr", "uvicorn", "starlette"):
    pytest.importorskip(name)

pytestmark = pytest.mark.once

FOLDER = Path(__file__).parents[1] / "examples" / "server"
RATE, SIZE, NAMES = 2000, 1000, ("dog", "rain", "sea")  # half a second
RNG = np.random.default_rng(0)
WEIGHTS = RNG.normal(0, 0.3, (SIZE, 3)).astype("float32")
COUNT_WEIGHTS = np.array([[1e-3, 0, -1e-3]], "float32")
NOISE = RNG.uniform(-0.5, 0.5, 2 * SIZE + 300)
PREDICT = "/v1/models/toy:predict"


def right_scores(window):
    """Softmax of what the file of `model_path` computes, in float64."""
    logits = window @ WEIGHTS[: len(window)] + len(window) * COUNT_WEIGHTS[0]
    exp = np.exp(logits - logits.max())
    return exp / exp.sum()


@pytest.fixture(scope="module")
def model_path(tmp_path_factory):
    """A classifier with inputs, output and metadata like an exported one."""
    helper, kinds = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("MatMul", ["waveform", "weights"], ["from_sound"]),
        helper.make_node("Cast", ["num_samples"], ["counts"], to=kinds.FLOAT),
        helper.make_node("Reshape", ["counts", "column"], ["count_column"]),
        helper.make_node("MatMul", ["count_column", "slope"], ["from_counts"]),
        helper.make_node("Add", ["from_sound", "from_counts"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["scores"]),
    ]
    shapes = {
        "waveform": (kinds.FLOAT, ["batch", SIZE]),
        "num_samples": (kinds.INT32, ["batch"]),
        "scores": (kinds.FLOAT, ["batch", 3]),
    }
    *inputs, output = (
        helper.make_tensor_value_info(name, *shape)
        for name, shape in shapes.items()
    )
    constants = [
        onnx.numpy_helper.from_array(WEIGHTS, "weights"),
        onnx.numpy_helper.from_array(COUNT_WEIGHTS, "slope"),
        onnx.numpy_helper.from_array(np.array([-1, 1]), "column"),
    ]
    graph = helper.make_graph(nodes, "toy", inputs, [output], constants)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    )
    info = {"class_names": NAMES, "sample_rate": RATE, "num_samples": SIZE}
    helper.set_model_props(model, {"keras_c2f": json.dumps(info)})
    path = tmp_path_factory.mktemp("server") / "toy.onnx"
    onnx.save(model, path)
    return str(path)


@pytest.fixture
def serve(monkeypatch):
    """The server's module; its folder is no package."""
    if not FOLDER.is_dir():
        pytest.skip("needs the repository")
    monkeypatch.syspath_prepend(str(FOLDER))
    import serve

    yield serve
    for name in ("serve", "scoring", "inputs"):
        sys.modules.pop(name)


@pytest.fixture
def make_service(serve, model_path):
    """A function that makes a `Service`."""

    def make(**limits):
        return serve.Service(serve.Model(model_path), "toy", **limits)

    return make


@pytest.fixture
def client(make_service):
    """A client of a server without a network."""
    from starlette.testclient import TestClient

    with TestClient(make_service().app) as client:
        yield client


def encode(samples, rate=RATE, kind="WAV", subtype="FLOAT"):
    """The bytes of an audio file."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=kind, subtype=subtype)
    return file.getvalue()


def test_a_long_recording_is_classified_in_windows_up_to_its_end(client):
    answer = client.post("/classify", content=encode(NOISE)).json()
    assert (answer["sample_rate"], answer["window_seconds"]) == (RATE, 0.5)
    windows = answer["windows"]
    assert [w["start"] for w in windows] == [0, 0.25, 0.5, 0.65]
    assert [w["end"] for w in windows] == [0.5, 0.75, 1, 1.15]
    starts = (0, 500, 1000, 1300)
    right = np.array([right_scores(NOISE[s : s + SIZE]) for s in starts])
    found = [[w["top"][name] for name in NAMES] for w in windows]
    np.testing.assert_allclose(found, right, atol=1e-4)  # logits of up to 20
    means = [answer["scores"][name] for name in NAMES]
    np.testing.assert_allclose(means, right.mean(0), atol=1e-4)
    assert list(answer["scores"].values()) == sorted(means, reverse=True)


def test_a_short_audio_is_one_window(client):
    answer = client.post("/classify", content=encode(NOISE[:300])).json()
    (window,) = answer["windows"]
    assert (window["start"], window["end"]) == (0, 0.15)
    found = [answer["scores"][name] for name in NAMES]
    np.testing.assert_allclose(found, right_scores(NOISE[:300]), atol=1e-4)


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
def test_formats_rates_and_channels(client, kind):
    time = np.arange(16000) / 16000
    tone = 0.3 * np.sin(2 * np.pi * 440 * time)
    stereo = np.stack([2 * tone, 0 * tone], axis=1)
    body = encode(stereo, 16000, kind, None)
    answer = client.post("/classify", content=body).json()
    assert answer["windows"][-1]["end"] == 1
    window = (0.3 * np.sin(2 * np.pi * 440 * np.arange(SIZE) / RATE))[:SIZE]
    found = [answer["windows"][0]["top"][name] for name in NAMES]
    # lossy codes and the resampler's edge; a wrong rate is off by 0.5
    np.testing.assert_allclose(found, right_scores(window), atol=0.1)


def test_rows_and_columns_like_tensorflow_serving(client):
    waveform = np.zeros((2, SIZE))
    waveform[0], waveform[1, :300] = NOISE[:SIZE], NOISE[:300]
    columns = {"waveform": waveform.tolist(), "num_samples": [SIZE, 300]}
    rows = [
        {"waveform": row, "num_samples": count}
        for row, count in zip(*columns.values(), strict=True)
    ]
    right = [right_scores(NOISE[:SIZE]), right_scores(NOISE[:300])]
    for request, key in (
        ({"instances": rows}, "predictions"),
        ({"inputs": columns, "signature_name": "serving_default"}, "outputs"),
    ):
        answer = client.post(PREDICT, json=request).json()
        assert list(answer) == [key]
        np.testing.assert_allclose(answer[key], right, atol=1e-4)


def test_status_and_health(client):
    (version,) = client.get("/v1/models/toy").json()["model_version_status"]
    assert version["state"] == "AVAILABLE"
    assert version["status"] == {"error_code": "OK", "error_message": ""}
    assert client.get("/health").json() == {"status": "ok"}


def instance(waveform=(0.0,) * SIZE, num_samples=SIZE):
    row = {"waveform": list(waveform), "num_samples": num_samples}
    return json.dumps({"instances": [row]})


@pytest.mark.parametrize(
    "method, path, body, status, words",
    [
        ("POST", "/classify", b"", 400, "empty"),
        ("POST", "/classify", b"some text", 415, "WAV, FLAC, OGG or MP3"),
        ("POST", "/classify", encode(NOISE)[:40], 415, "cannot be decoded"),
        ("POST", "/classify", encode(NOISE[:0]), 400, "no samples"),
        ("POST", "/classify", encode(NOISE + np.nan), 400, "NaN"),
        ("POST", "/classify", encode(NOISE, 10**6), 422, "1000000 Hz"),
        ("POST", "/classify", bytes(20_000_001), 413, "20000000 bytes"),
        ("POST", "/classify", encode(np.zeros(601), 1), 415, "is 1 Hz"),
        ("POST", "/classify", encode(np.zeros(60100), 100), 413, "than 600 s"),
        ("POST", "/classify", encode(NOISE * 1e4), 400, "not of [-1, 1]"),
        (
            *("POST", "/classify", encode(np.stack([NOISE, -NOISE], 1))),
            *(400, "cancel each other"),
        ),
        ("POST", "/classify", b"....ftypM4A ....", 415, "is MP4, M4A"),
        ("GET", "/classify", None, 405, "POST"),
        ("GET", "/nothing", None, 404, "/nothing"),
        ("GET", "/v1/models/other", None, 404, "other"),
        ("POST", PREDICT, "waveform", 400, "JSONDecodeError"),
        ("POST", PREDICT, "\xff", 400, "JSONDecodeError"),
        ("POST", PREDICT, "[" * 10**5, 400, "RecursionError"),
        ("POST", PREDICT, "5", 400, "TypeError"),
        ("POST", PREDICT, "{}", 400, "neither or both"),
        ("POST", PREDICT, '{"instances": [5]}', 400, "TypeError"),
        ("POST", PREDICT, '{"instances": []}', 400, "(0,)"),
        ("POST", PREDICT, '{"inputs": {"waveform": []}}', 400, "num_samples"),
        ("POST", PREDICT, instance([0.0] * 7), 400, "(1, 7)"),
        ("POST", PREDICT, instance(["a"] * SIZE), 400, "ValueError"),
        # as one array of texts these would take 40 GB
        ("POST", PREDICT, instance(["a" * 10**7] + [""] * 999), 400, "'aaa"),
        ("POST", PREDICT, instance([[]] * SIZE), 400, "(1, 1000, 0)"),
        ("POST", PREDICT, instance([0, [1]] * 500), 400, "ValueError"),
        ("POST", PREDICT, instance([None] * SIZE), 400, "NaN"),
        ("POST", PREDICT, instance([np.inf] * SIZE), 400, "infinite"),
        ("POST", PREDICT, instance([1e300] * SIZE), 400, "proportion"),
        ("POST", PREDICT, instance(num_samples=0), 400, "0 to 0"),
        ("POST", PREDICT, instance(num_samples=1001), 400, "1001 to 1001"),
        ("POST", PREDICT, instance(num_samples=1.5), 400, "1.5 to 1.5"),
        ("POST", PREDICT, instance(num_samples=np.inf), 400, "inf to inf"),
        ("POST", PREDICT, instance(num_samples=np.nan), 400, "nan to nan"),
        ("POST", PREDICT, instance(num_samples=[1]), 400, "(1, 1)"),
        ("POST", PREDICT, instance(num_samples=10**400), 400, "OverflowError"),
    ],
    # not the bytes themselves, in which libsndfile notes the time of day
    ids=lambda v: f"{len(v)}-bytes" if isinstance(v, bytes) else str(v)[:30],
)
def test_a_bad_request_is_told_what_is_wrong(
    client, method, path, body, status, words
):
    response = client.request(method, path, content=body)
    assert response.status_code == status
    error = response.json()["error"]
    assert words in error and error.endswith(".") and len(error) < 400
    assert client.post("/classify", content=encode(NOISE)).status_code == 200


def test_files_whose_header_is_wrong_are_read_to_their_end(client):
    """As `keras-c2f predict` reads them."""
    flac = bytearray(encode(NOISE, kind="FLAC", subtype=None))
    flac[21] &= 0xF0  # 36 bits of the header are the number of samples
    flac[22:26] = bytes(4)
    wav = bytearray(encode(NOISE))
    position = wav.index(b"data") + 4
    wav[4:8] = wav[position : position + 4] = bytes(
        4
    )  # of a recorder that died
    two = encode(NOISE[:SIZE]) + encode(NOISE[SIZE:])
    right = client.post("/classify", content=encode(NOISE)).json()
    assert right["windows"][-1]["end"] == len(NOISE) / RATE
    for body in (flac, wav, two):
        answer = client.post("/classify", content=bytes(body)).json()
        assert len(answer["windows"]) == len(right["windows"])
        for name, score in right["scores"].items():
            # 16 bits of FLAC
            assert answer["scores"][name] == pytest.approx(score, abs=1e-2)


def test_a_busy_server_turns_requests_away(make_service):
    from starlette.testclient import TestClient

    with TestClient(make_service(max_requests=0).app) as client:
        response = client.post("/classify", content=encode(NOISE))
        assert response.status_code == 503
        assert response.headers["Retry-After"] == "1"
        assert client.get("/health").status_code == 200


def post(app, receive, headers=(), cancel_after=60):
    """Status of `/classify` for a body that comes from `receive`."""
    sent = []

    async def send(message):
        sent.append(message)

    async def run():
        scope = {"type": "http", "method": "POST", "path": "/classify"}
        scope |= {"headers": headers, "query_string": b"", "root_path": ""}
        task = asyncio.create_task(app(scope, receive, send))
        asyncio.get_running_loop().call_later(cancel_after, task.cancel)
        await task

    asyncio.run(run())
    return sent[0]["status"]


async def hang():
    await asyncio.sleep(60)


def test_an_endless_body_is_not_read_to_its_end(make_service):
    num_read = 0

    async def receive():
        nonlocal num_read
        num_read += 1
        return {"type": "http.request", "body": bytes(2**20), "more_body": True}

    headers = [(b"content-length", b"20000001")]
    assert post(make_service().app, receive, headers) == 413
    assert num_read == 0
    assert post(make_service().app, receive) == 413
    assert num_read == 20


def test_a_body_that_stops_gives_its_place_back(
    make_service, serve, monkeypatch
):
    monkeypatch.setattr(serve, "BODY_SECONDS", 0.01)
    app = make_service(max_requests=1).app

    async def leave():
        return {"type": "http.disconnect"}

    for receive in (hang, leave, hang):
        assert post(app, receive) == 408


def test_a_request_that_the_end_cuts_off_may_come_again(make_service):
    assert post(make_service().app, hang, cancel_after=0.05) == 503


def test_requests_share_batches_and_a_failure_stays_in_its_own(serve):
    batches = []

    def scores(windows):
        batches.append(list(windows))
        if "bad" in windows:
            raise ValueError("bad")
        return [window.upper() for window in windows]

    async def later(coroutine):
        await asyncio.sleep(0.01)
        return await coroutine

    async def run():
        batcher = serve.Batcher(scores, max_batch=3, wait_ms=200)
        batches = asyncio.create_task(batcher.run())
        first = await asyncio.gather(
            batcher.scores(["a"]),
            later(batcher.scores(["b", "c", "d", "e"])),
            later(batcher.scores(["f"])),
        )
        bad = await asyncio.gather(
            batcher.scores(["bad"]), return_exceptions=True
        )
        again = await batcher.scores(["g"])
        batches.cancel()
        return first, bad, again

    first, (bad,), again = asyncio.run(run())
    assert first == [["A"], ["B", "C", "D", "E"], ["F"]]
    assert isinstance(bad, ValueError)
    assert again == ["G"]
    # "e" waits until "b" to "d" are done: a long recording takes turns
    assert batches == [["a", "b", "c"], ["d", "f"], ["e"], ["bad"], ["g"]]


def test_a_file_without_classes(serve, model_path, tmp_path):
    model = onnx.load(model_path)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(ValueError, match="keras-c2f export"):
        serve.Model(str(tmp_path / "other.onnx"))


def test_ctrl_c_ends_the_server(model_path):
    if not FOLDER.is_dir():
        pytest.skip("needs the repository")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    command = [sys.executable, str(FOLDER / "serve.py"), f"--port={port}"]
    process = subprocess.Popen([*command, f"--model={model_path}"])
    try:
        for _ in range(300):
            try:
                response = httpx2.get(f"http://127.0.0.1:{port}/health")
                break
            except httpx2.TransportError:
                time.sleep(0.1)
        assert response.status_code == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
