"""Many items on the cores of this machine, in processes that may crash."""

from __future__ import annotations

import contextlib
import os
import pickle
import struct
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import wait
from typing import Any

from tonearm.engines import registry
from tonearm.engines._outcome import BugError, Outcome, attempt, bug, crashed, item_name, timed_out
from tonearm.engines._workers import CAN_FORK, Nursery, Spawner, Worker
from tonearm.errors import TonearmError, UsageError

__all__ = ["BugError", "Outcome", "default_workers", "run"]

# A second item waits in a worker's pipe, so that it never waits for us; but only one that surely fits into the pipe,
# else we would wait for a worker that waits for us.
_SMALL_BYTES = 16384
# Workers that die before they were given anything, in a row: then it is not the items.
_STILLBIRTHS = 3


def default_workers() -> int:
    """Cores that this process may use: its affinity, and the quota of its control group."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = file.read().split()
        cores = min(cores, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):
        pass  # no control groups, or no limit ("max")
    return cores


@registry.add("local")
def run(
    function: Callable[[Any], Any],
    items: Iterable[Any],
    *,
    workers: int | None = None,
    timeout_seconds: float | None = None,
) -> Iterator[Outcome]:
    """Call `function` on each item in worker processes; an Outcome per item, in order of completion.

    A worker that dies costs the one item in its hands (AudioError `crashed`), an item that takes longer than
    `timeout_seconds` likewise (`timeout`). A TonearmError comes back as it is, any other exception as a BugError.
    Items are drawn as workers need them, so they may be endless; at most two per worker are under way.
    `workers=None` takes every core, 1 is still a process of its own, 0 works here, without that safety.

    Workers start at this call, not at the first outcome: call it before starting threads. Close the iterator, or use
    it up, to end them; they also end when this process does, however it does.
    """
    workers = default_workers() if workers is None else workers
    if workers < 0:
        raise UsageError(f"workers must not be negative: {workers}")
    if timeout_seconds is not None and timeout_seconds <= 0:
        raise UsageError(f"timeout_seconds must be positive: {timeout_seconds}")
    if workers == 0:
        if timeout_seconds is not None:
            raise UsageError("timeout_seconds needs at least one worker process")
        return (attempt(function, index, item) for index, item in enumerate(items))
    crew = _Crew(function, workers, timeout_seconds)
    return crew.outcomes(items)


class _Hand:
    """A worker and what it was given: the first item is in its hands, a second one waits in its pipe."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.items: deque[tuple[int, Any, bytes]] = deque()
        self.since = 0.0


class _Crew:
    """By hand because concurrent.futures' pool dies as a whole with one worker and cannot say on which item.

    Here each worker has a pipe of its own and works through it in order, so the parent always knows what it holds.
    """

    def __init__(self, function: Callable, workers: int, timeout_seconds: float | None) -> None:
        self._timeout, self._workers = timeout_seconds, workers
        self._launcher = Nursery(function) if CAN_FORK else Spawner(function)
        self._stillbirths = 0
        self._waiting: deque[tuple[int, Any, bytes]] = deque()  # taken back from workers that died
        self._hands: list[_Hand] = []  # started as there is work for them

    def outcomes(self, items: Iterable[Any]) -> Iterator[Outcome]:
        loop = self._loop(items)
        # A generator that was never started skips its `finally`; this also covers the end of the program.
        weakref.finalize(loop, self._launcher.close)
        return loop

    def _loop(self, items: Iterable[Any]) -> Iterator[Outcome]:
        source = enumerate(items)
        try:
            while True:
                yield from self._hand_out(source)
                if not any(hand.items for hand in self._hands):
                    return
                ready = wait([hand.worker.connection for hand in self._hands], self._patience())
                for hand in self._hands:
                    if hand.worker.connection in ready and (outcome := self._receive(hand)) is not None:
                        yield outcome
                # After the results: what is done in time counts, even when nobody looked in time.
                for hand in self._hands:
                    if self._is_overdue(hand):
                        yield self._give_up(hand)
        finally:
            self._launcher.close()
            for hand in self._hands:
                hand.worker.connection.close()

    def _hand_out(self, source: Iterator[tuple[int, Any]]) -> Iterator[Outcome]:
        """Give every idle worker an item, or one that is started for it; then each a second one if it is small."""
        for depth in (0, 1):
            for place in range(self._workers if depth == 0 else len(self._hands)):
                while place == len(self._hands) or len(self._hands[place].items) <= depth:
                    entry = self._next(source)
                    if entry is None:
                        return
                    if isinstance(entry, Outcome):
                        yield entry
                    elif depth and len(entry[2]) > _SMALL_BYTES:
                        self._waiting.appendleft(entry)
                        return
                    else:
                        if place == len(self._hands):
                            self._hands.append(_Hand(self._launcher.start()))
                        self._give(self._hands[place], entry)

    def _next(self, source: Iterator[tuple[int, Any]]) -> tuple[int, Any, bytes] | Outcome | None:
        if self._waiting:
            return self._waiting.popleft()
        following = next(source, None)
        if following is None:
            return None
        index, item = following
        try:
            return index, item, pickle.dumps(item, pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            return Outcome(index, error=bug(item_name(item, index), error))

    def _give(self, hand: _Hand, entry: tuple[int, Any, bytes]) -> None:
        if not hand.items:
            hand.since = time.monotonic()
        hand.items.append(entry)
        # If it has died, its pipe shows that at the next look, and the item is accounted for there.
        with contextlib.suppress(OSError):
            hand.worker.connection.send_bytes(struct.pack("q", entry[0]) + entry[2])

    def _receive(self, hand: _Hand) -> Outcome | None:
        """The next outcome of a worker whose pipe has something: a result, or its end (None if it held no item)."""
        try:
            data = hand.worker.connection.recv_bytes()
        except (EOFError, OSError):
            guilty = hand.items.popleft() if hand.items else None
            how = self._replace(hand, idle=guilty is None)
            return Outcome(guilty[0], error=crashed(item_name(guilty[1], guilty[0]), how)) if guilty else None
        index, item, _ = hand.items.popleft()
        hand.since = time.monotonic()
        self._stillbirths = 0
        try:
            return pickle.loads(data)
        except Exception as error:
            return Outcome(index, error=bug(item_name(item, index), error))

    def _is_overdue(self, hand: _Hand) -> bool:
        if self._timeout is None or not hand.items or time.monotonic() - hand.since <= self._timeout:
            return False
        return not hand.worker.connection.poll()

    def _give_up(self, hand: _Hand) -> Outcome:
        index, item, _ = hand.items.popleft()
        self._launcher.kill(hand.worker)
        self._replace(hand, idle=False)
        return Outcome(index, error=timed_out(item_name(item, index), self._timeout))

    def _replace(self, hand: _Hand, *, idle: bool) -> str:
        """A new worker in place of one that has died or was killed; how that one ended."""
        hand.worker.connection.close()
        how = self._launcher.end(hand.worker)
        self._waiting.extendleft(reversed(hand.items))  # they were waiting in its pipe and are not to blame
        hand.items.clear()
        self._stillbirths = self._stillbirths + 1 if idle else 0
        if self._stillbirths >= _STILLBIRTHS:
            hint = "is there memory enough? --workers 1 needs the least"
            raise TonearmError(f"worker processes end before they get any work ({how})", hint=hint, code="engine")
        hand.worker = self._launcher.start()
        return how

    def _patience(self) -> float | None:
        """Seconds until the first item is overdue; None to wait as long as it takes."""
        if self._timeout is None:
            return None
        since = min(hand.since for hand in self._hands if hand.items)
        return max(0.0, since + self._timeout - time.monotonic()) + 0.001
