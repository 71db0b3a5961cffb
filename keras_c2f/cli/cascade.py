"""What `--cascade` of the command line asks for."""

import os

from keras_c2f.training.run_folder import evaluation_name
from keras_c2f.utils.files import read_json, write_json, write_rows

POINTS = 100  # of a metric from 0 to 1


def check_cascade(arguments, corruptions):
    """Refuses options of `evaluate` that do not go with `--cascade`."""
    if not arguments.cascade:
        return
    if arguments.crops > 1 or corruptions:
        raise ValueError(
            "A cascade looks at one window of each clip as it is recorded. "
            "Leave --crops and --corrupt out, or --cascade."
        )


def score_cascade(arguments, trained, pipeline, clips):
    """Calibrates a cascade on a run's own validation clips, or scores it.

    Calibrated it is with the clips that the run was validated on. On other
    data it is scored as calibrated before. A converted model has no clips of
    its own: it is calibrated on `--data`, and scored with `--held-out`.

    Args:
        arguments: parsed, of `evaluate`.
        trained: `TrainedRun`.
        pipeline: `AudioPipeline`.
        clips: `Clips`.

    Returns:
        str, path of the file written.
    """
    from keras_c2f.inference.cascade import Cascade
    from keras_c2f.inference.classifier import classifier_of
    from keras_c2f.inference.loading import CASCADE_FILE

    classifier = classifier_of(trained.network, trained.frontend, trained.info)
    resolutions = [text.strip() for text in arguments.cascade.split(",")]
    cascade = Cascade(classifier, resolutions)
    pipeline.set_phase(cascade.resolutions[-1], epoch=0)
    dataset = pipeline.dataset(clips)
    path = os.path.join(trained.folder, CASCADE_FILE)
    is_converted = not trained.config["recipe"]["data"]
    others = ["--data"] * bool(arguments.data and not is_converted)
    others += ["--held-out"] * bool(arguments.held_out)
    if others:
        calibration = _kept(path, cascade, others).applied_to(
            *cascade.measure(dataset), trained.info.multi_label
        )
        name = evaluation_name(
            trained.folder,
            data=arguments.data or "",
            held_out=arguments.held_out,
        ).replace("evaluation", "cascade", 1)
        path = os.path.join(trained.folder, f"{name}.json")
    else:
        calibration, curve = cascade.calibrate(
            dataset, arguments.max_loss / POINTS
        )
        write_rows(
            os.path.splitext(path)[0] + ".csv",
            [{k: "" if v is None else v for k, v in r.items()} for r in curve],
        )
    print(_lines(calibration))
    write_json(path, calibration.to_dict())
    return path


def _kept(path, cascade, others):
    """The `Calibration` that is to be scored on other data.

    Args:
        path: str, of its file.
        cascade: `Cascade`.
        others: list of str, the flags that name other data.
    """
    from keras_c2f.evaluation.cascade import Calibration

    advice = (
        f"Calibrate it first: the same command without {' and '.join(others)}."
    )
    if not os.path.exists(path):
        raise ValueError(f"There is no {path}. {advice}")
    calibration = Calibration.from_dict(read_json(path, advice))
    found = [str(resolution) for resolution in cascade.resolutions]
    if list(calibration.resolutions) != found:
        raise ValueError(
            f"The cascade in {path} is of {', '.join(calibration.resolutions)},"
            f" not of {', '.join(found)}. {advice}"
        )
    return calibration


def _lines(calibration):
    """The result of a cascade, as text of two lines."""
    from keras_c2f.evaluation.table import format_metric, metric_words

    metric = calibration.metric
    cascade, finest = (
        format_metric(metric, value)
        for value in (calibration.cascade, calibration.finest)
    )
    return (
        f"Cascade {', '.join(calibration.resolutions)}: {metric_words(metric)} "
        f"{cascade}, {calibration.resolutions[-1]} alone {finest}, on "
        f"{calibration.num_clips} clips\n{calibration}"
    )


def ended_line(cascade):
    """At which resolution windows ended, for the end of `predict`."""
    total = int(cascade.num_ended.sum())
    ends = ", ".join(
        f"{number} at {resolution}"
        for number, resolution in zip(
            cascade.num_ended, cascade.resolutions, strict=True
        )
    )
    return (
        f"{total} windows ended: {ends}; compute {cascade.relative_cost:.1%} "
        f"of {cascade.resolutions[-1]} alone"
    )
