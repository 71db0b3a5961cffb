"""Whisper's front end against Hugging Face's, in models and in `tf.data`."""

import keras
import numpy as np
import pytest
from frontend_oracles import recordings, whisper_log_mel

from keras_c2f.data import AudioPipeline, Clips, features
from keras_c2f.layers.log_mel import Frontend, LogMel
from keras_c2f.models import preset_frontend

BASE = preset_frontend("whisper_base")
LARGE = preset_frontend("whisper_large_v3")
WAVEFORMS = recordings()
each = pytest.mark.parametrize("frontend", [BASE, LARGE], ids=["80", "128"])


def log_mel(waveform, frontend=BASE, num_frames=100, **options):
    layer = LogMel(frontend, num_frames, **options)
    return keras.ops.convert_to_numpy(layer(np.atleast_2d(waveform)))


def pipeline_log_mel(waveforms, frontend, num_frames, resolution="full"):
    """What `tf.data` makes of clips, in one batch."""
    clips = Clips(list(waveforms), np.zeros(len(waveforms), int), ["a", "b"])
    pipeline = AudioPipeline(frontend, num_frames, len(waveforms))
    pipeline.set_phase(resolution, epoch=0)
    once, again = (next(iter(pipeline.dataset(clips))) for _ in range(2))
    np.testing.assert_allclose(once[0], again[0], atol=1e-5)  # kept in memory
    return once[0].numpy()


def test_settings_are_the_published_ones():
    assert (BASE.frame_length, BASE.frame_shift) == (400, 160)
    assert (BASE.fft_length, BASE.num_mel_bins) == (400, 80)
    assert LARGE.num_mel_bins == 128
    assert BASE.num_frames(16000 * 30) == 3000
    assert Frontend.from_config(BASE.get_config()) == BASE


@each
@pytest.mark.parametrize("name", WAVEFORMS)
@pytest.mark.parametrize("use_fft", [True, False])
def test_equals_hugging_face(name, frontend, use_fft):
    waveform = WAVEFORMS[name]
    expected = whisper_log_mel(waveform, frontend.num_mel_bins)
    assert frontend.num_frames(len(waveform)) == len(expected)
    mine = log_mel(waveform, frontend, len(expected), use_fft=use_fft)[0]
    # "offset" has bins of nothing but rounding errors, float32's here
    atol = 1e-4 if name != "offset" else 1e-2
    np.testing.assert_allclose(mine, expected, atol=atol)


@pytest.mark.once
@each
@pytest.mark.parametrize("name", ["noise", "chirp", "bursts", "silence"])
def test_pipeline_equals_hugging_face(name, frontend):
    waveform = WAVEFORMS[name]
    expected = whisper_log_mel(waveform, frontend.num_mel_bins)
    mine = pipeline_log_mel([waveform], frontend, len(expected))[0]
    np.testing.assert_allclose(mine, expected, atol=1e-4)


def test_largest_value_is_that_of_the_clip_alone():
    """A loud neighbour changes nothing, nor do frames of padding."""
    loud, quiet = WAVEFORMS["noise"][:16000], WAVEFORMS["quiet"][:9600] / 30
    expected = whisper_log_mel(quiet)
    batch = np.stack([loud, np.pad(quiet, (0, 6400))])
    counts = np.array([16000, 9600], "int32")
    layer = LogMel(BASE, 100)
    together = keras.ops.convert_to_numpy(layer(batch, counts))[1]
    tf_data = pipeline_log_mel([loud, quiet], BASE, 100)[1]
    floor = max(4 * expected.max() - 4 - 8, -10)
    for mine in together, tf_data, log_mel(quiet)[0]:
        np.testing.assert_allclose(mine[:60], expected, atol=1e-4)
        np.testing.assert_allclose(mine[60:], (floor + 4) / 4, atol=1e-4)


@pytest.mark.parametrize("resolution", ["shift:2", "shift:3+pool:2", "pool:4"])
def test_compression_takes_frames_of_full_resolution(resolution):
    """Also where a frame that is left out has the largest value."""
    from keras_c2f.resolution import Resolution

    resolution = Resolution.parse(resolution)
    waveform = 1e-4 * WAVEFORMS["noise"][:16000]
    waveform[160 * 31 - 5 : 160 * 31 + 5] = 1.0
    full = log_mel(waveform)
    expected = resolution.compress(full, np)
    tf_data = pipeline_log_mel([waveform], BASE, 100, resolution)
    np.testing.assert_allclose(tf_data, expected, atol=1e-4)
    shifted = log_mel(waveform, shift=resolution.shift)
    np.testing.assert_allclose(
        shifted, full[:, :: resolution.shift][:, : shifted.shape[1]], atol=1e-4
    )


@pytest.mark.parametrize("shift", [1, 2, 3])
@pytest.mark.parametrize("num_frames", [100, 130, 50])
def test_frames_shifted_in_tf_data(shift, num_frames):
    """Straight from the waveform; the clip's largest value lies between.

    It decides on the others though its own frame is not kept, unless it is
    beyond the frames that clips are cut to.
    """
    waveform = 1e-4 * WAVEFORMS["noise"][:16000]
    for position in (31, 97):
        waveform[160 * position - 5 : 160 * position + 5] = 0.1 * (
            position - 21
        )
    cut = waveform[: 160 * (num_frames + 1)]
    full = whisper_log_mel(cut if num_frames < 100 else waveform)
    lowest = max(4 * full.max() - 4 - 8, -10)
    expected = np.full((num_frames, 80), (lowest + 4) / 4)
    expected[: len(full)] = full[:num_frames]
    mine = features.log_mel(waveform, BASE, num_frames, shift)
    np.testing.assert_allclose(
        mine, expected[::shift][: num_frames // shift], atol=1e-4
    )


@pytest.mark.parametrize("num_samples", [100, 160, 399, 1000])
def test_short_clips(num_samples):
    """Hugging Face refuses those shorter than half a frame."""
    waveform = WAVEFORMS["noise"][:num_samples]
    claimed = BASE.num_frames(num_samples)
    assert claimed == num_samples // 160
    mine = log_mel(waveform, num_frames=8)[0]
    if claimed:
        lowest = np.float32(mine[:claimed].max() - 2)
        np.testing.assert_allclose(mine[claimed:], lowest, atol=1e-4)
        assert BASE.num_frames(BASE.num_samples(claimed)) == claimed
    else:
        np.testing.assert_allclose(mine, BASE.pad_value, atol=1e-6)
    if num_samples > 200:
        expected = whisper_log_mel(waveform)
        np.testing.assert_allclose(mine[:claimed], expected, atol=1e-4)


def test_unknown_length_in_a_saved_model(tmp_path):
    inputs = keras.Input((None,))
    model = keras.Model(inputs, LogMel(LARGE, 128, shift=2)(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.layers[-1].frontend == LARGE
    for num_samples in (1000, 16000, 30000):
        waveform = WAVEFORMS["noise"][None, :num_samples]
        expected = log_mel(waveform, LARGE, 128)[:, ::2]
        mine = loaded.predict(waveform, verbose=0)
        np.testing.assert_allclose(mine, expected, atol=1e-4)
