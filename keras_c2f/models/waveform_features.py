"""Features of audio: what a trained backbone makes of it, pooled."""

import re

import keras
from keras import ops

from keras_c2f.layers import TokenStatistics
from keras_c2f.layers.log_mel import Frontend
from keras_c2f.models.classifier import AudioClassifier
from keras_c2f.models.phase_network import PhaseNetwork
from keras_c2f.models.waveform_classifier import log_mel_input, of_compressed
from keras_c2f.utils.values import Choice

POOLINGS = ("statistics", "mean", "prefix", "head")
BLOCK = re.compile(r"(stage_\d+_)?block_\d+")


def waveform_features(
    network: PhaseNetwork,
    frontend: Frontend,
    num_samples: int,
    depth: int = 0,
    pooling: str = "statistics",
) -> keras.Model:
    """Audio in, features out: front end, compression, backbone, pooling.

    Args:
        network: `AudioClassifier`, another model with a `backbone`, or a
            backbone; its resolution is the model's.
        frontend: `Frontend` that it was trained with.
        num_samples: int, samples of a window.
        depth: int, blocks that the tokens have passed: those of the first
            blocks are taken as they leave the last of them, without a norm;
            0, the backbone's own output.
        pooling: `"statistics"`, mean and standard deviation of the tokens;
            `"mean"`; `"prefix"`, the mean of the prefix tokens; or `"head"`,
            what the head of an `AudioClassifier` is given.

    Returns:
        `keras.Model` in float32 with the inputs of `waveform_classifier`;
        output: `(batch, num_features)`. Weights are copies.

    Raises:
        ValueError: if there are fewer blocks, no prefix tokens or no such
            head, or `pooling` is unknown.
    """
    Choice(POOLINGS).check("pooling", pooling)
    if pooling == "head":
        network = of_compressed(_with_head(network, depth))
        backbone = network.backbone
        embed = keras.Model(network.input, network.get_layer("head").input)
    else:
        backbone = of_compressed(getattr(network, "backbone", network))
        pooled = _pooled(_tokens(backbone, depth), backbone, pooling)
        embed = keras.Model(backbone.input, pooled)
    inputs, log_mel = log_mel_input(backbone, frontend, num_samples)
    return keras.Model(inputs, embed(log_mel), name="waveform_features")


def blocks_of(backbone):
    """list of layers: the encoder blocks of a backbone, the first one first."""
    return [x for x in backbone.layers if BLOCK.fullmatch(x.name)]


def _tokens(backbone, depth):
    """Symbolic tokens behind the first `depth` blocks; 0, behind all."""
    blocks = blocks_of(backbone)
    if not 0 <= depth <= len(blocks):
        raise ValueError(
            f"This network has {len(blocks)} blocks, so `depth` is at most "
            f"that; 0 takes its output. Received: depth={depth}."
        )
    first_ones = 0 < depth < len(blocks)
    return blocks[depth - 1].output if first_ones else backbone.output


def _pooled(tokens, backbone, pooling):
    count = backbone.num_prefix_tokens
    if pooling == "prefix":
        if not count:
            raise ValueError(
                "`pooling='prefix'` takes the prefix tokens, and this "
                f"{type(backbone).__name__} has none. Use statistics or mean."
            )
        return ops.mean(tokens[:, :count], axis=1)
    if pooling == "mean":
        return ops.mean(tokens[:, count:], axis=1)
    return TokenStatistics(name="statistics")(tokens[:, count:])


def _with_head(network, depth):
    """The network, if it has a head that is given a vector."""
    if not isinstance(network, AudioClassifier):
        raise ValueError(
            "`pooling='head'` takes what a classifier's head is given, and "
            f"this {type(network).__name__} has no head. Use statistics or "
            "mean."
        )
    if network.pooling == "token_semantic":
        raise ValueError(
            "The head of this network is a convolution over time, which is "
            "given no vector. Use pooling='statistics' or 'mean'."
        )
    if depth:
        raise ValueError(
            "`pooling='head'` takes what the head is given, behind all "
            f"blocks. Leave `depth` out. Received: depth={depth}."
        )
    return network
