"""Rows of a pack that holds the feature of the model: no sound is heard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tonearm.errors import UsageError
from tonearm.learning.songs import Labelled
from tonearm.packs import Pack, Track, open_pack

if TYPE_CHECKING:
    from tonearm.learning.learn import Gathered, Options, Progress

BLOCK = 256
# What two configs of one feature may differ in: how many frames there are in all.
_FREE = ("frames", "frame_divisor", "clip_seconds")


def gather(folder: Path, ear: Any, options: Options, say: Progress) -> Gathered:
    """Vectors of every labelled row, with the artists and recordings that the table of the pack names."""
    from tonearm.learning.learn import Gathered
    from tonearm.runtime import personal

    if options.labels:
        raise UsageError(f"{folder}: a pack holds its labels itself", hint="leave out --labels")
    pack = open_pack(folder)
    _check(pack, folder, ear)
    columns = [pack.column(name).tolist() for name in ("id", "genre", "artist", "recording")]
    rows = [Track(id=i, genre=g, artist=a, recording=r) for i, g, a, r in zip(*columns, strict=True)]
    if len(set(pack.tracks.tolist())) < len(rows):
        raise UsageError(f"{folder}: its rows are segments of tracks", hint="a pack with a row per track is wanted")
    chosen = [i for i, row in enumerate(rows) if row.genre]
    vectors: dict[str, np.ndarray] = {}
    for start in range(0, len(chosen), BLOCK):
        say(f"heard {start} of {len(chosen)} rows")
        some = chosen[start : start + BLOCK]
        found = personal.described_rows(ear, np.asarray(pack.features[some], np.float32), personal.inputs_of(ear))
        values = np.concatenate([found[name] for name in personal.inputs_of(ear)], axis=1)
        vectors |= {rows[i].id: value for i, value in zip(some, values, strict=True)}
    tracks = [rows[i] for i in chosen]
    known = any(track.artist for track in tracks)
    notes = [] if known else ["the pack names no artists: each track counts as an artist of its own"]
    unlabelled = [row.id for row in rows if not row.genre]
    return Gathered(Labelled(tracks, unlabelled, "table", notes, "artists" if known else "songs"), vectors, [])


def _check(pack: Pack, folder: Path, ear: Any) -> None:
    """The same numbers, or none: a head learnt on another feature would answer nonsense about sound."""
    from tonearm.features import from_config
    from tonearm.runtime import Model

    if not isinstance(ear, Model):
        raise UsageError(f"{folder}: an encoder hears sound, not the rows of a pack", hint="name a folder of music")
    from tonearm.runtime._model import NATIVE_RATE

    wanted, there = ear.feature.config(), from_config(pack.feature_config).config()
    there["sample_rate"] = there.get("sample_rate") or NATIVE_RATE
    differ = [key for key in {*wanted, *there} if key not in _FREE and wanted.get(key) != there.get(key)]
    if differ:
        told = "; ".join(f"{key}: {there.get(key)}, not {wanted.get(key)}" for key in sorted(differ))
        raise UsageError(f"{folder}: it does not hold the feature of the model {ear.name} ({told})")
    if str(pack.features.dtype) != ear.info["stored"]["dtype"]:
        stored = ear.info["stored"]["dtype"]
        raise UsageError(f"{folder}: its values are {pack.features.dtype}, the model {ear.name} wants {stored}")
