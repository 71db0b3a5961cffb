"""Which exported file to take."""

import pytest

from keras_c2f.export import recommended
from keras_c2f.export.table import export_table, recommendation
from keras_c2f.report.exports import exports_section
from keras_c2f.report.runs import RunRecord

pytestmark = pytest.mark.once
SUMMARY = {"num_clips": 400, "score": 0.8125, "metric": "accuracy"}


def row(variant, milliseconds, megabytes, lost=0.0, same=1.0, **changes):
    values = {
        "file": f"a-{variant}.tflite",
        "format": "litert",
        "variant": variant,
        "resolution": "full",
        "megabytes": megabytes,
        "milliseconds": milliseconds,
        "largest_difference": 0.01,
        "same_class": same,
        "score": 0.8,
        "points_lost": lost,
        "kept": 1,
    }
    return {**values, **changes}


ROWS = [
    row("float32", 20, 24),
    row("float16", 19.5, 12),
    row("dynamic", 10, 6.5, lost=0.25, same=0.99),
    row("int8", 9.5, 6, lost=3.0, same=0.93, kept=0),
]


@pytest.mark.parametrize(
    "changes, best",
    [
        ({}, "dynamic"),
        ({"points_lost": 0.6}, "float16"),  # as fast as float32, and smaller
        ({"same_class": 0.97}, "float16"),
        ({"points_lost": -2.0}, "dynamic"),
    ],
)
def test_the_fastest_that_loses_nothing(changes, best):
    rows = [r | (changes if r["variant"] == "dynamic" else {}) for r in ROWS]
    assert recommended(rows, 400)["variant"] == best


def test_one_clip_may_always_be_lost():
    rows = [row("dynamic", 10, 6, lost=100 / 80)]
    assert recommended(rows, 80) is rows[0]
    assert recommended(rows, 400) is None
    assert "None of these" in recommendation(None, rows)


def test_words():
    text = recommendation(recommended(ROWS, 400), ROWS)
    assert "a-dynamic.tflite: 99.0% of the clips" in text
    assert "27% of the space" in text and "2.0 times as fast" in text
    assert "times" not in recommendation(ROWS[0], ROWS)
    lines = export_table(ROWS, SUMMARY).splitlines()
    assert "3.0, not kept" in lines[4]
    assert "accuracy 0.812, on 400 clips" in lines[5]
    written = [line for line in lines if line.startswith("Written")]
    assert len(written) == 3


def test_section_of_the_report():
    rows = [
        {**r, "keras_score": 0.8125, "num_clips": 400.0, "metric": "accuracy"}
        for r in ROWS
    ]
    assert exports_section(RunRecord({"name": "mine"}, [], {}, {})) == ""
    record = RunRecord({"name": "mine"}, [], {}, {}, exports=rows)
    page = exports_section(record)
    assert "mine for other programs" in page
    assert "Take a-dynamic.tflite" in page and "not kept" in page
