"""Predictions that a library of `tonearm scan` has already: nothing is decoded again."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from tonearm.errors import UsageError
from tonearm.tags import swap
from tonearm.tags.predictions import Prediction, best_first

if TYPE_CHECKING:
    from tonearm.library import Library

_MORE = (
    "SELECT f.mtime_ns, p.probabilities FROM files f "
    "LEFT JOIN predictions p ON p.content_id = f.content_id AND p.model_id = ? WHERE f.id = ?"
)
_CHANGED = {"code": "changed", "message": "it changed since it was scanned: `tonearm scan` its folder again"}
_UNHEARD = {"code": "no-prediction", "message": "this library has no prediction for it: `tonearm scan` its folder"}


def predictions(
    library: Library, query: str | Iterable[str] = "", *, model: str | None = None, threshold: float | None = None
) -> Iterator[Prediction]:
    """What the library says of the files that a query finds (see `tonearm.library.language`), by one model.

    With a `threshold` of one's own the stored probabilities are held against it. A file that is not as it was when it
    was scanned is an error: its sound may be another one.
    """
    from tonearm.library.rows import model_of

    chosen = model_of(library, model)
    asked = f"{chosen.name} {chosen.version}" if chosen.id is not None else None
    for row in library.files(query, model=asked):
        mtime_ns, probabilities = library.one(_MORE, (chosen.id, row["id"])) or (None, None)
        yield _prediction(row, mtime_ns, probabilities, chosen.genres, threshold)


def _prediction(
    row: dict[str, Any], mtime_ns: int | None, raw: bytes | None, genres: tuple[str, ...], threshold: float | None
) -> Prediction:
    path = row["path"]
    if row["error"]:
        return Prediction(path, [], False, row["error"])
    if row["model"] is None:
        return Prediction(path, [], False, _UNHEARD)
    if _changed(path, row["size"], mtime_ns):
        return Prediction(path, [], False, _CHANGED)
    if not row["genres"]:
        return Prediction(path, [], row["sure"])
    pairs = [(item["genre"], item["probability"]) for item in row["genres"]]
    if raw is not None and len(raw) == 4 * len(genres):
        pairs = list(zip(genres, struct.unpack(f"<{len(genres)}f", raw), strict=True))
    pairs = best_first(pairs)
    sure = row["sure"]
    if threshold is not None and not row["warnings"]:
        sure = pairs[0][1] >= threshold
    return Prediction(path, pairs, sure, None, None if row["warnings"] else threshold)


def _changed(path: str, size: int, mtime_ns: int | None) -> bool:
    try:
        return swap.fingerprint(os.stat(path)) != {"size": size, "mtime_ns": mtime_ns}
    except OSError:
        return False  # the plan opens it, and says what is wrong


def is_query(words: list[str] | None) -> bool:
    """Whether words of a command are a query (`genre:jazz is:untagged`) and not names of files; both is a mistake."""
    asked = [word for word in words or [] if _looks_like_query(word)]
    if not asked:
        return False
    files = [word for word in words or [] if os.path.lexists(word)]
    if files:
        raise UsageError(f"{asked[0]!r} asks the library and {files[0]!r} is a file: one or the other")
    return True


def _looks_like_query(word: str) -> bool:
    return bool(re.match(r"[a-z]{2,}:", word)) and not os.path.lexists(word)
