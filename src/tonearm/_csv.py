"""Rows as lines of CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator


def lines(rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """A line per row, each with its newline; what would end a line early is quoted, a carriage return too.

    The writer quotes what its line ends are made of, and no more: asked for newlines alone, it would let the carriage
    return in a name break its row in two.
    """
    line = io.StringIO(newline="")
    writer = csv.writer(line, lineterminator="\r\n")
    for row in rows:
        writer.writerow(row)
        yield line.getvalue().removesuffix("\r\n") + "\n"
        line.seek(0)
        line.truncate()
