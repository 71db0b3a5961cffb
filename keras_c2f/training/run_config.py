"""What `config.json` of a run says, and whether a run is the one it says."""

import dataclasses

from keras_c2f.cost import network_cost
from keras_c2f.phases import PhaseSchedule
from keras_c2f.training.from_recipe import baseline_cost, phase_costs
from keras_c2f.training.pretrain_recipe import recipe_settings
from keras_c2f.utils.environment import hardware, versions

# What all did before these were options.
OF_EARLIER_VERSIONS = {"warm_restarts": True, "keep": "last"}


def make_config(run, network, started, digests):
    """What is known of a run before it is trained.

    Args:
        run: `Run`.
        network: its network, at full resolution.
        started: str, what it was given to start from.
        digests: dict of str, of its clips.

    Returns:
        dict, as JSON holds it.
    """
    recipe, train = run.recipe, run.train_clips
    phases = [
        {
            "resolution": str(phase.resolution),
            "epochs": phase.epochs,
            "num_tokens": cost.num_tokens,
            "num_parameters": cost.num_parameters,
            "num_trained": cost.num_trained,
            "gmacs": cost.macs / 1e9,
            "batch_size": phase.batch_size or recipe.batch_size,
            **_elastic_gmacs(network, phase),
        }
        for phase, cost in zip(
            recipe.phases, phase_costs(recipe, network), strict=True
        )
    ]
    return {
        "name": run.name,
        "task": run.task,
        "command": run.command,
        "recipe": recipe.to_dict(),
        "chosen": run.reasons,
        "data": recipe.data,
        "schedule": recipe.schedule,
        "clip_seconds": recipe.clip_seconds,
        "batch_size": recipe.batch_size,
        "seed": recipe.seed,
        "class_names": list(train.class_names),
        "multi_label": train.multi_label,
        "num_train_clips": len(train),
        "num_validation_clips": len(run.validation_clips),
        "digests": digests,
        "frontend": network.frontend.get_config(),
        "model": {
            "preset": recipe.backbone,
            "num_frames": network.backbone.num_frames,
            "patch_size": network.backbone.patch_size,
            "init_from": started,
        },
        "phases": phases,
        "baseline_gmacs": baseline_cost(recipe, network).macs / 1e9,
        "versions": versions(),
        "hardware": hardware(),
    }


def _elastic_gmacs(network, phase):
    """What a clip costs at each resolution of a phase that has several."""
    gmacs = {
        str(resolution): network_cost(network.at_resolution(resolution)).macs
        / 1e9
        for resolution, _ in phase.elastic
    }
    return {"elastic": gmacs} if gmacs else {}


def gmacs_by_resolution(config):
    """dict from each resolution that a run trains at to what a clip costs."""
    gmacs = {}
    for phase in config["phases"]:
        own = {phase["resolution"]: phase["gmacs"]}
        gmacs |= phase.get("elastic", own)
    return gmacs


def with_epochs(config, recipe, schedule):
    """The config with the epochs that phases had, which may have ended early.

    What was asked for is still under `recipe`.

    Args:
        config: dict.
        recipe: `Recipe` of the run.
        schedule: `PhaseSchedule` as it was trained.
    """
    epochs = [phase.epochs for phase in schedule]
    phases = [
        {**phase, "epochs": number}
        for phase, number in zip(config["phases"], epochs, strict=True)
    ]
    trained = [
        dataclasses.replace(phase, epochs=number)
        for phase, number in zip(recipe.phases, epochs, strict=True)
    ]
    return {
        **config,
        "phases": phases,
        "schedule": str(PhaseSchedule(trained)),
    }


def refuse_other_run(run, config):
    """Refuses a folder that holds a run of another recipe, task or data.

    Args:
        run: `Run` that wants to go on there.
        config: dict, what its `config.json` holds.

    Raises:
        ValueError: names the first setting that differs.
    """
    kept = {
        **type(run.recipe)().to_dict(),  # of options added since
        "task": "classification",
        **OF_EARLIER_VERSIONS,
        **config,
        **recipe_settings(config, run.folder),
    }
    for name, wanted in {
        "task": run.task,
        **run.recipe.to_dict(),
        "class_names": list(run.train_clips.class_names),
        "num_train_clips": len(run.train_clips),
        "num_validation_clips": len(run.validation_clips),
    }.items():
        if kept.get(name) != wanted:
            raise ValueError(
                f"{run.folder} holds a run with {name}="
                f"{kept.get(name)!r}; this one has {name}={wanted!r}. "
                "Choose another run folder, or delete that one."
            )
