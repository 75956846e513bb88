"""How far it is, on standard error."""

from __future__ import annotations

import sys
import time


class Progress:
    """One line that renews itself on a terminal, a plain line now and then elsewhere, nothing when quiet.

    By hand: importing rich costs as much time as ten clips, and a log file wants no escape codes.
    """

    def __init__(self, total: int, what: str, *, done: int = 0, quiet: bool = False) -> None:
        self.total, self.what, self.done, self.failed = total, what, done, 0
        self.already = done
        self.quiet = quiet
        self.terminal = sys.stderr.isatty()
        self.started = time.monotonic()
        self.next = self.started + (0.0 if self.terminal else 5.0)

    def step(self, *, failed: bool = False) -> None:
        self.done += 1
        self.failed += failed
        now = time.monotonic()
        if self.quiet or now < self.next:
            return
        # Lines in a log come more and more seldom: a build of a day leaves a hundred, not ten thousand.
        self.next = now + (0.1 if self.terminal else max(5.0, (now - self.started) / 10))
        self._write()

    def close(self) -> None:
        if not self.quiet and self.terminal:
            self._write()
            sys.stderr.write("\n")

    def _write(self) -> None:
        elapsed = time.monotonic() - self.started
        rate = (self.done - self.already) / elapsed if elapsed > 0 else 0.0
        left = f"{clock((self.total - self.done) / rate)} left" if rate else "…"
        failed = f", {self.failed} failed" if self.failed else ""
        line = f"{self.done}/{self.total} {self.what}, {rate:.1f}/s, {left}{failed}"
        sys.stderr.write(f"\r\x1b[K{line}" if self.terminal else f"{line}\n")
        sys.stderr.flush()


def clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
