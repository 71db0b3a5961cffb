"""What a study asks, and the runs that answer it, as data.

A plan is a TOML file; those of this package are in `plans/`:

    title = "..."            # and question, budget, stopping_rule: written
    question = "..."         # before any result, printed above it
    baseline = "baseline"    # the method that others are compared with
    seeds = [1, 2, 3]
    corruptions = ["noise:10"]  # optional: each run is scored so as well
    [settings]               # of every run: options of `keras-c2f train`
    [data.esc10]             # one table per data set, on top of the one in
    epochs = 30              # `data_sets.toml`: the baseline's epochs, folds
    held_out = ["1", "2"]    # or speakers, seeds, clips to train on, options
    clips = 320
    [data.esc10.settings]
    [[method]]
    name = "pool 4-2-1"
    compute = 0.6            # times `epochs`, at full resolution: the budget
    [method.settings]
    schedule = "pool:4, pool:2, full"
    [method.pretrain]        # optional: options of `keras-c2f pretrain`, and
    data = "esc50"           # perhaps other data, with the same part held out
"""

import hashlib
import itertools
import os
import shlex
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from keras_c2f.datasets.kinds import KINDS, form
from keras_c2f.training.pretrain_recipe import OF_CLASSIFIERS, PretrainRecipe
from keras_c2f.training.recipe import Recipe, option_names
from keras_c2f.utils.suggestions import did_you_mean

PLANS = Path(__file__).parent / "plans"
DATA_SETS = Path(__file__).parent / "data_sets.toml"
WORDS = ("title", "question", "budget", "stopping_rule", "baseline")
# What the tables of a plan may hold.
KEYS = {*WORDS, "seeds", "settings", "data", "method", "corruptions"}
OF_DATA = {"epochs", "clips", "held_out", "seeds", "settings"}
OF_METHOD = {"name", "compute", "settings", "pretrain"}
# Rows in `tools/results` have the names that these options had first.
NAMES_IN_ROWS = {"backbone": "model", "init_from": "initial"}


@dataclass(frozen=True)
class Cell:
    """One run of a study.

    Args:
        method: str, its name in the study.
        data: str, kind of data set, without a path.
        held_out: str, what is validated on; `""` is the data set's choice.
        seed: int.
        settings: dict, options of the command other than these.
        command: `"train"` or `"pretrain"`.
        init_from: `Cell` that it starts from, or `None`.
    """

    method: str
    data: str
    held_out: str
    seed: int
    settings: dict = field(repr=False)
    command: str = "train"
    init_from: "Cell | None" = None

    @property
    def start(self):
        """dict, the option that says what this run starts from, if anything."""
        return {"init_from": self.init_from.id} if self.init_from else {}

    @property
    def line(self):
        """str that identifies this run: the command without paths.

        Options are named as in rows on disk, so that these are found again.
        """
        options = {
            NAMES_IN_ROWS.get(name, name): value
            for name, value in self._options(
                data=self.data, **self.start
            ).items()
        }
        words = [_word(name, options[name]) for name in sorted(options)]
        return shlex.join([self.command, *words])

    def words(self, **paths):
        """The command and its options, sorted.

        Args:
            **paths: options that say where things are.
        """
        options = self._options(**paths)
        words = [
            _word(name.replace("_", "-"), value)
            for name, value in options.items()
        ]
        return [self.command, *sorted(words)]

    def _options(self, **paths):
        return {
            **self.settings,
            "held_out": self.held_out,
            "seed": self.seed,
            **paths,
        }

    @property
    def id(self):
        """str of eight letters that stands for `line`."""
        return hashlib.sha256(self.line.encode()).hexdigest()[:8]


def _word(name, value):
    """`name` and value of an option, as the command line has them."""
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no-{name}"
    return f"--{name}={value}"


@dataclass(frozen=True)
class Study:
    """A question, and the grid of runs that is to answer it.

    Attributes:
        name: str.
        title, question, budget, stopping_rule, baseline: str.
        methods: dict from names to tables of the plan.
        data: dict from data sets to tables of the plan, each with
            `held_out`, `seeds` and `settings`.
        settings: dict, options of every run.
        corruptions: list of str: changes of the recording under which each
            trained model is scored too, see `Corruption`.
    """

    name: str
    title: str
    question: str
    budget: str
    stopping_rule: str
    baseline: str
    methods: dict
    data: dict
    settings: dict
    corruptions: list

    def cells(self, data=None):
        """List of `Cell` in the order in which they are run.

        Seed by seed, method by method, a fold of each data set in turn: a
        study that is stopped early has all folds of its first methods. What a
        cell starts from comes before it.

        Args:
            data: collection of names to keep, or `None` for all.
        """
        names = list(self.data if data is None else data)
        seeds = sorted({s for name in names for s in self.data[name]["seeds"]})
        cells = {}
        for seed, method in itertools.product(seeds, self.methods):
            now = [name for name in names if seed in self.data[name]["seeds"]]
            parts = [self.data[name]["held_out"] for name in now]
            for row in itertools.zip_longest(*parts):
                for name, part in zip(now, row, strict=True):
                    if part is None:
                        continue
                    cell = self.cell(method, name, part, seed)
                    for each in filter(None, (cell.init_from, cell)):
                        cells.setdefault(each.id, each)
        return list(cells.values())

    def cell(self, method, data, held_out, seed):
        """`Cell` of one point of the grid."""
        of_method, of_data = self.methods[method], self.data[data]
        settings = {
            **self.settings,
            **of_data["settings"],
            **of_method.get("settings", {}),
        }
        if "compute" in of_method:
            if "epochs" not in of_data:
                raise ValueError(
                    f"Method {method!r} has a share of compute, so the table "
                    f"of {data} needs `epochs`, those of the baseline."
                )
            settings["budget"] = of_method["compute"] * of_data["epochs"]
        init_from = None
        if "pretrain" in of_method:
            first = {**settings, **of_method["pretrain"]}
            before = f"{method}, before"
            init_from = Cell(
                before,
                first.pop("data", data),
                held_out,
                seed,
                {k: v for k, v in first.items() if k not in OF_CLASSIFIERS},
                "pretrain",
            )
        return Cell(method, data, held_out, seed, settings, "train", init_from)


def plan_names():
    """Names of the plans of this package."""
    return sorted(path.stem for path in PLANS.glob("*.toml"))


def read_study(name):
    """The study of a plan of this package, or of a TOML file.

    Raises:
        ValueError: if there is none, it cannot be read, or it names a
            setting or data set that does not exist.
    """
    path = Path(name) if name.endswith(".toml") else PLANS / f"{name}.toml"
    if not path.exists():
        hint = did_you_mean(name, plan_names())
        raise ValueError(
            f"There is no study {name!r}.{hint} Known: "
            f"{', '.join(plan_names())}; or give the path of a .toml file."
        )
    plan, known = _read_toml(path), _read_toml(DATA_SETS)
    _check(plan, path)
    return Study(
        path.stem,
        **{word: plan[word] for word in WORDS},
        methods={method["name"]: method for method in plan["method"]},
        data={
            name: _merged(
                {"held_out": [""], "seeds": plan["seeds"]},
                known.get(name, {}),
                table,
            )
            for name, table in plan["data"].items()
        },
        settings=plan.get("settings", {}),
        corruptions=plan.get("corruptions", []),
    )


def with_path(data, paths):
    """The text `--data` wants: `esc10` -> `esc10:PATH`.

    Args:
        data: str, kind of data set.
        paths: dict from kinds to paths.

    Raises:
        ValueError: if the kind needs a path and none is given.
    """
    if form(data) == data:
        return data
    if data not in paths:
        raise ValueError(
            f"This study needs the data set {data}: give --path {data}=PATH, "
            f"or leave it out with --data."
        )
    return f"{data}:{paths[data]}"


def _read_toml(path):
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{os.fspath(path)} is not TOML: {error}.") from None


def _merged(*tables):
    """A data set's table; a later one adds to an earlier, or replaces."""
    merged, settings = {}, {}
    for table in tables:
        merged.update(table)
        settings.update(table.get("settings", {}))
    return {**merged, "settings": settings}


def _check(plan, path):
    """Refuses a plan that says too little, or what nothing understands."""
    missing = {*WORDS, "seeds", "data", "method"} - plan.keys()
    if missing:
        raise ValueError(f"{path.name} lacks {', '.join(sorted(missing))}.")
    tables = [(path.name, plan, KEYS)]
    for name, table in plan["data"].items():
        if name not in KINDS:
            raise ValueError(
                f"{path.name} has a data set {name!r}. Known: "
                f"{', '.join(KINDS)}."
            )
        tables.append((f"[data.{name}] of {path.name}", table, OF_DATA))
    names = [method.get("name") for method in plan["method"]]
    tables += [
        (f"method {name!r} of {path.name}", method, OF_METHOD)
        for name, method in zip(names, plan["method"], strict=True)
    ]
    known = set(option_names(PretrainRecipe)) - {"held_out", "seed"}
    own = set(option_names(Recipe)) & known - {"data"}
    for where, table, keys in tables:
        _check_names(where, table, keys)
        _check_names(f"`settings` in {where}", table.get("settings", {}), own)
        _check_names(f"`pretrain` in {where}", table.get("pretrain", {}), known)
    if None in names or len(set(names)) < len(names):
        raise ValueError(
            f"Each method of {path.name} has a name of its own. "
            f"Received: {names}."
        )
    if plan["baseline"] not in names:
        raise ValueError(
            f"`baseline` of {path.name} is one of its methods, {names}. "
            f"Received: {plan['baseline']!r}."
        )
    from keras_c2f.audio import Corruption

    for text in plan.get("corruptions", []):
        Corruption(text)  # refuses what cannot be read


def _check_names(where, table, known):
    for name in table:
        if name not in known:
            hint = did_you_mean(name, known)
            raise ValueError(
                f"{where} has {name!r}, which means nothing there.{hint} "
                f"Known: {', '.join(sorted(known))}."
            )
