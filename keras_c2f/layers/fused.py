"""What training computes in fewer passes over memory than Keras' own layers.

TensorFlow runs one operation after another, each of which reads and writes
its tensors, and derives gradients operation by operation. Here are gradients
written down as a whole, and kernels that TensorFlow and PyTorch have but
Keras does not call. XLA does as much by itself on JAX. Results are equal to
those of Keras up to rounding; outside training they are those of Keras.

The norms have the class names of Keras: under these, files of saved models
hold the members of a list.
"""

import functools
import math

import keras
from keras import ops

from keras_c2f.utils.annotations import Tensor

MIN_WIDTH = 256  # below it, compiling takes longer than it saves
PLAIN = {  # options of norms, as the fused ones have them
    "axis": -1,
    "center": True,
    "scale": True,
    "rms_scaling": False,
    "renorm": False,
    "synchronized": False,
}
_settings = {"enabled": True}


def enable_fused_training(enabled: bool = True) -> None:
    """Chooses between fused operations, the default, and Keras' in training.

    What has been compiled stays as it is.

    Args:
        enabled: bool, whether operations are fused.

    Example:
        >>> enable_fused_training(False)
        >>> enable_fused_training()
    """
    _settings["enabled"] = enabled


def _fused(training, *backends):
    backend = keras.backend.backend()
    return _settings["enabled"] and training and backend in backends


def _is_plain(norm, inputs):
    """Whether fused operations compute such a norm."""
    plain = all(getattr(norm, k, v) in (v, [v]) for k, v in PLAIN.items())
    dtype = keras.backend.standardize_dtype(inputs.dtype)
    return plain and dtype != "float64"


def _precise(tensor):
    """str, float32 or what is more precise."""
    return keras.backend.result_type(tensor.dtype, "float32")


def gelu(
    values: Tensor, approximate: bool = False, training: bool | None = None
) -> Tensor:
    """`keras.ops.gelu`, whose exact form and its gradient are one pass each.

    On a CPU TensorFlow has no such kernel.

    Args:
        values: `(..., width)`.
        approximate: bool, whether by the hyperbolic tangent.
        training: bool.

    Returns:
        As `values`.

    Reference:
        Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016, section 2.
    """
    is_wide = (values.shape[-1] or 0) >= MIN_WIDTH
    if (
        approximate
        or not _fused(training and is_wide, "tensorflow")
        or not _compiles_on_cpu()
    ):
        return ops.gelu(values, approximate=approximate)
    return _tensorflow_gelu()(values)


@functools.cache
def _compiles_on_cpu():
    """Whether TensorFlow has XLA here, and no card that is faster."""
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return False
    try:
        with tf.init_scope():
            tf.function(tf.math.erf, jit_compile=True)(tf.zeros(1))
    except tf.errors.OpError:  # not in every build
        return False
    return True


@functools.cache
def _tensorflow_gelu():
    import tensorflow as tf

    def normal_cdf(x):
        return 0.5 * (1 + tf.math.erf(x * 0.5**0.5))

    @functools.partial(tf.function, jit_compile=True)
    def forward(values):
        x = tf.cast(values, _precise(values))
        return tf.cast(x * normal_cdf(x), values.dtype)

    @functools.partial(tf.function, jit_compile=True)
    def backward(values, upstream):
        x = tf.cast(values, _precise(values))
        density = tf.exp(-0.5 * x * x) / (2 * math.pi) ** 0.5
        slope = normal_cdf(x) + x * density
        return tf.cast(tf.cast(upstream, x.dtype) * slope, values.dtype)

    @tf.custom_gradient
    def fused(values):
        return forward(values), functools.partial(backward, values)

    return fused


class LayerNormalization(keras.layers.LayerNormalization):
    """`keras.layers.LayerNormalization`, in fewer passes in training.

    PyTorch has a kernel that Keras calls; on TensorFlow the gradient is
    written down here.

    Call arguments:
        inputs: `(..., width)`.

    Returns:
        As `inputs`.

    Reference:
        Ba et al., "Layer Normalization", 2016, section 3.
    """

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if not (_fused(training, "tensorflow") and _is_plain(self, inputs)):
            return super().call(inputs)
        gamma, beta = (ops.cast(w, "float32") for w in (self.gamma, self.beta))
        outputs = _tensorflow_layer_norm(inputs, gamma, beta, self.epsilon)
        return ops.cast(outputs, self.compute_dtype)


def _tensorflow_layer_norm(inputs, gamma, beta, epsilon):
    import tensorflow as tf

    def mean(x):
        return tf.reduce_mean(x, axis=-1, keepdims=True)

    @tf.custom_gradient
    def fused(inputs, gamma, beta):
        centred = tf.cast(inputs, gamma.dtype)
        centred -= mean(centred)
        scale = tf.math.rsqrt(mean(tf.square(centred)) + epsilon)
        normed = centred * scale

        def backward(upstream):
            upstream = tf.cast(upstream, gamma.dtype)
            inner = upstream * gamma
            inner -= mean(inner) + normed * mean(inner * normed)
            axes = tuple(range(len(inputs.shape) - 1))
            return (
                tf.cast(inner * scale, inputs.dtype),
                tf.reduce_sum(upstream * normed, axes),
                tf.reduce_sum(upstream, axes),
            )

        return tf.cast(normed * gamma + beta, inputs.dtype), backward

    return fused(inputs, gamma, beta)


class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` of maps, one kernel in training.

    Keras' own computes moments and outputs apart, and in float32.

    Call arguments:
        inputs: `(batch, time, freq, channels)`. No masking.

    Returns:
        As `inputs`.

    Reference:
        Ioffe and Szegedy, "Batch Normalization", ICML 2015, algorithm 1.
    """

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        fused = self.trainable and _fused(training, *BATCH_NORMS)
        if not (fused and _is_plain(self, inputs)):
            return super().call(inputs, training=training)
        gamma, beta = (ops.cast(w, "float32") for w in (self.gamma, self.beta))
        outputs, *moments = BATCH_NORMS[keras.backend.backend()](
            inputs, gamma, beta, self.epsilon
        )
        averages = self.moving_mean, self.moving_variance
        for average, value in zip(averages, moments, strict=True):
            value = ops.stop_gradient(ops.cast(value, average.dtype))
            share = 1 - self.momentum
            average.assign(average * self.momentum + value * share)
        return ops.cast(outputs, self.compute_dtype)


def _tensorflow_batch_norm(maps, gamma, beta, epsilon):
    """Outputs, means and variances of a batch, by TensorFlow's kernel."""
    import tensorflow as tf

    outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
        maps, gamma, beta, epsilon=epsilon
    )
    # its variance is that of a sample, Keras' that of the batch
    count = tf.cast(tf.size(maps) // tf.size(mean), variance.dtype)
    return outputs, mean, variance * (1 - 1 / count)


def _torch_batch_norm(maps, gamma, beta, epsilon):
    """The same by PyTorch's."""
    import torch

    outputs, mean, inverse = torch.native_batch_norm(
        maps.permute(0, 3, 1, 2), gamma, beta, None, None, True, 0.0, epsilon
    )
    return outputs.permute(0, 2, 3, 1), mean, inverse**-2 - epsilon


BATCH_NORMS = {
    "tensorflow": _tensorflow_batch_norm,
    "torch": _torch_batch_norm,
}
