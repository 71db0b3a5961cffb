"""What is said of the machine, on every backend."""

import keras

from keras_c2f.utils.environment import hardware


def pretend_cards(monkeypatch, number, name="NVIDIA H100"):
    """Makes the backend in use say that it has so many of them."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        config = tf.config
        monkeypatch.setattr(
            config, "list_physical_devices", lambda kind: "a" * number
        )
        monkeypatch.setattr(
            config.experimental,
            "get_device_details",
            lambda gpu: {"device_name": name},
        )
    elif backend == "jax":
        import jax

        class Card:
            platform = "gpu"
            device_kind = name

        devices = [*jax.devices("cpu"), *number * [Card()]]
        monkeypatch.setattr(jax, "local_devices", lambda: devices)
    else:
        import torch

        monkeypatch.setattr(torch.cuda, "device_count", lambda: number)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: name)


def test_hardware_names_accelerators_of_the_backend(monkeypatch):
    pretend_cards(monkeypatch, 0)
    processor = hardware()
    assert " + " not in processor
    pretend_cards(monkeypatch, 2)
    assert hardware() == f"{processor} + 2 x NVIDIA H100"
