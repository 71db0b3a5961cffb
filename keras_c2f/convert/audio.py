"""AST, from its authors or Hugging Face, and SSAST, as files of weights."""

import numpy as np

from keras_c2f.convert.rules import Plan, Rule
from keras_c2f.convert.vit import (
    dense_rules,
    norm_rules,
    table_rules,
    vit_of,
    vit_rules,
)
from keras_c2f.models import AST, AudioClassifier, MaskedPatchModel
from keras_c2f.resolution import patch_grid

GEOMETRY = ("num_frames", "num_mel_bins", "patch_stride", "num_heads")
HUB_EPSILON = 1e-12  # of every norm, where no config says
IMAGENET_HEADS = r"head(_dist)?\.(weight|bias)"  # in AST and SSAST: unused


def ast_plan(checkpoint, trained, pooling="prefix"):
    """`Plan` of an AST: backbone, and its head where the file has one.

    Args:
        checkpoint: `Checkpoint`.
        trained: dict, the geometry it was trained at: `num_frames`,
            `num_mel_bins`, `patch_stride`, and `num_heads` if a head is not
            64 wide. A Hugging Face config has all of them.
        pooling: str, of the head: see `AudioClassifier`.

    Raises:
        ValueError: if the geometry does not fit the table of positions.
    """
    vit = vit_of(checkpoint)
    config = checkpoint.config
    norms = {"epsilon": 1e-6, "head_epsilon": 1e-5}
    if vit.is_hugging_face:
        epsilon = config.get("layer_norm_eps", HUB_EPSILON)
        norms = dict.fromkeys(norms, epsilon)
    if config:
        trained = {**_hub_geometry(config), **trained}
    backbone = audio_backbone(checkpoint, vit, trained, norms["epsilon"])
    rules = vit_rules(vit) + table_rules(vit, backbone.grid_size)
    root = vit.prefix.removesuffix("v.")
    norm, head = f"{root}mlp_head.0", f"{root}mlp_head.1"
    if vit.is_hugging_face:
        root = vit.prefix.removesuffix("audio_spectrogram_transformer.")
        norm, head = f"{root}classifier.layernorm", f"{root}classifier.dense"
    dropped = (vit.prefix.replace(".", r"\.") + IMAGENET_HEADS,)
    network = backbone
    if f"{head}.weight" in vit.tensors:
        rules += norm_rules("head_norm", norm) + dense_rules("head", head)
        network = AudioClassifier(
            backbone,
            vit.tensors[f"{head}.weight"].shape[0],
            pooling=pooling,
            head_epsilon=norms["head_epsilon"],
        )
    return Plan(network, rules, dropped, facts=vit.facts(backbone))


def ssast_plan(checkpoint, trained):
    """`Plan` of a self-supervised AST: its backbone, or as fine-tuned.

    After pre-training the file has frames and mel bins, patches do not
    overlap, and heads are dropped. After fine-tuning it is an AST whose head
    takes the mean of the patches, as `ft_avgtok` of its authors; give
    `pooling="prefix"` for their `ft_cls`.
    """
    vit = vit_of(checkpoint)
    if f"{vit.prefix.removesuffix('v.')}mlp_head.1.weight" in vit.tensors:
        return ast_plan(checkpoint, trained, pooling="mean")
    whole = ssast_pretraining_plan(checkpoint, trained)
    heads = ("mask_embedding/", "discriminative_head/", "generative_head/")
    rules = [rule for rule in whole.rules if not rule.path.startswith(heads)]
    return Plan(
        whole.network.backbone,
        rules,
        (*whole.dropped, r"(.*\.)?(mask_embed|[cg]predlayer\..*)"),
        whole.metadata,
    )


def ssast_pretraining_plan(checkpoint, trained):
    """`Plan` of a self-supervised AST with its heads, to pre-train further."""
    vit = vit_of(checkpoint)
    root = vit.prefix.removesuffix("v.")
    metadata = {
        "num_frames": f"{root}p_input_tdim",
        "num_mel_bins": f"{root}p_input_fdim",
    }
    metadata = {n: key for n, key in metadata.items() if key in vit.tensors}
    trained = {
        "patch_stride": vit.sizes["patch_size"],
        **{name: int(vit.tensors[key]) for name, key in metadata.items()},
        **trained,
    }
    backbone = audio_backbone(checkpoint, vit, trained, 1e-6)

    def patch(array):
        # (freq*time, ...) -> (time, freq, ...)
        size = backbone.patch_size[::-1]
        return array.reshape(*size, *array.shape[1:]).swapaxes(0, 1)

    rules = vit_rules(vit) + table_rules(vit, backbone.grid_size)
    rules.append(
        Rule("mask_embedding/embedding", (f"{root}mask_embed",), np.ravel)
    )
    for head, key in (
        ("discriminative_head", f"{root}cpredlayer"),
        ("generative_head", f"{root}gpredlayer"),
    ):
        rules += [
            *dense_rules(f"{head}/hidden", f"{key}.0"),
            Rule(f"{head}/kernel", (f"{key}.2.weight",), patch),
            Rule(f"{head}/bias", (f"{key}.2.bias",), patch),
        ]
    dropped = (vit.prefix.replace(".", r"\.") + IMAGENET_HEADS,)
    network = MaskedPatchModel(backbone)
    return Plan(network, rules, dropped, tuple(metadata.values()))


def audio_backbone(checkpoint, vit, trained, epsilon, num_positions=None):
    """`AST` at the geometry a file was trained at.

    Args:
        checkpoint: `Checkpoint`.
        vit: `Vit` in it.
        trained: dict, see `ast_plan`.
        epsilon: float, of the layer norms.
        num_positions: int; that of the one table if `None`.

    Raises:
        ValueError: if the geometry is not given, or gives another number of
            patches than the file has positions.
    """
    config = {**vit.sizes, "epsilon": epsilon, **trained}
    missing = [name for name in GEOMETRY if name not in config]
    positions = vit.key("positions")
    if num_positions is None:
        if positions not in vit.tensors:
            raise ValueError(f"{checkpoint.path} lacks the key {positions!r}.")
        num_positions = vit.tensors[positions].shape[1] - vit.num_prefix_tokens
    if missing:
        raise ValueError(
            f"{checkpoint.path} does not say {', '.join(missing)} of the "
            f"spectrograms it was trained on, only that they gave "
            f"{num_positions} patches. Name the published `preset` it is, or "
            "give `trained={...}` with these (--trained-num-frames and so on)."
        )
    size = (config["num_frames"], config["num_mel_bins"])
    stride = tuple(config["patch_stride"])
    time, freq = patch_grid(*size, config["patch_size"], stride)
    if time * freq != num_positions:
        raise ValueError(
            f"{checkpoint.path} has positions for {num_positions} patches; "
            f"{size[0]} frames x {size[1]} mel bins in patches of "
            f"{config['patch_size']} every {stride} (time, freq) give {time} "
            f"x {freq} = {time * freq}. Give the geometry it was trained at."
        )
    return AST(**config)


def _hub_geometry(config):
    return {
        "num_frames": config["max_length"],
        "num_mel_bins": config["num_mel_bins"],
        "patch_stride": (config["time_stride"], config["frequency_stride"]),
        "num_heads": config["num_attention_heads"],
    }
