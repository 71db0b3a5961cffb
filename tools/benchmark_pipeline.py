"""`AudioPipeline`: clips per second, and how long training waits for it.

Run time: about seven minutes. Expected: the pipeline makes about 4 times
as many clips from decoded audio as kaldi-native-fbank in two threads; nearly 3
times as many from FLAC files, and 8 times from prepared log-mel, as PyTorch's
DataLoader with soundfile and kaldi-native-fbank in two processes; and training
from FLAC files waits for well under 1 % of the time. Log-mel that is kept in
memory has no figure yet. With few clips the 0.1 s that `tf.data` takes to start
an epoch weighs in.

    python tools/benchmark_pipeline.py --clips=512 --seconds=10
"""

import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import kaldi_native_fbank
import numpy as np
import soundfile
import torch
from absl import app, flags
from keras.losses import CategoricalCrossentropy

from keras_c2f import AST, AudioClassifier, PhasedModel
from keras_c2f.data import AudioPipeline, Clips, prepare, read_prepared
from keras_c2f.layers.log_mel import Frontend
from keras_c2f.utils.environment import hardware, versions

FLAGS = flags.FLAGS
flags.DEFINE_integer("clips", 512, "Number of clips; 32 recordings, repeated.")
flags.DEFINE_float("seconds", 10, "Length of a clip.")
flags.DEFINE_integer("repeats", 3, "Runs of each row; the fastest counts.")

FRONTEND = Frontend()
PACKAGES = ("kaldi-native-fbank", "soundfile", "soxr", "torch")


def make_audio(folder):
    """The same noise as float32 arrays and as WAV and FLAC files."""
    rng = np.random.default_rng(0)
    samples = int(FLAGS.seconds * FRONTEND.sample_rate)
    arrays, wavs, flacs = [], [], []
    for i in range(32):
        noise = rng.normal(0, 0.05, samples).clip(-1, 1).astype("float32")
        arrays.append(noise)
        for ending, paths in (("wav", wavs), ("flac", flacs)):
            paths.append(folder / f"{i}.{ending}")
            soundfile.write(paths[-1], noise, FRONTEND.sample_rate)
    sources = {"decoded": arrays, "WAV": wavs, "FLAC": flacs}
    return {
        kind: [recordings[i % 32] for i in range(FLAGS.clips)]
        for kind, recordings in sources.items()
    }


def make_dataset(recordings, resolution, cache_mb=0):
    """The batches of a fresh pipeline."""
    clips = Clips(recordings, np.zeros(len(recordings), int), ("a", "b"))
    pipeline = AudioPipeline(
        FRONTEND,
        num_frames(),
        16,
        resolution=resolution,
        cache_mb=cache_mb,
        clip_seconds=FLAGS.seconds,
    )
    return pipeline.dataset(clips)


def num_frames():
    """Frames of a clip at full resolution."""
    return FRONTEND.num_frames(int(FLAGS.seconds * FRONTEND.sample_rate))


def run_pipeline(recordings, resolution, cache_mb=0):
    """A function that goes once through a pipeline."""
    dataset = make_dataset(recordings, resolution, cache_mb)

    def run():
        for _ in dataset:
            pass

    return run


def kaldi_options():
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither = 0
    options.frame_opts.window_type = "hanning"
    options.mel_opts.num_bins = FRONTEND.num_mel_bins
    return options


def kaldi_frames(waveform):
    """`(frames, mel_bins)`, read the only way there is: frame by frame.

    `accept_waveform` takes a list faster than an array.
    """
    fbank = kaldi_native_fbank.OnlineFbank(kaldi_options())
    fbank.accept_waveform(FRONTEND.sample_rate, waveform.tolist())
    fbank.input_finished()
    mels = np.empty((fbank.num_frames_ready, fbank.dim), "float32")
    for i in range(len(mels)):
        mels[i] = fbank.get_frame(i)
    return mels


def run_kaldi(recordings, threads):
    """A function that computes all clips in a pool of threads."""

    def run():
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(kaldi_frames, recordings):
                pass

    return run


class Spectrograms(torch.utils.data.Dataset):
    """AST's way of loading: decode, features, pad, normalise, clip by clip."""

    def __init__(self, paths, num_frames):
        self.paths = paths
        self.num_frames = num_frames

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        waveform, _ = soundfile.read(self.paths[index], dtype="float32")
        mels = np.zeros((self.num_frames, FRONTEND.num_mel_bins), "float32")
        found = kaldi_frames(waveform - waveform.mean())[: self.num_frames]
        mels[: len(found)] = found
        return FRONTEND.normalize(mels, np), 0


def run_data_loader(paths, workers):
    """A function that goes once through a DataLoader, its processes alive."""
    loader = torch.utils.data.DataLoader(
        Spectrograms(paths, num_frames()),
        batch_size=16,
        num_workers=workers,
        persistent_workers=True,
        multiprocessing_context="spawn",  # TensorFlow does not like forks
    )

    def run():
        for _ in loader:
            pass

    return run


def clips_per_second(run):
    """Pair: per second, and per second of one core's time.

    The second says more when other programs keep the machine busy.
    """
    run()  # traces and warms up
    wall, cpu = [], []
    for _ in range(FLAGS.repeats):
        start = time.perf_counter(), time.process_time()
        run()
        wall.append(time.perf_counter() - start[0])
        cpu.append(time.process_time() - start[1])
    return FLAGS.clips / min(wall), FLAGS.clips / min(cpu)


def main(_):
    found = {**versions(), **{name: version(name) for name in PACKAGES}}
    print(f"# Pipeline, {FLAGS.clips} clips of {FLAGS.seconds:g} s\n")
    print(", ".join(f"{name} {number}" for name, number in found.items()))
    print(f"{hardware()}, load {os.getloadavg()[0]:.1f}.")
    with tempfile.TemporaryDirectory() as folder:
        recordings = make_audio(Path(folder))
        compare_with_kaldi(recordings)
        compare_with_data_loader(recordings["FLAC"], folder)
        show_waiting(recordings["FLAC"])


def compare_with_kaldi(recordings):
    """Prints clips per second of each source and resolution."""
    rows = {
        f"kaldi-native-fbank, {n} thread(s), decoded": run_kaldi(
            recordings["decoded"], n
        )
        for n in (1, 2)
    }
    for kind, source in recordings.items():
        rows[f"AudioPipeline, {kind}"] = run_pipeline(source, "full")
    for resolution in ("shift:2", "shift:4", "pool:4"):
        rows[f"AudioPipeline, decoded, {resolution}"] = run_pipeline(
            recordings["decoded"], resolution
        )
    speeds = {name: clips_per_second(run) for name, run in rows.items()}
    baseline = speeds["kaldi-native-fbank, 2 thread(s), decoded"]
    print("\n| what | clips/s | times kaldi | clips per core second | times |")
    print("|---|---|---|---|---|")
    for name, both in speeds.items():
        cells = (
            f"{speed:.0f} | {speed / base:.1f}"
            for speed, base in zip(both, baseline, strict=True)
        )
        print(f"| {name} | {' | '.join(cells)} |")


def compare_with_data_loader(paths, folder):
    """Prints clips per second from files and from prepared data."""
    runs = {
        "torch DataLoader, 2 processes, FLAC": run_data_loader(paths, 2),
        "AudioPipeline, FLAC": run_pipeline(paths, "full"),
    }
    kept = run_pipeline(paths, "full", cache_mb=1024)
    runs["AudioPipeline, FLAC, log-mel kept in memory"] = kept
    clips = Clips(paths, np.zeros(len(paths), int), ("a", "b"))
    preparing = {}
    for store, workers in (("waveform", 1), ("waveform", 2), ("log_mel", 2)):
        name = f"{store}, {workers} thread(s)"
        out = f"{folder}/{name}"
        start = time.perf_counter()
        prepare((clips, clips.subset([0])), out, FRONTEND, store, 64, workers)
        preparing[f"preparing {name}"] = time.perf_counter() - start
        train, _ = read_prepared(out)
        row = f"AudioPipeline, prepared {store}"
        runs[row] = run_pipeline(train.audio, "full")
    speeds = {name: clips_per_second(run)[0] for name, run in runs.items()}
    speeds |= {n: FLAGS.clips / seconds for n, seconds in preparing.items()}
    baseline = next(iter(speeds.values()))
    print("\n| what | clips/s | times DataLoader |\n|---|---|---|")
    for name, speed in speeds.items():
        print(f"| {name} | {speed:.0f} | {speed / baseline:.1f} |")


def show_waiting(recordings):
    """Prints the share of an epoch that training AST-tiny waits for data."""
    print(
        "\n| training AST-tiny from FLAC | ms a step | first batch, ms", end=""
    )
    print(" | waiting for the others |\n|---|---|---|---|")
    for resolution in ("full", "shift:4", "pool:4"):
        first, waits, steps = time_epoch(recordings, resolution)
        share = waits / (waits + steps)
        milliseconds = 1000 * steps / (FLAGS.clips / 16)
        print(f"| {resolution} | {milliseconds:.0f} |", end="")
        print(f" {1000 * first:.0f} | {share:.2%} |")


def time_epoch(recordings, resolution):
    """Seconds: wait for the first batch, for the others, in training steps."""
    backbone = AST.from_size(
        "tiny", num_frames=num_frames(), resolution=resolution
    )
    model = PhasedModel(AudioClassifier(backbone, 2))
    model.compile("adamw", CategoricalCrossentropy(from_logits=True))
    dataset = make_dataset(recordings, resolution)
    model.train_on_batch(*next(iter(dataset)))  # traces
    waits, steps = [], []
    batches = iter(dataset)
    for _ in range(len(dataset)):
        start = time.perf_counter()
        batch = next(batches)
        ready = time.perf_counter()
        model.train_on_batch(*batch)
        waits.append(ready - start)
        steps.append(time.perf_counter() - ready)
    return waits[0], sum(waits[1:]), sum(steps)


if __name__ == "__main__":
    app.run(main)
