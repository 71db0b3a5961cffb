"""Files that appear whole, and one process at a time in a folder."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from keras_c2f.training.run_folder import write_evaluation
from keras_c2f.utils import files, folder_lock
from keras_c2f.utils.files import (
    atomic_write,
    atomic_write_folder,
    read_json,
    read_rows,
    write_json,
    write_rows,
)
from keras_c2f.utils.folder_lock import alone_in

pytestmark = pytest.mark.once
HOLD = """
import sys
from keras_c2f.utils.folder_lock import alone_in
with alone_in(sys.argv[1]):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_one_process_at_a_time_even_after_a_kill(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "locked\n"
        (tmp_path / "unfinished-a.json").write_text("{")
        (tmp_path / "unfinished-b").mkdir()
        (tmp_path / "a.json").write_text("{}")
        with pytest.raises(ValueError, match="A study is at work in .* or end"):
            with alone_in(str(tmp_path), "A study"):
                pass
        # it is being written
        assert (tmp_path / "unfinished-a.json").exists()
        process.send_signal(signal.SIGKILL)
    with alone_in(str(tmp_path)) as handle:
        assert handle is not None
        assert set(os.listdir(tmp_path)) == {".lock", "a.json"}
        with pytest.raises(ValueError, match="Another process is at work"):
            with alone_in(str(tmp_path)):  # here, too
                pass
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_lock_file_that_was_removed_locks_nobody(tmp_path, monkeypatch):
    """Opened before its owner removed it, locked after."""
    lock, turns = folder_lock._lock, []

    def slow(handle, shared):
        if not turns:
            os.remove(tmp_path / ".lock")
        turns.append(handle)
        lock(handle, shared)

    monkeypatch.setattr(folder_lock, "_lock", slow)
    with alone_in(str(tmp_path)):
        assert len(turns) == 2 and (tmp_path / ".lock").exists()


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch):
    def no_locks(handle, shared):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(folder_lock, "_lock", no_locks)
    with pytest.warns(UserWarning, match="cannot be locked .No locks"):
        with alone_in(str(tmp_path)) as handle:
            assert handle is None


def full(path):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    path = str(tmp_path / "a.json")
    write_json(path, 1)

    def half(temporary):
        with open(temporary, "w") as file:
            file.write("half")
        full(temporary)

    def half_folder(temporary):
        os.mkdir(temporary)
        half(f"{temporary}/b")

    for write, part in (
        (atomic_write, half),
        (atomic_write_folder, half_folder),
    ):
        with pytest.raises(OSError, match=r"a\.json cannot be written \(No sp"):
            write(path, part)
    assert os.listdir(tmp_path) == ["a.json"] and read_json(path) == 1
    with pytest.raises(OSError, match="cannot be written"):
        write_json(str(tmp_path / "none" / "a.json"), 1)


def test_files_are_on_disk_before_they_have_their_names(tmp_path, monkeypatch):
    """Else a loss of power leaves an empty file of the right name."""
    done = []
    names = {}

    def fsync(handle):
        done.append(("sync", os.readlink(f"/proc/self/fd/{handle}")))

    def replace(old, new):
        done.append(("move", str(new)))
        names[old] = new
        move(old, new)

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("needs /proc to see what a handle is of")
    move = os.replace
    monkeypatch.setattr(files.os, "fsync", fsync)
    monkeypatch.setattr(files.os, "replace", replace)
    folder = os.path.realpath(tmp_path)
    write_json(f"{folder}/a.json", 1)
    assert done == [
        ("sync", f"{folder}/unfinished-a.json"),
        ("move", f"{folder}/a.json"),
        ("sync", folder),
    ]

    def write(path):
        os.makedirs(f"{path}/inner")
        with open(f"{path}/inner/b", "w") as file:
            file.write("b")

    done.clear()
    atomic_write_folder(f"{folder}/c", write)
    assert ("sync", f"{folder}/unfinished-c/inner/b") in done
    assert done[-2:] == [("move", f"{folder}/c"), ("sync", folder)]
    atomic_write_folder(f"{folder}/c", write)  # in place of the first
    assert set(os.listdir(folder)) == {"a.json", "c"}


def test_scores_are_kept_though_those_of_classes_are_not(tmp_path):
    (tmp_path / "evaluation.csv").mkdir()
    (tmp_path / "evaluation.csv" / "in the way").touch()
    with pytest.raises(OSError, match=r"evaluation\.csv cannot be written"):
        write_evaluation(tmp_path, {"accuracy": 0.5}, [{"name": "a"}])
    assert read_json(tmp_path / "evaluation.json") == {"accuracy": 0.5}


@pytest.mark.parametrize(
    "content", [b"a,b\n1,2\n3", b"a,b\n1,2,3\n", b"a,b\n\xff,2\n", b'a,b\n"1,2']
)
def test_damaged_rows_are_a_sentence(tmp_path, content):
    path = tmp_path / "a.csv"
    write_rows(str(path), [{"a": 1}, {"b": 2}])
    assert read_rows(str(path)) == [{"a": "1", "b": ""}, {"a": "", "b": "2"}]
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.csv is damaged .*Delete it"):
        read_rows(str(path))


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"a": 1}x'])
def test_damaged_json_is_a_sentence(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.json is damaged .*Train again"):
        read_json(tmp_path / "a.json", "Train again.")
