"""Scans: what is new is heard, what is known is not, what moved is followed, what is away is not lost."""

from __future__ import annotations

import os
import shutil
import sqlite3

import numpy as np
import pytest
import soundfile
from mutagen.flac import FLAC
from mutagen.mp3 import MP3

from tonearm import library, runtime
from tonearm.errors import UsageError
from tonearm.library import counts, folders, listing, look, scanning
from tonearm.runtime import statistics


def rows(opened, query="", **keywords):
    with opened() as mine:
        return {os.path.basename(row["path"]): row for row in mine.files(query, **keywords)}


def sounds(opened):
    """What a library says of each sound: the same in two libraries if the same was heard."""
    with opened() as mine:
        return set(
            mine.read("SELECT c.hash, c.seconds, s.sketch FROM contents c JOIN sketches s ON s.content_id = c.id")
        )


@pytest.fixture
def deaf(monkeypatch):
    """Call it, and from there on nothing can be decoded."""

    def refuse(*arguments, **keywords):
        raise AssertionError("it was heard again")

    def begin():
        monkeypatch.setattr(look, "_predict", refuse)
        monkeypatch.setattr("tonearm.audio.load", refuse)

    return begin


def test_a_scan_keeps_what_the_model_says_and_what_the_tags_say(music, scan, opened, tiny):
    song = FLAC(music / "song0.flac")
    song.update(
        {"title": "Été", "artist": ["One", "Two"], "album": "A", "date": "1998-05-01", "genre": ["Rock/Pop", "Jazz"]}
    )
    song.save()
    report = scan(music, model=tiny)
    assert (report.found, report.new, report.heard, report.known, report.failed) == (4, 4, 4, 0, [])
    found = rows(opened)
    model = runtime.load(tiny)
    for name, row in found.items():
        said = model.predict(music / name).to_json()
        assert [row[key] for key in ("model", "version", "sure", "genres")] == [
            said[key] for key in ("model", "version", "sure", "genres")
        ]
        assert row["seconds"] == pytest.approx(5.0, abs=0.06)
        assert row["error"] is None
    row = found["song0.flac"]
    assert (row["title"], row["artist"], row["album"], row["year"]) == ("Été", "One; Two", "A", 1998)
    assert row["tagged"] == ["Rock/Pop", "Jazz"]
    with opened() as mine:
        ids, vectors = mine.embeddings()
        same, numbers = mine.embeddings(kind=statistics.VERSION)
        paths = dict(mine.read("SELECT id, path FROM files"))
    assert ids.tolist() == same.tolist() == sorted(paths)
    for id_, vector, number in zip(ids.tolist(), vectors, numbers, strict=True):
        said = model.predict(paths[id_])
        np.testing.assert_array_equal(vector, said.embedding.astype(np.float16))
        expected = statistics.statistics(model.features(paths[id_]))
        np.testing.assert_array_equal(number, expected.astype(np.float16))


def test_what_has_not_changed_is_neither_opened_nor_written(music, scan, opened, place, monkeypatch):
    scan(music)
    with opened() as mine:
        before = mine.read("SELECT * FROM files ORDER BY id")
    monkeypatch.setattr(scanning.local, "run", None)  # there is nothing to do for workers
    report = scan(music)
    assert (report.unchanged, report.new, report.changed, report.heard) == (4, 0, 0, 0)
    with opened() as mine:
        assert mine.read("SELECT * FROM files ORDER BY id") == before
    assert scan().unchanged == 4, "without folders those of before"


def test_a_tag_is_read_and_the_sound_is_known(music, scan, opened, tiny, deaf):
    scan(music, model=tiny)
    deaf()
    before = rows(opened)
    song = MP3(music / "song1.mp3")
    song.add_tags()
    song.save()
    flac = FLAC(music / "song0.flac")
    flac["genre"] = "Blues"
    flac.save()
    for name in ("song2.ogg", "song3.wav"):
        import mutagen

        tagged = mutagen.File(music / name)
        if tagged.tags is None:
            tagged.add_tags()
        if name.endswith("ogg"):
            tagged["comment"] = "x" * 100_000  # over many pages: the numbers of all pages behind are others
        tagged.save()
    report = scan(music, model=tiny)
    assert report.failed == []
    assert (report.changed, report.heard) == (report.known, 0)
    assert report.changed >= 3
    after = rows(opened)
    assert after["song0.flac"]["tagged"] == ["Blues"]
    assert {name: row["genres"] for name, row in after.items()} == {name: row["genres"] for name, row in before.items()}


def test_another_sound_under_the_same_name_is_heard(music, scan, opened):
    scan(music)
    before = sounds(opened)
    shutil.copy(music / "song3.wav", music / "new.wav")
    samples, rate = soundfile.read(music / "song3.wav")
    soundfile.write(music / "song3.wav", samples[::-1], rate)
    report = scan(music)
    assert (report.new, report.changed, report.heard, report.known) == (1, 1, 1, 1)
    assert before < sounds(opened)


@pytest.mark.parametrize("how", ["rename", "copy and delete", "in two scans"])
def test_what_moves_is_followed_without_hearing_it(how, music, scan, opened, tiny, deaf):
    scan(music, model=tiny)
    deaf()
    before = rows(opened)
    (music / "below").mkdir()
    if how == "rename":
        os.rename(music / "song1.mp3", music / "below" / "other name.mp3")
    else:
        data = (music / "song1.mp3").read_bytes()
        (music / "song1.mp3").unlink()
        if how == "in two scans":
            report = scan(music, model=tiny)
            assert (report.missing, report.moved) == (1, 0)
        (music / "below" / "other name.mp3").write_bytes(data)
    report = scan(music, model=tiny)
    assert (report.moved, report.heard, report.failed) == (1, 0, [])
    assert (report.new, report.missing) == (0, 0), "what moved is neither new nor missing"
    after = rows(opened)
    assert sorted(after) == ["other name.mp3", "song0.flac", "song2.ogg", "song3.wav"]
    assert after["other name.mp3"] | {"path": ""} == before["song1.mp3"] | {"path": ""}, "its number and all it says"
    assert list(rows(opened, "name.mp3")) == ["other name.mp3"]
    assert rows(opened, "is:missing") == {}


def test_a_copy_is_no_move(music, scan, opened):
    scan(music)
    shutil.copy2(music / "song0.flac", music / "copy.flac")
    report = scan(music)
    assert (report.new, report.moved, report.known) == (1, 0, 1)
    assert len(rows(opened)) == 5


def test_what_is_deleted_is_missing_and_comes_back(music, scan, opened, tmp_path):
    scan(music, tmp_path / "music")
    os.rename(music / "song2.ogg", tmp_path / "elsewhere.ogg")
    assert scan(music).missing == 1
    assert list(rows(opened, "is:missing")) == ["song2.ogg"]
    assert "song2.ogg" not in rows(opened)
    assert scan(music).missing == 0, "told once"
    os.rename(tmp_path / "elsewhere.ogg", music / "song2.ogg")
    report = scan(music)
    assert (report.returned, report.heard, report.known) == (1, 0, 0)
    assert len(rows(opened)) == 4


def test_only_scanned_folders_are_judged(music, scan, opened, tmp_path):
    second = shutil.copytree(music, tmp_path / "second")
    scan(music, second)
    shutil.rmtree(second)
    assert scan(music).missing == 0
    assert len(rows(opened, f"path:{second}")) == 4


@pytest.mark.parametrize("how", ["gone", "empty"])
def test_a_folder_that_is_away_has_lost_nothing(how, music, scan, opened):
    scan(music)
    if how == "gone":
        os.rename(music, music.with_name("unplugged"))
    else:
        for path in list(music.iterdir()):
            path.unlink()
    report = scan(music)
    assert [item["files"] for item in report.away] == [4]
    assert report.missing == 0
    assert len(rows(opened)) == 4


def known(path, device, inode=1, size=5):
    return {path: listing.Known(1, folders.Status(size, 7, device, inode), 0, None)}


def test_a_drive_that_is_not_mounted_in_a_folder_has_lost_nothing():
    rows = known("/music/usb/a.mp3", device=9) | known("/music/b.mp3", device=1)
    here = folders.Listing(files={"/music/b.mp3": folders.Status(5, 7, 1, 1)}, folders={"/music": 1, "/music/usb": 1})
    found = listing.compare(rows, here, ["/music"])
    assert found.missing == []
    assert found.away == [{"path": "/music/usb", "files": 1, "reason": "the drive that was there is not mounted"}]
    # Of the same drive something else is there: then the file is missing, and only it.
    rows |= known("/music/usb/c.mp3", device=9)
    here.files["/music/usb/c.mp3"] = folders.Status(5, 7, 12, 1)
    here.folders["/music/usb"] = 12
    found = listing.compare(rows, here, ["/music"])
    assert [path for path, _ in found.missing] == ["/music/usb/a.mp3"]
    assert found.away == []


def test_other_numbers_of_files_mean_change_unless_all_have_changed():
    paths = [f"/music/{n}.mp3" for n in range(10)]
    rows = {path: listing.Known(n, folders.Status(5, 7, 1, n), 0, None) for n, path in enumerate(paths)}
    here = folders.Listing(files={path: folders.Status(5, 7, 1, n) for n, path in enumerate(paths)})
    here.files[paths[3]] = folders.Status(5, 7, 1, 33)
    assert [path for path, _ in listing.compare(rows, here, ["/music"]).changed] == [paths[3]]
    here.files = {path: folders.Status(5, 7, 2, n + 100) for n, path in enumerate(paths)}
    found = listing.compare(rows, here, ["/music"])
    assert (found.changed, found.unchanged, len(found.renumbered)) == ([], 10, 10)


ODD = [b"new\nline.flac", "emoji 🎸.flac".encode(), b"latin \xe9.flac", b" blank .flac", b"quo\"te'.flac", b"#tag.flac"]


def test_names_of_any_kind_are_kept_as_they_are(music, scan, opened, place):
    for name in ODD:
        shutil.copy(music / "song0.flac", os.fsencode(music) + b"/" + name)
    report = scan(music)
    assert (report.found, report.failed) == (10, [])
    with opened() as mine:
        paths = {os.fsencode(row["path"]) for row in mine.files()}
    assert {os.path.basename(path) for path in paths} >= set(ODD)
    assert all(os.path.exists(path) for path in paths)
    assert scan(music).unchanged == 10
    raw = sqlite3.connect(place)
    raw.text_factory = bytes
    assert {path for (path,) in raw.execute("SELECT path FROM files")} == paths, "any program sees the names themselves"
    raw.close()


def test_links_pipes_and_circles(music, scan, opened, tmp_path):
    os.symlink(music, music / "round")
    os.symlink("circle.mp3", music / "circle.mp3")
    os.symlink(music / "nowhere.flac", music / "broken.flac")
    os.mkfifo(music / "pipe.mp3")
    (music / "folder.mp3").mkdir()
    (music / ".hidden.mp3").write_bytes(b"x")
    (music / ".trash").mkdir()
    shutil.copy(music / "song0.flac", music / ".trash")
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.copy(music / "song0.flac", outside / "linked.flac")
    os.symlink(outside, music / "0 link")
    os.symlink(music / "song1.mp3", music / "name.mp3")
    os.link(music / "song2.ogg", music / "hard.ogg")
    report = scan(music)
    assert [(os.path.basename(item["path"]), item["code"]) for item in report.failed] == [("circle.mp3", "loop")]
    found = rows(opened)
    assert sorted(found) == ["hard.ogg", "linked.flac", "name.mp3", *(f"song{n}.{s}" for n, s in
                             enumerate(("flac", "mp3", "ogg", "wav")))]  # fmt: skip
    assert found["song0.flac"]["path"] == str(music / "song0.flac"), "by its own name, not by a way round"
    with opened() as mine:
        groups = library.duplicates(mine)
    assert [sorted(os.path.basename(file["path"]) for file in group["files"]) for group in groups] == [
        ["linked.flac", "song0.flac"]
    ], "links to one file are no duplicates of it"
    report = scan(music / "pipe.mp3")
    assert report.failed[0]["code"] == "not-a-file"


def test_a_folder_that_cannot_be_listed_is_told_and_its_files_stay(music, scan, opened, monkeypatch):
    (music / "locked").mkdir()
    shutil.copy(music / "song0.flac", music / "locked")
    scan(music)
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    report = scan(music)
    assert [(item["path"], item["code"]) for item in report.failed] == [(str(music / "locked"), "unreadable")]
    assert report.missing == 0
    assert len(rows(opened, f"path:{music}/locked")) == 1


def test_another_model_is_asked_and_both_answers_stay(music, scan, opened, tiny, other):
    shutil.copy(music / "song0.flac", music / "twice.flac")
    assert scan(music).heard + scan(music).heard >= 4
    assert scan(music, model=tiny).heard == 4, "a sound that is there twice is heard once"
    assert scan(music, model=tiny).heard == 0
    assert scan(music, model=other).heard == 4
    assert {row["model"] for row in rows(opened).values()} == {"other"}, "the last one, unless asked otherwise"
    by_tiny = rows(opened, model="tiny")
    assert {row["model"] for row in by_tiny.values()} == {"tiny"}
    assert all(row["genres"] for row in by_tiny.values())
    assert scan(music, model=tiny).heard == 0
    assert {row["model"] for row in rows(opened).values()} == {"tiny"}
    with opened() as mine, pytest.raises(UsageError, match="nobody"):
        list(mine.files(model="nobody"))


def test_bad_files_are_told_once_and_tried_again_when_asked(music, scan, opened, tiny):
    (music / "empty.mp3").write_bytes(b"")
    (music / "text.flac").write_bytes(b"this is no music at all, " * 100)
    (music / "cut.wav").write_bytes((music / "song3.wav").read_bytes()[:60])
    report = scan(music, model=tiny)
    codes = {os.path.basename(item["path"]): item["code"] for item in report.failed}
    assert codes["empty.mp3"] == "empty"
    assert codes["text.flac"] == "not-audio"
    assert set(codes) >= {"empty.mp3", "text.flac"}
    assert {name: row["error"]["code"] for name, row in rows(opened, "is:error").items()} == codes
    again = scan(music, model=tiny)
    assert (again.failed, again.failed_before, again.heard) == ([], len(codes), 0)
    retried = scan(music, model=tiny, retry=True)
    assert {os.path.basename(item["path"]) for item in retried.failed} == set(codes)
    shutil.copy(music / "song0.flac", music / "text.flac")
    assert scan(music, model=tiny).known == 1
    assert "text.flac" not in rows(opened, "is:error")


def test_what_may_have_been_a_mishap_is_tried_again(music, scan, opened, monkeypatch):
    real = look._examine

    def refuse(found):
        if found.job.path.endswith("mp3"):
            from tonearm.tags.errors import TagError

            raise TagError(found.job.path, "vanished")
        real(found)

    with monkeypatch.context() as patched:
        patched.setattr(look, "_examine", refuse)
        assert [item["code"] for item in scan(music).failed] == ["vanished"]
        assert [item["code"] for item in scan(music).failed] == ["vanished"]
    assert scan(music).failed == []
    assert rows(opened, "is:error") == {}


def test_a_file_on_which_a_worker_dies_costs_itself(music, scan, opened, monkeypatch):
    real = scanning.look

    def deadly(wanted, job):
        if job.path.endswith("song2.ogg"):
            os._exit(9)
        return real(wanted, job)

    monkeypatch.setattr(scanning, "look", deadly)
    report = scan(music, workers=1)
    assert [(os.path.basename(item["path"]), item["code"]) for item in report.failed] == [("song2.ogg", "crashed")]
    assert report.heard == 3
    assert scan(music, workers=1).failed_before == 1, "it does not die on it again"


def test_what_is_asked_for_has_to_be_there(scan, tmp_path, music):
    with pytest.raises(UsageError, match="no such folder"):
        scan(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="which folder"):
        scan()
    with pytest.raises(UsageError):
        scan(music, model="no such model")
    assert scan(music / "song0.flac", music).found == 4, "a file within a folder is listed once"


def test_labels_keep_copies_and_artists_together(music, scan, opened):
    for name in ("song0.flac",):
        song = FLAC(music / name)
        song.update({"artist": "A", "genre": ["Jazz", "Bebop"]})
        song.save()
    samples, rate = soundfile.read(music / "song0.flac")
    soundfile.write(music / "again.flac", samples * 0.5, rate)
    song = FLAC(music / "again.flac")
    song["genre"] = "Jazz"
    song.save()
    scan(music)
    with opened() as mine:
        tracks = {os.path.basename(track.path): track for track in mine.labels()}
    assert sorted(tracks) == ["again.flac", "song0.flac"], "only what the tags name"
    first, again = tracks["song0.flac"], tracks["again.flac"]
    assert (first.genre, first.artist, first.extra["genres"]) == ("Jazz", "A", "Jazz\nBebop")
    assert first.recording == again.recording != ""


def test_a_long_sound_is_known_by_samples_of_it(tmp_path, monkeypatch):
    from tonearm.library import sound

    path = tmp_path / "long.wav"
    samples = np.random.default_rng(0).integers(-9999, 9999, 400_000, dtype=np.int16)
    soundfile.write(path, samples, RATE := 8000)
    monkeypatch.setattr(sound, "WHOLE_BYTES", 1000)
    monkeypatch.setattr(sound, "SAMPLES", 5)
    monkeypatch.setattr(sound, "SAMPLE_BYTES", 100)
    hashes = []
    for change in (None, 0, 2, -1):
        changed = samples.copy()
        if change is not None:
            changed[change] += 1
        soundfile.write(path, changed, RATE)
        with open(path, "rb") as file:
            hashes.append(sound.examine(file, str(path))[0])
    assert len(set(hashes)) == 4
    soundfile.write(path, samples[:-1], RATE)
    with open(path, "rb") as file:
        assert sound.examine(file, str(path))[0] not in hashes, "its length counts"


def test_what_is_no_sound_is_no_copy_and_what_failed_is_not_counted_twice(music, scan, opened):
    for name in ("a.mp3", "b.mp3"):
        (music / name).write_text("no sound")
    scan(music)
    with opened() as mine:
        mine.connection.execute("UPDATE files SET pending = 1 WHERE path LIKE '%a.mp3'")  # as what may be read later
        assert library.duplicates(mine, listen=False) == []
        told = counts.stats(mine)
    assert (told["failed"], told["pending"]) == (2, 0)
