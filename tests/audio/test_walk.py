"""Every file of a folder is used or counted, by all that read folders."""

import os
import unicodedata
from pathlib import Path

import pytest
from audio_trees import make_csv, make_tree, write_wav

from keras_c2f.audio.walk import (
    SUFFIXES,
    UNREADABLE,
    find_audio,
    locate,
    walk_folder,
)
from keras_c2f.datasets import (
    read_csv,
    read_folder,
    read_speech_commands,
    read_unlabelled,
    read_vggsound,
)
from keras_c2f.inference import find_audio as public_find_audio

pytestmark = pytest.mark.once
COMPOSED, DECOMPOSED = "b\u00e4r", "ba\u0308r"  # one name, spelt in two ways


def names_of(clips):
    return {Path(path).name for part in clips for path in part.audio}


def test_what_the_decoder_writes_is_found(tmp_path):
    """All of libsndfile's formats that it can write from samples alone."""
    soundfile = pytest.importorskip("soundfile")
    suffixes = {"WAVEX": "wav", "RF64": "rf64", "OGG": "ogg", "SVX": "svx"}
    # tables, instruments, headerless, and features that are no audio files
    others = {"MAT4", "MAT5", "RAW", "XI", "HTK", "SD2", "MPC2K", "WVE"}
    for name in set(soundfile.available_formats()) - others:
        suffix = suffixes.get(name, name.lower())
        assert f".{suffix}" in SUFFIXES, name
        path = tmp_path / f"a.{suffix.upper()}"
        soundfile.write(path, [0.1] * 800, 8000, format=name)
        assert str(path) in find_audio(tmp_path)
    assert not set(SUFFIXES) & set(UNREADABLE)


def test_what_is_left_out_is_said(tmp_path):
    used = ["a.wav", "b.OGA", "c/_d.AiF", "c/-e.opus", "c/d/f.au", "_g/h.caf"]
    make_tree(tmp_path, [*used, ".i.wav", "._j.wav", ".k/l.wav", "c/.m/n.wav"])
    make_tree(tmp_path, ["__MACOSX/c/._d.wav", "o.m4a", "p.M4A", "q.webm"])
    for name in ("r.txt", "s.csv", "c/t.txt", "u"):
        (tmp_path / name).write_bytes(b"text")
    (tmp_path / "c" / "v.flac").write_bytes(b"")
    (tmp_path / "w.wav").symlink_to(tmp_path / "nowhere.wav")
    found = walk_folder(tmp_path)
    assert found.audio == sorted(str(tmp_path / name) for name in used)
    # 6 used, 5 hidden, 3 unreadable, 4 others, one empty, one broken link
    assert str(found) == (
        f"20 files in '{tmp_path}', 6 used; left out: 2 .m4a, 1 .webm that "
        "cannot be decoded (convert them, for example with ffmpeg -i IN.m4a "
        "OUT.flac); 5 hidden, such as '._j.wav'; 1 links that lead nowhere, "
        "or no files, such as 'w.wav'; 1 empty, such as 'c/v.flac'; 2 .txt, "
        "1 .csv, 1 without suffix that are no audio"
    )
    assert public_find_audio(tmp_path) == found.audio
    (tmp_path / "none").mkdir()
    make_tree(tmp_path / "none", ["x.m4a"])
    with pytest.raises(ValueError, match="no audio files in .* 1 .m4a that"):
        find_audio(tmp_path / "none")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_that_lead_in_circles(tmp_path):
    make_tree(tmp_path, ["a/1.wav", "b/2.wav", "b/c/3.wav"])
    for link, target in {
        "a/up": ".",
        "b/c/top": ".",
        "b/a": "a",
        "a/b": "b",
        "x": "x",
    }.items():
        (tmp_path / link).symlink_to(tmp_path / target)
    (tmp_path / "more").mkdir()
    write_wav(tmp_path.parent / f"{tmp_path.name}-else" / "4.wav")
    (tmp_path / "more" / "else").symlink_to(f"{tmp_path}-else")
    found = walk_folder(tmp_path)
    wanted = ["a/1.wav", "b/2.wav", "b/c/3.wav", "more/else/4.wav"]
    assert found.audio == [str(tmp_path / name) for name in wanted]
    assert "4 links to folders already walked" in str(found)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all"
)
def test_folders_that_may_not_be_read_are_said(tmp_path):
    make_tree(tmp_path, ["a/1.wav", "b/2.wav"])
    (tmp_path / "b").chmod(0)
    try:
        found = walk_folder(tmp_path)
    finally:
        (tmp_path / "b").chmod(0o700)
    assert "1 folders that cannot be listed, such as 'b'" in str(found)


def test_folders_that_cannot_be_listed_are_said(tmp_path, monkeypatch):
    make_tree(tmp_path, ["a/1.wav", "b/2.wav"])
    scandir = os.scandir

    def refusing(path):
        if os.path.basename(path) == "b":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found = walk_folder(tmp_path)
    assert len(found.audio) == 1
    assert "1 folders that cannot be listed, such as 'b'" in str(found)
    with pytest.raises(ValueError, match="cannot be listed"):
        walk_folder(tmp_path / "b")


def test_readers_say_what_they_left_out(tmp_path):
    used = [
        "a/_1.wav",
        "a/deep/2.wav",
        "a/deep/er/3.AIFF",
        "_b/4.oga",
        "_b/5.w64",
    ]
    make_tree(tmp_path, [*used, "loose.wav", "a/6.m4a"])
    make_tree(tmp_path, ["_background_noise_/rain.wav", ".git/1.wav"])
    clips = read_folder(tmp_path)
    assert clips[0].class_names == ("_b", "a")
    assert names_of(clips) == {Path(name).name for name in used}
    for part in clips:
        for path, label in zip(part.audio, part.labels, strict=True):
            first = Path(path).relative_to(tmp_path).parts[0]
            assert part.class_names[label] == first
        assert part.note.startswith(f"9 files in '{tmp_path}', 5 used; left")
        assert "1 .m4a that cannot be decoded" in part.note
        assert "1 outside the class folders, such as 'loose.wav'" in part.note
        assert "1 of _background_noise_" in part.note
    joined = clips[0].joined(clips[1])
    assert joined.note == clips[0].note  # once
    clips = read_unlabelled(tmp_path)
    assert len(clips[0]) + len(clips[1]) == 7
    assert "1 .m4a that cannot be decoded" in clips[0].note


def test_class_without_readable_files_says_why(tmp_path):
    make_tree(tmp_path, ["a/1.wav", "b/2.m4a", "b/3.m4a"])
    with pytest.raises(ValueError, match="'.*b' has no audio .* 2 .m4a that"):
        read_folder(tmp_path)


def test_listed_clips_that_were_not_converted(tmp_path):
    """The note of a list of videos names the format that they came in."""
    ids = "_1s5pGDzYt8", "-XilaFMUwng", "__p-iA312kg", "abcdefghijk"
    lines = [
        f"{name},0,{k},{s}"
        for name, k, s in zip(
            ids, "abab", ["train", "train", "test", "test"], strict=True
        )
    ]
    make_csv(tmp_path, *lines, name="vggsound.csv", files="")
    make_tree(tmp_path, [f"{ids[0]}_000000.wav", f"{ids[1]}_000000.m4a"])
    make_tree(tmp_path, [f"deep/{ids[2]}.opus", f"deep/{ids[3]}.webm"])
    train, test = read_vggsound(tmp_path)
    assert names_of([train, test]) == {f"{ids[0]}_000000.wav", f"{ids[2]}.opus"}
    assert train.note.startswith("1 of 2 clips found")
    assert "1 .m4a, 1 .webm that cannot be decoded" in train.note


def test_speech_commands_reads_hidden_noise_neither(tmp_path):
    make_tree(tmp_path, ["up/1.wav", "up/._1.wav", "go/1.wav", "go/2.wav"])
    make_tree(tmp_path, ["_background_noise_/rain.wav"])
    make_csv(tmp_path, "go/1.wav", name="validation_list.txt", files="")
    make_csv(tmp_path, "go/2.wav", name="testing_list.txt", files="")
    train, validation = read_speech_commands(tmp_path)
    assert train.class_names == ("go", "up")
    assert len(train) == len(validation) == 1


@pytest.mark.parametrize(
    "listed, there", [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)]
)
def test_names_in_another_unicode_normalisation(tmp_path, listed, there):
    assert unicodedata.normalize("NFD", COMPOSED) == DECOMPOSED
    for name in ("1", "2"):
        write_wav(tmp_path / there / there / f"{there}{name}.wav")
    if (tmp_path / listed).exists():
        pytest.skip("the file system takes both names for one")
    names = [f"{listed}/{listed}/{listed}{name}.wav" for name in "12"]
    found = locate(str(tmp_path / name) for name in names)
    folder = tmp_path / there / there
    assert found == [str(folder / f"{there}{name}.wav") for name in "12"]
    assert locate([str(tmp_path / f"{listed}/{listed}/x.wav")]) == [None]
    lines = ["path,label", f"{names[0]},a", f"{names[1]},a"]
    path = make_csv(tmp_path, *lines, "a.wav,b", "b.wav,b")
    assert len(names_of(read_csv(path, validation_share=0.5))) == 4


def test_classes_are_named_in_one_normalisation(tmp_path):
    """What a Mac has trained is evaluated on another machine."""
    files = [f"{DECOMPOSED}/{i}.wav" for i in range(2)] + ["cow/1.wav"]
    train, _ = read_folder(make_tree(tmp_path, files))
    assert train.class_names == (COMPOSED, "cow")


def test_listed_video_may_be_audio_by_now(tmp_path):
    make_tree(tmp_path, ["a.wav", "b.m4a", "b.flac"])
    found = locate(str(tmp_path / f"{name}.mp4") for name in "abc")
    assert found == [str(tmp_path / "a.wav"), str(tmp_path / "b.flac"), None]
