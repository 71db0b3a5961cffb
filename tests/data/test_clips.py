import numpy as np
import pytest

from keras_c2f.data.clips import Clips

pytestmark = pytest.mark.once


def test_targets_of_single_and_multi_labels():
    single = Clips(["a", "b", "c"], [2, 0, 2], "xyz")
    np.testing.assert_array_equal(
        single.targets(), [[0, 0, 1], [1, 0, 0], [0, 0, 1]]
    )
    assert single.targets().dtype == "float32"
    multi = Clips(["a", "b"], [[1, 1], [0, 1]], ("x", "y"))
    np.testing.assert_array_equal(multi.targets(), [[1, 1], [0, 1]])
    assert multi.targets().dtype == "float32"


def test_subset_keeps_order_and_class_names():
    recordings = [np.full(3, value, "float32") for value in range(4)]
    part = Clips(recordings, [0, 1, 2, 0], ("x", "y", "z")).subset([3, 1])
    assert [audio[0] for audio in part.audio] == [3, 1]
    assert part.labels.tolist() == [0, 1]
    assert part.class_names == ("x", "y", "z")


def test_recordings_may_be_one_array():
    assert len(Clips(np.zeros((5, 16000)), [0, 1, 0, 1, 0], "xy")) == 5


@pytest.mark.parametrize(
    "recordings, labels, names, message",
    [
        ([], [], "xy", "no clips"),
        (["a"], [0], "x", "at least two"),
        (["a", "b"], [0], "xy", "2 recordings and labels of shape"),
        (["a"], [2], "xy", "Label 2 of clip 0 is outside"),
        (["a", "b"], [0, -1], "xy", "Label -1 of clip 1"),
        (["a"], [0.5], "xy", "whole numbers"),
        (["a"], [[1, 0, 0]], "xy", "3 columns"),
        (["a"], [[1, np.nan]], "xy", "of clip 0 is outside"),
    ],
)
def test_bad_clips_are_refused_with_the_reason(
    recordings, labels, names, message
):
    with pytest.raises(ValueError, match=message):
        Clips(recordings, labels, names)


def test_clips_without_labels():
    clips = Clips(["a.wav", "b.wav"], np.zeros((2, 0)), ())
    assert clips.num_classes == 0
    assert clips.subset([1]).targets().shape == (1, 0)
    with pytest.raises(ValueError, match="at least two classes.*shape .n, 0"):
        Clips(["a.wav", "b.wav"], [0, 0], ())


@pytest.mark.parametrize("name", ["hot\ndog", "dog\r", "d\x07og", "a\u2028b"])
def test_class_names_have_a_line_of_their_own(name):
    """What is exported lists them line by line."""
    with pytest.raises(ValueError, match="a line break or a control"):
        Clips(["a.wav"], [0], [name, "rain"])
    for name in ("hot dog", "犬\u3000吠", "d\u00b7g", "👩\u200d🎤"):
        Clips(["a.wav"], [0], [name, "rain"])


def test_two_classes_of_one_name_are_refused():
    with pytest.raises(ValueError, match="Two classes are called 'dog'"):
        Clips(["a.wav"], [0], ["dog", "rain", "dog"])
