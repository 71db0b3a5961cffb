"""One training run as data: what the command line asks, what a run keeps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from keras_c2f.datasets.kinds import KINDS, SYNTHETIC, form
from keras_c2f.models.presets import (
    AST_PRESETS,
    HTS_AT_PRESETS,
    WHISPER_PRESETS,
)
from keras_c2f.phases.budget import unspent_phases
from keras_c2f.phases.schedule import PhaseSchedule, elastic_text
from keras_c2f.training.frozen import check_adapters, check_frozen
from keras_c2f.utils.values import (
    MOST,
    Choice,
    Number,
    Text,
    amount,
    setting,
    share,
    values_of,
)

if TYPE_CHECKING:
    from keras_c2f.data.clips import Clips
    from keras_c2f.layers.log_mel import Frontend
    from keras_c2f.resolution import Resolution

LONGEST = 3600  # seconds; what is longer is windows, not a clip
KEEP = ("best", "last")  # epochs


@dataclass(frozen=True)
class Recipe:
    """All settings of one run; `keras-c2f train --help` explains each.

    The defaults train in minutes on two CPU cores. They are ours: the paper's
    own epochs, factors and learning rates are not public.
    """

    data: str = setting(
        "keywords",
        f"one of {', '.join(map(form, KINDS))}; keywords are synthesised, "
        "and audio has no labels, for pre-training",
        Text(wanted=True),
    )
    held_out: str = setting(
        "",
        "what to validate on: a fold (esc50, esc10, csv, jsonl), a speaker "
        "(digits), validation or test (csv, jsonl, voxceleb, speech_commands, "
        "fsd50k) or a file (ast); default: the data set's own choice",
    )
    clip_seconds: float = setting(
        1.0,
        "clips are cut or zero-padded to this length, in seconds",
        Number(float, above=0, at_most=LONGEST),
    )
    mean: float = setting(
        0.0,
        "mean of the log-mel, as `keras-c2f stats` prints it; with std",
        Number(float),
    )
    std: float = amount(
        0.0, "its standard deviation; 0: both from 512 training clips"
    )
    schedule: str = setting(
        "pool:4@14, pool:2@4, full@2",
        "phases RESOLUTION@EPOCHS, separated by commas; resolutions are "
        "shift:C, pool:C, pool:C:max, patch:C, token:C or full, joined by +; a "
        "phase may end in lr=1e-3 (peak of its cosine), wd=0.05, batch=128 or "
        "reset; with a budget without @EPOCHS",
    )
    budget: float = amount(
        0.0,
        "compute to spend, in epochs at full resolution, instead of epochs in "
        "the schedule; phases share it equally, or as pool:4@60% says",
    )
    adaptive: bool = setting(
        False,
        "end a phase early if what it learns does not carry over to the next "
        "resolution; later phases get the rest of its compute",
    )
    elastic: str = setting(
        "",
        "resolutions that the last phase trains together, with one set of "
        "weights: pool:4, pool:2, full, or with shares of each batch, "
        "pool:4@25%, full@75%",
    )
    num_frames: int = amount(
        0,
        "frames of a clip at full resolution; 0: those of "
        "clip_seconds, rounded up to whole patches in each phase",
    )
    backbone: str = setting(
        "ast_micro",
        "ast_micro, ast_mini, ast_tiny, ast_small or ast_base; ast_conv, with "
        "a convolutional stem; hts_at_micro, hts_at_mini or hts_at_tiny; "
        "whisper_tiny, whisper_base, whisper_small, whisper_medium, "
        "whisper_large or whisper_large_v3",
        Choice((*AST_PRESETS, *HTS_AT_PRESETS, *WHISPER_PRESETS)),
    )
    depth: int = setting(
        0,
        "keep only the first encoder blocks, Whisper's then without its last "
        "norm; 0: all",
        Number(int, at_least=0, at_most=1000),
    )
    patch_size: str = setting(
        "", "patch, frames x mel bins; default: 16x16, in HTS-AT 4x4"
    )
    init_from: str = setting(
        "",
        "initial weights: a run folder, a file or folder that convert wrote, "
        "or a published name; default: random",
    )
    patch_stride: str = setting("", "patch stride; default: the patch size")
    pooling: str = setting(
        "mean",
        "input of the head: mean of all tokens; statistics, their mean and "
        "deviation; prefix, as in AST; or token_semantic, as in HTS-AT",
        Choice(("mean", "statistics", "prefix", "token_semantic")),
    )
    kernel_resize: str = setting(
        "pi",
        "how patch:C resizes the patch kernel: pi, bilinear or base",
        Choice(("pi", "bilinear", "base")),
    )
    position_resize: str = setting(
        "",
        "how positions are resized at a switch, or from initial weights: "
        "bilinear (default), bicubic, nearest, or random, which drops them",
        Choice(("", "bilinear", "bicubic", "nearest", "random")),
    )
    batch_size: int = setting(
        32, "clips per step", Number(int, at_least=1, at_most=MOST)
    )
    tokens_per_step: int = amount(
        0,
        "tokens per step, the same in each phase, so that coarse phases have "
        "more clips per step; the learning rate, which is that of batch_size "
        "clips, changes with the square root of their number unless the phase "
        "has lr=; 0: batch_size, or batch= of the phase",
    )
    learning_rate: float = setting(
        1e-3,
        "peak of a cosine with warm-up",
        Number(float, above=0, at_most=10),
    )
    warm_restarts: bool = setting(
        False,
        "restart the cosine in each phase, as in the paper; default: one "
        "cosine over the compute of all phases",
    )
    warmup: float = share(0.05, "share of a cosine spent warming up", at_most=1)
    weight_decay: float = amount(0.05, "of AdamW")
    ema: float = share(
        0.0,
        "momentum of a moving average of the weights, which is validated and "
        "kept, such as 0.99; 0: none",
    )
    keep: str = setting(
        "best",
        "network to keep: best, of the final phase's epochs on the validation "
        "clips, or last epoch",
        Choice(KEEP),
    )
    patience: int = amount(
        0,
        "epochs of the final phase without a better one after which training "
        "ends; 0: never",
    )
    dropout: float = share(0.0, "in attention, perceptrons and head")
    drop_path: float = share(0.0, "stochastic depth of the last block")
    patchout: float = share(
        0.0, "share of the patches dropped in each training step"
    )
    token_merging: float = share(
        0.0,
        "share of the patches merged with similar ones after each block but "
        "the last, at inference too",
        at_most=0.5,
    )
    frozen_blocks: int = amount(
        0,
        "freeze the patch embedding and the first encoder blocks, as "
        "--init-from has them",
    )
    lora: int = setting(
        0,
        "rank of low-rank adapters that are trained, with the head, in place "
        "of the backbone's weights, and merged into them at the end: --lora=8",
        Number(int, at_least=0, at_most=1024),
    )
    freeze: str = setting(
        "",
        "all: freeze the backbone; features of each clip are computed once, at "
        "the last resolution, and the head is solved in closed form",
        Choice(("", "all")),
    )
    label_smoothing: float = share(0.0, "for data with one label a clip")
    mixup: float = share(
        0.0, "share of clips mixed with another one", at_most=1
    )
    gain_db: float = setting(
        0.0,
        "random loudness change, up to this many dB",
        Number(float, at_least=0, at_most=100),
    )
    time_mask: int = amount(0, "SpecAugment: longest time mask, in frames")
    freq_mask: int = amount(0, "SpecAugment: widest mask, in mel bins")
    noise: float = amount(0.0, "uniform noise on the log-mel")
    roll_frames: int = amount(0, "random roll in time, up to this many frames")
    crop: str = setting(
        "random",
        "crop of longer clips in training: random, or leading, as in AST",
        Choice(("random", "leading")),
    )
    balanced: bool = setting(
        False, "sample clips of rare classes more often, by AST's weights"
    )
    precision: str = setting(
        "float32",
        "float32 or mixed_bfloat16",
        Choice(("float32", "mixed_bfloat16")),
    )
    remat: bool = setting(
        False,
        "for accelerators whose memory is full: keep no activations inside "
        "encoder blocks, compute them again in the backward pass",
    )
    on_error: str = setting(
        "skip",
        "skip broken files and list them at the end, or raise",
        Choice(("skip", "raise")),
    )
    seed: int = setting(
        0,
        "seed of weights, order and augmentation",
        Number(int, at_least=0, at_most=2**32 - 1),  # what NumPy takes
    )

    def __post_init__(self):
        for each in fields(self):
            values_of(each).check(each.name, getattr(self, each.name))
        self._check_phases()
        for pair in (self.patch_size, self.patch_stride):
            parse_pair(pair)
        if self.frozen_blocks and not self.init_from:
            raise ValueError(
                "`frozen_blocks` are not trained, so without `init_from` their "
                "random weights would stay. Give a run or a checkpoint to "
                f"start from. Received: frozen_blocks={self.frozen_blocks}."
            )
        if self.lora:
            check_adapters(self)
        if self.freeze:
            check_frozen(self)
        if self.mean and not self.std:
            raise ValueError(
                "`mean` and `std` are given together (0: both measured). "
                "Received: "
                f"mean={self.mean}, std={self.std}."
            )

    def _check_phases(self):
        """Refuses phases that cannot be read, or train on no clip."""
        for phase in self.phases:
            smallest = min(share for _, share in phase.parts)
            size = phase.batch_size or self.batch_size
            if smallest * size < 1:
                raise ValueError(
                    f"Of {size} clips in a batch a share of "
                    f"{smallest:.3g} is none. Give larger batches, or other "
                    f"shares. Received: elastic={elastic_text(phase.elastic)}."
                )

    def open_data(
        self, more_classes: Sequence[str] = ()
    ) -> tuple[Clips, Clips]:
        """`(train, validation)`, two `Clips`.

        Args:
            more_classes: sequence of str, classes that there may be beside
                those of the clips, so that a single one may have clips.

        Raises:
            ValueError: if the data set cannot be read; says why.
        """
        from keras_c2f.datasets import registry

        kind, _ = registry.split_spec(self.data)
        options = {}
        if more_classes and registry.finds_classes(self.data):
            options["more_classes"] = more_classes
        if kind in SYNTHETIC:  # arrays, which nothing resamples
            options["sample_rate"] = self.frontend.sample_rate
        if self.held_out:
            options |= registry.holding_out(kind, self.held_out)
        return registry.open_dataset(self.data, **options)

    def baseline(self) -> Recipe:
        """The same recipe without coarse phases, for as many epochs.

        At full resolution, and with clips padded to whole patches alone, as
        further padding for coarse phases is no cost of it. Frames that were
        given stay, and so does the batch size of the last phase.
        """
        frames = self.frames(self.frontend)
        size = self.phases[-1].batch_size
        schedule = f"full@{self.phases.epochs}" + (
            f" batch={size}" if size else ""
        )
        recipe = replace(self, schedule=schedule, elastic="")
        if frames == replace(self, num_frames=0).frames(self.frontend):
            frames = replace(recipe, num_frames=0).frames(self.frontend)
        return replace(recipe, num_frames=frames)

    @property
    def frontend(self) -> Frontend:
        """`Frontend` of the weights to start from, else of the preset."""
        from keras_c2f.models import preset_frontend
        from keras_c2f.training.initial import initial_frontend

        return initial_frontend(self.init_from) or preset_frontend(
            self.backbone
        )

    def frames(self, frontend: Frontend) -> int:
        """T, frames of a clip at full resolution.

        Args:
            frontend: `Frontend`.

        Returns:
            int, `num_frames` if given; else the frames of `clip_seconds`,
            rounded up to a multiple of the patch length times every phase's
            factor.

        Raises:
            ValueError: if that would be nearly all padding.
        """
        from keras_c2f.models import preset_patch

        if self.num_frames:
            return self.num_frames
        samples = int(self.clip_seconds * frontend.sample_rate)
        factors = [r.factor for phase in self.phases for r, _ in phase.parts]
        patch = parse_pair(self.patch_size) or preset_patch(self.backbone)
        whole = patch[0] * math.lcm(*factors)
        frames = max(frontend.num_frames(samples), 1)
        padded = -(-frames // whole) * whole
        if padded > max(10 * frames, 1024):
            raise ValueError(
                f"A clip of {self.clip_seconds} s has {frames} frames; for "
                f"whole patches in every phase it would take {padded:,}. Give "
                "longer clips or smaller factors. Received: schedule="
                f"{self.schedule!r}."
            )
        return padded

    @property
    def resolutions(self) -> list[Resolution]:
        """list of `Resolution`, one per phase."""
        return [phase.resolution for phase in self.phases]

    @property
    def phases(self) -> PhaseSchedule:
        """`PhaseSchedule` of this recipe; with a budget phases have an epoch
        each: see `from_recipe.spend_budget`."""
        plan = unspent_phases if self.budget else PhaseSchedule
        *before, last = plan(self.schedule)
        if self.elastic:
            last = replace(last, elastic=self.elastic)
        return PhaseSchedule([*before, last])

    def to_dict(self) -> dict[str, Any]:
        """Plain dict, for JSON."""
        return asdict(self)


def option_names(recipe_class):
    """Names of a recipe's settings, in their order."""
    return [field.name for field in fields(recipe_class)]


def parse_pair(text):
    """`"16x10"` -> `(16, 10)`; `"16"` -> `(16, 16)`; `""` -> `None`.

    Raises:
        ValueError: if `text` is none of these.
    """
    if not text:
        return None
    try:
        numbers = [int(number) for number in text.split("x")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2) or not all(1 <= n <= MOST for n in numbers):
        raise ValueError(
            "A patch is written FRAMESxBINS, such as 16x16, or one number "
            f"for both. Received: {text!r}."
        )
    return (numbers[0], numbers[-1])
