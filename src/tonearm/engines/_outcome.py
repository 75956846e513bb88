"""What became of one item, and the errors that an engine itself makes."""

from __future__ import annotations

import pickle
import traceback
from dataclasses import dataclass
from typing import Any

from tonearm.audio.errors import AudioError
from tonearm.errors import TonearmError


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one item: `value`, or `error` and no value. `index` is the item's place among the items."""

    index: int
    value: Any = None
    error: TonearmError | None = None


class BugError(TonearmError):
    """An exception that nobody expected, as it came out of a worker: its type, message and traceback are kept."""

    code = "bug"

    def __init__(self, item: str, kind: str, detail: str, traceback_text: str) -> None:
        hint = "this is a fault of the program, not of the file: please report it with the traceback"
        super().__init__(f"{item}: {kind}: {detail}" if detail else f"{item}: {kind}", hint=hint)
        self.item = item
        self.kind = kind
        self.detail = detail
        self.traceback_text = traceback_text

    def __reduce__(self) -> tuple:
        return BugError, (self.item, self.kind, self.detail, self.traceback_text)


def item_name(item: Any, index: int) -> str:
    """How messages name an item: a path as it is, what has a path by it, anything else by its place."""
    from os import PathLike

    path = getattr(item, "path", item)
    if isinstance(path, str | PathLike):
        return str(path)
    if isinstance(item, tuple | list) and item and isinstance(item[0], str | PathLike):
        return str(item[0])
    return f"item {index}"


def attempt(function: Any, index: int, item: Any) -> Outcome:
    """Call the function on one item; no exception leaves this, none is lost."""
    try:
        return Outcome(index, function(item))
    except TonearmError as error:
        return Outcome(index, error=error)
    except BaseException as error:
        # SystemExit too: one item must not end the others. Ctrl-C is the caller's, it never arrives in a worker.
        if isinstance(error, KeyboardInterrupt | GeneratorExit):
            raise
        return Outcome(index, error=bug(item_name(item, index), error))


def bug(item: str, error: BaseException) -> BugError:
    return BugError(item, type(error).__name__, str(error), "".join(traceback.format_exception(error)))


def crashed(item: str, how: str) -> AudioError:
    hint = "play or convert it elsewhere; if it plays well, please report it"
    return AudioError(item, "crashed", f"the worker died on it ({how}) and was replaced", hint=hint)


def timed_out(item: str, seconds: float) -> AudioError:
    return AudioError(item, "timeout", f"not done after {seconds:g} s; the worker was replaced")


def packed(outcome: Outcome, item: str) -> bytes:
    """An outcome as bytes for the pipe; what cannot be sent becomes a BugError that says so.

    Pickle goes only through pipes between processes of one program, never into or out of a file.
    """
    try:
        data = pickle.dumps(outcome, pickle.HIGHEST_PROTOCOL)
        if outcome.error is not None:
            pickle.loads(data)  # an exception may pack well and then not unpack
    except Exception as error:
        data = pickle.dumps(Outcome(outcome.index, error=bug(item, outcome.error or error)), pickle.HIGHEST_PROTOCOL)
    return data
