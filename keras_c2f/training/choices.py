"""Settings that a recipe was not given, chosen from the data.

`RULES` is the table: one row per setting, tried from above; the first row of
a setting whose condition holds is taken. Small sets get a recipe for small
sets: patches short in time over all mel bins, which bear a change of time
scale, clips mixed with each other in most batches, masks, rolls, an average of
the weights, and many epochs, most of them coarse and cheap. The rules were
found on ESC-10 and spoken digits of two speakers; see `RESULTS.md`.
"""

import dataclasses
import math
from collections.abc import Callable

from keras_c2f.training.recipe import parse_pair

SAMPLE = 300  # clips whose headers are read
PERCENTILE = 95  # of their lengths
LONGEST = 10.0  # seconds of a clip
SHORTEST = 0.25
SMALL, MEDIUM = 3_000, 30_000  # clips to train on, at most
TOKENS = 64  # a clip, about, at full resolution
SECONDS = 72_000  # of sound in an epoch times the budget
OF_EPOCHS = "schedule budget mixup gain_db time_mask freq_mask roll_frames ema"
NOT_WITH = {  # settings that are not chosen beside others
    "freeze": (*OF_EPOCHS.split(), "batch_size", "balanced"),
    "initial": ("model", "patch_size", "mixup", "ema"),
    "num_frames": ("clip_seconds",),
    "patch_stride": ("patch_size",),
}


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is known of data before training.

    Attributes:
        num_clips: int, to train on.
        num_classes: int.
        seconds: float, length below which 95 % of clips are, at most 10.
        imbalance: float, clips of the commonest class over the rarest's.
        frames_per_second: float, of the front end.
        is_ast: bool, whether the model is an AST, with patches to choose.
        has_waveforms: bool, false of prepared log-mel.
        given_patch: int, frames of a patch that was given; 0: none was.
    """

    num_clips: int
    num_classes: int
    seconds: float
    imbalance: float
    frames_per_second: float
    is_ast: bool = True
    has_waveforms: bool = True
    given_patch: int = 0

    @property
    def is_small(self):
        """bool."""
        return self.num_clips <= SMALL

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


@dataclasses.dataclass(frozen=True)
class Rule:
    """One row of the table.

    Args:
        setting: str, name of an option of `Recipe`.
        value: what it is set to, or a function of `Facts`.
        reason: str; may name attributes of `Facts` in braces.
        when: function of `Facts`, or `None`: always.
    """

    setting: str
    value: object
    reason: str
    when: Callable | None = None


def _small(facts):
    return facts.is_small


def _small_ast(facts):
    return facts.is_ast and facts.num_clips <= MEDIUM


def _coarse_to(factor):
    """Whether a clip has 8 patches at that compression."""
    return lambda facts: (
        facts.is_ast and facts.frames >= 8 * factor * facts.patch
    )


FEW = "{num_clips} clips to train on are few"

RULES = (
    Rule(
        "clip_seconds",
        lambda facts: facts.seconds,
        f"{PERCENTILE} % of the recordings are no longer, or cut at "
        f"{LONGEST:g} s",
    ),
    Rule("model", "ast_micro", "trains in minutes without a GPU"),
    Rule(
        "patch_size",
        lambda facts: f"{facts.patch}x128",
        "short in time over all mel bins: kernels bear a change of time "
        f"scale; about {TOKENS} tokens a clip",
        _small_ast,
    ),
    Rule(
        "schedule",
        "pool:4, pool:2, full",
        "equal compute in each phase: most epochs are coarse and cheap",
        lambda facts: _small_ast(facts) and _coarse_to(4)(facts),
    ),
    Rule(
        "schedule",
        "pool:2, full",
        "clips of {frames} frames are too short for pool:4",
        lambda facts: _small_ast(facts) and _coarse_to(2)(facts),
    ),
    Rule(
        "schedule",
        "full",
        "clips of {frames} frames are too short to be compressed",
        lambda facts: _small_ast(facts) and not _coarse_to(2)(facts),
    ),
    Rule("schedule", "pool:4, pool:2, full", "phases share the compute"),
    Rule(
        "budget",
        lambda facts: float(facts.budget),
        f"{FEW}; more is better, and takes longer",
        _small,
    ),
    Rule(
        "budget",
        20.0,
        "{num_clips} clips to train on are seen often enough",
        lambda facts: facts.num_clips <= MEDIUM,
    ),
    Rule("budget", 10.0, "{num_clips} clips to train on are many"),
    Rule("batch_size", 16, "more steps, as " + FEW, _small),
    Rule(
        "mixup",
        0.8,
        f"{FEW}: mixed with each other they are more",
        lambda facts: facts.is_small and facts.has_waveforms,
    ),
    Rule("mixup", 0.5, "as AST on AudioSet", lambda facts: facts.has_waveforms),
    Rule(
        "gain_db",
        6.0,
        "loudness says little",
        lambda facts: facts.is_small and facts.has_waveforms,
    ),
    Rule(
        "time_mask",
        lambda facts: facts.frames // 10,
        "SpecAugment, a tenth of a clip",
    ),
    Rule("freq_mask", 16, "SpecAugment, an eighth of the mel bins"),
    Rule(
        "roll_frames",
        lambda facts: facts.frames // 2,
        "an event may be anywhere in a clip",
        lambda facts: facts.is_small and facts.seconds >= 2,
    ),
    Rule(
        "roll_frames",
        lambda facts: facts.frames // 12,
        "short recordings are shifted a little",
        _small,
    ),
    Rule("ema", 0.995, f"{FEW}: averaged weights fluctuate less", _small),
    Rule(
        "balanced",
        True,
        "the commonest class has {imbalance:.0f} times the clips of the rarest",
        lambda facts: facts.imbalance > 3,
    ),
)
CHOSEN = tuple(dict.fromkeys(rule.setting for rule in RULES))


def find_facts(clips, frontend, model="ast_micro"):
    """`Facts` of the clips to train on; reads headers of 300 at most.

    Args:
        clips: `Clips`.
        frontend: `Frontend`.
        model: str, name of a preset.

    Raises:
        ValueError: if the length of no clip can be read.
    """
    # not above: the command line reads the table alone
    import numpy as np

    from keras_c2f.data.lengths import clip_seconds
    from keras_c2f.data.sampling import class_counts
    from keras_c2f.data.shards import Record

    lengths, _ = clip_seconds(clips, frontend.sample_rate, SAMPLE)
    if not len(lengths):
        raise ValueError(
            "The length of no recording can be read from its header. Give "
            "--clip_seconds and --no-choose."
        )
    seconds = float(np.percentile(lengths, PERCENTILE))
    seconds = math.ceil(10 * min(max(seconds, SHORTEST), LONGEST)) / 10
    counts = class_counts(clips) if clips.num_classes else np.ones(1)
    counts = counts[counts > 0]
    first = clips.sounds[0]
    stored = first.shards.store if isinstance(first, Record) else "waveform"
    return Facts(
        num_clips=len(clips),
        num_classes=clips.num_classes,
        seconds=seconds,
        imbalance=float(counts.max() / counts.min()) if len(counts) else 1.0,
        frames_per_second=1000 / frontend.frame_shift_ms,
        is_ast=model.startswith("ast"),
        has_waveforms=stored == "waveform",
    )


def choose(facts, given):
    """Settings that were not given, and why.

    Args:
        facts: `Facts`.
        given: dict of settings that were; none of these is chosen. A given
            `clip_seconds` replaces the length of the data.

    Returns:
        dict from settings to pairs of value and reason.

    Example:
        >>> facts = Facts(240, 10, 5.0, 1.0, 100.0)
        >>> choose(facts, {})["patch_size"][0]
        '8x128'
        >>> "patch_size" in choose(facts, {"patch_size": "16x16"})
        False

    Raises:
        ValueError: if a given `patch_size` cannot be read.
    """
    if "clip_seconds" in given:
        facts = dataclasses.replace(facts, seconds=given["clip_seconds"])
    if given.get("patch_size"):
        patch, _ = parse_pair(given["patch_size"])
        facts = dataclasses.replace(facts, given_patch=patch)
    left_out = {
        n for name in NOT_WITH if given.get(name) for n in NOT_WITH[name]
    }
    if _has_epochs(given.get("schedule")):
        left_out.add("budget")
    chosen = {}
    for rule in RULES:
        name = rule.setting
        if name in given or name in left_out or name in chosen:
            continue
        if rule.when is None or rule.when(facts):
            value = rule.value(facts) if callable(rule.value) else rule.value
            values = {**dataclasses.asdict(facts), "frames": facts.frames}
            chosen[name] = value, rule.reason.format(**values)
    return chosen


def _has_epochs(schedule):
    """bool, whether phases say their epochs, so that there is no budget."""
    words = (phase.split() for phase in (schedule or "").split(","))
    firsts = [phase[0] for phase in words if phase]
    return any("@" in first and not first.endswith("%") for first in firsts)
