"""Fetching from a server that cuts, changes, refuses and lies; unpacking what strangers packed."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
import tarfile
import time
import zipfile

import pytest
from archive_server import CONTENT

from tonearm.datasets import Archive, _archives, _fetch
from tonearm.datasets._extract import extract
from tonearm.datasets._fetch import FetchError, fetch


def archive(server, **changes):
    sums = {"sha1": hashlib.sha1(server.content).hexdigest(), "bytes": len(server.content)}
    return Archive(**{"name": "set", "url": server.url, "what": "a test", "folder": "set", **sums, **changes})


def get(server, folder, **options):
    return fetch(archive(server, **options.pop("changes", {})), folder, wait_seconds=0.001, **options)


def test_a_file_is_fetched_and_only_once(server, tmp_path):
    told = []
    path = get(server, tmp_path / "new" / "folder", progress=lambda done, total: told.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert sorted(os.listdir(path.parent)) == ["set.zip"]
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert told == sorted(told)
    get(server, path.parent)
    assert len(server.asked) == 1


def test_cut_connections_are_taken_up_where_they_broke(server, tmp_path):
    server.cuts = [300_000, 5, 0, 200_000]
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert [ask["Range"] for ask in server.asked] == [
        None, "bytes=300000-", "bytes=300005-", "bytes=300005-", "bytes=500005-",
    ]  # fmt: skip
    assert {ask["If-Range"] for ask in server.asked[1:]} == {'"one"'}


def test_an_interrupted_fetch_is_gone_on_with(server, tmp_path):
    class Stop(BaseException):
        pass

    def stop(done, total):
        raise Stop

    with pytest.raises(Stop):
        get(server, tmp_path, progress=stop)
    had = (tmp_path / "set.zip.part").stat().st_size
    assert had
    assert not (tmp_path / "set.zip").exists()
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.asked[-1]["Range"] == f"bytes={had}-"


def test_a_server_that_always_cuts_is_given_up_and_the_part_is_kept(server, tmp_path):
    server.cuts = [1000] + [0] * 50
    with pytest.raises(FetchError) as caught:
        get(server, tmp_path, attempts=3)
    assert caught.value.code == "network"
    assert "cut after 1000 B" in caught.value.message
    assert (tmp_path / "set.zip.part").stat().st_size == 1000
    server.cuts = []
    assert get(server, tmp_path).read_bytes() == CONTENT


def test_without_ranges_it_begins_again(server, tmp_path):
    server.ranges, server.cuts = False, [400_000]
    assert get(server, tmp_path).read_bytes() == CONTENT


def test_without_a_version_parts_are_never_joined(server, tmp_path):
    server.etag, server.cuts = "", [400_000]
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert [ask["Range"] for ask in server.asked] == [None, None]


@pytest.mark.parametrize("ignores_condition", [False, True])
def test_a_file_that_changed_meanwhile_comes_whole(server, tmp_path, ignores_condition):
    server.cuts = [300_000] + [0] * 9
    with pytest.raises(FetchError):
        get(server, tmp_path, attempts=2)
    server.cuts, server.etag, server.ignores_condition = [], '"two"', ignores_condition
    server.content = CONTENT[::-1] + b"longer"
    assert get(server, tmp_path).read_bytes() == server.content


def test_a_part_that_is_whole_already_is_taken(server, tmp_path, monkeypatch):
    monkeypatch.setattr(_fetch.os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        get(server, tmp_path)
    monkeypatch.undo()
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.asked[-1]["Range"] == f"bytes={len(CONTENT)}-"
    assert len(server.asked) == 2


def test_a_wrong_checksum_leaves_nothing(server, tmp_path):
    with pytest.raises(FetchError) as caught:
        get(server, tmp_path, changes={"sha1": "0" * 40})
    assert caught.value.code == "checksum"
    assert os.listdir(tmp_path) == []
    assert get(server, tmp_path, changes={"sha256": hashlib.sha256(CONTENT).hexdigest()}).exists()


def test_a_file_that_is_there_but_wrong_is_fetched_again(server, tmp_path):
    (tmp_path / "set.zip").write_bytes(b"an error page")
    assert get(server, tmp_path).read_bytes() == CONTENT


def test_a_busy_server_is_asked_again_and_a_refusing_one_is_not(server, tmp_path):
    server.statuses = [503, 500, 429]
    assert get(server, tmp_path).read_bytes() == CONTENT
    for status, code in ((404, "not-found"), (410, "not-found"), (403, "refused")):
        server.statuses, before = [status], len(server.asked)
        with pytest.raises(FetchError) as caught:
            get(server, tmp_path / str(status))
        assert (caught.value.code, len(server.asked) - before) == (code, 1)
    server.statuses = [503] * 9
    with pytest.raises(FetchError, match="the server answers 503"):
        get(server, tmp_path / "busy", attempts=3)


def test_a_silent_server_is_given_up(server, tmp_path):
    server.cuts, server.wait_seconds = [1000, 0, 0, 0], 1.0
    start = time.monotonic()
    with pytest.raises(FetchError, match=r"timed out.*goes on from 1000 B"):
        get(server, tmp_path, timeout_seconds=0.2, attempts=2)
    assert time.monotonic() - start < 4


def test_nobody_there_and_no_such_host(tmp_path):
    for url in ("http://127.0.0.1:9/set.zip", "http://no-such-host.invalid/set.zip"):
        nowhere = Archive("set", url, 10, "", "set")
        with pytest.raises(FetchError) as caught:
            fetch(nowhere, tmp_path, attempts=2, wait_seconds=0.001)
        assert caught.value.code == "network"


def test_a_server_that_tells_no_length(server, tmp_path):
    server.lengths = False
    assert get(server, tmp_path).read_bytes() == CONTENT


def test_a_full_disk_is_seen_before_and_during(server, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(_fetch.shutil, "disk_usage", lambda _: usage._replace(free=_fetch.SPARE_BYTES + 1000))
    with pytest.raises(FetchError, match="are needed") as caught:
        get(server, tmp_path)
    assert caught.value.code == "disk-full"
    monkeypatch.undo()

    real = open

    class Full(io.FileIO):
        def write(self, data):
            if self.tell() + len(data) > 500_000:
                super().write(data[: 500_000 - self.tell()])
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    def full(file, mode="r", *rest, **options):
        return (
            Full(file, mode.replace("b", ""))
            if "part" in str(file) and "b" in mode
            else real(file, mode, *rest, **options)
        )

    monkeypatch.setattr(_fetch, "open", full, raising=False)
    with pytest.raises(FetchError, match="no space is left") as caught:
        get(server, tmp_path)
    assert caught.value.code == "disk-full"
    monkeypatch.undo()
    had = (tmp_path / "set.zip.part").stat().st_size
    assert 0 < had <= 500_000
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.asked[-1]["Range"] == f"bytes={had}-"


def test_a_folder_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FetchError) as caught:
        get(server, tmp_path / "file" / "below")
    assert caught.value.code == "unwritable"


def packed(kind, files):
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_BZIP2) as made:
            for name, data in files.items():
                made.writestr(name, data)
    else:
        with tarfile.open(fileobj=buffer, mode="w:gz") as made:
            for name, data in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                made.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


FILES = {"set/a.txt": b"a" * 5000, "set/deep/b.txt": b"b", "set/empty": b""}


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_unpacking_and_going_on(tmp_path, kind):
    (tmp_path / "x").write_bytes(packed(kind, FILES))
    told = []
    extract(tmp_path / "x", tmp_path / "out", progress=lambda *state: told.append(state))
    found = {str(p.relative_to(tmp_path / "out")): p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert found == FILES
    assert told[-1] == (5001, 5001)
    (tmp_path / "out" / "set" / "a.txt").write_bytes(b"half")
    before = (tmp_path / "out" / "set" / "deep" / "b.txt").stat().st_mtime_ns
    extract(tmp_path / "x", tmp_path / "out")
    assert (tmp_path / "out" / "set" / "a.txt").read_bytes() == FILES["set/a.txt"]
    assert (tmp_path / "out" / "set" / "deep" / "b.txt").stat().st_mtime_ns == before


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("name", ["../evil", "/evil", "set/../../evil", "..\\evil", "C:\\evil"])
def test_names_that_lead_out_refuse_the_archive(tmp_path, kind, name):
    (tmp_path / "x").write_bytes(packed(kind, {"set/good": b"1", name: b"2"}))
    with pytest.raises(FetchError, match="leads out"):
        extract(tmp_path / "x", tmp_path / "deep" / "out")
    assert not (tmp_path / "deep").exists()
    assert not (tmp_path / "evil").exists()


def test_links_are_neither_made_nor_followed(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as made:
        link = tarfile.TarInfo("set/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        made.addfile(link)
        made.addfile(tarfile.TarInfo("set/link/passwd"))
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as made:
        info = zipfile.ZipInfo("set/link")
        info.external_attr = 0o120777 << 16
        made.writestr(info, "/etc")
    for name in ("x.tar", "x.zip"):
        extract(tmp_path / name, tmp_path / name[2:])
        assert not (tmp_path / name[2:] / "set" / "link").is_symlink()
    (tmp_path / "out" / "set").mkdir(parents=True)
    (tmp_path / "out" / "set" / "deep").symlink_to(tmp_path)
    (tmp_path / "y").write_bytes(packed("zip", FILES))
    with pytest.raises(FetchError, match="leads out"):
        extract(tmp_path / "y", tmp_path / "out")


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_damaged_archives_are_named(tmp_path, kind):
    whole = packed(kind, {f"set/{i}": os.urandom(3000) for i in range(20)})
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    for name, data in {"flipped": bytes(flipped), "cut": whole[: len(whole) // 2], "text": b"<html>not found"}.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(FetchError) as caught:
            extract(tmp_path / name, tmp_path / "out")
        assert caught.value.code == "archive"
    assert not list((tmp_path / "out").rglob("*.part"))


def test_from_the_address_to_the_folder(server, tmp_path):
    server.content = packed("zip", FILES)
    made = _archives.obtain(archive(server), tmp_path)
    assert made == tmp_path / "set"
    assert sorted(os.listdir(tmp_path)) == ["set"], "the archive is gone, the lock and the note, too"
    assert (made / "a.txt").read_bytes() == FILES["set/a.txt"]
    _archives.obtain(archive(server), tmp_path)
    assert len(server.asked) == 1
    shutil.rmtree(made)
    _archives.obtain(archive(server), tmp_path, keep=True)
    assert (tmp_path / "set.zip").exists()


def test_two_at_once_do_not_mix(server, tmp_path):
    from tonearm.packs._lock import locked

    with locked(tmp_path), pytest.raises(FetchError, match="another process is fetching here"):
        _archives.obtain(archive(server), tmp_path)
