"""What every dataset keeps to, whoever adds it: run over the registry, naming none."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import pytest

from tonearm import datasets
from tonearm.datasets import Dataset, DatasetError
from tonearm.errors import TonearmError, UsageError
from tonearm.packs import Track

STRANGER = """
from pathlib import Path

from tonearm.datasets import Card, Dataset, registry
from tonearm.packs import Track


def tracks(root):
    return [Track(id=file.stem, genre="noise", path=str(file)) for file in sorted(Path(root).glob("*.noise"))]


registry.add("stranger")(
    Dataset(
        name="stranger",
        about=Card(
            title="Noises", what="Noises.", genres=("noise",), size="2", licence="CC0", citation=(), faults=("loud",),
            get="Make some noise.", splits={"none": "there is none"},
        ),
        tracks=tracks,
        recognises=lambda root: 3 if any(Path(root).glob("*.noise")) else 0,
    )
)
"""

FIND_IT = """
import sys
import tonearm.datasets as datasets
datasets.__path__.append(sys.argv[1])
print(*datasets.registry.names())
print(*[track.id for track in datasets.resolve(sys.argv[2]).tracks])
print(*[track.id for track in datasets.resolve("stranger:" + sys.argv[2]).tracks])
"""


@pytest.fixture(params=datasets.registry.names())
def dataset(request) -> Dataset:
    return datasets.get(request.param)


def test_the_card_is_filled_and_plain_data(dataset):
    card = dataset.card()
    assert card["name"] == dataset.name
    assert all(card[key] for key in ("title", "what", "size", "licence", "faults", "get", "splits"))
    assert json.loads(json.dumps(card))["name"] == dataset.name
    assert all(text.strip() == text for text in (card["title"], card["what"], card["licence"], card["get"]))
    assert len(set(card["genres"])) == len(card["genres"])


def test_known_bad_ids_have_reasons(dataset):
    assert all(name and reason for name, reason in dataset.known_bad.items())


def test_archives_have_a_sum_a_size_and_an_address(dataset):
    for archive in dataset.archives:
        assert archive.url.startswith("https://")
        assert (len(archive.sha256) == 64) or (len(archive.sha1) == 40)
        assert archive.bytes > 0
        assert archive.folder
    names = [archive.name for archive in dataset.archives]
    assert len(set(names)) == len(names)
    assert not names or any(archive.default for archive in dataset.archives)


def copies(name, tmp_path, fma_copy, gtzan_copy):
    """A small copy of a dataset: rendered where it can be, a miniature of its layout, else genre folders."""
    dataset = datasets.get(name)
    if dataset.render is not None:
        return dataset.render(tmp_path / "rendered", tracks_per_genre=2, artists_per_genre=2, seconds=1.0)
    made = [fma_copy, gtzan_copy("genres/{genre}/{id}.wav")]
    copy = max(made, key=dataset.recognises)
    if not dataset.recognises(copy):
        pytest.skip(f"no small copy of {name}: its layout is neither FMA's nor a folder per genre")
    return copy


def test_tracks_are_valid(dataset, tmp_path, fma_copy, gtzan_copy):
    root = copies(dataset.name, tmp_path, fma_copy, gtzan_copy)
    tracks = dataset.tracks(root)
    assert tracks
    assert all(isinstance(track, Track) for track in tracks)
    assert len({track.id for track in tracks}) == len(tracks)
    assert all(track.id == track.id.strip() and "\n" not in track.id for track in tracks)
    assert {track.split for track in tracks} <= {"train", "valid", "test", ""}
    if dataset.about.genres:
        assert {track.genre for track in tracks} <= {*dataset.about.genres, ""}
    assert all(track.path and track.path.startswith("/") for track in tracks) or sys.platform == "win32"
    assert dataset.tracks(root) == tracks, "the same copy gives the same tracks in the same order"
    assert dataset.recognises(root)
    assert all(problem.code and problem.message for problem in dataset.problems(root))


def test_a_copy_is_verified_without_a_stop(dataset, tmp_path, fma_copy, gtzan_copy):
    root = copies(dataset.name, tmp_path, fma_copy, gtzan_copy)
    first = dataset.tracks(root)[0].path
    with open(first, "wb") as file:
        file.write(b"not sound")
    report = dataset.verify(root, workers=0, timeout_seconds=None)
    assert report.tracks
    assert any(finding.path == first for finding in report.findings)
    assert json.loads(json.dumps(report.as_dict()))["counts"]


def test_what_is_no_copy_is_told(dataset, tmp_path):
    if dataset.render is not None:
        return
    (tmp_path / "empty").mkdir()
    assert not dataset.recognises(tmp_path / "empty")
    assert not dataset.recognises(tmp_path / "nowhere")
    with pytest.raises(TonearmError):
        datasets.resolve(f"{dataset.name}:{tmp_path / 'empty'}")
    with pytest.raises(DatasetError):
        dataset.tracks(tmp_path / "nowhere")
    with pytest.raises(UsageError):
        datasets.resolve(dataset.name)


def test_an_unknown_option_is_refused(dataset, tmp_path):
    with pytest.raises(UsageError, match="no_such_option"):
        datasets.parse(f"{dataset.name}:{tmp_path}?no_such_option=1")


def test_a_layout_of_its_own_is_skipped_and_not_failed(monkeypatch, tmp_path, fma_copy, gtzan_copy):
    own = dataclasses.replace(datasets.get("folder"), name="own", recognises=lambda root: 0)
    monkeypatch.setattr(datasets, "get", lambda name: own)
    with pytest.raises(pytest.skip.Exception, match="no small copy of own"):
        copies("own", tmp_path, fma_copy, gtzan_copy)


def test_two_files_cannot_take_one_name(dataset):
    def tracks(root):
        return []

    with pytest.raises(ValueError, match="two datasets"):
        datasets.registry.add(dataset.name)(dataclasses.replace(dataset, tracks=tracks))


def test_a_stranger_adds_a_dataset_by_adding_a_file(tmp_path):
    (tmp_path / "rooms").mkdir()
    (tmp_path / "rooms" / "stranger.py").write_text(STRANGER)
    (tmp_path / "copy").mkdir()
    for name in ("a", "b"):
        (tmp_path / "copy" / f"{name}.noise").touch()
    done = subprocess.run(
        [sys.executable, "-c", FIND_IT, str(tmp_path / "rooms"), str(tmp_path / "copy")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    names, guessed, named = done.stdout.splitlines()
    assert "stranger" in names.split()
    assert guessed == named == "a b"
    assert "read as stranger" in done.stderr
