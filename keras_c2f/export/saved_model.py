"""The SavedModel: what TensorFlow Serving answers with, and others convert."""

import os

from keras_c2f.models.metadata import FILE_NAME
from keras_c2f.utils.optional import tf

EXTRA = "assets.extra"  # TensorFlow's folder for files of others


def write_saved_model(model, info, path, batch_size=None):
    """Writes a SavedModel with two signatures. TensorFlow backend only.

    `serving_default` takes `waveform` and `num_samples` and returns `scores`;
    `describe` takes nothing and returns `class_names`, `sample_rate`,
    `num_samples`, `multi_label`, `resolution`. All of it is in
    `assets.extra/keras_c2f.json` too.

    Args:
        model: what `waveform_classifier` returned.
        info: `ClassifierInfo`.
        path: folder to make.
        batch_size: int, or `None` for any.
    """
    # `keras.export.ExportArchive` would save each weight twice.

    def serve(waveform, num_samples):
        inputs = {"waveform": waveform, "num_samples": num_samples}
        return {"scores": model(inputs, training=False)}

    def describe():
        return {
            "class_names": tf.constant(info.class_names),
            "sample_rate": tf.constant(info.sample_rate),
            "num_samples": tf.constant(info.num_samples),
            "multi_label": tf.constant(info.multi_label),
            "resolution": tf.constant(info.resolution),
        }

    module = tf.Module()
    module.kept = [variable.value for variable in model.variables]
    signatures = {
        "serving_default": tf.function(serve, input_specs(info, batch_size)),
        "describe": tf.function(describe, []),
    }
    try:
        tf.saved_model.save(module, str(path), signatures)
    except tf.errors.OpError as error:  # such as of a full disk
        raise OSError(error.message) from error
    extra = os.path.join(path, EXTRA)
    os.makedirs(extra, exist_ok=True)
    with open(os.path.join(extra, FILE_NAME), "w") as file:
        file.write(info.to_json())


def input_specs(info, batch_size):
    """The two inputs of a classifier as TensorFlow's records."""
    return [
        tf.TensorSpec(
            (batch_size, info.num_samples), tf.float32, name="waveform"
        ),
        tf.TensorSpec((batch_size,), tf.int32, name="num_samples"),
    ]
