"""What simple statistics and logistic regression make of the studies' data.

    python tools/measure_floors.py esc50:PATH esc10:PATH digits:PATH

Each clip's log-mel, as the networks of `keras-c2f study coarse-to-fine` get
it, becomes mean, standard deviation, mean change from frame to frame and
maximum of 64 bands over time; scikit-learn's logistic regression learns these,
standardised, and is scored on the same held-out folds or speakers. A network
below this floor has learned less than its data allow. Prints a Markdown table.
Minutes on two cores; needs the extra `tests`.
"""

import argparse
import statistics

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from keras_c2f.data import AudioPipeline
from keras_c2f.frontend import Frontend
from keras_c2f.machine import hardware, versions
from keras_c2f.recipes import Recipe
from keras_c2f.study.plan import read_study

BANDS = 64


def summarise(log_mel):
    """`(batch, frames, bands)` -> `(batch, 4 * bands)`."""
    change = np.abs(np.diff(log_mel, axis=1))
    return np.concatenate(
        [
            log_mel.mean(axis=1),
            log_mel.std(axis=1),
            change.mean(axis=1),
            log_mel.max(axis=1),
        ],
        axis=1,
    )


def read(clips, num_frames):
    """Features of `Clips`, and their labels."""
    pipeline = AudioPipeline(
        Frontend(num_mel_bins=BANDS), num_frames=num_frames, batch_size=64
    )
    features, labels = [], []
    for log_mel, targets in pipeline.dataset(clips):
        features.append(summarise(log_mel.numpy()))
        labels.append(targets.numpy().argmax(axis=1))
    return np.concatenate(features), np.concatenate(labels)


def floor(spec, held_out, num_frames):
    """Accuracy in percent on one held-out fold or speaker."""
    train, validation = Recipe(data=spec, held_out=held_out).open_data()
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.1, max_iter=2000)
    )
    model.fit(*read(train, num_frames))
    return 100 * model.score(*read(validation, num_frames))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", nargs="+", metavar="KIND:PATH")
    specs = parser.parse_args().data
    found = versions()
    print(
        f"Python {found['python']}, numpy {found['numpy']}; {hardware()}.\n\n"
        "| accuracy, % | mean | held out |\n|---|---|---|"
    )
    study = read_study("coarse-to-fine")
    for spec in specs:
        kind = spec.partition(":")[0]
        of_data = study.data[kind]
        num_frames = of_data["settings"]["num_frames"]
        scores = {
            part: floor(spec, part, num_frames) for part in of_data["held_out"]
        }
        parts = ", ".join(
            f"{part} {score:.1f}" for part, score in scores.items()
        )
        mean = statistics.mean(scores.values())
        print(f"| {kind} | {mean:.1f} | {parts} |", flush=True)


if __name__ == "__main__":
    main()
