"""Files that the library shall know nothing of any more. The files themselves are not touched."""

from __future__ import annotations

import os
from collections.abc import Iterable

from tonearm.errors import UsageError
from tonearm.library import language, rows
from tonearm.library.listing import batches, below
from tonearm.library.store import Library, raw

# Rows per transaction: a second's work, for which a scan that wants to write waits.
TOGETHER = 5000


def forget(library: Library, query: str | Iterable[str], *, model: str | None = None) -> int:
    """Take the files that a query finds out of the library, and what is known of sounds that none has any more."""
    if not language.parse(query):
        raise UsageError("what should be forgotten?", hint="tonearm library forget is:missing")
    # Rows and keys of fingerprints lie all over the file: each page should be written once, and not be read again.
    library.connection.execute("PRAGMA cache_size = -65536")
    ids = sorted(row.id for row in rows.find(library, query, rows.model_of(library, model)))
    for some in batches(ids, TOGETHER):
        library.write_many("DELETE FROM files WHERE id = ?", [(id_,) for id_ in some])
    _sweep(library)
    return len(ids)


def forget_model(library: Library, model: str) -> int:
    """Take the predictions of a model out of the library; returns how many they were."""
    chosen = rows.model_of(library, model)
    (count,) = library.read("SELECT count(*) FROM predictions WHERE model_id = ?", (chosen.id,))[0]
    with library.write() as connection:
        connection.execute("DELETE FROM models WHERE id = ?", (chosen.id,))
    return count


def _sweep(library: Library) -> None:
    orphans = library.read(
        "SELECT id FROM contents WHERE id NOT IN (SELECT content_id FROM files WHERE content_id IS NOT NULL)"
    )
    for some in batches(orphans, TOGETHER):
        library.write_many("DELETE FROM contents WHERE id = ?", some)
    for (root,) in library.read("SELECT path FROM roots"):
        where, values = below([root])
        # A folder that is gone and of which nothing is left is not scanned again either.
        if not os.path.isdir(root) and not library.one(f"SELECT 1 FROM files WHERE {where} LIMIT 1", values):
            with library.write() as connection:
                connection.execute("DELETE FROM roots WHERE path = CAST(? AS TEXT)", (raw(root),))
