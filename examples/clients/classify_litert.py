"""Classify a WAV file with LiteRT, as on a phone or a Raspberry Pi.

Needs the runtime alone:

    pip install ai-edge-litert numpy
    python classify_litert.py classifier-dynamic.tflite audio.wav

Expected: the three likeliest classes of each window of the recording. The last
window ends with the recording; a recording shorter than a window is padded. A
cascade looks again, finer, where it is unsure, and prints for each window at
which resolution it ended.
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
interpreter = Interpreter(model)
cascade = info.get("cascade", {"resolutions": []})
names = [  # of the signatures of a cascade: pool:4 is looked at by pool_4
    resolution.replace(":", "_").replace("+", "-")
    for resolution in cascade["resolutions"]
]
classify, *finer = map(interpreter.get_signature_runner, names or [None])
last = max(len(samples) - size, 0)  # ends with the file
for start in [*range(0, last, size), last]:
    window = samples[start : start + size]
    found = classify(
        waveform=np.pad(window, [0, size - len(window)])[None],
        num_samples=np.array([len(window)], "int32"),
    )
    ended = 0  # index of the look that was sure
    while ended < len(finer) and found["confidence"][0] < cascade["threshold"]:
        found |= finer[ended](log_mel=found["log_mel"])
        ended += 1
    scores = found["scores"][0]
    at = f", at {cascade['resolutions'][ended]}" if finer else ""
    print(f"{start / rate:.1f} s{at}")
    for index in scores.argsort()[::-1][:3]:
        print(f"  {info['class_names'][index]:<20} {scores[index]:6.1%}")
