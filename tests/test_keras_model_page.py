"""The Python of `docs/keras-model.md`, block by block as a reader pastes it."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).parents[1] / "docs" / "keras-model.md"
BLOCKS = re.findall(
    r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
)


def block(word):
    (found,) = (text for text in BLOCKS if word in text)
    return found


def run(names, word):
    exec(compile(block(word), str(PAGE), "exec"), names)  # noqa: S102


@pytest.fixture
def names(tmp_path, monkeypatch):
    """Names that the first block defines; it saves a model."""
    monkeypatch.chdir(tmp_path)
    found = {}
    run(found, "def build_network")
    return found


@pytest.mark.once
def test_first_block_and_its_model_in_a_process_of_its_own(names):
    assert names["model"].resolution.factor == 1
    program = block("load_model") + "print(network.output_shape)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().endswith("(None, 3)")


@pytest.mark.once
def test_keras_names_the_class_that_it_does_not_know(names):
    """As the page says of a process without `import keras_c2f`."""
    program = block("load_model").replace("import keras_c2f", "#")
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )
    assert done.returncode and "TimeCompression" in done.stderr


def test_class_weights_reach_the_loss(names):
    """Of a single step: the loss is the weighted mean of the clips' losses."""
    run(names, "class_weight")
    model, x, y = (names[name] for name in ("model", "x", "y"))
    weights = np.array([names["class_weight"][index] for index in y])
    logits = model.predict(x, verbose=0).astype("float64")
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    losses = -logits[np.arange(len(y)), y]
    expected = (weights * losses).mean()
    assert expected != pytest.approx(losses.mean(), rel=1e-4)
    model.optimizer.learning_rate = 0.0
    history = model.fit(
        x, y, 64, class_weight=names["class_weight"], verbose=0
    ).history
    assert history["loss"][0] == pytest.approx(expected, rel=1e-3)


def test_regression(names):
    run(names, '"mse"')
    model = names["model"]
    assert model.resolution.factor == 1
    errors = model.predict(names["x"], verbose=0) - names["level"]
    loss, mae = model.evaluate(names["x"], names["level"], verbose=0)
    assert loss == pytest.approx((errors**2).mean(), rel=1e-3)
    assert mae == pytest.approx(np.abs(errors).mean(), rel=1e-3)


@pytest.mark.once
def test_a_model_of_this_package(names):
    run(names, "from keras_c2f import AST, AudioClassifier")
    assert names["model"].network.input_shape == (None, 64, 32)
    assert names["model"].resolution.factor == 1


def test_waveforms_without_tensorflow(names):
    run(names, "from keras_c2f import AST")
    run(names, "WaveformSource")
    assert names["model"].resolution.factor == 1
    assert int(names["model"].optimizer.iterations) == 4  # 2 steps an epoch
