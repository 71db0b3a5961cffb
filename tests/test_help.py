"""Help needs no framework; logs do not stand before answers."""

import io
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from keras_c2f import cli
from keras_c2f.cli import log_filter
from keras_c2f.cli.parser import make_parser
from keras_c2f.phases.schedule import PhaseSchedule
from keras_c2f.training.progress import Progress

pytestmark = pytest.mark.once
HELP = """
import contextlib, io, sys
from keras_c2f import cli
from keras_c2f.cli.parser import make_parser

(commands,) = (a.choices for a in make_parser()._actions if a.choices)
for words in (["--help"], *([name, "--help"] for name in commands)):
    with contextlib.redirect_stdout(io.StringIO()) as text:
        try:
            cli.parse(["keras-c2f", *words])
        except SystemExit as error:
            assert error.code == 0
    assert len(text.getvalue()) > 100
print(*sys.modules)
"""


def test_help_imports_no_framework():
    done = subprocess.run(
        [sys.executable, "-c", HELP], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "keras_c2f.training.recipe" in loaded
    heavy = "keras tensorflow jax torch numpy scipy matplotlib soundfile"
    assert not loaded & set(heavy.split())


def test_help_says_what_values_are_allowed():
    (commands,) = (a.choices for a in make_parser()._actions if a.choices)
    text = " ".join(commands["train"].format_help().split())
    assert "(a number of at least 0 and below 1; default: 0.0)" in text
    assert "one of" not in commands["predict"].format_usage()


def test_options_have_hyphens_and_accept_underscores(capsys):
    parser = make_parser()
    for option in ("--clip-seconds", "--clip-seconds"):
        words = ["train", "--run=x", "--no-warm-restarts", f"{option}=2.5"]
        assert parser.parse_args(words).clip_seconds == 2.5
        with pytest.raises(SystemExit):
            parser.parse_args(["train", "--run=x", f"{option}=-1"])
        assert "`--clip-seconds` is a number above 0" in capsys.readouterr().err
    (commands,) = (a.choices for a in parser._actions if a.choices)
    for command in commands.values():
        for action in command._actions:
            if "absl" not in type(action).__module__:
                assert not any("_" in o for o in action.option_strings)


# As TensorFlow 2.21 and XLA write them.
IN_PASSING = b"""\
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1796018705.162974   26411 port.cc:153] oneDNN custom operations
W0000 00:00:1796018705.162974   26411 cpu_allocator_impl.cc:82] Allocation
I1130 06:05:01.123456       1 service.cc:152] XLA service 0x5 initialized
2026-11-30 06:05:01.123456: I tensorflow/core/util/port.cc:153] oneDNN
2026-11-30 06:05:01.123456: W external/xla/xla/service/hlo.cc:1] slow
To enable the following instructions: AVX2, rebuild TensorFlow
"""  # noqa: E501
ERRORS = b"""\
E0000 00:00:1796018705.162974   26411 cuda_dnn.cc:8310] Unable to register
F0000 00:00:1796018705.162974   26411 cpu_feature_guard.cc:37] was compiled
2026-11-30 06:05:01.123456: E external/xla/xla/stream.cc:1] out of memory
Traceback (most recent call last):
Warning: the recorder died
I am no log line
"""


def test_logs_in_passing_are_left_out_and_errors_are_not():
    done = subprocess.run(
        [sys.executable, log_filter.__file__],
        input=IN_PASSING + ERRORS,
        capture_output=True,
    )
    assert done.stderr == ERRORS


@pytest.mark.parametrize("level", ["0", "2"])
def test_last_words_of_a_library_are_passed_on(level):
    program = (
        "import os\n"
        "from keras_c2f.cli.log_filter import filter_logs\n"
        "filter_logs()\n"
        f"os.write(2, {IN_PASSING + ERRORS!r})\n"
        "os.abort()\n"
    )
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": level}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, env=environment
    )
    assert done.returncode < 0
    before = IN_PASSING if level == "0" else b""
    assert done.stderr == before + ERRORS


@pytest.mark.parametrize("is_terminal", [False, True])
def test_progress_in_a_file_is_a_line_per_epoch(monkeypatch, is_terminal):
    pytest.importorskip("tqdm")
    stream = io.StringIO()
    stream.isatty = lambda: is_terminal
    monkeypatch.setattr(sys, "stderr", stream)
    costs = [SimpleNamespace(macs=n, num_tokens=n) for n in (1, 2)]
    schedule = PhaseSchedule("pool:2@2, full@1")
    progress = Progress(SimpleNamespace(costs=costs, schedule=schedule), "run")
    progress.set_params({"steps": 50})
    progress.on_train_begin()
    for epoch in range(3):
        progress.on_epoch_begin(epoch)
        for batch in range(50):
            progress._shown = 0.0  # as if half a second had gone by
            progress.on_train_batch_end(batch)
        progress.on_epoch_end(epoch, {"val_loss": 0.25})
    progress.on_train_end()
    text = stream.getvalue()
    if is_terminal:
        assert text.count("\r") > 3
        return
    lines = text.splitlines()
    # of the work 1 + 1 + 2
    assert [line.split()[0] for line in lines] == ["25%", "50%", "100%"]
    assert "epoch 2/3" in lines[1] and "val_loss 0.250" in lines[1]
    assert "\r" not in text


@pytest.mark.parametrize("is_terminal", [False, True])
def test_stopped_stands_in_a_line_of_its_own(monkeypatch, is_terminal):
    def train(arguments):
        print("40%|####", end="", file=sys.stderr)
        raise KeyboardInterrupt

    stream = io.StringIO()
    stream.isatty = lambda: is_terminal
    monkeypatch.setattr(sys, "stderr", stream)
    arguments = SimpleNamespace(command=train, traceback=False)
    assert cli.run(arguments) == 130
    if is_terminal:
        assert "\nStopped. The same command goes on" in stream.getvalue()
    assert stream.getvalue().endswith("from here.\n")
