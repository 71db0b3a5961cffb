"""What simple statistics and logistic regression make of the studies' data.

    python tools/measure_floors.py esc50:PATH esc10:PATH digits:PATH

Of each recording's log-mel, at its own length: mean, standard deviation, mean
change from frame to frame and maximum over time of 64 bands, and how many
frames there are. scikit-learn's logistic regression learns these,
standardised, and is scored on the held-out folds or speakers of
`python tools/study.py coarse-to-fine`. A network below this floor has learned
less than its data allow. Prints a Markdown table. Minutes on two cores; needs
the extra `tests`.
"""

import argparse
import statistics

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from studies.plan import read_study

from keras_c2f.audio.decode import load_audio
from keras_c2f.data.features import log_mel
from keras_c2f.layers.log_mel import Frontend
from keras_c2f.training.recipe import Recipe
from keras_c2f.utils.environment import hardware, versions

FRONTEND = Frontend(num_mel_bins=64)


def summarise(path):
    """`(257,)` numbers that stand for a recording."""
    samples = load_audio(path, FRONTEND.sample_rate)
    num_frames = FRONTEND.num_frames(len(samples))
    mels = log_mel(samples, FRONTEND, num_frames).numpy()
    change = np.abs(np.diff(mels, axis=0)).mean(axis=0)
    return np.concatenate(
        [
            mels.mean(axis=0),
            mels.std(axis=0),
            change,
            mels.max(axis=0),
            [num_frames],
        ]
    )


def floor(spec, held_out, known):
    """Accuracy in percent on one held-out fold or speaker.

    Args:
        spec: str, kind of data set and path.
        held_out: str.
        known: dict from paths to features, which is added to.
    """
    sets = Recipe(data=spec, held_out=held_out).open_data()
    for clips in sets:
        for path in clips.audio:
            if path not in known:
                known[path] = summarise(path)
    train, validation = (
        (np.stack([known[path] for path in clips.audio]), clips.labels)
        for clips in sets
    )
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return 100 * model.fit(*train).score(*validation)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", nargs="+", metavar="KIND:PATH")
    specs = parser.parse_args().data
    kinds = [spec.partition(":")[0] for spec in specs]
    words = [f"{kind}:PATH" for kind in kinds]
    print(
        f"`python tools/measure_floors.py {' '.join(words)}`\n\n"
        f"Python {versions()['python']}, scikit-learn {sklearn.__version__}; "
        f"{hardware()}.\n\n"
        "| accuracy, % | mean | held out |\n|---|---|---|"
    )
    data, known = read_study("coarse-to-fine").data, {}
    for kind, spec in zip(kinds, specs, strict=True):
        scores = {
            part: floor(spec, part, known) for part in data[kind]["held_out"]
        }
        words = [f"{part}: {score:.1f}" for part, score in scores.items()]
        mean = statistics.mean(scores.values())
        print(f"| {kind} | {mean:.1f} | {', '.join(words)} |", flush=True)


if __name__ == "__main__":
    main()
