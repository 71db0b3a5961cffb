"""What `predict` prints and draws."""

import json

import numpy as np
import pytest
from PIL import Image

from keras_c2f.inference import Window
from keras_c2f.inference.output import (
    as_json,
    as_rows,
    as_text,
    edges,
    segments,
)
from keras_c2f.report.timeline import draw_timeline, likely_rows

pytestmark = pytest.mark.once
NAMES = ("dog", "rain", "$5 coin")


def windows(*scores, seconds=4, hop=4):
    return [
        Window(hop * k, hop * k + seconds, np.array(row, "float32"))
        for k, row in enumerate(scores)
    ]


WINDOWS = windows((0.7, 0.2, 0.1), (0.9, 0.1, 0), (0.2, 0.3, 0.5))


def test_text():
    assert as_text("a.wav", WINDOWS, NAMES, 2).splitlines() == [
        "a.wav",
        "  dog                   60.0% ##################",
        "  rain                  20.0% ######",
        "  0:00.0 to 0:08.0     dog 90%",
        "  0:08.0 to 0:12.0     $5 coin 50%",
    ]
    assert len(as_text("a.wav", WINDOWS[:1], NAMES, 1).splitlines()) == 2


def test_a_long_recording_is_summed_up():
    scores = [(0.9, 0.1, 0), (0.1, 0.9, 0)] * 30
    lines = as_text("a.wav", windows(*scores), NAMES, 1).splitlines()
    assert len(lines) == 1 + 1 + 20 + 1
    assert "and 40 more" in lines[-1]


def test_windows_that_overlap_part_in_the_middle():
    found_windows = windows((0.9, 0, 0), (0, 0.9, 0), hop=2)
    assert edges(found_windows).tolist() == [0, 3, 6]
    found = [part[:3] for part in segments(found_windows, NAMES)]
    assert found == [(0, 3, "dog"), (3, 6, "rain")]


def test_records():
    rows = as_rows("a.wav", WINDOWS, NAMES, 1)
    assert [row[:4] for row in rows] == [
        ("a.wav", 0, 4, "dog"),
        ("a.wav", 4, 8, "dog"),
        ("a.wav", 8, 12, "$5 coin"),
    ]
    found = json.loads(as_json("a.wav", WINDOWS, NAMES, 2))
    assert list(found["scores"]) == ["dog", "rain"]
    assert found["windows"][2]["scores"]["$5 coin"] == pytest.approx(0.5)


def test_rows_of_a_timeline_begin_with_what_is_predicted_first():
    scores = np.zeros((3, 20))
    scores[:, :14] = np.linspace(0.1, 0.2, 14)  # more than there is room for
    scores[0, 15], scores[1:, 14], scores[2, 16] = 0.9, 0.8, 0.04
    rows, drawn = likely_rows(scores)
    assert rows[:2] == [15, 14] and len(rows) == 12 and 16 not in rows
    np.testing.assert_array_equal(drawn, scores[:, rows])
    assert likely_rows(np.full((2, 3), 0.01))[0] == [0]


def test_timeline_is_dark_where_a_class_is_predicted(tmp_path):
    found_windows = windows((0.9, 0, 0), (0.9, 0, 0), (0, 0.9, 0), (0, 0.9, 0))
    draw_timeline(found_windows, NAMES, tmp_path / "a.png", "a $ sign")
    grey = np.asarray(Image.open(tmp_path / "a.png").convert("L"))
    dark = grey < 100
    height, width = dark.shape
    halves = dark[:, : width // 2], dark[:, width // 2 : int(0.85 * width)]
    positions = [np.median(np.nonzero(half)[0]) for half in halves]
    assert positions[0] < positions[1]  # dog above, rain below
    assert all(half.mean() > 0.05 for half in halves)


@pytest.mark.parametrize("found_windows", [WINDOWS[:1], windows((0, 0, 0.01))])
def test_a_timeline_of_little(tmp_path, found_windows):
    draw_timeline(found_windows, NAMES, tmp_path / "a.svg")
    assert (tmp_path / "a.svg").stat().st_size > 1000
