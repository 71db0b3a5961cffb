import dataclasses

import contract
import keras
import numpy as np
import pytest
from contract import Case, numpy

from keras_c2f.layers.log_mel import Frontend, LogMel
from keras_c2f.models import AST, HTSAT, KWT, AudioClassifier, WhisperEncoder
from keras_c2f.resolution import FrameShift, Patch, Pool, Resolution

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
BACKBONE = Case(
    AST,
    {
        "num_frames": 49,
        "num_mel_bins": 12,
        "patch_size": (4, 5),
        "patch_stride": (3, 4),
        "width": 12,
        "depth": 2,
        "num_heads": 3,
        "mlp_ratio": 2.5,
        "num_prefix_tokens": 1,
        "dropout": 0.2,
        "drop_path": 0.3,
        "patchout": 0.4,
        "token_merging": 0.3,
        "frozen_blocks": 1,
        "lora_rank": 2,
        "epsilon": 1e-3,
        "kernel_resize": "base",
        "position_resize": "nearest",
        "resolution": Resolution.parse("shift:2+patch:2"),
    },
    shapes=((24, 12),),
    at_default=("stem_channels",),
    # 2 after positions, 3 in the first block (drop path 0), 4 in the second
    seed_generators=9,
    bfloat16_error=0.1,  # of KWT, which ends without a norm; AST has 0.011
)
CONV_STEM = dataclasses.replace(
    BACKBONE,
    arguments={
        **BACKBONE.arguments,
        "patch_stride": (4, 5),
        "stem_channels": (3, 4),
        "drop_path": 0.1,  # 0.3 drops a branch of all three clips on PyTorch
    },
    at_default=(),
    bfloat16_error=0.1,
)
HTS_AT = Case(
    HTSAT,
    {
        "num_frames": 50,
        "num_mel_bins": 16,
        "num_folds": 2,
        "stretch_to": 60,
        "patch_size": (2, 4),
        "window_size": (2, 4),
        "width": 6,
        "depths": (1, 2),
        "num_heads": (2, 3),
        "mlp_ratio": 2.5,
        "dropout": 0.2,
        "drop_path": 0.3,
        "lora_rank": 2,
        "epsilon": 1e-3,
        "kernel_resize": "base",
        "resolution": Resolution.parse("shift:2+patch:2"),
    },
    shapes=((25, 16),),
    # 1 after patches, 3 in the first block (drop path 0), 4 in the others
    seed_generators=12,
    bfloat16_error=0.12,
)
WHISPER = Case(
    WhisperEncoder,
    {
        "num_frames": 49,
        "num_mel_bins": 12,
        "width": 12,
        "depth": 2,
        "num_heads": 3,
        "mlp_ratio": 2.5,
        "dropout": 0.2,
        "drop_path": 0.3,
        "patchout": 0.4,
        "token_merging": 0.3,
        "frozen_blocks": 1,
        "lora_rank": 2,
        "final_norm": False,
        "epsilon": 1e-3,
        "kernel_resize": "base",
        "resolution": Resolution.parse("shift:2+patch:2"),
    },
    shapes=((24, 12),),
    seed_generators=9,  # as AST
    bfloat16_error=0.1,  # it ends without a norm
)
CLASSIFIER = Case(
    AudioClassifier,
    {
        "backbone": BACKBONE.make(dropout=0.0, drop_path=0.0, patchout=0.0),
        "num_classes": 5,
        "input_kind": "waveform",
        "frontend": FRONTEND,
        "pooling": "mean",
        "dropout": 0.2,
        "head_epsilon": 1e-2,
    },
    shapes=((4000,),),
    seed_generators=1,
    bfloat16_error=0.08,
)
POST_NORM = dataclasses.replace(BACKBONE, cls=KWT)
BACKBONES = [BACKBONE, CONV_STEM, POST_NORM, HTS_AT, WHISPER]
each = pytest.mark.parametrize("case", [*BACKBONES, CLASSIFIER], ids=str)


@pytest.mark.parametrize("num_frames", [31, 32, 33])
def test_claimed_shape_is_the_real_shape(num_frames):
    # patches 8 frames long, 6 apart, on every second frame
    backbone = BACKBONE.make(num_frames=num_frames, depth=1)
    frames = num_frames // 2
    assert backbone.input_shape == (None, frames, 12)
    assert backbone.grid_size == ((frames - 8) // 6 + 1, 2)
    assert backbone.output_shape == (None, 1 + backbone.num_tokens, 12)
    out = backbone(np.zeros((3, frames, 12)))
    assert tuple(out.shape) == (3, *backbone.output_shape[1:])


@each
def test_every_argument_is_kept(case):
    contract.check_arguments(case)
    contract.check_config(case)


def test_backbone_of_an_older_version_is_built_as_it_was():
    config = AST(**SMALL).get_config()
    added = (
        "stem_channels",
        "position_resize",
        "patchout",
        "token_merging",
        "frozen_blocks",
        "lora_rank",
    )
    copy = AST.from_config({k: v for k, v in config.items() if k not in added})
    assert copy.get_config() == config
    assert copy.get_layer("positions").resize == "bilinear"


def test_parts_of_a_classifier_are_kept():
    """Backbone and front end travel through a config of plain values."""
    backbone = BACKBONE.make(dtype="mixed_bfloat16", trainable=False)
    model = CLASSIFIER.make(backbone=backbone)
    copy = AudioClassifier.from_config(model.get_config())
    assert copy.backbone.get_config() == backbone.get_config()
    assert copy.frontend == FRONTEND


@each
def test_survives_saving(case, tmp_path):
    contract.check_saving(case, tmp_path)


@each
def test_graph_equals_eager(case):
    contract.check_graph_equals_eager(case)


@each
def test_clip_does_not_see_its_batch(case):
    contract.check_clip_alone(case)


@each
def test_trains(case):
    if "lora_rank" in case.arguments:  # adapters alone: test_adapters.py
        arguments = {**case.arguments, "lora_rank": 0}
        case = dataclasses.replace(case, arguments=arguments)
    contract.check_fit(case)


@pytest.mark.parametrize("case", BACKBONES, ids=str)
def test_mixed_precision_of_a_backbone(case):
    if "token_merging" in case.arguments:  # rounding may merge other tokens
        arguments = {**case.arguments, "token_merging": 0.0}
        case = dataclasses.replace(case, arguments=arguments)
    contract.check_mixed_precision(case)


def test_front_end_and_head_stay_float32():
    """Under the global policy, as a user switches mixed precision on."""
    full = CLASSIFIER.built()
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = AudioClassifier(
            **{**CLASSIFIER.arguments, "backbone": AST(**BACKBONE.arguments)}
        )
    finally:
        keras.config.set_dtype_policy(previous)
    policies = {layer.name: layer.dtype_policy.name for layer in mixed.layers}
    float32 = {name for name in policies if policies[name] == "float32"}
    inputs = {mixed.input.name}
    assert float32 - inputs == {"frontend", "time_compression", "head"}
    mixed.set_weights(full.get_weights())
    audio = CLASSIFIER.inputs()
    logits = mixed(audio)
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    exact = numpy(full(audio))
    error = np.abs(numpy(logits) - exact).max() / np.abs(exact).max()
    assert error < CLASSIFIER.bfloat16_error


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "float32"])
def test_precision_stays_when_the_resolution_changes(dtype):
    backbone = AST(**SMALL, dtype=dtype)
    model = AudioClassifier(backbone, 5, dtype=dtype)
    other = model.at_resolution("pool:2")
    for layer in (other, other.backbone, other.backbone.get_layer("block_0")):
        assert layer.dtype_policy.name == dtype


@each
def test_random_streams(case):
    contract.check_random_streams(case)


def test_drop_path_grows_with_depth():
    backbone = AST(**SMALL | {"depth": 3}, drop_path=0.2)
    rates = [backbone.get_layer(f"block_{i}").drop_path for i in range(3)]
    np.testing.assert_allclose(rates, [0, 0.1, 0.2])


# Resolutions


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize(
    "method", [FrameShift, Pool, lambda c: Pool(c, "max"), Patch]
)
def test_every_input_kind_gives_the_same_numbers(method, factor):
    resolution = method(factor)
    rng = np.random.default_rng(0)
    audio = rng.uniform(-1, 1, (2, 4100)).astype("float32")
    audio[1] *= np.linspace(0, 1, 4100) ** 4  # unlike the first
    log_mel = numpy(LogMel(FRONTEND, 49)(audio))
    feed = {
        "compressed": resolution.compress(log_mel, np),
        "log_mel": log_mel,
        "waveform": audio,
    }
    backbone = AST(**SMALL | {"num_frames": 49}, resolution=resolution)
    logits, weights = {}, None
    for kind, inputs in feed.items():
        model = AudioClassifier(backbone, 5, kind, FRONTEND)
        weights = weights or contract.randomize(model).get_weights()
        model.set_weights(weights)
        logits[kind] = model.predict(inputs, verbose=0)
    assert np.ptp(logits["compressed"], axis=0).max() > 0.1
    for kind in ("log_mel", "waveform"):
        np.testing.assert_allclose(
            logits[kind],
            logits["compressed"],
            atol=1e-4,  # log-mel of fewer frames, multiplied in another order
        )


@pytest.mark.parametrize("kind", ["compressed", "log_mel", "waveform"])
def test_same_model_at_another_resolution(kind):
    backbone = AST(**SMALL, resolution="pool:3:max", num_prefix_tokens=1)
    model = AudioClassifier(
        backbone, 5, kind, FRONTEND, dropout=0.1, head_epsilon=1e-3
    )
    model.trainable = False
    other = model.at_resolution("patch:2")
    assert str(other.resolution) == "patch:2"
    assert other.num_tokens == 3 * 3
    back = other.at_resolution("pool:3:max")
    assert back.get_config() == model.get_config()
    assert not other.trainable


def test_prefix_pooling_is_the_mean_of_the_prefix_tokens():
    backbone = contract.randomize(AST(**SMALL))
    clips = np.random.default_rng(0).normal(size=(2, 24, 12))
    tokens = numpy(backbone(clips))
    for pooling, part in (("prefix", tokens[:, :2]), ("mean", tokens[:, 2:])):
        model = AudioClassifier(backbone, 5, pooling=pooling)
        pooled = part.mean(axis=1)
        norm = pooled - pooled.mean(axis=1, keepdims=True)
        norm /= np.sqrt(pooled.var(axis=1, keepdims=True) + 1e-5)
        kernel, bias = model.get_layer("head").get_weights()
        np.testing.assert_allclose(
            numpy(model(clips)), norm @ kernel + bias, atol=1e-5
        )


def test_statistics_are_mean_and_deviation_of_the_patch_tokens():
    backbone = AST(**SMALL)
    model = AudioClassifier(
        backbone, 5, pooling="statistics", head_epsilon=None
    )
    kernel, bias = contract.randomize(model).get_layer("head").get_weights()
    clips = np.random.default_rng(0).normal(size=(2, 24, 12))
    tokens = numpy(backbone(clips))[:, 2:].astype("float64")
    pooled = np.concatenate([tokens.mean(axis=1), tokens.std(axis=1)], axis=1)
    assert kernel.shape == (24, 5)
    np.testing.assert_allclose(
        numpy(model(clips)), pooled @ kernel + bias, atol=1e-4
    )


def test_token_semantic_pooling_is_a_convolution_over_the_grid():
    """On any backbone that knows its grid; here 6 x 3 and 2 prefix tokens."""
    backbone = contract.randomize(AST(**SMALL))
    model = AudioClassifier(backbone, 5, pooling="token_semantic")
    contract.randomize(model)
    clips = np.random.default_rng(0).normal(size=(2, 24, 12))
    tokens = numpy(backbone(clips))[:, 2:]
    grid = np.pad(tokens.reshape(2, 6, 3, 12), ((0, 0), (1, 1), (0, 0), (0, 0)))
    kernel, bias = model.get_layer("head").get_weights()
    kernel = kernel.reshape(3, 3, 12, 5)  # (time, freq, width, classes)
    expected = bias + np.stack(
        [
            np.einsum("btfd,tfdc->bc", grid[:, step : step + 3], kernel)
            for step in range(6)
        ],
        axis=1,
    )
    framewise = model.framewise()
    assert framewise.output_shape == (None, 6, 5)
    np.testing.assert_allclose(numpy(framewise(clips)), expected, atol=1e-4)
    np.testing.assert_allclose(
        numpy(model(clips)), expected.mean(axis=1), atol=1e-4
    )


def test_only_token_semantic_pooling_is_framewise():
    model = AudioClassifier(AST(**SMALL), 5, pooling="mean")
    with pytest.raises(ValueError, match="`pooling='token_semantic'`.*'mean'"):
        model.framewise()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"input_kind": "mel"}, "`input_kind` is one of .*log_mel"),
        ({"pooling": "max"}, "`pooling` is one of .*pooling='max'"),
        ({}, "needs a backbone with prefix tokens.*`pooling='mean'`"),
        (
            {"pooling": "mean", "input_kind": "waveform"},
            r"needs `frontend=Frontend\(...\)`",
        ),
    ],
)
def test_impossible_classifiers_are_refused(options, message):
    backbone = AST(**SMALL, num_prefix_tokens=0)
    with pytest.raises(ValueError, match=message):
        AudioClassifier(backbone, 5, **options)


def test_clip_shorter_than_a_patch_is_refused():
    for stem in ((), (4,)):
        with pytest.raises(ValueError, match="smaller than one patch"):
            AST(**SMALL, stem_channels=stem, resolution="pool:8")


def test_patches_behind_a_stem_do_not_overlap():
    with pytest.raises(ValueError, match=r"side by side.*stride=\(3, 4\)"):
        AST(**SMALL, patch_stride=(3, 4), stem_channels=(4,))


@pytest.mark.parametrize("case", BACKBONES, ids=str)
def test_what_is_frozen_as_a_whole_stays_frozen(case, tmp_path):
    backbone = case.make()
    trained = len(backbone.trainable_variables)
    backbone.trainable = False
    model = AudioClassifier(backbone, 3, pooling="mean")
    head = [v.path for v in model.trainable_variables]
    assert len(head) < trained
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for copy in (loaded, model.at_resolution("pool:2")):
        assert [v.path for v in copy.trainable_variables] == head
    assert not case.make(trainable=False).trainable_variables


@pytest.fixture
def channels_first():
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_image_data_format("channels_last")


@pytest.mark.parametrize("pooling", ["mean", "token_semantic"])
def test_axes_are_those_of_the_docstrings_whatever_keras_prefers(
    pooling, channels_first
):
    """On a processor TensorFlow has no convolutions of channels first."""
    model = AudioClassifier(AST(**SMALL), 5, pooling=pooling)
    assert model(np.zeros((2, 24, 12), "float32")).shape == (2, 5)
