"""A build that is killed, at any moment, goes on and ends with the same bytes; two builds at once do not mix."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from pack_helpers import command, hashes, listing, small_plan, tone, tracks_of

from tonearm import packs
from tonearm.packs import PackError, _finish, _journal, build, open_pack, verify

posix = pytest.mark.skipif(os.name == "nt", reason="needs signals and fork")
FINISHED = ["build.json", "features.npy", "pack.json", "tracks.csv"]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory) -> Path:
    """Music with broken files in between, so that finishing has gaps to close."""
    root = tmp_path_factory.mktemp("mixed")
    for number in range(60):
        folder = root / ("blues", "rock", "jazz")[number % 3]
        folder.mkdir(exist_ok=True)
        path = folder / f"song{number:02}.wav"
        if number % 11 == 5:
            path.write_bytes(b"no music")
        else:
            soundfile.write(path, tone(1.5, seed=number), 22050)
    return root


OPTIONS = ("--clip-seconds", 1, "--set", "n_mels=64", "--set", "hop_length=32", "--workers", 2, "--quiet")


def start(root: Path, out: Path, *more) -> subprocess.Popen:
    return subprocess.Popen(
        command("pack", "build", f"folder:{root}", "-o", out, *OPTIONS, *more), stderr=subprocess.PIPE, text=True
    )


def children_of(pid: int) -> set[int]:
    """All descendants of a process, from Linux's /proc."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    found = {child for child, parent in parents.items() if parent == pid}
    return found.union(*(children_of(child) for child in found)) if found else found


@posix
@pytest.mark.slow
def test_kill_9_at_ten_random_moments_and_the_pack_is_the_same(mixed, tmp_path):
    began = time.monotonic()
    assert start(mixed, tmp_path / "whole").wait(60) == 0
    seconds = time.monotonic() - began
    whole = hashes(tmp_path / "whole")
    assert len(open_pack(tmp_path / "whole")) == 55

    rng = random.Random(9)
    kills = attempts = 0
    while kills < 10:
        out = tmp_path / f"killed{attempts}"
        attempts += 1
        assert attempts < 12, "the builds end before they can be killed"
        while kills < 10:
            process = start(mixed, out)
            deadline = time.monotonic() + 30
            while not (out / ".lock").exists() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.001)
            time.sleep(rng.uniform(0, seconds * 0.5))
            process.kill()
            if process.wait() != -signal.SIGKILL:
                break  # It was done before: on with a new one.
            kills += 1
        # The first that comes after the kill goes on at once, though the killed one's workers may still be ending.
        resumed = start(mixed, out)
        _, errors = resumed.communicate(timeout=60)
        assert resumed.returncode == 0, errors
        assert hashes(out) == whole
        assert listing(out) == FINISHED
        assert verify(out) == []


KILL_AT = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"}


def build_and_die(action, step: int) -> bool:
    """Run a build in a fork that dies just before the `step`-th change of the disk; True where it came so far."""
    pid = os.fork()
    if pid == 0:
        count = 0

        def hook(event: str, arguments: tuple) -> None:
            nonlocal count
            if event in KILL_AT and (event != "open" or (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR)):
                count += 1
                if count == step:
                    os._exit(9)

        try:
            # What was written just before lies in the file as half of it: a kill tears writes, too.
            write = os.write
            os.write = lambda handle, data: torn_write(write, handle, data, lambda: count + 1 == step)
            put = _journal.RowsFile.write
            _journal.RowsFile.write = lambda rows, slot, data: torn_row(
                put, rows, slot, data, lambda: count + 1 == step
            )
            sys.addaudithook(hook)
            action()
            os._exit(0)
        except BaseException:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, 9)
    return code == 9


def torn_write(write, handle: int, data, due) -> int:
    if due():
        write(handle, bytes(data)[: len(data) // 2])
        os._exit(9)
    return write(handle, data)


def torn_row(put, rows, slot: int, data, due) -> None:
    if due():
        put(rows, slot, memoryview(data)[: len(data) // 2])
        os._exit(9)
    put(rows, slot, data)


@posix
@pytest.mark.parametrize("what", ["new", "more files", "segments", "relabelled"])
def test_killed_before_each_change_of_the_disk(tmp_path, what):
    """Not random moments but all of them: one kill before every file that is opened, renamed, cut or removed."""
    root = tmp_path / "music"
    (root / "rock").mkdir(parents=True)
    for number in range(5):
        soundfile.write(root / "rock" / f"s{number}.wav", tone(0.7 + 0.2 * number, seed=number), 8000)
    (root / "rock" / "s1.wav").write_bytes(b"no music")
    plan = small_plan(sample_rate=8000, **({"clip_seconds": 0.5, "per_track": 0} if what == "segments" else {}))
    tracks = tracks_of(root)
    before = None
    if what in ("more files", "relabelled"):
        first = [t for t in tracks if t.id != "s2"] if what == "more files" else tracks
        build(first, tmp_path / "before", plan, root=root, workers=0)
        before = tmp_path / "before"
        if what == "relabelled":
            tracks = [packs.Track(id=t.id, genre="jazz", path=t.path) for t in tracks]
    build(tracks, tmp_path / "whole", plan, root=root, workers=0)
    whole = hashes(tmp_path / "whole")

    step, died = 0, True
    while died:
        step += 1
        out = tmp_path / "out"
        if before:
            shutil.copytree(before, out)
        died = build_and_die(lambda out=out: build(tracks, out, plan, root=root, workers=0), step)
        # A second kill at another place, then on to the end.
        if died:
            build_and_die(lambda out=out: build(tracks, out, plan, root=root, workers=0), 1 + step % 7)
        build(tracks, out, plan, root=root, workers=0)
        assert hashes(out) == whole, f"killed before step {step}"
        assert listing(out) == FINISHED
        shutil.rmtree(out)
    assert step > 10


def unfinished(tracks, out: Path, plan, root: Path, n: int) -> None:
    """Leave a build with some tracks done, as a kill would."""
    rows = _journal.Journal.add
    count = 0

    def add(self, done):
        nonlocal count
        rows(self, done)
        count += 1
        if count == n:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_journal.Journal, "add", add)
        with pytest.raises(KeyboardInterrupt):
            build(tracks, out, plan, root=root, workers=0)


def test_what_was_done_is_not_done_again(music, tmp_path):
    unfinished(tracks_of(music), tmp_path / "p", small_plan(), music, 15)
    report = build(tracks_of(music), tmp_path / "p", small_plan(), root=music, workers=0)
    assert (report.built, report.reused) == (9, 15)


def test_rows_and_journal_that_a_power_cut_tore_are_computed_again(music, tmp_path):
    tracks, plan = tracks_of(music), small_plan()
    build(tracks, tmp_path / "whole", plan, root=music, workers=0)
    unfinished(tracks, tmp_path / "p", plan, music, 15)
    with open(tmp_path / "p" / ".build" / "rows.npy", "r+b") as file:
        file.seek(400)
        file.write(b"\0" * 40)
    journal = tmp_path / "p" / ".build" / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[7] = lines[7][:10] + b"\0\xff" + lines[7][12:]
    journal.write_bytes(b"".join(lines)[:-20])
    report = build(tracks, tmp_path / "p", plan, root=music, workers=0)
    assert 9 < report.built <= 13
    assert hashes(tmp_path / "p") == hashes(tmp_path / "whole")


def test_files_that_changed_meanwhile_are_computed_again(music, tmp_path):
    root = tmp_path / "music"
    shutil.copytree(music, root)
    plan = small_plan()
    unfinished(tracks_of(root), tmp_path / "p", plan, root, 15)
    done_already = tracks_of(root)[0].path
    soundfile.write(done_already, tone(1.0, seed=99), 22050)
    report = build(tracks_of(root), tmp_path / "p", plan, root=root, workers=0)
    assert (report.built, report.reused) == (10, 14)
    build(tracks_of(root), tmp_path / "whole", plan, root=root, workers=0)
    assert hashes(tmp_path / "p") == hashes(tmp_path / "whole")


def test_a_finished_pack_takes_in_what_is_new_and_drops_what_is_gone(music, tmp_path):
    root = tmp_path / "music"
    shutil.copytree(music, root)
    plan, out = small_plan(), tmp_path / "p"
    build(tracks_of(root), out, plan, root=root, workers=0)
    same = build(tracks_of(root), out, plan, root=root, workers=0)
    assert (same.built, same.reused, same.unchanged) == (0, 24, True)

    soundfile.write(root / "rock" / "aaa.wav", tone(1.2, seed=50), 22050)
    (root / "blues" / "song03.wav").unlink()
    report = build(tracks_of(root), out, plan, root=root, workers=0)
    assert (report.built, report.reused, report.dropped, report.unchanged) == (1, 23, 1, False)
    build(tracks_of(root), tmp_path / "whole", plan, root=root, workers=0)
    assert hashes(out) == hashes(tmp_path / "whole")
    assert (out / "build.json").read_bytes() == (tmp_path / "whole" / "build.json").read_bytes()


def test_what_was_arranged_for_other_tracks_does_not_come_along(music, tmp_path, monkeypatch):
    """Killed just before the step into place, then the new file is gone again and the labels are others."""
    tracks, plan, out = tracks_of(music), small_plan(), tmp_path / "p"
    build(tracks[1:], out, plan, root=music, workers=0)
    with monkeypatch.context() as patch:
        patch.setattr(_finish, "write_json", lambda *_: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            build(tracks, out, plan, root=music, workers=0)
    assert (out / ".build" / "features.npy").exists()
    relabelled = [packs.Track(id=track.id, genre="jazz", path=track.path) for track in tracks[1:]]
    report = build(relabelled, out, plan, root=music, workers=0)
    assert (report.built, report.reused, report.unchanged) == (0, 23, False)
    build(relabelled, tmp_path / "whole", plan, root=music, workers=0)
    assert hashes(out) == hashes(tmp_path / "whole")
    assert verify(out) == []


def test_damage_in_the_old_pack_is_not_carried_into_the_new_one(music, tmp_path):
    tracks, plan, out = tracks_of(music), small_plan(), tmp_path / "p"
    build(tracks[1:], out, plan, root=music, workers=0)
    with open(out / "features.npy", "r+b") as file:
        file.seek(500)
        file.write(b"\1\2\3")
    with pytest.raises(PackError, match="is damaged") as caught:
        build(tracks, out, plan, root=music, workers=0)
    assert "--restart" in caught.value.hint
    assert build(tracks, out, plan, root=music, workers=0, restart=True).built == 24
    assert verify(out) == []


@pytest.mark.parametrize("finished", [True, False])
def test_other_settings_in_the_same_folder_are_refused(music, tmp_path, finished):
    out = tmp_path / "p"
    if finished:
        build(tracks_of(music), out, small_plan(), root=music, workers=0)
    else:
        unfinished(tracks_of(music), out, small_plan(), music, 5)
    with pytest.raises(PackError, match=r"feature\.n_fft is 2048 and 1024") as caught:
        build(tracks_of(music), out, small_plan(n_fft=1024), root=music, workers=0)
    assert caught.value.code == "different"
    with pytest.raises(PackError, match="dtype is 'float32' and 'float16'"):
        build(tracks_of(music), out, small_plan(dtype="float16"), root=music, workers=0)
    assert build(tracks_of(music), out, small_plan(n_fft=1024), root=music, workers=0, restart=True).built == 24


def test_a_pack_of_other_tracks_is_not_overwritten(music, tmp_path):
    out = tmp_path / "p"
    build(tracks_of(music)[:5], out, small_plan(), root=music, workers=0)
    with pytest.raises(PackError, match="other tracks"):
        build(tracks_of(music)[5:], out, small_plan(), root=music, workers=0)
    packs.write_pack(tmp_path / "q", np.ones((1, 2), np.float32), {"id": ["a"]}, feature={"kind": "x"})
    with pytest.raises(PackError, match="no build made"):
        build(tracks_of(music), tmp_path / "q", small_plan(), root=music, workers=0)


@posix
def test_two_builds_at_once(mixed, tmp_path):
    out = tmp_path / "p"
    first = start(mixed, out, "--set", "n_fft=16384")
    try:
        while not (out / ".build" / "journal.jsonl").exists():
            assert first.poll() is None
            time.sleep(0.002)
        os.kill(first.pid, signal.SIGSTOP)
        second = start(mixed, out, "--set", "n_fft=16384")
        _, errors = second.communicate(timeout=60)
        assert second.returncode == 1
        assert f"process {first.pid} is building here" in errors
        os.kill(first.pid, signal.SIGCONT)
        assert first.wait(60) == 0
    finally:
        first.kill()
        first.communicate()
    assert listing(out) == FINISHED
    assert verify(out) == []


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_after_ctrl_c_it_says_how_to_go_on_and_no_worker_is_left(mixed, tmp_path):
    out = tmp_path / "p"
    process = start(mixed, out, "--set", "n_fft=16384")
    while not (out / ".build" / "journal.jsonl").exists():
        assert process.poll() is None
        time.sleep(0.002)
    time.sleep(0.05)
    workers = children_of(process.pid)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "the same command goes on" in errors
    assert "Traceback" not in errors
    assert workers
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
    assert listing(out) == [".build"]
    resumed = start(mixed, out, "--set", "n_fft=16384")
    assert resumed.wait(60) == 0
    resumed.communicate()


@posix
def test_a_full_disk_is_one_error_and_it_goes_on_later(music, tmp_path):
    """A limit on the size of files stands for the disk: the row that does not fit is refused in the same way."""
    out = tmp_path / "p"
    limited = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (%d, %d)); from tonearm.cli import main; main(sys.argv[1:])"
    )
    arguments = ("pack", "build", f"folder:{music}", "-o", out, "--feature", "rms", "--clip-seconds", 1, "--quiet")
    for limit in (500, 2000, 5000):
        done = subprocess.run(
            [sys.executable, "-c", limited % (limit, limit), *map(str, arguments)], capture_output=True, text=True
        )
        assert done.returncode == 1
        assert done.stderr.count("\n") == 2, done.stderr
        assert "make room" in done.stderr
        assert not (out / "pack.json").exists()
    assert subprocess.run(command(*arguments), capture_output=True).returncode == 0
    assert verify(out) == []


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root may mount a small disk")
def test_a_really_full_disk(mixed, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        full = start(mixed, disk / "p")
        _, errors = full.communicate(timeout=60)
        assert full.returncode == 1
        assert "no space left on device" in errors
        done = len(_journal.read_journal(disk / "p" / ".build")[0])
        assert done > 5
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        on = subprocess.run(
            command("pack", "build", f"folder:{mixed}", "-o", disk / "p", *OPTIONS, "--json"), capture_output=True
        )
        assert on.returncode == 0
        assert verify(disk / "p") == []
        report = json.loads(on.stdout)
        assert report["reused"] >= done - 5  # of those that the journal names, five in sixty are broken files
        assert report["built"] + report["reused"] == 55
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_lock_file_that_nobody_holds_is_no_lock(music, tmp_path):
    out = tmp_path / "p"
    out.mkdir()
    for left in ("", "999999999\n", "not a number"):
        (out / ".lock").write_text(left)
        build(tracks_of(music)[:2], out, small_plan(), root=music, workers=0)
        assert listing(out) == FINISHED


def test_segments_lie_in_order_however_many_workers_there_are(mixed, tmp_path):
    """With `all` clips nobody knows beforehand where a row will lie, so workers append as they come."""
    plan = small_plan(clip_seconds=0.25, per_track=0)
    tracks = [track for track in tracks_of(mixed) if not track.id.endswith("5")]
    for workers in (0, 2, 3):
        build(tracks, tmp_path / f"p{workers}", plan, root=mixed, workers=workers)
    assert hashes(tmp_path / "p0") == hashes(tmp_path / "p2") == hashes(tmp_path / "p3")
    pack = open_pack(tmp_path / "p0")
    assert len(pack) == 6 * (len(tracks) - len(pack.meta["failed"]))
    assert pack.ids[:3].tolist() == ["song01#0", "song01#1", "song01#2"] or pack.tracks[0] == tracks[0].id
