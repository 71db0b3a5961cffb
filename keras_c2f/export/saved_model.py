"""The SavedModel: what TensorFlow Serving answers with, and others convert."""

import os

from keras_c2f.export.signatures import signatures_of, whole_cascade
from keras_c2f.models.metadata import FILE_NAME
from keras_c2f.utils.optional import tf

EXTRA = "assets.extra"  # TensorFlow's folder for files of others


def write_saved_model(model, info, path, batch_size=None):
    """Writes a SavedModel. TensorFlow backend only.

    Its signature `serving_default` takes `waveform` and `num_samples` and
    returns `scores`; of a cascade also `ended`, and each look has a signature
    of its own: see `signatures_of`. `describe` takes nothing and returns
    `class_names`, `sample_rate`, `num_samples`, `multi_label`, `resolution`;
    of a cascade also `resolutions`, `temperatures`, `threshold`, `gmacs`. All
    of it is in `assets.extra/keras_c2f.json` too.

    Args:
        model: what `waveform_classifier` returned.
        info: `ClassifierInfo`.
        path: folder to make.
        batch_size: int, or `None` for any.
    """
    signatures = signatures_of(model, info, batch_size)
    if info.cascade is not None:
        looks = list(signatures.values())
        whole = whole_cascade(looks, info, batch_size)
        signatures["serving_default"] = whole

    def describe():
        cascade = info.cascade or {}
        names = ("resolutions", "temperatures", "threshold", "gmacs")
        return {
            "class_names": tf.constant(info.class_names),
            "sample_rate": tf.constant(info.sample_rate),
            "num_samples": tf.constant(info.num_samples),
            "multi_label": tf.constant(info.multi_label),
            "resolution": tf.constant(info.resolution),
            **{n: tf.constant(cascade[n]) for n in names if n in cascade},
        }

    save_signatures(path, {**signatures, "describe": tf.function(describe, [])})
    extra = os.path.join(path, EXTRA)
    os.makedirs(extra, exist_ok=True)
    with open(os.path.join(extra, FILE_NAME), "w") as file:
        file.write(info.to_json())


def save_signatures(path, signatures):
    """Writes functions with the weights that they use, each of these once.

    Args:
        path: folder to make.
        signatures: dict from name to `tf.function`.

    Raises:
        OSError: if that fails, as on a full disk.
    """
    # `keras.export.ExportArchive` would save each weight twice.
    module = tf.Module()
    module.kept = [
        variable
        for function in signatures.values()
        for variable in function.get_concrete_function().variables
    ]
    try:
        tf.saved_model.save(module, str(path), signatures)
    except tf.errors.OpError as error:  # such as of a full disk
        raise OSError(error.message) from error
