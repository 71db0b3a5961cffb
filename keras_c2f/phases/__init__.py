"""Training coarse to fine: schedule, transplant, and the callback."""

from keras_c2f.phases.budget import share_budget
from keras_c2f.phases.carry_over import CarryOver
from keras_c2f.phases.learning_rate import Cosine, with_cosine
from keras_c2f.phases.phased_model import PhasedModel
from keras_c2f.phases.schedule import Phase, PhaseSchedule
from keras_c2f.phases.scheduler import PhaseScheduler
from keras_c2f.phases.transplant import TransplantReport, transplant

__all__ = [
    "CarryOver",
    "Cosine",
    "Phase",
    "PhaseSchedule",
    "PhaseScheduler",
    "PhasedModel",
    "TransplantReport",
    "share_budget",
    "transplant",
    "with_cosine",
]
