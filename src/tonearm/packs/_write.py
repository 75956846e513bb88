"""Packs written so that a reader sees the old one, the new one, or none, and never half of one."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tonearm import _csv
from tonearm.packs.pack import DTYPES, FORMAT, Pack, PackError, blocks, open_pack

STAGING = ".commit"
BUILD_RECORD = "build.json"
# pack.json comes last: a folder without it is not a pack, so nobody reads one of which half has been moved.
_ORDER = ("features.npy", "tracks.csv", BUILD_RECORD, "pack.json")


def write_pack(
    folder: str | Path,
    features: np.ndarray | Iterable[np.ndarray],
    columns: Mapping[str, Sequence[str]],
    *,
    feature: Mapping[str, Any],
    name: str = "",
    axes: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    scale: Any = None,
    further: Mapping[str, Any] | None = None,
    shape: Sequence[int] | None = None,
    dtype: Any = None,
    force: bool = False,
) -> Pack:
    """Write a pack. `features` is an array (rows, ...), or blocks of rows with `shape` and `dtype` told beforehand.

    `columns` holds the columns of tracks.csv by name, `id` among them. `classes` are the genres that occur, sorted,
    unless given. `further` holds more keys of pack.json (title, licence, citation ...). Values that are NaN or
    infinite are refused. An existing pack is replaced only with `force`, and stays until the new one is whole.
    """
    folder = Path(folder)
    make_folder(folder, force=force)
    if isinstance(features, np.ndarray):
        whole, shape, dtype = features, features.shape, features.dtype
        features = (whole[part] for part in blocks(len(whole), whole.nbytes // max(1, len(whole))))
    if shape is None or dtype is None:
        raise ValueError("blocks of rows need `shape` and `dtype`")
    if np.dtype(dtype).name not in DTYPES:
        raise PackError(f"{folder}: packs hold {', '.join(DTYPES)}, not {np.dtype(dtype).name}", code="dtype")
    if classes is None:
        classes = sorted({genre for genre in columns.get("genre", ()) if genre})
    staging = folder / ".new"
    try:
        staging.mkdir(exist_ok=True)
        sha = {"features.npy": write_array(staging / "features.npy", features, shape, dtype)}
        sha["tracks.csv"] = write_table(staging / "tracks.csv", columns)
        meta = describe(
            name=name or folder.name, feature=feature, axes=axes, scale=scale, further=further, shape=shape,
            dtype=dtype, columns=columns, classes=classes, sha256=sha,
        )  # fmt: skip
        write_json(staging / "pack.json", meta)
        clear(folder / STAGING)
        os.replace(staging, folder / STAGING)
        commit(folder)
    except OSError as error:
        raise PackError(f"{folder}: cannot be written: {error.strerror or error}", code="cannot-write") from None
    finally:
        clear(staging)
    return open_pack(folder)


def describe(
    *, name: str, feature: Mapping, axes: Sequence[str] | None, scale: Any, further: Mapping | None,
    shape: Sequence[int], dtype: Any, columns: Mapping[str, Sequence], classes: Sequence[str], sha256: Mapping,
) -> dict[str, Any]:  # fmt: skip
    """The content of pack.json. Holds no time and no place, so that equal inputs give equal bytes."""
    n_rows = len(next(iter(columns.values()), ()))
    if n_rows != shape[0]:
        raise ValueError(f"{shape[0]} rows in the array, {n_rows} in the table")
    axes = list(axes) if axes else ["track", *(f"axis {i}" for i in range(1, len(shape)))]
    meta: dict[str, Any] = {"format": FORMAT, "name": name}
    further = dict(further or {})
    if "title" in further:
        meta["title"] = further.pop("title")
    meta |= {"feature": dict(feature), "axes": axes}
    if scale is not None:
        meta["scale"] = scale
    meta |= further
    meta["array"] = {"file": "features.npy", "shape": [int(n) for n in shape], "dtype": np.dtype(dtype).name}
    meta["tracks"] = {"file": "tracks.csv", "rows": n_rows, "columns": list(columns)}
    meta |= {"classes": list(classes), "sha256": dict(sha256)}
    return meta


def array_header(shape: Sequence[int], dtype: Any) -> bytes:
    """The first bytes of a .npy file. numpy leaves room in it for the first axis to grow: its length never changes."""
    out = io.BytesIO()
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
    fields = {"descr": descr, "fortran_order": False, "shape": tuple(int(n) for n in shape)}
    np.lib.format.write_array_header_1_0(out, fields)
    return out.getvalue()


def write_array(path: Path, parts: Iterable[np.ndarray], shape: Sequence[int], dtype: Any) -> str:
    """Write blocks of rows as one .npy file and return its sha256, hashed on the way so that it is not read again."""
    digest, rows = hashlib.sha256(), 0
    with open(path, "wb") as file:
        _put(file, digest, array_header(shape, dtype))
        for part in parts:
            part = np.ascontiguousarray(part, dtype=dtype)
            if part.shape[1:] != tuple(shape[1:]):
                raise PackError(f"{path}: rows of shape {part.shape[1:]} among {tuple(shape[1:])}", code="shape")
            if part.dtype.kind == "f" and not np.isfinite(part).all():
                raise PackError(f"{path.parent}: the array holds NaN or infinite values", code="not-finite")
            _put(file, digest, part.reshape(-1).view(np.uint8).data)
            rows += len(part)
        if rows != shape[0]:
            raise PackError(f"{path}: {rows} rows came, {shape[0]} were announced", code="row-count")
        flush(file)
    return digest.hexdigest()


def _put(file: BinaryIO, digest: Any, data: Any) -> None:
    digest.update(data)
    file.write(data)


def write_table(path: Path, columns: Mapping[str, Sequence]) -> str:
    """Write tracks.csv and return its sha256."""
    text = "".join(_csv.lines([columns, *zip(*columns.values(), strict=True)]))
    # A file name that is no Unicode (surrogates from os.fsdecode) must not stop a pack of ten thousand others.
    data = text.encode("utf-8", errors="backslashreplace")
    write_bytes(path, data)
    return hashlib.sha256(data).hexdigest()


def write_json(path: Path, content: Any) -> None:
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_bytes(path, text.encode("utf-8", errors="backslashreplace"))


def write_bytes(path: Path, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)
        flush(file)


def flush(file: BinaryIO) -> None:
    """To the disk itself, so that a power cut after the renaming cannot leave an empty file under the final name."""
    file.flush()
    os.fsync(file.fileno())


def hash_file(path: Path) -> str:
    digest = hashlib.sha256()
    for block in read_blocks(path):
        digest.update(block)
    return digest.hexdigest()


def read_blocks(path: Path, block_bytes: int = 4 << 20) -> Iterator[memoryview]:
    buffer = bytearray(block_bytes)
    with open(path, "rb", buffering=0) as file:
        while n := file.readinto(buffer):
            yield memoryview(buffer)[:n]


def commit(folder: Path) -> bool:
    """Move a finished pack from its staging folder into place; True where there was one.

    Can be interrupted anywhere and called again: what is already moved is no longer in the staging folder.
    """
    staging = folder / STAGING
    if not staging.is_dir():
        return False
    if (staging / _ORDER[0]).exists() and not (staging / BUILD_RECORD).exists():
        # What wrote this pack was no build: the record of an earlier one would be about other rows. (A build's own
        # record is moved after the array, so it is not mistaken for that when this is called again.)
        (folder / BUILD_RECORD).unlink(missing_ok=True)
    for name in _ORDER:
        if (staging / name).exists():
            (folder / "pack.json").unlink(missing_ok=True)
            os.replace(staging / name, folder / name)
    clear(staging)
    return True


def clear(folder: Path) -> None:
    """Remove a folder of ours: its files and itself."""
    if folder.is_dir():
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()


def make_folder(folder: Path, *, force: bool = False) -> None:
    """The folder for a new pack, or one clear sentence why there cannot be one."""
    if folder.exists() and not folder.is_dir():
        raise PackError(f"{folder}: is a file", hint="a pack is a folder: give another name", code="output")
    if (folder / "pack.json").exists() and not force:
        raise PackError(f"{folder}: holds a pack already", hint="--force replaces it", code="output")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        others = sorted(p.name for p in folder.iterdir())
    except OSError as error:
        raise PackError(
            f"{folder}: cannot be made or read: {error.strerror}", hint="give another folder", code="output"
        ) from None
    ours = {".new", ".build", STAGING, ".lock", BUILD_RECORD, *_ORDER}
    if "pack.json" not in others and (foreign := [name for name in others if name not in ours]):
        raise PackError(
            f"{folder}: holds other things ({', '.join(foreign[:3])}{' …' if len(foreign) > 3 else ''})",
            hint="give a new or empty folder for the pack",
            code="output",
        )
    if not os.access(folder, os.W_OK):
        raise PackError(f"{folder}: not writable", hint="give another folder or change its permissions", code="output")
