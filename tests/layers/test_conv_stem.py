"""The convolutional stem."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_c2f.layers.conv_stem import Projection

MAPS = np.random.default_rng(0).normal(size=(5, 4, 6, 7)).astype("float32")


@pytest.mark.parametrize("size", [(1, 3), (2, 1), (4, 6)])
def test_projection_is_a_convolution(size):
    layer = Projection(3, size, size, bias_initializer="normal")
    outputs = ops.convert_to_numpy(layer(MAPS))
    convolution = keras.layers.Conv2D(3, size, size)
    convolution.build(MAPS.shape)
    convolution.set_weights(layer.get_weights())
    expected = ops.convert_to_numpy(convolution(MAPS))
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
