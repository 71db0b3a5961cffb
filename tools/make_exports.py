"""Writes a classifier of random weights in each format, and a recording.

For `check_optional.sh`, which lets the clients in `examples` classify it where
this package is not installed.

    python tools/make_exports.py FOLDER
"""

import os
import sys

import keras
import numpy as np
import soundfile

from keras_c2f import AST, AudioClassifier, Frontend
from keras_c2f.export import export_classifier


def main(folder):
    keras.utils.set_random_seed(0)
    frontend = Frontend()
    network = AudioClassifier(AST.from_size("micro", num_frames=96), 10)
    names = [f"class {index}" for index in range(10)]
    for name in ("litert", "onnx", "savedmodel"):
        path = os.path.join(folder, name)
        export_classifier(network, frontend, names, path, 16000, format=name)
    noise = np.random.default_rng(0).normal(0, 0.1, 40000)
    soundfile.write(os.path.join(folder, "audio.wav"), noise, 16000)


if __name__ == "__main__":
    main(*sys.argv[1:])
