"""Recipes from the command line, and what is printed of them."""


def add_recipe(command, recipe_class=None, without=(), **defaults):
    """Lets a command be given the settings of a recipe.

    Args:
        command: `argparse.ArgumentParser`.
        recipe_class: `Recipe`, the default, or `PretrainRecipe`.
        without: collection of str, settings not to ask for.
        **defaults: other defaults than the recipe's.
    """
    from keras_c2f.recipes import Recipe, add_options, option_names

    recipe_class = recipe_class or Recipe
    names = set(option_names(recipe_class)) - set(without)
    group = command.add_argument_group("recipe")
    add_options(group, names, recipe_class, **defaults)


def recipe_of(arguments, recipe_class=None):
    """The recipe that a command was given, its budget turned into epochs."""
    from keras_c2f.from_recipe import spend_budget
    from keras_c2f.recipes import Recipe, option_names

    recipe_class = recipe_class or Recipe
    given = vars(arguments)
    names = [name for name in option_names(recipe_class) if name in given]
    return spend_budget(recipe_class(**{name: given[name] for name in names}))


def print_data(clips):
    """What a data set holds, and what is missing."""
    train, validation = clips
    print(
        f"Data: {len(train)} clips to train on, {len(validation)} to validate "
        f"on, {train.num_classes or 'no'} classes"
    )
    for part, data in (("To train on", train), ("To validate on", validation)):
        if data.note:
            print(f"{part}: {data.note}")


def print_costs(recipe, network):
    """What each phase costs.

    Raises:
        ValueError: if phases shall be adaptive and cannot.
    """
    from keras_c2f.flops import cost_table, network_cost
    from keras_c2f.phases.budget import check_rising

    costs = [
        network_cost(network.at_resolution(phase.resolution))
        for phase in recipe.phases
    ]
    print(cost_table(recipe.phases, costs, network_cost(network)))
    if recipe.adaptive:
        check_rising(recipe.phases, [cost.macs for cost in costs])
