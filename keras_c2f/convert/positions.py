"""The originals' ways with a position grid that must shrink: they cut it."""

from keras import ops

from keras_c2f.layers.resizing import resize_axes
from keras_c2f.phases.transplant import weights_by_path

GRID = "positions/grid"


def cut_positions(source, target, way):
    """Fills the grid of `target` from that of `source`, cut where it shrinks.

    Args:
        source, target: networks with a `PositionGrid` named `positions`.
        way: `"cut"`, AST's: the centre of both axes stays; `"lead"`, PaSST's:
            the first steps in time stay.

    Raises:
        ValueError: if they have none.
    """
    weights = weights_by_path(source)
    if GRID not in weights:
        raise ValueError(
            f"`positions={way!r}` is for models with a table of positions, and "
            f"this {type(source).__name__} has none. Leave it out."
        )
    old = ops.convert_to_numpy(weights[GRID][0])
    variable, _ = weights_by_path(target)[GRID]
    size = variable.shape[:2]
    kept = centre_cut(old, size) if way == "cut" else old[: size[0]]
    variable.assign(resize_axes(kept, size))


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
