"""The energy meter, on files like those of Linux."""

import sys
import types

import pytest

from keras_c2f.energy import EnergyMeter

pytestmark = pytest.mark.once


@pytest.fixture(autouse=True)
def cards(monkeypatch):
    """List of joules of the cards there are: none, unless a test adds some.

    `None` is one that does not count.
    """
    joules = []
    nvml = types.ModuleType("pynvml")
    nvml.NVMLError = type("NVMLError", (Exception,), {})

    def consumption(index):
        if joules[index] is None:
            raise nvml.NVMLError("Not Supported")
        return 1000 * joules[index]

    nvml.nvmlInit = lambda: None
    nvml.nvmlDeviceGetCount = lambda: len(joules)
    nvml.nvmlDeviceGetHandleByIndex = lambda index: index
    nvml.nvmlDeviceGetTotalEnergyConsumption = consumption
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    return joules


def write(folder, package, microjoules, name="package-0"):
    path = folder / f"intel-rapl:{package}"
    path.mkdir(exist_ok=True)
    (path / "name").write_text(f"{name}\n")
    (path / "energy_uj").write_text(f"{microjoules}\n")
    (path / "max_energy_range_uj").write_text("10000000\n")


def test_sums_packages_and_begins_anew(tmp_path):
    write(tmp_path, 0, 1_000_000)
    write(tmp_path, 1, 9_000_000)
    write(tmp_path, 2, 1, "psys")  # of all: counted already
    meter = EnergyMeter(tmp_path)
    write(tmp_path, 0, 3_500_000)
    write(tmp_path, 1, 500_000)  # passed 10 J
    write(tmp_path, 2, 7_000_000, "psys")
    assert meter.read() == 2.5 + 1.5
    assert meter.read() == 0


def test_says_nothing_where_the_machine_does_not_tell(tmp_path):
    assert EnergyMeter(tmp_path).read() == ""
    write(tmp_path, 0, 1)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    assert EnergyMeter(tmp_path).read() == ""


def test_adds_nvidia_cards(tmp_path, cards):
    cards += [100, 7]
    write(tmp_path, 0, 1_000_000)
    meter = EnergyMeter(tmp_path)
    write(tmp_path, 0, 3_500_000)
    cards[:] = [140, 8]
    assert meter.read() == 2.5 + 40 + 1


def test_leaves_out_cards_that_do_not_count(tmp_path, cards):
    cards += [None]
    assert EnergyMeter(tmp_path).read() == ""
    cards += [5]
    meter = EnergyMeter(tmp_path)
    cards[1] = 8
    assert meter.read() == 3


def test_says_nothing_once_a_counter_is_gone(tmp_path, cards):
    cards += [100, 5]
    write(tmp_path, 0, 1)
    meter = EnergyMeter(tmp_path)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    assert meter.read() == ""
    cards[0] = None
    assert meter.read() == ""
    cards[1] = 7
    assert meter.read() == 2


def test_says_nothing_without_a_driver(tmp_path, monkeypatch):
    nvml = sys.modules["pynvml"]

    def fail():
        raise nvml.NVMLError("Driver Not Loaded")

    monkeypatch.setattr(nvml, "nvmlInit", fail)
    assert EnergyMeter(tmp_path).read() == ""
