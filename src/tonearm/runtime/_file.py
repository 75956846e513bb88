"""What a model file says about itself: one entry of JSON in the metadata of an ONNX graph (tonearm-model/1).

The entry is found and written by hand: the package onnx is not part of the light install, and ONNX Runtime would set
up the whole graph, a hundred times slower, only to tell a name. An ONNX file is a protobuf message; its metadata are
the fields 14, each a pair of key (1) and value (2). A message that stands behind another adds to it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tonearm.errors import TonearmError

FORMAT = "tonearm-model/1"
_KEY = "tonearm"
_METADATA = 14
_NEEDED = {"name": str, "classes": list, "feature": dict, "listen": dict, "temperature": (int, float),
           "threshold": (int, float), "figures": list, "licence": str}  # fmt: skip

# How a pack holds the feature that the graph wants; what a model file means that does not say it.
STORED = {"dtype": "uint8", "scale": "clip-minmax"}


class ModelError(TonearmError):
    """A file that is no model, or one that does not hold together."""

    code = "not-a-model"


def read_bytes(path: str | os.PathLike) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{path}: there is no such file", code="missing") from None
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror or error}", code="unreadable") from None


def version_of(content: bytes) -> str:
    """What tells one model from another of the same name: the first 12 digits of the file's SHA-256."""
    return hashlib.sha256(content).hexdigest()[:12]


def read_info(path: str | os.PathLike, content: bytes | None = None) -> dict[str, Any]:
    """What the model file at `path` says about itself, checked; `content` where its bytes are known already."""
    content = read_bytes(path) if content is None else content
    text = None
    try:
        for number, value in _fields(memoryview(content)):
            if number == _METADATA and isinstance(value, memoryview):
                pair = dict(_fields(value))
                if bytes(pair.get(1, b"")) == _KEY.encode():
                    text = bytes(pair.get(2, b""))  # the last one counts
    except (ValueError, IndexError):
        text = None
    if text is None:
        hint = "a model of tonearm is an ONNX file that `tonearm export` wrote"
        raise ModelError(f"{path}: not a model of tonearm", hint=hint)
    try:
        info = json.loads(text)
    except ValueError:
        info = None
    return checked(path, info)


def checked(path: object, info: Any) -> dict[str, Any]:
    """The description of a model if it is whole, with what it leaves out filled in; else a ModelError."""
    if not isinstance(info, dict) or info.get("format") != FORMAT:
        found = info.get("format") if isinstance(info, dict) else None
        raise ModelError(f"{path}: its format is {found!r}, not {FORMAT!r}", hint="is tonearm too old for it?")
    for key, kind in _NEEDED.items():
        if not isinstance(info.get(key), kind) or isinstance(info.get(key), bool):
            raise ModelError(f"{path}: its description lacks {key!r}")
    classes = info["classes"]
    if len(classes) < 2 or len(set(map(str, classes))) != len(classes):
        raise ModelError(f"{path}: its classes are not two or more different names")
    if not info["temperature"] > 0 or not 0 <= info["threshold"] <= 1:
        raise ModelError(f"{path}: temperature {info['temperature']} or threshold {info['threshold']} cannot be")
    if not _are_doubts(info["listen"].get("doubts", [])):
        raise ModelError(f"{path}: what it hears more of in doubt cannot be: {info['listen']['doubts']!r:.100}")
    listen = {"excerpts": 1, "clip_seconds": info["feature"].get("clip_seconds") or 30.0, "places": "spread"}
    listen |= {"doubts": [], "again_seconds": 0.0, "again_share": 0.0}
    clips = {"frames": None, "overlap": 0.5, "join": "log-mean"}
    return {
        "version": "", "training": {}, "card": {}, "stored": dict(STORED), **info,
        "listen": {**listen, **info["listen"]}, "clips": {**clips, **(info.get("clips") or {})},
    }  # fmt: skip


def _are_doubts(told: Any) -> bool:
    """Whether they are steps: below a margin of the first two genres, places (shares of a song) to hear more of."""
    return isinstance(told, list) and all(
        isinstance(doubt, dict)
        and isinstance(doubt.get("margin"), (int, float))
        and isinstance(doubt.get("places"), list)
        and all(isinstance(place, (int, float)) and 0 < place < 1 for place in doubt["places"])
        for doubt in told
    )


def write_info(content: bytes, info: dict[str, Any]) -> bytes:
    """The bytes of an ONNX graph with `info` as what the model says about itself."""
    checked("model", info)
    text = json.dumps(info, ensure_ascii=False, allow_nan=False).encode()
    pair = _field(1, _KEY.encode()) + _field(2, text)
    return content + _field(_METADATA, pair)


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Numbers and values of a protobuf message; what is inside a value is not looked at."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind not in (1, 2, 5):
            raise ValueError("no protobuf message")
        size, at = _varint(message, at) if kind == 2 else (8 if kind == 1 else 4, at)
        if size > len(message) - at:
            raise ValueError("it ends too early")
        yield key >> 3, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("no protobuf message")


def _field(number: int, value: bytes) -> bytes:
    return _packed(number << 3 | 2) + _packed(len(value)) + value


def _packed(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
