"""Which part of a long recording one crop needs.

A recording of hours costs no more memory than a short clip, and little more
time: what is read begins where frames of the file and samples of the model's
rate coincide, so the resampled crop is the one that the whole file would give.
"""

from fractions import Fraction

WHOLE_SECONDS = 30  # longer files are read in part
MARGIN_SECONDS = 0.25  # around such a part, where the resampler's filter ends


def crop_start(length, num_samples, position):
    """int, first sample of a crop.

    Args:
        length: int, samples there are.
        num_samples: int, samples of the crop.
        position: float from 0, the leading crop, to 1, the last one.
    """
    return max(
        min(int(position * (length - num_samples + 1)), length - num_samples), 0
    )


def find_excerpt(sample_rate, num_samples, position, num_frames, rate):
    """Which frames of a long file hold a crop, and some for the resampler.

    Args:
        sample_rate: int, Hz, wanted.
        num_samples: int, of the crop, at that rate.
        position: float, see `crop_start`.
        num_frames: int, frames of the file: samples of each channel.
        rate: int, Hz, of the file.

    Returns:
        `(first, last, skip)`, or `None` if the file is better read whole. The
        crop begins at sample `skip` of the frames from `first` to before
        `last`, once they are resampled.
    """
    length = num_frames * sample_rate // rate
    if length <= max(WHOLE_SECONDS * sample_rate, 2 * num_samples):
        return None
    start = crop_start(length, num_samples, position)
    margin = int(MARGIN_SECONDS * sample_rate)
    # `down` frames last as long as `up` samples: there both grids meet
    up, down = Fraction(sample_rate, rate).as_integer_ratio()
    meeting = max(start - margin, 0) // up
    last = -(-(start + num_samples + margin) * rate // sample_rate)
    return meeting * down, min(last, num_frames), start - meeting * up
