"""Which recipes freeze the backbone, and what they cannot have."""

import dataclasses

# What changes clips from epoch to epoch, or is of epochs alone.
OF_EPOCHS = tuple(
    "adaptive balanced remat tokens_per_step budget elastic label_smoothing "
    "warm_restarts mixup gain_db time_mask freq_mask noise roll_frames dropout "
    "drop_path patchout ema frozen_blocks lora".split()
)


def check_frozen(recipe):
    """Refuses settings that do not go with a backbone that stays as it is.

    Raises:
        ValueError: if there are no weights to start from, or a setting would
            change nothing.
    """
    if not recipe.init_from:
        raise ValueError(
            "A backbone that is not trained needs trained weights. Give a run "
            "or a checkpoint to start from with `init_from`."
        )
    if recipe.pooling == "token_semantic":
        raise ValueError(
            "The head on `pooling=token_semantic` is a convolution, which is "
            "not solved in closed form. Use statistics, mean or prefix."
        )
    given = [name for name in OF_EPOCHS if getattr(recipe, name)]
    if given:
        raise ValueError(
            "With `freeze=all` features of each clip are computed once and no "
            f"epoch follows, so {', '.join(given)} would change nothing. Leave "
            "it out."
        )


def check_adapters(recipe):
    """Refuses settings that do not go with adapters beside frozen weights.

    Raises:
        ValueError: if there are no weights to start from, positions would be
            drawn anew, or blocks are frozen.
    """
    if not recipe.init_from:
        raise ValueError(
            "`lora` trains adapters beside weights that stay as they are, so "
            "these have to be trained. Give a run or a checkpoint to start "
            f"from with `init_from`. Received: lora={recipe.lora}."
        )
    if recipe.frozen_blocks:
        raise ValueError(
            "`lora` freezes the weights of all blocks, and puts adapters into "
            "each. Leave `frozen_blocks` out. Received: "
            f"frozen_blocks={recipe.frozen_blocks}, lora={recipe.lora}."
        )
    if recipe.position_resize == "random":
        raise ValueError(
            "With `position_resize=random` positions begin anew, and "
            f"lora={recipe.lora} keeps them from being learned. Choose "
            "another `position_resize`."
        )


def of_last_phase(recipe):
    """The recipe with the last of its resolutions alone, for an epoch."""
    schedule = f"{recipe.resolutions[-1]}@1"
    return dataclasses.replace(recipe, schedule=schedule)
