"""The kinds of checkpoint that can be read, and how to recognise them."""

from typing import NamedTuple

from keras_c2f.convert.audio import ast_plan, ssast_plan, ssast_pretraining_plan
from keras_c2f.convert.hts_at import hts_at_plan
from keras_c2f.convert.imagenet import imagenet_plan
from keras_c2f.convert.kwt import kwt_plan
from keras_c2f.convert.passt import passt_plan
from keras_c2f.convert.vit import vit_of
from keras_c2f.convert.whisper import whisper_plan


class Source(NamedTuple):
    """A kind of checkpoint: its `Plan`, and what is wanted of it if unsaid."""

    plan: object
    positions: str = "interpolate"
    wanted: dict = {}  # noqa: RUF012  never changed


SOURCES = {
    "ast": Source(ast_plan),
    "ssast": Source(ssast_plan),
    "ssast_pretraining": Source(ssast_pretraining_plan),
    "passt": Source(passt_plan),
    "imagenet": Source(
        imagenet_plan,
        "cut",  # as AST starts from ImageNet
        {"num_frames": 1024, "num_mel_bins": 128, "patch_stride": (10, 10)},
    ),
    "dinov2": Source(
        imagenet_plan,
        "interpolate",  # as its authors change its resolution
        {
            "num_frames": 1024,
            "num_mel_bins": 128,
            "patch_size": (16, 16),  # of 14 x 14; growing a kernel is exact
            "patch_stride": (10, 10),
        },
    ),
    "hts_at": Source(hts_at_plan),
    "kwt": Source(kwt_plan),
    "whisper": Source(whisper_plan),
}
# A key that ends so gives the source; else the kernel does.
MARKS = {
    "freq_new_pos_embed": "passt",
    "p_input_fdim": "ssast",
    "patch_embed/kernel": "kwt",
    "relative_position_bias_table": "hts_at",
    ".ls1.gamma": "dinov2",
    ".layer_scale1.lambda1": "dinov2",
    "encoder.embed_positions.weight": "whisper",
    "encoder.positional_embedding": "whisper",
    "encoder.position_encodings.encodings": "whisper",
}


def source_of(checkpoint):
    """Key of `SOURCES` that a `Checkpoint` is of, by its keys.

    Raises:
        ValueError: if it is none of them.
    """
    tensors = checkpoint.tensors
    for ending, source in MARKS.items():
        if any(key.endswith(ending) for key in tensors):
            return source
    _, channels, freq, time = vit_of(checkpoint).kernel.shape
    if channels > 1:
        return "imagenet"
    return "ast" if freq == time else "ssast"  # AST's patches are square
