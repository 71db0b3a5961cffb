"""Packages that import their names at the first use of one."""

import subprocess
import sys

import keras
import pytest

import keras_c2f
import keras_c2f.data.prepare  # of the same name as a function
import keras_c2f.models.waveform_classifier
import keras_c2f.phases.transplant

pytestmark = pytest.mark.once


def test_a_function_stays_before_the_module_of_its_name():
    names = ("data.prepare", "models.waveform_classifier", "phases.transplant")
    for name in names:
        package, name = name.split(".")
        found = getattr(getattr(keras_c2f, package), name)
        assert callable(found) and found.__name__ == name


def test_unknown_names_are_refused_as_always():
    with pytest.raises(AttributeError, match="has no attribute 'ATS'"):
        _ = keras_c2f.ATS
    assert "AST" in dir(keras_c2f) and "AST" in keras_c2f.__all__


def test_whoever_uses_keras_can_load_saved_models():
    """By the registered names of classes, which need to be imported."""
    for name in ("AST", "AudioClassifier", "PhasedModel", "LogMel"):
        assert keras.saving.get_registered_object(f"keras_c2f>{name}")


LOAD = """
{imports}
for name in ("AST", "AudioClassifier", "PhasedModel", "LogMel"):
    assert keras.saving.get_registered_object(f"keras_c2f>{{name}}"), name
"""


@pytest.mark.parametrize(
    "imports",
    [
        "import keras, keras_c2f",
        "import keras, keras_c2f.data",
        "import keras_c2f, keras; keras_c2f.AST",
        "from keras_c2f import Pool; import keras",
    ],
)
def test_in_any_order(imports):
    done = subprocess.run(
        [sys.executable, "-c", LOAD.format(imports=imports)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_light_modules_import_nothing_heavy():
    program = (
        "import sys, keras_c2f, keras_c2f.training.recipe, keras_c2f.data\n"
        "assert not {'keras', 'numpy'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_packages_inside_are_attributes():
    """After `import keras_c2f` alone."""
    program = (
        "import keras_c2f\n"
        "for name in ('layers', 'models', 'data', 'resolution', 'callbacks'):\n"
        "    found = getattr(keras_c2f, name)\n"
        "    assert found.__name__ == f'keras_c2f.{name}', name\n"
        "assert keras_c2f.callbacks.PhaseScheduler\n"
        "assert keras_c2f.layers.PositionGrid\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
