"""The shorter graph trains as Keras does eagerly, and only on batches."""

import keras
import numpy as np
import pytest

from keras_c2f.models import AST, AudioClassifier
from keras_c2f.phases import PhasedModel

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="TensorFlow's graphs"
)
DTYPE = "mixed_bfloat16"


def network(depth=2, dtype=None, **options):
    backbone = AST(
        32, 8, (8, 8), width=8, depth=depth, num_heads=2, dtype=dtype, **options
    )
    return AudioClassifier(backbone, 3, dtype=dtype)


def train(optimizer, run_eagerly, prepare=None, **options):
    """Losses of two epochs of two batches and of a test; then weights."""
    keras.utils.set_random_seed(1)
    model = PhasedModel(network(**options))
    if prepare:
        prepare(model)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, run_eagerly=run_eagerly, jit_compile=False)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 32, 8)), rng.integers(0, 3, 8)
    history = model.fit(x, y, 4, 2, verbose=0, shuffle=False)
    losses = history.history["loss"] + [model.evaluate(x, y, verbose=0)]
    return losses, [np.array(v) for v in model.trainable_variables]


def adamw(rate=1e-2, **options):
    # epsilon: the biases of the keys have no gradient but rounding, which
    # Adam would blow up
    return keras.optimizers.AdamW(
        rate, weight_decay=0.1, epsilon=1e-3, **options
    )


def without_biases():
    optimizer = adamw(clipnorm=0.1, use_ema=True)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def cosine_decay():
    return adamw(keras.optimizers.schedules.CosineDecay(1e-2, 10))


def freeze_a_block(model):
    model.network.backbone.get_layer("block_1").trainable = False


@pytest.mark.parametrize(
    "make_optimizer, options",
    [
        (lambda: adamw(amsgrad=True), {"drop_path": 0.2}),  # blocks differ
        (cosine_decay, {"prepare": freeze_a_block}),
        # the same random numbers
        (without_biases, {"dropout": 0.2}),
        (lambda: adamw(gradient_accumulation_steps=2), {}),
        (lambda: keras.optimizers.LossScaleOptimizer(adamw()), {}),
        (lambda: keras.optimizers.Adam(epsilon=1e-3), {"dtype": DTYPE}),
    ],
)
def test_trains_as_eagerly(make_optimizer, options):
    losses, weights = train(make_optimizer(), False, **options)
    expected_losses, expected = train(make_optimizer(), True, **options)
    # float32; bfloat16 has 8 bits, and a graph rounds less often
    tolerance = 5e-2 if options.get("dtype") else 5e-5
    np.testing.assert_allclose(losses, expected_losses, rtol=tolerance)
    for mine, theirs in zip(weights, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=tolerance)


def count_nodes(depth):
    import tensorflow as tf

    model = PhasedModel(network(depth))
    model.compile(adamw(), "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    batch = tf.TensorSpec((4, 32, 8)), tf.TensorSpec((4,), "int32")
    graph = tf.function(model.train_step).get_concrete_function(batch).graph
    return len(graph.get_operations())


def test_another_block_adds_few_nodes():
    # 12 weights of 6 nodes, and two calls; above 850 without
    assert (count_nodes(6) - count_nodes(2)) / 4 < 150


def test_nothing_stays_replaced():
    model = PhasedModel(network())
    model.compile(adamw(), "sparse_categorical_crossentropy")
    model.fit(np.zeros((2, 32, 8)), np.zeros(2), verbose=0)
    block = model.network.backbone.get_layer("block_0")
    assert "call" not in vars(block)
    assert "update_step" not in vars(model.optimizer)


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_data_of_unknown_length_count_no_step_without_batch():
    import tensorflow as tf

    model = PhasedModel(network(dropout=0.1))
    model.compile(adamw(), keras.losses.SparseCategoricalCrossentropy())
    x, y = np.zeros((4, 32, 8), "float32"), np.zeros(4, "int32")
    data = tf.data.Dataset.from_tensor_slices((x, y))
    data = data.filter(lambda *_: True).batch(2)
    seed = next(v for v in model.variables if "seed" in v.path)
    before = int(seed[1])
    model.fit(data, epochs=3, shuffle=False, verbose=0)
    assert model.optimizer.iterations == 6
    assert int(seed[1]) == before + 6
