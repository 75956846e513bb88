"""The one error of the audio room."""

from __future__ import annotations

from tonearm.errors import TonearmError

CODES = {
    "missing": "there is no such file",
    "not-audio": "the content is not audio that any reader here knows",
    "empty": "there is no sound in it",
    "too-short": "it is shorter than what was asked for",
    "truncated": "the end is missing or damaged; what could be read was used",
    "not-finite": "it holds NaN or infinite samples",
    "unreadable": "the system does not allow it to be read",
    "needs-extra": "it needs an optional package",
    "crashed": "the decoder crashed on it; the worker was replaced",
    "timeout": "reading it took too long; the worker was replaced",
}


class AudioError(TonearmError):
    """A file that cannot be used: which one, why (`code`, one of `CODES`), and what to do next."""

    code = "not-audio"

    def __init__(self, path: object, code: str, reason: str, *, hint: str = "") -> None:
        if code not in CODES:
            raise ValueError(f"no such audio error code: {code!r}")
        super().__init__(f"{path}: {reason}", hint=hint, code=code)
        self.path = str(path)
        self.reason = reason

    def __reduce__(self) -> tuple:
        # Errors cross process borders: keyword arguments must survive.
        return _rebuild, (self.path, self.code, self.reason, self.hint)


def _rebuild(path: str, code: str, reason: str, hint: str) -> AudioError:
    return AudioError(path, code, reason, hint=hint)
