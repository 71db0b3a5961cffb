"""Whisper's encoder, from Hugging Face, OpenAI or CTranslate2."""

import re
from dataclasses import dataclass

import numpy as np

from keras_c2f.convert.rules import Plan, Rule, numbers_in, put_numbers
from keras_c2f.convert.vit import dense, dense_rules, norm_rules, unchanged
from keras_c2f.models import WhisperEncoder


@dataclass(frozen=True)
class Names:
    """What a family of files calls each part; `{i}` is the block's number.

    `qkv` are query, key and value, or all three in one.
    """

    positions: str
    attention_norm: str
    qkv: tuple
    attention_output: str
    mlp_norm: str
    mlp_in: str
    mlp_out: str
    norm: str


FAMILIES = (
    Names(  # Hugging Face
        positions="embed_positions.weight",
        attention_norm="layers.{i}.self_attn_layer_norm",
        qkv=tuple(f"layers.{{i}}.self_attn.{part}_proj" for part in "qkv"),
        attention_output="layers.{i}.self_attn.out_proj",
        mlp_norm="layers.{i}.final_layer_norm",
        mlp_in="layers.{i}.fc1",
        mlp_out="layers.{i}.fc2",
        norm="layer_norm",
    ),
    Names(  # OpenAI
        positions="positional_embedding",
        attention_norm="blocks.{i}.attn_ln",
        qkv=tuple(
            f"blocks.{{i}}.attn.{part}" for part in ("query", "key", "value")
        ),
        attention_output="blocks.{i}.attn.out",
        mlp_norm="blocks.{i}.mlp_ln",
        mlp_in="blocks.{i}.mlp.0",
        mlp_out="blocks.{i}.mlp.2",
        norm="ln_post",
    ),
    Names(  # CTranslate2, as `read_ctranslate2` spells it
        positions="position_encodings.encodings",
        attention_norm="layer_{i}.self_attention.layer_norm",
        qkv=("layer_{i}.self_attention.linear_0",),
        attention_output="layer_{i}.self_attention.linear_1",
        mlp_norm="layer_{i}.ffn.layer_norm",
        mlp_in="layer_{i}.ffn.linear_0",
        mlp_out="layer_{i}.ffn.linear_1",
        norm="layer_norm",
    ),
)
# What CTranslate2 keeps among the weights.
SETTINGS = r"\.(num_heads|pre_norm|activation|scale_embeddings)$"
# Decoder, its output matrix, what a classifier has on top, alignment heads.
DROPPED = (
    r"(.*\.)?decoder(\.|/).*",
    r"(proj_out|projector|classifier)\..*",
    r"layer_weights",
    r"alignment_heads",
)


def whisper_plan(checkpoint, trained):
    """`Plan` of Whisper's encoder, at its 30 s.

    Args:
        checkpoint: `Checkpoint`.
        trained: dict; `num_heads` if a head is not 64 wide, `depth` where the
            blocks of the file shall be counted.

    Raises:
        ValueError: if a part is missing.
    """
    tensors, config = checkpoint.tensors, checkpoint.config
    start = next(
        key.removesuffix("conv1.weight")
        for key in tensors
        if key.endswith("encoder.conv1.weight") or key == "conv1.weight"
    )
    names = next(
        (n for n in FAMILIES if f"{start}{n.positions}" in tensors), None
    )
    if names is None:
        raise ValueError(
            f"{checkpoint.path} lacks the key "
            f"{start + FAMILIES[0].positions!r}, Whisper's table of positions."
        )
    width, num_mel_bins, _ = tensors[f"{start}conv1.weight"].shape
    hidden = f"{start}{names.mlp_in}.weight"
    blocks = numbers_in(tensors, hidden)
    if not blocks:
        raise ValueError(
            f"There is no encoder block in the file: no key is like {hidden!r}."
        )
    count = 1 + max(blocks)[0]
    hidden = tensors[put_numbers(hidden, i=count - 1)]
    backbone = WhisperEncoder(
        num_frames=2 * len(tensors[f"{start}{names.positions}"]),
        num_mel_bins=num_mel_bins,
        width=width,
        depth=trained.get("depth", config.get("encoder_layers", count)),
        num_heads=trained.get(
            "num_heads",
            config.get("encoder_attention_heads", max(width // 64, 1)),
        ),
        mlp_ratio=hidden.shape[0] / width,
    )
    metadata = tuple(key for key in tensors if re.search(SETTINGS, key))
    facts = {
        "width": width,
        "num_mel_bins": num_mel_bins,
        "hidden": hidden.shape[0],
        "num_positions": backbone.num_frames // 2,
    }
    return Plan(
        backbone, whisper_rules(start, names), DROPPED, metadata, facts=facts
    )


def whisper_rules(start, names):
    """`Rule`s of every weight.

    Args:
        start: str before each name, such as `"model.encoder."`.
        names: `Names`.
    """

    def key(part):
        return start + getattr(names, part)

    rules = [Rule("positions/table", (key("positions"),), unchanged)]
    for index in range(2):
        path, name = f"convolution_{index}", f"{start}conv{1 + index}"
        rules += [
            Rule(f"{path}/kernel", (f"{name}.weight",), np.transpose),
            Rule(f"{path}/bias", (f"{name}.bias",), unchanged),
        ]
    for path, part in (
        ("block_{i}/attention_norm", "attention_norm"),
        ("block_{i}/mlp_norm", "mlp_norm"),
        ("norm", "norm"),
    ):
        rules += norm_rules(path, key(part))
    for path, part in (
        ("block_{i}/attention/output_projection", "attention_output"),
        ("block_{i}/mlp_in", "mlp_in"),
        ("block_{i}/mlp_out", "mlp_out"),
    ):
        rules += dense_rules(path, key(part))
    qkv = [start + name for name in names.qkv]
    path = "block_{i}/attention/qkv"
    if len(qkv) == 1:
        return rules + dense_rules(path, *qkv)
    weights = tuple(f"{name}.weight" for name in qkv)
    query, _, value = (f"{name}.bias" for name in qkv)
    return [
        *rules,
        Rule(f"{path}/kernel", weights, dense),
        Rule(f"{path}/bias", (query, value), _without_key_bias),
    ]


def _without_key_bias(query, value):
    return np.concatenate([query, np.zeros_like(query), value])
