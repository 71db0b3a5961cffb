"""A tiny, random copy of the original AST in torch, and its weights in ours.

Hugging Face's `ASTForAudioClassification` computes what the AST paper's code
does, and gives 1e-12 to every layer norm where that code has 1e-6 in the
blocks and 1e-5 in the head.
"""

import numpy as np
import torch
from transformers import ASTConfig, ASTForAudioClassification

from keras_c2f.models import AST, AudioClassifier

SIZES = {
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "intermediate_size": 60,
    "num_labels": 5,
    "max_length": 53,
    "num_mel_bins": 38,
}


def original(frequency_stride, time_stride, **sizes):
    """Random in all its weights: HF starts tokens and positions at zero."""
    config = ASTConfig(
        frequency_stride=frequency_stride,
        time_stride=time_stride,
        attn_implementation="eager",
        **{**SIZES, **sizes},
    )
    model = ASTForAudioClassification(config).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            # wide enough for softmax and GELU to be far from linear
            scale = 1.0 if "embeddings" in name else 0.4
            weight += scale * torch.randn(weight.shape, generator=generator)
    return model


def ours(original, **options):
    """`AudioClassifier` of the same sizes with the weights of `original`."""
    config = original.config
    backbone = AST(
        num_frames=config.max_length,
        num_mel_bins=config.num_mel_bins,
        patch_size=(config.patch_size, config.patch_size),
        patch_stride=(config.time_stride, config.frequency_stride),
        width=config.hidden_size,
        depth=config.num_hidden_layers,
        num_heads=config.num_attention_heads,
        mlp_ratio=config.intermediate_size / config.hidden_size,
        epsilon=config.layer_norm_eps,
    )
    model = AudioClassifier(
        backbone,
        config.num_labels,
        head_epsilon=config.layer_norm_eps,
        **options,
    )
    weights = from_state_dict(original.state_dict(), backbone.grid_size)
    for weight in model.weights:
        value = weights.pop(weight.path)
        assert value.shape == tuple(weight.shape), weight.path
        weight.assign(value)
    assert not weights  # every weight of the original has found its place
    return model


def from_state_dict(state, grid_size):
    """`{path in AudioClassifier: array}` of HF's state dict."""
    state = {name: value.numpy() for name, value in state.items()}
    source = "audio_spectrogram_transformer"
    tokens = np.concatenate(
        [
            state[f"{source}.embeddings.cls_token"][0],
            state[f"{source}.embeddings.distillation_token"][0],
        ]
    )
    positions = state[f"{source}.embeddings.position_embeddings"][0]
    time, freq = grid_size
    kernel = f"{source}.embeddings.patch_embeddings.projection"
    weights = {
        "prefix/tokens": tokens + positions[:2],
        # (f*t, d) -> (t, f, d)
        "positions/grid": positions[2:]
        .reshape(freq, time, -1)
        .transpose(1, 0, 2),
        # (d, 1, f, t) -> (t, f, 1, d)
        "patch_embedding/kernel": state[f"{kernel}.weight"].transpose(
            3, 2, 1, 0
        ),
        "patch_embedding/bias": state[f"{kernel}.bias"],
    }
    norms = {
        f"{source}.layernorm": "norm",
        "classifier.layernorm": "head_norm",
    }
    denses = {"classifier.dense": "head"}
    for index in range(sum("fc1.weight" in name for name in state)):
        block, layer = f"block_{index}", f"{source}.layers.{index}"
        norms[f"{layer}.layernorm_before"] = f"{block}/attention_norm"
        norms[f"{layer}.layernorm_after"] = f"{block}/mlp_norm"
        denses[f"{layer}.mlp.fc1"] = f"{block}/mlp_in"
        denses[f"{layer}.mlp.fc2"] = f"{block}/mlp_out"
        attention = f"{layer}.attention"
        denses[f"{attention}.o_proj"] = f"{block}/attention/output_projection"
        for ending, kind in (("weight", "kernel"), ("bias", "bias")):
            weights[f"{block}/attention/qkv/{kind}"] = np.concatenate(
                [state[f"{attention}.{part}_proj.{ending}"] for part in "qkv"]
            ).T
    for theirs, mine in norms.items():
        weights[f"{mine}/gamma"] = state[f"{theirs}.weight"]
        weights[f"{mine}/beta"] = state[f"{theirs}.bias"]
    for theirs, mine in denses.items():
        weights[f"{mine}/kernel"] = state[f"{theirs}.weight"].T
        weights[f"{mine}/bias"] = state[f"{theirs}.bias"]
    return weights
