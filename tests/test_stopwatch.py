"""The stopwatch, with clocks that are set by hand."""

import pytest

from keras_c2f import stopwatch
from keras_c2f.stopwatch import Stopwatch

pytestmark = pytest.mark.once


class Meter:
    """Joules that the test says, `""` if none."""

    spent = 0.0

    def read(self):
        spent, Meter.spent = Meter.spent, 0.0
        return spent


@pytest.fixture
def clock(monkeypatch):
    """A dict of the clocks; both stand still."""
    now = {"perf_counter": 0.0, "process_time": 0.0}
    monkeypatch.setattr(stopwatch, "EnergyMeter", Meter)
    for name in now:
        monkeypatch.setattr(stopwatch.time, name, lambda name=name: now[name])
    return now


def spend(clock, seconds, joules):
    clock["perf_counter"] += seconds
    clock["process_time"] += 2 * seconds
    Meter.spent = joules


def test_reads_what_was_spent_since_the_last_time(clock):
    watch = Stopwatch()
    spend(clock, 1.5, 10.0)
    expected = {"seconds": 1.5, "cpu_seconds": 3.0, "joules": 10.0}
    assert watch.read() == expected
    assert watch.read() == dict.fromkeys(expected, 0)


def test_does_not_count_pauses(clock):
    watch = Stopwatch()
    spend(clock, 1, 10.0)
    with pytest.raises(KeyError), watch.paused():
        spend(clock, 100, 1000.0)
        raise KeyError
    spend(clock, 2, 20.0)
    assert watch.read() == {"seconds": 3, "cpu_seconds": 6, "joules": 30}


def test_says_nothing_of_energy_that_is_not_told(clock):
    watch = Stopwatch()
    spend(clock, 1, "")
    with watch.paused():
        pass
    spend(clock, 1, 5.0)
    assert watch.read()["joules"] == ""
