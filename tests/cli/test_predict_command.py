"""`tonearm predict`: what programs read, what people see, and that no bad file stops the others."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tonearm.cli._root import run

sys.path.insert(0, str(Path(__file__).parents[1] / "runtime"))
from tiny_model import write_tiny

RATE = 22050


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A model and a folder of songs: good ones, a broken one, one below, names that are not easy."""
    folder = tmp_path_factory.mktemp("predict")
    write_tiny(folder / "tiny.onnx", temperature=0.5)
    music = folder / "music"
    (music / "below").mkdir(parents=True)
    t = np.arange(7 * RATE) / RATE
    pitch = np.random.default_rng(0).uniform(80, 300, 14)[(t * 2).astype(int)]
    sound = 0.1 * sum(np.sin(2 * np.pi * pitch * k * t) for k in (1, 2, 3)) * np.exp(-4 * (t * 2 % 1))
    for name in ("a.wav", "b ünï 🎵.flac", "line\nbreak.wav", "below/deep.wav", ".hidden.wav"):
        soundfile.write(music / name, sound, RATE)
    (music / "c-broken.mp3").write_bytes(b"ID3" + b"\0" * 4000)
    (music / "notes.txt").write_text("no sound")
    return folder


@pytest.fixture
def tonearm(place, monkeypatch):
    monkeypatch.chdir(place)

    def call(*arguments: str) -> int:
        return run(["predict", *arguments, "--model", "tiny.onnx"])

    return call


def test_json_is_a_line_per_file_in_order(tonearm, capsys):
    assert tonearm("music", "--json") == 1
    shown = capsys.readouterr()
    rows = [json.loads(line) for line in shown.out.splitlines()]
    assert [Path(row["path"]).name for row in rows] == ["a.wav", "b ünï 🎵.flac", "c-broken.mp3", "line\nbreak.wav"]
    assert {"path", "model", "sure", "genres", "seconds", "error"} <= set(rows[0])
    assert rows[0]["sure"] is True
    assert rows[0]["error"] is None
    assert rows[0]["seconds"] == pytest.approx(7.0)
    assert rows[0]["genres"][0]["genre"] == "bass"
    assert rows[2]["error"]["code"] == "not-audio"
    assert rows[2]["genres"] == []
    assert "music/c-broken.mp3: " in shown.err
    assert "[not-audio]" in shown.err
    assert "1 sub-folders were left" in shown.err
    assert "Traceback" not in shown.err


def test_recursive_goes_below(tonearm, capsys):
    assert tonearm("music", "-r", "--json", "--workers", "1") == 1
    shown = capsys.readouterr()
    assert [Path(json.loads(line)["path"]).name for line in shown.out.splitlines()][-1] == "deep.wav"
    assert "left" not in shown.err


def test_csv_has_a_row_per_genre_and_is_read_back(tonearm, capsysbinary):
    assert tonearm("music/a.wav", "music/c-broken.mp3", "--csv", "--top", "3") == 1
    rows = list(csv.DictReader(io.StringIO(capsysbinary.readouterr().out.decode(), newline="")))
    assert list(rows[0]) == ["path", "genre", "probability", "sure", "seconds", "model", "version", "error", "warnings"]
    assert rows[0]["genre"] == "bass"
    assert float(rows[0]["probability"]) > 0.5
    assert rows[0]["sure"] == "true"
    assert rows[-1]["error"] == "not-audio"
    assert rows[-1]["genre"] == ""


def test_what_predict_prints_is_what_tag_plan_reads(tonearm, capsys, tmp_path):
    from tonearm.tags.predictions import read

    tonearm("music/a.wav", "--json")
    (tmp_path / "p.jsonl").write_text(capsys.readouterr().out)
    (found,) = read(tmp_path / "p.jsonl")
    assert found.path == "music/a.wav"
    assert found.genres[0][0] == "bass"
    assert found.sure


def test_people_see_a_line_per_file(tonearm, capsys):
    assert tonearm("music/a.wav") == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("bass ")
    assert shown.out.rstrip().endswith("music/a.wav")
    assert shown.err == ""
    assert tonearm("music/a.wav", "--threshold", "1") == 0
    assert capsys.readouterr().out.startswith("not sure: bass ")


def test_names_come_from_stdin(tonearm, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"music/a.wav\r\n\nmusic/below/deep.wav")))
    assert tonearm("-", "--json") == 0
    assert [json.loads(line)["path"] for line in capsys.readouterr().out.splitlines()] == [
        "music/a.wav", "music/below/deep.wav",
    ]  # fmt: skip
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"music/line\nbreak.wav\0music/a.wav\0")))
    assert tonearm("-", "-0", "--json") == 0
    assert [json.loads(line)["path"] for line in capsys.readouterr().out.splitlines()] == [
        "music/line\nbreak.wav", "music/a.wav",
    ]  # fmt: skip


def test_no_names_at_all_is_said_and_no_failure(tonearm, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n")))
    assert tonearm("-", "--json") == 0
    assert capsys.readouterr() == ("", "no names were given, so there is no answer\n")


def test_a_folder_without_music_says_so(tonearm, capsys, tmp_path):
    assert tonearm(str(tmp_path), "--json") == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "no sound files" in shown.err


@pytest.mark.parametrize(
    "arguments",
    [[], ["x", "--json", "--csv"], ["x", "--threshold", "2"], ["x", "--top", "0"], ["x", "-0"], ["x", "--wrkers", "2"]],
    ids=str,
)
def test_mistakes_of_the_caller_are_code_2(arguments, tonearm, capsys):
    assert tonearm(*arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err


def test_an_unknown_model_names_those_there_are(place, capsys, monkeypatch):
    monkeypatch.setenv("TONEARM_MODELS", str(place))
    assert run(["predict", "x.mp3", "--model", "tinny"]) == 2
    assert "tiny" in capsys.readouterr().err


def start(place: Path, *arguments: str, **keywords) -> subprocess.Popen:
    call = [sys.executable, "-m", "tonearm", "predict", "--model", "tiny.onnx", *arguments]
    return subprocess.Popen(call, cwd=place, stdout=-1, stderr=-1, stdin=keywords.pop("stdin", None), **keywords)


@pytest.mark.skipif(os.name == "nt", reason="names there are text")
def test_a_name_that_is_no_utf8_comes_through_as_it_is(place):
    name = os.fsencode(place / "music") + b"/caf\xe9.wav"
    try:
        os.link(place / "music/a.wav", name)
    except OSError:
        pytest.skip("this file system takes only UTF-8")
    try:
        told, _ = start(place, "-0", "-", "--json", stdin=subprocess.PIPE).communicate(name + b"\0")
        assert os.fsencode(json.loads(told)["path"]) == name
        table, _ = start(place, name, "--csv").communicate()
        assert table.splitlines()[1].startswith(name + b",bass,")
        shown, _ = start(place, name).communicate()
        assert rb"caf\udce9.wav" in shown
    finally:
        os.unlink(name)


def test_what_needs_another_package_says_how_to_get_it_once(place, monkeypatch, capsys):
    monkeypatch.chdir(place)
    monkeypatch.setitem(sys.modules, "av", None)
    for name in ("one.m4a", "two.m4a"):
        (place / name).write_bytes(b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom" + bytes(2000))
    try:
        assert run(["predict", "one.m4a", "two.m4a", "--model", "tiny.onnx"]) == 1
    finally:
        for name in ("one.m4a", "two.m4a"):
            (place / name).unlink()
    words = capsys.readouterr().err
    assert words.count("[needs-extra]") == 2
    assert words.count('pip install "tonearm[av]"') == 1


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_is_a_word_and_code_130_and_leaves_no_process(place):
    process = start(place, "-", "--json", "--workers", "2", stdin=subprocess.PIPE, start_new_session=True)
    process.stdin.write(b"music/a.wav\n" * 40)
    process.stdin.flush()
    process.stdout.readline()  # it is at work
    os.killpg(process.pid, signal.SIGINT)
    _, words = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"interrupted" in words
    assert b"Traceback" not in words
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_a_reader_that_goes_away_is_no_error(place):
    names = " ".join(["music/a.wav"] * 12)
    command = f"{sys.executable} -m tonearm predict --model tiny.onnx --json {names} | head -n 1"
    done = subprocess.run(["sh", "-c", command], cwd=place, capture_output=True, text=True)
    assert len(done.stdout.splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert "Broken" not in done.stderr


def test_nothing_heavy_is_loaded_for_an_answer(place):
    code = (
        "import sys\nfrom tonearm.cli import main\n"
        "try:\n    main(['predict', 'music/a.wav', '--model', 'tiny.onnx', '--json'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'librosa', 'sklearn', 'scipy', 'matplotlib', 'av', 'mutagen', 'rich', 'numpy.ma', 'onnx',\n"
        "         'pydantic', 'yaml', 'importlib.metadata', 'multiprocessing', 'sqlite3'}\n"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=place, capture_output=True, text=True)
    assert done.stdout.splitlines()[1:] in ([], [""]), done.stdout + done.stderr


def test_a_link_in_a_circle_costs_its_own_answer_only(tonearm, place, tmp_path, capsys):
    folder = tmp_path / "links"
    folder.mkdir()
    (folder / "a.wav").write_bytes((place / "music" / "a.wav").read_bytes())
    (folder / "loop.mp3").symlink_to(folder / "loop.mp3")
    for options in ((), ("--recursive",)):
        assert tonearm(str(folder), "--json", *options) == 1
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [(Path(row["path"]).name, bool(row["error"])) for row in rows] == [("a.wav", False), ("loop.mp3", True)]


def test_folders_may_be_nested_deeper_than_python_goes(monkeypatch, tmp_path):
    from tonearm.cli._sounds import sounds

    monkeypatch.chdir(tmp_path)
    deep = sys.getrecursionlimit() + 200
    here = os.open(".", os.O_RDONLY)
    for _ in range(deep):
        os.mkdir("d", dir_fd=here)
        here, above = os.open("d", os.O_RDONLY, dir_fd=here), here
        os.close(above)
    os.close(os.open("x.wav", os.O_CREAT, dir_fd=here))
    os.close(here)
    try:
        found = list(sounds(["d"], recursive=True))
        assert len(found) == 1
    finally:
        subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)


def test_a_carriage_return_in_a_name_stays_in_its_cell(tonearm, place, tmp_path, capsysbinary):
    path = tmp_path / "cr\rcr.wav"
    path.write_bytes((place / "music" / "a.wav").read_bytes())
    assert tonearm(str(path), "--csv") == 0
    out = capsysbinary.readouterr().out.decode()
    rows = list(csv.reader(io.StringIO(out, newline="")))
    assert [row[0] for row in rows] == ["path", *[str(path)] * (len(rows) - 1)]
    assert len(rows) >= 2
    assert out.endswith("\n")
    assert "\r\n" not in out


@pytest.mark.skipif(os.name == "nt", reason="descriptors are closed by the shell")
def test_streams_that_are_closed_are_no_traceback(place):
    command = f'"{sys.executable}" -m tonearm predict - --model tiny.onnx'
    for closed in ("<&-", "<&- >&-", "<&- 2>&-"):
        done = subprocess.run(f"{command} {closed}", shell=True, capture_output=True, text=True, cwd=place)
        assert "Traceback" not in done.stderr
