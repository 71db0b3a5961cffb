"""What an exported file computes, as TensorFlow functions."""

import keras
from keras import ops

from keras_c2f.models import AudioClassifier
from keras_c2f.models.waveform_classifier import log_mel_input
from keras_c2f.phases import at_resolution
from keras_c2f.phases.transplant import weights_by_path
from keras_c2f.resolution import Resolution
from keras_c2f.utils.optional import tf

# In the names of tensors and nodes of what stays in float32 whatever the rest
# is: quiet bins drown in what rounding leaves of loud ones, and a head in 8
# bits is most of what these change in scores, for a hundredth of the size.
IN_FLOAT32 = r".*(frontend|\bhead).*"


def signatures_of(model, info, batch_size=None, finer_batch_size=None):
    """The functions that files for other runtimes are made of.

    Args:
        model: what `waveform_classifier` returned.
        info: `ClassifierInfo`.
        batch_size: int, windows at once, or `None` for any number.
        finer_batch_size: the same of the finer looks of a cascade, which few
            of these windows need.

    Returns:
        dict from name to `tf.function`. Of one network `serving_default`,
        from `waveform` and `num_samples` to `scores`. Of a cascade one for
        each look, coarse to fine, named after its `Resolution`; all give
        `scores`, and their `confidence`. The first takes `waveform` and
        `num_samples` and also gives `log_mel`, which the others take.
    """
    waveform = input_specs(info, batch_size)
    if info.cascade is None:

        @tf.function(input_signature=waveform)
        def serve(waveform, num_samples):
            inputs = {"waveform": waveform, "num_samples": num_samples}
            return {"scores": model(inputs, training=False)}

        return {"serving_default": serve}
    frontend, looks = _frontend_and_looks(model, info)
    coarse, *finer = looks

    @tf.function(input_signature=waveform)
    def first(waveform, num_samples):
        inputs = {"waveform": waveform, "num_samples": num_samples}
        log_mel = frontend(inputs, training=False)
        return {**looks[coarse](log_mel), "log_mel": log_mel}

    shape = (finer_batch_size, *frontend.output_shape[1:])
    log_mel = [tf.TensorSpec(shape, tf.float32, name="log_mel")]
    others = {name: tf.function(looks[name], log_mel) for name in finer}
    return {coarse: first, **others}


def input_specs(info, batch_size):
    """The two inputs of a classifier as TensorFlow's records."""
    return [
        tf.TensorSpec(
            (batch_size, info.num_samples), tf.float32, name="waveform"
        ),
        tf.TensorSpec((batch_size,), tf.int32, name="num_samples"),
    ]


def whole_cascade(looks, info, batch_size=None):
    """A cascade as one function: windows in, scores out.

    Args:
        looks: the functions of `signatures_of`, whose finer looks take any
            number of windows.
        info, batch_size: as there.

    Returns:
        `tf.function` from `waveform` and `num_samples` to `scores`, and int32
        `ended`, the index of the look at which each window ended.
    """
    first, *finer = looks

    @tf.function(input_signature=input_specs(info, batch_size))
    def serve(waveform, num_samples):
        found = first(waveform, num_samples)
        scores, confidence = found["scores"], found["confidence"]
        ended = tf.zeros_like(confidence, tf.int32)
        rows = tf.range(tf.size(ended))
        for index, look in enumerate(finer, 1):
            unsure = confidence < info.cascade["threshold"]
            rows = tf.boolean_mask(rows, unsure)
            scores, ended, confidence = _look_again(
                look, index, rows, found["log_mel"], scores, ended
            )
        return {"scores": scores, "ended": ended}

    return serve


def _look_again(look, index, rows, log_mel, scores, ended):
    """Scores and where they ended after a finer look at some rows.

    Returns:
        `scores`, `ended`, and the confidence of these rows.
    """

    def goes_on():
        found = look(tf.gather(log_mel, rows))
        positions = rows[:, None]
        indices = tf.fill(tf.shape(rows), index)
        return (
            tf.tensor_scatter_nd_update(scores, positions, found["scores"]),
            tf.tensor_scatter_nd_update(ended, positions, indices),
            found["confidence"],
        )

    def ends():
        return scores, ended, tf.zeros([0])

    return tf.cond(tf.size(rows) > 0, goes_on, ends)


def _frontend_and_looks(model, info):
    """A model from audio to log-mel, and functions from that to scores.

    Returns:
        `keras.Model`, whose output is at the resolution of the finest look,
        and a dict from the name of a resolution to its look.
    """
    (trained,) = (x for x in model.layers if isinstance(x, AudioClassifier))
    resolutions = [Resolution.parse(r) for r in info.cascade["resolutions"]]
    networks = [at_resolution(trained, r) for r in resolutions]
    log_mel = model.get_layer("frontend")
    frontend = keras.Model(
        *log_mel_input(
            networks[-1].backbone,
            log_mel.frontend,
            info.num_samples,
            log_mel.use_fft,
        )
    )
    looks = {}
    for network, temperature in zip(
        networks, info.cascade["temperatures"], strict=True
    ):
        logits = _with_weights_of(trained, network, resolutions[-1])
        looks[network.resolution.name] = _look(
            logits, temperature, info.multi_label
        )
    return frontend, looks


def _look(logits, temperature, multi_label):
    """Function from log-mel to scores and confidence, see `Cascade`."""

    def look(log_mel):
        tempered = logits(log_mel) / temperature
        if multi_label:
            scores = ops.sigmoid(tempered)
            sure = ops.mean(ops.maximum(scores, 1 - scores), axis=-1)
        else:
            scores = ops.softmax(tempered)
            sure = ops.max(scores, axis=-1)
        return {"scores": scores, "confidence": sure}

    return look


def _with_weights_of(trained, network, finest):
    """Logits of a network, of log-mel at a finer resolution.

    Its weights are those of `trained`, the same variables, but for the few of
    another shape.
    """
    theirs, own = weights_by_path(trained), weights_by_path(network)
    values = {}
    for path, (variable, _) in own.items():
        source, _ = theirs.get(path, (variable, None))
        is_alike = tuple(source.shape) == tuple(variable.shape)
        values[id(variable)] = (source if is_alike else variable).value
    learned, state = (
        [values[id(variable)] for variable in variables]
        for variables in (
            network.trainable_variables,
            network.non_trainable_variables,
        )
    )
    compression = network.resolution.relative_to(finest)

    def logits(log_mel):
        inputs = compression.compress(log_mel, ops)
        outputs, _ = network.stateless_call(
            learned, state, inputs, training=False
        )
        return outputs

    return logits
