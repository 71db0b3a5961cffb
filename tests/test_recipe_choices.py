"""Settings that follow from the data: what they are for which data."""

import numpy as np
import pytest

from keras_c2f.data import Clips
from keras_c2f.layers.log_mel import Frontend
from keras_c2f.training.choices import CHOSEN, choose
from keras_c2f.training.facts import Facts, find_facts
from keras_c2f.training.recipe import Recipe, option_names

pytestmark = pytest.mark.once


def settings(given=(), **facts):
    known = {
        "num_clips": 240,
        "num_classes": 10,
        "seconds": 5.0,
        "imbalance": 1.0,
        "frames_per_second": 100.0,
    }
    chosen = choose(Facts(**known | facts), dict(given))
    return {name: value for name, (value, _) in chosen.items()}


@pytest.mark.parametrize(
    ("seconds", "patch", "schedule"),
    [
        (0.3, "2x128", "full"),
        (0.5, "2x128", "pool:2, full"),
        (1.0, "2x128", "pool:4, pool:2, full"),
        (2.5, "4x128", "pool:4, pool:2, full"),
        (5.0, "8x128", "pool:4, pool:2, full"),
        (10.0, "8x128", "pool:4, pool:2, full"),
    ],
)
def test_small_sets_have_patches_short_in_time(seconds, patch, schedule):
    """8 patches a clip or more, at the coarsest resolution too."""
    found = settings(seconds=seconds)
    assert (found["patch_size"], found["schedule"]) == (patch, schedule)
    assert found["time_mask"] == round(10 * seconds)


@pytest.mark.parametrize(
    ("num_clips", "backbone"),
    [
        (999, "ast_micro"),
        (1_000, "ast_conv"),
        (3_000, "ast_conv"),
        (3_001, "ast_micro"),
    ],
)
def test_convolutions_need_clips_and_time(num_clips, backbone):
    assert settings(num_clips=num_clips)["backbone"] == backbone


def test_convolutions_are_in_bfloat16_where_that_is_faster():
    """Of the network that is trained in the end, chosen or given."""
    given = {"backbone": "ast_conv"}
    assert "precision" not in settings(given)
    found = settings(given, fast_bfloat16=True)
    assert found["precision"] == "mixed_bfloat16"
    assert "precision" not in settings(fast_bfloat16=True)


def test_convolutions_end_at_pool_2():
    found = settings({"backbone": "ast_conv"})
    assert found["schedule"] == "pool:4, pool:2" and found["warm_restarts"]
    found = settings({"backbone": "ast_conv"}, seconds=0.5)
    assert found["schedule"] == "pool:2, full"
    assert "warm_restarts" not in settings()


def test_large_sets_have_the_recipe_of_large_sets():
    found = settings(num_clips=100_000)
    assert "patch_size" not in found and "ema" not in found
    assert (found["mixup"], found["budget"]) == (0.5, 10.0)


@pytest.mark.parametrize(
    ("num_clips", "seconds", "budget"),
    [(240, 5.0, 60), (1600, 5.0, 30), (240, 1.0, 80)],
)
def test_budget_is_more_epochs_of_fewer_seconds(num_clips, seconds, budget):
    """72,000 s of audio in all, within 30 and 80 epochs."""
    found = settings(num_clips=num_clips, seconds=seconds)
    assert found["budget"] == budget


def test_rare_classes_are_drawn_more_often():
    assert "balanced" not in settings(imbalance=3.0)
    assert settings(imbalance=3.1)["balanced"] is True


@pytest.mark.parametrize(
    ("given", "without"),
    [
        ({"mixup": 0.0}, {"mixup"}),
        ({"schedule": "pool:4@3, full@1 lr=1e-3"}, {"schedule", "budget"}),
        ({"schedule": "pool:4@60%, full@40%"}, {"schedule"}),
        ({"num_frames": 512}, {"clip_seconds"}),
        ({"init_from": "runs/before"}, {"mixup", "ema"}),
        ({"patch_stride": "10"}, {"patch_size"}),
        ({"elastic": "pool:4, full"}, {"backbone"}),
    ],
)
def test_what_is_given_stays(given, without):
    assert settings(given).keys() == settings().keys() - without


def test_prepared_log_mel_is_not_mixed():
    found = settings(has_waveforms=False)
    assert settings().keys() - found.keys() == {"mixup", "gain_db"}


def test_others_follow_from_what_is_given():
    assert settings({"clip_seconds": 1.0})["patch_size"] == "2x128"
    # 98 frames: 6 patches of 16, three at pool:2
    found = settings({"patch_size": "16x16"}, seconds=0.98)
    assert found["schedule"] == "full"


@pytest.mark.parametrize("num_clips", [10, 5_000, 1_000_000])
@pytest.mark.parametrize("seconds", [0.25, 1.0, 10.0])
def test_every_choice_is_a_recipe(num_clips, seconds):
    found = settings(num_clips=num_clips, seconds=seconds, imbalance=9.0)
    recipe = Recipe(**found)
    assert recipe.resolutions[-1].factor == 1
    assert set(CHOSEN) <= set(option_names(Recipe))


def test_every_choice_has_its_reason():
    facts = Facts(240, 10, 5.0, 4.0, 100.0)
    reasons = {name: reason for name, (_, reason) in choose(facts, {}).items()}
    assert "4 times the clips" in reasons["balanced"]
    assert all(reasons.values()) and not any("{" in r for r in reasons.values())


def test_facts_are_read_from_the_clips():
    lengths = [0.5] * 18 + [2.04, 60.0]  # of 20, one is above the percentile
    recordings = [np.zeros(int(16000 * s), "float32") for s in lengths]
    clips = Clips(recordings, [0] * 4 + [1] * 16, "ab")
    facts = find_facts(clips, Frontend())
    # the 95th percentile lies a twentieth of the way from 2.04 to 60
    assert facts.seconds == pytest.approx(5.0)
    assert (facts.num_clips, facts.num_classes, facts.imbalance) == (20, 2, 4)
    long = Clips([np.zeros(16000 * 60, "float32")] * 2, [0, 1], "ab")
    assert find_facts(long, Frontend()).seconds == 10.0


def test_a_given_length_needs_no_headers(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"no header")
    clips = Clips([str(path)] * 2, [0, 1], "ab")
    with pytest.raises(ValueError, match="Give --clip-seconds"):
        find_facts(clips, Frontend())
    assert find_facts(clips, Frontend(), seconds=3.0).seconds == 3.0
