"""Test audio, and the front end once more: float64 NumPy, Kaldi, librosa."""

import warnings

import kaldi_native_fbank
import numpy as np
from transformers import WhisperFeatureExtractor
from transformers.audio_utils import (
    mel_filter_bank,
    spectrogram,
    window_function,
)


def recordings(rate=16000):
    """Synthetic waveforms by name, float32 `(samples,)`, of several lengths."""
    rng = np.random.default_rng(0)
    time = np.arange(2 * rate) / rate
    return {
        "noise": 0.3 * rng.standard_normal(3 * rate).astype("float32"),
        # With some noise: in a clean one all but a few bins hold nothing
        # but rounding errors, Kaldi's included.
        "chirp": (
            0.5 * np.sin(2 * np.pi * (100 + 1500 * time) * time)
            + 1e-2 * rng.standard_normal(2 * rate)
        ).astype("float32"),
        "quiet": 1e-3 * rng.standard_normal(rate + 123).astype("float32"),
        "offset": (0.5 + 0.1 * np.sin(2000 * time)).astype("float32"),
        "bursts": (
            rng.standard_normal(2 * rate) * (np.sin(20 * time) > 0.5) * 0.2
        ).astype("float32"),
        "silence": np.zeros(rate, "float32"),
    }


def numpy_log_mel(waveform, frontend, num_frames, shift=1, normalize=True):
    """The docstring of `log_mel.py` as a loop over frames, in float64."""
    waveform = np.asarray(waveform, "float64")
    waveform = waveform - waveform.mean()
    length = frontend.sample_rate * frontend.frame_length_ms / 1000
    hop = frontend.sample_rate * frontend.frame_shift_ms / 1000
    length, hop = int(length), int(hop)
    phase = 2 * np.pi * np.arange(length) / (length - 1)
    hann = 0.5 - 0.5 * np.cos(phase)
    size = 1
    while size < length:
        size *= 2
    bank = mel_bank(frontend, size)
    mels = np.zeros((num_frames, frontend.num_mel_bins))
    for t, start in enumerate(range(0, len(waveform) - length + 1, hop)):
        if t == num_frames:
            break
        frame = waveform[start : start + length]
        frame = frame - frame.mean()
        frame = np.append(
            frame[0] - frontend.preemphasis * frame[0],
            frame[1:] - frontend.preemphasis * frame[:-1],
        )
        power = np.abs(np.fft.fft(frame * hann, size)[: size // 2]) ** 2
        mels[t] = np.log(np.maximum(bank @ power, np.finfo("float32").eps))
    if normalize:
        mels = (mels - frontend.mean) / (2 * frontend.std)
    return mels[::shift][: num_frames // shift]


def mel_bank(frontend, size):
    """Kaldi's `MelBanks` constructor, bin by bin: `(mel, size // 2)`."""

    def mel(hz):
        return 1127 * np.log(1 + hz / 700)

    low = mel(frontend.low_hz)
    high = mel(frontend.high_hz or frontend.sample_rate / 2)
    delta = (high - low) / (frontend.num_mel_bins + 1)
    bank = np.zeros((frontend.num_mel_bins, size // 2))
    for row in range(frontend.num_mel_bins):
        left, centre = low + row * delta, low + (row + 1) * delta
        right = low + (row + 2) * delta
        for column in range(size // 2):
            value = mel(column * frontend.sample_rate / size)
            if left < value <= centre:
                bank[row, column] = (value - left) / (centre - left)
            elif centre < value < right:
                bank[row, column] = (right - value) / (right - centre)
    return bank


def kaldi_log_mel(waveform, frontend):
    """kaldi-native-fbank with AST's options: `(frames, mel)`, no padding."""
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither = 0
    options.frame_opts.window_type = "hanning"
    options.frame_opts.samp_freq = frontend.sample_rate
    options.frame_opts.frame_length_ms = frontend.frame_length_ms
    options.frame_opts.frame_shift_ms = frontend.frame_shift_ms
    options.frame_opts.preemph_coeff = frontend.preemphasis
    options.mel_opts.num_bins = frontend.num_mel_bins
    options.mel_opts.low_freq = frontend.low_hz
    options.mel_opts.high_freq = frontend.high_hz or 0
    fbank = kaldi_native_fbank.OnlineFbank(options)
    waveform = waveform - waveform.mean()
    fbank.accept_waveform(frontend.sample_rate, waveform.tolist())
    fbank.input_finished()
    return np.stack([fbank.get_frame(i) for i in range(fbank.num_frames_ready)])


def passt_log_mel(waveform, frontend):
    """PaSST's front end in evaluation, in torch: `(frames, mel)`."""
    import torch

    wave = torch.tensor(waveform, dtype=torch.float64)
    wave = wave[1:] - frontend.preemphasis * wave[:-1]
    length = int(frontend.sample_rate * frontend.frame_length_ms / 1000)
    size = 1024
    spectrum = torch.stft(
        wave,
        size,
        int(frontend.sample_rate * frontend.frame_shift_ms / 1000),
        length,
        torch.hann_window(length, periodic=False, dtype=torch.float64),
        center=True,
        return_complex=True,
    )
    power = spectrum.abs().numpy()[: size // 2] ** 2
    log_mel = np.log(mel_bank(frontend, size) @ power + 1e-5).T
    return (log_mel + 4.5) / 5.0


def whisper_log_mel(waveform, num_mel_bins=80):
    """Hugging Face's, without padding: `(frames, mel)`, in float64's FFT."""
    extractor = WhisperFeatureExtractor(num_mel_bins)
    # its other way of the same, in torch, cannot have a clip as it is
    return extractor._np_extract_fbank_features(waveform[None], "cpu")[0].T


def librosa_log_mel(waveform, frontend, scale="slaney"):
    """librosa's log-mel spectrogram: `(frames, mel)`, no padding.

    By Hugging Face's copy of its maths, which is 1e-6 dB off librosa 0.11.
    With `scale="htk"` torchaudio's, whose triangles are not normalised.
    """
    rate = frontend.sample_rate
    length = int(rate * frontend.frame_length_ms / 1000)
    size = 2 ** int(np.ceil(np.log2(length)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of bins beyond half the rate
        bank = mel_filter_bank(
            size // 2 + 1,
            frontend.num_mel_bins,
            frontend.low_hz,
            frontend.high_hz,
            rate,
            norm="slaney" if scale == "slaney" else None,
            mel_scale=scale,
        )
    return spectrogram(
        waveform.astype("float64"),
        window_function(length, "hann"),
        length,
        int(rate * frontend.frame_shift_ms / 1000),
        size,
        power=2.0,
        center=True,
        pad_mode="reflect",
        preemphasis=frontend.preemphasis or None,
        mel_filters=bank,
        log_mel="dB",
        mel_floor=1e-10,
    ).T
