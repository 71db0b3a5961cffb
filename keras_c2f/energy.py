"""What processors say they have used; most clouds do not let them."""

from pathlib import Path

COUNTERS = Path("/sys/class/powercap")


class EnergyMeter:
    """Energy of all processor packages since it was made or last read.

    Linux's running average power limit: the counters are the machine's, so
    other programs count too, and the power supply, fans and cards do not.

    Args:
        counters: path of the folder Linux keeps them in.
    """

    def __init__(self, counters=COUNTERS):
        self._paths = [
            path
            for path in sorted(Path(counters).glob("intel-rapl:*"))
            if _read_text(path / "name").startswith("package")
        ]
        self._last = self._read()

    def read(self):
        """Joules since the last call; `""` where the machine does not tell."""
        before, self._last = self._last, self._read()
        if not (before and self._last):
            return ""
        joules = 0.0
        for (old, size), (new, _) in zip(before, self._last, strict=True):
            joules += (new - old if new >= old else new - old + size) / 1e6
        return round(joules, 3)

    def _read(self):
        """Pairs of microjoules, and where the counter begins anew."""
        try:
            return [
                tuple(
                    int((path / name).read_text())
                    for name in ("energy_uj", "max_energy_range_uj")
                )
                for path in self._paths
            ]
        except (OSError, ValueError):
            return []


def _read_text(path):
    try:
        return path.read_text()
    except OSError:
        return ""
