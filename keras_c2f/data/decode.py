"""Sound files to float32 mono samples at the model's rate."""

import io
import os

import numpy as np

from keras_c2f.data.lazy import soundfile, soxr, tf, tfio


class SoundError(ValueError):
    """A sound that cannot be used.

    Attributes:
        path: str, the file; for an array, a description.
        reason: str, what is wrong with it.
    """

    def __init__(self, path, reason):
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


def load_sound(sound, sample_rate, decoder="soundfile"):
    """Reads a sound; channels are averaged, then the rate is converted.

    Args:
        sound: path of a file (WAV, FLAC, OGG, MP3), local or any that
            `tf.io.gfile` knows (`gs://...`), or a `(samples,)` array
            already at `sample_rate`, which is only checked.
        sample_rate: int, Hz, wanted.
        decoder: `"soundfile"` (and soxr, high quality, for the rate) or
            `"tensorflow-io"` (up to TensorFlow 2.17; slower except on WAV,
            and 100 times slower where the rate has to change).

    Returns:
        float32 `(samples,)`, at least one sample.

    Raises:
        SoundError: if the file is missing or cannot be decoded, or there are
            no samples, or some are NaN or infinite.
        ImportError: if the decoder is not installed, with the install line.
        ValueError: if `decoder` is unknown.

    Example:
        >>> load_sound(np.array([0.5, np.nan]), 16000)
        Traceback (most recent call last):
        keras_c2f.data.decode.SoundError: array of shape (2,): has samples that
        are NaN or infinite
    """
    if decoder not in DECODERS:
        raise ValueError(
            f"`decoder` is one of {tuple(DECODERS)}. "
            f"Received: decoder={decoder!r}."
        )
    if isinstance(sound, (str, os.PathLike)):
        name = os.fspath(sound)
        samples, rate = DECODERS[decoder](name)
        samples = samples.mean(axis=1)
        _check(samples, name)  # a resampler smears one NaN over a whole clip
        if rate != sample_rate:
            samples = RESAMPLERS[decoder](samples, rate, sample_rate)
    else:
        samples = np.asarray(sound, dtype="float32")
        name = f"array of shape {samples.shape}"
        if samples.ndim != 1:
            raise SoundError(name, "is not mono; average its channels")
    _check(samples, name)
    return np.asarray(samples, dtype="float32")


def _check(samples, name):
    if not len(samples):
        raise SoundError(name, "has no samples")
    if not np.isfinite(samples).all():
        raise SoundError(name, "has samples that are NaN or infinite")


def _read_with_soundfile(path):
    """`(samples, channels)` and the file's rate."""
    read = soundfile.read  # outside `try`: a missing package is no bad sound
    file = _read_remote(path) if _is_remote(path) else path
    try:
        return read(file, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError, TypeError) as error:
        # TypeError: headerless .raw
        raise SoundError(path, _reason(path, str(error))) from error


def _is_remote(path):
    return "://" in path


def _read_remote(path):
    """The whole file in memory."""
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            return io.BytesIO(file.read())
    except tf.errors.OpError as error:
        raise SoundError(path, f"cannot be read ({error.message})") from error


def _read_with_tensorflow_io(path):
    """The same with the native decoders of tensorflow-io."""
    decoders = {
        "wav": lambda data: tfio.audio.decode_wav(data, dtype=tf.int16),
        "flac": lambda data: tfio.audio.decode_flac(data, dtype=tf.int16),
        "ogg": tfio.audio.decode_vorbis,
        "mp3": tfio.audio.decode_mp3,
    }
    ending = os.path.splitext(path)[1].lstrip(".").lower()
    if ending not in decoders:
        raise SoundError(
            path,
            f"tensorflow-io tells formats by their ending, and '.{ending}' is "
            f"none of {', '.join(decoders)}",
        )
    tfio.audio  # noqa: B018  a missing package is no bad sound
    try:
        rate = int(tfio.audio.AudioIOTensor(path).rate)
        samples = decoders[ending](tf.io.read_file(path)).numpy()
    except NotImplementedError as error:
        raise ImportError(
            "tensorflow-io's native decoders do not load in TensorFlow "
            f"{tf.version.VERSION}; they do up to 2.17: "
            "pip install keras_c2f[tensorflow-io], or use "
            "decoder='soundfile'."
        ) from error
    except (tf.errors.OpError, ValueError) as error:
        raise SoundError(path, _reason(path, str(error))) from error
    if samples.dtype == np.int16:
        samples = samples / 32768
    return samples, rate


def _reason(path, message):
    """What is wrong with a file, in words rather than a library's code."""
    if not _is_remote(path):
        if not os.path.isfile(path):
            return "is not a file"
        if not os.path.getsize(path):
            return "is empty"
    detail = message.replace(path, "").replace("''", "").strip(" .:\n")
    return f"cannot be decoded ({detail})"


def _resample_with_soxr(samples, old_rate, new_rate):
    return soxr.resample(samples, old_rate, new_rate)


def _resample_with_tensorflow_io(samples, old_rate, new_rate):
    return tfio.audio.resample(
        samples.astype("float32"), old_rate, new_rate
    ).numpy()


DECODERS = {
    "soundfile": _read_with_soundfile,
    "tensorflow-io": _read_with_tensorflow_io,
}
RESAMPLERS = {
    "soundfile": _resample_with_soxr,
    "tensorflow-io": _resample_with_tensorflow_io,
}
