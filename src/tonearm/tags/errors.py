"""The one error of the tags room, and how the system's own errors become one."""

from __future__ import annotations

import errno

from tonearm.errors import TonearmError

CODES = {
    "missing": "there is no such file",
    "not-a-file": "it is a folder, a device or a pipe",
    "loop": "the links lead in a circle",
    "unreadable": "the system does not allow it to be read",
    "read-only": "the file, its folder or the drive does not allow writing",
    "in-use": "another program has locked it",
    "changed": "it is no longer as it was when the plan (or the journal) was made",
    "same-file": "it is another name of a file that is already in the plan",
    "not-audio": "the content is not audio that can be tagged",
    "unsupported": "the format has no tags that tonearm can write",
    "damaged": "the file or its tags are broken, so they are left alone",
    "verify": "what was written did not read back right, so it was taken back",
    "disk-full": "there is no room left for the copy",
    "vanished": "the drive went away or fails",
    "no-prediction": "nothing was predicted for it",
    "failed": "the system refused",
    "torn": "a write was cut off and could not be finished",
}

_ERRNO_NAMES = {
    "missing": ("ENOENT", "ENOTDIR"),
    "loop": ("ELOOP",),
    "not-a-file": ("EISDIR",),
    "disk-full": ("ENOSPC", "EDQUOT", "EFBIG"),
    "read-only": ("EROFS",),
    "in-use": ("EBUSY", "ETXTBSY", "EAGAIN"),
    "vanished": ("EIO", "ENODEV", "ENXIO", "ESTALE", "ENOTCONN", "EHOSTDOWN", "ETIMEDOUT"),
}
# By name, because not every system has every number.
_BY_ERRNO = {
    getattr(errno, name): code for code, names in _ERRNO_NAMES.items() for name in names if hasattr(errno, name)
}
HINTS = {
    "disk-full": "make room and apply the plan again: what was written stays written",
    "vanished": "see that the drive is connected, then apply the plan again",
    "changed": "make a new plan",
    "in-use": "close the program that uses it",
}


class TagError(TonearmError):
    """A file whose tags cannot be read or written: which one, why (`code`, one of `CODES`)."""

    code = "failed"

    def __init__(self, path: object, code: str, reason: str = "", *, hint: str = "") -> None:
        if code not in CODES:
            raise ValueError(f"no such tag error code: {code!r}")
        self.path = str(path)
        self.reason = reason or CODES[code]
        super().__init__(f"{shown(self.path)}: {self.reason}", hint=hint or HINTS.get(code, ""), code=code)


def from_os(path: object, error: OSError, *, writing: bool = False) -> TagError:
    """The system's error in this room's words."""
    if isinstance(error, PermissionError):
        # Windows tells "another program has it open" as a permission error with a number of its own.
        code = "in-use" if getattr(error, "winerror", None) in (32, 33) else "read-only" if writing else "unreadable"
    else:
        code = _BY_ERRNO.get(error.errno or 0, "failed")
    reason = f"{CODES[code]} ({error.strerror})" if error.strerror else CODES[code]
    return TagError(path, code, reason)


def shown(path: object) -> str:
    """A name as one printable line: newlines, control characters and bytes that are not UTF-8 are spelt out."""
    text = str(path)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
