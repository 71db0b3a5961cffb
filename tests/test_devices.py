"""Runs on four virtual devices, in a process of their own, against one."""

import os
import subprocess
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from keras_c2f.training import devices as module
from keras_c2f.training.devices import VARIABLES, Devices, find_devices
from keras_c2f.training.recipe import Recipe

pytest.importorskip("soundfile", reason="needs the extra `audio`")
BACKEND = keras.backend.backend()

# 50 clips in batches of 16: the last has 2.
PROGRAM = """
import sys
import keras
import numpy as np
from keras_c2f.data import Clips
from keras_c2f.training.devices import Devices, find_devices
from keras_c2f.training.recipe import Recipe
from keras_c2f.training.run import Run
from keras_c2f.utils.files import read_rows

folder = sys.argv[1]
rng = np.random.default_rng(0)
audio = rng.normal(0, 0.1, (50, 5120)).astype("float32")
train = Clips(audio, np.arange(50) % 3, "abc")
clips = train, train.subset(range(0, 50, 7))
recipe = Recipe(
    clip_seconds=0.32,
    batch_size=16,
    backbone="ast_micro",
    depth=1,
    schedule="pool:2@1, full@1",
    mixup=0.5,
)

def results(name, devices):
    run = Run(f"{folder}/{name}", recipe, clips, devices=devices)
    result = run.train()
    network = keras.models.load_model(f"{folder}/{name}/model.keras")
    rows = read_rows(f"{folder}/{name}/history.csv")
    return result, rows, network.get_weights()

devices = find_devices()
assert devices.number == 4, devices
distribution = keras.distribution.distribution()
keras.distribution.set_distribution(None)
alone = results("alone", Devices())
keras.distribution.set_distribution(distribution)
together = results("together", devices)
assert alone[0]["num_clips"] == together[0]["num_clips"] == 8
for row, its in zip(alone[1], together[1], strict=True):
    for key in ("accuracy", "loss", "val_loss", "val_accuracy"):
        pair = float(its[key]), float(row[key])
        np.testing.assert_allclose(*pair, rtol=1e-4)  # sums in another order
for mine, its in zip(alone[2], together[2], strict=True):
    np.testing.assert_allclose(its, mine, atol=1e-4)
"""
BEGIN = {
    "jax": "",
    "tensorflow": """
import tensorflow as tf
cpus = tf.config.list_physical_devices("CPU")
four = [tf.config.LogicalDeviceConfiguration()] * 4
tf.config.set_logical_device_configuration(cpus[0], four)
""",
}


@pytest.mark.slow
@pytest.mark.skipif(BACKEND not in BEGIN, reason="one device with PyTorch")
def test_four_devices_count_every_clip_once(tmp_path):
    environment = {
        **os.environ,
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    done = subprocess.run(
        [sys.executable, "-c", BEGIN[BACKEND] + PROGRAM, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.skipif(BACKEND != "torch", reason="of PyTorch")
def test_one_device_with_pytorch():
    with pytest.raises(ValueError, match="one device with PyTorch"):
        find_devices()


@pytest.mark.skipif(BACKEND != "tensorflow", reason="of TensorFlow")
def test_one_machine_with_tensorflow(monkeypatch):
    assert find_devices() == Devices()
    monkeypatch.setenv("TF_CONFIG", "{}")
    with pytest.raises(ValueError, match="one machine with TensorFlow"):
        find_devices()


@pytest.mark.once
@pytest.mark.parametrize("size, wanted", [(18, "16 or 20"), (3, "4")])
def test_batches_that_devices_cannot_share(size, wanted):
    recipe = SimpleNamespace(batch_size=size, freeze="", phases=())
    with pytest.raises(ValueError, match=f"batch-size={wanted}"):
        Devices(4).check(recipe)
    assert Devices(3).check(recipe) is None


@pytest.mark.once
def test_phases_share_one_batch_size():
    recipe = Recipe(schedule="pool:2@1 batch=32, full@1", batch_size=16)
    with pytest.raises(ValueError, match="Leave out batch= and"):
        Devices(4).check(recipe)
    assert Devices(1).check(recipe) is None


@pytest.mark.once
def test_frozen_weights_are_not_shared():
    recipe = SimpleNamespace(batch_size=16, freeze="all", phases=())
    with pytest.raises(ValueError, match="Leave --distributed out"):
        Devices(4).check(recipe)


@pytest.mark.once
def test_padding_is_said():
    recipe = SimpleNamespace(batch_size=16)
    assert Devices(4).describe(recipe, 48) == (
        "4 devices, 4 clips of each batch on each"
    )
    assert Devices(8, 0, 2).describe(recipe, 50) == (
        "8 devices of 2 processes, 2 clips of each batch on each; the last "
        "batch is padded by 14, of weight 0"
    )


@pytest.mark.skipif(BACKEND != "jax", reason="of JAX")
def test_processes_that_cannot_find_each_other(tmp_path):
    """In a process of its own: JAX joins others before it computes."""
    environment = {k: v for k, v in os.environ.items() if k not in VARIABLES}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "keras_c2f",
            "train",
            "--run=x",
            "--distributed",
        ],
        env={**environment, VARIABLES[2]: "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, done.stderr
    assert "cannot find each other" in done.stderr
    assert VARIABLES[0] in done.stderr


@pytest.mark.once
def test_another_process_prints_nothing_and_writes_a_copy(
    tmp_path, monkeypatch, capsys
):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    (tmp_path / "run" / "unfinished-a").write_text("")
    monkeypatch.setattr(module, "find_devices", lambda: Devices(2, 1, 2))
    met = []
    monkeypatch.setattr(module, "_wait_for_all", met.append)
    with module.all_devices(str(tmp_path / "run")) as (_, folder):
        assert os.listdir(folder) == ["config.json"]
        print("one")
        print("two", file=sys.stderr)
        np.save(f"{folder}/a.npy", np.zeros(2))
    assert capsys.readouterr() == ("", "")
    assert met == ["copied", "done"] and not os.path.exists(folder)
    assert len(os.listdir(tmp_path / "run")) == 2
