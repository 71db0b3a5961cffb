"""What went wrong in a run is said, with a remedy, and nothing else is."""

import pytest

from keras_c2f.report.findings import findings, simple_sentence
from keras_c2f.report.runs import RunRecord
from keras_c2f.report.words import caution

pytestmark = pytest.mark.once


def record(scores, final, at_switch=None, simple=None, clips=400, **config):
    """Two epochs at pool:4, two at full resolution.

    Args:
        scores: list of four, after each epoch.
        final: float, of the network that is kept.
        at_switch: float, right after the switch.
        simple: float, of the simple classifier.
    """
    history = [
        {"epoch": float(i), "phase": 1.0 + i // 2, "val_accuracy": score}
        for i, score in enumerate(scores)
    ]
    history[2]["switch_accuracy"] = at_switch
    phases = [{"resolution": name, "epochs": 2} for name in ("pool:4", "full")]
    evaluation = {"accuracy": final, "num_clips": clips}
    if simple is not None:
        evaluation["simple_classifier"] = {"accuracy": simple}
    config = {"name": "mine", "phases": phases, **config}
    return RunRecord(config, history, evaluation, {})


def test_nothing_is_said_of_a_run_without_loss():
    """A switch that costs much and is regained is none."""
    run = record([0.5, 0.7, 0.6, 0.8], 0.8, at_switch=0.2, simple=0.75)
    assert findings(run) == []
    assert "reaches 75.0% accuracy on the same clips" in simple_sentence(run)


def test_a_ruinous_switch_and_a_better_coarse_phase():
    run = record([0.5, 0.83, 0.1, 0.29], 0.29, at_switch=0.08)
    switch, coarse = findings(run)
    assert "switch to full took accuracy from 83.0% to 8.0%" in switch
    assert "ended at 29.0%" in switch and "--patch-size 2x128" in switch
    assert "phase 1, at pool:4, ended at 83.0%" in coarse
    assert "phase-1.keras" in coarse


@pytest.mark.parametrize(
    ("final", "clips", "number"),
    [(0.69, 4000, 0), (0.67, 4000, 1), (0.67, 100, 0)],
)
def test_differences_within_chance_are_passed_over(final, clips, number):
    """1 point; 3 points; and 3 where one standard error is 4.6."""
    run = record([0.5, 0.7, 0.6, final], final, clips=clips)
    assert len(findings(run)) == number


def test_a_network_below_the_simple_classifier():
    (sentence,) = findings(record([0.1, 0.2, 0.3, 0.5], 0.5, simple=0.75))
    assert "50.0% accuracy, is below the simple classifier, 75.0%" in sentence
    assert "--budget" in sentence and "--init-from" in sentence


def test_patches_are_not_advised_to_a_run_that_has_them():
    def advised(patch):
        config = {"frontend": {"num_mel_bins": 128}}
        config["model"] = {"patch_size": patch}
        run = record([0.5, 0.83, 0.1, 0.29], 0.29, 0.08, 0.75, **config)
        return ["--patch-size" in sentence for sentence in findings(run)]

    assert advised([16, 16]) == [True, False, True]
    assert advised([8, 128]) == [False, False, False]


@pytest.mark.parametrize(
    "run",
    [
        record([0.9, 0.9, 0.1, 0.1], 0.1, task="masked patches"),
        record([0.9, 0.9, 0.1, 0.1], None),
    ],
)
def test_runs_without_a_score_to_compare(run):
    """Of masked patches those at two resolutions do not compare."""
    assert findings(run) == []
    assert simple_sentence(run) == ""


def test_a_chosen_epoch_is_said_to_flatter():
    run = record([0.5, 0.7, 0.6, 0.8], 0.8, recipe={"keep": "best"})
    assert "optimistic" in caution([run], "accuracy")
    run = record([0.5, 0.7, 0.6, 0.8], 0.8, recipe={"keep": "last"})
    assert caution([run], "accuracy") == ""
