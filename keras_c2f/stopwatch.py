"""What training costs on this machine, and nothing beside it."""

import contextlib
import time

from keras_c2f.energy import EnergyMeter


class Stopwatch:
    """Time, processor time and energy since it was made or last read."""

    def __init__(self):
        self._clocks = {
            "seconds": time.perf_counter,
            "cpu_seconds": time.process_time,
        }
        self._energy = EnergyMeter()
        self._costs = {}
        self._begin()

    def read(self):
        """What was spent since the last call, pauses not counted.

        Returns:
            dict of `seconds` on the wall; `cpu_seconds` of this process, all
            threads together: where a machine is shared, only these say what
            a run takes; and `joules` of the machine's processors, `""` where
            it does not tell.
        """
        self._add()
        costs, self._costs = self._costs, {}
        self._begin()
        return {
            name: round(cost, 3) if cost != "" else ""
            for name, cost in costs.items()
        }

    @contextlib.contextmanager
    def paused(self):
        """Context that is not counted."""
        self._add()
        try:
            yield
        finally:
            self._begin()

    def _begin(self):
        self._energy.read()
        self._since = {name: clock() for name, clock in self._clocks.items()}

    def _add(self):
        spent = {
            name: clock() - self._since[name]
            for name, clock in self._clocks.items()
        }
        spent["joules"] = self._energy.read()
        for name, cost in spent.items():
            before = self._costs.get(name, 0.0)
            self._costs[name] = "" if "" in (cost, before) else before + cost
