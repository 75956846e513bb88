"""The commands audit and split as a user calls them, and the page they write."""

import html.parser
import json
import subprocess
import sys

import numpy as np
import pytest

from tonearm.protocols import read_split
from tonearm.reports.audit_page import page


def tonearm(*arguments, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "tonearm", *map(str, arguments)], capture_output=True, text=True, timeout=200
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    """A pack of vectors with odd titles: 12 artists of 5 tracks, one exact copy under another genre, one NaN."""
    folder = tmp_path_factory.mktemp("packs") / "<b>pack & co"
    folder.mkdir()
    random = np.random.default_rng(0)
    values = random.normal(size=(60, 8)).astype(np.float32) + np.repeat(random.normal(size=(12, 8)), 5, axis=0)
    values[30] = values[1]
    values[44, 2] = np.nan
    np.save(folder / "features.npy", values.astype(np.float32))
    lines = ["id,genre,split,artist,title"]
    for i in range(60):
        split = ("train", "train", "train", "valid", "test")[i % 5]
        genre = "xy"[(i // 5) % 2]
        lines.append(
            f"""t{i},{genre},{split},a{i // 5},"<script>alert('{i}')</script> =1+1, ""quoted"" – ü" """.strip()
        )
    (folder / "tracks.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    meta = {
        "format": "feature-pack/1",
        "name": "<i>odd",
        "feature": {"kind": "table"},
        "axes": ["track", "column"],
        "classes": ["x", "y"],
        "array": {"file": "features.npy", "shape": [60, 8], "dtype": "float32"},
        "tracks": {"file": "tracks.csv", "rows": 60, "columns": ["id", "genre", "split", "artist", "title"]},
    }
    (folder / "pack.json").write_text(json.dumps(meta))
    return folder


def test_json_has_the_promised_shape(pack):
    pytest.importorskip("sklearn")
    done = tonearm("audit", pack, "--json", "--quick")
    report = json.loads(done.stdout)
    assert {"integrity", "duplicates", "leakage", "inflation", "doubtful"} <= set(report)
    exact = [duplicate for duplicate in report["duplicates"] if duplicate["kind"] == "exact"]
    assert exact[0]["ids"] == ["t1", "t30"]
    assert exact[0]["evidence"]
    assert [f["id"] for f in report["integrity"] if f["code"] == "not-finite"] == ["t44"]
    leak = next(leak for leak in report["leakage"] if leak["kind"] == "artist" and leak["parts"] == ["train", "test"])
    assert leak["count"] == len(leak["ids"]) == 12
    for row in report["inflation"]:
        assert {"protocol", "accuracy", "interval", "n", "leaky"} <= set(row)
        assert row["interval"][0] <= row["accuracy"] <= row["interval"][1]


def test_light_needs_no_extra_and_loads_none(pack):
    code = (
        "import sys; from tonearm.cli._root import run; code = run(sys.argv[1:]);"
        "heavy = {'torch', 'sklearn', 'scipy', 'librosa', 'matplotlib'} & set(sys.modules);"
        "print('HEAVY', code, *heavy, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "audit", str(pack), "--light", "--json"], capture_output=True, text=True
    )
    assert done.stderr.strip().splitlines()[-1] == "HEAVY 0"
    assert json.loads(done.stdout)["duplicates"]


def test_without_the_extra_the_rest_is_done_and_the_command_named(pack, monkeypatch):
    from tonearm.audit import audit

    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None)
    report = audit(pack)
    assert report["duplicates"]
    assert report["inflation"] == []
    assert 'pip install "tonearm[audit]"' in report["skipped"]


class Collector(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.addresses, self.open = [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("href", "src")]
        if tag not in ("meta", "br", "rect", "path", "circle"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in ("rect", "path", "circle"):
            assert self.open.pop() == tag


def test_the_page_is_one_file_that_fetches_and_runs_nothing(pack, tmp_path):
    pytest.importorskip("sklearn")
    out = tmp_path / "audit.html"
    done = tonearm("audit", pack, "--quick", "--html", out, "-q")
    assert "Leakage" in done.stdout
    text = out.read_text(encoding="utf-8")
    seen = Collector()
    seen.feed(text)
    assert not seen.open
    assert "script" not in seen.tags
    assert "link" not in seen.tags
    assert "img" not in seen.tags
    assert "<i>odd" not in text
    assert all(address.startswith("data:text/csv") for address in seen.addresses)
    assert "&lt;script&gt;alert(" in text
    assert seen.tags.count("svg") >= 2
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert "Content-Security-Policy" in text


def test_a_page_links_sound_relative_to_where_it_lies(tmp_path):
    report = {
        "name": "n", "kind": "dataset", "tracks": 2, "rows": 2, "genres": {"a": 1, "b": 1}, "quick": False, "seed": 0,
        "known": {"artist": 0, "recording": 0, "split": 0, "album": 0}, "unknown": {"artist": 2, "recording": 2},
        "integrity": [], "leakage": [], "split": None, "inflation": [], "horse": [], "seconds": 1.0, "tonearm": "0",
        "duplicates": [{
            "ids": ["one", "two"], "kind": "near", "evidence": "e", "score": 1.0, "genres": ["a", "b"],
            "artists": ["", ""], "titles": ["", ""], "paths": [str(tmp_path / "mu sic" / 'a"b#.mp3'), ""],
            "known": False, "labels_differ": True,
        }],
        "doubtful": [],
    }  # fmt: skip
    text = page(report, base=tmp_path / "reports")
    assert 'src="../mu%20sic/a%22b%23.mp3"' in text
    assert "under different labels: a and b" in text


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["/no/such/folder"], 1, "no such file or folder"),
        (["PACK", "--split", "/no/such.json"], 1, "no such file"),
        (["PACK", "--html", "/no/such/folder/x.html"], 1, "cannot be written"),
        (["PACK", "--audio", "/no/such/folder"], 1, "no such folder"),
        (["PACK", "--sed", "3"], 2, "--seed"),
        ([], 2, "PACK_OR_DATASET"),
    ],
)
def test_mistakes_are_one_line(pack, arguments, code, words):
    done = tonearm("audit", *[pack if a == "PACK" else a for a in arguments], code=code)
    assert words in done.stderr
    assert done.stdout == ""


def test_a_split_is_made_shown_checked_and_judged(pack, tmp_path):
    path = tmp_path / "split.json"
    tonearm("split", "make", pack, "--protocol", "artist", "--folds", "3", "--seed", "2", "-o", path)
    split = read_split(path)
    assert split.folds == 3
    assert split.seed == 2
    # t1 and t30 are one recording by their content, so their artists go together
    part = {track: name for name, ids in split.parts.items() for track in ids}
    assert part["t1"] == part["t30"]
    assert split.hash in tonearm("split", "show", path).stdout
    answer = json.loads(tonearm("split", "check", path, pack, "--json").stdout)
    assert answer["ok"]
    assert answer["leakage"] == []
    leaky = tmp_path / "leaky.json"
    tonearm("split", "make", pack, "--protocol", "track", "-o", leaky)
    assert "share an artist" in tonearm("split", "check", leaky, pack).stdout
    assert "different splits" in tonearm("split", "compare", path, leaky, code=1).stdout
    assert "the same split" in tonearm("split", "compare", path, path).stdout
    report = json.loads(tonearm("audit", pack, "--split", leaky, "--light", "--json", "-q").stdout)
    assert report["split"]["name"] == read_split(leaky).name
    assert any(leak["kind"] == "artist" for leak in report["leakage"])
    assert any(leak["kind"] == "recording" for leak in report["leakage"]) == (
        ("t1" in read_split(leaky).parts["train"]) != ("t30" in read_split(leaky).parts["train"])
    )


def test_a_broken_promise_is_exit_code_1(pack, tmp_path):
    path = tmp_path / "column.json"
    tonearm("split", "make", pack, "--protocol", "column", "--column", "split", "-o", path)
    data = json.loads(path.read_text())
    data["keeps_apart"] = ["track", "artist"]
    path.write_text(json.dumps(data))
    done = tonearm("split", "check", path, pack, code=1)
    assert "share an artist" in done.stdout


def test_every_protocol_has_a_card_on_the_command_line():
    from tonearm.protocols import registry

    cards = json.loads(tonearm("split", "list", "--json").stdout)
    assert [card["protocol"] for card in cards] == registry.names()
    words = tonearm("split", "list").stdout
    assert "LEAKY, only with --leaky-on-purpose" in words
    done = tonearm("split", "make", "nothing-here", "--protocol", "artits", code=2)
    assert "did you mean 'artist'" in done.stderr


def test_segments_need_the_word(shared_data, tmp_path):
    pack = shared_data / "gtzan-stats-10s"
    done = tonearm("split", "make", pack, "--protocol", "segment", "-o", tmp_path / "s.json", code=2)
    assert "--leaky-on-purpose" in done.stderr
    done = tonearm("split", "make", pack, "--protocol", "segment", "--leaky-on-purpose", "-o", tmp_path / "s.json")
    assert "LEAKY" in done.stderr
    assert read_split(tmp_path / "s.json").name.startswith("leaky-")
    report = json.loads(tonearm("audit", pack, "--split", tmp_path / "s.json", "--light", "--json", "-q").stdout)
    assert next(leak for leak in report["leakage"] if leak["kind"] == "track")["count"] > 400
    assert report["split"]["leaky"]
