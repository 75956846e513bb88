"""GTZAN: 1,000 clips of 30 s in ten genres, the most used and most faulty dataset of the field."""

from __future__ import annotations

import os
import re
from itertools import islice
from pathlib import Path

from tonearm import audio
from tonearm.datasets import _files
from tonearm.datasets._dataset import Card, Dataset, DatasetError, Problem, registry
from tonearm.datasets._facts import table
from tonearm.packs import Track

GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
# blues.00000.wav as published; blues00000 and blues_00000 in copies of copies.
_NAME = re.compile(rf"({'|'.join(GENRES)})[._ -]?(\d{{5}})", re.IGNORECASE)
# Where a copy holds a clip in several formats, the one that has lost least is taken.
_BEST = (".wav", ".wave", ".flac", ".au", ".aif", ".aiff", ".aifc")


def tracks(root: Path) -> list[Track]:
    """The clips of a copy in any of its layouts, with the fault-filtered split, artist groups and recordings."""
    return [_track(name, files[0]) for name, files in _find(root)[0].items()]


def problems(root: Path) -> list[Problem]:
    """Clips that are not there, and clips that are there twice."""
    found, wrong = _find(root)
    for name in table("gtzan.tsv"):
        if name not in found:
            wrong.append(Problem("missing", "", "not in this copy", name))
    for name, files in found.items():
        if len(files) > 1:
            others = ", ".join(_files.text(file.relative_to(root)) for file in files[1:])
            wrong.append(Problem("several-files", os.fspath(files[0]), f"also as {others}", name))
    return wrong


def _find(root: Path) -> tuple[dict[str, list[Path]], list[Problem]]:
    """Files by id, best first: `genres`, `genres_original`, flat or nested once more make no difference."""
    if not root.is_dir():
        hint = f"unpack it first: tar -xf {root}" if root.is_file() else "tonearm data show gtzan"
        raise DatasetError(f"{root}: not a folder with GTZAN in it", hint=hint, code="missing")
    wrong: list[Problem] = []
    found: dict[str, list[Path]] = {}
    for file in _files.walk(root, wrong):
        if name := _id(file):
            found.setdefault(name, []).append(file)
    for files in found.values():
        files.sort(key=lambda file: _BEST.index(end) if (end := file.suffix.lower()) in _BEST else len(_BEST))
    return {name: found[name] for name in sorted(found)}, wrong


def _id(file: Path) -> str:
    """`jazz.00054` for a file that can only be that clip, else empty."""
    stem = file.stem if file.suffix.lower() in audio.SUFFIXES else file.name
    match = _NAME.fullmatch(stem)
    name = f"{match[1].lower()}.{match[2]}" if match else ""
    return name if name in table("gtzan.tsv") else ""


def _track(name: str, file: Path) -> Track:
    row = table("gtzan.tsv")[name]
    note = row["note"] or ("artist is in train, too" if row["overlap"] else "")
    return Track(
        id=name,
        genre=name.split(".")[0],
        split=row["split"],
        artist=row["group"],
        recording=row["recording"] or name,
        path=os.path.abspath(file),
        extra={"artist_name": row["artist"], "title": row["title"], "note": note},
    )


def recognises(root: Path) -> int:
    """Sure when the first few files are called as GTZAN's clips are."""
    first = list(islice(_files.walk(root, []), 3)) if root.is_dir() else []
    return 2 if first and all(map(_id, first)) else 0


registry.add("gtzan")(
    Dataset(
        name="gtzan",
        about=Card(
            title="GTZAN genre collection",
            what="1,000 clips of 30 s, 100 for each of ten genres, 22,050 Hz mono; collected in 2000 and 2001 from "
            "CDs, radio and recordings by microphone.",
            genres=GENRES,
            size="1,000 tracks, 8.4 hours, 1.2 GB",
            licence="none: the recordings are commercial and were never licensed; used for research",
            citation=(
                "G. Tzanetakis, P. Cook: Musical genre classification of audio signals. IEEE Transactions on Speech "
                "and Audio Processing 10(5), 2002",
                "B. L. Sturm: The GTZAN dataset: its contents, its faults, their effects on evaluation, and its future "
                "use. arXiv:1306.1461, 2013",
                "C. Kereliuk, B. L. Sturm, J. Larsen: Deep learning and music adversaries. IEEE Transactions on "
                "Multimedia 17(11), 2015 (the fault-filtered split)",
            ),
            faults=(
                "Few artists: 1,000 clips, some 270 groups of artists; one group has 36 of the 100 clips of reggae. "
                "Split by tracks, a score tells how well artists are recognised.",
                "70 clips repeat the recording of another, 15 of them bit for bit; metal.00058 and rock.00016 are one "
                "recording under two labels.",
                "Labels are wrong or arguable for about a tenth of the clips: above some 94.5 % a score is suspect.",
                "23 of the 290 test clips of the fault-filtered split share an artist with its train part; the "
                "protocol filtered-clean leaves them out.",
                "Sound below 20 Hz gives the labels away to systems that can hear it.",
            ),
            get="No address is reliable: the original site is gone, and nobody has the right to pass the recordings "
            "on. People find copies as genres.tar.gz, on Kaggle (search for GTZAN dataset music genre classification) "
            "and on Hugging Face (search for gtzan). Unpack one and point tonearm at the folder: gtzan:PATH.",
            splits={
                "filtered": "fault-filtered (443 train, 197 valid, 290 test; 70 clips left out), in the column split",
                "artist": "by the groups of artists in the column artist",
            },
        ),
        tracks=tracks,
        problems=problems,
        recognises=recognises,
        known_bad={name: row["note"] for name, row in table("gtzan.tsv").items() if row["note"]},
        min_seconds=29.9,
        sample_rate=22050,
    )
)
