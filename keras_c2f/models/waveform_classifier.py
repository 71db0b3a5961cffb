import dataclasses

import keras
from keras import ops

from keras_c2f.layers import TimeCompression
from keras_c2f.layers.log_mel import Frontend, LogMel
from keras_c2f.models.adapters import merge_adapters
from keras_c2f.models.classifier import AudioClassifier
from keras_c2f.models.phase_network import PhaseNetwork


def waveform_classifier(
    network: AudioClassifier,
    frontend: Frontend,
    num_samples: int,
    multi_label: bool = False,
    use_fft: bool | None = None,
) -> keras.Model:
    """Audio in, scores out: front end, compression and network as one model.

    Made to leave Python: shapes are known, and every operation is one that
    other runtimes have, Fourier transforms aside.

    Args:
        network: `AudioClassifier`; its resolution is the model's.
        frontend: `Frontend` that it was trained with.
        num_samples: int, samples of a window, those of the clips that it was
            trained with.
        multi_label: bool, whether a recording may have several labels.
        use_fft: bool or `None`: see `LogMel`.

    Returns:
        `keras.Model` in float32 with two inputs, `waveform`, float
        `(batch, num_samples)` in [-1, 1], and `num_samples`, int32
        `(batch,)`: how many of a row's samples are audio; what follows is
        not looked at. Output: probabilities `(batch, num_classes)`, softmax
        of the logits, or their sigmoid if `multi_label`. Weights are copies.
    """
    network = of_compressed(network)
    inputs, features = log_mel_input(
        network.backbone, frontend, num_samples, use_fft
    )
    logits = network(features)
    scores = ops.sigmoid(logits) if multi_label else ops.softmax(logits)
    return keras.Model(inputs, scores, name="waveform_classifier")


def log_mel_input(backbone, frontend, num_samples, use_fft=None):
    """Inputs of a model for audio, and what its backbone is fed.

    Args:
        backbone: `Backbone`.
        frontend, num_samples, use_fft: as in `waveform_classifier`.

    Returns:
        List of the two symbolic inputs, and the compressed log-mel.
    """
    resolution = backbone.resolution
    waveform = keras.Input((num_samples,), name="waveform")
    count = keras.Input((), dtype="int32", name="num_samples")
    features = LogMel(
        frontend,
        backbone.num_frames,
        shift=resolution.shift,
        use_fft=use_fft,
        name="frontend",
    )(waveform, count)
    features = TimeCompression(
        dataclasses.replace(resolution, shift=1),
        dtype="float32",
        name="time_compression",
    )(features)
    return [waveform, count], features


def of_compressed(network: PhaseNetwork) -> PhaseNetwork:
    """A float32 copy that is fed with log-mel at its resolution.

    Adapters are merged into the kernels.
    """
    network = merge_adapters(network)
    config = _in_float32(network.get_config())
    if "input_kind" in config:  # a backbone knows no other input
        config["input_kind"] = "compressed"
    copy = type(network).from_config(config)
    copy.set_weights(network.get_weights())
    return copy


def _in_float32(config):
    """A config whose dtype policies are all float32."""
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy":
            return keras.saving.serialize_keras_object(
                keras.DTypePolicy("float32")
            )
        return {key: _in_float32(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(map(_in_float32, config))
    return config
