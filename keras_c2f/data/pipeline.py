"""`AudioPipeline`: clips to batches whose resolution can change each epoch."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from keras_c2f.audio.corruption import CorruptedAudio
from keras_c2f.audio.decode import DECODERS, AudioError
from keras_c2f.data import sampling
from keras_c2f.data.augment import Augment
from keras_c2f.data.cache import ArrayCache, AudioCache, LogMelCache
from keras_c2f.data.compression import PhaseVariables
from keras_c2f.data.loading import ClipLoader
from keras_c2f.data.moments import feature_moments
from keras_c2f.data.order import Share, check_shard
from keras_c2f.data.sets import evaluation_set, training_set
from keras_c2f.data.shards import are_log_mel
from keras_c2f.resolution import Resolution
from keras_c2f.utils.optional import tf
from keras_c2f.utils.values import Choice, Number

if TYPE_CHECKING:
    from keras_c2f.audio.corruption import Corruption
    from keras_c2f.data.clips import Clips
    from keras_c2f.layers.log_mel import Frontend

OUTPUTS = ("compressed", "log_mel", "waveform")
ON_ERROR = ("raise", "skip")
CROPS = ("random", "leading")


class AudioPipeline:
    """Makes `tf.data` sets of `(features, targets)` from `Clips`.

    Runs on the CPU with any Keras backend. Sets made by `dataset` follow
    `set_phase`, also in the middle of a `fit`: an iterator looks at the phase
    when it is asked for its first batch, and each epoch has its own iterator
    as long as the set is not repeated and `fit` gets no `steps_per_epoch`.

    Args:
        frontend: `Frontend`.
        num_frames: int T, frames at full resolution.
        batch_size: int. The last batch of an epoch may be smaller. Training
            sets have that of the phase, where it has one: see `set_phase`.
        outputs: `"compressed"`, log-mel at the resolution of the moment;
            `"log_mel"`, always at full resolution; or `"waveform"`. The last
            two are for models that compress inside.
        resolution: `Resolution` or text, until `set_phase` is called.
        augment: `Augment`, for training sets only.
        on_error: `"raise"` ends with TensorFlow's error, which names the bad
            file: see `naming_bad_audio`; `"skip"` leaves it out and notes it
            in `skipped`; its batch may be smaller.
        decoder: `"soundfile"` or `"tensorflow-io"`, see `load_audio`.
        cache_mb: float, what is kept in memory: decoded files, or their
            log-mel, and that of arrays, which then have to stay as they are.
            Log-mel is kept of recordings that are not cut, if nothing changes
            or asks for the waveform and there is one crop. Once that of all
            clips of an epoch is kept, but for an eighth at most and none
            that is known to be bad, they come a batch at a time.
        seed: int, of order, crops and augmentations.
        clip_seconds: float, clips are cut to this. Default: what T frames
            need.
        crop: `"random"`, training clips are cut anywhere; or `"leading"`, at
            their start, as in AST and outside training.
        balanced: bool, training sets draw clips with replacement, those of
            rare classes more often: see `balancing_weights`. Partners of
            mix-up are drawn uniformly all the same, as in AST.
        shard: pair of int, this worker's index from 0 and the number of
            workers, of training sets alone: each reads every `count`-th clip
            of the same order, so all need the same seed and clips. From
            `tf.distribute`'s input context: `(input_pipeline_id,
            num_input_pipelines)`; from JAX: `(process_index(),
            process_count())`. `batch_size` is that of one worker. All have
            the same number of batches: training leaves out up to `count - 1`
            clips of an epoch. Of bad files this holds if they are known
            beforehand (prepared data, or `skipped`), or with `pad_batches`.
            Masks, noise and roll are each worker's own.
        pad_batches: bool, all batches of training sets are of `batch_size`,
            and have a third part: weights `(batch,)`, 1 of a clip and 0 of
            the silence in place of a clip that cannot be read or behind the
            last one. So several devices share every batch, each clip counts
            once, and none is left out. `PhaseScheduler` weighs the loss by
            them; metrics are to be `weighted_metrics`.

    Attributes:
        clip_samples: int, samples that clips are cut to.

    Raises:
        ValueError: if an argument is not among the above, or `augment`
            changes spectrograms but `outputs` are waveforms.

    Example:
        >>> from keras_c2f.data import Clips
        >>> from keras_c2f.layers.log_mel import Frontend
        >>> clips = Clips(np.ones((5, 16000), "float32"), [0, 1, 0, 1, 1], "ab")
        >>> pipeline = AudioPipeline(Frontend(), num_frames=96, batch_size=4)
        >>> dataset = pipeline.dataset(clips)
        >>> [tuple(x.shape) for x, y in dataset]
        [(4, 96, 128), (1, 96, 128)]
        >>> pipeline.set_phase("shift:2+pool:2", epoch=0)
        >>> [tuple(x.shape) for x, y in dataset]
        [(4, 24, 128), (1, 24, 128)]
    """

    def __init__(
        self,
        frontend: Frontend,
        num_frames: int,
        batch_size: int,
        *,
        outputs: str = "compressed",
        resolution: Resolution | str = "full",
        augment: Augment | None = None,
        on_error: str = "raise",
        decoder: str = "soundfile",
        cache_mb: float = 512,
        seed: int = 0,
        clip_seconds: float | None = None,
        crop: str = "random",
        balanced: bool = False,
        shard: tuple[int, int] = (0, 1),
        pad_batches: bool = False,
    ):
        Choice(OUTPUTS).check("outputs", outputs)
        Choice(ON_ERROR).check("on_error", on_error)
        Choice(tuple(DECODERS)).check("decoder", decoder)
        Choice(CROPS).check("crop", crop)
        Number(int, at_least=1).check("num_frames", num_frames)
        Number(int, at_least=1).check("batch_size", batch_size)
        self.frontend = frontend
        self.num_frames = num_frames
        self.batch_size = batch_size
        self.outputs = outputs
        self.augment = augment or Augment()
        self.on_error = on_error
        self.seed = seed
        self.crop = crop
        self.balanced = balanced
        self.shard = check_shard(shard)
        self.pad_batches = pad_batches
        if outputs == "waveform" and self.augment.on_spectrogram:
            raise ValueError(
                "Masks, noise, roll and layers of `augment` change "
                "spectrograms, and outputs='waveform' has none. Keep `mixup` "
                "and `gain_db`, and put the rest into the model."
            )
        if clip_seconds is None:
            self.clip_samples = frontend.num_samples(num_frames)
        else:
            self.clip_samples = int(clip_seconds * frontend.sample_rate)
        cache = ArrayCache(cache_mb)
        self._audio = AudioCache(frontend.sample_rate, decoder, cache)
        self._log_mels = LogMelCache(frontend, num_frames, cache)
        self._phase = PhaseVariables()
        self.set_phase(resolution, epoch=0)

    def adapt(self, clips: Clips, num_clips: int = 512) -> Frontend:
        """Measures mean and deviation of features, and normalises with them.

        Taken over padded clips at full resolution, as AST does; over every
        clip, or at most `num_clips` of them spread evenly. Sets made before
        stay as they are.

        Args:
            clips: `Clips` to train on.
            num_clips: int.

        Returns:
            `Frontend`, that of this pipeline from now on.

        Raises:
            ValueError: if no clip can be read.
        """
        step = -(-len(clips) // num_clips)
        sample = clips.subset(range(0, len(clips), step))
        found = feature_moments(self, sample)
        if not found:
            raise ValueError(self.no_usable_audio())
        (full,) = found
        self.frontend = dataclasses.replace(
            self.frontend, mean=full.mean, std=full.std
        )
        return self.frontend

    def no_usable_audio(self) -> str:
        """The sentence for a data set of which no recording can be used."""
        some = "; ".join(": ".join(bad) for bad in self.skipped[:3])
        return f"None of the recordings can be used, for example {some}."

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """list of `(path, reason)` of recordings that could not be used.

        Set it to that of an earlier run, and its bad files are known.
        """
        return list(self._audio.bad.items())

    @skipped.setter
    def skipped(self, bad: Iterable[tuple[str, str]]) -> None:
        self._audio.bad.update(map(tuple, bad))

    def set_phase(
        self,
        resolution: Resolution | str,
        epoch: int,
        batch_size: int | None = None,
    ) -> None:
        """Sets what the next iterator of every set of this pipeline makes.

        `PhaseScheduler` calls this when an epoch begins. Without it training
        sets count their iterators, so each has another order.

        Args:
            resolution: `Resolution` or text. Its patch factor is the model's.
            epoch: int; order, crops and augmentations follow from it.
            batch_size: int, of training sets. Default: the pipeline's own,
                which all other sets keep.

        Raises:
            ValueError: if the resolution leaves no frame, or `batch_size` is
                below 1, or another one with `pad_batches`.
        """
        resolution = Resolution.parse(resolution)
        resolution.num_frames(self.num_frames)
        if batch_size is None:
            batch_size = self.batch_size
        Number(int, at_least=1).check("batch_size", batch_size)
        if self.pad_batches and batch_size != self.batch_size:
            raise ValueError(
                "With `pad_batches` all phases have the pipeline's batch size, "
                f"{self.batch_size}. Received: batch_size={batch_size}."
            )
        if self.outputs != "compressed":
            resolution = Resolution()
        self._phase.assign(resolution, epoch, batch_size)

    @contextlib.contextmanager
    def naming_bad_audio(self) -> Iterator[None]:
        """Context in which TensorFlow's error on a bad recording is
        `AudioError`.

        For code that reads sets of this pipeline, `fit` included, with
        `on_error="raise"`.
        """
        try:
            yield
        except tf.errors.InvalidArgumentError as error:
            if self.on_error == "skip" or not self._audio.bad:
                raise
            raise AudioError(*self.skipped[0]) from error

    def dataset(
        self,
        clips: Clips,
        training: bool = False,
        start_step: int = 0,
        crops: int = 1,
        corruption: Corruption | None = None,
    ) -> tf.data.Dataset:
        """`tf.data.Dataset` of one epoch of `(features, targets)`.

        Args:
            clips: `Clips`.
            training: bool, shuffles, crops and augments.
            start_step: int, to go on in the middle of an epoch: this many
                batches are left out, and their recordings never read. Every
                iterator of this set begins there; use another for the next
                epochs. With `on_error="skip"`, bad files among those left out
                have to be known, as for `shard`.
            crops: int, windows a clip, to evaluate clips longer than
                `clip_seconds`: spread evenly, the first at the clip's start,
                the last at its end. All windows of a shorter clip are alike.
            corruption: `Corruption` of each recording, to evaluate with; the
                whole recording is changed, then cut or padded as ever.

        Returns:
            Features float32, by `outputs`: `(batch, frames, mel_bins)`
            normalised, or `(batch, samples)`, cut or zero-padded to
            `clip_seconds`. Behind the batch is an axis of `crops` if these
            are several. Targets float32 `(batch, num_classes)`. With
            `pad_batches` a training set has weights, too. The time axis is
            unknown beforehand. The number of batches is known, of training
            sets that of the phase of the moment, unless bad files are
            skipped: Keras then warns once, when the first epoch
            ends, that the input ran out of data.

        Raises:
            ValueError: if the epoch has no batch `start_step`, prepared data
                do not fit this pipeline, `crops` is below 1, or above 1 in
                training, or `corruption` is given in training or for prepared
                log-mel.
        """
        if crops < 1 or training and crops > 1:
            raise ValueError(
                "`crops` is a number of windows, at least 1, and 1 in "
                f"training. Received: crops={crops}, training={training}."
            )
        if corruption and training:
            raise ValueError(
                "`corruption` is for evaluation: every epoch would get the "
                "same noise. Use `augment` in training. "
                f"Received: corruption={str(corruption)!r}, training=True."
            )
        share = self._share(clips, training, start_step)
        load = self._loader(clips, training, crops, corruption)
        if training:
            draw = self._draw(clips)
            return training_set(self, self._phase, share, load, draw)
        return evaluation_set(self, self._phase, share, load, crops)

    def _share(self, clips, training, start_step):
        """Which clips are read here: to evaluate all, to train a shard."""
        shard, pads = (0, 1), False
        if training:
            shard, pads = self.shard, self.pad_batches
        usable = np.ones(len(clips), bool)
        is_part = start_step or shard != (0, 1)
        if self.on_error == "skip" and is_part and not pads:
            usable = self._audio.usable(clips.audio)
        return Share(usable, shard, start_step, pads)

    def _loader(self, clips, training, crops, corruption):
        """`ClipLoader` of what `dataset` is asked for."""
        recordings, on_waveform = self._audio, self._on_waveform(training)
        if corruption:
            rate, on_waveform = self.frontend.sample_rate, "`corruption`"
            recordings = CorruptedAudio(recordings, rate, corruption)
        log_mels = None
        if are_log_mel(clips.audio, self.frontend, on_waveform):
            size = max(self.frontend.num_frames(self.clip_samples), 1)
            empty = np.zeros((0, self.frontend.num_mel_bins), "float16")
        else:
            size, empty = self.clip_samples, np.zeros(0, "float32")
            if crops == 1 and not on_waveform:
                log_mels = self._log_mels
        raises = self.on_error == "raise"
        return ClipLoader(
            clips, recordings, size, empty, crops, log_mels, raises
        )

    def _draw(self, clips):
        """Function from an epoch's key to the order of a training set."""
        if self.balanced:
            return sampling.with_replacement(sampling.balancing_weights(clips))

        def every_clip_once(key):
            order = tf.range(len(clips))
            return tf.random.experimental.stateless_shuffle(order, key)

        return every_clip_once

    def _on_waveform(self, training):
        """str, what needs samples rather than log-mel; empty if nothing."""
        if self.outputs == "waveform":
            return "outputs='waveform'"
        names = [n for n in ("mixup", "gain_db") if getattr(self.augment, n)]
        return " and ".join(names) if training else ""
