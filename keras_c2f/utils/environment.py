"""What a result depends on beside code and data: versions, and the machine."""

import collections
import importlib.metadata
import os
import platform
import re

import keras


def versions():
    """Versions of what a result depends on, with the backend in use."""
    found = {
        "backend": keras.backend.backend(),
        "python": platform.python_version(),
    }
    names = ("keras_c2f", "keras", "tensorflow-cpu", "tensorflow", "jax")
    for name in (*names, "torch", "numpy"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def hardware():
    """Processor, number of cores, and the backend's accelerators, as one line.

    With family and model where Linux says: clouds hide the name.
    """
    processor = platform.processor() or platform.machine()
    fields = _processor_fields()
    processor = fields.get("model name", processor)
    if "cpu family" in fields:
        processor += f", family {fields['cpu family']}"
        processor += f", model {fields['model']}"
    cores = os.cpu_count()
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))  # that this process may use
    found = collections.Counter({processor: cores})
    found.update(_accelerators())
    return " + ".join(f"{number} x {name}" for name, number in found.items())


def has_fast_bfloat16():
    """Whether convolutions are faster in bfloat16 than in float32 here.

    They are on processors with AMX, in TensorFlow and PyTorch; in JAX they are
    not. Nothing is said of accelerators: false.
    """
    if keras.backend.backend() == "jax" or _accelerators():
        return False
    return "amx_bf16" in _processor_fields().get("flags", "").split()


def _processor_fields():
    """dict of what Linux says of a processor; empty elsewhere."""
    if not os.path.exists("/proc/cpuinfo"):
        return {}
    with open("/proc/cpuinfo") as file:
        return dict(re.findall(r"(.+?)\s*: (.*)\n", file.read()))


def _accelerators():
    """Names of what the backend has beside the CPU: on PyTorch, CUDA alone."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        details = tf.config.experimental.get_device_details
        return [
            details(gpu).get("device_name", "GPU")
            for gpu in tf.config.list_physical_devices("GPU")
        ]
    if backend == "jax":
        import jax

        devices = jax.local_devices()
        return [d.device_kind for d in devices if d.platform != "cpu"]
    import torch

    return [
        torch.cuda.get_device_name(index)
        for index in range(torch.cuda.device_count())
    ]
