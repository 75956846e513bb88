"""The genre over the length of a song or a mix."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tonearm.errors import UsageError
from tonearm.runtime import _checks, _listen

if TYPE_CHECKING:
    from tonearm.runtime._model import Model

# Of a window that is heard at once: its answers are as good as those on the clips that the model learnt from.
CLIP_SECONDS = 30.0
# Windows whose features go through the graph together.
TOGETHER = 8


class Stretch(NamedTuple):
    """A part of the sound with one answer; `genre` is None where the model is not sure."""

    start_seconds: float
    stop_seconds: float
    genre: str | None
    probability: float


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """What a model says of each window of a sound.

    Window i begins at `start_seconds[i]` and lasts `clip_seconds`; `probabilities` (windows, classes) belong to
    `genres`. `sure` (windows,) says where the best of them reaches the threshold, `music` where there is any.
    """

    path: str | None
    model: str
    version: str
    genres: tuple[str, ...]
    start_seconds: np.ndarray
    clip_seconds: float
    step_seconds: float
    seconds: float
    probabilities: np.ndarray
    sure: np.ndarray
    music: np.ndarray

    def at(self, seconds: np.ndarray | float) -> np.ndarray:
        """The number of the window whose middle is nearest to each moment."""
        middles = self.start_seconds + min(self.clip_seconds, self.seconds) / 2
        return np.abs(np.atleast_1d(seconds)[:, None] - middles).argmin(axis=1)

    def stretches(self) -> list[Stretch]:
        """The sound cut where the answer changes, half-way between the middles of two windows."""
        best = np.where(self.sure, self.probabilities.argmax(axis=1), -1)
        middles = self.start_seconds + min(self.clip_seconds, self.seconds) / 2
        changes = np.flatnonzero(np.diff(best)) + 1
        edges = [0.0, *((middles[changes - 1] + middles[changes]) / 2).tolist(), self.seconds]
        runs = np.split(np.arange(len(best)), changes)
        return [
            Stretch(start, stop, self.genres[best[run[0]]] if best[run[0]] >= 0 else None,
                    float(self.probabilities[run].max(axis=1).mean()))
            for start, stop, run in zip(edges, edges[1:], runs, strict=False)
        ]  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """What `tonearm timeline --json` prints."""
        best = self.probabilities.argmax(axis=1)
        return {
            "path": self.path,
            "model": self.model,
            "version": self.version,
            "seconds": round(self.seconds, 3),
            "clip_seconds": self.clip_seconds,
            "step_seconds": self.step_seconds,
            "genres": list(self.genres),
            "windows": [
                {
                    "start_seconds": round(float(start), 3),
                    "genre": self.genres[best[i]] if self.music[i] else None,
                    "sure": bool(self.sure[i]),
                    "probabilities": [round(float(share), 4) for share in self.probabilities[i]],
                }
                for i, start in enumerate(self.start_seconds)
            ],
            "stretches": [
                {"start_seconds": round(a, 3), "stop_seconds": round(b, 3), "genre": genre, "probability": round(p, 4)}
                for a, b, genre, p in self.stretches()
            ],
        }


def timeline(
    model: Model, source: Any, step_seconds: float | None, clip_seconds: float | None, sample_rate: int | None
) -> Timeline:
    """See `Model.timeline`. A window lasts 30 s unless told, a step a third of it."""
    clip = clip_seconds or min(CLIP_SECONDS, model.plan.whole_seconds)
    step = step_seconds or clip / 3
    if not (0.5 <= clip <= 600 and 0.1 <= step <= clip):
        raise UsageError(
            f"windows of {clip:g} s every {step:g} s cannot be",
            hint="a window lasts from 0.5 to 600 s, and a step is no longer than it",
        )
    starts: list[float] = []
    shares: list[np.ndarray] = []
    heard: list[bool] = []
    doubtful: list[bool] = []
    waiting = []
    seconds = 0.0
    for start, waveform in _listen.windows(source, model.plan._replace(clip_seconds=clip), step, sample_rate):
        starts.append(start)
        seconds = start + waveform.seconds
        # Windows that are short because they were asked for are not held against the sound.
        whole = waveform.seconds * _listen.SLACK >= clip
        codes = {problem.code for problem in _checks.examine([waveform], math.inf if whole else waveform.seconds)[1]}
        heard.append(codes.isdisjoint(_checks.NO_MUSIC))
        doubtful.append(not codes.isdisjoint(_checks.DOUBTFUL))
        waiting.append(waveform)
        if len(waiting) == TOGETHER:
            shares.append(model.from_windows(waiting))
            waiting = []
    if waiting:
        shares.append(model.from_windows(waiting))
    probabilities = np.concatenate(shares)
    music = np.array(heard)
    probabilities[~music] = 1 / len(model.genres)  # nothing is known
    return Timeline(
        path=_listen.path_of(source),
        model=model.name,
        version=model.version,
        genres=model.genres,
        start_seconds=np.array(starts),
        clip_seconds=clip,
        step_seconds=step,
        seconds=seconds,
        probabilities=probabilities,
        sure=music & ~np.array(doubtful) & (probabilities.max(axis=1) >= model.threshold),
        music=music,
    )
