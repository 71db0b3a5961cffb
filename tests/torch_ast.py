"""A tiny, random copy of the original AST in torch, and ours converted from it.

Hugging Face's `ASTForAudioClassification` computes what the AST paper's code
does, and gives 1e-12 to every layer norm where that code has 1e-6 in the
blocks and 1e-5 in the head.
"""

import tempfile

import torch
from transformers import ASTConfig, ASTForAudioClassification

from keras_c2f.convert import load_checkpoint

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
    torch.manual_seed(0)  # HF draws the others
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


def ours(original):
    """`AudioClassifier` converted from a folder as Hugging Face has them."""
    with tempfile.TemporaryDirectory() as folder:
        original.save_pretrained(folder)
        return load_checkpoint(folder).model
