"""A small share of what `tools/kill_runs.py` does."""

import subprocess
import sys
from pathlib import Path

import keras
import pytest

pytest.importorskip("soundfile", reason="needs the extra `audio`")
pytest.importorskip("matplotlib", reason="needs the extra `report`")
TOOL = Path(__file__).parents[1] / "tools" / "kill_runs.py"


@pytest.mark.once
@pytest.mark.slow
def test_a_run_that_is_killed_twice_ends_like_one_that_was_not():
    if not TOOL.exists():
        pytest.skip("needs the repository")
    kills = f"--kills={keras.backend.backend()}:2"
    done = subprocess.run(
        [sys.executable, TOOL, kills, "--kills_per_run=2"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    cells = [c.strip() for c in done.stdout.splitlines()[-1].split("|")]
    assert cells[2] == "2" and cells[-2] == "0"
