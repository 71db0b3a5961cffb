"""Classify a WAV file with a SavedModel, as TensorFlow Serving does.

Needs the runtime alone:

    pip install tensorflow-cpu
    python classify_saved_model.py classifier/1 audio.wav

Expected: the three likeliest classes of each window of the recording. The last
window ends with the recording; a recording shorter than a window is padded. A
cascade looks again, finer, where it is unsure, and prints for each window at
which resolution it ended.
"""

import sys
import wave

import numpy as np
import tensorflow as tf

model, audio = sys.argv[1:]
classifier = tf.saved_model.load(model)
signatures = classifier.signatures
info = {name: value.numpy() for name, value in signatures["describe"]().items()}
with wave.open(audio) as file:
    rate, channels = file.getframerate(), file.getnchannels()
    if rate != info["sample_rate"] or file.getsampwidth() != 2:
        sys.exit(f"{audio}: 16-bit WAV of {info['sample_rate']} Hz is wanted.")
    samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
samples = samples.reshape(-1, channels).mean(1).astype("float32") / 32768
if not len(samples):
    sys.exit(f"{audio} has no samples. Give a longer one.")

size = int(info["num_samples"])
last = max(len(samples) - size, 0)  # ends with the file
for start in [*range(0, last, size), last]:
    window = samples[start : start + size]
    found = signatures["serving_default"](
        waveform=tf.constant(np.pad(window, [0, size - len(window)])[None]),
        num_samples=tf.constant([len(window)]),
    )
    scores = found["scores"][0].numpy()
    at = ""
    if "ended" in found:  # the index of the look that was sure
        at = f", at {info['resolutions'][found['ended'][0]].decode()}"
    print(f"{start / rate:.1f} s{at}")
    for index in scores.argsort()[::-1][:3]:
        name = info["class_names"][index].decode()
        print(f"  {name:<20} {scores[index]:6.1%}")
