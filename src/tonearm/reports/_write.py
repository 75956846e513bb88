"""Pages and pictures to disk: refused before the work where they cannot be, and whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from tonearm.errors import TonearmError, UsageError


def check_place(path: Path, *endings: str) -> None:
    """Refuse a place that nothing can be written to, before minutes of work and not after."""
    if endings and path.suffix.lower() not in endings:
        raise UsageError(f"{path}: the ending says the format", hint=f"use {' or '.join(endings)}")
    folder = path.parent
    if path.is_dir():
        raise TonearmError(f"{path}: is a folder", hint="name a file with -o", code="write")
    if not folder.is_dir():
        raise TonearmError(f"{folder}: there is no such folder", hint="make it first, or name another", code="write")
    if not os.access(folder, os.W_OK):
        raise TonearmError(f"{folder}: may not be written to", hint="name another place with -o", code="write")


def write(path: Path, content: str | bytes) -> None:
    """Write a file beside its place and move it there: what stood there stays whole until the new one is."""
    data = content.encode("utf-8", "replace") if isinstance(content, str) else content
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        beside.write_bytes(data)
        os.replace(beside, path)
    except OSError as error:
        raise TonearmError(f"{path}: cannot be written: {error.strerror or error}", code="write") from None
    finally:
        beside.unlink(missing_ok=True)
