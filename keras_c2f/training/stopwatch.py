"""What training costs on this machine, and nothing beside it."""

import contextlib
import time


class Stopwatch:
    """Time and processor time since it was made or last read."""

    def __init__(self):
        self._last = self._now()
        self._laps = []

    def read(self):
        """What was spent since the last call, pauses not counted.

        Returns:
            dict of `seconds` on the wall, and `cpu_seconds` of this process,
            all threads together: where a machine is shared, only these say
            what a run takes.
        """
        laps, self._laps = [*self._laps, self._lap()], []
        return {
            name: round(sum(lap[name] for lap in laps), 3) for name in laps[0]
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
        return {name: self._last[name] - last[name] for name in last}

    @staticmethod
    def _now():
        return {
            "seconds": time.perf_counter(),
            "cpu_seconds": time.process_time(),
        }
