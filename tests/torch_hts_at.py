"""A tiny, random copy of the original HTS-AT in torch, its weights in ours.

The audio tower of Hugging Face's CLAP is HTS-AT without its head; the
token-semantic convolution is restated here. Its image has frequency before
time, as torch's convolutions have: where we name pairs `(time, freq)`, the
original has them the other way round.
"""

import numpy as np
import torch
from transformers import ClapAudioConfig, ClapAudioModel

from keras_c2f.models import HTSAT, AudioClassifier

NUM_FRAMES, NUM_CLASSES = 256, 5
SIZES = {  # an image of 64 x 64: maps of 16, 8 and 4, windows of 4
    "spec_size": 64,
    "num_mel_bins": 16,
    "patch_size": 4,
    "patch_stride": (4, 4),
    "window_size": 4,
    "patch_embeds_hidden_size": 8,
    "hidden_size": 32,
    "depths": (2, 2, 2),
    "num_attention_heads": (2, 4, 4),
    "mlp_ratio": 2.5,
}


def randomize(module, scale, seed=0):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                noise = torch.randn(value.shape, generator=generator)
                positive = name.endswith("running_var")
                value += noise.abs() if positive else scale * noise
    return module.eval()


def original(**sizes):
    """`(tower, head)`, random in all their weights."""
    torch.manual_seed(0)
    config = ClapAudioConfig(**{**SIZES, **sizes})
    tower = randomize(ClapAudioModel(config), scale=0.2)
    width = config.patch_embeds_hidden_size * 2 ** (len(config.depths) - 1)
    # a token of the last map is merged twice
    bins = config.num_mel_bins // 4 // 2 ** (len(config.depths) - 1)
    head = torch.nn.Conv2d(width, NUM_CLASSES, (bins, 3), padding=(0, 1))
    return tower, randomize(head, scale=0.2, seed=1)


def ours(tower, head, num_frames=NUM_FRAMES, **options):
    """`AudioClassifier` of the same sizes with the weights of the original."""
    config = tower.config
    backbone = HTSAT(
        num_frames=num_frames,
        num_mel_bins=config.num_mel_bins,
        num_folds=config.spec_size // config.num_mel_bins,
        patch_size=(config.patch_size, config.patch_size),
        window_size=(config.window_size, config.window_size),
        width=config.patch_embeds_hidden_size,
        depths=config.depths,
        num_heads=config.num_attention_heads,
        mlp_ratio=config.mlp_ratio,
        epsilon=config.layer_norm_eps,
        **options,
    )
    model = AudioClassifier(backbone, NUM_CLASSES, pooling="token_semantic")
    weights = from_state_dict(tower.state_dict(), head.state_dict())
    for weight in model.weights:
        if "seed_generator" not in weight.path:
            value = weights.pop(weight.path)
            assert value.shape == tuple(weight.shape), weight.path
            weight.assign(value)
    assert not weights  # every weight of the original has found its place
    return model


def from_state_dict(tower, head):
    """`{path in AudioClassifier: array}` of the original's state dicts."""
    source = "audio_encoder"
    state = {
        name.removeprefix(f"{source}."): value.numpy()
        for name, value in tower.items()
    }
    kernel = head["weight"].numpy()  # (classes, d, f, t) -> (t, f*d, classes)
    weights = {
        "head/kernel": kernel.transpose(3, 2, 1, 0).reshape(3, -1, NUM_CLASSES),
        "head/bias": head["bias"].numpy(),
        # (d, 1, f, t) -> (t, f, 1, d)
        "patch_embedding/kernel": state["patch_embed.proj.weight"].transpose(
            3, 2, 1, 0
        ),
        "patch_embedding/bias": state["patch_embed.proj.bias"],
        "mel_norm/moving_mean": state["batch_norm.running_mean"],
        "mel_norm/moving_variance": state["batch_norm.running_var"],
    }
    norms = {
        "batch_norm": "mel_norm",
        "patch_embed.norm": "patch_norm",
        "norm": "norm",
    }
    denses = {}
    for name in state:
        parts = name.split(".")
        if name.endswith("downsample.reduction.weight"):
            merging = f"merging_{int(parts[1]) + 1}"
            weights[f"{merging}/reduction/kernel"] = state[name].T
            norms[f"layers.{parts[1]}.downsample.norm"] = f"{merging}/norm"
        if name.endswith("relative_position_bias_table"):
            block = f"stage_{parts[1]}_block_{parts[3]}"
            layer = f"layers.{parts[1]}.blocks.{parts[3]}"
            side = int(len(state[name]) ** 0.5)  # (f*t, h) -> (t, f, h)
            weights[f"{block}/attention/position_bias"] = (
                state[name].reshape(side, side, -1).transpose(1, 0, 2)
            )
            norms[f"{layer}.layernorm_before"] = f"{block}/attention_norm"
            norms[f"{layer}.layernorm_after"] = f"{block}/mlp_norm"
            denses[f"{layer}.intermediate.dense"] = f"{block}/mlp_in"
            denses[f"{layer}.output.dense"] = f"{block}/mlp_out"
            attention = f"{block}/attention"
            denses[f"{layer}.attention.output.dense"] = (
                f"{attention}/output_projection"
            )
            for ending, kind in (("weight", "kernel"), ("bias", "bias")):
                weights[f"{attention}/qkv/{kind}"] = np.concatenate(
                    [
                        state[f"{layer}.attention.self.{part}.{ending}"]
                        for part in ("query", "key", "value")
                    ]
                ).T
    for theirs, mine in norms.items():
        weights[f"{mine}/gamma"] = state[f"{theirs}.weight"]
        weights[f"{mine}/beta"] = state[f"{theirs}.bias"]
    for theirs, mine in denses.items():
        weights[f"{mine}/kernel"] = state[f"{theirs}.weight"].T
        weights[f"{mine}/bias"] = state[f"{theirs}.bias"]
    return weights
