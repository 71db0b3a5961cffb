"""ViT and DeiT of images, plain and distilled: where AST starts from."""

import math

from keras_c2f.convert.audio import HUB_EPSILON
from keras_c2f.convert.rules import Plan
from keras_c2f.convert.vit import table_rules, vit_of, vit_rules
from keras_c2f.models import AST

# timm's, then Hugging Face's
HEADS = (
    r"(.*\.)?(head|head_dist|pre_logits\.fc)\.(weight|bias)",
    r"(.*\.)?(cls_|distillation_)?classifier\.(weight|bias)",
    r"(.*\.)?pooler\.dense\.(weight|bias)",
)


def imagenet_plan(checkpoint, trained):
    """`Plan` of an image transformer, as an `AST` over a square "clip".

    Rows of an image are mel bins and columns are frames, as in AST; the
    kernel is summed over colours, and the heads are dropped.

    Args:
        checkpoint: `Checkpoint`.
        trained: dict; `num_heads` if a head is not 64 wide.

    Raises:
        ValueError: if the table of positions is not that of a square image:
            ImageNet models see no others.
    """
    vit = vit_of(checkpoint)
    positions = vit.key("positions")
    if positions not in vit.tensors:
        raise ValueError(f"{checkpoint.path} lacks the key {positions!r}.")
    count = vit.tensors[positions].shape[1] - vit.num_prefix_tokens
    side = math.isqrt(count)
    if side**2 != count:
        raise ValueError(
            f"{checkpoint.path} has positions for {count} patches, which are "
            "no square image."
        )
    time, freq = vit.sizes["patch_size"]
    config = {
        **vit.sizes,
        "num_frames": side * time,
        "num_mel_bins": side * freq,
        "epsilon": 1e-6,
    }
    hub = checkpoint.config
    if vit.is_hugging_face:
        config["epsilon"] = hub.get("layer_norm_eps", HUB_EPSILON)
    if "num_attention_heads" in hub:
        config["num_heads"] = hub["num_attention_heads"]
    config |= trained
    if "num_heads" not in config:
        raise ValueError(
            f"{checkpoint.path} does not say its `num_heads`. Give "
            "`trained={'num_heads': ...}` (--trained-num-heads)."
        )
    backbone = AST(**config)
    rules = vit_rules(vit) + table_rules(vit, backbone.grid_size)
    return Plan(backbone, rules, HEADS, facts=vit.facts(backbone))
