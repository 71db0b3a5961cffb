"""Settings that a recipe was not given, chosen from data and weights.

`RULES` is the table, tried from above; the first row of a setting whose
condition holds is taken. Trained weights come with their geometry, and those
of Whisper stay as they are. Without weights small sets get a recipe for small
sets: patches short in time over all mel bins, which tolerate a change of
time scale, mixup in most batches, masks, rolls, averaged weights, and many
epochs, most of them coarse and cheap. These rules were found on ESC-10 and
spoken digits of two speakers, those of convolutions on parts of ESC-50; see
`RESULTS.md`.
"""

import dataclasses
from collections.abc import Callable

from keras_c2f.training.facts import LONGEST, MEDIUM, PERCENTILE, TOKENS
from keras_c2f.training.frozen import OF_EPOCHS
from keras_c2f.training.recipe import parse_pair

OF_TRAINING = ("schedule", "learning_rate", *OF_EPOCHS)
NOT_WITH = {  # settings that are not chosen beside others
    **dict.fromkeys(OF_TRAINING, ("freeze",)),
    "freeze": (*OF_EPOCHS, "learning_rate", "batch_size"),
    "init_from": ("mixup", "ema"),
    "elastic": ("backbone",),  # batch norm follows one resolution
    "num_frames": ("clip_seconds",),
    "patch_stride": ("patch_size",),
}
CONVOLUTIONS = 1_000  # clips; of 240 `ast_micro` learns as much, in less time
BLOCKS = 2  # of Whisper's encoder: see `tools/results/frozen-whisper.md`


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


def _small_conv(facts):
    return _small_ast(facts) and facts.is_conv


def _new_small_ast(facts):
    return _small_ast(facts) and not facts.init_from


def _coarse_to(factor):
    """Whether a clip has 8 patches at that compression."""
    return lambda facts: (
        facts.is_ast and facts.frames >= 8 * factor * facts.patch
    )


def _of_weights(name):
    """`Rule` of a setting that the weights to start from have."""
    return Rule(
        name,
        lambda facts: facts.init_from.settings[name],
        "as in --init-from",
        lambda facts: facts.init_from and name in facts.init_from.settings,
    )


FEW = "{num_clips} training clips are few"

RULES = (
    Rule(
        "freeze",
        "all",
        "frozen Whisper-base reaches 85 % on ESC-50 in minutes; --freeze= "
        "trains it",
        lambda facts: facts.is_whisper and not facts.init_from.is_run,
    ),
    Rule(
        "depth",
        lambda facts: min(facts.init_from.depth, BLOCKS),
        "first blocks; 3 were no better on training folds of ESC-50",
        lambda facts: facts.is_whisper and not facts.init_from.is_run,
    ),
    *map(_of_weights, ("backbone", "depth", "patch_size", "patch_stride")),
    Rule(
        "pooling",
        "statistics",
        "mean and standard deviation of the tokens, for a head in closed form",
        lambda facts: (
            facts.is_frozen
            and facts.init_from
            and facts.init_from.settings.get("pooling", "token_semantic")
            == "token_semantic"
        ),
    ),
    _of_weights("pooling"),
    Rule(
        "pooling",
        "statistics",
        "mean and standard deviation of the tokens, as with frozen weights",
        lambda facts: facts.is_whisper,
    ),
    Rule(
        "learning_rate",
        1e-4,
        "fine-tuning takes small steps: AST's authors use 1e-5 to 1e-4",
        lambda facts: facts.init_from and facts.init_from.is_converted,
    ),
    Rule(
        "budget",
        20.0,
        "fine-tuning takes fewer epochs: AST's authors use 25 on ESC-50",
        lambda facts: facts.init_from and facts.init_from.is_converted,
    ),
    Rule(
        "schedule",
        "full@1",
        "features of each clip are computed once, at full resolution",
        lambda facts: facts.is_frozen,
    ),
    Rule(
        "schedule",
        "token:4, token:2, full",
        "pools tokens, so trained kernels keep their frames of 10 ms",
        lambda facts: (
            facts.init_from
            and facts.init_from.is_converted
            and facts.init_from.kind in ("AST", "WhisperEncoder")
        ),
    ),
    Rule(
        "clip_seconds",
        lambda facts: facts.seconds,
        f"{PERCENTILE} % of the clips are no longer; at most {LONGEST:g} s",
    ),
    Rule(
        "backbone",
        "ast_conv",
        "convolutions before the transformer learn more from a thousand clips",
        lambda facts: (
            facts.num_clips >= CONVOLUTIONS
            and facts.is_small
            and not facts.init_from
        ),
    ),
    Rule(
        "backbone",
        "ast_micro",
        "trains in minutes without a GPU",
        lambda facts: not facts.init_from,
    ),
    Rule(
        "precision",
        "mixed_bfloat16",
        "this processor computes convolutions faster in it",
        lambda facts: facts.is_conv and facts.fast_bfloat16,
    ),
    Rule(
        "patch_size",
        lambda facts: f"{facts.patch}x128",
        "short in time over all mel bins, which tolerates a change of time "
        f"scale; about {TOKENS} tokens a clip",
        _new_small_ast,
    ),
    Rule(
        "schedule",
        "pool:4, pool:2",
        "full resolution added nothing behind convolutions on ESC-50",
        lambda facts: _small_conv(facts) and _coarse_to(4)(facts),
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
        "warm_restarts",
        True,
        "a cosine in each phase was better for convolutions on ESC-50",
        _small_conv,
    ),
    Rule(
        "budget",
        lambda facts: float(facts.budget),
        f"{FEW}; more is better, and takes longer",
        _small,
    ),
    Rule(
        "budget",
        20.0,
        "enough for {num_clips} training clips",
        lambda facts: facts.num_clips <= MEDIUM,
    ),
    Rule("budget", 10.0, "{num_clips} training clips are many"),
    Rule("batch_size", 16, "more steps, as " + FEW, _small),
    Rule(
        "mixup",
        0.8,
        f"{FEW}, mixing adds more",
        lambda facts: facts.is_small and facts.has_waveforms,
    ),
    Rule("mixup", 0.5, "as AST on AudioSet", lambda facts: facts.has_waveforms),
    Rule(
        "gain_db",
        6.0,
        "loudness is hardly informative",
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


def choose(facts, given):
    """Settings that were not given, and why.

    Args:
        facts: `Facts`.
        given: dict of settings that were; none of these is chosen. A given
            `clip_seconds` replaces the length of the data.

    Returns:
        dict from settings to pairs of value and reason.

    Example:
        >>> from keras_c2f.training.facts import Facts
        >>> facts = Facts(240, 10, 5.0, 1.0, 100.0)
        >>> choose(facts, {})["patch_size"][0]
        '8x128'
        >>> "patch_size" in choose(facts, {"patch_size": "16x16"})
        False

    Raises:
        ValueError: if a given `patch_size` cannot be read.
    """
    facts = _with_given(facts, given)
    chosen = {}
    for rule in RULES:
        values = {name: value for name, (value, _) in chosen.items()} | given
        if rule.setting in values or rule.setting in _not_chosen(values):
            continue
        facts = dataclasses.replace(
            facts,
            is_frozen=bool(values.get("freeze")),
            is_conv=values.get("backbone") == "ast_conv",
        )
        if rule.when is None or rule.when(facts):
            value = rule.value(facts) if callable(rule.value) else rule.value
            words = {**vars(facts), "frames": facts.frames}
            chosen[rule.setting] = value, rule.reason.format(**words)
    return chosen


def _with_given(facts, given):
    """The facts, with lengths that were given instead."""
    if "clip_seconds" in given:
        facts = dataclasses.replace(facts, seconds=given["clip_seconds"])
    patch = given.get("patch_size")
    if not patch and facts.init_from:
        patch = facts.init_from.settings.get("patch_size")
    if patch:
        frames, _ = parse_pair(patch)
        facts = dataclasses.replace(facts, given_patch=frames)
    return facts


def _not_chosen(values):
    """set of settings that are not chosen beside others that have values."""
    found = {n for name in NOT_WITH if values.get(name) for n in NOT_WITH[name]}
    if has_epochs(values.get("schedule")):
        found.add("budget")
    if values.get("init_from"):  # patches are those of the weights
        found.discard("patch_size")
    return found


def has_epochs(schedule):
    """bool, whether phases say their epochs, so that there is no budget."""
    words = (phase.split() for phase in (schedule or "").split(","))
    firsts = [phase[0] for phase in words if phase]
    return any("@" in first and not first.endswith("%") for first in firsts)
