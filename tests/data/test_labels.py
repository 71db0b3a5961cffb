from dataclasses import replace

import numpy as np
import pytest

from keras_c2f.data import Clips, LabelSets

pytestmark = pytest.mark.once

ROWS = [[2, 0], [], [1], [0, 1, 2], [2, 2]]
DENSE = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 1], [0, 0, 1]])


def dense(labels):
    return [labels.multi_hot(i, 3).tolist() for i in range(len(labels))]


def test_label_sets_are_multi_hot_rows():
    labels = LabelSets.of(ROWS)
    assert dense(labels) == DENSE.tolist()
    assert labels.multi_hot(0, 3).dtype == "float32"
    assert dense(LabelSets.of(tuple(row) for row in ROWS)) == DENSE.tolist()
    assert [row.tolist() for row in labels][-2:] == [[0, 1, 2], [2]]
    assert labels[-2].tolist() == [0, 1, 2]
    with pytest.raises(IndexError):
        labels[5]


@pytest.mark.parametrize(
    "index", [[3, 1, 3], [], [0], np.array([4, 0]), slice(1, 4)]
)
def test_some_label_sets_in_any_order(index):
    if isinstance(index, slice):
        index = np.arange(5)[index]
    index = np.array(index, int)
    assert dense(LabelSets.of(ROWS)[index]) == DENSE[index].tolist()


def test_joined_label_sets_are_rows_below_rows():
    labels = LabelSets.of(ROWS)
    both = labels[[1, 0]].joined(labels[[3, 2]])
    assert dense(both) == DENSE[[1, 0, 3, 2]].tolist()


@pytest.mark.parametrize(
    "labels", [LabelSets.of(ROWS), np.arange(5) % 3, DENSE / 2], ids=str
)
def test_joined_clips_are_those_of_both(labels):
    clips = Clips(list("abcde"), labels, "xyz", note="one missing")
    other = replace(clips.subset([0]), note="two missing")
    again = clips.subset([3, 1]).joined(other)
    assert again.audio == ("d", "b", "a")
    np.testing.assert_array_equal(again.targets(), clips.targets()[[3, 1, 0]])
    assert again.note == "one missing; two missing"


def test_label_sets_of_other_than_indices_are_refused():
    with pytest.raises(ValueError, match="Row 1: .*float"):
        LabelSets.of([[1], [0.5]])
    with pytest.raises(ValueError, match="Row 0: .*not iterable"):
        LabelSets.of([1, 2])


def test_clips_with_label_sets():
    clips = Clips(list("abcde"), LabelSets.of(ROWS), "xyz", note="all here")
    assert clips.multi_label
    assert not Clips(["a"], [0], "xy").multi_label
    np.testing.assert_array_equal(clips.targets(), DENSE)
    part = clips.subset([3, 0])
    np.testing.assert_array_equal(part.targets(), DENSE[[3, 0]])
    assert repr(clips) == "<5 clips of 3 classes; all here>"
    message = r"Label \[0 1 2\] of clip 3 is outside the 2 classes"
    with pytest.raises(ValueError, match=message):
        Clips("abcd", LabelSets.of([[0], [], [1], [0, 1, 2]]), "xy")
    with pytest.raises(
        ValueError, match=r"5 recordings and labels of shape \(4,"
    ):
        Clips(list("abcde"), LabelSets.of(ROWS[:4]), "xyz")
