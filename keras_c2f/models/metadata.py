"""Metadata stored with an exported classifier."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

FILE_NAME = "keras_c2f.json"  # in an archive or a SavedModel
PROPERTY = "keras_c2f"  # of an ONNX file


@dataclasses.dataclass(frozen=True)
class ClassifierInfo:
    """Kept with each exported classifier, as JSON.

    Args:
        class_names: tuple of str, in the order of the scores.
        sample_rate: int, Hz.
        num_samples: int, samples of a window.
        multi_label: bool; scores are independent, or sum to 1.
        resolution: str, as `Resolution` writes it.
        variant: str, numbers that the weights are kept in, such as
            `"float32"` or `"int8"`.
        cascade: dict of what decides in a cascade, as `Calibration.to_dict`
            returns it: `resolutions`, coarse to fine, their `temperatures`,
            `threshold`, `gmacs` and more. `None`: one network.

    Example:
        >>> info = ClassifierInfo(("no", "yes"), 16000, 16000)
        >>> ClassifierInfo.from_json(info.to_json()) == info
        True
    """

    class_names: Sequence[str]
    sample_rate: int
    num_samples: int
    multi_label: bool = False
    resolution: str = "full"
    variant: str = "float32"
    cascade: dict[str, Any] | None = None

    def __post_init__(self):
        object.__setattr__(self, "class_names", tuple(self.class_names))

    def to_json(self) -> str:
        """str."""
        fields = dataclasses.asdict(self)
        if self.cascade is None:  # as earlier versions read it
            del fields["cascade"]
        return json.dumps(fields, indent=1)

    @classmethod
    def from_json(cls, text: str) -> ClassifierInfo:
        """`ClassifierInfo` of a text that `to_json` wrote.

        Raises:
            ValueError: if it is another text.
        """
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError) as error:
            raise ValueError(
                "The description of the classifier cannot be read: it was "
                f"not written by this version of keras_c2f. ({error})"
            ) from None
