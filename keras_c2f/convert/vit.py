"""Vision transformers over spectrograms: names of their parts, and rules.

timm's layout is that of AST, SSAST, PaSST, ViT, DeiT and DINOv2; Hugging Face
splits queries, keys and values. Both lay frequency before time.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from keras_c2f.convert.rules import Rule, numbers_in, put_numbers


@dataclass(frozen=True)
class Names:
    """What a family of files calls each part; `{i}` is the block's number."""

    class_token: str
    distillation_token: str
    positions: str
    patch: str
    attention_norm: str
    qkv: tuple
    attention_output: str
    mlp_norm: str
    mlp_in: str
    mlp_out: str
    norm: str
    # of DINOv2 and its kin
    registers: tuple = ()
    attention_scale: str = ""
    mlp_scale: str = ""


TIMM = Names(
    class_token="cls_token",
    distillation_token="dist_token",
    positions="pos_embed",
    patch="patch_embed.proj",
    attention_norm="blocks.{i}.norm1",
    qkv=("blocks.{i}.attn.qkv",),
    attention_output="blocks.{i}.attn.proj",
    mlp_norm="blocks.{i}.norm2",
    mlp_in="blocks.{i}.mlp.fc1",
    mlp_out="blocks.{i}.mlp.fc2",
    norm="norm",
    registers=("register_tokens", "reg_token"),  # its authors', timm's
    attention_scale="blocks.{i}.ls1.gamma",
    mlp_scale="blocks.{i}.ls2.gamma",
)
HUGGING_FACE = Names(
    class_token="embeddings.cls_token",
    distillation_token="embeddings.distillation_token",
    positions="embeddings.position_embeddings",
    patch="embeddings.patch_embeddings.projection",
    attention_norm="encoder.layer.{i}.layernorm_before",
    qkv=tuple(
        f"encoder.layer.{{i}}.attention.attention.{part}"
        for part in ("query", "key", "value")
    ),
    attention_output="encoder.layer.{i}.attention.output.dense",
    mlp_norm="encoder.layer.{i}.layernorm_after",
    mlp_in="encoder.layer.{i}.intermediate.dense",
    mlp_out="encoder.layer.{i}.output.dense",
    norm="layernorm",
)
HUGGING_FACE_5 = replace(  # as transformers 5 has them in memory
    HUGGING_FACE,
    attention_norm="layers.{i}.layernorm_before",
    qkv=tuple(f"layers.{{i}}.attention.{part}_proj" for part in "qkv"),
    attention_output="layers.{i}.attention.o_proj",
    mlp_norm="layers.{i}.layernorm_after",
    mlp_in="layers.{i}.mlp.fc1",
    mlp_out="layers.{i}.mlp.fc2",
)
DINOV2 = replace(
    HUGGING_FACE,
    attention_norm="encoder.layer.{i}.norm1",
    mlp_norm="encoder.layer.{i}.norm2",
    mlp_in="encoder.layer.{i}.mlp.fc1",
    mlp_out="encoder.layer.{i}.mlp.fc2",
    registers=("embeddings.register_tokens",),
    attention_scale="encoder.layer.{i}.layer_scale1.lambda1",
    mlp_scale="encoder.layer.{i}.layer_scale2.lambda1",
)
FAMILIES = (HUGGING_FACE, HUGGING_FACE_5, DINOV2, TIMM)


@dataclass(frozen=True)
class Vit:
    """A vision transformer found in a file.

    Attributes:
        names: `Names`.
        prefix: str before each name, such as `"module.v."`.
        tensors: dict of the file's arrays.
    """

    names: Names
    prefix: str
    tensors: dict

    def key(self, part, ending=""):
        """Key of the file that holds a part of `Names`."""
        return f"{self.prefix}{getattr(self.names, part)}{ending}"

    @property
    def kernel(self):
        """Patch kernel as in the file: `(width, channels, freq, time)`."""
        return self.tensors[self.key("patch", ".weight")]

    @property
    def prefix_tokens(self):
        """tuple of str, keys of the class token, those behind it, registers."""
        names = self.names
        keys = (
            f"{self.prefix}{name}"
            for name in (names.distillation_token, *names.registers)
        )
        others = [key for key in keys if key in self.tensors]
        return (self.key("class_token"), *others)

    @property
    def num_registers(self):
        """int, tokens without a position or a meaning of their own."""
        keys = [f"{self.prefix}{name}" for name in self.names.registers]
        found = [self.tensors[key] for key in keys if key in self.tensors]
        return sum(tokens.shape[1] for tokens in found)

    @property
    def num_prefix_tokens(self):
        """int, 2 with a distillation token, else 1; registers more."""
        distilled = self.key("distillation_token") in self.tensors
        return 1 + distilled + self.num_registers

    @property
    def has_layer_scale(self):
        """bool, whether branches are multiplied by a weight a channel."""
        key = self.key("attention_scale")
        return bool(key and numbers_in(self.tensors, key))

    @property
    def is_hugging_face(self):
        """bool, whether the names are those of Hugging Face."""
        return self.names is not TIMM

    @property
    def has_qkv_bias(self):
        """bool, whether any query, key or value has a bias."""
        names = [f"{self.prefix}{name}.bias" for name in self.names.qkv]
        return any(numbers_in(self.tensors, name) for name in names)

    @property
    def blocks(self):
        """list of int, numbers of the encoder blocks."""
        key = self.key("mlp_in", ".weight")
        return [number for (number,) in numbers_in(self.tensors, key)]

    @property
    def hidden(self):
        """int, hidden width of the perceptrons."""
        key = put_numbers(self.key("mlp_in", ".weight"), i=max(self.blocks))
        return self.tensors[key].shape[0]

    @property
    def sizes(self):
        """Arguments of `AST` that the shapes give, less the geometry."""
        width, _, freq, time = self.kernel.shape
        if not self.blocks:
            raise ValueError(
                "There is no encoder block in the file: no key is like "
                f"{self.key('mlp_in', '.weight')!r}."
            )
        sizes = {
            "patch_size": (time, freq),
            "width": width,
            "depth": 1 + max(self.blocks),
            "mlp_ratio": ratio(self.hidden, width),
            "num_prefix_tokens": self.num_prefix_tokens,
        }
        # as all published ones; other widths need it given
        heads = {"num_heads": width // 64} if width % 64 == 0 else {}
        return sizes | heads

    def facts(self, backbone):
        """dict of what fields of a config can be held against."""
        stride = backbone.patch_stride
        return {
            **backbone.get_config(),
            "hidden": self.hidden,
            "qkv_bias": self.has_qkv_bias,
            "num_channels": self.kernel.shape[1],
            "num_registers": self.num_registers,
            "image_size": (backbone.num_mel_bins, backbone.num_frames),
            "time_stride": stride[0],
            "frequency_stride": stride[1],
        }


def ratio(hidden, width):
    """float whose product with `width` is `hidden`, rounded down too."""
    quotient = hidden / width
    exact = int(width * quotient) == hidden
    return quotient if exact else math.nextafter(quotient, math.inf)


def find_vit(tensors):
    """`Vit` of a dict of arrays, by the key of its patch kernel, or `None`."""
    found = [
        Vit(names, key.removesuffix(f"{names.patch}.weight"), tensors)
        for names in FAMILIES
        for key, value in tensors.items()
        if key.endswith(f"{names.patch}.weight") and value.ndim == 4
    ]
    whole = [vit for vit in found if vit.blocks]
    return next(iter(whole or found), None)


def vit_of(checkpoint):
    """`Vit` in a `Checkpoint`.

    Raises:
        ValueError: if no key is a patch kernel.
    """
    vit = find_vit(checkpoint.tensors)
    if vit is None:
        raise ValueError(
            f"{checkpoint.path} holds no vision transformer: none of its "
            f"{len(checkpoint.tensors)} keys is a patch kernel such as "
            f"'v.{TIMM.patch}.weight'. It begins with "
            f"{next(iter(checkpoint.tensors), None)!r}."
        )
    return vit


def vit_rules(vit):
    """`Rule`s of all but positions and prefix tokens."""
    rules = [
        Rule(
            "patch_embedding/kernel",
            (vit.key("patch", ".weight"),),
            patch_kernel,
        ),
        Rule("patch_embedding/bias", (vit.key("patch", ".bias"),), unchanged),
    ]
    for path, part in (
        ("block_{i}/attention_norm", "attention_norm"),
        ("block_{i}/mlp_norm", "mlp_norm"),
        ("norm", "norm"),
    ):
        rules += norm_rules(path, vit.key(part))
    rules += dense_rules("block_{i}/mlp_in", vit.key("mlp_in"))
    for path, part, scale in (
        (
            "block_{i}/attention/output_projection",
            "attention_output",
            "attention_scale",
        ),
        ("block_{i}/mlp_out", "mlp_out", "mlp_scale"),
    ):
        if vit.has_layer_scale:
            rules += scaled_rules(path, vit.key(part), vit.key(scale))
        else:
            rules += dense_rules(path, vit.key(part))
    qkv = dense_rules(
        "block_{i}/attention/qkv",
        *(vit.prefix + name for name in vit.names.qkv),
    )
    if not vit.has_qkv_bias:
        qkv[1] = Rule(qkv[1].path, qkv[0].keys, no_bias)
    return rules + qkv


def table_rules(vit, grid_size):
    """`Rule`s of a file with one table of positions, prefix first.

    Registers have no position, and the other prefix tokens need not.

    Args:
        vit: `Vit`.
        grid_size: pair `(time, freq)`.
    """
    tokens, positions = vit.prefix_tokens, vit.key("positions")
    count = vit.num_prefix_tokens - vit.num_registers
    if vit.tensors[positions].shape[1] == math.prod(grid_size):
        count = 0

    def prefix(positions, *tokens):
        tokens = np.concatenate([token[0] for token in tokens])
        tokens[:count] += positions[0, :count]
        return tokens

    def grid(positions):
        # (f*t, d) -> (t, f, d)
        table = positions[0, count:].reshape(*grid_size[::-1], -1)
        return table.transpose(1, 0, 2)

    return [
        Rule("prefix/tokens", (positions, *tokens), prefix),
        Rule("positions/grid", (positions,), grid),
    ]


def norm_rules(path, key):
    """`Rule`s of a layer norm."""
    return [
        Rule(f"{path}/gamma", (f"{key}.weight",), unchanged),
        Rule(f"{path}/beta", (f"{key}.bias",), unchanged),
    ]


def dense_rules(path, *keys):
    """`Rule`s of a dense layer; several keys lie side by side in ours."""
    return [
        Rule(f"{path}/kernel", tuple(f"{key}.weight" for key in keys), dense),
        Rule(f"{path}/bias", tuple(f"{key}.bias" for key in keys), joined),
    ]


def scaled_rules(path, key, scale):
    """`Rule`s of a dense layer whose outputs are multiplied by a weight each.

    The product is that of a dense layer alone, so it is made here.
    """
    return [
        Rule(f"{path}/kernel", (f"{key}.weight", scale), scaled_dense),
        Rule(f"{path}/bias", (f"{key}.bias", scale), np.multiply),
    ]


def unchanged(array):
    """The array as it is."""
    return array


def joined(*arrays):
    """Vectors one after the other."""
    return np.concatenate(arrays)


def no_bias(*kernels):
    """Zeros, in place of the biases of dense layers that have none."""
    return np.zeros(sum(len(kernel) for kernel in kernels), "float32")


def dense(*arrays):
    """`(out, in)` of each -> `(in, sum of out)`."""
    return np.concatenate(arrays).T


def scaled_dense(kernel, scale):
    """`(out, in)` -> `(in, out)`, times `(out,)`."""
    return kernel.T * scale


def patch_kernel(array):
    """`(width, channels, freq, time)` -> `(time, freq, 1, width)`.

    The channels of an image are summed, as AST does.
    """
    return array.sum(axis=1, keepdims=True).transpose(3, 2, 1, 0)
