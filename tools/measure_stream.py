"""A cascade on an hour of audio, most of it background.

    python tools/measure_stream.py /tmp/stream

Makes everything: espeak-ng speaks ten words; background is noise of any tilt
and level, with chirps and knocks in it. One network is trained elastically on
clips of a second, calibrated on voices that it was not trained on, exported,
and run over an hour in which a word of these voices falls every 20 s on
average: 5 % of the time. Windows overlap by half. Neighbouring windows of one
word are one detection; it is right if it overlaps an event of that word that
no other has found. Prints Markdown. Minutes on two cores; needs the extras
`demo`, `export` and `audio`.
"""

import contextlib
import csv
import io
import os
import sys
import time
from pathlib import Path

import numpy as np
import soundfile

from keras_c2f import cli
from keras_c2f.datasets.keywords import WORDS, synthesize_keywords
from keras_c2f.inference import load_classifier
from keras_c2f.inference.output import segments
from keras_c2f.utils.environment import hardware, versions

RATE = 16000
HOUR = 3600 * RATE
EVENTS = 180
PIECE = 10 * RATE  # of one kind of noise
BACKGROUND = "background"
CLIPS = 150, 60  # of each word, for training and validation
BACKGROUND_CLIPS = 600, 600
CASCADES = "pool:8, full", "pool:4, full"
TRAIN = (
    *("--no-choose", "--num-frames=96", "--patch-size=2x128"),
    *("--learning-rate=2e-3", "--roll-frames=8"),
    *("--schedule=pool:4@3, full@6", "--elastic=pool:8, pool:4, full"),
)


def noise(num_samples, rng):
    """Noise of a random tilt and level, with a chirp or a knock in a third."""
    frequency = np.fft.rfftfreq(num_samples, 1 / RATE)
    spectrum = np.fft.rfft(rng.standard_normal(num_samples))
    spectrum /= np.maximum(frequency, 50) ** rng.uniform(0, 1)
    audio = np.fft.irfft(spectrum, num_samples)
    level = 10 ** (rng.uniform(-60, -45) / 20)
    audio *= level / audio.std()
    for start in range(0, num_samples, RATE):
        if rng.random() < 1 / 3:
            burst = chirp(rng) if rng.random() < 0.5 else knock(rng)
            at = start + rng.integers(0, RATE - len(burst) + 1)
            audio[at : at + len(burst)] += burst
    return audio


def chirp(rng):
    """A tone that glides, up to half a second."""
    time = np.arange(int(rng.uniform(0.1, 0.5) * RATE)) / RATE
    low, high = rng.uniform(200, 4000, 2)
    phase = 2 * np.pi * (low + (high - low) * time / time[-1] / 2) * time
    return amplitude(rng) * np.sin(phase) * np.hanning(len(time))


def knock(rng):
    """Noise that dies away within a fifth of a second."""
    time = np.arange(RATE // 5) / RATE
    decay = np.exp(-time / rng.uniform(0.01, 0.04))
    return amplitude(rng) * rng.standard_normal(len(time)) * decay


def amplitude(rng):
    """float, between -40 and -20 dB."""
    return 10 ** (rng.uniform(-40, -20) / 20)


def write_data(folder, words):
    """A CSV of clips of a second, `words` of `synthesize_keywords`."""
    rng = np.random.default_rng(1)
    rows = []
    parts = ("train", "validation")
    for split, clips, count in zip(parts, words, BACKGROUND_CLIPS, strict=True):
        found = [(a, WORDS[n]) for a, n in zip(clips.audio, clips.labels)]  # noqa: B905
        found += [(noise(RATE, rng), BACKGROUND) for _ in range(count)]
        for index, (audio, label) in enumerate(found):
            path = folder / f"{split}-{index}.wav"
            soundfile.write(path, audio, RATE, "PCM_16")
            rows.append((path.name, label, split))
    with open(folder / "clips.csv", "w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "split"), *rows])
    return folder / "clips.csv"


def make_stream(words):
    """An hour, and its events as `(start, end, word)`, in seconds.

    A clip of `words` is added as it is, its quiet noise with it.
    """
    rng = np.random.default_rng(2)
    audio = np.concatenate([noise(PIECE, rng) for _ in range(HOUR // PIECE)])
    places = rng.permutation(HOUR // RATE // 2)[:EVENTS]  # two seconds each
    events = []
    for place, clip in zip(
        np.sort(places), rng.permutation(len(words)), strict=False
    ):
        start = 2 * place * RATE + rng.integers(0, RATE)
        audio[start : start + RATE] += words.audio[clip]
        word = WORDS[words.labels[clip]]
        events.append((start / RATE, start / RATE + 1, word))
    return audio.astype("float32"), events


def score(windows, names, events):
    """dict: `found` events, `false` detections, those `beside` events, `f1`."""
    left, right, false, beside = list(events), 0, 0, 0
    for start, end, name, _ in segments(windows, names):
        if name == BACKGROUND:
            continue
        touched = [e for e in events if e[0] < end and start < e[1]]
        hits = [event for event in touched if event in left]
        hits = [event for event in hits if event[2] == name]
        if hits:
            left.remove(hits[0])
            right += 1
        else:
            false += 1
            beside += bool(touched)
    f1 = 2 * right / (2 * right + false + len(left))
    return {"found": right, "false": false, "beside": beside, "f1": f1}


def command(*arguments):
    """Runs `keras-c2f` in this process, and returns what it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = cli.run(cli.parse(["keras-c2f", *map(str, arguments)]))
    if code:
        sys.exit(f"keras-c2f {arguments[0]} failed.\n{printed.getvalue()}")
    return printed.getvalue()


def export(run, *options):
    """Path of the LiteRT file in float32."""
    out = command(
        *("export", "--run", run, "--variant=float32", "--clips=0"), *options
    )
    return out.split("Written: ")[1].strip()


def measure(path, audio, events):
    """dict of a LiteRT file's detections and costs, on one thread."""
    classifier = load_classifier(path, num_threads=1)
    began = time.perf_counter()
    windows = list(classifier.predict(audio, 0.5))
    seconds = time.perf_counter() - began
    cost = getattr(classifier, "relative_cost", 1.0)
    ended = getattr(classifier, "num_ended", np.array([len(windows)]))
    found = score(windows, classifier.info.class_names, events)
    return {**found, "cost": cost, "ended": ended, "seconds": seconds}


def main(root):
    root = Path(root)
    (root / "audio").mkdir(parents=True, exist_ok=True)
    words = synthesize_keywords(WORDS, *CLIPS)
    clips = write_data(root / "audio", words)
    run = root / "run"
    data = f"--data=csv:{clips}"
    if not (run / "coarse_to_fine" / "model.keras").exists():
        command("train", "--run", run, data, *TRAIN)
    audio, events = make_stream(synthesize_keywords(WORDS, 1, 60, seed=3)[1])
    rows = {"full alone": measure(export(run), audio, events)}
    lines = []
    for text in CASCADES:
        printed = command("evaluate", "--run", run, f"--cascade={text}")
        at = printed.index("Cascade ")
        lines.append(printed[at : printed.index("\nWritten", at)])
        if "Every clip goes on" not in lines[-1]:
            rows[text] = measure(export(run, "--cascade"), audio, events)
    show(rows, lines)


def show(rows, lines):
    """Prints the result."""
    options = " ".join(f'"{option}"' for option in TRAIN)
    print("`python tools/measure_stream.py FOLDER`\n")
    print(f"    keras-c2f train --data csv:clips.csv {options}\n")
    print(", ".join(f"{name} {found}" for name, found in versions().items()))
    print(f"{hardware()}, load {os.getloadavg()[0]:.1f}.\n")
    print("\n\n".join(lines), "\n")
    print("| LiteRT, one thread | windows by where they ended |", end="")
    print(f" compute | seconds for the hour | found of {EVENTS} |", end="")
    print(" false | of these on an event | F1, % |")
    print("|---|---|---|---|---|---|---|---|")
    for name, row in rows.items():
        ended = " ".join(map(str, row["ended"]))
        print(f"| {name} | {ended} | {row['cost']:.1%} |", end="")
        print(f" {row['seconds']:.1f} | {row['found']} |", end="")
        print(f" {row['false']} | {row['beside']} |", end="")
        print(f" {100 * row['f1']:.1f} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
