"""How spectrograms differ beyond their sizes, as data: see `log_mel.py`."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from keras_c2f.layers.mel_bank import (
    htk_mel_bank,
    kaldi_mel_bank,
    slaney_mel_bank,
)


class Style(NamedTuple):
    """One way from a waveform to log-mel.

    Attributes:
        bank: function of `mel_bank.py`.
        centred: bool, whether frames are centred on every hop, the ends of
            the clip reflected; else they lie within the clip.
        removes_mean: bool, whether each frame's mean is removed.
        symmetric: bool, whether the Hann window is, rather than periodic.
        log_scale: float, what the natural logarithm is multiplied by.
        floor: float, smallest mel power that a logarithm is taken of.
        offset: float, what is added to mel power.
        emphasises_clip: bool, whether pre-emphasis runs over the clip and
            leaves one sample less, rather than over each frame.
        pads_with_zero: bool, whether padded frames are 0 before they are
            normalised, rather than what silence gives.
        pads_spectrum: bool, whether spectra have the next power of two
            points, rather than as many as a frame.
        drops_last: bool, whether the last centred frame is left out.
        range_below: float or `None`: how far below the largest value of a
            clip, of all its frames at full resolution, its others may lie;
            lower ones are raised.
    """

    bank: Callable
    centred: bool = True
    removes_mean: bool = False
    symmetric: bool = False
    log_scale: float = 1.0
    floor: float = 0.0
    offset: float = 0.0
    emphasises_clip: bool = False
    pads_with_zero: bool = False
    pads_spectrum: bool = True
    drops_last: bool = False
    range_below: float | None = None

    @property
    def padding(self):
        """float, log-mel of a padded frame before normalisation."""
        if self.pads_with_zero:
            return 0.0
        return float(self.log_scale * np.log(self.floor + self.offset))


DECIBELS = {"log_scale": 10 / np.log(10), "floor": 1e-10}
STYLES = {
    "kaldi": Style(
        kaldi_mel_bank,
        centred=False,
        removes_mean=True,
        symmetric=True,
        floor=1.1920929e-07,  # float32's epsilon
        pads_with_zero=True,
    ),
    "librosa": Style(slaney_mel_bank, **DECIBELS),
    "torchaudio": Style(htk_mel_bank, **DECIBELS),
    "passt": Style(
        kaldi_mel_bank, symmetric=True, offset=1e-5, emphasises_clip=True
    ),
    "whisper": Style(
        slaney_mel_bank,
        log_scale=1 / np.log(10),
        floor=1e-10,
        pads_spectrum=False,
        drops_last=True,
        range_below=8.0,
    ),
}
