"""What one set of weights is worth at each of its resolutions."""

from keras_c2f.cost import count_macs
from keras_c2f.evaluation.evaluate import evaluate, primary_metric
from keras_c2f.phases import at_resolution


def score_resolutions(network, pipeline, clips, phase, crops=1):
    """Scores at the resolutions of an elastic phase.

    Args:
        network: `AudioClassifier`, trained at all of them.
        pipeline: `AudioPipeline`.
        clips: `Clips`.
        phase: `Phase`.
        crops: int, see `evaluate`.

    Returns:
        dict, empty of another phase. Else `resolutions`, a dict from each
        resolution as text to a dict of the headline metric, `loss`, and
        `gmacs` of a look at one clip.
    """
    scores = {}
    for resolution, _ in phase.elastic:
        copy = network
        if resolution != network.resolution:
            copy = at_resolution(network, resolution)
        summary, _ = evaluate(copy, pipeline, clips, crops)
        names = (primary_metric(summary), "loss")
        scores[str(resolution)] = {
            **{name: summary[name] for name in names},
            "gmacs": count_macs(copy) / 1e9,
        }
    return {"resolutions": scores} if scores else {}
