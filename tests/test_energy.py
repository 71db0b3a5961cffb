"""The energy meter, on files like those of Linux."""

import pytest

from keras_c2f.energy import EnergyMeter

pytestmark = pytest.mark.once


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
