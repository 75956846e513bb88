"""Run folders, packs and a reader of pages for the tests of reports; nothing is trained here."""

from __future__ import annotations

import csv
import io
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from tonearm import evaluation, runs
from tonearm.packs import Pack, write_pack
from tonearm.recipes import get

GENRES = ("blues", "disco & funk", "<metal>")
TITLE = '=Love <script>alert(1)</script> & "so" on'


def tracks(n: int = 60) -> dict[str, list[str]]:
    genre = [GENRES[i % 3] for i in range(n)]
    return {
        "id": [f"t{i:03}" for i in range(n)],
        "genre": genre,
        "artist": [f"{genre[i]}-{(i // 3) % 5}" for i in range(n)],
        "split": ["train" if i < n // 2 else "test" for i in range(n)],
        "title": [TITLE if i == n - 1 else f"Song {i}" for i in range(n)],
        "artist_name": [f"The {genre[i]} Band {(i // 3) % 5}" for i in range(n)],
    }


def mel_pack(folder: Path, n: int = 60, *, frames: int = 40, rate: int | str = 22050) -> Pack:
    draw = np.random.default_rng(0)
    values = draw.integers(0, 80, size=(n, 32, frames))
    for i in range(n):
        values[i, (i % 3) * 10 : (i % 3) * 10 + 10] += 150
    feature = {"kind": "logmel", "sample_rate": rate, "n_mels": 32, "frames": frames, "clip_seconds": 10.0}
    return write_pack(folder, values.astype(np.uint8), tracks(n), feature=feature, axes=["track", "band", "frame"],
                      scale={"kind": "range", "low": -80.0, "high": 0.0})  # fmt: skip


def make_run(folder: Path, pack: Pack, *, seed: int = 0, fold: int = 0, good: float = 2.0, epochs: int = 4,
             parts: tuple[str, ...] = ("valid", "test"), status: str = "finished") -> Path:  # fmt: skip
    """A run folder as a training leaves it, with made-up answers that are mostly right for `good` above 0."""
    draw = np.random.default_rng(seed)
    half = len(pack) // 2
    rows = {"valid": np.arange(0, half), "test": np.arange(half, len(pack))}
    if fold:
        rows["test"] = rows["test"][fold - 1 :: 2]
    told, figures = {}, {}
    for part in parts:
        own = rows[part]
        truth = own % 3
        scores = draw.normal(size=(len(own), 3)) + good * np.eye(3)[truth]
        shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        told[part] = evaluation.checked_predictions(
            pack.ids[own].tolist(), truth, shares, GENRES, groups=pack.column("artist")[own].tolist()
        )
        figures[part] = {"tracks": evaluation.summary(told[part], resamples=200)}
    folder.mkdir(parents=True)
    recipe = get("njupt-cnn2d" if epochs else "baseline-lda")
    import yaml

    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe.config()))
    runs.write_predictions(folder / "predictions-tracks.csv", told)
    runs.write_json(folder / "metrics.json", {"chosen_on": "valid", "leaky": False, "adapted": [], "quick": False,
                                              "parts": figures})  # fmt: skip
    runs.write_json(folder / "run.json", {
        "recipe": recipe.name, "key": "k", "seed": seed, "fold": fold, "quick": False, "protocol": "artist",
        "leaky": False, "leaks": [], "adapted": ["40 bands instead of 128"], "status": status,
        "data": {"name": "made <up>", "source": str(pack.folder), "sha256": {"features.npy": "ab" * 32},
                 "tracks": len(pack), "rows": len(pack), "classes": list(GENRES), "feature": {"kind": "logmel"}},
        "split": {"name": "artist-1", "hash": "cd" * 32, "sizes": {"train": half, "test": half}},
        "code": {"tonearm": "0", "commit": None}, "libraries": {"numpy": "2"}, "threads": 1,
        "machine": {"system": "Linux", "processor": "P", "cores": 2, "memory_gb": 4.0},
        "parameters": 1234 if epochs else None, "epochs": epochs, "best_epoch": 2 if epochs else None,
        "seconds": 12.5, "error": {"code": "x", "message": "broke"} if status == "failed" else None,
        "peak_memory_mb": 321.0,
    })  # fmt: skip
    runs.write_json(folder / "model" / "model.json", {
        "clip": {"frames": 20, "frame_rate": 4.0}, "model": {"kind": "cnn2d" if epochs else "lda"}, "deep": None,
        "temperature": {"value": 1.2, "fitted_on": "valid", "n": half}, "classes": list(GENRES),
    })  # fmt: skip
    if epochs:
        curves = [{"epoch": e, "train_loss": 2 / e, "train_accuracy": 0.3 + 0.1 * e, "valid_loss": 2.1 / e,
                   "valid_accuracy": 0.3 + 0.08 * e, "seconds": 0.5} for e in range(1, epochs + 1)]  # fmt: skip
        runs.write_curves(folder / "curves.csv", curves)
    return folder


class Page(HTMLParser):
    """A page read strictly: every element closed in order; keeps elements, text and pictures."""

    VOID = ("meta", "br", "input", "hr", "img")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None], tuple[str, ...]]] = []
        self.words: list[str] = []
        self.feed(text)
        assert not self.open, f"never closed: {self.open}"
        self.text = " ".join("".join(self.words).split())
        self.svgs = re.findall(r"<svg .*?</svg>", text, re.DOTALL)

    def handle_starttag(self, name, attributes):
        self.elements.append((name, dict(attributes), tuple(self.open)))
        if name not in self.VOID:
            self.open.append(name)

    def handle_startendtag(self, name, attributes):
        self.elements.append((name, dict(attributes), tuple(self.open)))

    def handle_endtag(self, name):
        assert self.open, f"</{name}> closes nothing"
        assert self.open[-1] == name, f"</{name}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for found, attributes, _ in self.elements if found == name]

    def table(self, name: str) -> list[dict[str, str]]:
        """The rows of a CSV that the page holds for downloading."""
        for link in self.all("a"):
            if link.get("download") == f"{name}.csv":
                return list(csv.DictReader(io.StringIO(unquote(link["href"].split(",", 1)[1]))))
        raise AssertionError(f"no {name}.csv in {[a.get('download') for a in self.all('a') if a.get('download')]}")


def check_page(text: str) -> Page:
    """What every page must keep to; returns it read."""
    page = Page(text)
    ids = [attributes["id"] for _, attributes, _ in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids)), "ids stand twice"
    for link in page.all("a"):
        if link["href"].startswith("#"):
            assert link["href"][1:] in ids
    for name, attributes, _ in page.elements:
        for key in ("src", "href", "xlink:href", "srcset", "action"):
            assert "//" not in (attributes.get(key) or "").replace("file://", "").split(",")[0][:200], (name, key)
        assert not any(key.startswith("on") for key in attributes), "an inline handler"
    assert not re.search(r"@import|url\(", text)
    assert [a.get("lang") for a in page.all("html")] == ["en"]
    assert len(page.all("h1")) == 1
    assert len(page.all("main")) == 1
    assert all(audio.get("aria-label") for audio in page.all("audio"))
    assert all(th.get("scope") == "col" for th in page.all("th"))
    named = [a["aria-label"] for a in page.all("div") if a.get("role") == "region"]
    assert len(named) == len(set(named)), "two regions have one name"
    assert all(a.get("tabindex") == "0" for a in page.all("div") if a.get("role") == "region")
    levels = [int(name[1]) for name, _, _ in page.elements if re.fullmatch("h[1-6]", name)]
    assert all(b - a <= 1 for a, b in pairwise(levels)), "a level of headings is skipped"
    for svg in page.svgs:
        check_svg(svg)
    assert not re.search(r"\b(nan|NaN|None|inf)\b", page.text), re.search(
        r".{40}\b(nan|NaN|None|inf)\b.{20}", page.text
    )
    return page


def check_svg(text: str) -> None:
    """Well-formed, named, and no text outside the picture."""
    root = ET.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    assert root.get("role") == "img"
    assert root.find(f"{space}title").text.strip()
    _, _, width, height = map(float, root.get("viewBox").split())
    assert min(width, height) > 0
    for path in root.iter(f"{space}path"):
        assert "nan" not in path.get("d")
    for element in root.iter(f"{space}text"):
        x, y, size = (float(element.get(key)) for key in ("x", "y", "font-size"))
        # Half of the size is what an average letter of the fonts that the page asks for needs, and a little.
        long = 0.5 * size * len(element.text or "")
        before = {None: 0.0, "start": 0.0, "middle": long / 2, "end": long}[element.get("text-anchor")]
        left, right = (x - before, x - before + long)
        if "rotate(-90" in (element.get("transform") or ""):
            left, right = y + before - long, y + before
            assert -4 <= left < right <= height + 4, (element.text, "up", left, right, height)
            continue
        assert -4 <= left <= right <= width + 4, (element.text, left, right, width)
        assert 0 < y <= height + 1, (element.text, y, height)
