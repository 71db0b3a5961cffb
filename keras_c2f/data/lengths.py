"""Lengths of clips, without decoding them."""

import numpy as np

from keras_c2f.audio.decode import AudioError, audio_seconds
from keras_c2f.data.shards import Record


def clip_seconds(clips, sample_rate, num_clips=2000):
    """Lengths of clips, from their headers or the index of prepared data.

    Args:
        clips: `Clips`.
        sample_rate: int, Hz, of those that are arrays.
        num_clips: int; of more, so many are looked at, spread evenly.

    Returns:
        float `(n,)` seconds of those that can be opened, and a dict from the
        path of each other to the reason.
    """
    step = -(-len(clips) // num_clips)
    seconds, bad = [], {}
    for audio in clips.audio[::step]:
        try:
            if isinstance(audio, Record):
                seconds.append(audio.seconds())
            else:
                seconds.append(audio_seconds(audio, sample_rate))
        except AudioError as error:
            bad[error.path] = error.reason
    return np.array(seconds), bad
