"""Verifying a copy: every fault is found and named, a sound copy has none."""

from __future__ import annotations

import csv
import json
import os
import shutil

import numpy as np
import pytest
import soundfile

from tonearm import datasets
from tonearm.cli import main

synth, folder, gtzan, fma = (datasets.get(name) for name in ("synth", "folder", "gtzan", "fma"))


def codes(report):
    found = {}
    for finding in report.findings:
        found.setdefault(finding.code, set()).add(finding.id)
    return found


def tone(path, seconds=2.0, rate=22050, hertz=440.0, format=None, subtype=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    soundfile.write(path, sound, rate, format=format, subtype=subtype)
    return path


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main(["data", *map(str, arguments)])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return stop.value.code, out, err


def test_every_planted_fault_is_found_and_a_clean_rendering_has_none(tmp_path):
    small = {"tracks_per_genre": 8, "artists_per_genre": 4, "seconds": 3.0}
    clean = synth.render(tmp_path / "clean", duplicates=0, **small)
    report = synth.verify(clean)
    assert report.findings == []
    assert (report.tracks, report.seconds) == (64, 192.0)

    faults = ("silent", "truncated", "short", "rate", "duplicates")
    root = synth.render(tmp_path / "faulty", faults=faults, **small)
    with open(root / "truth.csv", newline="") as file:
        truth = {row["id"]: row for row in csv.DictReader(file)}
    planted = {fault: {name for name, row in truth.items() if row["faults"] == fault} for fault in faults}
    exact = {frozenset((name, row["copy_of"])) for name, row in truth.items() if row["copy"] == "exact"}
    found = codes(synth.verify(root))
    assert found["silent"] == planted["silent"]
    assert found["truncated"] == planted["truncated"]
    assert found["too-short"] == planted["short"]
    assert found["rate"] == planted["rate"]
    assert len(found["duplicate"]) == len(exact)
    assert all(any(name in pair for pair in exact) for name in found["duplicate"])
    assert found.keys() == {"silent", "truncated", "too-short", "rate", "duplicate"}


@pytest.mark.parametrize("name", ["folder", "table"])
def test_a_copy_with_nothing_in_it_is_not_sound(name, tmp_path, capsys):
    empty = tmp_path / "rock"
    empty.mkdir()
    if name == "table":
        empty = tmp_path / "empty.csv"
        empty.write_text("path,genre\n")
    code, out, _ = run(capsys, "verify", f"folder:{empty}", "--json")
    assert code == 1
    assert [(f["code"], f["path"]) for f in json.loads(out)["findings"]] == [("no-audio", str(empty))]


def test_a_folder_with_everything_wrong_in_it(tmp_path):
    good = tone(tmp_path / "rock" / "good.wav", seconds=3.0)
    for i in range(15):
        tone(tmp_path / "jazz" / f"{i:02d}.wav", hertz=100.0 + i)
    shutil.copy(good, tmp_path / "jazz" / "copy.wav")
    soundfile.write(tmp_path / "rock" / "same.flac", soundfile.read(good, dtype="int16")[0], 22050)
    tone(tmp_path / "rock" / "slow.wav", rate=8000)
    tone(tmp_path / "rock" / "brief.wav", seconds=0.3)
    soundfile.write(tmp_path / "rock" / "quiet.wav", np.zeros(44100), 22050)
    (tmp_path / "rock" / "text.mp3").write_text("no music at all\n" * 99)
    (tmp_path / "rock" / "nothing.ogg").touch()
    (tmp_path / "rock" / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    (tmp_path / "rock" / "folder.wav").mkdir()
    whole = good.read_bytes()
    (tmp_path / "rock" / "half.wav").write_bytes(whole[: len(whole) // 2])
    report = folder.verify(tmp_path)
    found = codes(report)
    assert found == {
        "duplicate": {"rock/good", "rock/same"},
        "empty": {"rock/nothing"},
        "missing": {"rock/gone"},
        "not-audio": {"rock/folder", "rock/text"},
        "rate": {"rock/slow"},
        "silent": {"rock/quiet"},
        "too-short": {"rock/brief"},
        "truncated": {"rock/half"},
    }
    (same,) = [f for f in report.findings if f.id == "rock/good"]
    assert same.message == "the same sound as jazz/copy, labelled jazz"


def test_a_table_with_files_that_are_not_there(tmp_path):
    tone(tmp_path / "a.wav")
    (tmp_path / "list.csv").write_text("path,genre,split\na.wav,rock,train\ngone.wav,rock,later\n,rock,\n")
    assert codes(folder.verify(tmp_path / "list.csv")).keys() == {"missing", "unknown-split", "no-path"}


def test_gtzan_says_what_is_missing_short_and_known_to_be_bad(gtzan_copy):
    root = gtzan_copy(ids=["blues.00000", "blues.00001", "jazz.00054"])
    (root / "genres" / "jazz" / "jazz.00054.wav").write_bytes(b"\0" * 5000)
    found = codes(gtzan.verify(root))
    assert found["too-short"] == {"blues.00000", "blues.00001"}
    assert found["known-bad"] == found["not-audio"] == {"jazz.00054"}
    assert len(found["missing"]) == 997


def test_fma_says_what_is_missing_and_known_to_be_bad(fma_copy):
    found = codes(fma.verify(fma_copy))
    assert found == {"missing": {"000005"}, "known-bad": {"098565"}, "too-short": {"000002", "098565"}}
    shutil.rmtree(fma_copy / "fma_small")
    assert codes(fma.verify(fma_copy)) == {"no-audio": {""}, "known-bad": {"098565"}}


def test_one_worker_and_none_find_the_same(tmp_path):
    tone(tmp_path / "rock" / "a.wav")
    (tmp_path / "rock" / "b.wav").write_bytes(b"RIFF")
    reports = [folder.verify(tmp_path, workers=n, timeout_seconds=60 if n else None) for n in (0, 1, 3)]
    assert reports[0] == reports[1] == reports[2]


def test_the_command(tmp_path, capsys):
    tone(tmp_path / "rock" / "a.wav")
    tone(tmp_path / "jazz" / "b.wav", hertz=300)
    code, out, err = run(capsys, "verify", f"folder:{tmp_path}")
    assert (code, err) == (0, "")
    assert "nothing is wrong" in out
    (tmp_path / "rock" / "two\nlines\x1b[31m.wav").write_bytes(b"")
    code, out, err = run(capsys, "verify", tmp_path)
    assert code == 1
    assert "read as folder" in err
    assert "empty: 1" in out
    assert "\x1b" not in out
    code, out, _ = run(capsys, "verify", f"folder:{tmp_path}", "--json")
    told = json.loads(out)
    assert (code, told["tracks"], told["counts"]) == (1, 3, {"empty": 1})
    assert told["findings"][0].keys() == {"code", "id", "path", "message"}
    assert run(capsys, "verify", tmp_path / "nowhere")[0] == 1
    assert run(capsys, "verify", f"folder:{tmp_path}?level=x")[0] == 2


def test_names_that_are_no_text_can_be_printed(tmp_path, capsys):
    tone(tmp_path / "rock" / "x.wav")
    try:
        os.rename(tmp_path / "rock" / "x.wav", os.fsencode(tmp_path / "rock") + b"/caf\xe9.wav")
    except OSError:
        pytest.skip("this file system wants text")
    (tmp_path / "rock" / "caf\udce9.wav").write_bytes(b"")
    for options in ([], ["--json"]):
        code, out, _ = run(capsys, "verify", f"folder:{tmp_path}", *options)
        assert code == 1
        out.encode("utf-8")


def test_real_clips_of_gtzan(shared_data):
    found = codes(gtzan.verify(shared_data / "audio" / "gtzan"))
    assert {code: len(ids) for code, ids in found.items()} == {"missing": 950, "too-short": 40}
    assert not any(name.endswith("00000") for name in found["too-short"])


def test_real_clips_of_fma(shared_data):
    report = folder.verify(shared_data / "audio" / "fma")
    assert codes(report).keys() == {"no-genre"}
    assert report.seconds == pytest.approx(150, abs=1)
