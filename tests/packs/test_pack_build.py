"""What a build writes: the numbers of the feature, the clips that were asked for, and words that help."""

from __future__ import annotations

import json
import os
import re
import sys
import typing

import numpy as np
import pytest
import soundfile
from pack_helpers import hashes, small_plan, tone, tracks_of

from tonearm import audio, features
from tonearm.audio import prepare
from tonearm.engines import local
from tonearm.errors import TonearmError, UsageError
from tonearm.packs import Clips, PackError, Plan, Track, build, open_pack, verify


def plan_of(feature, **keywords) -> Plan:
    names = [name for name in keywords if name in Clips.__slots__]
    clips = Clips(**{"clip_seconds": 1.0, **{name: keywords.pop(name) for name in names}})
    return Plan(name="p", feature=feature, clips=clips, **keywords)


def padded(waveform, seconds: float):
    samples = waveform.samples[: round(seconds * waveform.sample_rate)]
    missing = round(seconds * waveform.sample_rate) - len(samples)
    return audio.Waveform(np.pad(samples, (0, missing)), waveform.sample_rate)


def test_rows_are_the_feature_of_each_file_in_the_order_of_the_dataset(music, tmp_path):
    feature = features.create("logmel", n_mels=32, clip_seconds=1.2)
    tracks = list(reversed(tracks_of(music)))
    report = build(tracks, tmp_path / "p", plan_of(feature, clip_seconds=1.2), root=music, workers=2)
    assert (report.built, report.reused, report.failed, report.rows) == (24, 0, [], 24)
    pack = open_pack(tmp_path / "p")
    assert verify(pack.folder) == []
    assert pack.ids.tolist() == [track.id for track in tracks]
    assert pack.column("genre").tolist() == [track.genre for track in tracks]
    assert pack.meta["axes"] == ["track", *feature.axes]
    assert features.from_config(pack.feature_config) == feature
    for row, track in zip(pack.features, tracks, strict=True):
        np.testing.assert_array_equal(row, feature(padded(audio.load(track.path, sample_rate=22050), 1.2)))
    lengths = {"1.000": 22050, "1.200": 26460}
    assert {s: int(n) for s, n in zip(pack.column("seconds"), pack.column("samples"), strict=True)} == lengths


def test_dtypes(music, tmp_path):
    feature = features.create("logmel", n_mels=16, clip_seconds=1.0)
    exact = build(tracks_of(music), tmp_path / "f4", plan_of(feature), root=music, workers=0) and open_pack(
        tmp_path / "f4"
    )
    for dtype, scale, error in (
        ("float16", None, 0.04),
        ("uint8", None, 80 / 255 / 2 + 1e-4),
        ("uint8", (-100, 0), 0.2),
    ):
        folder = tmp_path / f"{dtype}{scale}"
        build(tracks_of(music), folder, plan_of(feature, dtype=dtype, scale=scale), root=music, workers=0)
        pack = open_pack(folder)
        assert pack.features.dtype == dtype
        assert np.abs(pack.decoded() - exact.features).max() <= error
        assert verify(folder) == []
    build(
        tracks_of(music), tmp_path / "mm", plan_of(feature, dtype="uint8", scale="clip-minmax"), root=music, workers=0
    )
    stored = open_pack(tmp_path / "mm").features
    assert (stored.reshape(24, -1).min(axis=1) == 0).all()
    assert (stored.reshape(24, -1).max(axis=1) == 255).all()
    for keywords in ({"dtype": "int8"}, {"dtype": "float32", "scale": (0, 1)}, {"dtype": "uint8", "scale": (1, 0)}):
        with pytest.raises(UsageError):
            plan_of(feature, **keywords)


@pytest.fixture
def long_file(tmp_path) -> Track:
    path = tmp_path / "music" / "rock" / "long.wav"
    path.parent.mkdir(parents=True)
    soundfile.write(path, tone(10.3, seed=1, sample_rate=8000), 8000, subtype="FLOAT")
    return Track(id="long", genre="rock", path=str(path), extra={"album": "First"})


@pytest.mark.parametrize(
    ("clips", "starts"),
    [
        ({"excerpt": "middle"}, [4.15]),
        ({"per_track": 3}, [0, 2, 4]),
        ({"per_track": 3, "excerpt": "middle"}, [2.15, 4.15, 6.15]),
        ({"per_track": 0}, [0, 2, 4, 6, 8]),
        ({"per_track": 0, "overlap": 0.5}, [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        ({"per_track": 40}, [0, 2, 4, 6, 8]),
        ({"per_track": 0, "clip_seconds": 2.6}, [0, 2.6, 5.2, 7.8]),  # 96 % of the last one is there
        ({"per_track": 0, "clip_seconds": 30.0}, [0]),
    ],
)
def test_clips(long_file, tmp_path, clips, starts):
    seconds = clips.setdefault("clip_seconds", 2.0)
    feature = features.create("raw", sample_rate=8000, clip_seconds=seconds)
    build([long_file], tmp_path / "p", plan_of(feature, **clips), root=tmp_path / "music", workers=0)
    pack = open_pack(tmp_path / "p")
    assert verify(pack.folder) == []
    whole = audio.load(long_file.path).samples
    assert [float(start) for start in pack.column("start_seconds")] == pytest.approx(starts)
    for row, start in zip(pack.features, starts, strict=True):
        expected = whole[round(start * 8000) : round((start + seconds) * 8000)]
        np.testing.assert_array_equal(np.ravel(row)[: len(expected)], expected)
        assert not np.ravel(row)[len(expected) :].any()
    if "per_track" in clips:
        assert pack.ids.tolist() == [f"long#{k}" for k in range(len(starts))]
        assert set(pack.tracks) == {"long"}
        assert pack.axes[0] == "segment"
    assert set(pack.column("album")) == {"First"}
    assert set(pack.column("path")) == {"rock/long.wav"}


def test_clips_are_prepared_before_the_feature(long_file, tmp_path):
    feature = features.create("raw", sample_rate=8000, clip_seconds=2.0)
    steps = prepare.create(["drop", {"step": "rms", "target_dbfs": -10}])
    build([long_file], tmp_path / "p", plan_of(feature, clip_seconds=2.0, prepare=steps), workers=0)
    pack = open_pack(tmp_path / "p")
    np.testing.assert_array_equal(np.ravel(pack.features), steps(audio.load(long_file.path, clip_seconds=2.0)).samples)
    assert prepare.create(pack.meta["prepare"]) == steps
    with pytest.raises(PackError, match="prepare"):
        build([long_file], tmp_path / "p", plan_of(feature, clip_seconds=2.0), workers=0)


def test_what_trimming_leaves_may_be_too_short(tmp_path):
    samples = np.zeros(8000 * 3, np.float32)
    samples[9000:9800] = 0.5 * tone(0.1, sample_rate=8000)
    soundfile.write(tmp_path / "blip.wav", samples, 8000)
    feature = features.create("rms", sample_rate=8000, clip_seconds=2.0)
    plan = plan_of(feature, clip_seconds=2.0, prepare=prepare.create(["trim"]))
    with pytest.raises(PackError, match="not one") as caught:
        build(tracks_of(tmp_path), tmp_path / "p", plan, workers=0)
    assert caught.value.code == "too-short"


def test_features_of_a_fixed_size_see_no_padding(long_file, tmp_path):
    feature = features.create("logmel", n_mels=8, frames=20, clip_seconds=30.0)
    build([long_file], tmp_path / "p", plan_of(feature, clip_seconds=30.0), workers=0)
    expected = feature(audio.load(long_file.path, sample_rate=22050))
    np.testing.assert_array_equal(open_pack(tmp_path / "p").features[0], expected)
    own_rate = features.create("logmel", n_mels=8, frames=20, sample_rate=None)
    whole = plan_of(own_rate, clip_seconds=None)
    build([long_file], tmp_path / "q", whole, workers=0)
    pack = open_pack(tmp_path / "q")
    np.testing.assert_array_equal(pack.features[0], own_rate(audio.load(long_file.path)))
    assert pack.column("sample_rate").tolist() == ["8000"]
    assert pack.column("samples").tolist() == ["82400"]


@pytest.mark.parametrize(
    ("keywords", "clips", "said"),
    [
        ({"sample_rate": None}, {}, "own sample rate"),
        ({}, {"clip_seconds": None}, "whole tracks do not fit"),
        ({}, {"clip_seconds": -1.0}, "above 0"),
        ({}, {"clip_seconds": float("inf")}, "above 0"),
        ({}, {"clip_seconds": float("nan")}, "above 0"),
        ({}, {"min_seconds": float("nan")}, "below 0"),
        ({}, {"excerpt": "end"}, "start, middle"),
        ({}, {"overlap": 1.0}, "below 1"),
        ({}, {"min_seconds": 3.0}, "more than the clip"),
        ({"frames": 4}, {"clip_seconds": None, "per_track": 2}, "no further clips"),
    ],
)
def test_plans_that_cannot_be_are_refused(keywords, clips, said):
    with pytest.raises(UsageError, match=said):
        plan_of(features.create("logmel", **keywords), **clips)


def test_a_feature_that_gives_nan_or_a_wrong_shape_fails_its_file_alone(music, tmp_path, monkeypatch):
    feature = features.create("rms", clip_seconds=1.0)
    right = type(feature).__call__

    def odd(self, waveform, **keywords):
        row = right(self, waveform, **keywords)
        odd.calls += 1
        return {3: row * np.nan, 5: row[:, :2]}.get(odd.calls, row)

    odd.calls = 0
    monkeypatch.setattr(type(feature), "__call__", odd)
    report = build(tracks_of(music), tmp_path / "p", plan_of(feature), root=music, workers=0)
    assert [entry["code"] for entry in report.failed] == ["not-finite", "shape"]
    assert verify(tmp_path / "p") == []
    assert len(open_pack(tmp_path / "p")) == 22


def test_values_too_large_for_float16_are_named(music, tmp_path, monkeypatch):
    feature = features.create("rms", clip_seconds=1.0)
    monkeypatch.setattr(
        type(feature), "__call__", lambda self, waveform: np.full(self.shape(22050, 22050), 7e4, np.float32)
    )
    with pytest.raises(PackError, match="not one of 24 files") as caught:
        build(tracks_of(music), tmp_path / "p", plan_of(feature, dtype="float16"), root=music, workers=0)
    assert "--dtype float32" in caught.value.hint
    assert not (tmp_path / "p" / "pack.json").exists()


def test_ids_and_places_that_cannot_be(music, tmp_path):
    track = tracks_of(music)[0]
    for tracks, said in (([], "no tracks"), ([track, track], "ids twice")):
        with pytest.raises(PackError, match=said):
            build(tracks, tmp_path / "p", small_plan(), workers=0)
    (tmp_path / "file").write_text("")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.doc").write_text("")
    for name, said in (("file", "is a file"), ("full", "other things"), ("file/p", "cannot be made")):
        with pytest.raises(TonearmError, match=said):
            build([track], tmp_path / name, small_plan(), workers=0)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to(music, tmp_path):
    (tmp_path / "closed").mkdir(mode=0o555)
    for name in ("closed", "closed/p"):
        with pytest.raises(PackError) as caught:
            build(tracks_of(music), tmp_path / name, small_plan(), workers=0)
        assert caught.value.code == "output"


def test_workers_that_are_spawned_do_the_same(music, tmp_path, monkeypatch):
    """Where there is no safe fork, all that a worker needs goes to it through a pipe."""
    plan = plan_of(features.create("logmel", n_mels=8, clip_seconds=1.0), prepare=prepare.create(["drop"]))
    build(tracks_of(music), tmp_path / "forked", plan, root=music, workers=1)
    monkeypatch.setattr(local, "CAN_FORK", False)
    build(tracks_of(music), tmp_path / "spawned", plan, root=music, workers=1)
    assert hashes(tmp_path / "spawned") == hashes(tmp_path / "forked")


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="file names there must be Unicode")
def test_names_that_are_no_unicode(tmp_path):
    folder = os.fsencode(tmp_path) + b"/rock"
    os.mkdir(folder)
    for name in (b"caf\xe9.wav", b'new\nline, and "quote".wav', b"-o.wav"):
        with open(folder + b"/" + name, "wb") as file:
            soundfile.write(file, tone(1.0), 22050, format="WAV")
    tracks = tracks_of(tmp_path)
    build(tracks, tmp_path / "p", small_plan(), root=tmp_path, workers=1)
    pack = open_pack(tmp_path / "p")
    assert len(pack) == 3
    assert verify(pack.folder) == []
    again = build(tracks, tmp_path / "p", small_plan(), root=tmp_path, workers=1)
    assert again.unchanged


# ---- the command ----


def test_the_command_and_its_json(music, tmp_path, tonearm):
    out = tmp_path / "p"
    arguments = (
        "pack",
        "build",
        f"folder:{music}",
        "-o",
        out,
        "--feature",
        "rms",
        "--clip-seconds",
        1,
        "--set",
        "hop_length=256",
    )
    done = tonearm(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert {"pack", "built", "reused", "failed", "seconds"} <= set(report)
    assert (report["pack"], report["built"], report["reused"], report["failed"]) == (str(out), 24, 0, [])
    assert json.loads(tonearm(*arguments, "--json").stdout)["reused"] == 24
    assert "nothing to do" in tonearm(*arguments).stderr
    assert tonearm(*arguments, "--quiet").stderr == ""
    facts = json.loads(tonearm("pack", "info", out, "--json").stdout)
    assert {"name", "shape", "dtype", "feature", "classes", "splits"} <= set(facts)
    assert facts["classes"] == ["blues", "rock"]
    assert facts["feature"]["hop_length"] == 256
    assert tonearm("pack", "verify", out).returncode == 0
    (out / "tracks.csv").unlink()
    broken = tonearm("pack", "verify", out, "--json")
    assert broken.returncode == 1
    assert json.loads(broken.stdout)[0]["findings"][0]["code"] == "missing-file"


def test_a_limit_is_raised_by_going_on(music, tmp_path, tonearm):
    arguments = ("pack", "build", f"folder:{music}", "--feature", "rms", "--clip-seconds", 1, "--json", "-o")
    assert json.loads(tonearm(*arguments, tmp_path / "p", "--limit", 5).stdout)["built"] == 5
    report = json.loads(tonearm(*arguments, tmp_path / "p").stdout)
    assert (report["built"], report["reused"]) == (19, 5)
    tonearm(*arguments, tmp_path / "whole")
    assert hashes(tmp_path / "p") == hashes(tmp_path / "whole")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--feature", "logmell"), 2, "did you mean 'logmel'"),
        (("--set", "n_melz=3"), 2, "did you mean 'n_mels'"),
        (("--set", "n_mels"), 2, "KEY=VALUE"),
        (("--set", "clip_seconds=3"), 2, "--clip-seconds"),
        (("--clips-per-track", "many"), 2, "or all"),
        (("--dtype", "float64"), 2, "uint8, float16, float32"),
        (("--prepare", "loudnes"), 2, "did you mean 'loudness'"),
        (("--prepare", "trim:top_bd=3"), 2, "did you mean 'top_db'"),
        (("--scale", "3"), 2, "for uint8"),
        (("--clip-seconds", "0"), 2, "whole tracks"),
        (("--workers", "-1"), 2, "workers"),
        (("--timeout", "0"), 2, "no time"),
    ],
)
def test_a_command_used_wrongly_says_so(music, tmp_path, tonearm, arguments, code, said):
    done = tonearm("pack", "build", f"folder:{music}", "-o", tmp_path / "p", *arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "p").exists()


def test_rows_from_real_audio_are_those_of_the_published_packs(shared_data, tmp_path):
    shared = open_pack(shared_data / "gtzan-mel")
    feature = features.from_config({**shared.feature_config, "clip_seconds": None})
    paths = sorted((shared_data / "audio" / "gtzan").glob("*/*.00000.flac"))
    tracks = [Track(id=path.stem, genre=path.parent.name, path=str(path)) for path in paths]
    plan = plan_of(feature, clip_seconds=None, dtype="uint8", scale="clip-minmax")
    build(tracks, tmp_path / "p", plan, root=shared_data)
    pack = open_pack(tmp_path / "p")
    at = {name: i for i, name in enumerate(shared.ids.tolist())}
    pairs = [(pack.features[i], shared.features[at[name]]) for i, name in enumerate(pack.ids.tolist())]
    correlations = [np.corrcoef(np.ravel(a), np.ravel(b))[0, 1] for a, b in pairs]
    assert len(pairs) == 10
    assert min(correlations) >= 0.985
    assert np.median(correlations) >= 0.999
    assert pack.column("samples").tolist() == [shared.column("samples")[at[name]] for name in pack.ids.tolist()]


def test_the_step_that_the_help_gives_as_an_example_is_one():
    from tonearm.cli import pack

    option = typing.get_type_hints(pack.build, include_extras=True)["prepare"].__metadata__[0]
    example = re.search(r"such as (\S+)\. ", option.help)[1]
    assert pack._steps([example]).config()[0]["target_lufs"] == -23
