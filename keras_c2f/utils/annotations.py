"""Types that the annotations of several modules share.

At run time a tensor is anything, so that no framework is imported for it.
"""

import os
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import keras

    # symbolic, or of whatever backend
    Tensor: TypeAlias = keras.KerasTensor | Any
else:
    Tensor = Any
# with the batch axis; None where a size is not known
Shape: TypeAlias = tuple[int | None, ...]
PathLike: TypeAlias = str | os.PathLike[str]
