"""The local engine: every item is accounted for, whatever its worker does."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tonearm.audio import AudioError
from tonearm.engines import local, registry
from tonearm.engines._workers import Spawner
from tonearm.errors import TonearmError, UsageError


def by_index(outcomes):
    outcomes = list(outcomes)
    assert len({outcome.index for outcome in outcomes}) == len(outcomes)
    return {outcome.index: outcome for outcome in outcomes}


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and only waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def eventually(condition, seconds: float = 5.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


def misbehave(item):
    if item == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if item == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "exit":
        os._exit(3)
    if item == "sys.exit":
        sys.exit(3)
    if item == "hang":
        time.sleep(60)
    if item == "bug":
        raise ValueError("what nobody thought of")
    if item == "lambda":
        return lambda: None
    if item == "bad audio":
        raise AudioError("a.mp3", "not-audio", "noise", hint="convert it")
    if item == "odd error":
        raise OddError("a", "b")
    return item


class OddError(TonearmError):
    """Takes more arguments than it hands to its base, so pickle cannot rebuild it."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first)
        self.second = second


class NotUnpicklable:
    def __reduce__(self):
        return _refuse, ()


def _refuse():
    raise RuntimeError("cannot be rebuilt")


def test_every_item_comes_back_once():
    outcomes = by_index(local.run(partial(pow, 3), range(500), workers=3))
    assert {index: outcome.value for index, outcome in outcomes.items()} == {i: 3**i for i in range(500)}
    assert all(outcome.error is None for outcome in outcomes.values())


@pytest.mark.parametrize("workers", [1, 2])
def test_each_way_to_die_costs_one_item(workers):
    bad = ["segfault", "kill", "exit", "sys.exit", "hang", "bug", "lambda", "bad audio", "odd error"]
    items = [name for pair in zip(bad, [f"good {i}" for i in range(len(bad))], strict=True) for name in pair]
    outcomes = by_index(local.run(misbehave, items, workers=workers, timeout_seconds=1.0))
    assert sorted(outcomes) == list(range(len(items)))
    codes = {items[i]: o.error.code for i, o in outcomes.items() if o.error is not None}
    assert codes == {
        "segfault": "crashed",
        "kill": "crashed",
        "exit": "crashed",
        "sys.exit": "bug",
        "hang": "timeout",
        "bug": "bug",
        "lambda": "bug",
        "bad audio": "not-audio",
        "odd error": "bug",
    }
    assert all(outcomes[i].value == item for i, item in enumerate(items) if item.startswith("good"))
    errors = {items[i]: o.error for i, o in outcomes.items() if o.error is not None}
    assert isinstance(errors["segfault"], AudioError)
    assert "SIGSEGV" in str(errors["segfault"])
    assert str(errors["segfault"]).startswith("segfault:")  # the item is named
    assert "exit code 3" in str(errors["exit"])
    assert errors["bad audio"].hint == "convert it"
    assert errors["bug"].kind == "ValueError"
    assert "what nobody thought of" in str(errors["bug"])
    assert "misbehave" in errors["bug"].traceback_text
    assert "OddError" in errors["odd error"].kind


def test_a_long_row_of_crashes_is_survived():
    outcomes = by_index(local.run(misbehave, ["kill"] * 12 + ["good"], workers=2))
    assert [outcomes[i].error.code for i in range(12)] == ["crashed"] * 12
    assert outcomes[12].value == "good"


def test_items_that_cannot_be_sent_are_bugs_of_one_item():
    outcomes = by_index(local.run(misbehave, ["a", lambda: 0, NotUnpicklable(), "b"], workers=1))
    assert outcomes[0].value == "a"
    assert outcomes[3].value == "b"
    assert outcomes[1].error.code == outcomes[2].error.code == "bug"


def test_large_items_and_results_do_not_block_each_other():
    items = (np.full(500_000, i, np.float32) for i in range(12))
    outcomes = by_index(local.run(np.negative, items, workers=2))
    assert [float(outcomes[i].value[-1]) for i in range(12)] == [-float(i) for i in range(12)]


def test_items_are_drawn_only_as_they_are_needed():
    drawn = []

    def endless():
        while True:
            drawn.append(len(drawn))
            yield drawn[-1]

    outcomes = local.run(abs, endless(), workers=2)
    for _ in range(50):
        next(outcomes)
    assert len(drawn) <= 50 + 2 * 2 + 1
    outcomes.close()


def test_a_slow_reader_does_not_make_items_late():
    outcomes = local.run(abs, [-1, -2, -3, -4], workers=1, timeout_seconds=0.2)
    values = []
    for outcome in outcomes:
        time.sleep(0.3)
        values.append(outcome.value)
    assert values == [1, 2, 3, 4]


def test_without_workers_it_runs_here():
    outcomes = by_index(local.run(lambda item: (os.getpid(), misbehave(item)), ["a", "bug", "bad audio"], workers=0))
    assert outcomes[0].value == (os.getpid(), "a")
    assert outcomes[1].error.code == "bug"
    assert outcomes[2].error.code == "not-audio"


def test_wrong_arguments_are_usage_errors():
    for wrong in ({"workers": -1}, {"timeout_seconds": 0}, {"workers": 0, "timeout_seconds": 5}):
        with pytest.raises(UsageError):
            local.run(abs, [1], **wrong)


def worker_pid(_):
    return os.getpid()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize("how", ["used up", "closed", "dropped unstarted", "error in items"])
def test_no_process_is_left_behind(how):
    def children() -> set[int]:
        return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}

    before = children()
    items = iter([1, 2, 3]) if how != "error in items" else (1 // n for n in (1, 0))
    outcomes = local.run(worker_pid, items, workers=2)
    assert len(children() - before) == 1  # the nursery; workers are below it
    pids = []
    if how == "used up":
        pids = [outcome.value for outcome in outcomes]
    elif how == "closed":
        pids = [next(outcomes).value]
        outcomes.close()
    elif how == "error in items":
        with pytest.raises(ZeroDivisionError):
            list(outcomes)
    else:
        del outcomes
    assert children() == before
    assert not any(alive(pid) for pid in pids)


def test_two_runs_at_once_end_apart():
    first = local.run(abs, range(10), workers=1)
    second = local.run(abs, range(10), workers=1)
    assert next(first).value == 0
    first.close()  # must not wait for the second, whose processes hold copies of the first one's pipes
    assert [outcome.value for outcome in second] == list(range(10))


SCRIPT = """
    import os, sys, time
    from tonearm.engines import local

    def job(item):
        os.write(1, b"%d\\n" % os.getpid())  # one write: two workers share the pipe
        end = time.monotonic() + 30
        while time.monotonic() < end:
            pass

    if __name__ == "__main__":
        outcomes = local.run(job, range(4), workers=2)
        try:
            list(outcomes)
        except KeyboardInterrupt:
            sys.exit(130)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_busy_workers_end_with_the_parent_however_it_ends(tmp_path, how):
    script = tmp_path / "job.py"
    script.write_text(textwrap.dedent(SCRIPT))
    process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, start_new_session=True)
    try:
        pids = [int(process.stdout.readline()) for _ in range(2)]
        assert all(alive(pid) for pid in pids)
        if how == signal.SIGINT:
            os.killpg(process.pid, how)  # as the terminal does: everybody gets it
        else:
            process.send_signal(how)
        code = process.wait(5)
        assert code == (130 if how == signal.SIGINT else -how)
        assert eventually(lambda: not any(alive(pid) for pid in pids))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def blas_threads(_):
    from threadpoolctl import threadpool_info

    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


def test_workers_use_one_thread_for_products():
    pytest.importorskip("threadpoolctl")
    (outcome,) = local.run(blas_threads, [0], workers=1)
    assert outcome.value
    assert set(outcome.value) == {1}


def test_spawned_workers_do_the_same(monkeypatch):
    """The way of systems without a safe fork."""
    monkeypatch.setattr(local, "CAN_FORK", False)
    outcomes = local.run(abs, [-1, -2, -3], workers=1)
    assert isinstance(outcomes.gi_frame.f_locals["self"]._launcher, Spawner)
    assert [outcome.value for outcome in outcomes] == [1, 2, 3]
    outcomes = by_index(local.run(os._exit, [7, 8], workers=1))
    assert [o.error.code for o in outcomes.values()] == ["crashed", "crashed"]
    assert "exit code 7" in str(outcomes[0].error)


def test_overhead_per_item_is_well_under_a_millisecond():
    rounds = []
    for _ in range(3):
        start = time.process_time()
        count = sum(1 for _ in local.run(abs, range(2000), workers=1))
        rounds.append((time.process_time() - start) / count)
    assert min(rounds) < 0.5e-3


def test_errors_survive_the_way_between_processes():
    error = pickle.loads(pickle.dumps(local.BugError("item", "ValueError", "text", "trace")))
    assert (error.item, error.kind, error.detail, error.traceback_text) == ("item", "ValueError", "text", "trace")


def test_local_is_a_registered_engine():
    assert registry.get("local") is local.run
    assert local.default_workers() >= 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_no_more_workers_are_started_than_there_is_work_for():
    outcomes = local.run(worker_pid, range(3), workers=100_000)
    assert len({outcome.value for outcome in outcomes}) <= 3
