"""The library's file: kills, two scans at once, a full disk, files that are none, other versions, read-only places."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from library_helpers import held, remove

from tonearm import library
from tonearm.library import LibraryError, schema, store
from tonearm.library.claims import Claims


def in_a_child(work) -> int:
    """Run in a forked process: a fresh interpreter would spend the test's time on starting."""
    child = os.fork()
    if not child:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return child


def test_kills_lose_nothing(music, place, scan):
    """Twelve here; `benchmarks/kills.py scan` sends fifty to whole commands with their workers."""
    for number in range(8):
        (music / f"more{number}.wav").write_bytes((music / "song3.wav").read_bytes()[: -4 * number - 4])
    began = time.monotonic()
    assert os.waitstatus_to_exitcode(os.waitpid(in_a_child(lambda: scan(music)), 0)[1]) == 0
    whole = time.monotonic() - began
    complete = held(place)
    remove(place)
    moments, met, before = random.Random(5), 0, {}
    for _ in range(12):
        child = in_a_child(lambda: scan(music))
        time.sleep(moments.uniform(0, whole))
        os.kill(child, signal.SIGKILL)
        met += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        after = held(place)
        assert all(rows <= after[name] for name, rows in before.items()), "something is lost"
        before = after
        if after == complete:
            remove(place)
            before = {}
    assert met >= 3, "hardly any kill met the work: it tests nothing"
    scan(music)
    assert held(place) == complete


def test_two_scans_at_once_share_the_work(music, place, tmp_path, opened):
    for n in range(8):
        # The same sound would be known: each copy gets some bytes that count.
        data = (music / "song0.flac").read_bytes()
        (music / f"copy{n}.flac").write_bytes(data + bytes([n]))
    call = [sys.executable, "-m", "tonearm", "scan", str(music), "--library", str(place), "--no-predict", "--json"]
    call += ["--workers", "1"]
    import json

    both = [subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    reports = []
    for process in both:
        out, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
        reports.append(json.loads(out))
    assert sum(report["heard"] for report in reports) == 12, "each sound once, in one of the two"
    assert library.scan([music], library=place, model=None).unchanged == 12
    with opened() as mine:
        assert mine.read("SELECT count(*) FROM sketches") == [(12,)]
        assert mine.read("SELECT count(*) FROM files WHERE pending OR claim IS NOT NULL") == [(0,)]
        assert mine.read("SELECT count(*) FROM scans WHERE ended_at IS NULL") == [(0,)]


def test_what_a_dead_scan_had_claimed_is_given_back(music, place, scan, opened):
    child = os.fork()
    if not child:
        with library.open(place, create=True) as mine:
            claims = Claims(mine)
            with mine.write() as connection:
                connection.execute("INSERT INTO files (path, added_at, claim) VALUES ('/gone', 1, ?)", (claims.id,))
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    with opened() as mine:
        claims = Claims(mine)
        assert claims.others() == []
        assert mine.read("SELECT claim FROM files") == [(None,)]
        claims.end("{}")
    assert scan(music).heard == 4


def test_a_living_scan_keeps_its_claims(music, place, scan, opened):
    scan(music)
    shutil.copy(music / "song0.flac", music / "new.flac")
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        with library.open(place) as mine:
            claims = Claims(mine)
            with mine.write() as connection:
                path = store.raw(music / "new.flac")
                sql = "INSERT INTO files (path, added_at, claim) VALUES (CAST(? AS TEXT), 1, ?)"
                connection.execute(sql, (path, claims.id))
            os.write(ready[1], b".")
            os.read(go[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    report = scan(music)
    assert (report.busy, report.known) == (1, 0)
    os.write(go[1], b".")
    os.waitpid(child, 0)
    assert scan(music).known == 1


def test_a_full_disk_stops_the_scan_and_loses_nothing(music, place, scan, opened, monkeypatch):
    scan(music / "song0.flac")
    connect = store._connect

    def full(*arguments):
        connection = connect(*arguments)
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {max(pages, 1)}")
        return connection

    for n in range(200):
        (music / f"{'long name ' * 20}{n}.mp3").write_bytes(b"x")
    with monkeypatch.context() as patched:
        patched.setattr(store, "_connect", full)
        with pytest.raises(LibraryError) as caught:
            scan(music)
    assert caught.value.code == "disk-full"
    with opened() as mine:
        assert mine.read("PRAGMA integrity_check") == [("ok",)]
        assert len(list(mine.files("is:error not is:error"))) == 0
        assert len([row for row in mine.files() if row["seconds"]]) == 1
    report = scan(music)
    assert (report.found, report.new, report.changed) == (204, 203, 0)
    assert report.heard == 3


def test_what_is_no_library_is_refused_and_left_as_it_is(tmp_path, music):
    text = tmp_path / "text.sqlite"
    text.write_text("not a database at all, " * 100)
    another = tmp_path / "another.sqlite"
    connection = sqlite3.connect(another)
    connection.execute("CREATE TABLE theirs (a)")
    connection.commit()
    connection.close()
    for path in (text, another):
        before = path.read_bytes()
        for work in (
            lambda path=path: library.open(path),
            lambda path=path: library.scan([music], library=path, model=None),
        ):
            with pytest.raises(LibraryError) as caught:
                work()
            assert caught.value.code == "not-a-library"
        assert path.read_bytes() == before
    empty = tmp_path / "empty.sqlite"
    empty.touch()
    with pytest.raises(LibraryError, match="empty"):
        library.open(empty)
    assert empty.stat().st_size == 0
    with pytest.raises(LibraryError, match="folder"):
        library.open(tmp_path)
    with pytest.raises(LibraryError) as caught:
        library.open(tmp_path / "none.sqlite")
    assert caught.value.code == "no-library"
    assert not (tmp_path / "none.sqlite").exists()


def test_a_damaged_library_is_told(filled):
    data = bytearray(filled.read_bytes())
    data[100:4000] = bytes(3900)
    filled.write_bytes(data)
    with pytest.raises(LibraryError) as caught, library.open(filled) as mine:
        list(mine.files())
    assert caught.value.code in ("damaged", "not-a-library")


def test_a_library_of_a_newer_version_is_refused(filled):
    connection = sqlite3.connect(filled)
    connection.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
    connection.close()
    before = filled.read_bytes()
    with pytest.raises(LibraryError) as caught:
        library.open(filled)
    assert caught.value.code == "newer"
    assert filled.read_bytes() == before


def test_migrations_are_done_once_all_or_none(filled, monkeypatch):
    more = (*schema.MIGRATIONS, "ALTER TABLE files ADD COLUMN mood TEXT;\nCREATE TABLE moods (name TEXT)")
    with monkeypatch.context() as patched:
        patched.setattr(schema, "MIGRATIONS", (*more, "CREATE TABLE half (a);\nCREATE TABLE moods (name TEXT)"))
        with pytest.raises(sqlite3.OperationalError):
            library.open(filled)
    with library.open(filled) as mine:
        assert schema.version_of(mine.connection) == 1, "a step that fails leaves everything as it was"
        tables = {name for (name,) in mine.read("SELECT name FROM sqlite_master")}
    assert not tables & {"half", "moods"}
    monkeypatch.setattr(schema, "MIGRATIONS", more)
    for _ in range(2):
        with library.open(filled) as mine:
            assert schema.version_of(mine.connection) == 2
            assert mine.read("SELECT count(mood) FROM files") == [(0,)]
            assert len(list(mine.files())) > 1000, "nothing is lost"


def test_the_first_version_is_what_it_was():
    """Released versions are never edited: who has such a library would be left behind."""
    import hashlib

    assert hashlib.sha256(schema.MIGRATIONS[0].encode()).hexdigest()[:16] == FIRST_VERSION


FIRST_VERSION = "f60913cfd2b04b2e"


@pytest.mark.parametrize("log", [False, True])
def test_a_library_that_cannot_be_written_is_read(log, filled, monkeypatch, music):
    real = os.access
    monkeypatch.setattr(store.os, "access", lambda path, mode: mode != os.W_OK and real(path, mode))
    writer = None
    if log:
        # Somebody else is at it: what is newest lies in the log.
        writer = sqlite3.connect(filled, isolation_level=None)
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("UPDATE files SET year = 1066 WHERE id = 2")
    before = filled.read_bytes()
    with library.open(filled) as mine:
        assert len(list(mine.files())) > 1000
        assert len(list(mine.files("year:1066"))) == log
        assert library.stats(mine)["files"] > 1000
        with pytest.raises(LibraryError) as caught, mine.write():
            pass
        assert caught.value.code == "read-only"
    for work in (lambda: library.open(filled, write=True), lambda: library.scan([music], library=filled, model=None)):
        with pytest.raises(LibraryError) as caught:
            work()
        assert caught.value.code == "read-only"
    assert filled.read_bytes() == before
    if writer:
        writer.close()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("mode", [0o444, 0o000])
def test_a_library_of_somebody_else(mode, filled):
    with tempfile.TemporaryDirectory() as name:
        path = Path(shutil.copy(filled, name))
        os.chmod(name, 0o755)
        os.chmod(path, mode)
        child = os.fork()
        if not child:
            code = 1
            try:
                os.setuid(65534)
                with library.open(path) as mine:
                    code = 0 if len(list(mine.files("is:disagree"))) > 10 and not mine.writable else 2
            except LibraryError as error:
                code = 3 if error.code == "unreadable" else 4
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == (0 if mode else 3)


def test_readers_do_not_wait_for_a_writer(filled):
    with library.open(filled) as writer, library.open(filled) as reader, writer.write() as connection:
        connection.execute("UPDATE files SET title = 'x'")
        began = time.monotonic()
        assert len(list(reader.files("title:x"))) == 0
        assert time.monotonic() - began < 10


def test_where_the_library_is(tmp_path, monkeypatch):
    assert store.where().name == "library.sqlite"
    assert str(store.where()).startswith(os.environ["TONEARM_DATA"])
    monkeypatch.setenv("TONEARM_LIBRARY", str(tmp_path / "mine.sqlite"))
    assert store.where() == tmp_path / "mine.sqlite"
    assert store.where(tmp_path / "other.sqlite") == tmp_path / "other.sqlite"
    assert store.where("~/x.sqlite") == Path.home() / "x.sqlite"
