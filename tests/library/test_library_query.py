"""Asking: the words of a query, what sounds alike, what is there twice, what goes out to other programs."""

from __future__ import annotations

import csv
import importlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlparse

import numpy as np
import pytest
import soundfile
from library_helpers import RATE, tune

from tonearm import library, tags
from tonearm.cli.library import _no_pandas
from tonearm.errors import TonearmError, UsageError
from tonearm.library import copies, counts, export, language, prints, rows, sound, vectors


@pytest.fixture
def mine(filled):
    with library.open(filled) as opened:
        yield opened


def everything(mine):
    """Every row, the missing ones too."""
    return [*library.query(mine), *library.query(mine, "is:missing")]


def best(row):
    return row["genres"][0] if row["genres"] else {"genre": None, "probability": -1.0}


def agreement(row, genres):
    """By hand what `is:agree` and `is:disagree` say: True, False, or None where nothing can be said."""
    if not row["sure"]:
        return None
    spoken = {genre for genre in genres for tag in sound.folded_genres(row["tagged"])
              if sound.same_genre(tag, sound.folded(genre))}  # fmt: skip
    return best(row)["genre"] in spoken if spoken else None


QUERIES = {
    "genre:jazz": lambda row: best(row)["genre"] == "Jazz",
    "genre:jazz,hip-hop": lambda row: best(row)["genre"] in ("Jazz", "Hip-Hop"),
    "genre:hiphop": lambda row: best(row)["genre"] == "Hip-Hop",
    "not genre:jazz": lambda row: best(row)["genre"] != "Jazz",
    "confidence:0.8..": lambda row: best(row)["probability"] >= 0.8,
    "confidence:..0.5": lambda row: 0 <= best(row)["probability"] <= 0.5,
    "artist:silver": lambda row: "silver" in row["artist"],
    "artist:ETE": lambda row: "Été" in row["artist"],
    'artist:"blue night"': lambda row: "blue night" in row["artist"],
    "album:голубой year:1960..1969": lambda row: "голубой" in row["album"] and 1960 <= row["year"] <= 1969,
    "year:1999": lambda row: row["year"] == 1999,
    "year:..1955": lambda row: row["year"] <= 1955,
    "blue": lambda row: "blue" in " ".join((row["title"], row["artist"], row["album"])),
    "tag:rock": lambda row: "Rock" in row["tagged"] or "Indie Rock" in row["tagged"],
    "tag:hip-hop": lambda row: "Hip Hop" in row["tagged"] or "Hip-Hop" in row["tagged"],
    "tag:electro": lambda row: "Électro" in row["tagged"],
    "tag:songwriter": lambda row: "Singer/Songwriter" in row["tagged"],
    "is:sure": lambda row: row["sure"],
    "is:unsure": lambda row: not row["sure"] and row["genres"],
    "is:untagged": lambda row: not row["tagged"],
    "is:error": lambda row: row["error"],
    "error:not-audio": lambda row: row["error"],
    "is:unpredicted": lambda row: not row["genres"],
    "seconds:200": lambda row: True,
    "seconds:..100": lambda row: False,
    "is:disagree": lambda row: agreement(row, GENRES) is False,
    "is:agree": lambda row: agreement(row, GENRES) is True,
    "not is:disagree is:tagged": lambda row: agreement(row, GENRES) is not False and row["tagged"],
    "path:/music/blue\\ night": lambda row: row["path"].startswith("/music/blue night/"),
    "path:000012": lambda row: "000012" in row["path"],
}
GENRES = ("Blues", "Classical", "Country", "Electronic", "Folk", "Hip-Hop", "Jazz", "Pop", "Rock")


@pytest.mark.parametrize("text", QUERIES)
def test_a_query_finds_what_it_says(text, mine):
    fits = QUERIES[text]
    words = [text.replace("\\ ", " ")] if "\\ " in text else text
    found = [row["id"] for row in library.query(mine, words)]
    expected = {row["id"] for row in everything(mine) if fits(row) and not row["missing"]}
    assert set(found) == expected
    assert len(found) == len(expected) == library.count(mine, words)
    chosen = rows.model_of(mine)
    total, first = rows.page(mine, words, chosen, limit=5)
    assert (total, list(first["id"])) == (len(expected), found[:5])


def test_the_samples_of_queries_find_something(mine):
    nothing = [text for text in QUERIES if not library.count(mine, [text] if "\\" in text else text)]
    assert [text for text in nothing if "path:/music" not in text] == ["seconds:..100"]


def test_missing_files_are_shown_when_asked_for(mine):
    gone = list(library.query(mine, "is:missing"))
    assert gone
    assert all(row["missing"] for row in gone)
    assert not any(row["missing"] for row in library.query(mine))
    assert len(list(library.query(mine, "not is:missing"))) == len(list(library.query(mine)))


def test_words_from_a_shell_and_from_a_text_mean_the_same(mine):
    one = language.parse('genre:jazz not artist:"miles davis" "so what" is:sure')
    assert one == language.parse(["genre:jazz", "not", "artist:miles davis", "so what", "is:sure"])
    assert one == language.parse(['genre:jazz not artist:"miles davis" "so what" is:sure'])
    assert language.parse("12:30") == [language.Term("", "12:30", False)], "a bare word may hold a colon"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("genre:jaz", "Hip-Hop, Jazz, Pop"),
        ("genr:jazz", "did you mean 'genre'"),
        ("is:lost", "missing"),
        ("year:new", "year:1990..1999"),
        ("year:..", "year:1990..1999"),
        ("confidence:80", "between 0 and 1"),
        ("artist:", "part of the artist"),
        ("genre:jazz not", "ends in `not`"),
    ],
)
def test_a_wrong_query_says_what_is_right(text, said, mine):
    with pytest.raises(UsageError) as caught:
        list(library.query(mine, text))
    assert said in str(caught.value)


@pytest.mark.parametrize("order", rows.ORDERS)
def test_orders(order, mine):
    found = list(library.query(mine, order=order))
    key = {
        "path": lambda row: os.fsencode(row["path"]),
        "artist": lambda row: (row["artist"].encode(), row["year"], row["album"].encode()),
        "confidence": lambda row: -best(row)["probability"],
        "genre": lambda row: (best(row)["genre"] is None, best(row)["genre"] or ""),
        "year": lambda row: row["year"],
        "added": lambda row: -row["id"],
    }[order]
    assert [key(row) for row in found] == sorted(map(key, found))


def test_json_by_hand_is_json(mine):
    mine.connection.execute("UPDATE files SET title = 'quo\"te\\ \x07 é', error_message = 'a\nb' WHERE id < 300")
    mine.connection.execute("UPDATE files SET year = NULL, artist = NULL, size = NULL WHERE id % 7 = 0")
    warnings = json.dumps([{"code": "silent", "message": "nothing"}])
    mine.connection.execute("UPDATE predictions SET warnings = ? WHERE content_id % 5 = 0", (warnings,))
    mine.connection.execute("UPDATE files SET path = CAST(? AS TEXT) WHERE id = 1", (b"/music/\xff\n.flac",))
    chosen = rows.model_of(mine)
    found = list(rows.find(mine, "", chosen)) + list(rows.find(mine, "is:missing", chosen))
    assert len(found) == 1200
    lines = [line for words in ("", "is:missing") for table in rows.tables(mine, words, chosen)
             for line in rows.json_text(table, chosen).split("\n")]  # fmt: skip
    assert lines == [json.dumps(rows.to_dict(row, chosen)) for row in found]
    assert any(row.path == "/music/\udcff\n.flac" for row in found)
    assert {row["warnings"][0]["code"] for row in library.query(mine, "warning:silent")} == {"silent"}


def test_paths_with_a_zero_byte_stay_apart():
    names = [b"/music/a\0b", b"", b"/music/\xff"]
    assert rows._texts(names) == ["/music/a\0b", "", "/music/\udcff"]
    assert rows._texts(names[1:]) == ["", "/music/\udcff"]


def test_rows_can_be_planned_for(music, scan, opened, tiny):
    scan(music, model=tiny)
    with opened() as mine:
        plan = tags.plan(mine.files("is:predicted"))
    assert len(plan.entries) == 4
    assert plan.skipped == []


def test_stats_count_what_the_rows_say(mine):
    told, found = counts.stats(mine), list(library.query(mine))
    assert told["files"] == len(found)
    assert told["missing"] == len(everything(mine)) - len(found)
    assert told["sure"] == sum(row["sure"] for row in found)
    assert told["untagged"] == sum(not row["tagged"] for row in found)
    for genre in GENRES:
        assert told["genres"][genre]["files"] == sum(best(row)["genre"] == genre for row in found)
    agreed = [agreement(row, GENRES) for row in found]
    assert (told["agree"], told["disagree"]) == (agreed.count(True), agreed.count(False))
    assert told["errors"] == {"not-audio": sum(row["error"] is not None for row in found)}
    assert json.loads(json.dumps(told)) == told


# ---- what sounds alike


def cosines(mine, model, song):
    contents, values = vectors.matrix(mine, model)
    values = values.astype(np.float64)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    return contents, values @ values[contents.tolist().index(song)]


def test_the_most_similar_are_those_with_the_largest_cosine(mine):
    chosen = rows.model_of(mine)
    by_content = {content: (path, missing) for content, path, missing in
                  mine.read("SELECT content_id, path, missing_at FROM files WHERE id = content_id")}  # fmt: skip
    song = 17
    contents, similar = cosines(mine, chosen, song)
    order = [content for content in contents[np.argsort(-similar)].tolist()
             if content != song and by_content[content][1] is None]  # fmt: skip
    found = library.similar(mine, by_content[song][0], count=7)
    assert [row["path"] for row in found] == [by_content[content][0] for content in order[:7]]
    expected = [similar[contents.tolist().index(content)] for content in order[:7]]
    np.testing.assert_allclose([row["similarity"] for row in found], expected, atol=2e-3)


def test_an_index_finds_what_comparing_all_finds(mine, monkeypatch):
    pytest.importorskip("usearch")
    from tonearm.library import index

    song = next(library.query(mine, "is:predicted"))["path"]
    exact = [row["id"] for row in library.similar(mine, song, count=10, exact=True)]
    found = [row["id"] for row in library.similar(mine, song, count=10, exact=False)]
    assert len(set(exact) & set(found)) >= 9
    chosen = rows.model_of(mine)
    place = index._place(mine, chosen)
    assert place.exists()
    # What is forgotten is found no more, what is new is found, and a broken index is made again.
    library.forget(mine, f"path:{next(iter(mine.files('is:predicted', limit=1)))['path']}")
    gone = exact[0]
    (path,) = mine.one("SELECT path FROM files WHERE id = ?", (gone,))
    library.forget(mine, [f"path:{path}"])
    place.write_bytes(b"broken")
    other = next(library.query(mine, "is:predicted"))["path"]
    after = library.similar(mine, other, count=10, exact=False)
    assert gone not in [row["id"] for row in after]
    assert len({row["id"] for row in after} & {row["id"] for row in library.similar(mine, other, count=10)}) >= 9
    monkeypatch.setattr(vectors, "EXACT_SONGS", 100)
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(TonearmError) as caught:
        library.similar(mine, other)
    assert caught.value.code == "needs-extra"
    assert "tonearm[library]" in caught.value.hint
    assert library.similar(mine, other, exact=True)


def test_a_song_from_outside_is_heard_and_compared(music, scan, opened, tiny, tmp_path):
    scan(music, model=tiny)
    outside = shutil.copy(music / "song2.ogg", tmp_path / "outside.ogg")
    with opened() as mine:
        found = library.similar(mine, outside)
        assert os.path.basename(found[0]["path"]) == "song2.ogg"
        assert found[0]["similarity"] > 0.999
        assert "song2.ogg" not in [os.path.basename(row["path"]) for row in library.similar(mine, music / "song2.ogg")]
        mine.connection.execute("UPDATE models SET path = '/gone', name = 'gone'")
        with pytest.raises(UsageError, match="gone"):
            library.similar(mine, outside)


# ---- what is there twice


def test_copies_are_found_whatever_was_done_to_them(scan, opened, tmp_path):
    music = tmp_path / "music"
    music.mkdir()
    for number in (3, 5, 7, 8):
        soundfile.write(music / f"song{number}.flac", tune(100 + number, 12.0), RATE)
    sample = tune(103, 12.0)
    soundfile.write(music / "same.mp3", sample, RATE)
    soundfile.write(music / "quiet.ogg", 0.3 * sample, RATE)
    soundfile.write(music / "cut.flac", sample[round(1.37 * RATE) :], RATE)
    shutil.copy(music / "song5.flac", music / "copy.flac")
    short = np.concatenate([tune(107, 12.0), tune(999, 12.0)])
    soundfile.write(music / "longer.flac", short, RATE)
    scan(music)
    with opened() as mine:
        groups = library.duplicates(mine)
        told = {frozenset(os.path.basename(file["path"]) for file in group["files"]): group for group in groups}
        assert set(told) == {
            frozenset({"song3.flac", "same.mp3", "quiet.ogg", "cut.flac"}),
            frozenset({"song5.flac", "copy.flac"}),
            frozenset({"song7.flac", "longer.flac"}),
        }
        kinds = {next(iter(sorted(names))): group["kind"] for names, group in told.items()}
        assert kinds == {"cut.flac": "near", "copy.flac": "exact", "longer.flac": "same-recording"}
        offsets = mine.read("SELECT max(abs(offset_seconds)) FROM copies")[0][0]
    assert offsets == pytest.approx(1.37, abs=0.1)


def test_sketches_of_real_songs(shared_data):
    """Real clips in other encodings are recognised, and no two songs are taken for one."""
    clips = sorted(path for path in shared_data.rglob("*") if path.suffix in (".mp3", ".wav", ".flac"))[:12]
    if len(clips) < 4:
        pytest.skip("there are no sounds in the folder of real data")
    from tonearm import audio

    first = [prints.sketch(audio.load(clip, clip_seconds=30)) for clip in clips]
    for i, one in enumerate(first):
        for other in first[i + 1 :]:
            assert prints.compare(one, other)[1] < prints.LEAST_SHARE


def test_a_scan_that_predicts_leaves_fingerprints_to_the_question(scan, opened, tmp_path, tiny):
    music = tmp_path / "music"
    music.mkdir()
    sample = tune(103, 12.0)
    for name, samples in (("a.flac", sample), ("a.mp3", 0.5 * sample), ("b.flac", tune(5, 12.0)), ("c.ogg", sample)):
        soundfile.write(music / name, samples, RATE)
    scan(music, model=tiny)
    with opened() as mine:
        assert len(library.duplicates(mine, listen=False)) == 0
        assert len(copies.unheard(mine)) == 4
        os.utime(music / "c.ogg", ns=(1, 1))
        (music / "b.flac").unlink()
        failed = library.complete(mine, workers=0)
        assert sorted(item["code"] for item in failed) == ["changed", "missing"]
        (group,) = library.duplicates(mine, workers=0)
        assert [os.path.basename(file["path"]) for file in group["files"]] == ["a.flac", "a.mp3"]
        assert sorted(os.path.basename(job.path) for job in copies.unheard(mine)) == ["b.flac", "c.ogg"]
    scan(music, model=tiny)
    with opened() as mine:
        (group,) = library.duplicates(mine, workers=2)
        assert [os.path.basename(file["path"]) for file in group["files"]] == ["a.flac", "a.mp3", "c.ogg"]
        assert not copies.unheard(mine)


def test_silence_is_no_copy_of_silence(scan, opened, tmp_path):
    for number in range(3):
        soundfile.write(tmp_path / f"{number}.wav", np.zeros(RATE * (number + 5)), RATE)
    assert scan(tmp_path).heard == 3
    with opened() as mine:
        assert library.duplicates(mine) == []


# ---- out to other programs


def found(mine, text="", **keywords):
    chosen = rows.model_of(mine)
    return export.Found(mine, text, chosen, **keywords)


def test_cells_are_quoted_as_the_csv_module_does():
    texts = ["a", None, "a,b", 'say "x"', "two\nlines", "", " x ", "é,🎶", "\udce9,", '"']
    for some in (texts, ["a", "b;c"], [None, "x"]):
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerow(some)
        assert ",".join(export._csv(some)) + "\n" == text.getvalue()


def test_tables_hold_what_the_rows_say(mine, tmp_path):
    mine.connection.execute("UPDATE files SET path = CAST(? AS TEXT) WHERE id = 2", (b'/music/\xff,\n"x.flac',))
    expected = list(library.query(mine))
    export.to_file(found(mine), tmp_path / "a.csv", "csv")
    with open(tmp_path / "a.csv", encoding="utf-8", errors="surrogateescape", newline="") as file:
        read = list(csv.DictReader(file))
    assert [row["path"] for row in read] == [row["path"] for row in expected]
    assert [row["genre"] or None for row in read] == [best(row)["genre"] for row in expected]
    assert [row["sure"] == "true" for row in read] == [row["sure"] for row in expected]
    assert [row["tagged"].split("; ") if row["tagged"] else [] for row in read] == [row["tagged"] for row in expected]
    several = ["; ".join(f"{g['genre']} {g['probability']}" for g in row["genres"]) for row in expected]
    assert [row["genres"] for row in read] == several
    export.to_file(found(mine), tmp_path / "a.json", "json")
    assert json.loads((tmp_path / "a.json").read_text()) == expected
    export.to_file(found(mine), tmp_path / "a.jsonl", "jsonl")
    assert [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()] == expected
    assert export.to_file(found(mine, "genre:pop year:1800"), tmp_path / "none.json", "json") == 0
    assert json.loads((tmp_path / "none.json").read_text()) == []
    assert not list(tmp_path.glob("*.tmp"))


def test_parquet(mine, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    mine.connection.execute("UPDATE files SET path = CAST(? AS TEXT) WHERE id = 2", (b"/music/\xff.flac",))
    expected = list(library.query(mine))
    export.to_file(found(mine), tmp_path / "a.parquet", "parquet")
    read = parquet.read_table(tmp_path / "a.parquet").to_pylist()
    assert [os.fsdecode(row["path_bytes"]) for row in read] == [row["path"] for row in expected]
    assert [row["path"] for row in read if row["id"] == 2] == ["/music/\\xff.flac"]
    assert [row["year"] for row in read] == [row["year"] for row in expected]
    assert [row["missing"] for row in read] == [False] * len(read)


def test_pandas_is_left_out_only_while_writing(monkeypatch):
    monkeypatch.delitem(sys.modules, "pandas", raising=False)
    before = list(sys.meta_path)
    with _no_pandas(), pytest.raises(ModuleNotFoundError, match="not needed here"):
        importlib.import_module("pandas")
    assert sys.meta_path == before


def test_parquet_without_its_package(mine, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(TonearmError) as caught:
        export.to_file(found(mine), tmp_path / "a.parquet", "parquet")
    assert "tonearm[library]" in caught.value.hint
    assert not list(tmp_path.glob("*.tmp"))
    assert not (tmp_path / "a.parquet").exists()


def playlist(path: Path) -> list[str]:
    """As a player reads it: every line that is no comment leads to a file."""
    lines = path.read_bytes().decode("utf-8").split("\n")
    assert lines[0] == "#EXTM3U"
    assert lines[-1] == ""
    places = [line for line in lines if line and not line.startswith("#")]
    for line in places:
        if line.startswith("file:"):
            assert os.path.exists(os.fsencode(unquote(urlparse(line).path, errors="surrogateescape")))
        else:
            assert os.path.exists(path.parent / line)
    return places


@pytest.mark.parametrize("relative", [False, True])
def test_playlists_lead_to_the_files(relative, music, scan, opened, tiny, tmp_path):
    for name in (b"new\nline.flac", "emoji 🎸.flac".encode(), b"latin \xe9.flac", b" blank.flac", b"#comment.flac"):
        shutil.copy(music / "song0.flac", os.fsencode(music) + b"/" + name)
    scan(music, model=tiny)
    lists = tmp_path / "lists"
    lists.mkdir()
    with opened() as mine:
        assert export.to_file(found(mine), lists / "all.m3u8", "m3u8", relative=relative) == 9
        assert export.to_file(found(mine), music / "here.m3u8", "m3u8", relative=relative) == 9
        told = export.per_genre(found(mine), lists / "by genre", relative=relative)
    for path in (lists / "all.m3u8", music / "here.m3u8"):
        assert len(set(playlist(path))) == 9
        assert all(line.startswith(("/", "file:")) != relative or line.startswith("file:") for line in playlist(path))
    assert sum(told.values()) == 9
    assert {path.stem for path in (lists / "by genre").iterdir()} == set(told)
    assert sum(len(playlist(path)) for path in (lists / "by genre").iterdir()) == 9
    assert "#EXTINF:5," in (lists / "all.m3u8").read_text()


def test_genres_of_any_name_are_files(mine, tmp_path):
    mine.connection.execute("UPDATE predictions SET genre = 'R&B / \"Soul\"' WHERE genre = 'Pop'")
    told = export.per_genre(found(mine), tmp_path / "lists")
    assert "R&B - -Soul-" in {path.stem for path in (tmp_path / "lists").iterdir()}
    assert len(told) == 9


def test_forgetting(mine, filled):
    before = counts.stats(mine)
    assert library.forget(mine, "is:missing") == before["missing"]
    assert library.forget(mine, "genre:jazz") == before["genres"]["Jazz"]["files"]
    after = counts.stats(mine)
    assert after["missing"] == 0
    assert "Jazz" not in after["genres"]
    for table in ("predictions", "vectors", "sketches", "sketch_keys"):
        sql = f"SELECT count(*) FROM {table} WHERE content_id NOT IN (SELECT content_id FROM files)"
        assert mine.read(sql) == [(0,)], table
    with pytest.raises(UsageError, match="what should be forgotten"):
        library.forget(mine, "")
    assert library.forget_model(mine, "fma") > 0
    assert list(library.query(mine, "is:predicted")) == []
    assert mine.read("SELECT count(*) FROM vectors") == [(0,)]
    assert len(list(mine.files())) == after["files"], "the files stay"


# ---- the commands


@pytest.fixture
def command(capfdbinary):
    """Run a command in this process; what it says on standard output and error."""
    from tonearm.cli._root import run

    def call(*arguments, code=0):
        capfdbinary.readouterr()
        given = run([str(argument) for argument in arguments])
        out, error = capfdbinary.readouterr()
        assert given == code, (out, error)
        return out, error.decode("utf-8", "surrogateescape")

    return call


def test_commands_for_programs_and_people(filled, command, tmp_path, monkeypatch):
    monkeypatch.setenv("TONEARM_LIBRARY", str(filled))
    told = json.loads(command("library", "list", "genre:jazz", "--limit", 3, "--json")[0])
    assert len(told["files"]) == 3
    assert told["total"] > 3
    everyone = json.loads(command("library", "list", "--limit", 0, "--json")[0])
    assert everyone["total"] == len(everyone["files"]) == json.loads(command("library", "stats", "--json")[0])["files"]
    out, error = command("library", "list", "is:disagree", "--limit", 5)
    assert len(out.splitlines()) == 5
    assert "more" in error
    assert b"sure of" in command("library", "stats")[0]
    assert json.loads(command("library", "search", "blue", "--json")[0])["total"] > 3
    assert json.loads(command("library", "duplicates", "--json")[0])["duplicates"]
    assert command("library", "duplicates", "--kind", "exact")[0].startswith(b"exact")
    song = told["files"][0]["path"]
    assert len(json.loads(command("library", "similar", song, "-n", 4, "--json")[0])["files"]) == 4
    assert command("library", "export", "-o", tmp_path / "x.m3u8", "is:sure")[1].endswith("x.m3u8\n")
    assert json.loads(command("library", "forget", "is:missing", "--json")[0])["forgotten"] > 0
    monkeypatch.setenv("TONEARM_LIBRARY", str(tmp_path / "none"))
    assert "no library yet" in command("library", "list", code=1)[1]


WRONG = {
    "list genr:jazz": "genre",
    "list --by luck": "artist",
    "duplicates --kind alike": "same-recording",
    "export": "which format",
    "export --format doc": "parquet",
    "export --per-genre": "-o playlists",
    "export --relative --format m3u8": "relative to what",
    "export --relative -o x.csv": "playlist",
    "forget": "is:missing",
    "forget is:missing --model x": "either",
}


@pytest.mark.parametrize("line", WRONG)
def test_wrong_commands(line, filled, command, monkeypatch):
    monkeypatch.setenv("TONEARM_LIBRARY", str(filled))
    assert WRONG[line] in command("library", *line.split(), code=2)[1]


@pytest.mark.parametrize(
    "line", [["list", "--limit", "0", "--json"], ["list"], ["stats"], ["export", "--format", "csv"]]
)
def test_asking_loads_neither_numpy_nor_decoders(line, filled):
    code = "import sys; from tonearm.cli import main\ntry: main(sys.argv[1:])\nexcept SystemExit: pass\n"
    code += "print('LOADED', *[m for m in ('numpy', 'soundfile', 'mutagen') if m in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code, "library", *line, "--library", str(filled)], capture_output=True)
    assert done.stderr.splitlines()[-1] == b"LOADED", done.stderr[-500:]
    assert done.stdout


def test_a_table_on_standard_output(filled):
    call = [sys.executable, "-m", "tonearm", "library", "export", "genre:jazz", "--format", "csv"]
    done = subprocess.run(call, capture_output=True, env={**os.environ, "TONEARM_LIBRARY": str(filled)}, check=True)
    assert done.stdout.startswith(b"path,genre,probability,")
    assert len(done.stdout.splitlines()) > 10


def test_scan_as_a_command(music, command, tmp_path, tiny):
    place = tmp_path / "mine.sqlite"
    (music / "bad.mp3").write_bytes(b"nothing")
    out, error = command("scan", music, "--library", place, "--model", tiny, "--json", "--workers", 1, code=1)
    told = json.loads(out)
    assert (told["found"], told["heard"]) == (5, 4)
    assert [item["code"] for item in told["failed"]] == ["not-audio"]
    out, error = command("scan", "--library", place, "--model", tiny)
    assert out == b""
    assert "nothing has changed" in error
    assert "1 failed before" in error
    shutil.rmtree(music)
    _, error = command("scan", "--library", place, "--model", tiny, code=1)
    assert "its 5 files stay in the library" in error
    command("scan", music, "--no-predict", "--model", "x", code=2)
    command("scan", tmp_path / "nowhere", "--no-predict", "--library", place, code=2)


@pytest.mark.parametrize("query", ["\udcff", "artist:\udcff", "title:x\udcff", "error:\udcff", "warning:\udcff"])
def test_a_word_that_is_not_utf8_is_looked_for_by_its_bytes(mine, query):
    assert list(library.query(mine, query)) == []
    assert len(list(library.query(mine, f"not {query}"))) > 0


def test_an_export_never_takes_the_place_of_a_sound(mine, tmp_path):
    song = tmp_path / "song.mp3"
    song.write_bytes(b"sound")
    found = export.Found(mine, [], rows.model_of(mine, None))
    with pytest.raises(UsageError, match="stays one"):
        export.to_file(found, song, "csv")
    assert song.read_bytes() == b"sound"
    assert export.to_file(found, tmp_path / "songs.csv", "csv") > 0
