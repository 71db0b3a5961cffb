"""Studies: grids of training runs that answer one question each."""

from studies.plan import Cell, Study, plan_names, read_study
from studies.results import Results, read_results
from studies.runner import run_study

__all__ = [
    "Cell",
    "Results",
    "Study",
    "plan_names",
    "read_results",
    "read_study",
    "run_study",
]
