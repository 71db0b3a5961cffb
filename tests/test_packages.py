"""What is missing is said at once; a backend that is there is found."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import keras_c2f
from keras_c2f.utils import packages

pytestmark = pytest.mark.once
ROOT = Path(keras_c2f.__file__).parents[1]
HIDE = """
import os, sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden!r}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Hidden())
os.environ.pop("KERAS_BACKEND", None)
os.environ["KERAS_HOME"] = {home!r}
"""


def run(program, hidden, home):
    """Exit code, output and errors of a program to which packages hide."""
    begin = HIDE.format(hidden=set(hidden), home=str(home))
    done = subprocess.run(
        [sys.executable, "-c", begin + program], capture_output=True, text=True
    )
    return done.returncode, done.stdout, done.stderr


def command(*words):
    return (
        "from keras_c2f import cli\n"
        f"sys.exit(cli.run(cli.parse(['keras-c2f', *{words!r}])))"
    )


def test_extras_are_those_of_the_project():
    with open(ROOT / "pyproject.toml", "rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    for module, extra in packages.EXTRAS.items():
        wanted = module.replace("_", "-")
        found = {
            re.split(r"[<>=\[;]", line)[0].replace("_", "-")
            for line in extras[extra]
        }
        assert {wanted, f"{wanted}-cpu"} & found, (module, extra)


def test_nothing_is_installed_from_the_index_under_our_name():
    """The name there is another project's."""
    wrong = re.compile(r"pip\d* install\s+[\"']?keras[_-]c2f")
    for folder, endings in ((ROOT, "*.md"), (ROOT / "keras_c2f", "**/*.py")):
        for path in folder.glob(endings):
            assert not wrong.search(path.read_text("utf-8")), path


def test_all_that_is_missing_is_said_at_once(tmp_path):
    (tmp_path / "a").mkdir()
    hidden = ("tensorflow", "soundfile", "soxr", "matplotlib", "jinja2")
    words = ("train", f"--run={tmp_path}/run", f"--data=folder:{tmp_path}")
    code, _, errors = run(command(*words), hidden, tmp_path)
    assert code == 2
    # Keras has another backend, if one is there
    sentence = errors.splitlines()[-1]
    assert "tensorflow, soundfile, soxr, matplotlib and jinja2" in sentence
    assert 'pip install -e ".[tensorflow,audio,report]"' in sentence


@pytest.mark.parametrize(
    ("words", "hidden", "extras"),
    [
        (("demo",), ("espeakng_loader",), "demo"),
        (("predict", "--run={0}", "{0}/a.wav"), ("soxr",), "audio"),
        (("predict", "--model={0}/a.onnx", "-"), ("onnxruntime",), "export"),
        (("convert", "{0}/a.pth", "{0}/out"), ("torch",), "torch"),
    ],
)
def test_each_command_says_what_it_needs(words, hidden, extras, tmp_path):
    for name in ("model.keras", "a.wav", "a.onnx", "a.pth"):
        (tmp_path / name).touch()
    words = [word.format(tmp_path) for word in words]
    if words[0] == "demo":
        words.append(f"--run={tmp_path}")
    code, _, errors = run(command(*words), hidden, tmp_path)
    assert code == 2, errors
    found = re.search(r'pip install -e "\.\[(.*)\]"$', errors.strip())
    assert sorted(found[1].split(",")) == sorted(extras.split(","))


def test_pages_load_their_packages_where_they_are_written(tmp_path):
    program = "import keras_c2f, keras_c2f.report"
    code, _, errors = run(program, ("jinja2", "matplotlib"), tmp_path)
    assert code == 0, errors


CHOICE = """
from keras_c2f.utils.packages import choose_backend
try:
    print(choose_backend())
except (ImportError, ValueError) as error:
    print("refused:", error)
print(os.environ.get("KERAS_BACKEND"))
assert "keras" not in sys.modules
"""


@pytest.mark.parametrize(
    ("hidden", "configured", "backend", "sentence"),
    [
        ((), None, "None", ""),
        ((), "torch", "None", ""),
        (("tensorflow",), None, "jax", "tensorflow is not installed, so"),
        (("tensorflow", "jax"), None, "torch", "so Keras uses torch."),
        (("torch",), "torch", "tensorflow", "one of: tensorflow, jax."),
        (packages.BACKENDS, None, "None", r'refused: .* "\.\[tensorflow\]"'),
    ],
)
def test_a_backend_that_is_there_is_found(
    hidden, configured, backend, sentence, tmp_path
):
    for name in packages.BACKENDS:
        if name not in hidden:
            pytest.importorskip(name)
    if configured:
        config = f'{{"backend": "{configured}"}}'
        (tmp_path / "keras.json").write_text(config)
    _, output, errors = run(CHOICE, hidden, tmp_path)
    said, chosen = output.splitlines()
    assert chosen == backend, errors
    assert re.search(sentence, said) if sentence else not said


@pytest.mark.parametrize("wanted", ["torch", "theano"])
def test_a_backend_that_is_asked_for_is_not_replaced(wanted, tmp_path):
    program = f"os.environ['KERAS_BACKEND'] = {wanted!r}\n" + CHOICE
    _, output, _ = run(program, ["torch"], tmp_path)
    said, chosen = output.splitlines()
    assert said.startswith("refused: KERAS_BACKEND is") and chosen == wanted


def test_the_command_runs_on_jax_alone(tmp_path):
    pytest.importorskip("jax")
    words = ("describe", "--num-classes=2", "--schedule=full@1")
    code, output, errors = run(
        command(*words), ["tensorflow", "torch"], tmp_path
    )
    assert code == 0, errors
    assert "baseline's cost" in output
    assert errors.splitlines()[0].startswith("tensorflow is not installed")
