"""Speech from espeak-ng, through the optional package `espeakng-loader`."""

import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_c2f.utils.optional import LazyModule

espeakng_loader = LazyModule("espeakng_loader")  # GPL: only on demand


class Utterance(NamedTuple):
    """One request to the synthesiser.

    Attributes:
        text: str, what is spoken.
        voice: str, a language of espeak-ng with an optional variant behind
            `+`, such as `"en-us+f3"`. A variant it does not know is ignored
            without a word (`variants()` lists them); a language is not.
        words_per_minute: int from 80 to 450.
        pitch: int from 0 to 99; 50 is the voice's own.
        pitch_range: int from 0 (monotone) to 99.
    """

    text: str
    voice: str = "en"
    words_per_minute: int = 175
    pitch: int = 50
    pitch_range: int = 50


def variants():
    """Names that may follow the `+` of a voice, as a sorted list of str."""
    folder = Path(espeakng_loader.get_data_path()) / "voices" / "!v"
    return sorted(file.name for file in folder.iterdir())


def speak(utterances):
    """Speaks each utterance in turn, over a thousand short words per second.

    The same list gives the same samples, whatever was spoken before: each
    call starts a fresh process (why: `espeak_program.py`).

    Args:
        utterances: sequence of `Utterance`.

    Yields:
        `(samples, sample_rate)`: float32 `(samples,)` in [-1, 1], and Hz.

    Raises:
        ImportError: if `espeakng-loader` is not installed.
        OSError: if espeak-ng refuses, with what it said.

    Example:
        >>> [(samples, sample_rate)] = speak([Utterance("yes")])
        >>> sample_rate, 0.2 < len(samples) / sample_rate < 0.6
        (22050, True)
    """
    command = [
        sys.executable,
        "-I",  # isolated: standard library only, whatever PYTHONPATH says
        str(Path(__file__).with_name("espeak_program.py")),
        espeakng_loader.get_library_path(),
    ]
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            command,
            cwd=Path(espeakng_loader.get_data_path()).parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
        ) as process,
    ):
        process.stdin.write(json.dumps(list(utterances)).encode())
        process.stdin.close()  # it reads everything before it speaks
        sample_rate = _read_int(process, said)
        for _ in utterances:
            num_bytes = 2 * _read_int(process, said)
            samples = np.frombuffer(process.stdout.read(num_bytes), "int16")
            yield samples.astype("float32") / 32768, sample_rate


def _read_int(process, said):
    data = process.stdout.read(4)
    if len(data) < 4:
        process.wait()
        said.seek(0)
        reason = said.read().decode(errors="replace").strip()
        raise OSError(
            f"espeak-ng stopped with exit code {process.returncode}: "
            f"{reason or 'it gave no reason'}"
        )
    return struct.unpack("=i", data)[0]
