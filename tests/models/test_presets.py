import pytest

from keras_c2f.models import AST, AudioClassifier
from keras_c2f.models.presets import AST_PRESETS, preset_config


@pytest.mark.parametrize("name", AST_PRESETS)
def test_every_preset_builds(name):
    assert AST_PRESETS[name]["source"]
    backbone = AST.from_preset(name, num_frames=64, depth=1)
    assert backbone.num_tokens == 4 * 8
    assert backbone.width % backbone.num_heads == 0


@pytest.mark.parametrize(
    "name, millions", [("ast_tiny", 5.72), ("ast_small", 22.06)]
)
def test_sizes_are_the_published_ones(name, millions):
    """1212 patches, 2 prefix tokens, 527 classes.

    Published to 10 000 parameters; half of that is the tolerance. AST-base
    is compared to the last parameter where its cost is.
    """
    backbone = AST.from_preset(name, patch_stride=(10, 10))
    assert backbone.num_tokens == 1212
    model = AudioClassifier(backbone, 527)
    assert abs(model.count_params() / 1e6 - millions) <= 0.005


def test_a_preset_takes_overrides():
    backbone = AST.from_preset("ast_micro", num_frames=64, depth=2)
    assert (backbone.width, backbone.depth) == (96, 2)


def test_presets_are_not_changed_by_their_users():
    preset_config("ast_tiny", AST_PRESETS)["depth"] = 0
    assert AST_PRESETS["ast_tiny"]["config"]["depth"] == 12


@pytest.mark.parametrize(
    "name, hint",
    [
        ("ast_tinny", "Did you mean ast_tiny"),
        ("AST-base", "Known presets: ast_micro, .*ast_base"),
        ("zzz", "no preset 'zzz'. Known presets"),
    ],
)
def test_unknown_presets_suggest_near_ones(name, hint):
    with pytest.raises(ValueError, match=hint):
        AST.from_preset(name)
