"""The ways to name a sound: a path, the bytes themselves, an open binary file. One seekable file comes out."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple

from tonearm.audio.errors import AudioError
from tonearm.errors import UsageError

# Ten months at 44.1 kHz: decoders say more than this when they mean that they do not know.
CREDIBLE_FRAMES = 1 << 40

_NO_SUCH_NAME = (errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL)

Source = str | os.PathLike | bytes | bytearray | memoryview | BinaryIO


class Opened(NamedTuple):
    """A seekable binary file, how to name it to people, and its path as the system spells it (None: no path)."""

    name: str
    file: BinaryIO
    size: int
    path: bytes | str | None


def name_of(source: Source) -> str:
    """How messages name a source; a path that is no UTF-8 is spelt so that it can be printed."""
    if isinstance(source, bytes | bytearray | memoryview):
        return f"<{len(source)} bytes>"
    if isinstance(source, str | os.PathLike):
        return os.fsencode(source).decode("utf-8", "backslashreplace")
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "<file object>"


@contextmanager
def opened(source: Source) -> Iterator[Opened]:
    """Open any source for reading; raises AudioError for what cannot be opened or is no file."""
    name = name_of(source)
    if isinstance(source, bytes | bytearray | memoryview):
        yield _checked(Opened(name, io.BytesIO(source), len(source), None))
    elif isinstance(source, str | os.PathLike):
        file = _open_path(source, name)
        with file:
            yield _checked(Opened(name, file, os.fstat(file.fileno()).st_size, _native(source)))
    elif hasattr(source, "read"):
        yield _checked(_from_file(source, name))
    else:
        raise UsageError(f"{type(source).__name__} is no path, no bytes and no binary file")


def _native(path: str | os.PathLike) -> bytes | str:
    """A path as libsndfile wants it: bytes, for names that are no UTF-8, but on Windows text."""
    return os.fspath(path) if os.name == "nt" else os.fsencode(path)


def _checked(source: Opened) -> Opened:
    if source.size == 0:
        raise AudioError(source.name, "empty", "the file has no bytes", hint="copy or download it again")
    return source


def _open_path(path: str | os.PathLike, name: str) -> BinaryIO:
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise AudioError(name, "not-audio", "it is a folder", hint="name a file in it")
        if not stat.S_ISREG(mode):
            # Opening a pipe waits for a writer, perhaps for ever; a device may never end.
            raise AudioError(name, "not-audio", "it is a pipe or a device, not a file", hint="save the sound to a file")
        return open(path, "rb")
    except (FileNotFoundError, NotADirectoryError):
        reason = "it is a link to a file that is not there" if os.path.islink(path) else "there is no such file"
        raise AudioError(name, "missing", reason, hint="check the spelling of the path") from None
    except PermissionError:
        hint = "check its permissions and those of its folder"
        raise AudioError(name, "unreadable", "the system does not allow it to be read", hint=hint) from None
    except ValueError:  # a zero byte in the name
        raise AudioError(name, "missing", "no file can have this name") from None
    except OSError as error:
        code = "missing" if error.errno in _NO_SUCH_NAME else "unreadable"
        raise AudioError(name, code, error.strerror or str(error)) from None


def _from_file(file: BinaryIO, name: str) -> Opened:
    try:
        if not file.seekable():
            file = io.BytesIO(file.read())
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        probe = file.read(0)
    except OSError as error:
        raise AudioError(name, "unreadable", error.strerror or str(error)) from None
    if not isinstance(probe, bytes):
        raise UsageError(f"{name} is open as text", hint='open it with mode "rb"')
    return Opened(name, file, size, None)


class Window(io.RawIOBase):
    """A file seen from `start` on, behind a `prefix`, for decoders that call back from C.

    Errors are kept in `error`, not raised. A raised exception cannot pass through the
    decoder; it would be printed to the terminal and lost.
    """

    def __init__(self, file: BinaryIO, start: int, prefix: bytes = b"") -> None:
        self._file = file
        self._start = start
        self._prefix = prefix
        self._at = 0  # of its own: others look into the same file
        self.error: Exception | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        before = len(self._prefix)
        try:
            if self._at < before:
                data = self._prefix[self._at : self._at + len(buffer)]
            else:
                self._file.seek(self._start + self._at - before)
                data = self._file.read(len(buffer))
        except (OSError, ValueError) as error:
            self.error = error
            return 0
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        try:
            if whence == os.SEEK_END:
                offset += self._file.seek(0, os.SEEK_END) - self._start + len(self._prefix)
            elif whence == os.SEEK_CUR:
                offset += self._at
            self._at = max(0, offset)
        except (OSError, ValueError) as error:
            self.error = error
        return self._at

    def tell(self) -> int:
        return self._at
