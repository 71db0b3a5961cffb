#!/usr/bin/env python3
"""Draws the picture on top of the README.

One second of synthetic speech as each phase sees it, and what studies measured
on ESC-50 (`tools/results/study`):

    python tools/draw_idea.py tools/results/idea.png
"""

import sys
from pathlib import Path

import numpy as np
from studies import read_results, read_study
from studies.comparison import mean_curve

from keras_c2f import Frontend, LogMel, Resolution
from keras_c2f.datasets import synthesize_keywords
from keras_c2f.report.plots import RUN_COLOURS, STYLE, import_matplotlib

ROWS = Path(__file__).parent / "results" / "study"
PHASES = (("pool:4", 40), ("pool:2", 20), ("full", 10))  # ms a frame
CURVES = {  # methods of the study, and what the picture calls them
    "baseline": "full resolution throughout",
    "pool 4-2-1, 60 %": "coarse to fine, 60 % of the compute",
    "pool 4-2-1, 100 %": "coarse to fine, as much compute",
}


def main(path):
    matplotlib = import_matplotlib()
    with matplotlib.rc_context(STYLE):
        figure = matplotlib.figure.Figure((8.8, 2.9), layout="constrained")
        left, right = figure.subfigures(1, 2, width_ratios=(1.15, 1))
        _draw_phases(left.subplots(1, 3, sharey=True))
        _draw_curves(right.subplots())
        figure.savefig(path, dpi=160)


def _draw_phases(panels):
    log_mel = _speech()
    for number, (text, frame) in enumerate(PHASES):
        axes, factor = panels[number], Resolution.parse(text).factor
        pooled = log_mel.reshape(-1, factor, log_mel.shape[1]).mean(1)
        axes.imshow(
            pooled.T, aspect="auto", origin="lower", interpolation="nearest"
        )
        axes.set_title(f"phase {number + 1}: {frame} ms\n{len(pooled)} frames")
        axes.set_xticks([])
        axes.grid(False)
    panels[0].set_ylabel("mel bins")


def _speech():
    """`(96, 128)`, log-mel of a synthetic word."""
    train, _ = synthesize_keywords(
        clips_per_word=1, validation_clips_per_word=1, verbose=False
    )
    word = train.audio[list(train.class_names).index("stop")]
    log_mel = np.array(LogMel(Frontend(), num_frames=96)(word[None]))[0]
    return np.clip(log_mel, *np.quantile(log_mel, (0.02, 0.995)))


def _draw_curves(axes):
    study, results = read_study("coarse-to-fine"), read_results(str(ROWS))
    for colour, (method, label) in zip(
        RUN_COLOURS, CURVES.items(), strict=False
    ):
        curve = mean_curve(study, results, method, "esc50")
        axes.plot(curve["macs"] / 1e12, 100 * curve["score"], color=colour)
        axes.plot(
            curve["macs"][-1] / 1e12,
            100 * curve["score"][-1],
            "o",
            color=colour,
            label=label,
        )
    axes.set_title("ESC-50, five folds x three seeds")
    axes.set_xlabel("training compute, 10¹² multiply-accumulates")
    axes.set_ylabel("accuracy, %")
    axes.set_ylim(bottom=0)
    axes.legend(loc="lower right", fontsize=8)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(sys.argv[1])
