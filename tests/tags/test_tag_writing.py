"""Where writing goes wrong in the world: each trouble is one clear word, and nothing is lost."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import resource
import shutil
import stat
import time

import mutagen
import pytest
from tag_files import leftovers, predicted, sha

from tonearm import tags
from tonearm.tags import swap, writing
from tonearm.tags.journal import JournalError


def codes(report):
    return [item["code"] for item in report.skipped]


def planned(*paths, **settings):
    plan = tags.plan(predicted(*paths), **settings)
    assert plan.skipped == []
    return plan


def wrote(path):
    return tags.describe(path)["genres"] == ["Électronique", "Hip-Hop"]


# ---- what is kept


def test_mode_times_and_attributes(music):
    path = music("mp3")
    os.chmod(path, 0o640)
    os.utime(path, ns=(10**18, 10**18 + 7))
    with contextlib.suppress(OSError):
        os.setxattr(path, "user.mood", b"calm")
    attributes = os.listxattr(path)
    plan = planned(path)
    tags.apply(plan, keep_times=True)
    assert wrote(path)
    status = os.stat(path)
    assert stat.S_IMODE(status.st_mode) == 0o640
    assert status.st_mtime_ns == 10**18 + 7
    assert os.listxattr(path) == attributes
    tags.undo()
    assert os.stat(path).st_mtime_ns == 10**18 + 7


def test_times_tell_the_write_unless_they_are_to_be_kept(music):
    path = music("flac")
    os.utime(path, ns=(10**18, 10**18))
    tags.apply(planned(path))
    assert os.stat(path).st_mtime_ns > 10**18
    tags.undo()
    assert os.stat(path).st_mtime_ns == 10**18, "undone is as it was, its time too"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_is_kept(music):
    path = music("ogg")
    os.chown(path, 1234, 4321)
    tags.apply(planned(path))
    assert (os.stat(path).st_uid, os.stat(path).st_gid) == (1234, 4321)


def test_a_link_stays_a_link(tmp_path, music):
    path = music("mp3")
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "elsewhere" / "link.mp3"
    os.symlink("../song.mp3", link)
    first = sha(path)
    tags.apply(planned(link))
    assert os.readlink(link) == "../song.mp3"
    assert wrote(path)
    assert leftovers(tmp_path) == []
    tags.undo()
    assert os.readlink(link) == "../song.mp3"
    assert sha(path) == first


@pytest.mark.parametrize("kind", ["mp3", "flac", "m4a"])
def test_hard_links_stay_one_file(kind, tmp_path, music):
    path, other = music(kind), tmp_path / "other"
    os.link(path, other)
    first, inode = sha(path), os.stat(path).st_ino
    tags.apply(planned(path))
    assert wrote(path)
    assert os.stat(path).st_ino == os.stat(other).st_ino == inode
    assert sha(path) == sha(other) != first
    tags.undo()
    assert os.stat(path).st_ino == os.stat(other).st_ino == inode
    assert sha(other) == first
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    "name",
    [
        "new\nline.mp3",
        "bell\x07\x1b[31m.mp3",
        os.fsdecode(b"caf\xe9 \xff.mp3"),
        "Ünï–🎶 'quoted\".mp3",
        "[bold]markup.mp3",
        "-dash.mp3",
        "x" * 251 + ".mp3",
        " .mp3",
    ],
    ids=["newline", "control", "not-utf8", "emoji", "markup", "dash", "long", "blank"],
)
def test_names(name, tmp_path, music):
    path = music("mp3", name)
    first = sha(path)
    plan = planned(path)
    plan.save(tmp_path / "plan.json")
    report = tags.apply(tmp_path / "plan.json")
    assert (report.count, report.skipped) == (1, [])
    assert wrote(path)
    tags.undo()
    assert sha(path) == first


# ---- what is left alone


def test_a_file_that_changed_is_skipped_and_named(music):
    path, other, third = music("mp3", "a.mp3"), music("mp3", "b.mp3"), music("mp3", "c.mp3")
    plan = planned(path, other, third)
    file = mutagen.File(path)
    file.tags.getall("TIT2")[0].text = ["New"]
    file.save()
    os.utime(other)
    # Same size, same time, another tag: the digest tells.
    status = os.stat(third)
    with open(third, "r+b") as raw:
        data = raw.read()
        at = data.index("Tïtle".encode())
        raw.seek(at)
        raw.write(b"X")
    os.utime(third, ns=(status.st_atime_ns, status.st_mtime_ns))
    states = [sha(p) for p in (path, other, third)]
    report = tags.apply(plan)
    assert codes(report) == ["changed", "changed", "changed"]
    assert "plan" in report.skipped[0]["message"]
    assert [sha(p) for p in (path, other, third)] == states


def test_read_only_files_and_what_is_gone(tmp_path, music):
    paths = [music("mp3", f"{n}.mp3") for n in range(4)]
    plan = planned(*paths)
    os.chmod(paths[0], 0o444)
    os.unlink(paths[1])
    os.unlink(paths[2])
    os.mkdir(paths[2])
    first = sha(paths[0])
    report = tags.apply(plan)
    assert codes(report) == ["read-only", "missing", "not-a-file"]
    assert report.count == 1
    assert sha(paths[0]) == first
    assert leftovers(tmp_path) == []


def test_a_plan_is_held_against_the_world_without_writing(music):
    path, gone = music("mp3", "a.mp3"), music("mp3", "b.mp3")
    plan = planned(path, gone)
    os.unlink(gone)
    first = sha(path)
    report = tags.apply(plan, dry_run=True)
    assert (report.count, codes(report), len(report.details), report.journal) == (0, ["missing"], 1, None)
    assert sha(path) == first
    assert tags.history() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody for a while")
def test_a_folder_that_cannot_be_written_to(tmp_path_factory, music):
    folder = tmp_path_factory.mktemp("nobodys")
    song, own = folder / "song.mp3", folder / "own"
    shutil.copy(music("mp3"), song)
    os.chmod(song, 0o666)
    own.mkdir()
    os.chmod(own, 0o777)
    for parent in (folder, *folder.parents):
        if parent.name.startswith(("pytest-", "popen-", "nobodys")):  # popen-: one per process of pytest-xdist
            os.chmod(parent, 0o755)
    plan = planned(song)
    told, tell = os.pipe()
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            report = tags.apply(plan, journal_folder=own)
            os.write(tell, repr((report.count, codes(report))).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.set_blocking(told, False)
    assert os.read(told, 1000) == b"(0, ['read-only'])"
    assert sorted(os.listdir(folder)) == ["own", "song.mp3"]


@pytest.mark.parametrize("lock", [fcntl.flock, fcntl.lockf], ids=["flock", "lockf"])
def test_a_file_in_use(lock, music):
    path = music("mp3")
    plan, first = planned(path), sha(path)
    ready = os.pipe()
    child = os.fork()
    if not child:
        file = open(path, "r+b")  # noqa: SIM115
        lock(file.fileno(), fcntl.LOCK_EX)
        os.write(ready[1], b"x")
        time.sleep(60)
        os._exit(0)
    try:
        told = os.read(ready[0], 1)
        report = tags.apply(plan)
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert told == b"x"
    assert codes(report) == ["in-use"]
    assert sha(path) == first
    assert tags.apply(plan).count == 1


def test_two_applies_at_once(music):
    from tonearm.tags.journal import folder, lock

    path = music("mp3")
    plan = planned(path)
    with lock(folder()), pytest.raises(JournalError) as raised:
        tags.apply(plan)
    assert raised.value.code == "busy"
    assert tags.apply(plan).count == 1


# ---- disks


@contextlib.contextmanager
def small_files(size):
    """No file may grow beyond `size`: the system's own way to run out of room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("linked", [False, True], ids=["one-name", "hard-link"])
@pytest.mark.parametrize("kind", ["mp3", "wav", "m4a", "ogg"])
def test_a_full_disk(kind, linked, tmp_path, music):
    path = music(kind)
    if linked:
        os.link(path, tmp_path / "other")
    plan, first = planned(path), sha(path)
    with small_files(os.path.getsize(path) - 1000):
        report = tags.apply(plan)
    assert codes(report) == ["disk-full"]
    assert sha(path) == first
    assert leftovers(tmp_path) == []
    assert tags.apply(plan).count == 1, "with room the same plan works"


def test_a_disk_that_is_full_while_a_linked_file_is_written_in_place(tmp_path, music, monkeypatch):
    path = music("mp3")
    os.link(path, tmp_path / "other")
    plan, first = planned(path), sha(path)
    real, calls = swap._pour, []

    def full(pieces, file, start):
        calls.append(start)
        if len(calls) == 1:
            file.seek(start)
            file.write(next(iter(pieces))[:100])
            file.flush()
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(pieces, file, start)

    monkeypatch.setattr(swap, "_pour", full)
    report = tags.apply(plan)
    assert codes(report) == ["disk-full"]
    assert sha(path) == first
    assert leftovers(tmp_path) == []


def test_a_drive_that_vanishes_in_the_middle_of_a_write_in_place(tmp_path, music, monkeypatch):
    """Neither forward nor back: the whole new content waits beside the file, and the next run finishes it."""
    path = music("mp3")
    os.link(path, tmp_path / "other")
    plan, first = planned(path), sha(path)
    real = swap._pour

    def gone(pieces, file, start):
        file.seek(start)
        file.write(next(iter(pieces))[:100])
        file.flush()
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(swap, "_pour", gone)
    report = tags.apply(plan)
    assert codes(report) == ["torn"]
    assert sha(path) != first
    assert len(leftovers(tmp_path)) == 1
    monkeypatch.setattr(swap, "_pour", real)
    assert tags.undo().skipped == []
    assert sha(path) == first
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.EIO, "vanished"), (errno.ESTALE, "vanished"), (errno.EROFS, "read-only"), (errno.ENOSPC, "disk-full")],
)
def test_drives_that_fail(number, code, tmp_path, music, monkeypatch):
    paths = [music("mp3", f"{n}.mp3") for n in range(3)]
    plan, first = planned(*paths), [sha(path) for path in paths]
    real = os.replace

    def failing(source, target):
        if str(target) == paths[1]:
            raise OSError(number, os.strerror(number))
        return real(source, target)

    monkeypatch.setattr(os, "replace", failing)
    report = tags.apply(plan)
    assert (report.count, codes(report)) == (2, [code])
    assert sha(paths[1]) == first[1]
    assert leftovers(tmp_path) == []
    monkeypatch.undo()


def test_a_folder_that_vanishes(tmp_path, music):
    """The drive is not there at apply, is there again at undo."""
    drive = tmp_path / "drive"
    drive.mkdir()
    paths = [str(drive / f"{n}.mp3") for n in range(2)]
    for path in paths:
        shutil.move(music("mp3"), path)
    first = [sha(path) for path in paths]
    plan = planned(*paths)
    os.rename(drive, tmp_path / "away")
    assert codes(tags.apply(plan)) == ["missing", "missing"]
    os.rename(tmp_path / "away", drive)
    assert tags.apply(plan).count == 2
    os.rename(drive, tmp_path / "away")
    report = tags.undo()
    assert codes(report) == ["missing", "missing"]
    assert tags.history()[0]["state"] == "partly undone"
    os.rename(tmp_path / "away", drive)
    assert tags.undo().count == 2, "an undo that did not reach all files is taken up again"
    assert [sha(path) for path in paths] == first


def test_without_a_journal_nothing_is_touched(tmp_path, music, monkeypatch):
    paths = [music("mp3", f"{n}.mp3") for n in range(3)]
    plan, first = planned(*paths), [sha(path) for path in paths]
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError):
        tags.apply(plan, journal_folder=tmp_path / "file")
    real, count = os.fsync, []

    def full(descriptor):
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith(".journal"):
            count.append(1)
            if len(count) > 2:
                raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    report = tags.apply(plan, journal_folder=tmp_path / "journals")
    monkeypatch.undo()
    assert (report.count, codes(report)) == (1, ["journal", "journal"])
    assert [sha(path) for path in paths][1:] == first[1:]
    assert leftovers(tmp_path) == []
    tags.undo(journal_folder=tmp_path / "journals")
    assert [sha(path) for path in paths] == first


# ---- what was written wrongly is taken back


@pytest.mark.parametrize(("what", "word"), [("sound", "sound"), ("title", "other tags"), ("genre", "read back")])
def test_a_wrong_copy_is_thrown_away(what, word, tmp_path, music, monkeypatch):
    path = music("mp3")
    plan, first = planned(path), sha(path)
    real = writing._fill

    def wrong(file, temp, format, layout, genres):
        result = real(file, temp, format, layout, ["Other"] if what == "genre" else genres)
        with open(temp, "r+b") as copy:
            if what == "sound":
                copy.seek(-1, 2)
                copy.write(b"\x99")
            elif what == "title":
                at = copy.read().index("Tïtle".encode())
                copy.seek(at)
                copy.write(b"X")
        return result

    monkeypatch.setattr(writing, "_fill", wrong)
    report = tags.apply(plan)
    assert codes(report) == ["verify"]
    assert word in report.skipped[0]["message"]
    assert sha(path) == first
    assert leftovers(tmp_path) == []


def test_a_file_that_changes_while_it_is_copied(tmp_path, music, monkeypatch):
    path = music("mp3")
    plan = planned(path)
    real = writing._prove

    def slow(*arguments):
        real(*arguments)
        with open(path, "ab") as file:
            file.write(b"more")

    monkeypatch.setattr(writing, "_prove", slow)
    report = tags.apply(plan)
    assert codes(report) == ["changed"]
    with open(path, "rb") as file:
        assert file.read().endswith(b"more")
    assert leftovers(tmp_path) == []
    assert tags.undo().journal is None


def test_a_memory_of_one_file_does_not_grow_with_it(tmp_path, song):
    """A long WAV is copied in pieces."""
    import tracemalloc

    import numpy as np
    import soundfile

    path = str(tmp_path / "long.wav")
    soundfile.write(path, np.zeros(44100 * 300, dtype=np.float32), 44100)
    plan = planned(path)
    tracemalloc.start()
    tags.apply(plan)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert os.path.getsize(path) > 26e6
    assert peak < 8e6


# ---- undo


def test_where_another_program_changed_other_tags_only_the_genre_goes_back(music):
    for kind in ("mp3", "flac", "m4a"):
        path = music(kind)
        file = mutagen.File(path)
        file[{"mp3": "TCON", "flac": "genre", "m4a": "\xa9gen"}[kind]] = (
            mutagen.id3.TCON(encoding=3, text=["Old"]) if kind == "mp3" else ["Old"]
        )
        file.save()
        tags.apply(planned(path, policy="replace"))
        file = mutagen.File(path)
        if kind == "mp3":
            file.tags.getall("TIT2")[0].text = ["Later"]
        else:
            file[{"flac": "title", "m4a": "\xa9nam"}[kind]] = ["Later"]
        file.save()
        report = tags.undo()
        assert report.details == [{"path": path, "how": "genre"}]
        assert tags.describe(path)["genres"] == ["Old"]
        file = mutagen.File(path)
        assert "Later" in str(file[{"mp3": "TIT2", "flac": "title", "m4a": "\xa9nam"}[kind]])


def test_a_genre_that_was_changed_since_stays_unless_forced(music):
    path = music("flac")
    tags.apply(planned(path))
    file = mutagen.File(path)
    file["genre"] = ["Mine"]
    file.save()
    assert codes(tags.undo()) == ["changed"]
    assert tags.describe(path)["genres"] == ["Mine"]
    assert tags.undo(force=True).count == 1
    assert tags.describe(path)["genres"] == []


def test_undo_in_any_order(music):
    """The older of two applies cannot go back past the newer one; the newer can, and then the older."""
    path = music("mp3")
    first = sha(path)
    tags.apply(planned(path))
    tags.apply(tags.plan(predicted(path, genres=[("Jazz", 1)]), policy="replace"))
    second, one = (item["journal"] for item in tags.history())
    assert codes(tags.undo(one)) == ["changed"]
    assert tags.undo(second).count == 1
    assert tags.undo(one).count == 1
    assert sha(path) == first
    assert [item["state"] for item in tags.history()] == ["undone", "undone"]
    assert tags.undo().journal is None


def test_a_journal_that_is_damaged_or_unknown(tmp_path, music):
    from tonearm.errors import TonearmError

    path = music("mp3")
    report = tags.apply(planned(path))
    with pytest.raises(TonearmError, match="no journal"):
        tags.undo("20200101")
    (tmp_path / "song.journal").write_text('{"a": 1}\n')
    with pytest.raises(TonearmError, match="not a journal"):
        tags.undo(tmp_path / "song.journal")
    with open(report.journal, "rb") as file:
        lines = file.read().split(b"\n")
    lines[1] = b"oops"
    broken = report.journal.replace(".journal", "x.journal")
    with open(broken, "wb") as file:
        file.write(b"\n".join(lines))
    assert [item["state"] for item in tags.history()] == ["damaged", "applied"]
    assert tags.undo().count == 1, "a damaged journal does not stand in the way of the others"


def test_a_record_that_was_cut_off_is_not_read(music):
    path = music("mp3")
    first = sha(path)
    report = tags.apply(planned(path))
    with open(report.journal, "ab") as file:
        file.write(b'{"step":"ready","n":7,"pa')
    assert tags.undo().count == 1
    assert sha(path) == first
    assert tags.history()[0]["state"] == "undone"
