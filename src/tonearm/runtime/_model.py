"""A model as it is used: sound in, prediction out."""

from __future__ import annotations

import dataclasses
import math
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tonearm import features
from tonearm.audio import Waveform
from tonearm.errors import UsageError
from tonearm.runtime import _checks, _listen
from tonearm.runtime._file import ModelError, read_bytes, read_info, version_of
from tonearm.runtime._prediction import Prediction, Problem, listed

# The rate of a feature that has none of its own, as in packs at each file's own rate: that of nearly all music.
NATIVE_RATE = 44100
# Below this share of what the model listens to, the top of it is missing (32,000 of 44,100 Hz).
LOW_RATE = 32000 / 44100
# Crops that go through the graph at once.
BATCH = 64
TOP = 3


class Model:
    """A model file, ready to answer. It is read at once, ONNX Runtime is started at the first answer.

    `genres` are its classes, `feature` what it hears (with the rate it wants), `threshold` the probability from which
    on it is sure, `info` all that the file says about itself, `version` what tells it from others of its name.
    """

    hears_again = True

    def __init__(self, path: str | os.PathLike, *, content: bytes | None = None) -> None:
        self.path = Path(path)
        content = read_bytes(self.path) if content is None else content  # a personal model has one inside its file
        self._use(read_info(self.path, content), version_of(content))
        self._content: bytes | None = content

    def _use(self, info: dict[str, Any], version: str) -> None:
        self.info, self.version, self.name = info, version, str(info["name"])
        self.genres: tuple[str, ...] = tuple(map(str, info["classes"]))
        self.threshold, self.temperature = float(info["threshold"]), float(info["temperature"])
        feature = features.from_config(info["feature"])
        if feature.axes != ("row", "frame"):
            raise ModelError(f"{self.path}: its feature {feature.kind!r} has no frames")
        rate = feature.sample_rate or int(info["listen"].get("sample_rate") or NATIVE_RATE)
        self.feature = dataclasses.replace(feature, sample_rate=rate)
        clip_seconds = float(info["listen"]["clip_seconds"])
        whole = max(clip_seconds, feature.clip_seconds or 0.0)
        self.plan = _listen.Plan(rate, int(info["listen"]["excerpts"]), clip_seconds, whole)
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<tonearm model {self.name} {self.version}: {', '.join(self.genres)}>"

    def __reduce__(self) -> tuple:
        return type(self), (self.path,)

    # ---- from sound to answers

    def predict(
        self, source: Any, *, sample_rate: int | None = None, top: int = TOP, threshold: float | None = None,
        features_to: Callable[[np.ndarray], Any] | None = None,
    ) -> Prediction:  # fmt: skip
        """What the model says of a path, bytes, an open binary file, or an array of samples with its `sample_rate`.

        At most `top` genres are named; `threshold` replaces the model's own. `features_to` is given all that the graph
        heard, (excerpts, rows, frames), for those who want more of it. A sound that cannot be read raises AudioError.
        """
        if top < 1 or not (threshold is None or 0 <= threshold <= 1):
            raise UsageError("top is at least 1, a threshold from 0 to 1")
        path, source = _listen.path_of(source), _listen.seekable(source)
        with _listen.hearing(source, self.plan, sample_rate) as sound:
            heard = sound.heard
            excerpts, warnings = _checks.examine(heard.excerpts, heard.there_seconds)
            probabilities, embedding, array = self._asked(sound, excerpts)
        if features_to is not None:
            features_to(array)
        if heard.sample_rate / 2 < LOW_RATE * self._top_hz:
            sentence = f"nothing above {heard.sample_rate // 2} Hz is in it, the model knows music to {self._top_hz} Hz"
            warnings = (*warnings, Problem("low-sample-rate", sentence))
        no_music = any(warning.code in _checks.NO_MUSIC for warning in warnings)
        if no_music:
            probabilities = np.full(len(self.genres), 1 / len(self.genres))  # nothing is known
        doubtful = any(warning.code in _checks.DOUBTFUL for warning in warnings)
        least = self.threshold if threshold is None else threshold
        return Prediction(
            path=path,
            model=self.name,
            version=self.version,
            sure=bool(probabilities.max() >= least and not doubtful),
            genres=() if no_music else listed(self.genres, probabilities, top),
            probabilities=probabilities,
            embedding=embedding,
            seconds=heard.seconds,
            warnings=(*warnings, *heard.warnings),
            _asked=(self, source, sample_rate),
        )

    def ask(self, source: Any, *, sample_rate: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities and embedding as `predict` comes to them, of any sound: none is held back as no music."""
        with _listen.hearing(source, self.plan, sample_rate) as sound:
            return self._asked(sound, sound.heard.excerpts)[:2]

    def _asked(self, sound: _listen.Hearing, excerpts: list[Waveform]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As `all_heard`; what is heard whole a second time, begun a little later, where its model file wants that.

        Where a feature looks at few moments of a sound, others would say something else. Only the probabilities are of
        both.
        """
        probabilities, embedding, array = self.all_heard(sound, excerpts)
        listen, rate = self.info["listen"], self.plan.sample_rate
        later = round(listen.get("again_seconds", 0.0) * rate)
        if len(excerpts) == 1 and self.hears_again and 0 < 10 * later < len(excerpts[0].samples):
            again = self.from_waveforms([Waveform(excerpts[0].samples[later:], rate)])[0]
            probabilities = _together(probabilities, again, listen["again_share"])
        return probabilities, embedding, array

    def all_heard(self, sound: _listen.Hearing, excerpts: list[Waveform]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Probabilities, embedding and features of `excerpts`, and of more places of a song that is in doubt.

        A model file may want more for as long as the first two genres are close; all that was heard counts the same.
        """
        array, count = self.features_of(excerpts), len(excerpts)
        probabilities, embedding = self.from_excerpts(array)
        for doubt in self.info["listen"].get("doubts", ()) if count > 1 else ():
            if _margin(probabilities) >= doubt["margin"]:
                break
            if more := _checks.sounding(sound.more(doubt["places"], heard=count)):
                others = self.features_of(more)
                shares, vector = self.from_excerpts(others)
                count += len(more)
                weight = len(more) / count
                probabilities = _together(probabilities, shares, weight)
                embedding = ((1 - weight) * embedding + weight * vector).astype(embedding.dtype)
                array = _stacked([*array, *others])
        return probabilities, embedding, array

    def predict_many(
        self,
        sources: Iterable[Any],
        *,
        workers: int = 1,
        top: int = TOP,
        threshold: float | None = None,
        timeout_seconds: float | None = None,
    ) -> Iterator[Prediction]:
        """A prediction per source, in their order; what cannot be read has `error`. `workers`: processes (1: this one).

        With processes, a file that crashes a decoder costs only its own answer.
        """
        from tonearm.runtime._many import predict_many

        return predict_many(self, sources, workers=workers, top=top, threshold=threshold, timeout=timeout_seconds)

    def timeline(
        self,
        source: Any,
        *,
        step_seconds: float | None = None,
        clip_seconds: float | None = None,
        sample_rate: int | None = None,
    ) -> Any:
        """The genre over the length of a sound, as a Timeline; in memory that does not grow with the sound."""
        from tonearm.runtime._timeline import timeline

        return timeline(self, source, step_seconds, clip_seconds, sample_rate)

    def features(self, source: Any, *, sample_rate: int | None = None) -> np.ndarray:
        """What the model hears of a sound: float32 (excerpts, rows, frames), as packs of this feature hold it."""
        return self.features_of(_listen.listen(source, self.plan, sample_rate).excerpts)

    def features_of(self, waveforms: list[Waveform]) -> np.ndarray:
        """The feature of excerpts of one sound, float32 (n, rows, frames), in the scale that the graph learnt from.

        One alone is all there is of a sound, and looked at as closely as the feature allows. Several that are short
        stand side by side in the room of one: otherwise each would be repeated to fill it.
        """
        if len(waveforms) == 1:
            return _stacked([self._feature_of(waveforms[0], closely=True)])
        room = min(self.least_frames, self._frames_of(math.inf))
        count = max(1, int(room * _listen.SLACK / self._frames_of(waveforms[0].seconds)))
        if count > 1:
            groups = [waveforms[at : at + count] for at in range(0, len(waveforms), count)]
            rate = self.plan.sample_rate
            waveforms = [Waveform(np.concatenate([each.samples for each in group]), rate) for group in groups]
        return _stacked([self._feature_of(waveform) for waveform in waveforms])

    def _frames_of(self, seconds: float) -> int:
        """How many frames there are of so much sound, of a feature that has a number of frames for a clip."""
        feature = self.feature
        if not (getattr(feature, "frames", None) and feature.clip_seconds):
            return self.least_frames
        return max(1, round(feature.frames * min(1.0, seconds / feature.clip_seconds)))

    def _feature_of(self, waveform: Waveform, *, closely: bool = False) -> np.ndarray:
        """(rows, frames): all frames of the feature for a whole clip, in proportion for one that is shorter.

        A feature may leave sound between its frames. Of a shorter clip the frames are then followed by those between
        them: by as many as the graph takes at once, or `closely` by all that are not looked at yet.
        """
        feature, stored, turns = self.feature, self.info["stored"], 1
        frames = getattr(feature, "frames", None)
        if frames and feature.clip_seconds:
            share = waveform.seconds / feature.clip_seconds
            if share * _listen.SLACK < 1:
                some = self._frames_of(waveform.seconds)
                room = feature.clip_seconds * feature.sample_rate / (frames * feature.n_fft)
                turns = max(1, int(room if closely else min(room, self.least_frames / some)))
                divisor = max((feature.frame_divisor or frames) * some / frames, some - 0.5)
                feature = dataclasses.replace(feature, frames=some * turns, frame_divisor=divisor * turns)
        values, peak = _values(feature, waveform)
        # The peak takes part in the scale, as all frames did when a pack was made of some of them.
        array = features.quantise(np.c_[values, peak], stored["dtype"], stored.get("scale"))
        array = array[:, : values.shape[1]].astype(np.float32)
        if turns > 1:
            array = np.concatenate([array[:, turn::turns] for turn in range(turns)], axis=1)
        return tiled(array, self.least_frames)

    # ---- from features to answers

    def from_waveforms(self, waveforms: list[Waveform]) -> tuple[np.ndarray, np.ndarray]:
        """Excerpts of one sound, at the plan's rate: one calibrated probability vector and one embedding."""
        return self.from_excerpts(self.features_of(waveforms))

    def from_excerpts(self, array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features of excerpts of one sound, (n, rows, frames): probabilities (classes,), embedding (d,)."""
        logits, embeddings = self._answers(array)
        joined = self._joined(logits.reshape(1, -1, logits.shape[-1]))
        return joined[0], embeddings.mean(axis=(0, 1))

    def from_windows(self, waveforms: list[Waveform]) -> np.ndarray:
        """Sounds of their own, at the plan's rate: calibrated probabilities of each, (n, classes)."""
        return self.from_features(_stacked([self._feature_of(waveform) for waveform in waveforms]))[0]

    def from_features(self, array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features of one sound each, (n, rows, frames), as a pack holds them: (n, classes) and embeddings (n, d)."""
        shares, vectors = [], []
        for at in range(0, len(array), BATCH):
            logits, embeddings = self._answers(np.asarray(array[at : at + BATCH]))
            shares.append(self._joined(logits))
            vectors.append(embeddings.mean(axis=1))
        if not shares:
            raise UsageError("there are no rows to answer for")
        return np.concatenate(shares), np.concatenate(vectors)

    def _answers(self, array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Logits (n, crops, classes) and embeddings (n, crops, d) of features (n, rows, frames)."""
        array = np.asarray(array, np.float32)
        if array.ndim != 3 or array.shape[1] != self.feature.rows:
            raise UsageError(
                f"features of shape {array.shape}; this model wants (n, {self.feature.rows}, frames)",
                hint="model.features(source) makes them; a pack must hold the same feature",
            )
        array = tiled(array, self.least_frames)
        frames = self.info["clips"]["frames"] or self._fixed_frames
        begins = crops(array.shape[2], frames, float(self.info["clips"]["overlap"]))
        pieces = array if frames is None else np.stack([array[:, :, at : at + frames] for at in begins], axis=1)
        pieces = pieces.reshape(-1, *array.shape[1:2], pieces.shape[-1])
        found = [self.session.run(["logits", "embedding"], {"features": pieces[at : at + BATCH]})
                 for at in range(0, len(pieces), BATCH)]  # fmt: skip
        logits, embeddings = (np.concatenate(parts).astype(np.float64) for parts in zip(*found, strict=True))
        count = len(begins) if frames is not None else 1
        return logits.reshape(len(array), count, -1), embeddings.reshape(len(array), count, -1).astype(np.float32)

    def _joined(self, logits: np.ndarray) -> np.ndarray:
        """Votes (n, votes, classes) as one calibrated distribution each, (n, classes)."""
        logs = logits - logits.max(axis=-1, keepdims=True)
        logs -= np.log(np.exp(logs).sum(axis=-1, keepdims=True))
        if self.info["clips"]["join"] == "mean":
            joined = np.log(np.maximum(np.exp(logs).mean(axis=1), np.finfo(np.float64).tiny))
        else:
            joined = logs.mean(axis=1)
        joined = (joined - joined.max(axis=1, keepdims=True)) / self.temperature
        shares = np.exp(joined)
        return shares / shares.sum(axis=1, keepdims=True)

    # ---- the graph

    @cached_property
    def session(self) -> Any:
        """ONNX Runtime's session; started once, used from any thread."""
        from tonearm.runtime._session import start

        with self._lock:
            content, self._content = self._content or read_bytes(self.path), None
            return start(content, self.path, self.feature.rows, len(self.genres))

    @cached_property
    def _fixed_frames(self) -> int | None:
        """How many frames the graph takes, where it takes no other number."""
        frames = self.session.get_inputs()[0].shape[2]
        return frames if isinstance(frames, int) else None

    @cached_property
    def least_frames(self) -> int:
        """Fewer frames than these are repeated until there are enough."""
        clips = self.info["clips"]
        return int(clips["frames"] or clips.get("least_frames") or self._fixed_frames or 16)

    @property
    def _top_hz(self) -> int:
        """Up to which frequency it listens: its description may say less than its feature holds."""
        told = self.info["listen"].get("top_hz") or getattr(self.feature, "fmax", None)
        return int(told or self.plan.sample_rate // 2)


# Of the loudest windows of a clip, so many are looked at for its peak.
LOUDEST = 16


def _values(feature: Any, waveform: Waveform) -> tuple[np.ndarray, np.ndarray]:
    """The feature of a clip, (rows, frames), and what its peak is like, (rows, 0 or 1).

    Decibels are relative to the peak of the whole clip, also where frames leave sound between them: a pack was made
    from all frames, of which some were kept. There the peak is looked for in the loudest windows.
    """
    size, hop = getattr(feature, "n_fft", 0), getattr(feature, "hop_length", 0)
    samples = waveform.samples
    sparse = getattr(feature, "frames", None) and feature.frames * size < len(samples)
    if not sparse or getattr(feature, "ref", None) != "max" or not feature.top_db or size % hop:
        values = feature(waveform)
        return values, values[:, :0]
    blocks = samples[: len(samples) // hop * hop].reshape(-1, hop)
    power = np.einsum("ij,ij->i", blocks, blocks)
    power = np.convolve(power, np.ones(size // hop, np.float32), mode="valid")
    count = min(LOUDEST, len(power))
    starts = np.argpartition(power, -count)[-count:] * hop
    loudest = np.concatenate([samples[start : start + size] for start in starts])
    plain, each = _in_plain_decibels(feature)
    values = plain(waveform)
    peak = max(values.max(), each(Waveform(loudest, waveform.sample_rate)).max())
    return np.maximum(values - peak, -feature.top_db), np.zeros((len(values), 1), values.dtype)


@lru_cache(maxsize=16)
def _in_plain_decibels(feature: Any) -> tuple[Any, Any]:
    """A feature relative to no peak, at its frames, and at windows that stand end to end."""
    plain = dataclasses.replace(feature, ref=1.0, top_db=None)
    ends = {"frames": None, "frame_divisor": None, "center": False, "hop_length": feature.n_fft, "clip_seconds": None}
    return plain, dataclasses.replace(plain, **ends)


def _stacked(arrays: list[np.ndarray]) -> np.ndarray:
    """Arrays (rows, frames) as one, (n, rows, frames), as long as the shortest."""
    shortest = min(array.shape[1] for array in arrays)
    return np.stack([array[:, :shortest] for array in arrays])


def _together(probabilities: np.ndarray, others: np.ndarray, share: float) -> np.ndarray:
    """Two answers about one sound as one, `share` of the say to the other: as votes are joined by their logarithms."""
    joined = probabilities ** (1 - share) * others**share
    return joined / joined.sum()


def _margin(probabilities: np.ndarray) -> float:
    """How far the first genre is before the second."""
    second, first = np.sort(probabilities)[-2:] if len(probabilities) > 1 else (0.0, 1.0)
    return float(first - second)


def crops(length: int, frames: int | None, overlap: float) -> np.ndarray:
    """First frames of the crops that cover `length` frames, evenly spread; the same as in training."""
    if frames is None:
        return np.zeros(1, int)
    room = length - frames
    count = 1 + math.ceil(room / (frames * (1 - overlap))) if room else 1
    # Not by numpy.unique, which would import masked arrays: a tenth of a start.
    return np.array(sorted(set(np.linspace(0, room, count).round().astype(int).tolist())))


def tiled(array: np.ndarray, frames: int) -> np.ndarray:
    """At least so many frames: what is shorter is repeated."""
    there = array.shape[-1]
    if there >= frames:
        return array
    return np.take(array, np.arange(frames) % there, axis=-1)
