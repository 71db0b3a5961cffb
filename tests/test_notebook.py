"""The notebook in `examples/`, its code cells run in order."""

import json
import tempfile
from pathlib import Path

import pytest

pytest.importorskip("soundfile")
pytest.importorskip("matplotlib")
NOTEBOOK = Path(__file__).parents[1] / "examples" / "folder_to_report.ipynb"
CELLS = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]


def test_is_kept_without_outputs():
    for cell in CELLS:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None


# what Keras 3.15 says to every tf.data set, as `shuffle` is True by default
@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
@pytest.mark.slow
@pytest.mark.once
def test_from_a_folder_to_a_report(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    names = {}
    for cell in CELLS:
        if cell["cell_type"] == "code":
            code = compile("".join(cell["source"]), cell["id"], "exec")
            exec(code, names)  # noqa: S102
    assert names["result"]["accuracy"] > 0.5  # chance: one in four
    assert "first" in names["report"].read_text(encoding="utf-8")
    assert names["model"].preset.class_names == list(names["train"].class_names)
