"""What a trained network is worth on labelled clips, and on new sounds."""

import numpy as np

from keras_c2f.data import Clips, load_sound


def evaluate(network, pipeline, clips):
    """Scores of a network on `Clips`.

    Args:
        network: `AudioClassifier` fed with what `pipeline` makes.
        pipeline: `AudioPipeline`; set to the network's resolution.
        clips: `Clips`.

    Returns:
        dict with `num_clips` (those that could be read), `accuracy`, the
        share of clips whose best-scored class is one of theirs, `loss`, the
        mean cross-entropy (binary, summed over classes, where clips have
        several labels), and `confusion`, `[truth][prediction]` counts (empty
        where clips have several labels).

    Raises:
        ValueError: if no clip can be read.
    """
    pipeline.set_phase(network.resolution, epoch=0)
    scores, targets = [], []
    for features, truth in pipeline.dataset(clips):
        scores.append(np.asarray(network.predict_on_batch(features.numpy())))
        targets.append(truth.numpy())
    if not scores:
        raise ValueError(no_sound(pipeline))
    scores = np.concatenate(scores).astype("float64")
    targets = np.concatenate(targets)
    guesses = scores.argmax(-1)
    hits = np.take_along_axis(targets, guesses[:, None], -1) > 0
    confusion = []
    if not clips.multi_label:
        log_probability = scores - np.logaddexp.reduce(
            scores, -1, keepdims=True
        )
        losses = -(targets * log_probability).sum(-1)
        counts = np.zeros((clips.num_classes,) * 2, int)
        np.add.at(counts, (targets.argmax(-1), guesses), 1)
        confusion = counts.tolist()
    else:
        losses = (np.logaddexp(0, scores) - targets * scores).sum(-1)
    return {
        "num_clips": len(targets),
        "accuracy": float(hits.mean()),
        "loss": float(losses.mean()),
        "confusion": confusion,
    }


def probabilities(network, pipeline, sounds, class_names, multi_label=False):
    """Class probabilities of sounds without labels.

    Args:
        network, pipeline: as in `evaluate`.
        sounds: list of paths.
        class_names: list of str.
        multi_label: bool, whether a clip may have several labels.

    Returns:
        float `(num_sounds, num_classes)`, softmax of the logits, or their
        sigmoid if `multi_label`. The leading `clip_seconds` of each sound are
        used.

    Raises:
        SoundError: if a sound cannot be read.
    """
    rate = pipeline.frontend.sample_rate
    sounds = [load_sound(sound, rate) for sound in sounds]
    clips = Clips(sounds, np.zeros(len(sounds), int), class_names)
    pipeline.set_phase(network.resolution, epoch=0)
    scores = [
        np.asarray(network.predict_on_batch(features.numpy()))
        for features, _ in pipeline.dataset(clips)
    ]
    scores = np.concatenate(scores).astype("float64")
    if multi_label:
        return np.exp(-np.logaddexp(0, -scores))
    return np.exp(scores - np.logaddexp.reduce(scores, -1, keepdims=True))


def no_sound(pipeline):
    """The sentence for a data set of which no sound can be used."""
    some = "; ".join(": ".join(bad) for bad in pipeline.skipped[:3])
    return f"None of the sounds can be used, for example {some}."
