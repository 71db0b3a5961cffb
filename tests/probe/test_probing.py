"""Probes of synthetic data where the right answer is known."""

import re

import numpy as np
import pytest
from sklearn.metrics import label_ranking_average_precision_score
from test_cli import run
from test_training import write_audio

from keras_c2f.data import AudioPipeline, Clips, LabelSets
from keras_c2f.datasets import synthesize_timbre, synthesize_timing
from keras_c2f.layers.log_mel import Frontend
from keras_c2f.probe.probing import _draw, _ranking_precision, probe
from keras_c2f.probe.report import FactorScore, ProbeReport

pytest.importorskip("tensorflow")

pytestmark = pytest.mark.once
SMALL = Frontend(num_mel_bins=64)


def pipeline(**options):
    return AudioPipeline(SMALL, 98, batch_size=32, **options)


@pytest.fixture(scope="module")
def timbre():
    return synthesize_timbre(30, 1)[0]


def shuffled(clips):
    labels = np.random.default_rng(0).permutation(clips.labels)
    return Clips(clips.audio, labels, clips.class_names)


# Right answers


def test_timing_is_lost_and_timbre_is_not(timbre):
    timing, _ = synthesize_timing(40, 1)
    report = probe(pipeline(), timing, factors=(4, 16))
    full, fourth, last = report.rows
    assert full.score > 0.8
    assert fourth.loss > 0.1 and last.loss > 0.4
    assert report.coarsest is full and report.is_conclusive
    assert report.chance == pytest.approx(1 / 9)

    report = probe(pipeline(), timbre, factors=(4, 16))
    assert report.rows[0].score > 0.9
    assert report.rows[2].loss < 0.05 and report.coarsest.factor > 1
    assert (report.num_clips, report.num_classes) == (240, 8)


def test_frames_that_are_skipped_hear_no_burst(timbre):
    report = probe(pipeline(), timbre, factors=(16,), method="shift")
    assert report.rows[1].resolution == "shift:16"
    assert report.rows[1].loss > 0.1
    report = probe(pipeline(), timbre, factors=(16,), method="pool:max")
    assert report.rows[1].resolution == "pool:16:max"
    assert report.rows[1].loss < 0.05


def test_random_labels_are_at_chance(timbre):
    report = probe(pipeline(), shuffled(timbre), factors=(4,))
    for row in report.rows:
        assert abs(row.score - 1 / 8) < 3 * row.standard_error
    assert not report.is_conclusive
    assert "separate these classes, so it cannot say" in str(report)


def test_duplicates_do_not_leak(timbre):
    once = shuffled(timbre)
    twice = Clips(once.audio * 2, np.tile(once.labels, 2), once.class_names)
    report = probe(pipeline(), twice, factors=(4,))
    assert report.num_clips == len(once)
    for row in report.rows:
        assert abs(row.score - 1 / 8) < 3 * row.standard_error


def test_same_seed_same_report(timbre):
    first, again, other = (
        probe(pipeline(), timbre, (2,), max_clips=100, seed=seed)
        for seed in (1, 1, 2)
    )
    assert first == again != other
    assert first.num_clips == 100 // 5 * 5  # 20 of each of five classes


# Several labels


def test_several_labels_a_clip(timbre):
    """Labels: the band, and whether it is a high one."""
    rows = [[label, 8 + (label > 3)] for label in timbre.labels]
    rows[5] = []
    clips = Clips(timbre.audio, LabelSets.of(rows), [*"abcdefgh", "low", "hi"])
    report = probe(pipeline(), clips, factors=(8,))
    assert report.measure == "label ranking"
    assert report.num_clips == 239  # not the one without labels
    assert report.rows[0].score > 0.9 and report.is_conclusive
    hot = np.delete(clips.targets(), 5, axis=0)
    often = np.tile(hot.mean(axis=0), (239, 1))
    expected = label_ranking_average_precision_score(hot, often)
    assert report.chance == pytest.approx(expected)


def test_ranking_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    targets = rng.random((50, 7)) < 0.3
    targets[:, 0] |= ~targets.any(axis=1)
    scores = rng.integers(0, 5, (50, 7)) / 5  # with ties
    found = _ranking_precision(scores, targets)
    for clip in range(50):
        expected = label_ranking_average_precision_score(
            targets[clip : clip + 1], scores[clip : clip + 1]
        )
        assert found[clip] == pytest.approx(expected)


# What is looked at


def test_draws_are_balanced():
    labels = np.repeat(np.arange(4), [500, 300, 200, 10])
    clips = Clips([f"{i}.wav" for i in range(1010)], labels, "abcd")
    drawn = _draw(clips, 400, np.random.default_rng(0))
    assert np.bincount(labels[drawn]).tolist() == [100, 100, 100, 10]
    assert len(set(drawn.tolist())) == len(drawn)

    labels = np.arange(9000) % 300
    clips = Clips([f"{i}.wav" for i in range(9000)], labels, range(300))
    counts = np.bincount(labels[_draw(clips, 400, np.random.default_rng(0))])
    assert sorted(counts[counts > 0].tolist()) == [20] * 20


def test_bad_recordings_are_left_out(timbre):
    recordings = [audio.copy() for audio in timbre.audio]
    recordings[7][3] = np.nan
    clips = Clips(recordings, timbre.labels, timbre.class_names)
    skipping = pipeline(on_error="skip")
    assert probe(skipping, clips, factors=(8,)).num_clips == len(clips) - 1
    assert len(skipping.skipped) == 1


@pytest.mark.parametrize(
    "options, message",
    [
        ({"method": "patch"}, "patch:C keeps them all. Received: .*'patch'"),
        ({"factors": (2, 99)}, "`pool:99` leaves no frame .* 98 frames"),
        ({"factors": (0,)}, "a whole number of at least 1"),
        ({"max_clips": 10}, "at least 20 different clips .* Received: 10"),
    ],
)
def test_errors(timbre, options, message):
    with pytest.raises(ValueError, match=message):
        probe(pipeline(), timbre, **options)


def test_needs_labels(timbre):
    clips = Clips(timbre.audio, np.zeros((len(timbre), 0)), ())
    with pytest.raises(ValueError, match="have no labels"):
        probe(pipeline(), clips)


# The report


@pytest.mark.parametrize(
    "lost, won", [(3, 0), (5, 0), (20, 8), (20, 10), (0, 0)]
)
def test_loss_is_judged_as_by_mcnemar(lost, won):
    full = np.repeat([1.0, 0.0, 1.0], [lost, won, 1000])
    coarse = np.repeat([0.0, 1.0, 1.0], [lost, won, 1000])
    row = FactorScore.of("pool:2", coarse, full)
    n = len(full)
    assert row.loss == pytest.approx((lost - won) / n)
    # their variance, of n independent differences of -1, 0 and 1
    variance = (lost + won) / n - ((lost - won) / n) ** 2
    assert row.loss_error == pytest.approx((variance / (n - 1)) ** 0.5)
    assert row.loses == ((lost - won) ** 2 > 4 * (lost + won))


def report(*losses, factors=(1, 2, 4, 8), score=0.9):
    rows = [
        FactorScore(f"pool:{c}" if c > 1 else "full", score, 0.01, loss, 0.01)
        for c, loss in zip(factors, (0, *losses), strict=True)
    ]
    return ProbeReport(tuple(rows), 0.1, "accuracy", 500, 10)


@pytest.mark.parametrize(
    "found, schedule, sentence",
    [
        (report(0.05, 0.1, 0.2), "full", "C = 2 loses 5.0 points already"),
        (report(0.01, 0.1, 0.2), "pool:2, full", "Up to C = 2 nothing"),
        (
            report(0.0, 0.019, 0.2),
            "pool:4, pool:2, full",
            "Up to C = 4 .* 500 clips would show; C = 8 loses 20.0 points",
        ),
        (
            report(0.0, 0.0, -0.1),
            "pool:4, pool:2, full",
            "Up to C = 8, the coarsest tried, nothing is lost",
        ),
    ],
)
def test_what_to_make_of_it(found, schedule, sentence):
    assert found.schedule == schedule
    assert f'Try --schedule="{schedule}".' in found.sentence()
    assert re.search(sentence, found.sentence())


def test_a_coarser_start_than_usual_if_no_other_was_looked_at():
    found = report(0.0, 0.0, factors=(1, 8, 16))
    assert found.schedule == "pool:8, full"


def test_scores_near_chance_say_nothing():
    assert not report(0, 0, 0, score=0.11).is_conclusive


# The command


def test_command(tmp_path, capsys):
    write_audio(tmp_path, per_class=15)
    (tmp_path / "low" / "broken.wav").write_bytes(b"RIFF, not really")
    data = (f"--data=folder:{tmp_path}", "--clip-seconds=0.32")
    code, out, err = run(capsys, "probe", *data, "--factors=1,2,8")
    assert code == 0, err
    for text in ("full  ", "pool:2  ", "pool:8  ", "chance ", "broken.wav"):
        assert text in out
    assert "C = 8, the coarsest tried" in out  # tones: no timing in them
    # of the 2 x 128 that `train` would choose there are several at C = 2
    assert '"pool:2, full"' in out and "whole patch" not in out
    long = ("--factors=2", "--patch-size=16x16")
    code, out, err = run(capsys, "probe", *data, *long)
    assert code == 0 and "Up to C = 2" in out
    assert "at C = 2 clips of 30 frames have not one whole patch of 16" in out
    code, _, err = run(capsys, "probe", *data, "--factors=1;2")
    assert code == 2 and "such as 1,2,4. Received: factors='1;2'" in err
    code, _, err = run(capsys, "probe", *data, "--factors=1,64")
    assert code == 2 and "`pool:64` leaves no frame of a clip of 30" in err
