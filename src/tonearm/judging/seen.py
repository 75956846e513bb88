"""Which of the tracks that a model is judged on it knows from its training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tonearm.judging.predictor import Training
    from tonearm.protocols import TrackTable

_SHOWN = 20


@dataclass(frozen=True)
class Seen:
    """Of the judged tracks (n,): those it learnt from, other cuts of recordings, other songs of artists it learnt from.

    Each is bool (n,), and counts a track only once, as the worst. `chosen` are those by which its epoch was chosen.
    `known` is false where nobody wrote down what it learnt from: then no track counts, which is no acquittal.
    """

    known: bool
    tracks: np.ndarray
    recordings: np.ndarray
    artists: np.ndarray
    chosen: np.ndarray
    ids: tuple[str, ...]

    @property
    def any(self) -> np.ndarray:
        return self.tracks | self.recordings | self.artists

    def to_json(self) -> dict[str, Any]:
        counts = {name: int(getattr(self, name).sum()) for name in ("tracks", "recordings", "artists", "chosen")}
        known = np.flatnonzero(self.tracks | self.recordings)
        return {"known": self.known, **counts, "ids": [self.ids[i] for i in known[:_SHOWN].tolist()]}

    def sentences(self) -> list[str]:
        """What a reader of the figures must know, one sentence each."""
        n = len(self.ids)
        if not self.known:
            return ["what this model learnt from is not written down: the tracks judged may be among it"]
        words = [
            (self.tracks, "were in the training of this model"),
            (self.recordings, "are other cuts of recordings that were in the training of this model"),
            (self.artists, "are by artists who were in the training of this model"),
            (self.chosen, "were what the model was chosen by (its best epoch)"),
        ]
        return [f"{int(which.sum())} of {n} tracks {what}" for which, what in words if which.any()]


def seen(training: Training, table: TrackTable, tracks: np.ndarray) -> Seen:
    """Compare the judged `tracks` (indices into `table`) with what a model learnt from, by id, recording and artist."""
    ids = tuple(table.ids[tracks].tolist())
    nothing = np.zeros(len(tracks), bool)
    learnt = _learnt(training, table)
    if learnt is None:
        return Seen(not _same_data(training, table) and bool(training.data), nothing, nothing, nothing, nothing, ids)
    again = np.isin(table.ids[tracks], sorted(learnt))
    recording, artist = _groups_of(training, table, learnt)
    recordings = np.isin(table.recording[tracks], sorted(recording - {""})) & ~again
    artists = np.isin(table.artist[tracks], sorted(artist - {""})) & ~again & ~recordings
    chosen = np.isin(table.ids[tracks], sorted(training.chosen)) & ~again
    return Seen(True, again, recordings, artists, chosen, ids)


def _learnt(training: Training, table: TrackTable) -> frozenset[str] | None:
    """Ids that were learnt from; None where only the name of the data is known, and no part of it can be told."""
    from tonearm.protocols._official import official

    if training.ids is not None:
        return training.ids
    parts = official(table)
    if not (_same_data(training, table) and training.parts and parts):
        return None
    members = [parts[name] for name in training.parts if name in parts]
    return frozenset(table.ids[np.concatenate(members)].tolist()) if members else frozenset()


def _same_data(training: Training, table: TrackTable) -> bool:
    """By name, as far as it goes: "gtzan" and "gtzan-mel" are one dataset."""

    def family(name: str) -> str:
        return name.lower().replace("_", "-").split("-")[0].split("?")[0].split(":")[0]

    return family(table.name) in {family(name) for name in training.data if name}


def _groups_of(training: Training, table: TrackTable, learnt: frozenset[str]) -> tuple[set[str], set[str]]:
    """Recordings and artists of what was learnt, from the data itself or from the pack it was learnt from."""
    recording: set[str] = set()
    artist: set[str] = set()
    sources = [table]
    if not learnt <= set(table.ids.tolist()):
        sources.append(training.table())
    for source in sources:
        if source is not None:
            rows = np.isin(source.ids, sorted(learnt))
            recording |= set(source.recording[rows].tolist())
            artist |= set(source.artist[rows].tolist())
    return recording, artist
