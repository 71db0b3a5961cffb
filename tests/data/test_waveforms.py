"""Waveforms without TensorFlow: equal to the pipeline's, in any loader."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import soundfile

from keras_c2f.data import AudioPipeline, Clips, WaveformBatches, WaveformSource
from keras_c2f.layers.log_mel import Frontend

SMALL = Frontend(sample_rate=4000, num_mel_bins=16)
NUM_SAMPLES = 3000
once = pytest.mark.once


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files shorter and longer than a crop, one at another rate."""
    folder = tmp_path_factory.mktemp("recordings")
    rng = np.random.default_rng(0)
    for index, (size, rate) in enumerate(
        [(2000, 4000), (3000, 4000), (5000, 4000), (9000, 8000), (7000, 4000)]
    ):
        path = folder / "ab"[index % 2] / f"{index}.wav"
        path.parent.mkdir(exist_ok=True)
        noise = rng.normal(0, 0.1, size).clip(-1, 1)
        soundfile.write(path, noise, rate, "FLOAT")
    # half a minute is read in part
    soundfile.write(folder / "a" / "5.wav", rng.normal(0, 0.1, 130000), 4000)
    return folder


@pytest.fixture(scope="module")
def clips(folder):
    paths = sorted(folder.glob("*/*.wav"))
    return Clips(paths, ["ab".index(p.parent.name) for p in paths], "ab")


@once
def test_waveforms_are_those_of_the_pipeline(clips):
    pytest.importorskip("tensorflow")
    pipeline = AudioPipeline(
        SMALL, 40, 4, outputs="waveform", clip_seconds=NUM_SAMPLES / 4000
    )
    expected = list(pipeline.dataset(clips).unbatch())
    source = WaveformSource(clips, SMALL, NUM_SAMPLES)
    assert len(source) == len(expected)
    for pair, wanted in zip(source, expected, strict=True):
        for mine, theirs in zip(pair, wanted, strict=True):
            assert mine.dtype == theirs.dtype.as_numpy_dtype
            np.testing.assert_array_equal(mine, theirs)
    with pytest.raises(IndexError):
        source[len(source)]


@once
def test_random_crops_follow_from_seed_and_epoch(clips):
    long = clips.subset([2])
    whole, _ = WaveformSource(long, SMALL, 130000)[0]

    def crop(epoch, seed=0):
        source = WaveformSource(long, SMALL, NUM_SAMPLES, "random", seed)
        source.epoch = epoch
        return source[0][0]

    starts = set()
    for epoch in range(4):
        found = crop(epoch)
        np.testing.assert_array_equal(found, crop(epoch))
        (start,) = [
            i
            for i in np.flatnonzero(np.abs(whole - found[0]) < 1e-6)
            if np.allclose(whole[i : i + NUM_SAMPLES], found, atol=1e-5)
        ]
        starts.add(int(start))
    assert len(starts) == 4
    assert np.any(crop(0) != crop(0, seed=1))


@once
def test_batches_have_every_clip_once_in_another_order():
    pairs = [(np.full(2, i, "float32"), np.eye(3)[i % 3]) for i in range(10)]
    batches = WaveformBatches(pairs, 4, shuffle=True, seed=5)
    orders = []
    for epoch, size in ((0, None), (1, 7), (2, 1), (1, 7)):
        batches.set_phase("full", epoch, size)
        sizes = [len(x) for x, _ in batches]
        assert len(sizes) == len(batches) == -(-10 // (size or 4))
        orders.append([int(i) for x, _ in batches for i in x[:, 0]])
        assert sorted(orders[-1]) == list(range(10))
    assert orders[1] == orders[3] != orders[0] != orders[2]


@once
def test_batches_count_their_epochs():
    pairs = [(np.full(2, i), np.zeros(1)) for i in range(10)]
    batches = WaveformBatches(pairs, 10, shuffle=True)
    first = batches[0][0][:, 0].tolist()
    batches.on_epoch_end()
    assert batches[0][0][:, 0].tolist() != first


@once
def test_data_loader_with_processes(clips):
    torch = pytest.importorskip("torch")
    source = WaveformSource(clips, SMALL, NUM_SAMPLES, "random")
    first = np.stack([x for x, _ in source])
    source.epoch = 1
    loader = torch.utils.data.DataLoader(
        source, 4, num_workers=1, multiprocessing_context="spawn"
    )
    found = torch.cat([x for x, _ in loader]).numpy()
    np.testing.assert_array_equal(found, np.stack([x for x, _ in source]))
    assert (found != first).any()


@once
def test_grain(clips):
    grain = pytest.importorskip("grain")
    source = WaveformSource(clips, SMALL, NUM_SAMPLES)
    dataset = grain.MapDataset.source(source).batch(4)
    found = np.concatenate([x for x, _ in dataset])
    np.testing.assert_array_equal(found, np.stack([x for x, _ in source]))


PROGRAM = """
import sys
sys.modules["tensorflow"] = None
import keras
import numpy as np
from keras_c2f import AST, AudioClassifier, PhasedModel, PhaseScheduler
from keras_c2f.data import WaveformBatches, WaveformSource
from keras_c2f.datasets import read_folder
from keras_c2f.layers import Frontend

clips, _ = read_folder(sys.argv[1])
frontend = Frontend(sample_rate=4000, num_mel_bins=16)
source = WaveformSource(clips, frontend, 3000, crop="random")
loaders = [WaveformBatches(source, 2, shuffle=True)]
loaders.append(WaveformBatches(source, 2, shuffle=True, workers=2))
if keras.backend.backend() == "torch":
    from torch.utils.data import DataLoader
    loaders.append(DataLoader(source, 2, shuffle=True))
try:
    import grain
    dataset = grain.MapDataset.source(source).shuffle(seed=0)
    loaders.append(dataset.batch(2).to_iter_dataset())
except ImportError:
    print("no grain")
for loader in loaders:
    backbone = AST(
        num_frames=64, num_mel_bins=16, patch_size=(8, 8), width=8, depth=1,
        num_heads=2,
    )
    network = AudioClassifier(backbone, 2, "waveform", frontend)
    model = PhasedModel(network)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    schedule = "pool:2@1, full@1"
    history = model.fit(
        loader,
        shuffle=False,
        verbose=0,
        callbacks=[PhaseScheduler(schedule, verbose=0)],
    )
    print(type(loader).__name__, history.history["num_tokens"])
    assert np.isfinite(history.history["loss"]).all()
    steps = 2 * -(-len(clips) // 2)
    assert int(model.optimizer.iterations) == steps, model.optimizer.iterations
following = WaveformBatches(source, 2, shuffle=True)
model = PhasedModel(AudioClassifier(backbone, 2, "waveform", frontend))
model.compile("adam", loss)
scheduler = PhaseScheduler("pool:2@1 batch=4, full@1", following, verbose=0)
history = model.fit(following, shuffle=False, verbose=0, callbacks=[scheduler])
assert history.history["steps"] == [-(-len(clips) // n) for n in (4, 2)]
assert not any(m.partition(".")[0] == "tensorflow" and sys.modules[m]
               for m in sys.modules)
"""


def test_two_phases_without_tensorflow(folder):
    if keras.backend.backend() == "tensorflow":
        pytest.skip("it is there")
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(folder)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert "WaveformBatches [" in result.stdout
