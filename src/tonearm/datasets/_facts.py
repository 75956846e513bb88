"""The tables of facts that come with the package."""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def table(name: str) -> dict[str, dict[str, str]]:
    """Rows by id of a TSV in `tables`; lines that start with # say where the facts come from."""
    text = resources.files("tonearm.datasets").joinpath("tables", name).read_text(encoding="utf-8")
    lines = [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
    header, *rows = lines
    return {row[0]: dict(zip(header, row, strict=True)) for row in rows}
