"""The README's Python, run as it stands but for its size."""

import re
from pathlib import Path

import numpy as np
import pytest

soundfile = pytest.importorskip("soundfile")
README = Path(__file__).parents[1] / "README.md"
SMALLER = {  # seconds instead of an hour
    '"mini"': '"micro"',
    "512": "96",
    "pool:4@8, pool:2@4, full@4": "pool:2@1, full@1",
    "batch_size=32": "batch_size=4",
}


def blocks():
    text = README.read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def test_newcomers_find_what_they_need_in_sixty_lines():
    lines = README.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 150
    first = "\n".join(lines[:60])
    for wanted in ("pip install", "keras-c2f train", "keras-c2f predict"):
        assert wanted in first


# what Keras 3.15 says to every tf.data set, as `shuffle` is True by default
@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
@pytest.mark.slow
@pytest.mark.once
def test_from_a_folder_to_an_exported_file(tmp_path, monkeypatch):
    pytest.importorskip("ai_edge_litert")
    rng = np.random.default_rng(0)
    for name, hertz in (("low", 300), ("high", 3000)):
        (tmp_path / "recordings" / name).mkdir(parents=True)
        for number in range(6):
            wave = np.sin(np.arange(16000) * hertz * 2 * np.pi / 16000)
            wave = 0.3 * wave + 0.02 * rng.normal(size=16000)
            path = tmp_path / "recordings" / name / f"{number}.wav"
            soundfile.write(path, wave, 16000)
    monkeypatch.chdir(tmp_path)
    (snippet,) = (b for b in blocks() if "read_folder" in b)
    for text, smaller in SMALLER.items():
        assert text in snippet
        snippet = snippet.replace(text, smaller)
    names = {}
    exec(compile(snippet, str(README), "exec"), names)  # noqa: S102
    windows = list(names["classifier"].predict("recordings/low/0.wav"))
    assert windows and windows[0].scores.shape == (2,)
    assert abs(windows[0].scores.sum() - 1) < 1e-4  # probabilities
