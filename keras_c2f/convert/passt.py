"""PaSST: an AST whose positions are a table of time plus one of frequency."""

import numpy as np

from keras_c2f.convert.audio import audio_backbone
from keras_c2f.convert.rules import Plan, Rule
from keras_c2f.convert.vit import dense_rules, norm_rules, vit_of, vit_rules
from keras_c2f.models import AudioClassifier


def passt_plan(checkpoint, trained):
    """`Plan` of a PaSST, as an `AST` with a head.

    The grid is the sum of the two tables, which is exact, and stays so when
    it is resized: interpolation is linear and its rows sum to 1. What is lost
    is a tie: in training the grid is free, where the two tables are not.

    The table of time has `num_frames // stride` entries, at times one more
    than there are patches. As in PaSST's own evaluation the leading ones are
    those of the clip, and `positions="lead"` keeps to that for shorter clips.

    Args:
        checkpoint: `Checkpoint`.
        trained: dict, as for `ast_plan`.
    """
    vit = vit_of(checkpoint)
    tables = {
        name: f"{vit.prefix}{name}_new_pos_embed" for name in ("freq", "time")
    }
    for key in tables.values():
        if key not in vit.tensors:
            raise ValueError(f"{checkpoint.path} lacks the key {key!r}.")
    freq = vit.tensors[tables["freq"]].shape[2]
    entries = vit.tensors[tables["time"]].shape[3]
    time = entries
    if "num_frames" in trained and "patch_stride" in trained:
        stride = trained["patch_stride"][0]
        patches = 1 + (trained["num_frames"] - vit.kernel.shape[3]) // stride
        if entries == trained["num_frames"] // stride:
            time = min(patches, entries)
    backbone = audio_backbone(checkpoint, vit, trained, 1e-6, freq * time)
    count = vit.num_prefix_tokens
    tokens = [vit.key("class_token"), vit.key("distillation_token")][:count]

    def prefix(positions, *tokens):
        return np.concatenate([token[0] for token in tokens]) + positions[0]

    def grid(freq, time):
        # (1, d, f, 1) + (1, d, 1, t) -> (t, f, d)
        leading = time[..., : backbone.grid_size[0]]
        return (freq + leading)[0].transpose(2, 1, 0)

    rules = [
        *vit_rules(vit),
        Rule("prefix/tokens", (f"{vit.prefix}new_pos_embed", *tokens), prefix),
        Rule("positions/grid", tuple(tables.values()), grid),
        *norm_rules("head_norm", f"{vit.prefix}head.0"),
        *dense_rules("head", f"{vit.prefix}head.1"),
    ]
    classes = vit.tensors.get(f"{vit.prefix}head.1.bias")
    if classes is None:
        raise ValueError(
            f"{checkpoint.path} lacks the key {vit.prefix + 'head.1.bias'!r}."
        )
    return Plan(
        AudioClassifier(backbone, len(classes)),
        rules,
        (vit.prefix.replace(".", r"\.") + r"head_dist\.(weight|bias)",),
    )
