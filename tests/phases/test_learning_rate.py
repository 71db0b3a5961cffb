import keras
import numpy as np
import pytest

from keras_c2f.phases import Cosine, with_cosine
from keras_c2f.phases.learning_rate import FromStep


def reloaded(rate):
    config = keras.saving.serialize_keras_object(rate)
    return keras.saving.deserialize_keras_object(config)


def rates(schedule, steps):
    return np.array([float(schedule(step)) for step in range(steps)])


@pytest.mark.parametrize("warmup", [0, 5])
def test_whole_cosine_is_that_of_keras(warmup):
    theirs = keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else 2e-3,
        100 - warmup,
        warmup_target=2e-3 if warmup else None,
        warmup_steps=warmup,
    )
    ours = reloaded(Cosine(2e-3, 100, warmup=warmup / 100))
    np.testing.assert_allclose(rates(ours, 110), rates(theirs, 110), atol=1e-9)


def test_pieces_of_a_cosine_make_the_whole():
    first = reloaded(Cosine(1.0, 30, end=0.3, warmup=0.1))
    second = reloaded(Cosine(1.0, 70, begin=0.3, warmup=0.1))
    pieces = [*rates(first, 30), *rates(second, 71)]
    whole = rates(Cosine(1.0, 100, warmup=0.1), 101)
    np.testing.assert_allclose(pieces, whole, atol=1e-6)


def test_a_cosine_may_be_all_warm_up():
    rising = Cosine(1.0, 4, warmup=1.0)
    np.testing.assert_allclose(rates(rising, 5), [0, 0.25, 0.5, 0.75, 1.0])


def test_cosine_begins_anew_in_each_phase():
    phases = with_cosine("pool:2@4, full@1 lr=5e-4", 1e-3, 10, warmup=0.1)
    assert [rate.get_config() for rate in rates_of(phases)] == [
        {"peak": 1e-3, "steps": 40, "begin": 0.0, "end": 1.0, "warmup": 0.1},
        {"peak": 5e-4, "steps": 10, "begin": 0.0, "end": 1.0, "warmup": 0.1},
    ]


def test_one_cosine_goes_down_over_compute():
    phases = with_cosine(
        "pool:4@6, pool:2@3, full@3", 1e-3, 7, cost=lambda r: 8 / r.factor
    )
    # 6 x 2, 3 x 4 and 3 x 8 of 48
    positions = [(rate.begin, rate.end) for rate in rates_of(phases)]
    assert positions == [(0.0, 0.25), (0.25, 0.5), (0.5, 1.0)]
    first, second, third = rates_of(phases)
    assert float(first(42)) == pytest.approx(float(second(0)))
    assert float(second(21)) == pytest.approx(float(third(0)))
    assert float(third(0)) == pytest.approx(0.5e-3)
    assert float(third(21)) == pytest.approx(0.0, abs=1e-9)


def test_a_reset_phase_begins_another_cosine():
    phases = with_cosine(
        "pool:2@2, full@1, full@4 lr=2e-4 reset", 1e-3, 5, cost=lambda r: 1
    )
    positions = [(rate.begin, rate.end) for rate in rates_of(phases)]
    assert positions == [(0.0, 2 / 3), (2 / 3, 1.0), (0.0, 1.0)]
    assert [rate.peak for rate in rates_of(phases)] == [1e-3, 1e-3, 2e-4]


def rates_of(schedule):
    return [phase.learning_rate for phase in schedule]


def test_schedule_from_a_later_step_survives_saving():
    cosine = keras.optimizers.schedules.CosineDecay(1e-3, 10)
    later = reloaded(FromStep(cosine, 40))
    # half way, cosine decay is at a half
    assert float(later(45)) == pytest.approx(0.5e-3)
    assert float(later(40)) == pytest.approx(1e-3)
