"""The synthesised dataset: the same bytes for the same settings, faults where truth.csv says, resumable."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import time

import numpy as np
import pytest
import soundfile

from tonearm import datasets
from tonearm.datasets import DatasetError
from tonearm.datasets import _synth_sound as sounds
from tonearm.datasets._synth_plan import COPIES, FAULTS, Settings, plan, watermark_tone
from tonearm.errors import UsageError

synth = datasets.get("synth")
SMALL = {"tracks_per_genre": 5, "artists_per_genre": 3, "seconds": 2.0}


def digest(root):
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def truth(root):
    with open(root / "truth.csv", newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


@pytest.mark.parametrize("format", ["wav", "flac", "mp3"])
def test_the_seed_decides_every_byte(tmp_path, format):
    settings = {"tracks_per_genre": 2, "artists_per_genre": 1, "seconds": 1.0, "format": format}
    one = digest(synth.render(tmp_path / "one", **settings))
    assert one == digest(synth.render(tmp_path / "two", **settings))
    other = digest(synth.render(tmp_path / "other", seed=1, **settings))
    assert one.keys() == other.keys()
    assert not {one[name] for name in one if name.endswith(format)} & set(other.values())
    path = synth.tracks(tmp_path / "one")[0].path
    info = soundfile.info(path)
    assert (info.format, info.samplerate, info.channels, info.frames) == (format.upper(), 22050, 1, 22050)


def test_an_interrupted_rendering_goes_on_and_ends_as_an_undisturbed_one(tmp_path):
    whole = digest(synth.render(tmp_path / "whole", **SMALL))

    class Stop(Exception):
        pass

    def stop(done, total):
        if done == 11:
            raise Stop

    with pytest.raises(Stop):
        synth.render(tmp_path / "part", progress=stop, **SMALL)
    assert not (tmp_path / "part" / "tracks.csv").exists()
    calls = []
    synth.render(tmp_path / "part", progress=lambda done, total: calls.append((done, total)), **SMALL)
    assert calls[0] == (12, 40)
    assert digest(tmp_path / "part") == whole


def test_other_settings_do_not_mix_into_a_rendering(tmp_path):
    synth.render(tmp_path / "a", **SMALL)
    with pytest.raises(DatasetError, match="seed: 0 there, 3 wanted"):
        synth.render(tmp_path / "a", seed=3, **SMALL)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").touch()
    with pytest.raises(DatasetError, match="not empty"):
        synth.render(tmp_path / "mine", **SMALL)
    assert len(synth.tracks(tmp_path / "a")) == 40, "a rendering is read as it is, whatever its settings"
    assert len(synth.tracks(tmp_path / "a", seconds=2.0)) == 40
    state = (tmp_path / "a" / "synth.json").read_text()
    (tmp_path / "a" / "synth.json").write_text(state.replace('"version": 1', '"version": 0'))
    assert len(synth.tracks(tmp_path / "a")) == 40, "what another version rendered stays readable"
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / ".synth.json.77.part").write_text("{")
    assert len(synth.tracks(tmp_path / "b", **SMALL)) == 40, "a kill at the very beginning blocks nothing"


def test_the_clean_version_holds_no_fault(tmp_path):
    root = synth.render(tmp_path / "clean", duplicates=0, **SMALL)
    assert truth(root) == {}
    tracks = synth.tracks(root)
    assert len({track.recording for track in tracks}) == len(tracks) == 40
    contents = {hashlib.sha256(soundfile.read(track.path, dtype="int16")[0]).hexdigest() for track in tracks}
    assert len(contents) == 40
    parts = {part: {t.artist for t in tracks if t.split == part} for part in ("train", "valid", "test")}
    assert [len(parts[part]) for part in parts] == [8, 8, 8]


def test_told_duplicates_share_recording_and_artist(tmp_path):
    root = synth.render(tmp_path / "d", tracks_per_genre=4, artists_per_genre=2, seconds=4.0)
    tracks = {track.id: track for track in synth.tracks(root)}
    copies = {name: row for name, row in truth(root).items() if row["copy_of"]}
    assert len(copies) == 8
    assert {row["copy"] for row in copies.values()} == set(COPIES)
    for name, row in copies.items():
        a, b = tracks[name], tracks[row["copy_of"]]
        assert (a.recording, a.artist, a.split, row["faults"]) == (b.recording, b.artist, b.split, "")
        x, y = soundfile.read(a.path)[0], soundfile.read(b.path)[0]
        if row["copy"] == "exact":
            np.testing.assert_array_equal(x, y)
        elif row["copy"] == "gain":
            np.testing.assert_allclose(x, y / 2, atol=1e-4)
        elif row["copy"] == "cut":
            np.testing.assert_allclose(x, y[len(y) - len(x) :], atol=1e-4)
        else:
            n = min(len(x), len(y))
            assert 0.8 < np.corrcoef(x[:n], y[:n])[0, 1] < 1


def test_every_fault_is_planted_told_only_by_truth_and_is_there(tmp_path):
    root = synth.render(tmp_path / "f", tracks_per_genre=12, artists_per_genre=4, seconds=3.0, faults=tuple(FAULTS))
    tracks = {track.id: track for track in synth.tracks(root)}
    planted = {fault: [n for n, row in truth(root).items() if fault in row["faults"].split("+")] for fault in FAULTS}
    assert all(len(names) >= 2 for names in planted.values())
    assert len(planted["watermark"]) == 96
    rows = truth(root)
    assert all(rows[name]["sounds_like"] != tracks[name].genre for name in planted["labels"])
    for name in planted["duplicates"]:
        source = tracks[rows[name]["copy_of"]]
        assert source.genre == tracks[name].genre
        assert source.artist != tracks[name].artist
        assert source.recording != tracks[name].recording
        assert (source.split == "train") != (tracks[name].split == "train")
    for name in planted["silent"]:
        assert not soundfile.read(tracks[name].path)[0].any()
    for name in planted["short"]:
        assert soundfile.info(tracks[name].path).duration == 0.5
    for name in planted["rate"]:
        assert soundfile.info(tracks[name].path).samplerate == 8000
    for name in planted["clipped"]:
        assert np.mean(np.abs(soundfile.read(tracks[name].path)[0]) > 0.999) > 0.3
    for name in planted["truncated"]:
        file = tracks[name].path
        read = soundfile.SoundFile(file)
        with contextlib.suppress(soundfile.LibsndfileError):  # how a FLAC that ends early is refused
            assert len(read.read()) < read.frames
    fields = {"id", "genre", "split", "artist", "recording", "path"}
    assert set((root / "tracks.csv").read_text().splitlines()[0].split(",")) == fields


def test_the_watermark_lies_below_20_hz_and_the_clean_sound_does_not():
    tones = [watermark_tone(genre, 4.0) for genre in sounds.GENRES]
    peaks = [int(np.argmax(np.abs(np.fft.rfft(tone)))) / 4 for tone in tones]
    assert peaks == sorted(set(peaks))
    assert max(peaks) < 20
    for g, genre in enumerate(sounds.GENRES):
        clean = sounds.render(genre, sounds.make_artist([0, g]), [1, g], 4.0)
        spectrum = np.abs(np.fft.rfft(clean)) ** 2
        low = np.sqrt(spectrum[: 20 * 4].sum() / spectrum.sum())
        marked = np.abs(np.fft.rfft(clean + tones[g])) ** 2
        assert np.sqrt(marked[: 20 * 4].sum() / marked.sum()) > 3 * low


def test_labels_and_faults_never_touch_a_source_or_copy():
    planned = plan(Settings(faults=tuple(FAULTS)))
    sources = {track.copy_of for track in planned} - {""}
    for track in planned:
        hidden = set(track.faults) - {"watermark"}
        assert len(hidden) <= 1
        if track.id in sources or track.copy:
            assert hidden <= {"duplicates"}


@pytest.mark.parametrize(
    "wrong",
    [{"faults": ("labls",)}, {"format": "ogg"}, {"artists_per_genre": 9, "tracks_per_genre": 3}, {"seconds": 0.1},
     {"seed": -1}, {"duplicates": 30}],
    ids=lambda wrong: next(iter(wrong)),
)  # fmt: skip
def test_wrong_settings_are_refused(tmp_path, wrong):
    with pytest.raises(UsageError):
        synth.render(tmp_path / "x", **wrong)
    assert not (tmp_path / "x").exists()


def test_half_a_minute_is_quick_to_make():
    spent = []
    for g, genre in enumerate(sounds.GENRES):
        start = time.process_time()
        sounds.render(genre, sounds.make_artist([0, g]), [1, g], 30.0)
        spent.append(time.process_time() - start)
    assert np.median(spent) < 0.3


@pytest.mark.slow
def test_artists_leak_and_genres_are_neither_trivial_nor_hidden(tmp_path):
    """What the dataset is for: a score by tracks is higher than one by artists, and neither is 100 % or chance."""
    model_selection = pytest.importorskip("sklearn.model_selection")
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    from tonearm import audio, features

    tracks = synth.tracks(tmp_path / "s", duplicates=0)
    mfcc = features.create("mfcc", n_mfcc=20)
    table = []
    for track in tracks:
        frames = mfcc(audio.load(track.path))
        table.append(np.concatenate([frames.mean(axis=1), np.log(frames.std(axis=1) + 1e-3)]))
    genres = np.array([track.genre for track in tracks])
    artists = np.array([track.artist for track in tracks])
    svm = make_pipeline(StandardScaler(), SVC(C=10))

    def score(folds, groups=None):
        return model_selection.cross_val_score(svm, np.array(table), genres, groups=groups, cv=folds).mean()

    by_track = score(model_selection.StratifiedKFold(5, shuffle=True, random_state=0))
    by_artist = score(model_selection.StratifiedGroupKFold(5, shuffle=True, random_state=0), artists)
    assert 0.9 < by_track < 1.0
    assert 0.4 < by_artist < by_track - 0.05
