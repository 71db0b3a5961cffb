"""Classify a WAV file with ONNX Runtime, as on a server or a desktop.

Needs the runtime alone:

    pip install onnxruntime numpy
    python classify_onnx.py classifier-float32.onnx audio.wav

Expected: the three likeliest classes of each window of the recording. The last
window ends with the recording; a recording shorter than a window is padded. A
cascade looks again, finer, where it is unsure, and prints for each window at
which resolution it ended.
"""

import json
import sys
import wave

import numpy as np
import onnxruntime

model, audio = sys.argv[1:]
session = onnxruntime.InferenceSession(model)
info = json.loads(session.get_modelmeta().custom_metadata_map["keras_c2f"])
with wave.open(audio) as file:
    rate, channels = file.getframerate(), file.getnchannels()
    if rate != info["sample_rate"] or file.getsampwidth() != 2:
        sys.exit(f"{audio}: 16-bit WAV of {info['sample_rate']} Hz is wanted.")
    samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
samples = samples.reshape(-1, channels).mean(1).astype("float32") / 32768
if not len(samples):
    sys.exit(f"{audio} has no samples. Give a longer one.")

size = info["num_samples"]
last = max(len(samples) - size, 0)  # ends with the file
for start in [*range(0, last, size), last]:
    window = samples[start : start + size]
    inputs = {
        "waveform": np.pad(window, [0, size - len(window)])[None],
        "num_samples": np.array([len(window)], "int32"),
    }
    scores, *ended = (output[0] for output in session.run(None, inputs))
    at = [f", at {info['cascade']['resolutions'][look]}" for look in ended]
    print(f"{start / rate:.1f} s", *at, sep="")
    for index in scores.argsort()[::-1][:3]:
        print(f"  {info['class_names'][index]:<20} {scores[index]:6.1%}")
