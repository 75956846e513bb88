"""The other commands of `tonearm data`."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import zipfile

import numpy as np
import pytest
from miniatures import write_numbers

from tonearm import datasets
from tonearm.cli import main
from tonearm.datasets import Archive
from tonearm.packs import open_pack


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main(["data", *map(str, arguments)])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return stop.value.code, out, err


def test_list_and_show(capsys):
    code, out, _ = run(capsys, "list")
    assert code == 0
    assert all(name in out for name in datasets.registry)
    rows = json.loads(run(capsys, "list", "--json")[1])
    assert [row["name"] for row in rows] == datasets.registry.names()
    for name in datasets.registry:
        code, out, _ = run(capsys, "show", name)
        assert code == 0
        assert all(part in out for part in ("What it is", "Licence", "Known faults", "How to get it", "Splits"))
        assert max(map(len, out.splitlines())) <= 100
        card = json.loads(run(capsys, "show", name, "--json")[1])
        assert card["name"] == name
    code, _, err = run(capsys, "show", "gtzn")
    assert (code, "did you mean 'gtzan'" in err) == (2, True)


def test_fetch_of_what_has_no_address(capsys, tmp_path):
    code, out, err = run(capsys, "fetch", "gtzan", "-o", tmp_path)
    assert (code, out) == (1, "")
    assert "gtzan:PATH" in err
    assert run(capsys, "fetch", "fma")[0] == 2
    code, _, err = run(capsys, "fetch", "fma", "-o", tmp_path, "--archive", "smal")
    assert (code, "did you mean 'small'" in err) == (2, True)


@pytest.fixture
def fetchable(server, monkeypatch):
    """FMA with two small archives on a server of our own."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_BZIP2) as made:
        made.writestr("set/a.txt", "some text")
    server.content = packed.getvalue()
    sums = {"bytes": len(server.content), "sha1": hashlib.sha1(server.content).hexdigest(), "folder": "set"}
    first = Archive(name="first", url=server.url, what="a test", default=True, **sums)
    other = Archive(name="other", url=server.url, what="a test", **{**sums, "folder": "other", "sha1": "0" * 40})
    changed = dataclasses.replace(datasets.get("fma"), archives=(first, other))
    monkeypatch.setitem(datasets.registry._things, "fma", changed)
    return server


def test_fetch(capsys, tmp_path, fetchable):
    code, out, err = run(capsys, "fetch", "fma", "-o", tmp_path)
    assert (code, out) == (0, f"fma:{tmp_path}\n")
    assert "first: fetching" in err
    assert (tmp_path / "set" / "a.txt").read_text() == "some text"
    code, out, err = run(capsys, "fetch", "fma", "-o", tmp_path, "-q")
    assert (code, err, len(fetchable.asked)) == (0, "", 1), "it is there already"
    code, out, err = run(capsys, "fetch", "fma", "-o", tmp_path, "--archive", "other", "-q")
    assert (code, out) == (1, "")
    assert "checksum" in err
    fetchable.statuses = [404]
    code, _, err = run(capsys, "fetch", "fma", "-o", tmp_path, "--archive", "other", "-q")
    assert (code, "is not there any more" in err) == (1, True)


def test_table(capsys, fma_copy, tmp_path):
    rows = [[2, 0.5, 1.0], [5, 0.25, 2.0], [98565, "", ""]]
    columns = [("zcr", "mean", "01"), ("zcr", "std", "01")]
    write_numbers(fma_copy / "fma_metadata" / "features.csv", columns, ("feature", "statistics", "number"), rows)
    code, out, err = run(capsys, "table", "fma", fma_copy, "-o", tmp_path / "pack")
    assert (code, "2 tracks, 2 columns" in out, "098565" in err) == (0, True, True)
    np.testing.assert_array_equal(open_pack(tmp_path / "pack").features, [[0.5, 1], [0.25, 2]])
    assert run(capsys, "table", "fma", fma_copy, "-o", tmp_path / "pack")[0] == 1, "is there already"
    code, out, _ = run(capsys, "table", "fma", fma_copy, "-o", tmp_path / "pack", "--force", "--json")
    assert json.loads(out)["incomplete"] == ["098565"]
    assert run(capsys, "table", "gtzan", tmp_path, "-o", tmp_path / "x")[0] == 2
    assert run(capsys, "table", "fma", fma_copy, "-o", tmp_path / "x", "--table", "mfcc")[0] == 2
    assert run(capsys, "table", "fma", tmp_path / "none", "-o", tmp_path / "x")[0] == 1


def test_synth(capsys, tmp_path):
    small = ["--tracks-per-genre", 3, "--artists-per-genre", 2, "--seconds", 1, "--format", "wav", "-q"]
    code, out, _ = run(capsys, "synth", "-o", tmp_path / "music", *small, "--faults", "labels,silent", "--seed", 4)
    assert (code, out) == (0, f"synth:{tmp_path / 'music'}\n")
    assert len(datasets.resolve(tmp_path / "music").tracks) == 24
    assert run(capsys, "synth", "-o", tmp_path / "music", *small)[0] == 1, "other settings"
    code, _, err = run(capsys, "synth", "-o", tmp_path / "other", *small, "--faults", "label")
    assert (code, "did you mean 'labels'" in err) == (2, True)
    assert not (tmp_path / "other").exists()
