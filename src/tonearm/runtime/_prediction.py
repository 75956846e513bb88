"""What is said of one file."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tonearm.errors import UsageError

if TYPE_CHECKING:
    from tonearm.runtime._model import Model
    from tonearm.runtime._timeline import Timeline

# A genre is listed from this probability on: two that share a song evenly both are, a guess among ten is not.
SHARE = 0.15


class Genre(NamedTuple):
    """A genre and the calibrated probability that it is the song's."""

    genre: str
    probability: float


class Problem(NamedTuple):
    """What is wrong with a file, or notable about it: a stable code for programs, a sentence for people."""

    code: str
    message: str


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a model says of one sound.

    `genres` are the likeliest first; none where there is no music or the file could not be used (`error`).
    `sure`: the best of them is at least as probable as the threshold, and nothing speaks against it (`warnings`).
    `probabilities` (classes,) belong to the model's genres; `embedding` (d,) is for comparing sounds with each other.
    """

    path: str | None
    model: str
    version: str
    sure: bool = False
    genres: tuple[Genre, ...] = ()
    probabilities: np.ndarray | None = None
    embedding: np.ndarray | None = dataclasses.field(default=None, repr=False)  # hundreds of numbers
    seconds: float | None = None
    error: Problem | None = None
    warnings: tuple[Problem, ...] = ()
    _asked: tuple[Model, Any, int | None] | None = dataclasses.field(default=None, repr=False)

    @property
    def genre(self) -> str | None:
        """The likeliest genre, or None where the model is not sure."""
        return self.genres[0].genre if self.sure and self.genres else None

    def timeline(self, **keywords: Any) -> Timeline:
        """The genre over the length of this sound; it is heard again, whole. Keywords as `Model.timeline`."""
        if self._asked is None:
            raise UsageError("this prediction does not know its sound any more", hint="call model.timeline(source)")
        model, source, sample_rate = self._asked
        return model.timeline(source, sample_rate=sample_rate, **keywords)

    def to_json(self) -> dict[str, Any]:
        """The line of `tonearm predict --json`, as plain data."""
        return {
            "path": self.path,
            "model": self.model,
            "version": self.version,
            "sure": self.sure,
            "genres": [{"genre": name, "probability": round(share, 4)} for name, share in self.genres],
            "seconds": None if self.seconds is None else round(self.seconds, 3),
            "error": None if self.error is None else self.error._asdict(),
            "warnings": [warning._asdict() for warning in self.warnings],
        }

    def __getstate__(self) -> tuple:
        # Between processes only what was found travels, not the model and not the sound.
        return tuple(None if f.name == "_asked" else getattr(self, f.name) for f in dataclasses.fields(self))

    def __setstate__(self, state: tuple) -> None:
        for field, value in zip(dataclasses.fields(self), state, strict=True):
            object.__setattr__(self, field.name, value)


def listed(classes: tuple[str, ...], probabilities: np.ndarray, top: int) -> tuple[Genre, ...]:
    """The genres worth naming, likeliest first: those of at least `SHARE`, at least one, at most `top`."""
    order = np.argsort(-probabilities, kind="stable")[: max(1, top)]
    named = [i for place, i in enumerate(order) if place == 0 or probabilities[i] >= SHARE]
    return tuple(Genre(classes[i], float(probabilities[i])) for i in named)
