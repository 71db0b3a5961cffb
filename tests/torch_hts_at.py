"""A tiny, random copy of the original HTS-AT in torch, ours converted from it.

The audio tower of Hugging Face's CLAP is HTS-AT without its head; the
token-semantic convolution is restated here. Its image has frequency before
time, as torch's convolutions have: where we name pairs `(time, freq)`, the
original has them the other way round.
"""

import os
import tempfile

import torch
from transformers import ClapAudioConfig, ClapAudioModel

from keras_c2f.convert import load_checkpoint

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
    return tower, randomize(head, scale=0.1, seed=1)


def ours(tower, head, num_frames=NUM_FRAMES, **options):
    """`AudioClassifier` converted from a file as HTS-AT's authors have it."""
    trained = {"num_frames": num_frames, "epsilon": tower.config.layer_norm_eps}
    trained["num_folds"] = tower.config.spec_size // tower.config.num_mel_bins
    trained["stretch_to"] = options.pop("stretch_to", None)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "HTSAT.ckpt")
        torch.save({"state_dict": official_state(tower, head)}, path)
        return load_checkpoint(path, trained=trained, **options).model


def laion_state(tower, head):
    """As LAION's CLAP has it: text, projections, a head that is not trained."""
    state = {
        key.replace("sed_model.", "module.audio_branch."): value
        for key, value in official_state(tower, head).items()
    }
    others = """
    logit_scale_a logit_scale_t text_branch.embeddings.position_ids
    text_branch.encoder.layer.0.attention.self.query.weight
    text_branch.pooler.dense.bias text_projection.0.weight
    text_transform.sequential.0.weight audio_projection.2.bias
    audio_transform.sequential.3.bias
    """.split()
    # an image of 64 in patches of 4 and windows of 4: 16 windows of 16
    mask = "module.audio_branch.layers.0.blocks.1.attn_mask"
    state |= {f"module.{key}": torch.ones(3) for key in others}
    return {**state, mask: torch.zeros(16, 16, 16)}


def official_state(tower, head):
    """State dict as the original's Lightning module has it, buffers too."""
    state = {}
    for key, value in tower.state_dict().items():
        key = key.removeprefix("audio_encoder.")
        for clap, original in (
            ("batch_norm", "bn0"),
            ("layernorm_before", "norm1"),
            ("layernorm_after", "norm2"),
            ("attention.output.dense", "attn.proj"),
            ("attention.self.relative", "attn.relative"),
            ("intermediate.dense", "mlp.fc1"),
            ("output.dense", "mlp.fc2"),
        ):
            key = key.replace(clap, original)
        state[f"sed_model.{key}"] = value
    for key in [key for key in state if ".attention.self.query." in key]:
        parts = [
            state.pop(key.replace("query", name))
            for name in ("query", "key", "value")
        ]
        key = key.replace("attention.self.query", "attn.qkv")
        state[key] = torch.cat(parts)
    state["sed_model.tscam_conv.weight"] = head.weight
    state["sed_model.tscam_conv.bias"] = head.bias
    for name in (
        "head.weight",
        "head.bias",
        "spectrogram_extractor.stft.conv_real.weight",
        "spectrogram_extractor.stft.conv_imag.weight",
        "logmel_extractor.melW",
    ):
        state[f"sed_model.{name}"] = torch.zeros(2, 2)
    return state
