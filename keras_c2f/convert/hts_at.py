"""HTS-AT from its authors (Lightning), and as the audio tower of CLAP."""

import math
import re
from dataclasses import dataclass

from keras_c2f.convert.rules import Plan, Rule, numbers_in, put_numbers
from keras_c2f.convert.vit import (
    dense,
    dense_rules,
    norm_rules,
    patch_kernel,
    ratio,
    unchanged,
)
from keras_c2f.models import HTSAT, AudioClassifier


@dataclass(frozen=True)
class Names:
    """What a family of files calls parts; `{i}` is a stage, `{j}` a block."""

    mel_norm: str
    attention_norm: str
    qkv: tuple
    attention_output: str
    bias: str
    mlp_norm: str
    mlp_in: str
    mlp_out: str


BLOCK = "layers.{i}.blocks.{j}"
OFFICIAL = Names(
    mel_norm="bn0",
    attention_norm=f"{BLOCK}.norm1",
    qkv=(f"{BLOCK}.attn.qkv",),
    attention_output=f"{BLOCK}.attn.proj",
    bias=f"{BLOCK}.attn.relative_position_bias_table",
    mlp_norm=f"{BLOCK}.norm2",
    mlp_in=f"{BLOCK}.mlp.fc1",
    mlp_out=f"{BLOCK}.mlp.fc2",
)
CLAP = Names(
    mel_norm="batch_norm",
    attention_norm=f"{BLOCK}.layernorm_before",
    qkv=tuple(f"{BLOCK}.attention.self.{p}" for p in ("query", "key", "value")),
    attention_output=f"{BLOCK}.attention.output.dense",
    bias=f"{BLOCK}.attention.self.relative_position_bias_table",
    mlp_norm=f"{BLOCK}.layernorm_after",
    mlp_in=f"{BLOCK}.intermediate.dense",
    mlp_out=f"{BLOCK}.output.dense",
)
# Behind the prefix: what is computed rather than learned, and unused heads.
COMPUTED = (
    r"(spectrogram|logmel)_extractor\..*",
    r"layers\.\d+\.blocks\.\d+\.(attn_mask|attn\.relative_position_index)",
    r"layers\.\d+\.blocks\.\d+\.attention\.self\.relative_position_index",
    r"(bn0|batch_norm)\.num_batches_tracked",
    r"head\.(weight|bias)",  # beside a token-semantic one
)
# Beside the audio tower: text, projections, LAION's transforms of embeddings.
CLAP_OTHERS = (
    r"(.*\.)?(text_model|text_branch)\..*",
    r"(.*\.)?(text|audio)_(projection|transform)\..*",
    r"(.*\.)?logit_scale_[at]",
)
# In LAION's files no loss reaches the head; fusion is of clips above 10 s.
CLAP_UNUSED = (r"tscam_conv\.(weight|bias)",)
FUSION = r"(patch_embed\.)?(mel_conv[12]d|fusion_model)\..*"
REPEAT_NOTE = (
    "Its authors repeat a short clip until it fills the time that they trained "
    "at; here silence follows it. For their numbers repeat it yourself."
)
FUSION_NOTE = (
    "Its fusion of several views of a clip above 10 s is left out: give clips "
    "of 10 s at most, for which its authors do not use it."
)


def hts_at_plan(checkpoint, trained):
    """`Plan` of an HTS-AT: backbone, and its head where the file has one.

    Shapes give all but how often the spectrogram is folded, which the masks
    of shifted windows give, or CLAP's config.

    Args:
        checkpoint: `Checkpoint`.
        trained: dict; `num_frames` of its clips (1001 for 10 s; as many as
            they are stretched to, if not given), `num_folds` if the file
            does not say.

    Raises:
        ValueError: if a key that gives a size is missing.
    """
    tensors = checkpoint.tensors
    ending = ".relative_position_bias_table"
    table = next((key for key in tensors if key.endswith(ending)), None)
    if table is None:
        raise ValueError(f"{checkpoint.path} lacks a key with '{ending}'.")
    names = OFFICIAL if f".attn{ending}" in table else CLAP
    prefix = table[: table.index("layers.")]
    backbone = _backbone(checkpoint, names, prefix, trained)
    unused = (*COMPUTED, FUSION)
    rules = _rules(prefix, names, len(backbone.depths))
    network, notes = backbone, ()
    if names is CLAP or prefix.endswith("audio_branch."):
        unused += CLAP_UNUSED
        notes = _clap_notes(checkpoint, prefix)
    else:
        network, head_rules = _with_head(backbone, tensors, prefix)
        rules += head_rules
    dropped = tuple(re.escape(prefix) + pattern for pattern in unused)
    biased = put_numbers(names.qkv[0], i=0, j=0)
    facts = {
        **backbone.get_config(),
        "qkv_bias": f"{prefix}{biased}.bias" in tensors,
    }
    return Plan(
        network,
        rules,
        dropped + CLAP_OTHERS,
        facts=facts,
        notes=notes,
    )


def _backbone(checkpoint, names, prefix, trained):
    """`HTSAT` of the sizes that the shapes in a file give."""
    tensors = checkpoint.tensors

    def shape(key):
        if prefix + key not in tensors:
            raise ValueError(
                f"{checkpoint.path} lacks the key {prefix + key!r}."
            )
        return tensors[prefix + key].shape

    depths = _depths(tensors, prefix, names)
    width, _, freq, time = shape("patch_embed.proj.weight")
    heads = [
        shape(put_numbers(names.bias, i=i, j=0))[1] for i in range(len(depths))
    ]
    window = (math.isqrt(shape(put_numbers(names.bias, i=0, j=0))[0]) + 1) // 2
    mel_bins = shape(f"{names.mel_norm}.weight")[0]
    hidden = shape(put_numbers(names.mlp_in, i=0, j=0) + ".weight")[0]
    folds = trained.get("num_folds") or _folds(
        checkpoint, prefix, window * freq, mel_bins
    )
    stretch_to = folds * mel_bins // freq * time * folds
    return HTSAT(
        **{
            "num_frames": _clip_frames(checkpoint.features) or stretch_to,
            "num_mel_bins": mel_bins,
            "num_folds": folds,
            "stretch_to": stretch_to,
            "patch_size": (time, freq),
            "window_size": (window, window),
            "width": width,
            "depths": depths,
            "num_heads": heads,
            "mlp_ratio": ratio(hidden, width),
            **trained,
        }
    )


def _clap_notes(checkpoint, prefix):
    """Sentences on what CLAP does with long and with short clips."""
    pattern = re.escape(prefix) + FUSION
    fused = any(re.fullmatch(pattern, key) for key in checkpoint.tensors)
    repeats = checkpoint.features.get("padding", "repeatpad") != "pad"
    return fused * (FUSION_NOTE,) + repeats * (REPEAT_NOTE,)


def _with_head(backbone, tensors, prefix):
    """`(network, rules of its head)`: token-semantic, or of the mean token."""
    if f"{prefix}tscam_conv.weight" in tensors:
        key, transform = "tscam_conv", _head
        options = {"pooling": "token_semantic"}
    elif f"{prefix}head.weight" in tensors:  # `enable_tscam=False`
        key, transform = "head", dense
        options = {"pooling": "mean", "head_epsilon": None}
    else:
        return backbone, []
    rules = [
        Rule("head/kernel", (f"{prefix}{key}.weight",), transform),
        Rule("head/bias", (f"{prefix}{key}.bias",), unchanged),
    ]
    num_classes = len(tensors[f"{prefix}{key}.weight"])
    return AudioClassifier(backbone, num_classes, **options), rules


def _rules(prefix, names, num_stages):
    """`Rule`s of the backbone."""
    block = "stage_{i}_block_{j}"
    mel = f"{prefix}{names.mel_norm}"
    patch = f"{prefix}patch_embed"
    rules = [
        Rule("patch_embedding/kernel", (f"{patch}.proj.weight",), patch_kernel),
        Rule("patch_embedding/bias", (f"{patch}.proj.bias",), unchanged),
        Rule("mel_norm/moving_mean", (f"{mel}.running_mean",), unchanged),
        Rule("mel_norm/moving_variance", (f"{mel}.running_var",), unchanged),
        Rule(f"{block}/attention/position_bias", (prefix + names.bias,), _bias),
        *dense_rules(
            f"{block}/attention/qkv", *(prefix + name for name in names.qkv)
        ),
    ]
    for path, key in (
        ("mel_norm", names.mel_norm),
        ("patch_norm", "patch_embed.norm"),
        ("norm", "norm"),
        (f"{block}/attention_norm", names.attention_norm),
        (f"{block}/mlp_norm", names.mlp_norm),
    ):
        rules += norm_rules(path, prefix + key)
    for path, key in (
        (f"{block}/attention/output_projection", names.attention_output),
        (f"{block}/mlp_in", names.mlp_in),
        (f"{block}/mlp_out", names.mlp_out),
    ):
        rules += dense_rules(path, prefix + key)
    for stage in range(1, num_stages):
        path = f"merging_{stage}"
        key = f"{prefix}layers.{stage - 1}.downsample"
        rules += norm_rules(f"{path}/norm", f"{key}.norm")
        rules.append(
            Rule(
                f"{path}/reduction/kernel", (f"{key}.reduction.weight",), dense
            )
        )
    return rules


def _depths(tensors, prefix, names):
    """Blocks of each stage, by the highest number of each."""
    depths = {}
    for stage, block in numbers_in(tensors, prefix + names.bias):
        depths[stage] = max(depths.get(stage, 0), block + 1)
    return tuple(depths.get(stage, 0) for stage in range(max(depths) + 1))


def _folds(checkpoint, prefix, window_bins, mel_bins):
    """int: the side of the image over the mel bins."""
    config = checkpoint.config
    mask = checkpoint.tensors.get(f"{prefix}layers.0.blocks.1.attn_mask")
    if "spec_size" in config:
        side = config["spec_size"]
    elif mask is not None:
        side = math.isqrt(len(mask)) * window_bins
    else:
        raise ValueError(
            f"{checkpoint.path} does not say how often its spectrograms are "
            "folded. Give trained={'num_folds': 4} (--trained-num-folds=4), "
            "or what it is."
        )
    return side // mel_bins


def _clip_frames(features):
    """int, frames of the clips that CLAP's extractor makes, or `None`."""
    if not features:
        return None
    samples = features["max_length_s"] * features["sampling_rate"]
    return 1 + samples // features["hop_length"]


def _bias(table):
    """`(f*t, heads)` -> `(t, f, heads)`."""
    side = math.isqrt(len(table))
    return table.reshape(side, side, -1).transpose(1, 0, 2)


def _head(kernel):
    """`(classes, d, f, t)` -> `(t, f*d, classes)`."""
    classes, _, _, time = kernel.shape
    return kernel.transpose(3, 2, 1, 0).reshape(time, -1, classes)
