"""States of a converted model against those of its original in torch."""

import keras
import numpy as np
from contract import numpy

DEPTHS = {"dropout": 0, "block_0": 1, "block_2": 3}


def time_first(grid, num_tokens=2):
    """Where our tokens stand in an original with a `(freq, time)` grid."""
    positions = np.arange(grid[0] * grid[1]).reshape(grid)
    positions = num_tokens + positions.T.reshape(-1)
    return np.concatenate([np.arange(num_tokens), positions])


def check_states(backbone, clips, states, grid, num_tokens=2):
    """Tokens at three depths and after the last norm.

    Args:
        backbone: `AST`.
        clips: `(batch, time, freq)`.
        states: list of torch tensors: before the blocks, after each of them,
            after the last norm.
        grid: pair `(freq, time)`.
        num_tokens: int, prefix tokens.
    """
    inside = keras.Model(
        backbone.input,
        [backbone.get_layer(name).output for name in (*DEPTHS, "norm")],
    )
    order = time_first(grid, num_tokens)
    for mine, depth in zip(inside(clips), (*DEPTHS.values(), -1), strict=True):
        theirs = states[depth].detach().numpy()[:, order]
        assert np.ptp(theirs) > 1
        np.testing.assert_allclose(numpy(mine), theirs, atol=1e-4)


def check_logits(model, clips, logits):
    logits = logits.detach().numpy()
    assert np.ptp(logits) > 1
    np.testing.assert_allclose(numpy(model(clips)), logits, atol=1e-4)
