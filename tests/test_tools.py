"""Tables of the studies in `tools`, from rows as runs give them."""

import sys
from pathlib import Path

import pytest


@pytest.fixture
def tools(monkeypatch):
    """The folder `tools`, from which its scripts import each other."""
    folder = Path(__file__).parents[1] / "tools"
    if not folder.is_dir():
        pytest.skip("needs the repository")
    monkeypatch.syspath_prepend(str(folder))
    yield
    for name in ("pretrain_study", "compare_methods"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    "metric, score", [("accuracy", "75.0%"), ("mean_average_precision", "0.75")]
)
def test_table_of_the_study_of_pretraining(tools, metric, score):
    from compare_methods import COLUMNS
    from pretrain_study import STARTS, table

    def row(score):
        return dict(zip(COLUMNS, ("name", "1", score, 2e3, 3.0), strict=True))

    rows = [
        (start, row(0.5) if start != STARTS[0] else None, row(then))
        for start in STARTS
        for then in (0.7, 0.8)
    ]
    _, _, scratch, *started = table(rows, metric).splitlines()
    assert scratch.startswith(f"| random weights | {score}")
    assert "| 0.700 0.800 | – | – | – | 2.00 | 3 |" in scratch
    for line in started:
        assert "| 0.700 0.800 | 50.0% | 2.00 | 3 | 2.00 | 3 |" in line
