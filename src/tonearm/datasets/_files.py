"""Walking folders that people made: which files are music, and what to call them."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

from tonearm import audio
from tonearm.audio._sniff import sniff
from tonearm.datasets._dataset import Problem


def walk(root: Path, problems: list[Problem]) -> Iterator[Path]:
    """Audio files below a folder, sorted, without hidden ones; folders that cannot be read are added to `problems`.

    Links are followed; a folder that is reached a second time on its own path (a loop) is not entered.
    """
    yield from _walk(root, problems, ())


def _walk(folder: Path, problems: list[Problem], above: tuple[tuple[int, int], ...]) -> Iterator[Path]:
    try:
        status = os.stat(folder)
        entries = sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        reason = error.strerror or str(error)
        problems.append(Problem("unreadable", os.fspath(folder), f"{text(folder)}: cannot be listed: {reason}"))
        return
    here = (status.st_dev, status.st_ino)
    # Windows may give inode 0 to everything: then loops cannot be told, and the system's own limit ends them.
    if here[1] and here in above:
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        path = folder / entry.name
        try:
            is_folder = entry.is_dir()
        except OSError:  # a link that leads to itself
            is_folder = False
        if not is_folder:
            if is_music(path):
                yield path
            continue
        inside = list(_walk(path, problems, (*above, here)))
        yield from inside
        if not inside and path.suffix.lower() in audio.SUFFIXES:
            # A folder called song.wav with no music in it: a broken copy that should be named, not passed over.
            yield path


def is_music(path: Path) -> bool:
    """Whether a file should be tried as music: by its ending, or, where that is unknown, by its first bytes."""
    suffix = path.suffix.lower()
    if suffix in audio.SUFFIXES:
        return True
    if suffix and not suffix[1:].strip().isdigit():  # `Vol. 2` has no real ending
        return False
    try:
        # Only regular files: opening a pipe would wait for ever.
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        with open(path, "rb") as file:
            return sniff(file) is not None
    except OSError:
        return False


def text(name: str | PurePath) -> str:
    """A file name as text that can be written anywhere: one line, valid Unicode, composed (NFC).

    Bytes that are no UTF-8 and control characters become escapes, so that different names stay different.
    """
    decoded = os.fsencode(os.fspath(name)).decode("utf-8", "backslashreplace")
    composed = unicodedata.normalize("NFC", decoded)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in composed)


def unique_ids(paths: Sequence[PurePath]) -> list[str]:
    """Ids from relative paths: without the ending where that stays unique, then with it, then numbered."""
    short = [text(_without_ending(path).as_posix()) for path in paths]
    times = Counter(short)
    return numbered([text(p.as_posix()) if times[s] > 1 else s for p, s in zip(paths, short, strict=True)])


def _without_ending(path: PurePath) -> PurePath:
    return path.with_suffix("") if path.suffix.lower() in audio.SUFFIXES else path


def numbered(ids: Sequence[str]) -> list[str]:
    """Equal ids made different: the second `x` becomes `x~2`."""
    taken: set[str] = set()
    wanted = set(ids)
    unique = []
    for name in ids:
        candidate, count = name, 1
        while candidate in taken or (count > 1 and candidate in wanted):
            count += 1
            candidate = f"{name}~{count}"
        taken.add(candidate)
        unique.append(candidate)
    return unique
