"""FMA: 106,574 tracks of the Free Music Archive with artists, an official split and a tree of 161 genres."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from tonearm.datasets import _fma_tables
from tonearm.datasets._dataset import Archive, Card, Dataset, DatasetError, Option, Problem, choice, registry
from tonearm.datasets._facts import table
from tonearm.datasets._fma_tables import Row
from tonearm.packs import Track

SIZES = ("small", "medium", "large", "full")
SUBSETS = (*SIZES, "medium-8")
PARTS = {"training": "train", "validation": "valid", "test": "test"}
_EIGHT = ("Electronic", "Experimental", "Folk", "Hip-Hop", "Instrumental", "International", "Pop", "Rock")


def tracks(root: Path, *, subset: str = "") -> list[Track]:
    """Tracks of a subset by `fma_metadata/tracks.csv`; a clip that is not there keeps the path where it should be.

    `subset` is small, medium, large or full, each within the next, or medium-8: the eight most frequent genres of
    medium. Empty: the largest whose audio is here. In large and full, tracks without one top genre have no genre.
    """
    place = _Place(root)
    subset = subset or place.largest
    genres = _fma_tables.genres(place.metadata)
    return [_track(row, place.audio(row.id, subset), genres) for row in rows(place.metadata, subset)]


def rows(metadata: Path, subset: str) -> list[Row]:
    """The rows of tracks.csv that belong to a subset, in order of id."""
    size = "medium" if subset == "medium-8" else subset
    wanted = SIZES[: SIZES.index(size) + 1]
    # Every track belongs to full; the others say what is the smallest subset they belong to.
    found = [row for row in _fma_tables.tracks(metadata) if size == "full" or row.subset in wanted]
    if subset == "medium-8":
        often = {genre for genre, _ in Counter(row.genre for row in found if row.genre).most_common(8)}
        found = [row for row in found if row.genre in often]
    return found


def _track(row: Row, path: str, genres: dict[str, _fma_tables.Genre]) -> Track:
    # Each genre with the way to it from its top genre: Rock > Punk > Hardcore.
    names = [" > ".join(_fma_tables.lineage(genres, number)) or number for number in row.genres]
    extra = {"artist_name": row.artist_name, "title": row.title, "album": row.album, "genres": "|".join(names)}
    return Track(
        id=row.id, genre=row.genre, split=PARTS.get(row.split, ""), artist=row.artist, path=path, extra=extra,
    )  # fmt: skip


class _Place:
    """Where a copy keeps what: metadata, and one folder of audio per size; nested once more or side by side."""

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            hint = "unpack it first" if root.is_file() else "tonearm data show fma"
            raise DatasetError(f"{root}: not a folder with FMA in it", hint=hint, code="missing")
        self.metadata = find_metadata(root)
        self.folders = {size: folder for size in SIZES if (folder := _audio_folder(root, size))}
        if not self.folders and _has_audio(root):
            self.folders = {_size_by_name(root): root}

    @property
    def largest(self) -> str:
        """The largest size whose audio is here; without any audio small, the one to begin with."""
        return next((size for size in reversed(SIZES) if size in self.folders), "small")

    def audio(self, track: str, subset: str) -> str:
        """The file of a track: from the subset's own folder, else from a larger one, of which it is a part."""
        size = "medium" if subset == "medium-8" else subset
        inside = os.path.join(track[:3], f"{track}.mp3")
        order = [s for s in SIZES[SIZES.index(size) :] if s in self.folders]
        order += [s for s in reversed(SIZES[: SIZES.index(size)]) if s in self.folders]
        paths = [os.path.abspath(self.folders[s] / inside) for s in order]
        own = os.path.abspath(self.folders.get(size, self.metadata.parent / f"fma_{size}") / inside)
        return next((path for path in paths if os.path.exists(path)), own)


def find_metadata(root: Path) -> Path:
    """The folder with the tables, or the error that says how to get them."""
    found = _metadata(root)
    if found is None:
        raise DatasetError(
            f"{root}: no fma_metadata/tracks.csv here or beside it: without it no track has a genre",
            hint=f"tonearm data fetch fma --archive metadata -o {root}",
            code="no-metadata",
        )
    return found


def _metadata(root: Path) -> Path | None:
    places = (root / "fma_metadata", root / "fma_metadata" / "fma_metadata", root, root.parent / "fma_metadata",
              root.parent.parent / "fma_metadata")  # fmt: skip
    return next((place for place in places if (place / "tracks.csv").is_file()), None)


def _audio_folder(root: Path, size: str) -> Path | None:
    name = f"fma_{size}"
    places = (root / name / name, root / name, root.parent / name) if root.name != name else (root / name, root)
    return next((place for place in places if _has_audio(place)), None)


def _has_audio(folder: Path) -> bool:
    """FMA keeps clips in folders of three digits."""
    try:
        return any(len(entry.name) == 3 and entry.name.isdigit() and entry.is_dir() for entry in os.scandir(folder))
    except OSError:
        return False


def _size_by_name(root: Path) -> str:
    return next((size for size in SIZES if size in root.name.lower()), "full")


def problems(root: Path, *, subset: str = "") -> list[Problem]:
    """Clips that are not there; and that there is no audio at all, once instead of once per clip."""
    place = _Place(root)
    subset = subset or place.largest
    if not place.folders:
        return [Problem("no-audio", os.fspath(root), f"no audio: fma_{subset} is neither here nor beside it")]
    found = []
    for row in rows(place.metadata, subset):
        path = place.audio(row.id, subset)
        if not os.path.exists(path):
            found.append(Problem("missing", path, "not in this copy", row.id))
    return found


def recognises(root: Path) -> int:
    if not root.is_dir():
        return 0
    metadata = _metadata(root)
    return 3 if metadata is not None and _fma_tables.is_tracks(metadata / "tracks.csv") else 0


_URL = "https://os.unil.cloud.switch.ch/fma/"
_GIB = 2**30

dataset = registry.add("fma")(
    Dataset(
        name="fma",
        about=Card(
            title="FMA: a dataset for music analysis",
            what="The Free Music Archive as of 2017: tracks with artist, album and one or more of 161 genres. "
            "small has 8,000 clips in 8 balanced genres, medium 25,000 in 16 unbalanced ones, large clips of all "
            "tracks, full the whole tracks; medium-8 is what medium has of its eight most frequent genres.",
            genres=_EIGHT,
            size="small 7.2 GiB, medium 22 GiB, large 93 GiB, full 879 GiB; metadata 342 MiB",
            licence="audio: Creative Commons, as each artist chose; metadata: CC BY 4.0",
            citation=(
                "M. Defferrard, K. Benzi, P. Vandergheynst, X. Bresson: FMA: a dataset for music analysis. "
                "ISMIR 2017, arXiv:1612.01840",
            ),
            faults=(
                "21 clips of medium, six of them in small, are short or empty: they were cut where a wrong duration "
                "put their middle.",
                "In large and full, more than half of the tracks have no single top genre: the genre is empty here.",
                "The published script of features.csv computes spectral features of 44.1 kHz audio as if it were "
                "22,050 Hz: what is computed afresh differs.",
                "Genres were chosen by the artists: Experimental and International say little about the sound.",
            ),
            get="tonearm data fetch fma -o FOLDER fetches the metadata and small; --archive medium, large or full the "
            "others. Then: fma:FOLDER, or fma:FOLDER?subset=small.",
            splits={"official": "training, validation and test by artist (80/10/10 by genre), in the column split"},
            home="https://github.com/mdeff/fma",
        ),
        tracks=tracks,
        problems=problems,
        recognises=recognises,
        options={"subset": Option(choice(*SUBSETS), f"one of {', '.join(SUBSETS)}; else the largest that is there")},
        known_bad={
            name: f"the clip holds {row['seconds']} s of sound" if float(row["seconds"]) else "the clip is empty"
            for name, row in table("fma-known-bad.tsv").items()
        },
        archives=(
            Archive(
                "metadata", _URL + "fma_metadata.zip", 342 * 2**20, "tracks, genres and precomputed features",
                "fma_metadata", sha1="f0df49ffe5f2a6008d7dc83c6915b31835dfe733", default=True,
            ),
            Archive(
                "small", _URL + "fma_small.zip", round(7.2 * _GIB), "8,000 clips, 8 genres", "fma_small",
                sha1="ade154f733639d52e35e32f5593efe5be76c6d70", default=True,
            ),
            Archive(
                "medium", _URL + "fma_medium.zip", 22 * _GIB, "25,000 clips, 16 genres", "fma_medium",
                sha1="c67b69ea232021025fca9231fc1c7c1a063ab50b",
            ),
            Archive(
                "large", _URL + "fma_large.zip", 93 * _GIB, "106,574 clips, 161 genres", "fma_large",
                sha1="497109f4dd721066b5ce5e5f250ec604dc78939e",
            ),
            Archive(
                "full", _URL + "fma_full.zip", 879 * _GIB, "106,574 whole tracks", "fma_full",
                sha1="0f0ace23fbe9ba30ecb7e95f763e435ea802b8ab",
            ),
        ),
        min_seconds=29.0,
    )
)  # fmt: skip
