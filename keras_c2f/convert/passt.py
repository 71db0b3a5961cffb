"""PaSST: an AST whose positions are a table of time plus one of frequency."""

import numpy as np

from keras_c2f.convert.audio import audio_backbone
from keras_c2f.convert.rules import Plan, Rule
from keras_c2f.convert.vit import (
    dense_rules,
    norm_rules,
    vit_of,
    vit_rules,
)
from keras_c2f.models import AudioClassifier


def passt_plan(checkpoint, trained):
    """`Plan` of a PaSST, as an `AST` with a head.

    The grid is the sum of the two tables, which is exact, and stays so when
    it is resized: interpolation is linear and its rows sum to 1. What is lost
    is a tie: in training the grid is free, where the two tables are not. For
    shorter clips PaSST takes the leading part of its table of time, and we
    resize the grid: give `positions="cut"` for something nearer.

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
    freq, time = (vit.tensors[tables[n]].size for n in ("freq", "time"))
    num_positions = freq * time // vit.kernel.shape[0] ** 2
    backbone = audio_backbone(checkpoint, vit, trained, 1e-6, num_positions)
    count = vit.num_prefix_tokens
    tokens = [vit.key("class_token"), vit.key("distillation_token")][:count]

    def prefix(positions, *tokens):
        return np.concatenate([token[0] for token in tokens]) + positions[0]

    def grid(freq, time):
        # (1, d, f, 1) + (1, d, 1, t) -> (t, f, d)
        return (freq + time)[0].transpose(2, 1, 0)

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
