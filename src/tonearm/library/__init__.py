"""A collection of music in one SQLite file: what lies where, its tags, and what models hear in it.

report = library.scan(["~/Music"])                 # only what is new or changed is heard
with library.open() as mine:
    for row in mine.files("genre:folk confidence:0.8.."):
        print(row["path"], row["genres"])
    ids, vectors = mine.embeddings()
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tonearm.library.copies import complete, duplicates
    from tonearm.library.counts import stats
    from tonearm.library.errors import LibraryError
    from tonearm.library.forgetting import forget, forget_model
    from tonearm.library.rows import count, query
    from tonearm.library.scanning import Report, scan
    from tonearm.library.store import Library, open
    from tonearm.library.vectors import similar

# Listing songs costs neither numpy nor the decoders.
_LATER = {
    "Library": "store",
    "LibraryError": "errors",
    "Report": "scanning",
    "complete": "copies",
    "count": "rows",
    "duplicates": "copies",
    "forget": "forgetting",
    "forget_model": "forgetting",
    "open": "store",
    "query": "rows",
    "scan": "scanning",
    "similar": "vectors",
    "stats": "counts",
}

__all__ = [
    "Library",
    "LibraryError",
    "Report",
    "complete",
    "count",
    "duplicates",
    "forget",
    "forget_model",
    "open",
    "query",
    "scan",
    "similar",
    "stats",
]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)
