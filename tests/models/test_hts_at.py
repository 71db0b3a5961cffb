"""What HTS-AT makes of lengths and resolutions, and what that costs."""

import contract
import keras
import numpy as np
import pytest
import torch
import torch_hts_at
from contract import numpy
from torch.utils.flop_counter import FlopCounterMode

from keras_c2f.cost import count_macs, network_cost
from keras_c2f.models import HTSAT, AudioClassifier
from keras_c2f.models.hts_at import fitting_columns, fold, unfold, windows
from keras_c2f.models.presets import HTS_AT_PRESETS
from keras_c2f.phases import transplant

SMALL = {
    "num_frames": 256,
    "num_mel_bins": 16,
    "window_size": (4, 4),
    "width": 6,
    "depths": (1, 2, 1),
    "num_heads": (1, 2, 3),
}
METHODS = ["shift:2", "pool:2", "pool:2:max", "patch:2"]


# Geometry


def test_folding_lays_parts_above_each_other():
    log_mel = np.random.default_rng(0).normal(size=(2, 10, 3))
    image = numpy(fold(log_mel, 12, 4))
    assert image.shape == (2, 3, 12)
    for part in range(4):
        for frame in range(3):
            position = 3 * part + frame
            expected = (
                log_mel[:, position] if position < 10 else np.zeros((2, 3))
            )
            row = image[:, frame, 3 * part : 3 * part + 3]
            np.testing.assert_allclose(row, expected, atol=1e-7)
    tokens = image.reshape(2, 36, 1)
    back = numpy(unfold(tokens, (3, 12), 4)).reshape(2, 12, 3)
    np.testing.assert_allclose(back[:, :10], log_mel, atol=1e-7)


@pytest.mark.parametrize("columns", range(1, 129))
def test_every_map_is_cut_into_windows_near_the_wanted_size(columns):
    fitting = fitting_columns(columns, 8, 8)
    assert columns <= fitting < columns + 16
    for stage in range(4):
        size, rest = divmod(fitting, 2**stage)
        assert rest == 0
        (window, _), _ = windows((size, 8), (8, 8))
        assert size % window == 0
        assert min(size, 5) <= window <= 8


def test_windows_of_the_original():
    shifts = [windows((side, side), (8, 8)) for side in (64, 16, 8, 4)]
    assert shifts[:2] == [((8, 8), (4, 4))] * 2
    assert shifts[2:] == [((8, 8), (0, 0)), ((4, 4), (0, 0))]
    assert windows((16, 8), (8, 8)) == ((8, 8), (4, 0))


@pytest.mark.once
@pytest.mark.parametrize(
    "num_frames",
    [
        1,
        257,
        *(
            pytest.param(frames, marks=pytest.mark.once)
            for frames in (90, 100, 250, 256, 501)
        ),
    ],
)
def test_any_number_of_frames(num_frames):
    """Zeros after the clip: padding by hand to a whole image is the same."""
    backbone = HTSAT(**SMALL | {"num_frames": num_frames})
    contract.randomize(backbone)
    steps = backbone.grid_size[0]
    assert backbone.output_shape == (None, 2 * steps // 2, 24)
    assert num_frames <= 16 * steps
    whole = HTSAT(**SMALL | {"num_frames": 16 * steps})
    whole.set_weights(backbone.get_weights())
    clips = np.random.default_rng(0).normal(size=(2, num_frames, 16))
    norm = backbone.get_layer("mel_norm")
    gamma, beta, mean, variance = norm.get_weights()
    nothing = mean - beta * np.sqrt(variance + norm.epsilon) / gamma
    missing = np.tile(nothing, (2, 16 * steps - num_frames, 1))
    padded = np.concatenate([clips, missing], axis=1)
    np.testing.assert_allclose(
        numpy(backbone(clips)), numpy(whole(padded)), atol=1e-4
    )


def test_gradients_of_padding_and_silence_stay_finite():
    """A token of zeros would multiply them in every norm."""
    keras.utils.set_random_seed(0)
    backbone = HTSAT(**SMALL | {"num_frames": 100, "depths": (2, 4, 2)})
    model = AudioClassifier(backbone, 5, pooling="token_semantic")
    # plain descent: the step is the gradient
    eager = keras.backend.backend() != "jax"  # quicker
    model.compile(keras.optimizers.SGD(1.0), "mse", run_eagerly=eager)
    before = model.get_weights()
    model.train_on_batch(np.ones((2, 100, 16)), np.ones((2, 5)))
    for old, new in zip(before, model.get_weights(), strict=True):
        assert np.abs(new - old).max(initial=0) < 100


def test_mel_bins_that_patches_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="24 mel bins.*multiple of 16"):
        HTSAT(**SMALL | {"num_mel_bins": 24})


def test_stages_without_heads_are_refused():
    with pytest.raises(ValueError, match=r"one number a stage.*\(1, 2\)"):
        HTSAT(**SMALL | {"num_heads": (1, 2)})


# Resolutions


@pytest.mark.parametrize("resolution", METHODS)
def test_coarse_weights_are_the_fine_ones(resolution):
    fine = AudioClassifier(HTSAT(**SMALL), 5, pooling="token_semantic")
    contract.randomize(fine)
    coarse = fine.at_resolution(resolution)
    assert coarse.num_tokens == fine.num_tokens // 2
    assert coarse.backbone.grid_size[0] == fine.backbone.grid_size[0] // 2
    report = transplant(fine, coarse)
    assert report.fresh == report.dropped == ()
    kernel = [("patch_embedding/kernel", (4, 4, 1, 6), (8, 4, 1, 6))]
    last = "stage_2_block_0/attention/position_bias"
    assert list(report.resized) == kernel * (resolution == "patch:2") + [
        (last, (7, 7, 3), (3, 7, 3))
    ]


def test_patch_kernel_grows_in_time():
    """Stretched patches give the tokens that patches gave before."""
    fine = contract.randomize(HTSAT(**SMALL))
    coarse = HTSAT(**SMALL, resolution="patch:2")
    transplant(fine, coarse)
    embed = [m.get_layer("patch_embedding") for m in (fine, coarse)]
    clip = np.repeat(np.random.default_rng(0).normal(size=(1, 8, 64)), 4, 1)
    longer = np.repeat(clip, 2, axis=1)  # constant within each patch
    np.testing.assert_allclose(
        numpy(embed[1](longer)), numpy(embed[0](clip)), atol=1e-5
    )


# Cost


def torch_macs(tower):
    frames = tower.config.spec_size**2 // tower.config.num_mel_bins
    clip = torch.zeros(1, 1, frames, tower.config.num_mel_bins)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        tower(clip)
    return counter.get_total_flops() / 2


def test_cost_equals_torch():
    tower, head = torch_hts_at.original()
    model = torch_hts_at.ours(tower, head)
    assert count_macs(model.backbone) == torch_macs(tower)
    steps, bins, width = 16, 1, 32
    assert count_macs(model) - count_macs(model.backbone) == (
        steps * bins * width * 3 * torch_hts_at.NUM_CLASSES
    )


@pytest.fixture(scope="module")
def original_cost():
    """Chen et al., 527 classes: 28.8 M parameters without initialisation.

    Theirs has a layer more, a matrix of 527 x 527 that is never used. About
    5.8 GMACs are read from a figure of EfficientAT's authors.
    """
    backbone = HTSAT.from_size("tiny")
    model = AudioClassifier(backbone, 527, pooling="token_semantic")
    assert backbone.num_tokens == 64 * 64
    assert backbone.grid_size == (32, 2)
    cost = network_cost(model)
    assert cost.macs / 1e9 == pytest.approx(5.8, rel=0.05)
    assert cost.num_parameters / 1e6 == pytest.approx(29.9, abs=0.1)
    return cost


@pytest.mark.once
@pytest.mark.parametrize("resolution", METHODS)
def test_halving_time_costs_at_most_55_percent(original_cost, resolution):
    backbone = HTSAT.from_size("tiny", resolution=resolution)
    model = AudioClassifier(backbone, 527, pooling="token_semantic")
    cost = network_cost(model)
    assert cost.num_tokens == 32 * 64
    assert 0.45 < cost.macs / original_cost.macs <= 0.55


@pytest.mark.parametrize("name", HTS_AT_PRESETS)
def test_every_preset_builds(name):
    assert HTS_AT_PRESETS[name]["source"]
    backbone = HTSAT.from_size(
        name.removeprefix("hts_at_"), num_frames=128, depths=(1, 1, 1, 1)
    )
    assert backbone.grid_size == (4, 2)
