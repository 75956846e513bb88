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


def gather(folder: Path, ear: Any, options: Options, say: Progress) -> Gathered:
    """Vectors of every labelled row, with the artists and recordings that the table of the pack names."""
    from tonearm.learning.learn import Gathered
    from tonearm.runtime import personal

    if options.labels:
        raise UsageError(f"{folder}: a pack holds its labels itself", hint="leave out --labels")
    pack = open_pack(folder)
    check(pack, folder, ear)
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
    notes += known_before(pack, ear)
    labelled = Labelled(tracks, unlabelled, "table", notes, "artists" if known else "songs")
    return Gathered(labelled, vectors, [], data=pack.name)


def check(pack: Pack, folder: Path, ear: Any) -> None:
    """The same numbers, or none: a head learnt on another feature would answer nonsense about sound."""
    from tonearm.evaluation.matching import feature_differences
    from tonearm.judging.predictor import feature_of
    from tonearm.runtime import Model

    if not isinstance(ear, Model):
        raise UsageError(f"{folder}: an encoder hears sound, not the rows of a pack", hint="name a folder of music")
    differ = feature_differences(feature_of(ear.info["feature"]), feature_of(pack.feature_config))
    if str(pack.features.dtype) != ear.info["stored"]["dtype"]:
        differ.append(f"its values are {pack.features.dtype}, not {ear.info['stored']['dtype']}")
    if differ:
        raise UsageError(
            f"{folder} is not what {ear.name} hears: {'; '.join(differ)}",
            hint=f"tonearm pack build … makes such a pack; `tonearm models {ear.name}` says what it hears",
        )


def _family(name: str) -> str:
    """ "gtzan" and "gtzan-mel" are one dataset."""
    return name.lower().replace("_", "-").split("-")[0].split(":")[0].split("?")[0]


def known_before(pack: Pack, ear: Any) -> list[str]:
    """What hears may have learnt from the very tracks: then the figures say little of other music."""
    data = (ear.info.get("training") or {}).get("data") or ()
    names = [data] if isinstance(data, (str, dict)) else list(data)
    told = {str(some.get("name", "")) if isinstance(some, dict) else str(some) for some in names}
    if _family(pack.name) in {_family(name) for name in told if name}:
        return [f"{ear.name} itself was trained on {pack.name} or its like: these figures flatter"]
    return []
