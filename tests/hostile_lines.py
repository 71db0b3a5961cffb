"""Command lines that nobody should type, made from the options there are.

Run as a program it gives each line to the command, in one process, and prints
what came of it as JSON. No line gets as far as training: what has no hostile
value that is refused has data that are not there.
"""

import contextlib
import io
import itertools
import json
import sys
import tempfile
import traceback
from pathlib import Path

from absl.flags import argparse_flags

from keras_c2f import cli
from keras_c2f.cli.parser import make_parser
from keras_c2f.datasets.kinds import KINDS, SYNTHETIC

NUMBERS = ("-1", "0", "nan", "inf", "-inf", "1e999", "9" * 30, "0x10", "1,5")
TEXTS = ("", " ", "x" * 5000, "ünï/☃", "a\nb", "None", "[]", "full@1@2", "--")
PER_OPTION = 3
PARSER = make_parser()
NOT_TRIED = {"--help", "--helpshort", "--helpfull", "--traceback"}


def make_paths(folder):
    """Paths that are not what is asked for, by what they are."""
    (folder / "folder").mkdir()
    (folder / "empty").write_bytes(b"")
    (folder / "bytes").write_bytes(bytes(range(256)) * 8)
    (folder / "words").write_text("path,label\nno such file.wav,x\n")
    (folder / "brackets").write_text("[[[[")
    (folder / "null").write_text("null")
    (folder / "nul").write_bytes(b"path,label\n\0,\0\n")
    (folder / "quote").write_text('path,label\n"a.wav,x\n')
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "locked").mkdir(mode=0o500)
    (folder / "bär.wav").write_bytes(b"RIFF")
    names = sorted(path.name for path in folder.iterdir())
    paths = [str(folder / name) for name in names]
    return [*paths, str(folder / "nowhere"), f"{folder}/words/below", "\udcff"]


def commands():
    """The parser of each command by its name."""
    (action,) = (a for a in PARSER._actions if a.choices)
    return action.choices


def to_fail(command, name, nowhere):
    """Arguments that end a command early, whatever `--name` is."""
    data = [f"--data=folder:{nowhere}"]
    out = {"show-data": "out", "prepare": "out"}.get(command, "run")
    writes = [f"--{out}={nowhere}/out"]
    base = {
        "describe": ["--patch-size=0", "--seed=-1"],
        "evaluate": [f"--run={nowhere}"],
        "export": [f"--run={nowhere}"],
        "embed": [f"--run={nowhere}", f"--out={nowhere}.npz", f"{nowhere}.wav"],
        "predict": [f"--run={nowhere}", f"{nowhere}.wav"],
        "convert": [f"{nowhere}.pth", f"{nowhere}/out"],
        "stats": data,
        "probe": data,
    }.get(command, [*data, *writes])
    return [word for word in base if not word.startswith(f"--{name}=")]


def option_lines(paths):
    """Every option of every command, with some of the hostile values each."""
    nowhere = paths[-3]
    values = itertools.cycle([*NUMBERS, *TEXTS, *paths])
    tried = {"", *NOT_TRIED}
    for command, parser in commands().items():
        for action in parser._actions:
            option = action.option_strings[-1] if action.option_strings else ""
            if option in tried:
                continue
            if isinstance(action, argparse_flags._FlagAction):
                tried.add(option)  # the same in each command
            base = to_fail(command, option.removeprefix("--"), nowhere)
            for value in itertools.islice(values, PER_OPTION):
                yield [command, *base, f"{option}={value}"]
            yield [command, option, next(values), *base]
        base = to_fail(command, "", nowhere)
        yield [command, "--no-such-option=1", *base]
        yield [command, *base, "one", "too", "many"]
        if any(action.required for action in parser._actions):
            yield [command]


def data_lines(paths):
    """Every kind of data set, read from what is none."""
    for kind, path in itertools.product(KINDS, paths):
        if kind not in SYNTHETIC:
            yield ["stats", f"--data={kind}:{path}"]
            yield ["stats", f"--data={kind}:{path}", "--held-out=7"]
    for kind in (*SYNTHETIC, "", ":", "nonsense", "csv", "folder:"):
        yield ["stats", f"--data={kind}:x"]
        yield ["probe", f"--data={kind}", "--held-out=7", "--seed=-1"]
    for path in paths:
        yield ["predict", f"--run={path}", f"{path}/a.wav"]
        yield ["predict", f"--run={paths[-3]}", path]
        yield ["predict", f"--model={path}", f"{path}/a.wav"]
        yield ["embed", f"--run={path}", "--out=a.npz", f"{path}/a.wav"]
        yield ["embed", f"--run={paths[-3]}", "--out=a.npz", path]
        yield ["evaluate", f"--run={path}"]
        yield ["export", f"--run={path}"]
        yield ["convert", path, f"{path}/below"]
        yield [f"--flagfile={path}", "stats", "--seed=-1"]


def outcome(line):
    """Exit status, what is on standard error, and a traceback if any."""
    errors, found = io.StringIO(), ""
    with contextlib.redirect_stderr(errors):
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                code = cli.run(PARSER.parse_args(line)) or 0
            except SystemExit as error:
                code = error.code
            except BaseException:
                code, found = None, traceback.format_exc()
    return code, errors.getvalue(), found


def main():
    with tempfile.TemporaryDirectory() as folder:
        paths = make_paths(Path(folder))
        lines = [*option_lines(paths), *data_lines(paths)]
        rows = [(line, *outcome(line)) for line in lines]
    frameworks = {"keras", "tensorflow", "jax", "torch"} & sys.modules.keys()
    json.dump({"rows": rows, "frameworks": sorted(frameworks)}, sys.stdout)


if __name__ == "__main__":
    main()
