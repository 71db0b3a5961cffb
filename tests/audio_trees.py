"""Tiny folders of recordings in the layouts that data sets have."""

import wave
from pathlib import Path


def write_wav(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(bytes(20))
    return path


def make_tree(root, files):
    for file in files:
        write_wav(root / file)
    return root


def make_csv(root, *lines, name="list.csv", files="abcdef"):
    make_tree(root, [f"{file}.wav" for file in files])
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root / name


def named(clips):
    """{file name: class name, or multi-hot row as a list}"""
    labels = [
        clips.target(index).tolist()
        if clips.multi_label
        else clips.class_names[clips.labels[index]]
        for index in range(len(clips))
    ]
    names = [Path(audio).name for audio in clips.audio]
    return dict(zip(names, labels, strict=True))
