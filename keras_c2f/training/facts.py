"""What is known of data, and of weights, before training."""

import dataclasses
import math

SAMPLE = 300  # clips whose headers are read
PERCENTILE = 95  # of their lengths
LONGEST = 10.0  # seconds of a clip
SHORTEST = 0.25
SMALL, MEDIUM = 3_000, 30_000  # clips to train on, at most
TOKENS = 64  # a clip, about, at full resolution
SECONDS = 72_000  # of audio in an epoch times the budget


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is known of data, and of weights, before training.

    Attributes:
        num_clips: int, to train on.
        num_classes: int.
        seconds: float, length below which 95 % of clips are, at most 10.
        imbalance: float, clips of the commonest class over the rarest's.
        frames_per_second: float, of the front end.
        is_ast: bool, whether the model is an AST, with patches to choose.
        has_waveforms: bool, false of prepared log-mel.
        given_patch: int, frames of a patch that was given; 0: none was.
        init_from: `Initial`, the weights to start from, or `None`.
        is_frozen: bool, whether these stay as they are.
        is_conv: bool, whether patches are embedded by convolutions.
        fast_bfloat16: bool, see `has_fast_bfloat16`.
    """

    num_clips: int
    num_classes: int
    seconds: float
    imbalance: float
    frames_per_second: float
    is_ast: bool = True
    has_waveforms: bool = True
    given_patch: int = 0
    init_from: object = None
    is_frozen: bool = False
    is_conv: bool = False
    fast_bfloat16: bool = False

    @property
    def is_small(self):
        """bool."""
        return self.num_clips <= SMALL

    @property
    def is_whisper(self):
        """bool, whether the weights are Whisper's, as they were converted."""
        init_from = self.init_from
        return bool(
            init_from
            and init_from.is_converted
            and init_from.kind == "WhisperEncoder"
        )

    @property
    def frames(self):
        """int, of a clip."""
        return round(self.seconds * self.frames_per_second)

    @property
    def patch(self):
        """int, frames of a patch: as given, or for about 64 tokens."""
        if self.given_patch:
            return self.given_patch
        power = round(math.log2(max(self.frames / TOKENS, 1)))
        return 2 ** min(max(power, 1), 3)

    @property
    def budget(self):
        """int, epochs at full resolution."""
        fits = SECONDS / (self.num_clips * self.seconds)
        return round(min(max(fits, 30), 80))


def find_facts(
    clips, frontend, model="ast_micro", init_from=None, seconds=None
):
    """`Facts` of the clips to train on; reads headers of 300 at most.

    Args:
        clips: `Clips`.
        frontend: `Frontend`.
        model: str, name of a preset.
        init_from: `Initial`, the weights to start from, or `None`.
        seconds: float, length of a clip if it was given: reads no headers.

    Raises:
        ValueError: if the length of no clip can be read, and none was given.
    """
    # not above: the command line reads the table alone
    import numpy as np

    from keras_c2f.data.sampling import class_counts
    from keras_c2f.data.shards import Record
    from keras_c2f.utils.environment import has_fast_bfloat16

    counts = class_counts(clips) if clips.num_classes else np.ones(1)
    counts = counts[counts > 0]
    first = clips.audio[0]
    stored = first.shards.store if isinstance(first, Record) else "waveform"
    return Facts(
        num_clips=len(clips),
        num_classes=clips.num_classes,
        seconds=seconds or _usual_seconds(clips, frontend),
        imbalance=float(counts.max() / counts.min()) if len(counts) else 1.0,
        frames_per_second=1000 / frontend.frame_shift_ms,
        is_ast=model.startswith("ast"),
        has_waveforms=stored == "waveform",
        init_from=init_from,
        fast_bfloat16=has_fast_bfloat16(),
    )


def _usual_seconds(clips, frontend):
    import numpy as np

    from keras_c2f.data.lengths import clip_seconds

    lengths, _ = clip_seconds(clips, frontend.sample_rate, SAMPLE)
    if not len(lengths):
        raise ValueError(
            "No file states its length in its header. Give --clip-seconds."
        )
    seconds = float(np.percentile(lengths, PERCENTILE))
    return math.ceil(10 * min(max(seconds, SHORTEST), LONGEST)) / 10
