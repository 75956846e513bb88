"""What every error of tonearm says: what is wrong, where, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class TonearmError(Exception):
    """A user's or a file's mistake, not a bug: shown as one line without a traceback.

    `code` is stable and for programs; `hint` is the next step for the person. `exit_code` is what a command
    that stops because of this error returns: 1 for work that failed, 2 for a command used wrongly.
    """

    code = "error"
    exit_code = 1

    def __init__(self, message: str, *, hint: str = "", code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(TonearmError):
    """The command or the configuration is wrong as it was written."""

    code = "usage"
    exit_code = 2


def unknown_name(kind: str, name: str, valid: Iterable[str]) -> UsageError:
    """The one way to refuse a misspelt name or key: says which are valid and which was probably meant."""
    valid = sorted(valid)
    close = get_close_matches(str(name), valid, n=1)
    meant = f"did you mean {close[0]!r}? " if close else ""
    return UsageError(f"unknown {kind} {name!r}", hint=f"{meant}valid: {', '.join(valid)}", code="unknown-name")
