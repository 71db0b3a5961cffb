"""Callbacks of coarse-to-fine training, for `model.fit`."""

from keras_c2f.phases import CarryOver, PhaseScheduler

__all__ = ["CarryOver", "PhaseScheduler"]
