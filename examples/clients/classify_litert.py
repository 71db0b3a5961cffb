"""Classify a WAV file with LiteRT, as on a phone or a Raspberry Pi.

Needs the runtime alone:

    pip install ai-edge-litert numpy
    python classify_litert.py classifier-dynamic.tflite audio.wav

Expected: the three likeliest classes of each window of the recording. The last
window ends with the recording; a recording shorter than a window is padded.
"""

import json
import sys
import wave
import zipfile

import numpy as np
from ai_edge_litert.interpreter import Interpreter

model, audio = sys.argv[1:]
with zipfile.ZipFile(model) as archive:  # behind the model, in the same file
    info = json.loads(archive.read("keras_c2f.json"))
with wave.open(audio) as file:
    rate, channels = file.getframerate(), file.getnchannels()
    if rate != info["sample_rate"] or file.getsampwidth() != 2:
        sys.exit(f"{audio}: 16-bit WAV of {info['sample_rate']} Hz is wanted.")
    samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
samples = samples.reshape(-1, channels).mean(1).astype("float32") / 32768
if not len(samples):
    sys.exit(f"{audio} has no samples. Give a longer one.")

size = info["num_samples"]
classify = Interpreter(model).get_signature_runner()
last = max(len(samples) - size, 0)  # ends with the file
for start in [*range(0, last, size), last]:
    window = samples[start : start + size]
    scores = classify(
        waveform=np.pad(window, [0, size - len(window)])[None],
        num_samples=np.array([len(window)], "int32"),
    )["scores"][0]
    print(f"{start / rate:.1f} s")
    for index in scores.argsort()[::-1][:3]:
        print(f"  {info['class_names'][index]:<20} {scores[index]:6.1%}")
