"""Packs for programs that know nothing of packs: NPZ and CSV."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tonearm import _csv
from tonearm.errors import UsageError
from tonearm.packs._write import array_header
from tonearm.packs.pack import Pack, PackError, blocks

SUFFIXES = (".npz", ".csv")


def export(pack: Pack, out: str | Path, *, decoded: bool = False, force: bool = False) -> Path:
    """Write a pack as one NPZ or CSV file, by the ending of `out`.

    NPZ holds `features` (as stored, or float32 in the feature's own units with `decoded`), `y` (the number of the
    class, -1 without genre), `classes`, `pack` (pack.json as text) and every column of tracks.csv; all of it loads
    without pickle. CSV holds the columns of tracks.csv and then the values, in the feature's own units, of packs that
    have one list of numbers per row.
    """
    out = Path(out)
    suffix = out.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"{out}: the ending says the format, and it must be .npz or .csv")
    if suffix == ".csv" and pack.features.ndim != 2:
        raise UsageError(
            f"{pack.folder}: rows of shape {pack.features.shape[1:]} do not fit into a table",
            hint=f"NPZ is the format for them: tonearm pack export {pack.folder} -o {out.with_suffix('.npz')}",
        )
    if out.exists() and not force:
        raise PackError(f"{out}: exists already", hint="--force replaces it", code="output")
    temporary = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        (_write_npz if suffix == ".npz" else _write_csv)(pack, temporary, decoded)
        os.replace(temporary, out)
    except OSError as error:
        raise PackError(f"{out}: cannot be written: {error.strerror or error}", code="cannot-write") from None
    finally:
        temporary.unlink(missing_ok=True)
    return out


def _write_npz(pack: Pack, path: Path, decoded: bool) -> None:
    # By hand and not np.savez, which wants the whole array in memory once it has been decoded.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        shape, dtype = pack.features.shape, np.float32 if decoded else pack.features.dtype
        with _entry(archive, "features") as file:
            file.write(array_header(shape, dtype))
            for part in _parts(pack, decoded):
                file.write(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data)
        numbers = {name: number for number, name in enumerate(pack.classes)}
        made: dict[str, Any] = {
            "y": np.array([numbers.get(genre, -1) for genre in pack.column("genre").tolist()], dtype=np.int64),
            "classes": np.array(pack.classes, dtype=np.str_),
            "pack": np.array(json.dumps(pack.meta)),
        }
        for name, column in pack.columns.items():
            # A column that is called like one of ours gets another name: nothing is lost.
            made[f"column_{name}" if name in made or name == "features" else name] = column
        for name, array in made.items():
            with _entry(archive, name) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def _entry(archive: zipfile.ZipFile, name: str) -> BinaryIO:
    # A ZipInfo made by hand carries no time: equal packs give equal files.
    return archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True)


def _write_csv(pack: Pack, path: Path, decoded: bool) -> None:
    width = pack.features.shape[1]
    names = pack.feature_columns
    if names is None or len(names) != width:
        names = [f"value_{i}" for i in range(width)]
    with open(path, "w", encoding="utf-8", newline="", errors="backslashreplace") as file:
        tracks = zip(*pack.columns.values(), strict=True)
        values = (row for part in _parts(pack, True) for row in part.tolist())
        file.writelines(_csv.lines([[*pack.columns, *names]]))
        # Nine digits bring every float32 back exactly.
        rows = ([*track, *(f"{value:.9g}" for value in row)] for track, row in zip(tracks, values, strict=True))
        file.writelines(_csv.lines(rows))


def _parts(pack: Pack, decoded: bool) -> Iterator[np.ndarray]:
    for part in blocks(len(pack), pack.features.nbytes // max(1, len(pack)) * (4 if decoded else 1)):
        yield pack.decoded(part) if decoded else pack.features[part]
