import pytest

from keras_c2f.layers.log_mel import Frontend
from keras_c2f.models import (
    AST,
    HTSAT,
    AudioClassifier,
    backbone_from_size,
    preset_frontend,
    preset_patch,
)
from keras_c2f.models.presets import AST_PRESETS, preset_config


@pytest.mark.parametrize("name", AST_PRESETS)
def test_every_preset_builds(name):
    assert AST_PRESETS[name]["source"]
    backbone = AST.from_size(name.removeprefix("ast_"), num_frames=64, depth=1)
    time, freq = preset_patch(name)
    assert backbone.grid_size == (64 // time, 128 // freq)
    assert backbone.width % backbone.num_heads == 0


@pytest.mark.parametrize("size, millions", [("tiny", 5.72), ("small", 22.06)])
def test_sizes_are_the_published_ones(size, millions):
    """1212 patches, 2 prefix tokens, 527 classes.

    Published to 10 000 parameters; half of that is the tolerance. AST-base
    is compared to the last parameter where its cost is.
    """
    backbone = AST.from_size(size, patch_stride=(10, 10))
    assert backbone.num_tokens == 1212
    model = AudioClassifier(backbone, 527)
    assert abs(model.count_params() / 1e6 - millions) <= 0.005


def test_a_preset_takes_overrides():
    backbone = AST.from_size("micro", num_frames=64, depth=2)
    assert (backbone.width, backbone.depth) == (96, 2)


def test_presets_are_not_changed_by_their_users():
    preset_config("ast_tiny", AST_PRESETS)["depth"] = 0
    assert AST_PRESETS["ast_tiny"]["config"]["depth"] == 12


@pytest.mark.parametrize(
    "name, hint",
    [
        ("tinny", "Did you mean 'tiny"),
        ("BASE.", "Sizes: micro, .*base"),
        ("zzz", "no size 'zzz'. Sizes"),
    ],
)
def test_unknown_sizes_suggest_near_ones(name, hint):
    with pytest.raises(ValueError, match=hint):
        AST.from_size(name)


def test_a_name_says_the_architecture():
    backbone = backbone_from_size("hts_at_micro", num_frames=128, width=8)
    assert type(backbone) is HTSAT and backbone.width == 8
    assert preset_patch("hts_at_micro") == backbone.patch_size == (4, 4)
    frontend = preset_frontend("hts_at_micro")
    assert (frontend.frame_length, frontend.frame_shift) == (1024, 320)
    assert frontend.num_mel_bins == backbone.num_mel_bins
    backbone = backbone_from_size("ast_micro", depth=1, patch_size=None)
    assert type(backbone) is AST
    assert preset_patch("ast_micro") == backbone.patch_size == (16, 16)
    assert preset_frontend("ast_micro") == Frontend()
    assert preset_patch("ast_conv") == (8, 128)


def test_arguments_of_another_architecture_are_named():
    with pytest.raises(ValueError, match="HTSAT, .* has no patch_stride. Lea"):
        backbone_from_size("hts_at_micro", patch_stride=(10, 10))
    with pytest.raises(ValueError, match="Did you mean 'hts_at_mini"):
        backbone_from_size("htsat_mini")
