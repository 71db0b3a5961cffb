"""What training costs on this machine, and nothing beside it."""

import contextlib
import time

from keras_c2f.energy import EnergyMeter


class Stopwatch:
    """Time, processor time and energy since it was made or last read."""

    def __init__(self):
        self._energy = EnergyMeter()
        self._last = self._now()
        self._laps = []

    def read(self):
        """What was spent since the last call, pauses not counted.

        Returns:
            dict of `seconds` on the wall; `cpu_seconds` of this process, all
            threads together: where a machine is shared, only these say what
            a run takes; and `joules` of the machine's processors and cards,
            `""` where it does not tell.
        """
        laps, self._laps = [*self._laps, self._lap()], []
        costs = {name: [lap[name] for lap in laps] for name in laps[0]}
        return {
            name: "" if "" in values else round(sum(values), 3)
            for name, values in costs.items()
        }

    @contextlib.contextmanager
    def paused(self):
        """Context that is not counted."""
        self._laps.append(self._lap())
        try:
            yield
        finally:
            self._lap()

    def _lap(self):
        """What was spent since the last call."""
        last, self._last = self._last, self._now()
        spent = {name: self._last[name] - last[name] for name in last}
        return {**spent, "joules": self._energy.read()}

    @staticmethod
    def _now():
        return {
            "seconds": time.perf_counter(),
            "cpu_seconds": time.process_time(),
        }
