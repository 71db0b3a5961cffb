"""One graph from samples to scores, against network and pipeline apart."""

import keras
import numpy as np
import pytest

from keras_c2f import AST, HTSAT, AudioClassifier, Frontend, WhisperEncoder
from keras_c2f.data import AudioPipeline, Clips
from keras_c2f.models import waveform_classifier

KALDI = Frontend(sample_rate=8000, num_mel_bins=32)
LIBROSA = Frontend(
    sample_rate=8000, num_mel_bins=16, preemphasis=0.0, style="librosa"
)
WHISPER = Frontend(
    sample_rate=8000,
    num_mel_bins=32,
    low_hz=0.0,
    preemphasis=0.0,
    mean=-4.0,
    std=2.0,
    style="whisper",
)
AST_MODEL = AST(96, 32, (8, 8), width=12, depth=1, num_heads=3)


def in_dtype(backbone, dtype):
    return type(backbone).from_config({**backbone.get_config(), "dtype": dtype})


def models():
    for resolution in (
        "full",
        "shift:2",
        "pool:3:max",
        "patch:2",
        "token:4",
        "shift:2+pool:2",
    ):
        yield AST_MODEL.at_resolution(resolution), KALDI, "mean", {}
    yield AST_MODEL, KALDI, "mean", {"input_kind": "waveform"}
    mixed = in_dtype(AST_MODEL, "mixed_bfloat16")
    yield mixed, KALDI, "prefix", {"dtype": "mixed_bfloat16"}
    backbone = HTSAT(
        256, 16, width=8, depths=(1, 1), num_heads=(1, 2), window_size=(4, 4)
    )
    for resolution in ("full", "pool:2"):
        yield backbone.at_resolution(resolution), LIBROSA, "token_semantic", {}
    backbone = WhisperEncoder(260, 32, width=12, depth=1, num_heads=3)
    for resolution in ("token:2", "shift:3"):
        yield backbone.at_resolution(resolution), WHISPER, "statistics", {}


@pytest.mark.parametrize(
    "backbone, frontend, pooling, options, multi_label",
    [
        pytest.param(
            *(*model, index % 2 == 1),
            marks=[pytest.mark.once] if index % 3 else [],
        )
        for index, model in enumerate(models())
    ],
)
def test_equals_the_network_behind_the_pipeline(
    backbone, frontend, pooling, options, multi_label
):
    network = AudioClassifier(
        backbone, 5, frontend=frontend, pooling=pooling, **options
    )
    seconds = 1.0 if frontend is KALDI else 2.6
    num_samples = int(seconds * frontend.sample_rate)
    rng = np.random.default_rng(0)
    counts = np.array([num_samples, num_samples // 3, 250], "int32")
    noise = rng.normal(scale=0.1, size=(3, num_samples)).astype("float32")
    clips = Clips(
        [row[:count] for row, count in zip(noise, counts, strict=True)],
        np.zeros(3, int),
        list("abcde"),
    )
    pipeline = AudioPipeline(
        frontend, backbone.num_frames, 3, clip_seconds=seconds
    )
    pipeline.set_phase(network.resolution, epoch=0)
    ((features, _),) = pipeline.dataset(clips)
    plain = AudioClassifier(in_dtype(backbone, "float32"), 5, pooling=pooling)
    plain.set_weights(network.get_weights())
    logits = keras.ops.convert_to_tensor(
        plain.predict(features.numpy(), verbose=0)
    )
    expected = (keras.ops.sigmoid if multi_label else keras.ops.softmax)(logits)
    model = waveform_classifier(network, frontend, num_samples, multi_label)
    scores = model.predict(
        {"waveform": noise, "num_samples": counts}, verbose=0
    )
    assert scores.dtype == "float32"
    np.testing.assert_allclose(  # float32 in another order
        scores, keras.ops.convert_to_numpy(expected), atol=2e-5
    )
