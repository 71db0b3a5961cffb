"""What a later Keras may move is checked before training."""

import keras
import pytest
from tiny import clips, phased

from keras_c2f.phases import PhasedModel, keras_private


def test_this_keras_has_everything():
    model = phased(keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()))
    keras_private.check_keras(model)
    model.fit(*clips(), batch_size=4, verbose=0)
    keras_private.check_keras(model)


@pytest.mark.once
@pytest.mark.parametrize(
    "names, owner",
    [
        ("_OF_MODEL", "PhasedModel"),
        ("_OF_TRACKER", "Tracker"),
        ("_OF_OPTIMIZER", "AdamW"),
    ],
)
def test_what_is_gone_is_named(names, owner, monkeypatch):
    monkeypatch.setattr(keras_private, names, ("_moved",))
    model = phased(keras.optimizers.AdamW(0.01))
    with pytest.raises(RuntimeError, match=rf"has no {owner}\._moved: private"):
        model.fit(*clips(), verbose=0)


@pytest.mark.once
def test_a_function_without_its_argument_is_named(monkeypatch):
    monkeypatch.setattr(
        *(PhasedModel, "make_train_function"), lambda self: None, raising=False
    )
    model = phased(keras.optimizers.AdamW(0.01))
    with pytest.raises(RuntimeError, match=r"make_train_function\(force=\.\."):
        model.fit(*clips(), verbose=0)
