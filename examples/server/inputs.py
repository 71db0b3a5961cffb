"""What the body of a request holds, as samples; or a sentence why it fails."""

import json

import numpy as np
from starlette.exceptions import HTTPException

from keras_c2f.audio.audio_file import AudioError, open_audio
from keras_c2f.audio.decode import LOUDEST, resampled_blocks

MAX_BYTES = 20_000_000
MAX_SECONDS = 600
MAX_RATE = 768_000  # Hz; soxr takes seconds for a block at 2**31
NAMES = ("waveform", "num_samples")


def read_audio(body, sample_rate):
    """Decodes an audio file, as `keras-c2f predict` does.

    Args:
        body: bytes of a file that libsndfile knows.
        sample_rate: int, Hz, wanted.

    Returns:
        float32 `(samples,)`, the mean of the channels; at least one sample.

    Raises:
        HTTPException: if that fails, or the recording exceeds `MAX_SECONDS`.
    """
    if not body:
        raise HTTPException(400, "The body is empty. Send an audio file.")
    status = 415
    try:
        with open_audio("the body", bytes(body)) as file:
            status = 400
            return np.concatenate(list(_blocks(file, sample_rate)))
    except AudioError as error:
        raise HTTPException(
            status,
            f"The body {error.reason}. Send the bytes of a whole WAV, FLAC, "
            "OGG or MP3 file as they are, not as a form.",
        ) from error


def _blocks(file, sample_rate):
    """Mono blocks at the wanted rate; all of a file may not fit."""
    rate, left = file.sample_rate, MAX_SECONDS * sample_rate
    if rate > MAX_RATE:
        raise HTTPException(
            422,
            f"The recording has {rate} Hz. Send one of {MAX_RATE} Hz at most.",
        )
    for samples in resampled_blocks(file, sample_rate):
        left -= len(samples)
        if left < 0:
            raise HTTPException(
                413,
                f"The recording is longer than {MAX_SECONDS} s. Send parts.",
            )
        yield samples


def _check(samples):
    if not np.abs(samples).max() <= LOUDEST:  # neither is NaN
        raise HTTPException(
            400,
            "Some samples are NaN, infinite or out of all proportion. Send "
            "samples in [-1, 1].",
        )


def read_tensors(body, size):
    """Reads a request to TensorFlow Serving's `predict`.

    Args:
        body: bytes, JSON with `instances` (rows) or `inputs` (columns).
        size: int, samples of the model's window.

    Returns:
        Pair: list of windows, float32 `(samples,)` without the padding, and
        the key of the answer.

    Raises:
        HTTPException: if the JSON is anything else.
    """
    try:
        request = json.loads(body)
        if ("instances" in request) == ("inputs" in request):
            raise ValueError("neither or both of instances and inputs")
        if "instances" in request:
            rows, key = request["instances"], "predictions"
            columns = {name: [row[name] for row in rows] for name in NAMES}
        else:
            columns, key = request["inputs"], "outputs"
        # Without the type, a text as long as the body makes a huge array.
        waveform, counts = (np.array(columns[name], float) for name in NAMES)
    except Exception as error:  # JSON may hold anything
        reason = f"{type(error).__name__}: {error}"[:100]
        raise HTTPException(
            400,
            f"The body does not read ({reason}). Send "
            '{"instances": [{"waveform": [...], "num_samples": n}, ...]} or '
            '{"inputs": {"waveform": [[...], ...], "num_samples": [n, ...]}}.',
        ) from error
    if counts.ndim != 1 or waveform.shape != (len(counts), size):
        raise HTTPException(
            400,
            f"`waveform` is {waveform.shape} and `num_samples` {counts.shape}. "
            f"Right are (batch, {size}), padded with zeros, and (batch,).",
        )
    whole = counts == np.floor(counts)
    if not ((counts >= 1) & (counts <= size) & whole).all():
        raise HTTPException(
            400,
            "`num_samples` says how many samples of a window are audio, whole "
            f"numbers 1 to {size}. Received: {counts.min():g} to "
            f"{counts.max():g}.",
        )
    _check(waveform)
    rows = zip(waveform.astype("float32"), counts.astype(int), strict=True)
    return [row[:count] for row, count in rows], key
