"""What is audited: a pack, or the tracks of a dataset with their sound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tonearm.errors import TonearmError
from tonearm.packs import Pack, Track, open_pack
from tonearm.protocols import TrackTable, table_of


@dataclass(frozen=True)
class Source:
    """`pack` where there is one. `paths` has a file for each track of the table, empty text where there is none."""

    name: str
    table: TrackTable
    pack: Pack | None = None
    paths: tuple[str, ...] = ()
    dataset: str = ""
    usual_rate: int = 0
    min_seconds: float = 0.0

    @property
    def has_sound(self) -> bool:
        return self.pack is None and any(self.paths)


def open_source(what: str | Path | Pack | Sequence[Track], *, audio: str | Path | None = None) -> Source:
    """Open a pack folder, a dataset as `tonearm data` names it, an open Pack or a list of Track.

    `audio` is a folder in which the files of a pack are found by their ids, for links to listen to.
    """
    if isinstance(what, (str, Path)):
        what = str(what)
        if (Path(what).expanduser() / "pack.json").is_file():
            return _of_pack(open_pack(Path(what).expanduser()), audio)
        from tonearm import datasets

        resolved = datasets.resolve(what)
        source = _of_tracks(resolved.tracks, str(resolved.defaults.get("name") or what))
        # Which length is too short is seen from the files themselves; what the dataset says of its rate holds.
        return replace(source, dataset=resolved.dataset.name, usual_rate=resolved.dataset.sample_rate)
    if isinstance(what, Pack):
        return _of_pack(what, audio)
    return _of_tracks(list(what), "tracks")


def _of_tracks(tracks: list[Track], name: str) -> Source:
    table = table_of(tracks, name=name)
    return Source(name, table, paths=tuple(map(str, table.column("path").tolist())))


def _of_pack(pack: Pack, audio: str | Path | None) -> Source:
    if len(pack.features) != len(pack):
        raise TonearmError(
            f"{pack.folder}: {len(pack.features)} rows of the array, {len(pack)} of tracks.csv",
            hint="`tonearm pack verify` says more",
            code="pack",
        )
    table = table_of(pack)
    files = _files_by_stem(Path(audio).expanduser()) if audio else {}
    paths = np.array([files.get(track, path) for track, path in zip(table.ids, table.column("path"), strict=True)])
    if files and not any(track in files for track in table.ids.tolist()):
        raise TonearmError(f"{audio}: no file here is named by an id of {pack.name}", code="missing")
    table = replace(table, extra={**table.extra, "path": paths})
    return Source(
        pack.name, table, pack=pack, paths=tuple(paths.tolist()), dataset=str(pack.meta.get("dataset", pack.name))
    )


def _files_by_stem(folder: Path) -> dict[str, str]:
    from tonearm.audio import SUFFIXES

    if not folder.is_dir():
        raise TonearmError(f"{folder}: no such folder", code="missing")
    return {path.stem: str(path) for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES}
