"""What the runs of a study cost, before any training."""

from keras_c2f.cost import training_macs
from keras_c2f.training.from_recipe import backbone_cost, spend_budget
from keras_c2f.training.recipe import Recipe


def run_macs(recipe, num_clips):
    """Multiply-accumulates of a whole training; the head is left out.

    Args:
        recipe: `Recipe`.
        num_clips: int, clips to train on.
    """
    recipe = spend_budget(recipe)
    return sum(
        training_macs(
            backbone_cost(recipe, phase.resolution)[0] / 1e9,
            num_clips,
            phase.epochs,
        )
        for phase in recipe.phases
    )


def costs_table(study, data, tmacs_per_second):
    """Compute and hours of one run of each method, in Markdown.

    Pre-training that a method starts from is not counted.

    Args:
        study: `Study`.
        data: list of its data sets.
        tmacs_per_second: float, what the machine does, in 10^12
            multiply-accumulates of training a second.

    Raises:
        ValueError: if the plan does not say how many clips there are.
    """
    lines = [
        "| data | method | schedule | TMACs | of baseline "
        f"| hours at {tmacs_per_second:g} TMACs/s |",
        "|---|---|---|---|---|---|",
    ]
    for name in data:
        table = study.data[name]
        num_clips = table.get("clips")
        if not num_clips:
            raise ValueError(
                f"How many clips {name} has is not in the plan: give its table "
                "`clips`, the number of clips to train on."
            )
        point = name, table["held_out"][0], table["seeds"][0]
        found = {}
        for method in study.methods:
            cell = study.cell(method, *point)
            recipe = Recipe(data=name, **cell.start, **cell.settings)
            recipe = spend_budget(recipe)
            found[method] = recipe.schedule, run_macs(recipe, num_clips)
        whole = found[study.baseline][1]
        for method, (schedule, macs) in found.items():
            lines.append(
                f"| {name} | {method} | `{schedule}` | {macs / 1e12:,.1f} "
                f"| {macs / whole:.0%} "
                f"| {macs / tmacs_per_second / 1e12 / 3600:.3g} |"
            )
    return "\n".join(lines)
