"""Thousands of command lines that are refused: one sentence, no framework."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once
PROGRAM = Path(__file__).with_name("hostile_lines.py")


@pytest.fixture(scope="module")
def outcomes():
    done = subprocess.run(
        [sys.executable, PROGRAM], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_each_line_is_refused_in_one_sentence(outcomes):
    rows = outcomes["rows"]
    assert len(rows) > 1000 and len({row[0][0] for row in rows}) >= 13
    for line, code, errors, traceback in rows:
        assert not traceback, (line, traceback)
        assert code == 2, (line, code)
        assert errors.startswith("keras-c2f"), (line, errors)
        assert errors.count("\n") == 1 and errors.endswith("\n"), (line, errors)
        assert errors.strip()[-1] in ".?", (line, errors)
        assert "[Errno" not in errors or "flagfile" in errors, (line, errors)


def test_none_needs_a_framework(outcomes):
    assert outcomes["frameworks"] == []
