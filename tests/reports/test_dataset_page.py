import io
import json
import re
import sys
import types

import numpy as np
import pytest
import soundfile
from report_data import GENRES, check_page, mel_pack, tracks

from tonearm.audio import Waveform
from tonearm.cli._root import run
from tonearm.packs import write_pack
from tonearm.reports import _map, _measure
from tonearm.reports.dataset_page import dataset_page

RATE = 22050


def tone(hertz: float, seconds: float = 4.0, level: float = 0.2) -> np.ndarray:
    time = np.arange(round(seconds * RATE)) / RATE
    return (level * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """Three genres of five files, low, middle and high; one of them is broken."""
    folder = tmp_path_factory.mktemp("music")
    draw = np.random.default_rng(0)
    for genre, hertz in (("bass", 110), ("middle & more", 880), ("treble", 5000)):
        (folder / genre).mkdir()
        for i in range(5):
            sound = tone(hertz * (1 + 0.02 * i)) + draw.normal(size=4 * RATE).astype(np.float32) * 0.01
            soundfile.write(folder / genre / f"{genre}-{i}.wav", sound, RATE)
    (folder / "bass" / "broken.wav").write_bytes(b"no sound")
    return folder


@pytest.fixture(scope="module")
def page_of_music(music):
    return dataset_page(f"folder:{music}", workers=0, base=music)


def test_a_folder_of_music_has_every_part(page_of_music):
    page = check_page(page_of_music)
    assert "16 tracks in 3 genres, from 5 to 6 of each" in page.text
    assert "1 files cannot be read" in page.text
    headings = [a["id"] for a in page.all("h2")]
    for heading in ("how-much-of-what", "lengths-and-rates", "an-example-of-each-genre", "low-level-features-by-genre",
                    "what-goes-with-what", "map-of-all-tracks"):  # fmt: skip
        assert heading in headings
    assert [int(row["tracks"]) for row in page.table("genres")] == [6, 5, 5]
    examples = [a for a in page.all("audio") if "Excerpt" in a["aria-label"]]
    assert len(examples) == 3
    titles = " ".join(page.svgs)
    for words in ("Waveform", "Zero crossings", "linear in frequency", "logarithmic in frequency", "Mel spectrogram",
                  "MFCC", "Chroma"):  # fmt: skip
        assert titles.count(f"<title>{words}") + titles.count(f"<title>Spectrogram, {words}") == 3, words


def test_the_figures_of_every_picture_stand_beside_it(page_of_music):
    page = check_page(page_of_music)
    names = [a["download"].removesuffix("-waveform.csv") for a in page.all("a")
             if a.get("download", "").endswith("-waveform.csv")]  # fmt: skip
    assert len(names) == 3
    for name in names:
        hertz = {"bass": 110, "middle & more": 880, "treble": 5000}[name.split("/")[-1].rsplit("-", 1)[0]]
        waveform = page.table(f"{name}-waveform")
        assert len(waveform) == 500
        assert max(float(row["highest"]) for row in waveform) == pytest.approx(0.23, abs=0.03)
        assert min(float(row["lowest"]) for row in waveform) == pytest.approx(-0.23, abs=0.03)
        for kind, rows in (("spectrogram", 256), ("logspectrogram", 192)):
            table = page.table(f"{name}-{kind}")
            levels = {key: float(value) for key, value in table[len(table) // 2].items()}
            levels.pop("seconds")
            assert 0.8 * rows < len(levels) <= rows
            loudest = float(max(levels, key=levels.get).removesuffix(" Hz"))
            assert loudest == pytest.approx(hertz * 1.04, rel=0.06, abs=25)
        assert min(float(row["mfcc1"]) for row in page.table(name)) < 0, "a number is no formula"


def test_features_of_tones_are_what_they_must_be(page_of_music):
    rows = check_page(page_of_music).table("features")
    assert len(rows) == 15
    by = {genre: [row for row in rows if row["genre"] == genre] for genre in {row["genre"] for row in rows}}
    for genre, hertz in (("bass", 110), ("middle & more", 880), ("treble", 5000)):
        assert np.median([float(row["RMS"]) for row in by[genre]]) == pytest.approx(
            20 * np.log10(0.2 / 2**0.5), abs=0.3
        )
        if hertz > 500:
            zcr = np.median([float(row["ZCR"]) for row in by[genre]])
            assert zcr == pytest.approx(2 * hertz * 1.04, rel=0.1)


def test_the_map_is_of_all_that_was_measured(page_of_music):
    data = json.loads(re.search(r'<script type="application/json">(.*?)</script>', page_of_music)[1])
    assert len(data["labels"]) == len(data["genres"]) == len(data["points"][0]) == 15
    assert all(0 <= x <= 360 and 0 <= y <= 330 for x, y in data["points"][0])
    assert all(sound and not sound.startswith("/") for sound in data["sounds"])
    points = np.array(data["points"][0])
    middle = [np.median(points[np.array(data["genres"]) == g], axis=0) for g in range(3)]
    assert min(np.linalg.norm(middle[a] - middle[b]) for a, b in ((0, 1), (0, 2), (1, 2))) > 20


def test_the_script_is_the_one_that_the_policy_names(page_of_music):
    import base64
    import hashlib

    script = re.search(r"<script>(.*?)</script>", page_of_music, re.DOTALL)[1]
    named = re.search(r"script-src 'sha256-([^']+)'", page_of_music)[1]
    assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() == named


def test_excerpts_can_be_decoded(page_of_music):
    import base64

    source = next(a["src"] for a in check_page(page_of_music).all("audio") if a.get("src"))
    kind, _, data = source.partition(";base64,")
    assert kind in ("data:audio/mpeg", "data:audio/wav")
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(data)))
    assert rate == RATE
    assert len(samples) / rate == pytest.approx(4, abs=0.2)
    assert 0.1 < np.abs(samples).max() < 0.3


def test_measures_equal_librosa():
    librosa = pytest.importorskip("librosa")
    draw = np.random.default_rng(1)
    samples = (tone(440, 3) + draw.normal(size=3 * RATE) * 0.05).astype(np.float32)
    found = dict(
        zip((m.name for m in _measure.OF_SOUND), _measure.sound_numbers(Waveform(samples, RATE)), strict=False)
    )
    keywords = {"y": samples, "sr": RATE}
    assert found["centroid"] == pytest.approx(librosa.feature.spectral_centroid(**keywords).mean(), rel=1e-3)
    assert found["bandwidth"] == pytest.approx(librosa.feature.spectral_bandwidth(**keywords).mean(), rel=1e-3)
    assert found["rolloff"] == pytest.approx(librosa.feature.spectral_rolloff(**keywords).mean(), rel=1e-2)
    assert found["contrast"] == pytest.approx(librosa.feature.spectral_contrast(**keywords).mean(), rel=1e-2)
    assert found["ZCR"] == pytest.approx(librosa.feature.zero_crossing_rate(samples).mean() * RATE, rel=1e-2)


def test_principal_components_equal_scikit_learn():
    decomposition = pytest.importorskip("sklearn.decomposition")
    values = np.random.default_rng(0).normal(size=(80, 7)) @ np.random.default_rng(1).normal(size=(7, 7))
    points, shares = _map.principal(values)
    theirs = decomposition.PCA(2).fit(values)
    other = theirs.transform(values)
    assert shares == pytest.approx(theirs.explained_variance_ratio_)
    for column in (0, 1):
        sign = np.sign(points[0, column] * other[0, column])
        assert points[:, column] == pytest.approx(sign * other[:, column], abs=1e-8)


def test_maps_of_little():
    assert _map.places(np.zeros((2, 4))) == []
    for vectors in (np.zeros((5, 4)), np.ones((5, 1)), np.full((4, 3), np.nan)):
        place = _map.places(vectors)[0]
        assert np.isfinite(_map.spread(place.points)).all()


def test_umap_is_drawn_where_it_is_installed(monkeypatch, tmp_path):
    class Umap:
        def __init__(self, **keywords):
            assert keywords["random_state"] == 0

        def fit_transform(self, values):
            return values[:, :2]

    monkeypatch.setitem(sys.modules, "umap", types.SimpleNamespace(UMAP=Umap))
    page = check_page(dataset_page(mel_pack(tmp_path / "pack").folder))
    assert any("Map of all tracks: UMAP" in svg for svg in page.svgs)
    assert "UMAP 1" in page.table("map")[0]


def test_a_pack_of_bands(tmp_path):
    page = check_page(dataset_page(mel_pack(tmp_path / "pack").folder))
    assert "60 tracks in 3 genres, 20 of each" in page.text
    assert "15 artists, 4.0 tracks each" in page.text
    rows = page.table("features")
    centroid = {genre: np.median([float(r["centroid"]) for r in rows if r["genre"] == genre]) for genre in GENRES}
    assert centroid[GENRES[0]] < centroid[GENRES[1]] < centroid[GENRES[2]]
    assert any("MFCC of" in svg for svg in page.svgs)
    native = check_page(dataset_page(mel_pack(tmp_path / "native", rate="native (44100 for nearly all)").folder))
    assert any("centroid, mel band" in svg for svg in native.svgs)


@pytest.mark.parametrize("named", [True, False])
def test_a_pack_of_columns(tmp_path, named):
    draw = np.random.default_rng(0)
    values = draw.normal(size=(60, 57)).astype(np.float32)
    values[:, 30] += np.arange(60) % 3 * 5
    from tonearm import features

    names = features.create("statistics", table="gtzan").columns()
    feature = {"kind": "table", "columns": names} if named else {"kind": "embedding"}
    write_pack(tmp_path / "pack", values, tracks(), feature=feature, further={"columns": names} if named else {})
    page = check_page(dataset_page(tmp_path / "pack"))
    measured = list(page.table("features")[0])[2:]
    assert measured[:2] == ["ZCR", "centroid"] if named else measured[0] == "column 31"


def test_a_tree_of_genres(tmp_path):
    table = tracks()
    table["genres"] = ["Rock > Punk > Hardcore|Folk" if i % 2 else "Rock" for i in range(60)]
    values = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    write_pack(tmp_path / "pack", values, table, feature={"kind": "embedding"})
    page = check_page(dataset_page(tmp_path / "pack"))
    counts = {row["genre"]: int(row["tracks"]) for row in page.table("tree")}
    assert counts == {"Rock": 60, "Rock > Punk": 30, "Rock > Punk > Hardcore": 30, "Folk": 30}


def test_many_genres_and_segments(tmp_path):
    n = 90
    table = {"id": [f"s{i}" for i in range(n)], "track": [f"t{i // 2}" for i in range(n)],
             "genre": [f"a genre with a rather long name {i // 2 % 40}" for i in range(n)]}  # fmt: skip
    write_pack(tmp_path / "pack", np.random.default_rng(0).normal(size=(n, 6)).astype(np.float32), table,
               feature={"kind": "embedding"})  # fmt: skip
    page = check_page(dataset_page(tmp_path / "pack"))
    assert "45 tracks in 40 genres" in page.text
    assert len(page.table("features")) == 45


def test_a_sample_is_even_over_genres():
    genres = np.array(["a"] * 500 + ["b"] * 20 + ["c"] * 480)
    chosen = _measure.sampled(genres, 60)
    assert len(chosen) == 60
    assert {g: int((genres[chosen] == g).sum()) for g in "abc"} == {"a": 20, "b": 20, "c": 20}
    assert np.array_equal(chosen, _measure.sampled(genres, 60))
    assert len(_measure.sampled(genres, 5000)) == 1000


def test_the_command(music, tmp_path, capsys):
    out = tmp_path / "page.html"
    assert run(["explore", f"folder:{music}", "-o", str(out), "--tracks", "6", "--workers", "1", "-q"]) == 0
    page = check_page(out.read_text(encoding="utf-8"))
    assert "of 16 tracks were listened to" in page.text
    for arguments, code in ((["gone"], 1), ([f"folder:{tmp_path}"], 1), ([str(music), "-o", "x.txt"], 2)):
        assert run(["explore", *arguments]) == code
        assert "Traceback" not in capsys.readouterr().err


def test_names_on_a_map_do_not_cover_each_other():
    order = [f"a genre of music {i}" for i in range(14)]
    of = np.repeat(np.arange(14), 3)
    points = np.random.default_rng(0).normal((180, 165), 4, size=(42, 2))
    found = _map._names(points, of, order)
    assert [name for *_, name in found] == order
    for i, (x, y, name) in enumerate(found):
        assert all(abs(y - b) >= 13 or abs(x - a) >= 3.6 * (len(name) + len(other)) for a, b, other in found[:i])
