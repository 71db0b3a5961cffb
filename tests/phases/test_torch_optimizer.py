"""One kernel for all weights trains as Keras' own step does."""

import contextlib

import keras
import numpy as np
import pytest
from tiny import assert_same_weights, clips, phased, to_numpy, weights_of

from keras_c2f.phases import phased_model
from keras_c2f.phases.torch_optimizer import fused_adam

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="PyTorch's kernel"
)


def adamw(rate=1e-2, **options):
    # epsilon: large enough to show where it is added
    return keras.optimizers.AdamW(
        rate, weight_decay=0.1, epsilon=1e-3, **options
    )


def without_biases():
    optimizer = adamw(global_clipnorm=0.1, use_ema=True)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def cosine_decay():
    return adamw(keras.optimizers.schedules.CosineDecay(1e-2, 10))


OPTIMIZERS = [
    adamw,
    without_biases,
    cosine_decay,
    lambda: keras.optimizers.Adam(epsilon=1e-3, beta_1=0.8, beta_2=0.9),
    lambda: adamw(gradient_accumulation_steps=2),
    lambda: keras.optimizers.LossScaleOptimizer(adamw()),
]


def train(optimizer):
    model = phased(optimizer)
    model.fit(*clips(), batch_size=2, epochs=3, shuffle=False, verbose=0)
    return model


def is_replaced(model):
    inner = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    return "_backend_update_step" in vars(inner)


@pytest.mark.parametrize("make_optimizer", OPTIMIZERS)
def test_trains_as_keras(make_optimizer, monkeypatch):
    fused = train(make_optimizer())
    with fused_adam(fused):
        assert is_replaced(fused)
    assert not is_replaced(fused)
    nothing = contextlib.nullcontext()
    monkeypatch.setattr(phased_model, "fused_adam", lambda _: nothing)
    plain = train(make_optimizer())
    assert_same_weights(
        weights_of(fused.network), weights_of(plain.network), atol=1e-5
    )
    # each rounds 1 - 0.999 in its own way: 5e-5 of a step
    for mine, theirs in zip(
        fused.optimizer.variables, plain.optimizer.variables, strict=True
    ):
        np.testing.assert_allclose(
            to_numpy(mine), to_numpy(theirs), atol=1e-4, err_msg=mine.path
        )


@pytest.mark.parametrize(
    "make_optimizer",
    [lambda: adamw(amsgrad=True), lambda: keras.optimizers.SGD(0.1)],
)
def test_other_optimizers_stay_as_they_are(make_optimizer):
    model = phased(make_optimizer())
    with fused_adam(model):
        assert not is_replaced(model)
