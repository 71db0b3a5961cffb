"""Equality with the original HTS-AT, built tiny and random in torch."""

import keras
import numpy as np
import pytest
import torch
import torch_hts_at
from contract import numpy


def clips(num_frames):
    rng = np.random.default_rng(0)
    return rng.normal(size=(2, num_frames, 16)).astype("float32")


def outputs_of(tower, head, log_mel):
    """Maps after each stage, pooled tokens, and the head's two outputs."""
    with torch.no_grad():
        outputs = tower(
            torch.tensor(log_mel)[:, None], output_hidden_states=True
        )
        framewise = head(outputs.last_hidden_state)[:, :, 0]
    return outputs, framewise.numpy().transpose(0, 2, 1)


def time_first(feature_map):
    """`(b, d, f, t)` of the original -> our `(b, t*f, d)`."""
    batch, width = feature_map.shape[:2]
    feature_map = feature_map.numpy().transpose(0, 3, 2, 1)
    return feature_map.reshape(batch, -1, width)


@pytest.mark.parametrize(
    "sizes",
    [
        {},  # maps of 16, 8, 4: two stages with shifted windows
        {  # maps of 16 and 8: one window fills the last
            "window_size": 8,
            "depths": (1, 3),
            "num_attention_heads": (4, 2),
            "hidden_size": 16,
        },
        {"num_mel_bins": 32},  # two folds
    ],
    ids=str,
)
def test_equals_the_original(sizes):
    tower, head = torch_hts_at.original(**sizes)
    frames = 64 * 64 // tower.config.num_mel_bins
    model = torch_hts_at.ours(tower, head, frames)
    rng = np.random.default_rng(0)
    log_mel = rng.normal(size=(2, frames, tower.config.num_mel_bins))
    log_mel = log_mel.astype("float32")
    outputs, framewise = outputs_of(tower, head, log_mel)
    depths = {"patch_norm": 0, "merging_1": 1}
    if len(tower.config.depths) == 3:
        depths["merging_2"] = 2
    backbone = model.backbone
    inside = keras.Model(
        backbone.input, [backbone.get_layer(name).output for name in depths]
    )
    for mine, depth in zip(inside(log_mel), depths.values(), strict=True):
        theirs = time_first(outputs.hidden_states[depth])
        assert np.ptp(theirs) > 1
        np.testing.assert_allclose(numpy(mine), theirs, atol=1e-4)
    tokens = numpy(backbone(log_mel))
    theirs = time_first(outputs.last_hidden_state)
    np.testing.assert_allclose(tokens, theirs, atol=1e-4)
    np.testing.assert_allclose(
        tokens.mean(axis=1), outputs.pooler_output, atol=1e-4
    )
    assert np.ptp(framewise) > 1
    mine = numpy(model.framewise()(log_mel))
    np.testing.assert_allclose(mine, framewise, atol=1e-4)
    np.testing.assert_allclose(
        numpy(model(log_mel)), framewise.mean(axis=1), atol=1e-4
    )


@pytest.mark.parametrize("num_frames", [250, 100])
def test_stretches_short_clips_as_the_original(num_frames):
    tower, head = torch_hts_at.original()
    model = torch_hts_at.ours(tower, head, num_frames, stretch_to=256)
    log_mel = clips(num_frames)
    _, framewise = outputs_of(tower, head, log_mel)
    mine = numpy(model.framewise()(log_mel))
    np.testing.assert_allclose(mine, framewise, atol=1e-4)
