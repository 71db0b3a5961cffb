"""ViT, DeiT and DINOv2 of images: where AST starts from."""

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
    r"(.*\.)?mask_token",  # of training
)
EPSILON = 1e-6  # timm's, and DINOv2's everywhere
SWIGLU = ("mlp.w12.weight", "mlp.weights_in.weight")


def imagenet_plan(checkpoint, trained):
    """`Plan` of an image transformer, as an `AST` over a square "clip".

    Rows of an image are mel bins and columns are frames, as in AST; the
    kernel is summed over colours, and the heads are dropped. DINOv2's layer
    scale is multiplied into the kernels before it, and its registers are
    prefix tokens behind the class token.

    Args:
        checkpoint: `Checkpoint`.
        trained: dict; `num_heads` if a head is not 64 wide.

    Raises:
        ValueError: if the table of positions is not that of a square image:
            ImageNet models see no others; or perceptrons have gates.
    """
    vit = vit_of(checkpoint)
    gates = [key for key in checkpoint.tensors if key.endswith(SWIGLU)]
    if gates:
        raise ValueError(
            f"{checkpoint.path} has perceptrons with gates (SwiGLU, "
            f"{gates[0]!r}), as DINOv2's giant size, and AST has none. Take "
            "the small, base or large one."
        )
    positions = vit.key("positions")
    if positions not in vit.tensors:
        raise ValueError(f"{checkpoint.path} lacks the key {positions!r}.")
    rows = vit.tensors[positions].shape[1]
    count = rows - vit.num_prefix_tokens + vit.num_registers
    if math.isqrt(rows) ** 2 == rows:  # of patches alone
        count = rows
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
        "epsilon": EPSILON,
    }
    hub = checkpoint.config
    if vit.is_hugging_face:
        default = EPSILON if vit.has_layer_scale else HUB_EPSILON
        config["epsilon"] = hub.get("layer_norm_eps", default)
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
