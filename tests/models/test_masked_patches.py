import contract
import keras
import numpy as np
import pytest
import torch
import torch_vit
from contract import Case, numpy

from keras_c2f.convert import load_checkpoint
from keras_c2f.layers.log_mel import Frontend
from keras_c2f.models import (
    AST,
    HTSAT,
    AudioClassifier,
    MaskedPatchLoss,
    MaskedPatchModel,
    masked_patch_metrics,
)
from keras_c2f.phases import transplant

FRONTEND = Frontend(
    sample_rate=8000, num_mel_bins=12, frame_length_ms=20, mean=-5.0, std=3.0
)
SMALL = {
    "num_frames": 24,
    "num_mel_bins": 12,
    "patch_size": (4, 4),
    "width": 12,
    "depth": 1,
    "num_heads": 3,
}
CASE = Case(
    MaskedPatchModel,
    {
        "backbone": AST(**SMALL, resolution="pool:2", num_prefix_tokens=1),
        "mask_ratio": 0.5,
        "cluster_sizes": (2, 3),
        "input_kind": "waveform",
        "frontend": FRONTEND,
    },
    shapes=((2100,),),
    seed_generators=1,
)
METHODS = {  # patch (time, freq), grid (time, freq), frames, mel bins
    "patches": ((4, 4), (12, 5), 50, 22),
    "frames": ((2, 10), (30, 1), 61, 10),
}


@pytest.mark.parametrize("method", METHODS)
def test_equals_the_original(method, tmp_path):
    patch_size, grid_size, num_frames, num_mel_bins = METHODS[method]
    original = torch_vit.randomize(
        torch_vit.Ssast(
            num_mel_bins,
            num_frames,
            patch=patch_size[::-1],
            grid=grid_size[::-1],
        )
    )
    path = torch_vit.save_pth(original, tmp_path / "SSAST.pth")
    network = load_checkpoint(
        path, source="ssast_pretraining", trained={"num_heads": 3}
    ).model
    rng = np.random.default_rng(0)
    clips = rng.normal(size=(8, num_frames, num_mel_bins)).astype("float32")
    masks = masks_of(network, clips)
    assert masks.shape == (8, round(400 / 512 * np.prod(grid_size)))
    contrast, error, accuracy = original.objectives(
        torch.tensor(clips), torch.tensor(masks).long()
    )
    assert 0 < accuracy < 1
    outcome = numpy(network(clips))
    np.testing.assert_allclose(
        outcome.mean(axis=(0, 1)), [contrast, error, accuracy], atol=1e-4
    )
    targets = np.zeros((8, 0), "float32")  # nothing: of unlabelled clips
    loss = numpy(MaskedPatchLoss()(targets, outcome))
    np.testing.assert_allclose(loss, contrast + 10 * error, rtol=1e-5)
    loss = numpy(MaskedPatchLoss(generative_weight=0.5)(targets, outcome))
    np.testing.assert_allclose(loss, contrast + 0.5 * error, rtol=1e-5)
    logged = {}
    for metric in masked_patch_metrics():
        metric.update_state(targets, outcome)
        logged[metric.name] = float(numpy(metric.result()))
    assert logged == pytest.approx(
        {
            "accuracy": accuracy,
            "discriminative_loss": contrast,
            "generative_loss": error,
        },
        abs=1e-4,
    )


def masks_of(network, inputs):
    """Masked places of each clip as the original counts them."""
    mask = keras.Model(network.input, network.get_layer("mask").output)
    size = network.backbone.grid_size
    time, freq = np.divmod(numpy(mask(inputs)), size[1])
    return freq * size[0] + time


def test_every_argument_is_kept():
    contract.check_arguments(CASE)
    contract.check_config(CASE)


def test_survives_saving(tmp_path):
    contract.check_saving(CASE, tmp_path)


def test_graph_equals_eager():
    contract.check_graph_equals_eager(CASE)


def test_clip_does_not_see_its_batch():
    contract.check_clip_alone(CASE)


def test_trains():
    # what is added to all predictions alike cancels in a softmax over them
    contract.check_fit(CASE, without_gradient=["discriminative_head/bias"])


def test_random_streams():
    contract.check_random_streams(CASE)


def test_mixed_precision():
    """Comparison in float32; masks, and so the task, are the same."""
    full, mixed = (
        contract.randomize(MaskedPatchModel(AST(**SMALL, dtype=d), dtype=d))
        for d in ("float32", "mixed_bfloat16")
    )
    assert mixed.get_layer("mask_embedding").compute_dtype == "bfloat16"
    assert mixed.get_layer("comparison").compute_dtype == "float32"
    mixed.set_weights(full.get_weights())
    clips = np.random.default_rng(0).normal(size=(2, 24, 12))
    outcome = mixed(clips.astype("float32"))
    assert keras.backend.standardize_dtype(outcome.dtype) == "float32"
    exact = numpy(full(clips))[..., :2]
    error = np.abs(numpy(outcome)[..., :2] - exact).max()
    # as of a backbone: see `test_model_contract.py`
    assert error < 0.08 * np.abs(exact).max()


def test_coarser_copy():
    model = MaskedPatchModel(AST(**SMALL), 0.6, (2,), "log_mel")
    other = model.at_resolution("patch:2")
    assert other.input_shape == (None, 24, 12)
    assert other.output_shape == (None, 5, 3)  # of 3 x 3 patches
    assert other.get_layer("generative_head").patch_size == (8, 4)
    assert other.at_resolution("full").get_config() == model.get_config()


def test_overlapping_patches_are_refused():
    with pytest.raises(ValueError, match="may not overlap.*Leave `patch_st"):
        MaskedPatchModel(AST(**SMALL, patch_stride=(4, 2)))


def test_a_stem_that_sees_beyond_a_patch_is_refused():
    with pytest.raises(ValueError, match="see beyond a patch.*=\\(4,\\)"):
        MaskedPatchModel(AST(**SMALL, stem_channels=(4,)))


def test_another_architecture_is_refused():
    with pytest.raises(ValueError, match="only an AST has. Received: HTSAT"):
        MaskedPatchModel(HTSAT.from_size("micro"))


# What becomes of the weights


def test_backbone_goes_into_a_classifier_of_another_shape():
    model = contract.randomize(MaskedPatchModel(AST(**SMALL)))
    sizes = {"num_frames": 40, "num_mel_bins": 16, "patch_stride": (3, 2)}
    classifier = AudioClassifier(AST(**SMALL | sizes), 5)
    report = transplant(model, classifier)
    assert report.resized == (("positions/grid", (6, 3, 12), (13, 7, 12)),)
    assert set(report.fresh) == {
        "head_norm/gamma",
        "head_norm/beta",
        "head/kernel",
        "head/bias",
    }
    assert len(report.copied) == len(model.backbone.weights) - 1
    learned = [p for p in report.dropped if "seed_generator" not in p]
    tops = {path.split("/")[0] for path in learned}
    assert tops == {"mask_embedding", "discriminative_head", "generative_head"}


def test_resized_heads_fit_longer_patches():
    """Twice as long a patch, stretched: recognised and drawn as before."""
    model = contract.randomize(MaskedPatchModel(AST(**SMALL)))
    longer = model.at_resolution("patch:2")
    transplant(model, longer)
    rng = np.random.default_rng(0)
    token = rng.normal(size=(1, 1, 12)).astype("float32")
    patch = rng.normal(size=(4, 4)).astype("float32")
    centres = np.clip((np.arange(8) + 0.5) / 2 - 0.5, 0, 3)

    def stretched(patch):
        columns = [np.interp(centres, range(4), x) for x in patch.T]
        return np.stack(columns, axis=1)

    for name in ("discriminative_head", "generative_head"):
        before, after = (
            numpy(network.get_layer(name)(token)).reshape(size)
            for network, size in ((model, (4, 4)), (longer, (8, 4)))
        )
        if name == "generative_head":
            np.testing.assert_allclose(after, stretched(before), atol=1e-5)
        else:
            np.testing.assert_allclose(
                (after * stretched(patch)).sum(),
                (before * patch).sum(),
                rtol=1e-4,
            )


def test_moments_of_resized_heads_stay_positive():
    head = MaskedPatchModel(AST(**SMALL)).get_layer("discriminative_head")
    moments = np.random.default_rng(0).uniform(size=(4, 4, 12)) ** 8
    assert (head.resize_weight(moments, (8, 4, 12)) < 0).any()
    assert (head.resize_weight(moments, (8, 4, 12), positive=True) >= 0).all()
