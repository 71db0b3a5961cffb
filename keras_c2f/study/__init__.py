"""Studies: grids of training runs that answer one question each."""

from keras_c2f.study.plan import Cell, Study, plan_names, read_study
from keras_c2f.study.results import Results, read_results
from keras_c2f.study.runner import run_study

__all__ = [
    "Cell",
    "Results",
    "Study",
    "plan_names",
    "read_results",
    "read_study",
    "run_study",
]
