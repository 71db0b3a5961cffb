"""Types that the annotations of several modules share.

Imported for type checkers alone, under `TYPE_CHECKING`: at run time
annotations are text.
"""

import os
from typing import Any, TypeAlias

import keras

# symbolic, or of whatever backend
Tensor: TypeAlias = keras.KerasTensor | Any
# with the batch axis; None where a size is not known
Shape: TypeAlias = tuple[int | None, ...]
PathLike: TypeAlias = str | os.PathLike[str]
