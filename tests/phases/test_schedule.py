import keras
import pytest

from keras_c2f.phases import Phase, PhaseSchedule
from keras_c2f.resolution import Pool, Resolution

pytestmark = pytest.mark.once

COSINE = keras.optimizers.schedules.CosineDecay(1e-3, 10)


def test_phase_from_text():
    phase = Phase.parse(" pool:4:max@8 lr=1e-3 wd=0.05 reset ")
    assert phase == Phase(Pool(4, "max"), 8, 1e-3, 0.05, "reset")
    assert Phase.parse("full@1") == Phase(Resolution(), 1)
    assert Phase.parse("full@1 carry").optimizer == "carry"


def test_text_and_phase_are_the_same():
    text = "shift:2+pool:2@3 lr=0.0003 wd=0.05 reset, full@1"
    assert str(PhaseSchedule(text)) == text
    phases = PhaseSchedule(text).phases
    for source in (text.split(", "), list(phases), PhaseSchedule(phases)):
        assert PhaseSchedule(source).phases == phases
    assert PhaseSchedule(phases[0]).phases == phases[:1]


def test_rates_are_floats_or_schedules():
    phase = Phase("full", 1, learning_rate=1, weight_decay=0)
    assert type(phase.learning_rate) is float  # Keras refuses an int
    assert type(phase.weight_decay) is float
    assert Phase("full", 1, learning_rate=COSINE).learning_rate is COSINE


def test_epochs_belong_to_phases():
    schedule = PhaseSchedule("pool:4@2, pool:2@1, full@3")
    assert schedule.epochs == 6
    assert [schedule.index_at(n) for n in range(8)] == [0, 0, 1, 2, 2, 2, 2, 2]
    assert [schedule.first_epoch(n) for n in range(3)] == [0, 2, 3]
    assert len(schedule) == 3
    assert [phase.epochs for phase in schedule] == [2, 1, 3]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"epochs": 0}, "`epochs` of a phase is a whole number .* pool:2"),
        ({"epochs": 1.5}, "Received: epochs=1.5"),
        ({"optimizer": "restart"}, "one of carry, reset.*'restart'"),
        (
            {"learning_rate": lambda: 1e-3},
            "or a LearningRateSchedule. Received",
        ),
        ({"learning_rate": -1e-3}, "number of at least 0, or a Learning"),
        ({"learning_rate": "1e-3"}, "learning_rate='1e-3' for phase pool:2"),
        ({"weight_decay": COSINE}, "`weight_decay` of a phase is a number"),
        ({"weight_decay": float("nan")}, "weight_decay=nan"),
    ],
    ids=range(8),  # the same in each test process
)
def test_bad_phases_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Phase(**{"resolution": "pool:2", "epochs": 1, **options})


@pytest.mark.parametrize(
    "text",
    ["", "pool:4", "pool:4@", "pool:4@x", "pool:4@8 lr=fast", "full@1 speed=2"],
)
def test_bad_texts_are_refused(text):
    with pytest.raises(ValueError, match="A phase reads `pool:4@8`"):
        Phase.parse(text)


def test_bad_schedules_are_refused():
    with pytest.raises(ValueError, match="at least one phase; this is empty"):
        PhaseSchedule([])
    with pytest.raises(ValueError, match="A phase reads .* Received: '8'"):
        PhaseSchedule(["pool:4@8", 8])
