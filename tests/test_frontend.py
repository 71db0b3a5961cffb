import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest
from frontend_oracles import (
    kaldi_log_mel,
    librosa_log_mel,
    numpy_log_mel,
    passt_log_mel,
    recordings,
)

from keras_c2f.layers.log_mel import Frontend, LogMel
from keras_c2f.models.presets import (
    CLAP_FRONTEND,
    HTS_AT_SPEECH_COMMANDS_FRONTEND,
    PASST_FRONTEND,
)

AST = Frontend()
OTHER = Frontend(  # no argument at its default
    sample_rate=8000,
    num_mel_bins=40,
    frame_length_ms=32.0,
    frame_shift_ms=12.5,
    low_hz=60.0,
    high_hz=3700.0,
    preemphasis=0.9,
    mean=-5.0,
    std=3.0,
)
HTS_AT = Frontend(
    sample_rate=32000,
    num_mel_bins=64,
    frame_length_ms=32.0,
    low_hz=50.0,
    high_hz=14000.0,
    preemphasis=0.0,
    mean=0.0,
    std=0.5,
    style="librosa",
)
OTHER_LIBROSA = Frontend(  # a frame is shorter than its spectrum
    sample_rate=8000,
    num_mel_bins=30,
    frame_length_ms=20.25,
    frame_shift_ms=12.5,
    low_hz=60.0,
    high_hz=3700.0,
    preemphasis=0.0,
    mean=0.0,
    std=0.5,
    style="librosa",
)
SPEECH_COMMANDS = Frontend(**HTS_AT_SPEECH_COMMANDS_FRONTEND)
PASST = Frontend(**PASST_FRONTEND)
LIBROSA = pytest.mark.parametrize(
    "frontend",
    [HTS_AT, OTHER_LIBROSA, SPEECH_COMMANDS],
    ids=["HTS-AT", "other", "beyond Nyquist"],
)
WAVEFORMS = recordings()
ESC50 = Path(__file__).parents[2] / "shared/data/esc50/audio"


def log_mel(waveform, frontend=AST, num_frames=256, **options):
    layer = LogMel(frontend, num_frames, **options)
    waveform = np.atleast_2d(waveform)
    return keras.ops.convert_to_numpy(layer(waveform))


def assert_close(mine, reference):
    # The references differ from each other by 1e-3, in near-silent bins.
    difference = np.abs(mine - reference)
    assert difference.max() < 5e-3
    assert difference.mean() < 1e-4


@pytest.mark.parametrize("frontend", [AST, OTHER], ids=["AST", "other"])
@pytest.mark.parametrize("name", WAVEFORMS)
def test_equals_kaldi(name, frontend):
    reference = kaldi_log_mel(WAVEFORMS[name], frontend)
    num_frames = frontend.num_frames(len(WAVEFORMS[name]))
    assert len(reference) == num_frames
    mine = log_mel(WAVEFORMS[name], frontend, num_frames, normalize=False)[0]
    assert_close(mine, reference)


@LIBROSA
@pytest.mark.parametrize("name", WAVEFORMS)
def test_equals_librosa(name, frontend):
    waveform = WAVEFORMS[name]
    reference = librosa_log_mel(waveform, frontend)
    num_frames = frontend.num_frames(len(waveform))
    assert len(reference) == num_frames
    mine = log_mel(waveform, frontend, num_frames)[0]
    # a clip that is cut is seen whole by the frames that stay
    cut = log_mel(waveform, frontend, num_frames // 2)[0]
    # dB; a clean tone leaves bins that hold rounding errors alone
    most, average = (0.5, 1e-2) if name == "offset" else (5e-3, 1e-4)
    for each in mine, cut:
        difference = np.abs(each - reference[: len(each)])
        assert difference.max() < most
        assert difference.mean() < average


@pytest.mark.parametrize("use_fft", [True, False])
@pytest.mark.parametrize(
    "shift_ms",
    [10.0, *(pytest.param(ms, marks=pytest.mark.once) for ms in (5.0, 3.125))],
)
@pytest.mark.parametrize("name", WAVEFORMS)
def test_equals_passt(name, shift_ms, use_fft):
    pytest.importorskip("torch")
    frontend = dataclasses.replace(PASST, frame_shift_ms=shift_ms)
    waveform = WAVEFORMS[name]
    reference = passt_log_mel(waveform, frontend)
    num_frames = frontend.num_frames(len(waveform))
    assert len(reference) == num_frames
    options = {"use_fft": use_fft}
    mine = log_mel(waveform, frontend, num_frames, **options)[0]
    cut = log_mel(waveform, frontend, num_frames // 2, **options)[0]
    for each in mine, cut:
        assert_close(each, reference[: len(each)])


def test_frames_of_passt():
    """10 s have 1000 frames, and no more samples are looked at than needed."""
    assert PASST.num_frames(320000) == 1000
    for num_samples in (1, 2, 320, 321, 322, 641, 642):
        frames = PASST.num_frames(num_samples)
        assert frames == (num_samples > 1) * (1 + (num_samples - 1) // 320)
        if frames:
            assert PASST.num_samples(frames) <= num_samples
            assert PASST.num_samples(frames + 1) > num_samples
    assert PASST.pad_value == pytest.approx((np.log(1e-5) + 4.5) / 5)


@pytest.mark.parametrize("name", ["noise", "chirp", "bursts", "silence"])
def test_equals_torchaudio(name):
    frontend = Frontend(**{**CLAP_FRONTEND, "style": "torchaudio"})
    reference = librosa_log_mel(WAVEFORMS[name], frontend, "htk")
    mine = log_mel(WAVEFORMS[name], frontend, len(reference))[0]
    np.testing.assert_allclose(mine, reference, atol=5e-3)  # decibels


@pytest.mark.parametrize("use_fft", [True, False])
@pytest.mark.parametrize("frontend", [AST, OTHER], ids=["AST", "other"])
def test_an_offset_changes_nothing(frontend, use_fft):
    """Of Kaldi's spectrogram, however large beside the recording it is."""
    audio = WAVEFORMS["noise"] / 10
    for offset in (0.1, 0.5, 0.9):
        reference = kaldi_log_mel(audio, frontend)
        mine = log_mel(
            audio + np.float32(offset),
            frontend,
            len(reference),
            normalize=False,
            use_fft=use_fft,
        )[0]
        # 1e-7 of rounding in each sample
        np.testing.assert_allclose(mine, reference, atol=2e-3)


def test_equals_kaldi_on_a_recording():
    soundfile = pytest.importorskip("soundfile")
    soxr = pytest.importorskip("soxr")
    if not ESC50.exists():
        pytest.skip("no ESC-50 recordings beside the checkout")
    waveform, rate = soundfile.read(ESC50 / "1-100032-A-0.ogg", dtype="float32")
    waveform = soxr.resample(waveform, rate, AST.sample_rate)
    reference = kaldi_log_mel(waveform, AST)
    mine = log_mel(waveform, AST, len(reference), normalize=False)[0]
    assert_close(mine, reference)


@pytest.mark.parametrize("frontend", [AST, OTHER], ids=["AST", "other"])
@pytest.mark.parametrize("name", ["noise", "silence"])
@pytest.mark.parametrize("num_frames", [64, 350])  # cut, padded
def test_equals_the_formula(name, frontend, num_frames):
    reference = numpy_log_mel(WAVEFORMS[name], frontend, num_frames)
    assert_close(log_mel(WAVEFORMS[name], frontend, num_frames)[0], reference)


@pytest.mark.once
@pytest.mark.parametrize("frontend", [AST, HTS_AT], ids=["AST", "HTS-AT"])
@pytest.mark.parametrize("shift", [2, 3, 4])
def test_longer_shift_is_every_nth_frame(shift, frontend):
    for num_frames in (64, 127, 350):
        full = log_mel(WAVEFORMS["noise"], frontend, num_frames)
        coarse = log_mel(WAVEFORMS["noise"], frontend, num_frames, shift=shift)
        kept = num_frames // shift
        assert coarse.shape == (1, kept, frontend.num_mel_bins)
        # float32 products in another order, through a logarithm
        np.testing.assert_allclose(
            coarse, full[:, ::shift][:, :kept], atol=1e-4
        )


@pytest.mark.parametrize("frontend", [AST, HTS_AT], ids=["AST", "HTS-AT"])
def test_clip_alone_equals_clip_in_a_batch(frontend):
    # HTS-AT keeps the mean: beside it "offset" holds rounding errors alone
    names = [
        n for n in WAVEFORMS if frontend.steps.removes_mean or n != "offset"
    ]
    batch = np.stack([WAVEFORMS[name][:16000] for name in names])
    together = log_mel(batch, frontend, 100)
    alone = [log_mel(clip, frontend, 100)[0] for clip in batch]
    # products of another order on some processors; HTS-AT's are decibels
    np.testing.assert_allclose(together, alone, atol=1e-3)


def test_digital_zero_is_the_floor_and_padding_the_pad_value():
    frames = log_mel(np.zeros(16000), num_frames=128)[0]
    floor = (np.log(1.1920929e-07) + 4.2677393) / (2 * 4.5689974)
    np.testing.assert_allclose(frames[:98], floor, rtol=1e-6)
    np.testing.assert_allclose(frames[98:], AST.pad_value, rtol=1e-6)
    np.testing.assert_allclose(AST.pad_value, 0.46703, rtol=1e-5)


def test_centred_frames_of_odd_length():
    frontend = dataclasses.replace(OTHER_LIBROSA, frame_length_ms=20.2)
    assert frontend.frame_length == 161
    frames = log_mel(WAVEFORMS["noise"][:4000], frontend, 41)[0]
    assert frontend.num_frames(4000) == 41
    assert frames.min() > -60


def test_padding_is_silence_in_the_style_of_librosa():
    assert HTS_AT.pad_value == pytest.approx(-100)
    frames = log_mel(np.zeros(32000), HTS_AT, 128)[0]
    np.testing.assert_allclose(frames, -100, rtol=1e-6)
    noise = np.pad(WAVEFORMS["noise"][:32000], (0, 9600))
    padded = log_mel(noise[:32000], HTS_AT, 128)[0]
    np.testing.assert_allclose(padded[101:], -100, rtol=1e-6)
    assert padded[:101].min() > -60
    # as far from the end of the clip as the window sees
    np.testing.assert_allclose(
        log_mel(noise, HTS_AT, 128)[0, :98], padded[:98], atol=1e-4
    )


@pytest.mark.parametrize("num_samples", [64, 512, 513, 1000])
def test_short_clip_in_the_style_of_librosa(num_samples):
    waveform = WAVEFORMS["noise"][:num_samples]
    frames = log_mel(waveform, HTS_AT, 8)[0]
    claimed = HTS_AT.num_frames(num_samples)
    assert frames[:claimed].min() > -60
    np.testing.assert_allclose(frames[claimed:], -100, rtol=1e-6)
    if num_samples > 512:  # librosa refuses shorter ones
        reference = librosa_log_mel(waveform, HTS_AT)
        np.testing.assert_allclose(frames[:claimed], reference, atol=5e-3)
    assert HTS_AT.num_frames(HTS_AT.num_samples(claimed)) == claimed
    assert HTS_AT.num_frames(HTS_AT.num_samples(claimed) - 1) == claimed - 1


@pytest.mark.parametrize("num_samples", [1, 399])
def test_clip_shorter_than_a_window_is_padding(num_samples):
    frames = log_mel(np.ones((2, num_samples)), num_frames=8)
    assert frames.shape == (2, 8, 128)
    np.testing.assert_allclose(frames, AST.pad_value, rtol=1e-6)


@pytest.mark.parametrize("num_samples", [400, 559, 560, 561, 4000])
@pytest.mark.parametrize("shift", [1, 3])
def test_claimed_frames_are_the_real_ones(num_samples, shift):
    claimed = AST.num_frames(num_samples)
    waveform = WAVEFORMS["noise"][:num_samples]
    layer = LogMel(AST, 40, shift=shift)
    frames = keras.ops.convert_to_numpy(layer(waveform[None]))[0]
    assert layer.compute_output_shape((1, num_samples))[1:] == frames.shape
    real = np.abs(frames - AST.pad_value).max(axis=1) > 1e-6
    assert real.sum() == min(-(-claimed // shift), 40 // shift)
    assert AST.num_frames(AST.num_samples(claimed)) == claimed
    assert AST.num_frames(AST.num_samples(claimed) - 1) == claimed - 1


@pytest.mark.once
@pytest.mark.parametrize("shift", [1, 2])
@pytest.mark.parametrize(
    "frontend",
    [AST, OTHER, HTS_AT, OTHER_LIBROSA],
    ids=["AST", "other", "HTS-AT", "other librosa"],
)
def test_num_samples_is_where_a_clip_ends(frontend, shift):
    noise = np.stack([WAVEFORMS["noise"][:16000]] * 7) + 0.1
    counts = np.array([0, 1, 399, 400, 5000, 15999, 16000], "int32")
    layer = LogMel(frontend, 70, shift=shift)
    whole = keras.ops.convert_to_numpy(layer(noise, counts))
    np.testing.assert_allclose(whole[0], frontend.pad_value, rtol=1e-6)
    for count, frames in zip(counts[1:], whole[1:], strict=True):
        alone = log_mel(noise[0, :count], frontend, 70, shift=shift)[0]
        np.testing.assert_allclose(frames, alone, atol=5e-3)


@pytest.mark.parametrize("frontend", [AST, HTS_AT], ids=["AST", "HTS-AT"])
def test_spectrum_by_fft_or_by_matrix(frontend):
    noise = WAVEFORMS["noise"]
    assert_close(
        log_mel(noise, frontend, use_fft=True),
        log_mel(noise, frontend, use_fft=False),
    )


def test_unknown_length_in_a_saved_model(tmp_path):
    inputs = keras.Input((None,))
    layer = LogMel(OTHER, 150, shift=2, normalize=False, use_fft=False)
    outputs = layer(inputs)
    assert outputs.shape == (None, 75, 40)
    model = keras.Model(inputs, outputs)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.layers[-1].get_config() == model.layers[-1].get_config()
    assert loaded.layers[-1].frontend == OTHER
    for num_samples in (200, 8000, 30000):
        waveform = WAVEFORMS["noise"][None, :num_samples]
        mine = loaded.predict(waveform, verbose=0)[0]
        reference = numpy_log_mel(waveform[0], OTHER, 150, 2, False)
        assert_close(mine, reference)


def test_unknown_length_in_the_style_of_librosa(tmp_path):
    inputs = keras.Input((None,))
    outputs = LogMel(HTS_AT, 128, shift=2)(inputs)
    model = keras.Model(inputs, outputs)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.layers[-1].frontend == HTS_AT
    for num_samples in (200, 8000, 48000):
        waveform = WAVEFORMS["noise"][None, :num_samples]
        mine = loaded.predict(waveform, verbose=0)
        np.testing.assert_allclose(
            mine, log_mel(waveform, HTS_AT, 128, shift=2), atol=5e-3
        )


def test_stays_float32_under_mixed_precision():
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layer = LogMel(AST, 64)
        output = layer(WAVEFORMS["noise"][None])
    finally:
        keras.config.set_dtype_policy(previous)
    assert keras.backend.standardize_dtype(output.dtype) == "float32"
    assert_close(
        keras.ops.convert_to_numpy(output)[0],
        numpy_log_mel(WAVEFORMS["noise"], AST, 64),
    )


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"frame_shift_ms": 0}, "frame shift 1"),
        ({"frame_length_ms": 0.05}, "at least 2 samples"),
        ({"high_hz": 8001}, "half the sample rate"),
        ({"low_hz": 4000, "high_hz": 300}, "mel bank runs from"),
        ({"low_hz": -1}, "between 0 and"),
        ({"num_mel_bins": 257}, "from 1 to 256"),
        ({"num_mel_bins": 0}, "from 1 to 256"),
        ({"std": 0}, "`std` above 0"),
        ({"style": "htk"}, "`style` is one of .*librosa.*style='htk'"),
        ({"preemphasis": 2}, "from 0 to 1"),
    ],
)
def test_senseless_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Frontend(**settings)


def test_shift_that_leaves_no_frame_is_refused():
    with pytest.raises(ValueError, match="leaves no frame"):
        LogMel(AST, 3, shift=4)
