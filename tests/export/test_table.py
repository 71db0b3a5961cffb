"""Which exported file to take."""

import pytest

from keras_c2f.export import recommended
from keras_c2f.export.table import export_table, recommendation

pytestmark = pytest.mark.once


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
        "num_clips": 400,
        "metric": "accuracy",
        "keras_score": 0.8125,
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
    assert recommended(rows)["variant"] == best


def test_one_clip_may_always_be_lost():
    few = row("dynamic", 10, 6, lost=100 / 80, num_clips=80)
    assert recommended([few]) is few
    many = {**few, "num_clips": 400}
    assert recommended([many]) is None
    assert "None of these" in recommendation(None, [many])


def test_a_file_that_is_gone_is_not_recommended():
    gone = row("int8", 9, 6, lost=3, num_clips=20, kept=0)
    assert recommended([gone]) is None


def test_words():
    text = recommendation(recommended(ROWS), ROWS)
    assert "a-dynamic.tflite: 99.0% of the clips" in text
    assert "27% of the space" in text and "2.0 times as fast" in text
    assert "times" not in recommendation(ROWS[0], ROWS)
    lines = export_table(ROWS).splitlines()
    assert lines[4].endswith("3.0, not kept")
    assert "accuracy, of the file" in lines[5] and "400 clips" in lines[5]
