"""Another geometry than the one a checkpoint was trained at."""

import numpy as np
import pytest
import torch
import torch_vit
from contract import numpy
from torch.nn import functional

from keras_c2f.convert import load_checkpoint
from keras_c2f.convert.positions import centre_cut
from keras_c2f.layers.resizing import kernel_matrix
from keras_c2f.models import AST, AudioClassifier

TRAINED = {
    "num_frames": 53,
    "num_mel_bins": 38,
    "patch_stride": (10, 10),
    "num_heads": 3,
}


@pytest.fixture(scope="module")
def original():
    return torch_vit.randomize(torch_vit.Ast(stride=(10, 10), grid=(3, 4)))


@pytest.fixture(scope="module")
def path(original, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ast")
    return torch_vit.save_pth(original, folder / "ast.pth", "module.")


def weight(model, layer, name):
    backbone = getattr(model, "backbone", model)
    return numpy(getattr(backbone.get_layer(layer), name))


def image_of(original):
    """Positions `(1, width, freq, time)`."""
    return original.v.pos_embed.detach()[:, 2:].mT.unflatten(-1, (3, 4))


@pytest.mark.parametrize(
    "wanted, grid",
    [
        ({"num_frames": 106}, (10, 3)),
        ({"num_mel_bins": 64}, (4, 5)),
        ({"patch_stride": (16, 16)}, (3, 2)),
        ({"resolution": "pool:2"}, (2, 3)),
        ({"resolution": "patch:2"}, (2, 3)),
    ],
    ids=str,
)
def test_positions_are_interpolated_and_all_else_is_copied(
    original, path, wanted, grid
):
    converted = load_checkpoint(path, trained=TRAINED, **wanted)
    assert converted.model.backbone.grid_size == grid
    expected = functional.interpolate(
        image_of(original), size=grid[::-1], mode="bilinear"
    )[0].permute(2, 1, 0)
    np.testing.assert_allclose(
        weight(converted.model, "positions", "grid"),
        expected.numpy(),
        atol=1e-5,
    )
    prefix = torch.cat([original.v.cls_token, original.v.dist_token], 1)
    prefix = (prefix + original.v.pos_embed[:, :2])[0].detach().numpy()
    np.testing.assert_allclose(
        weight(converted.model, "prefix", "tokens"), prefix, atol=1e-6
    )
    report = converted.report
    resized = {path for path, _, _ in report.resized}
    grows = wanted.get("resolution") == "patch:2"
    kernel = {"patch_embedding/kernel"} if grows else set()
    assert resized == {"positions/grid"} | kernel
    assert len(report.copied) + len(resized) == len(converted.model.weights)
    assert not report.fresh
    assert "resized positions/grid (4, 3, 24) -> " in str(report)


def test_positions_are_cut_as_the_original_does(original, path):
    """Two of three rows, from the first; time grows, so is interpolated."""
    converted = load_checkpoint(
        path,
        trained=TRAINED,
        positions="cut",
        num_frames=76,
        num_mel_bins=26,
    )
    image = functional.interpolate(
        image_of(original), size=(3, 7), mode="bilinear"
    )
    expected = image[0, :, 3 // 2 - 2 // 2 :][:, :2].permute(2, 1, 0)
    np.testing.assert_allclose(
        weight(converted.model, "positions", "grid"),
        expected.numpy(),
        atol=1e-5,
    )


@pytest.mark.parametrize("old", [24, 25, 12, 5])
def test_the_centre_is_where_the_original_has_it(old):
    grid = np.arange(old)[:, None, None].repeat(2, axis=1)
    for new in range(1, old):
        first = int(old / 2) - int(new / 2)
        cut = centre_cut(grid, (new, 2))
        np.testing.assert_array_equal(
            cut[:, 0, 0], np.arange(first, first + new)
        )


def test_a_larger_patch_resizes_the_kernel(original, path):
    converted = load_checkpoint(path, trained=TRAINED, patch_size=(20, 16))
    old = original.v.patch_embed.proj.weight.detach()
    old = old.numpy().transpose(3, 2, 1, 0)
    expected = np.tensordot(kernel_matrix(16, 20, "pi"), old, axes=1)
    kernel = weight(converted.model, "patch_embedding", "kernel")
    np.testing.assert_allclose(kernel, expected, atol=1e-5)


def test_other_classes_have_a_fresh_head(path):
    converted = load_checkpoint(
        path, trained=TRAINED, num_classes=9, pooling="mean"
    )
    model = converted.model
    assert model.output_shape == (None, 9) and model.pooling == "mean"
    assert set(converted.report.fresh) == {"head/kernel", "head/bias"}
    assert "left fresh head/kernel" in str(converted.report)


def test_a_backbone_can_be_given_a_head(tmp_path):
    original = torch_vit.randomize(torch_vit.Ssast(38, 53))
    path = torch_vit.save_pth(original, tmp_path / "SSAST.pth", "module.")
    backbone = load_checkpoint(path, trained={"num_heads": 3})
    assert type(backbone.model) is AST
    converted = load_checkpoint(
        path, trained={"num_heads": 3}, num_classes=4, pooling="mean"
    )
    assert type(converted.model) is AudioClassifier
    assert {path.split("/")[0] for path in converted.report.fresh} == {
        "head_norm",
        "head",
    }
    with pytest.raises(ValueError, match="pooling needs `num_classes`"):
        load_checkpoint(path, trained={"num_heads": 3}, pooling="mean")


@pytest.mark.parametrize(
    "options, message",
    [
        ({"frames": 106}, "AST has no argument 'frames'. It has num_frames"),
        ({"source": "beats"}, "`source` is one of ast, .*'beats'"),
        ({"positions": "sinus"}, "`positions` is one of"),
        (
            {"preset": "ast_audioset_10_10"},
            "Did you mean 'ast_audioset_10_10_0",
        ),
        ({"class_names": ["dog"]}, "1 class names .* 5 classes"),
        ({"input_kind": "waveform"}, "front end of this checkpoint is not"),
    ],
)
def test_impossible_wishes_are_refused(path, options, message):
    with pytest.raises(ValueError, match=message):
        load_checkpoint(path, trained=TRAINED, **options)
