"""Keeps the notes that decoders print about broken files off the terminal."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

_lock = threading.Lock()
_inside = 0
_saved: int | None = None


@cache
def _stream() -> tuple[ctypes.c_void_p, int] | None:
    """C's `stderr` variable and a stream that goes nowhere; None where the C library has no such variable."""
    name = "stderr" if sys.platform.startswith("linux") else "__stderrp" if sys.platform == "darwin" else ""
    try:
        library = ctypes.CDLL(None)
        library.fopen.restype = ctypes.c_void_p
        variable = ctypes.c_void_p.in_dll(library, name)
        nowhere = library.fopen(b"/dev/null", b"w")
    except (AttributeError, TypeError, ValueError, OSError):
        return None
    return (variable, nowhere) if nowhere else None


@contextmanager
def quiet() -> Iterator[None]:
    """While inside, what C code prints to its standard error is dropped; Python's own goes on to be shown.

    mpg123, inside libsndfile, writes several lines per broken frame and offers no way to stop it from there. Its
    output goes through C's `stderr` variable, which glibc and macOS let a program set; Python writes to the file
    descriptor itself. So, unlike a redirection of descriptor 2, this is safe beside threads that print.
    """
    global _inside, _saved
    stream = _stream()
    if stream is None:
        yield
        return
    variable, nowhere = stream
    with _lock:
        if _inside == 0:
            _saved = variable.value
            variable.value = nowhere
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                variable.value = _saved


def _begin_anew() -> None:
    """In a forked child: the threads that were inside, or held the lock, are not there."""
    global _lock, _inside
    _lock = threading.Lock()
    if _inside:
        _inside = 0
        _stream()[0].value = _saved


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
