"""Kinds of data sets, as the command line names them."""

KINDS = tuple(
    "folder csv jsonl ast audioset audioset20k vggsound voxceleb "
    "kinetics_sounds speech_commands fsd50k esc50 esc10 digits audio prepared "
    "keywords timing timbre".split()
)
SYNTHETIC = ("keywords", "timing", "timbre")  # synthesised: they have no path


def form(kind):
    """The text that names a kind of data set, with `PATH` where one belongs."""
    return kind if kind in SYNTHETIC else f"{kind}:PATH"
