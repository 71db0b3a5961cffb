"""The stopwatch, with clocks that are set by hand."""

import pytest

from keras_c2f.training import stopwatch
from keras_c2f.training.stopwatch import Stopwatch

pytestmark = pytest.mark.once


@pytest.fixture
def clock(monkeypatch):
    """A dict of the clocks; both stand still."""
    now = {"perf_counter": 0.0, "process_time": 0.0}
    for name in now:
        monkeypatch.setattr(stopwatch.time, name, lambda name=name: now[name])
    return now


def spend(clock, seconds):
    clock["perf_counter"] += seconds
    clock["process_time"] += 2 * seconds


def test_reads_what_was_spent_since_the_last_time(clock):
    watch = Stopwatch()
    spend(clock, 1.5)
    assert watch.read() == {"seconds": 1.5, "cpu_seconds": 3.0}
    assert watch.read() == {"seconds": 0, "cpu_seconds": 0}


def test_does_not_count_pauses(clock):
    watch = Stopwatch()
    spend(clock, 1)
    with pytest.raises(KeyError), watch.paused():
        spend(clock, 100)
        raise KeyError
    spend(clock, 2)
    assert watch.read() == {"seconds": 3, "cpu_seconds": 6}
