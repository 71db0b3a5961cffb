"""The recipe of pre-training, and recipes of either kind read back."""

from dataclasses import dataclass

from keras_c2f.models.presets import AST_PRESETS
from keras_c2f.training.recipe import Recipe, option_names
from keras_c2f.training.run_folder import refuse_unknown
from keras_c2f.utils.values import Choice, Number, amount, setting


@dataclass(frozen=True)
class PretrainRecipe(Recipe):
    """`Recipe` of pre-training on masked patches; labels are not looked at."""

    backbone: str = setting(
        "ast_micro",
        "ast_micro, ast_mini, ast_tiny, ast_small or ast_base",
        Choice(
            tuple(
                name
                for name, preset in AST_PRESETS.items()
                if "stem_channels" not in preset["config"]
            )
        ),
    )
    keep: str = setting(
        "last", "network to keep: of the last epoch", Choice(("last",))
    )
    mask_ratio: float = setting(
        400 / 512,
        "share of the patches masked",
        Number(float, above=0, at_most=1),
    )
    cluster: str = setting(
        "",
        "sides of the squares of patches that are masked, such as 3,4,5; 1 "
        "for single patches; default: 3,4,5, or 1 where patches span all "
        "mel bins",
    )
    generative_weight: float = amount(
        10.0, "weight of the reconstruction in the loss"
    )

    def __post_init__(self):
        super().__post_init__()
        self.cluster_sizes  # noqa: B018  refuses what cannot be read
        if self.adaptive:
            raise ValueError(
                "Phases of pre-training cannot be adaptive: losses on patches "
                "of different lengths do not compare."
            )

    @property
    def cluster_sizes(self):
        """tuple of int, or `None` for the default."""
        try:
            sizes = [int(size) for size in self.cluster.split(",") if size]
        except ValueError:
            sizes = [0]
        if min(sizes, default=1) < 1:
            raise ValueError(
                "`cluster` is written 3,4,5. "
                f"Received: cluster={self.cluster!r}."
            )
        return tuple(sizes) or None


# What of a recipe is the classifier's, and pre-training does not ask for.
OF_CLASSIFIERS = tuple(
    "pooling label_smoothing patchout token_merging frozen_blocks lora freeze "
    "adaptive elastic keep".split()
)


# Names that settings and data had in the version before.
RENAMED = {"model": "backbone", "initial": "init_from"}
RENAMED_DATA = ("sounds:", "audio:")


def recipe_settings(config, folder):
    """The settings that a run was trained with, as `Recipe` takes them.

    Args:
        config: dict, what its `config.json` holds.
        folder: path of the run.

    Raises:
        ValueError: if some are not known here.
    """
    known = {*option_names(Recipe), *option_names(PretrainRecipe)}
    settings = {
        RENAMED.get(name, name): value
        for name, value in config["recipe"].items()
    }
    refuse_unknown(settings, known, f"The recipe in {folder}")
    old, new = RENAMED_DATA
    if settings.get("data", "").startswith(old):
        settings["data"] = new + settings["data"].removeprefix(old)
    return settings
