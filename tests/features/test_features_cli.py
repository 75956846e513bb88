"""`tonearm features`: list and compute."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import soundfile

from tonearm import audio, features
from tonearm.cli._root import run


@pytest.fixture
def song(tmp_path):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 2 * 16000).astype(np.float32)
    path = tmp_path / "a song.wav"
    soundfile.write(path, samples, 16000, subtype="FLOAT")
    return path


def compute(*arguments) -> int:
    return run(["features", "compute", *map(str, arguments)])


def test_list_as_json_names_every_kind_and_keyword(capsys):
    assert run(["features", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [item["kind"] for item in listed] == features.registry.names()
    for item in listed:
        defaults = {name: keyword["default"] for name, keyword in item["keywords"].items()}
        assert defaults.keys() | {"kind"} == features.create(item["kind"]).config().keys()
        assert item["summary"]


def test_list_for_people(capsys):
    assert run(["features", "list"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in features.registry.names())
    assert run(["features"]) == 0
    assert capsys.readouterr().out == shown
    assert run(["features", "list", "logmel"]) == 0
    shown = capsys.readouterr().out
    assert "n_mels" in shown
    assert "mel bands" in shown


def test_an_unknown_kind_is_a_usage_error(capsys):
    assert run(["features", "list", "logmell"]) == 2
    assert "did you mean 'logmel'" in capsys.readouterr().err


@pytest.mark.parametrize("ending", ["npy", "csv", "json"])
def test_what_is_written_is_the_feature(song, tmp_path, capsys, ending):
    output = tmp_path / f"out.{ending}"
    arguments = ("--set", "n_mfcc=13", "--set", "hop_length=256")
    assert compute(song, "--feature", "mfcc", *arguments, "-o", output) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "13 x" in shown.err
    feature = features.create("mfcc", n_mfcc=13, hop_length=256)
    expected = feature(audio.load(song, sample_rate=22050))
    if ending == "npy":
        got = np.load(output, allow_pickle=False)
    elif ending == "json":
        written = json.loads(output.read_text(encoding="utf-8"))
        assert features.from_config(written["feature"]) == feature
        got = np.array(written["values"])
    else:
        with open(output, encoding="utf-8", newline="") as file:
            header, *lines = csv.reader(file)
        assert header == feature.columns()
        got = np.array(lines, np.float32).T
    np.testing.assert_array_equal(got.astype(np.float32), expected)
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


def test_json_report(song, capsys):
    excerpt = ("--start-seconds", 0.5, "--clip-seconds", 1)
    assert compute(song, "-f", "rms", "--set", "sample_rate=null", *excerpt, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["shape"] == [1, 1 + 16000 // 512]
    assert report["sample_rate"] == 16000
    assert report["seconds"] == 1.0
    assert report["columns"] == ["rms"]
    assert report["statistics"]["max"] < 0.5


def test_the_feature_of_a_pack_or_a_file(song, tmp_path, capsys):
    config = {"format": "feature-pack/1", "feature": {"kind": "logmel", "n_mels": 40, "sample_rate": 16000}}
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "pack.json").write_text(json.dumps(config), encoding="utf-8")
    (tmp_path / "config.yaml").write_text("kind: logmel\nn_mels: 40\nsample_rate: 16000\n", encoding="utf-8")
    reports = []
    for name in (tmp_path / "pack", tmp_path / "config.yaml"):
        assert compute(song, "-f", name, "--set", "top_db=60", "--json") == 0
        reports.append(json.loads(capsys.readouterr().out))
    assert reports[0] == reports[1]
    assert reports[0]["feature"]["n_mels"] == 40
    assert reports[0]["feature"]["top_db"] == 60.0


def test_without_an_output_it_says_what_the_values_are_like(song, capsys):
    assert compute(song, "-f", "logmel") == 0
    shown = capsys.readouterr().out
    assert "128 x" in shown
    assert "108 more" in shown


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["{song}", "-f", "logmel", "--set", "n_mel=3"], 2, "did you mean 'n_mels'"),
        (["{song}", "-f", "logmel", "--set", "n_mels=many"], 2, "whole number"),
        (["{song}", "-f", "logmel", "--set", "n_mels"], 2, "key=value"),
        (["{song}", "-f", "logmel", "--set", "n_mels=["], 2, "not understood"),
        (["{song}", "-f", "logmel", "-o", "out.txt"], 2, ".npy"),
        (["{song}", "-f", "no-such"], 2, "no-such"),
        (["{song}", "-f", "{song}"], 2, "no feature can be read"),
        (["{song}.mp3", "-f", "logmel"], 1, "a song.wav.mp3"),
        (["{song}", "-f", "logmel", "-o", "no/such/folder/out.npy"], 1, "cannot be written"),
    ],
)
def test_mistakes_are_one_line_and_the_next_step(song, capsys, arguments, code, message):
    assert compute(*(argument.format(song=song) for argument in arguments)) == code
    shown = capsys.readouterr()
    assert message in shown.err
    assert "Traceback" not in shown.err
    assert shown.out == ""
