"""Audio files to float32 mono samples at the model's rate."""

import numbers
import os
from functools import partial

import numpy as np

from keras_c2f.audio.audio_file import (
    RATES,
    AudioError,
    decoding_reason,
    open_audio,
)
from keras_c2f.audio.excerpt import find_excerpt
from keras_c2f.utils.annotations import PathLike
from keras_c2f.utils.optional import soxr, tf, tfio
from keras_c2f.utils.packages import install_line
from keras_c2f.utils.values import Choice

LOUDEST = 10  # 20 dB above full scale; recordings in float may be too loud


def load_audio(
    audio: PathLike | np.ndarray, sample_rate: int, decoder: str = "soundfile"
) -> np.ndarray:
    """Reads a recording; channels are averaged, then the rate is converted.

    With `decoder="soundfile"` all of a file is read, also where its header is
    wrong: of a recorder that lost power, of a stream, or of the first of
    several files that were appended to one another. Of a file that was cut,
    all that is left is read.

    Args:
        audio: path of a file (WAV, FLAC, OGG, MP3, AIFF and what else
            libsndfile reads), local or any that `tf.io.gfile` knows
            (`gs://...`), or a `(samples,)` array already at `sample_rate`,
            which is only checked.
        sample_rate: int, Hz, wanted.
        decoder: `"soundfile"` (and soxr, high quality, for the rate) or
            `"tensorflow-io"` (up to TensorFlow 2.17; slower except on WAV,
            and 100 times slower where the rate has to change).

    Returns:
        float32 `(samples,)`, at least one sample.

    Raises:
        AudioError: if the file is missing, damaged or cannot be decoded;
            there are no samples; some are NaN, infinite or above 10; some are
            above 1 and all are integers, which were not scaled; or channels
            cancel each other.
        ImportError: if the decoder is not installed, with the install line.
        ValueError: if `decoder` is unknown, or `sample_rate` no rate.

    Example:
        >>> load_audio(np.array([0.5, np.nan]), 16000)
        Traceback (most recent call last):
        keras_c2f.audio.audio_file.AudioError: array of shape (2,): has samples
        that are NaN or infinite
    """
    return load_crop(audio, sample_rate, decoder, None, 0)[0]


def load_crop(audio, sample_rate, decoder, num_samples, position):
    """Reads a recording, or if it is long only the crop that is wanted of it.

    A file of up to 30 s, or twice the crop, is read whole. `tensorflow-io`
    reads every file whole.

    Args:
        audio, sample_rate, decoder: as in `load_audio`.
        num_samples: int, length of the crop, or `None` for the whole recording.
        position: float, where the crop begins: see `crop_start`.

    Returns:
        float32 `(samples,)`, and a bool: whether that is all there is. Else
        it is the crop, up to the resampler's rounding (1e-5).

    Raises:
        As `load_audio`, for the part that is read.
    """
    Choice(tuple(DECODERS)).check("decoder", decoder)
    _check_rate(sample_rate)
    if not isinstance(audio, (str, os.PathLike)):
        samples = np.asarray(audio, dtype="float32")
        name = f"array of shape {samples.shape}"
        if samples.ndim != 1:
            raise AudioError(name, "is not mono; average its channels")
        _check(samples, name)
        return samples, True
    name = os.fspath(audio)
    excerpt = None
    if num_samples is not None:
        excerpt = partial(find_excerpt, sample_rate, num_samples, position)
    samples, rate, skip = DECODERS[decoder](name, excerpt)
    _check(samples, name)  # a resampler smears one NaN over a whole clip
    if rate != sample_rate:
        samples = RESAMPLERS[decoder](samples, rate, sample_rate)
    is_whole = skip is None
    if not is_whole:
        samples = samples[skip : skip + num_samples]
    _check(samples, name)
    return np.asarray(samples, dtype="float32"), is_whole


def audio_blocks(path, sample_rate):
    """Reads a file of any length in parts, which take little memory.

    Args:
        path: see `load_audio`.
        sample_rate: int, Hz, wanted.

    Yields:
        float32 `(samples,)`, up to about a minute. Together they are what
        `load_audio` returns, up to the resampler's rounding.

    Raises:
        AudioError: as `load_audio`, when the part is reached.
    """
    _check_rate(sample_rate)
    with open_audio(os.fspath(path)) as file:
        yield from resampled_blocks(file, sample_rate)


def resampled_blocks(file, sample_rate):
    """`audio_blocks` of an open `AudioFile`."""
    rate, total = file.sample_rate, 0
    resample = None
    if rate != sample_rate:
        resample = soxr.ResampleStream(rate, sample_rate, 1).resample_chunk
    for block in file.blocks():
        _check(block, file.path)  # the resampler smears one NaN over many
        samples = resample(block) if resample else block
        total += len(samples)
        yield samples
    if resample:
        samples = resample(np.zeros(0, "float32"), last=True)
        total += len(samples)
        yield samples
    if not total:
        raise AudioError(file.path, "has no samples")


def audio_seconds(audio, sample_rate):
    """float, length of a recording in seconds; nothing is decoded.

    Args:
        audio: path, or array at `sample_rate`.
        sample_rate: int, Hz.

    Raises:
        AudioError: if the file cannot be opened by `soundfile`.
    """
    if not isinstance(audio, (str, os.PathLike)):
        return len(audio) / sample_rate
    with open_audio(os.fspath(audio)) as file:
        return file.num_frames / file.sample_rate


def _check_rate(sample_rate):
    """Refuses what nothing can be resampled to, or not in a lifetime."""
    is_number = isinstance(sample_rate, numbers.Real)
    if not is_number or not RATES[0] <= sample_rate <= RATES[1]:
        raise ValueError(
            f"`sample_rate` is a number from {RATES[0]} to {RATES[1]}, in Hz. "
            f"Received: sample_rate={sample_rate!r}."
        )


def _check(samples, name):
    if not len(samples):
        raise AudioError(name, "has no samples")
    loudest = np.abs(samples).max()
    if not np.isfinite(loudest):
        raise AudioError(name, "has samples that are NaN or infinite")
    # of two channels, the mean of integers has halves
    if loudest > LOUDEST or loudest >= 2 and not np.any(2 * samples % 1):
        raise AudioError(
            name,
            f"has samples of {loudest:.0e}, not of [-1, 1]: divide them by "
            "full scale, 128 for 8 bits and 32768 for 16, and save the file "
            "again",
        )


def _read_with_soundfile(path, excerpt):
    """Mono `(samples,)`, the file's rate, and `skip` if they are an excerpt."""
    first, skip = 0, None
    with open_audio(path) as file:
        rate, last = file.sample_rate, file.num_frames
        found = excerpt and excerpt(last, rate)
        if found:
            first, last, skip = found
        blocks = [np.zeros(0, "float32"), *file.blocks(first, last)]
    return np.concatenate(blocks), rate, skip


def _read_with_tensorflow_io(path, excerpt):
    """The same, always whole, with the native decoders of tensorflow-io."""
    decoders = {
        "wav": lambda data: tfio.audio.decode_wav(data, dtype=tf.int16),
        "flac": lambda data: tfio.audio.decode_flac(data, dtype=tf.int16),
        "ogg": tfio.audio.decode_vorbis,
        "mp3": tfio.audio.decode_mp3,
    }
    ending = os.path.splitext(path)[1].lstrip(".").lower()
    if ending not in decoders:
        raise AudioError(
            path,
            f"tensorflow-io goes by file endings, and '.{ending}' is "
            f"none of {', '.join(decoders)}",
        )
    tfio.audio  # noqa: B018  a missing package is no bad recording
    try:
        rate = int(tfio.audio.AudioIOTensor(path).rate)
        samples = decoders[ending](tf.io.read_file(path)).numpy()
    except NotImplementedError as error:
        raise ImportError(
            "tensorflow-io's native decoders do not load in TensorFlow "
            f"{tf.version.VERSION}; they do up to 2.17. Use "
            "decoder='soundfile', or install both. "
            + install_line(["tensorflow_io"])
        ) from error
    except (tf.errors.OpError, ValueError) as error:
        raise AudioError(path, decoding_reason(path, str(error))) from error
    if samples.dtype == np.int16:
        samples = samples / 32768
    return samples.mean(axis=1), rate, None


DECODERS = {
    "soundfile": _read_with_soundfile,
    "tensorflow-io": _read_with_tensorflow_io,
}
RESAMPLERS = {  # functions of samples, their rate and the one wanted
    "soundfile": lambda samples, *rates: soxr.resample(samples, *rates),
    "tensorflow-io": lambda samples, *rates: tfio.audio.resample(
        samples.astype("float32"), *rates
    ).numpy(),
}
