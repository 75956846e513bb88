"""kill -9 at any moment of apply and undo: no file is damaged, and undo restores the first state."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time

import pytest
from tag_files import leftovers, predicted, sha

from tonearm import tags

KINDS = ["mp3", "flac", "ogg", "opus", "wav", "aiff"]


@pytest.fixture
def collection(tmp_path, music):
    """Eight files of all kinds; every fourth has a second name. Returns paths and a plan."""
    folder = tmp_path / "music"
    folder.mkdir()
    (tmp_path / "links").mkdir()
    paths = []
    for n in range(8):
        kind = KINDS[n % len(KINDS)]
        path = str(folder / f"{n}.{kind}")
        os.rename(music(kind), path)
        if n % 4 == 0:
            os.link(path, tmp_path / "links" / f"{n}.{kind}")
        paths.append(path)
    return paths, tags.plan(predicted(*paths))


def in_a_child(work) -> int:
    """Run in a forked process (a fresh interpreter would spend the test's time on starting)."""
    child = os.fork()
    if not child:
        code = 1
        with contextlib.suppress(BaseException):
            work()
            code = 0
        os._exit(code)
    return child


def killed_after(work, seconds: float) -> bool:
    """True where the kill met it at work."""
    child = in_a_child(work)
    time.sleep(seconds)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def duration(work) -> float:
    start = time.perf_counter()
    _, status = os.waitpid(in_a_child(work), 0)
    assert status == 0
    return time.perf_counter() - start


@pytest.mark.slow
def test_killed_at_fifty_moments(collection, tmp_path):
    paths, plan = collection
    first = [sha(path) for path in paths]
    whole = duration(lambda: tags.apply(plan))
    second = [sha(path) for path in paths]
    assert all(a != b for a, b in zip(first, second, strict=True))
    window = [whole, duration(tags.undo)]
    assert [sha(path) for path in paths] == first
    links = [n for n in range(len(paths)) if n % 4 == 0]
    moments, met = random.Random(9), 0
    for turn in range(50):
        undoing = turn % 2
        # Undo gives the times back, so the plan of the first state holds in every turn.
        if undoing:
            assert tags.apply(plan).count == len(paths)
        wait = moments.uniform(0, window[undoing])
        if killed_after(tags.undo if undoing else lambda: tags.apply(plan), wait):
            met += 1
        else:
            # The machine was busy when the work was timed: it takes less than this.
            window[undoing] = wait
        for n, path in enumerate(paths):
            # A write in place may be half done; every other file is old or new.
            assert sha(path) in (first[n], second[n]) or n in links
        while (report := tags.undo()).journal is not None:
            assert report.skipped == []
        assert [sha(path) for path in paths] == first, f"turn {turn}"
        assert leftovers(tmp_path) == []
        for n in links:
            assert os.stat(paths[n]).st_nlink == 2
    assert met > 25, "hardly any kill met the work: it tests nothing"


def test_an_apply_after_a_kill_clears_up_and_goes_on(collection, tmp_path):
    """Whoever does not undo but applies a new plan gets there as well."""
    paths, plan = collection
    first = [sha(path) for path in paths]
    whole = duration(lambda: tags.apply(plan))
    tags.undo()
    moments = random.Random(4)
    for _ in range(6):
        killed_after(lambda: tags.apply(plan), moments.uniform(0, whole))
        rest = tags.plan(predicted(*paths))
        tags.apply(rest)  # may skip a file that was half written when the plan was made, and finishes it first
        final = tags.plan(predicted(*paths))
        assert tags.apply(final).skipped == []
        assert all(tags.describe(path)["genres"] == ["Électronique", "Hip-Hop"] for path in paths)
        assert leftovers(tmp_path) == []
        while tags.undo().journal is not None:
            pass
        assert [sha(path) for path in paths] == first


STEPS = ["swap.os.open", "swap._dress", "swap.os.replace", "swap.sync_folder", "swap._overwrite", "swap.remove"]


@pytest.mark.parametrize("undo", [False, True], ids=["apply", "undo"])
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_each_step(step, undo, collection, tmp_path, monkeypatch):
    """Not by chance: dead right before each step of the first file that has it, and right in the middle of writing."""
    from tonearm.tags import swap

    paths, plan = collection
    first = [sha(path) for path in paths]
    if undo:
        tags.apply(plan)

    def work():
        owner, name = (os, step.rsplit(".", 1)[1]) if ".os." in step else (swap, step.rsplit(".", 1)[1])
        real = getattr(owner, name)

        def dying(*arguments, **keywords):
            mine = any(".tonearm-" in str(a) for a in arguments) or name == "sync_folder"
            if name == "_overwrite":
                with open(arguments[1], "r+b") as file, open(arguments[2], "rb") as new:
                    file.write(new.read()[: os.path.getsize(arguments[2]) // 2])
            if mine:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **keywords)

        setattr(owner, name, dying)
        tags.undo() if undo else tags.apply(plan)

    _, status = os.waitpid(in_a_child(work), 0)
    assert os.WIFSIGNALED(status)
    while (report := tags.undo()).journal is not None:
        assert report.skipped == []
    assert [sha(path) for path in paths] == first
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("undo", [False, True], ids=["apply", "undo"])
def test_killed_between_the_last_byte_and_the_time(undo, tmp_path, music):
    """A file with several names gets its time after its content: the next run has to make up for it."""
    path = music("mp3")
    os.link(path, tmp_path / "other")
    first, mtime, plan = sha(path), os.stat(path).st_mtime_ns, tags.plan(predicted(path))
    if undo:
        tags.apply(plan)

    def work():
        os.utime = lambda name, **times: None if ".tonearm-" in str(name) else os.kill(os.getpid(), signal.SIGKILL)
        tags.undo() if undo else tags.apply(plan, keep_times=True)

    _, status = os.waitpid(in_a_child(work), 0)
    assert os.WIFSIGNALED(status)
    assert (sha(path) == first, os.stat(path).st_mtime_ns == mtime) == (undo, False)
    if not undo:
        tags.apply(tags.plan([]))
        clear = tags.apply(tags.plan(predicted(path, genres=[("Jazz", 1)]), policy="add"), keep_times=True)
        assert clear.count == 1
        assert os.stat(path).st_mtime_ns == mtime
    while tags.undo().journal is not None:
        pass
    assert (sha(path), os.stat(path).st_mtime_ns) == (first, mtime)


def test_killed_between_the_time_and_the_first_byte(tmp_path, music):
    """Linux gives a file its new time when room is made for a write, and may then be stopped before any byte is in."""
    from tonearm.tags import swap

    path = music("wav")
    os.link(path, tmp_path / "other")
    first, mtime, plan = sha(path), os.stat(path).st_mtime_ns, tags.plan(predicted(path))

    def work():
        def timed(name, target, *_):
            os.utime(target)
            os.kill(os.getpid(), signal.SIGKILL)

        swap._overwrite = timed
        tags.apply(plan)

    _, status = os.waitpid(in_a_child(work), 0)
    assert os.WIFSIGNALED(status)
    assert (sha(path) == first, os.stat(path).st_mtime_ns == mtime) == (True, False)
    while tags.undo().journal is not None:
        pass
    assert (sha(path), os.stat(path).st_mtime_ns, leftovers(tmp_path)) == (first, mtime, [])


def test_a_linked_file_that_another_program_rewrote_after_the_kill_is_not_overwritten(tmp_path, music, monkeypatch):
    """Half old and half new is ours to finish; anything else is somebody's work."""
    from tonearm.tags import swap

    path = music("mp3")
    os.link(path, tmp_path / "other")
    plan = tags.plan(predicted(path))

    def work():
        swap._overwrite = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
        tags.apply(plan)

    os.waitpid(in_a_child(work), 0)
    with open(path, "r+b") as file:
        file.seek(5000)
        file.write(b"somebody else's work")
    state = sha(path)
    report = tags.undo()
    assert "torn" in [item["code"] for item in report.skipped]
    assert sha(path) == state
    assert len(leftovers(tmp_path)) == 1, "the new content is kept, and its name told"


INTERRUPTED = ["os.replace", "swap.sync_folder", "swap._overwrite", "swap._dress", "swap.remove"]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", INTERRUPTED)
def test_interrupted_by_ctrl_c(step, after, collection, tmp_path, monkeypatch):
    """Ctrl-C before and right after each step: nothing lies about, and what was written can be taken back."""
    from tonearm.tags import swap

    paths, plan = collection
    first = [sha(path) for path in paths]
    owner, name = (os if step.startswith("os") else swap), step.rsplit(".", 1)[1]
    real = getattr(owner, name)

    def interrupted(*arguments):
        if after:
            real(*arguments)
        monkeypatch.setattr(owner, name, real)
        raise KeyboardInterrupt

    monkeypatch.setattr(owner, name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        tags.apply(plan)
    if name != "remove" or after:
        assert leftovers(tmp_path) == []
    while (report := tags.undo()).journal is not None:
        assert report.skipped == []
    assert [sha(path) for path in paths] == first
    assert leftovers(tmp_path) == []


def test_interrupted_in_the_middle_of_a_write_in_place(tmp_path, music, monkeypatch):
    """Ctrl-C once takes the write back; twice leaves it to the next run, and is still Ctrl-C."""
    from tonearm.tags import swap

    path = music("mp3")
    os.link(path, tmp_path / "other")
    plan, first = tags.plan(predicted(path)), sha(path)
    real = swap._pour
    for times in (1, 2):
        calls = []

        def half(pieces, file, start, calls=calls, times=times):
            calls.append(start)
            if len(calls) <= times:
                file.seek(start)
                file.write(next(iter(pieces))[:3000])
                raise KeyboardInterrupt
            return real(pieces, file, start)

        with monkeypatch.context() as patched:
            patched.setattr(swap, "_pour", half)
            with pytest.raises(KeyboardInterrupt):
                tags.apply(plan)
        assert (sha(path) == first) == (times == 1)
        assert len(leftovers(tmp_path)) == times - 1
        tags.undo()
        assert sha(path) == first
        assert leftovers(tmp_path) == []
