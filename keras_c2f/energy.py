"""What processors and cards say they have used; clouds often hide it."""

from pathlib import Path

COUNTERS = Path("/sys/class/powercap")


class EnergyMeter:
    """Energy of all processors and NVIDIA cards since it was last read.

    Of the processors by Linux's running average power limit, of the cards by
    their driver (package `nvidia-ml-py`), of each as far as it tells. These
    are the machine's counters: other programs count too, and memory, fans
    and the power supply do not.

    Args:
        counters: path of the folder Linux keeps the processors' in.
    """

    def __init__(self, counters=COUNTERS):
        self._packages = [
            path
            for path in sorted(Path(counters).glob("intel-rapl:*"))
            if _read_text(path / "name").startswith("package")
        ]
        self._cards = _nvidia_cards()
        self._last = self._read()

    def read(self):
        """Joules since the last call; `""` where the machine does not tell."""
        before, self._last = self._last, self._read()
        if not before or len(before) != len(self._last):
            return ""
        joules = 0.0
        for (old, size), (new, _) in zip(before, self._last, strict=True):
            joules += (new - old if new >= old else new - old + size) / 1e6
        return round(joules, 3)

    def _read(self):
        """Pairs of microjoules, and where the counter begins anew."""
        try:
            packages = [
                tuple(
                    int((path / name).read_text())
                    for name in ("energy_uj", "max_energy_range_uj")
                )
                for path in self._packages
            ]
        except (OSError, ValueError):
            packages = []
        cards = [read() for read in self._cards]
        return packages + [pair for pair in cards if pair]


def _nvidia_cards():
    """Functions for the pair of each card, `None` where it does not count."""
    try:
        import pynvml as nvml
    except ImportError:
        return []

    def reader(index):
        card = nvml.nvmlDeviceGetHandleByIndex(index)

        def read():
            try:
                millijoules = nvml.nvmlDeviceGetTotalEnergyConsumption(card)
            except nvml.NVMLError:
                return None
            return 1000 * millijoules, 2**64

        return read

    try:
        nvml.nvmlInit()
        return [reader(i) for i in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError:  # no driver
        return []


def _read_text(path):
    try:
        return path.read_text()
    except OSError:
        return ""
