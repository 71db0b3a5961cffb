"""What is said of the machine, on every backend."""

import keras

from keras_c2f.machine import hardware


def pretend_two_cards(monkeypatch, name):
    """Makes the backend in use say that there are two of them."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        config = tf.config
        monkeypatch.setattr(config, "list_physical_devices", lambda kind: "ab")
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

        devices = [*jax.local_devices(), Card(), Card()]
        monkeypatch.setattr(jax, "local_devices", lambda: devices)
    else:
        import torch

        monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: name)


def test_hardware_names_accelerators_of_the_backend(monkeypatch):
    alone = hardware()
    assert ";" not in alone
    pretend_two_cards(monkeypatch, "NVIDIA H100")
    assert hardware() == f"{alone}; 2 x NVIDIA H100"
