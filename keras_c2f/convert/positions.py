"""AST's way with a position grid that must shrink: its centre is kept."""

from keras import ops

from keras_c2f.phases.transplant import weights_by_path
from keras_c2f.resample import resize_axes

GRID = "positions/grid"


def cut_positions(source, target):
    """Fills the grid of `target` from that of `source`, cut where it shrinks.

    Args:
        source, target: networks with a `PositionGrid` named `positions`.

    Raises:
        ValueError: if they have none.
    """
    weights = weights_by_path(source)
    if GRID not in weights:
        raise ValueError(
            "`positions='cut'` is for models with a table of positions, and "
            f"this {type(source).__name__} has none. Leave it out."
        )
    old = ops.convert_to_numpy(weights[GRID][0])
    variable, _ = weights_by_path(target)[GRID]
    size = variable.shape[:2]
    variable.assign(resize_axes(centre_cut(old, size), size))


def centre_cut(grid, size):
    """The middle of the axes that are longer than wanted.

    Args:
        grid: `(time, freq, width)`.
        size: pair `(time, freq)`.

    Returns:
        `grid`, no axis longer than in `size`. An odd middle is where AST's
        code has it: index `old // 2 - new // 2` comes first.
    """
    for axis, (old, new) in enumerate(zip(grid.shape[:2], size, strict=True)):
        if new < old:
            first = old // 2 - new // 2
            grid = grid.take(range(first, first + new), axis=axis)
    return grid
