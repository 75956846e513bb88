"""What the tests of tags share: making files, tagging them as a careful person would, predictions for them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np

RATE = 44100
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
KINDS = ["mp3", "aac", "tta", "flac", "ogg", "opus", "wav", "aiff", "m4a", "fast.m4a", "wma", "wv"]


def sha(path) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def encode(path: Path, codec: str, samples: np.ndarray, container: str, **options) -> None:
    import av

    with av.open(str(path), "w", format=container, options=options) as out:
        stream = out.add_stream(codec, rate=RATE, layout="stereo", bit_rate=64000)
        stream.codec_context.open()
        context = stream.codec_context
        frame = av.AudioFrame.from_ndarray(samples.T.copy(), format="fltp", layout="stereo")
        frame.sample_rate = RATE
        fit = av.AudioResampler(format=context.format, layout="stereo", rate=RATE, frame_size=context.frame_size or 0)
        for piece in [*fit.resample(frame), *fit.resample(None), None]:
            for packet in stream.encode(piece):
                out.mux(packet)


def opened(path: str):
    """A file as mutagen reads it; for two kinds mutagen looks for other tags than the file has."""
    import mutagen
    from mutagen.apev2 import APEv2File
    from mutagen.id3 import ID3FileType

    return {"aac": ID3FileType, "tta": APEv2File}.get(path.rsplit(".", 1)[1], mutagen.File)(path)


def decorate(path: str) -> None:
    """Tags as a careful person has them, in the file's own way; no genre."""
    import base64

    from mutagen.asf import ASFByteArrayAttribute
    from mutagen.flac import FLAC, Picture
    from mutagen.id3 import APIC, PRIV, TIT2, TPE1, TXXX
    from mutagen.mp4 import MP4Cover, MP4FreeForm

    file = opened(path)
    kind = type(file).__name__
    if file.tags is None:
        file.add_tags()
    if kind in ("MP3", "WAVE", "AIFF", "ID3FileType"):
        for frame in (
            TIT2(encoding=3, text="Tïtle ♫"),
            TPE1(encoding=3, text=["One", "Two"]),
            TXXX(encoding=3, desc="mood", text="calm"),
            PRIV(owner="example", data=b"\x00\xff\xe0" * 50),
            APIC(encoding=0, mime="image/png", type=3, desc="", data=PICTURE),
        ):
            file.tags.add(frame)
        file.tags.unknown_frames.append(b"XYZQ" + (12).to_bytes(4, "big") + b"\0\0" + b"unknown data")
    elif kind == "MP4":
        file["\xa9nam"], file["\xa9ART"] = ["Tïtle ♫"], ["One", "Two"]
        file["covr"] = [MP4Cover(PICTURE, MP4Cover.FORMAT_PNG)]
        file["----:com.example:mood"] = [MP4FreeForm(b"calm")]
    elif kind == "ASF":
        file["Title"], file["Author"] = "Tïtle ♫", ["One", "Two"]
        file["WM/Picture"] = ASFByteArrayAttribute(b"\x03" + PICTURE)
    else:
        file["TITLE"], file["ARTIST"] = "Tïtle ♫", ["One", "Two"]
    if kind in ("OggVorbis", "OggOpus"):
        picture = Picture()
        picture.data, picture.mime, picture.type = PICTURE, "image/png", 3
        file["METADATA_BLOCK_PICTURE"] = base64.b64encode(picture.write()).decode()
    if isinstance(file, FLAC):
        picture = Picture()
        picture.data, picture.mime, picture.type = PICTURE, "image/png", 3
        file.add_picture(picture)
    file.save()


def predicted(*paths: str, genres=(("Électronique", 0.6), ("Hip-Hop", 0.55)), **more) -> list[dict]:
    """Predictions in the shape of `tonearm predict --json`."""
    listed = [{"genre": genre, "probability": probability} for genre, probability in genres]
    return [{"path": str(path), "sure": True, "genres": listed, "error": None, **more} for path in paths]


def leftovers(folder) -> list[str]:
    return [name for _, _, names in os.walk(folder) for name in names if name.startswith(".tonearm")]


# The tiny model hears which third of 24 mel bands is the loudest.
BANDS = {"bass": (60, 400), "middle": (1500, 2500), "treble": (6000, 10000)}


def band(kind: str, seconds: float = 7.0, rate: int = 22050) -> np.ndarray:
    """A tune of plucked notes in one band, with a little noise everywhere: music enough for a model."""
    random = np.random.default_rng(8)
    low, high = BANDS[kind]
    n, step = int(seconds * rate), rate // 5
    samples = random.standard_normal(n) * 0.002
    time = np.arange(step * 2) / rate
    for begin in range(0, n - len(time), step):
        for hz in random.uniform(low, high, 3):
            samples[begin : begin + len(time)] += np.sin(2 * np.pi * hz * time) * np.exp(-6 * time)
    return (samples / np.abs(samples).max() * 0.5).astype(np.float32)
