"""What a plan takes from predictions, and what it leaves alone."""

from __future__ import annotations

import json
import os

import mutagen
import pytest
from tag_files import predicted

from tonearm import tags
from tonearm.errors import UsageError


def give(path, *genres):
    file = mutagen.File(path)
    if file.tags is None:
        file.add_tags()
    file["genre"] = list(genres)
    file.save()


def outcome(plan):
    return {os.path.basename(e["path"]): e["after"] for e in plan.entries}


def reasons(plan):
    return {os.path.basename(e["path"]): e["reason"] for e in plan.unchanged}


@pytest.mark.parametrize(
    ("policy", "before", "after"),
    [
        ("fill", [], ["Jazz", "Blues"]),
        ("fill", ["Rock"], "has-genre"),
        ("add", [], ["Jazz", "Blues"]),
        ("add", ["Rock"], ["Rock", "Jazz", "Blues"]),
        ("add", ["blues"], ["blues", "Jazz"]),
        ("add", ["Rock; Jazz"], ["Rock; Jazz", "Blues"]),
        ("add", ["A", "B", "C", "D"], "same"),
        ("add", ["Jazz", "Blues"], "same"),
        ("replace", ["Rock"], ["Jazz", "Blues"]),
        ("replace", ["Jazz", "Blues"], "same"),
        ("replace", ["Blues", "Jazz"], ["Jazz", "Blues"]),
        ("keep", [], "kept"),
        ("keep", ["Rock"], "kept"),
    ],
)
def test_policies(policy, before, after, song):
    path = song("flac")
    if before:
        give(path, *before)
    plan = tags.plan(predicted(path, genres=(("Blues", 0.6), ("Jazz", 0.9), ("Pop", 0.4))), policy=policy)
    assert outcome(plan) == ({} if isinstance(after, str) else {"song.flac": after})
    assert reasons(plan) == ({"song.flac": after} if isinstance(after, str) else {})
    assert plan.skipped == []


def test_blank_genres_are_none(song):
    path = song("flac")
    give(path, "", "  ")
    assert outcome(tags.plan(predicted(path))) == {"song.flac": ["Électronique", "Hip-Hop"]}


@pytest.mark.parametrize(
    ("settings", "after"),
    [
        ({"threshold": 0.3}, ["Jazz", "Blues", "Pop"]),
        ({"threshold": 0.3, "max_genres": 1}, ["Jazz"]),
        ({"threshold": 0.95}, "below-threshold"),
        ({"names": {"Jazz": None}}, ["Blues"]),
        ({"names": {"Jazz": None, "Blues": None, "Pop": None}}, "dropped-by-map"),
        ({"names": {"Jazz": "Jazz & Blues", "Blues": "Jazz & Blues"}}, ["Jazz & Blues"]),
    ],
)
def test_threshold_most_and_map(settings, after, song):
    path = song("flac")
    plan = tags.plan(predicted(path, genres=(("Blues", 0.6), ("Jazz", 0.9), ("Pop", 0.4))), **settings)
    assert (reasons(plan) if isinstance(after, str) else outcome(plan)) == {"song.flac": after}


def test_merged_genres_share_their_probability(song):
    """0.3 + 0.3 of classes that exclude each other is 0.6; of independent ones it is 0.7 at most, not 1.1."""
    path = song("flac")
    both = {"House": "Electronic", "Techno": "Electronic"}
    plan = tags.plan(predicted(path, genres=(("House", 0.3), ("Techno", 0.3), ("Jazz", 0.4))), names=both)
    assert plan.entries[0]["probabilities"] == {"Electronic": pytest.approx(0.6)}
    plan = tags.plan(predicted(path, genres=(("House", 0.7), ("Techno", 0.4), ("Jazz", 0.2))), names=both)
    assert plan.entries[0]["probabilities"] == {"Electronic": pytest.approx(0.7)}


def test_not_sure_is_left_alone_unless_wanted(song):
    path = song("flac")
    assert reasons(tags.plan(predicted(path, sure=False))) == {"song.flac": "not-sure"}
    assert outcome(tags.plan(predicted(path, sure=False), unsure=True)) == {"song.flac": ["Électronique", "Hip-Hop"]}


def test_a_model_that_is_sure_needs_no_threshold(song):
    """Where nobody says from where on a genre counts, the model's word does, for its best; its next must be likely."""
    path = song("flac")
    low = (("Jazz", 0.45), ("Blues", 0.4))
    assert outcome(tags.plan(predicted(path, genres=low))) == {"song.flac": ["Jazz"]}
    assert reasons(tags.plan(predicted(path, genres=low), threshold=0.5)) == {"song.flac": "below-threshold"}
    assert outcome(tags.plan(predicted(path, genres=low), threshold=0.4)) == {"song.flac": ["Jazz", "Blues"]}
    assert outcome(tags.plan(predicted(path, genres=low), names={"Jazz": "A", "Blues": "B"})) == {"song.flac": ["A"]}
    # What the model is sure of is dropped: it said nothing of what is left.
    assert reasons(tags.plan(predicted(path, genres=low), names={"Jazz": None})) == {"song.flac": "below-threshold"}
    # Nobody said whether it is sure: more likely than not counts.
    said_nothing = [{"path": path, "genres": [{"genre": "Jazz", "probability": 0.45}]}]
    assert reasons(tags.plan(said_nothing)) == {"song.flac": "below-threshold"}
    assert outcome(tags.plan(said_nothing, unsure=True)) == {"song.flac": ["Jazz"]}


def test_two_unsure_genres_that_are_one_to_a_person_are_sure(song):
    path = song("flac")
    torn = tags.Prediction(path, [("House", 0.35), ("Techno", 0.3), ("Jazz", 0.1)], sure=False, threshold=0.5)
    both = {"House": "Electronic", "Techno": "Electronic"}
    assert reasons(tags.plan([torn])) == {"song.flac": "not-sure"}
    assert outcome(tags.plan([torn], names=both)) == {"song.flac": ["Electronic"]}
    assert reasons(tags.plan([torn], names=both, threshold=0.7)) == {"song.flac": "not-sure"}
    # Renamed only, or unsure for another reason than its probabilities: still not sure.
    assert reasons(tags.plan([torn], names={"House": "Electronic"})) == {"song.flac": "not-sure"}
    doubtful = torn._replace(threshold=None, genres=[("House", 0.7), ("Techno", 0.3)])
    assert reasons(tags.plan([doubtful], names=both)) == {"song.flac": "not-sure"}


def test_the_map_from_yaml(tmp_path, song):
    path = song("flac")
    names = tmp_path / "genres.yaml"
    names.write_text("Électronique: Electronic\nHip-Hop: ~\nHip-Hpo: Rap\n", encoding="utf-8")
    plan = tags.plan(predicted(path), names=names)
    assert outcome(plan) == {"song.flac": ["Electronic"]}
    assert plan.warnings == ["the map names 'Hip-Hpo', which no prediction has; did you mean 'Hip-Hop'?"]


def test_a_genre_with_several_names(tmp_path, song):
    """Both names stand in the file, each with the genre's probability; another genre may share one of them."""
    names = tmp_path / "genres.yaml"
    names.write_text("Hip-Hop: [Rap, Urban]\nSoul: Urban\n", encoding="utf-8")
    plan = tags.plan(predicted(song("flac"), genres=(("Hip-Hop", 0.6), ("Soul", 0.3))), names=names)
    assert outcome(plan) == {"song.flac": ["Urban", "Rap"]}
    assert plan.entries[0]["probabilities"] == {"Urban": pytest.approx(0.9), "Rap": pytest.approx(0.6)}


@pytest.mark.parametrize("text", ["- a\n- b\n", "Rock: [a, 5]\n", "Rock: []\n", "No: yes\n", "{", "Rock: ''\n", "\xff"])
def test_a_map_that_is_none(text, tmp_path, song):
    names = tmp_path / "genres.yaml"
    names.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=r"genres\.yaml"):
        tags.plan(predicted(song("flac")), names=names)


def test_predictions_as_json_lines(tmp_path, song):
    path = song("flac")
    lines = [
        {"path": path, "model": "m", "sure": True, "genres": [{"genre": "Jazz", "probability": 0.8}], "error": None},
        {"path": "gone.mp3", "sure": None, "genres": [], "error": {"code": "truncated", "message": "cut off"}},
    ]
    source = tmp_path / "p.jsonl"
    source.write_text("\n".join(json.dumps(line) for line in lines) + "\n\n")
    plan = tags.plan(source)
    assert outcome(plan) == {"song.flac": ["Jazz"]}
    assert plan.skipped == [{"path": os.path.abspath("gone.mp3"), "code": "truncated", "message": "cut off"}]


def test_predictions_as_csv(tmp_path, song):
    """Several rows for several genres; without probabilities they stand as they come."""
    one, two = song("flac"), song("ogg")
    source = tmp_path / "p.csv"
    source.write_text(f"\ufeffpath,genre,probability\n{one},Pop,0.5\n{one},Jazz,0.8\n{two},Blues,\n", encoding="utf-8")
    assert outcome(tags.plan(source)) == {"song.flac": ["Jazz", "Pop"], "song.ogg": ["Blues"]}
    source.write_text(f"genre,path\nZydeco,{one}\nBlues,{one}\n")
    assert outcome(tags.plan(source)) == {"song.flac": ["Zydeco", "Blues"]}


@pytest.mark.parametrize(
    "text",
    [
        "{oops\n",
        '{"genres": []}\n',
        '{"path": "a", "genres": [{"genre": 5}]}\n',
        '{"path": "a", "genres": [{"genre": "J", "probability": 7}]}\n',
        '{"path": "a", "genres": [{"genre": "\\n"}]}\n',
        "file,genre\na,b\n",
        "path,genre,probability\na,b,high\n",
    ],
)
def test_predictions_that_are_none(text, tmp_path):
    source = tmp_path / "p"
    source.write_text(text)
    with pytest.raises(UsageError):
        tags.plan(source)


@pytest.mark.parametrize("settings", [{"policy": "fil"}, {"threshold": 1.5}, {"max_genres": 0}])
def test_settings_that_are_none(settings):
    with pytest.raises(UsageError):
        tags.plan([], **settings)


def test_genres_are_one_line_of_text(song):
    plan = tags.plan([{"path": song("flac"), "genres": ["Acid\x00 \n\tJazz "]}])
    assert outcome(plan) == {"song.flac": ["Acid Jazz"]}


def test_a_folder_is_walked(tmp_path, song):
    """Each real folder once, though links lead back up; what was not predicted is named."""
    folder = tmp_path / "music"
    (folder / "deep").mkdir(parents=True)
    os.rename(song("flac"), folder / "deep" / "a.flac")
    os.rename(song("mp3"), folder / "b.MP3")
    os.rename(song("ogg"), folder / "new.ogg")
    (folder / "notes.txt").write_text("no music")
    (folder / "._b.mp3").write_text("what another system leaves")
    os.symlink(folder, folder / "deep" / "up")
    os.symlink("around", folder / "around")
    plan = tags.plan(predicted(folder / "b.MP3", folder / "deep" / "a.flac", tmp_path / "other.mp3"), [folder])
    assert sorted(outcome(plan)) == ["a.flac", "b.MP3"]
    assert [(os.path.basename(s["path"]), s["code"]) for s in plan.skipped] == [("new.ogg", "no-prediction")]


def test_one_file_under_several_names(tmp_path, song):
    """The same file by a link: planned once, the other name is told."""
    path = song("flac")
    os.symlink(path, tmp_path / "link.flac")
    os.link(path, tmp_path / "hard.flac")
    plan = tags.plan(predicted(path, tmp_path / "link.flac", tmp_path / "hard.flac"))
    assert list(outcome(plan)) == ["song.flac"]
    assert [s["code"] for s in plan.skipped] == ["same-file", "same-file"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "not-audio"),
        (b"just some text, no music" * 50, "not-audio"),
        (b"ID3\x04\0\0\0\0\0\x01\0", "damaged"),
        (b"ID3\x04\0\0\0\0\x7f\x7f" + b"x" * 50, "damaged"),
        (b"\xff\xfb\x90", "not-audio"),
        (b"fLaC\0\0\xff\xff" + b"x" * 40, "damaged"),
        (b"OggS" + bytes(40), "damaged"),
        (b"RIFF\xff\xff\xff\xffWAVEdata\xff\xff\xff\xff" + b"x" * 40, "damaged"),
        (b"RF64\xff\xff\xff\xffWAVEds64" + b"x" * 40, "unsupported"),
        (b"FORM\0\0\0\x10AIFFSSND\0\0\x10\0abcd", "damaged"),
        (b"\0\0\0\x18ftypM4A " + b"x" * 40, "damaged"),
        (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + b"\xff" * 40, "damaged"),
        (b"wvpk" + b"x" * 40 + b"APETAGEX" + b"\xff" * 24, "damaged"),
    ],
)
def test_what_is_broken_is_named_and_left_alone(content, code, tmp_path):
    path = tmp_path / "song.mp3"
    path.write_bytes(content)
    plan = tags.plan(predicted(path))
    assert [s["code"] for s in plan.skipped] == [code], plan.skipped
    assert path.read_bytes() == content


@pytest.mark.parametrize("kind", ["mp3", "flac", "ogg", "opus", "wav", "aiff", "m4a", "wma", "wv"])
def test_files_cut_off_anywhere_or_with_bytes_turned_never_crash(kind, music, tmp_path):
    """Every file is planned or named; what is planned can be written and undone, or is named then."""
    import numpy as np

    random = np.random.default_rng(11)
    with open(music(kind), "rb") as file:
        whole = file.read()
    for n in range(25):
        data = bytearray(whole)
        if n % 2:
            del data[int(random.integers(1, min(len(data), 20_000))) :]
        else:
            for at in random.integers(0, min(len(data), 12_000), 6):
                data[at] = int(random.integers(0, 256))
        (tmp_path / f"broken{n}.{kind}").write_bytes(data)
    paths = sorted(tmp_path.glob("broken*"))
    first = {path: path.read_bytes() for path in paths}
    plan = tags.plan(predicted(*paths), policy="replace")
    report = tags.apply(plan)
    assert len(plan.entries) + len(plan.skipped) + len(plan.unchanged) == 25
    assert report.count + len(report.skipped) == len(plan.entries)
    tags.undo()
    assert {path: path.read_bytes() for path in paths} == first


def test_an_mp3_with_junk_in_front(music, tmp_path):
    path = tmp_path / "junk.mp3"
    with open(music("mp3"), "rb") as file:
        data = file.read()
    path.write_bytes(b"junk" * 100 + data[tags_end(data) :])
    assert outcome(tags.plan(predicted(path))) == {"junk.mp3": ["Électronique", "Hip-Hop"]}


def tags_end(data):
    return 10 + (data[6] << 21 | data[7] << 14 | data[8] << 7 | data[9])


def test_what_is_no_file(tmp_path):
    (tmp_path / "folder.mp3").mkdir()
    os.mkfifo(tmp_path / "pipe.mp3")
    os.symlink("loop.mp3", tmp_path / "loop.mp3")
    names = ["folder.mp3", "pipe.mp3", "loop.mp3", "gone.mp3"]
    plan = tags.plan(predicted(*(tmp_path / name for name in names)))
    assert [s["code"] for s in plan.skipped] == ["not-a-file", "not-a-file", "loop", "missing"]


def test_a_plan_goes_to_a_file_and_back(tmp_path, song):
    plan = tags.plan(predicted(song("flac")))
    plan.save(tmp_path / "plan.json")
    assert tags.read_plan(tmp_path / "plan.json") == plan
    assert sorted(os.listdir(tmp_path)) == ["plan.json", "song.flac"]


@pytest.mark.parametrize("text", ["", "[]", '{"format": "other"}', '{"format": "tonearm-plan/1", "entries": [{}]}'])
def test_a_plan_that_is_none(text, tmp_path):
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(UsageError):
        tags.read_plan(tmp_path / "plan.json")
