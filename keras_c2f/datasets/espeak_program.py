"""A small program that speaks: requests on stdin, samples on stdout.

Run as a program of its own (by `espeak.py`) and not imported, because
libespeak-ng keeps pitch flutter and noise in variables that nothing resets,
draws from the C library's `rand()`, and may call `exit()`. A new process is
the only clean start; it also keeps the GPL library out of the caller's.
Needs nothing but the standard library.

    argv    path of libespeak-ng
    cwd     the folder that contains espeak-ng-data: given as a path, it is
            not found from about 145 characters on
    stdin   JSON: list of [text, voice, words_per_minute, pitch, pitch_range]
    stdout  int32 sample rate (Hz); then, for each request, int32 number of
            samples and that many int16 samples; all in native byte order
"""

import ctypes
import json
import struct
import sys

# Constants of speak_lib.h (espeak-ng 1.52).
AUDIO_OUTPUT_SYNCHRONOUS = 2
ESPEAK_RATE, ESPEAK_VOLUME, ESPEAK_PITCH, ESPEAK_RANGE = 1, 2, 3, 4
ESPEAK_CHARS_UTF8 = 1
POS_CHARACTER = 1
DONT_EXIT = 0x8000  # espeakINITIALIZE_DONT_EXIT
BUFFER_MS = 1000
VOLUME = 50  # of 100, at which the louder voices reach full scale and clip

SYNTH_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int,  # 0: go on
    ctypes.POINTER(ctypes.c_short),
    ctypes.c_int,
    ctypes.c_void_p,
)


class Speaker:
    """libespeak-ng, loaded and set up. One per process."""

    def __init__(self, library_path):
        self.library = ctypes.CDLL(library_path)
        self.library.espeak_Synth.argtypes = [
            ctypes.c_char_p,  # text
            ctypes.c_size_t,  # its size in bytes, with the final zero
            ctypes.c_uint,  # position
            ctypes.c_int,  # position type
            ctypes.c_uint,  # end position, 0: none
            ctypes.c_uint,  # flags
            ctypes.POINTER(ctypes.c_uint),  # message identifier, or NULL
            ctypes.c_void_p,  # user data, or NULL
        ]
        self.sample_rate = self.library.espeak_Initialize(
            AUDIO_OUTPUT_SYNCHRONOUS,
            BUFFER_MS,
            b".",
            DONT_EXIT,
        )
        if self.sample_rate <= 0:
            sys.exit("espeak-ng found no voices beside its library.")
        if hasattr(self.library, "espeak_ng_SetRandSeed"):  # newer ones
            self.library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        self.pieces = []
        self.callback = SYNTH_CALLBACK(self._collect)  # kept: C calls it
        self.library.espeak_SetSynthCallback(self.callback)

    def _collect(self, samples, num_samples, events):
        if samples and num_samples > 0:
            self.pieces.append(ctypes.string_at(samples, 2 * num_samples))
        return 0

    def say(self, text, voice, words_per_minute, pitch, pitch_range):
        """Samples of `text` as int16 bytes."""
        library = self.library
        if library.espeak_SetVoiceByName(voice.encode()):
            sys.exit(f"espeak-ng has no voice {voice!r}.")
        for parameter, value in (
            (ESPEAK_RATE, words_per_minute),
            (ESPEAK_VOLUME, VOLUME),
            (ESPEAK_PITCH, pitch),
            (ESPEAK_RANGE, pitch_range),
        ):
            library.espeak_SetParameter(parameter, value, 0)  # 0: absolute
        self.pieces.clear()
        text = text.encode()
        library.espeak_Synth(
            text,
            len(text) + 1,
            0,
            POS_CHARACTER,
            0,
            ESPEAK_CHARS_UTF8,
            None,
            None,
        )
        return b"".join(self.pieces)


def main(library_path):
    requests = json.load(sys.stdin)
    speaker = Speaker(library_path)
    output = sys.stdout.buffer
    output.write(struct.pack("=i", speaker.sample_rate))
    for request in requests:
        samples = speaker.say(*request)
        output.write(struct.pack("=i", len(samples) // 2) + samples)


if __name__ == "__main__":
    main(*sys.argv[1:])
