"""Songs for benchmarks: synthesised whole ones, and files of every format with tags, made from any sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from tonearm.datasets._synth_sound import GENRES, make_artist, render

RATE = 44100
ENDINGS = {".mp3", ".flac", ".wav", ".ogg", ".opus", ".aiff", ".m4a", ".wma"}
# Kind of file, and the codec and container of PyAV where libsndfile does not write it.
KINDS = {
    "mp3": None, "flac": None, "ogg": None, "opus": None, "wav": None, "aiff": None,
    "m4a": ("aac", "ipod"), "wma": ("wmav2", "asf"), "wv": ("wavpack", "wv"),
}  # fmt: skip


def found(folder: str | Path) -> list[Path]:
    """Songs below a folder."""
    return sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in ENDINGS)


def synthesised(folder: Path, count: int, seconds: float) -> list[Path]:
    """Whole songs as stereo MP3 at 44.1 kHz: in sections of half a minute that vary, as in a song."""
    paths = []
    for n in range(count):
        path = folder / f"song-{n:03}-{seconds:.0f}.mp3"
        paths.append(path)
        if path.exists():
            continue
        genre = GENRES[n % len(GENRES)]
        artist, length = make_artist([77, n]), int(seconds * RATE)
        parts = range(int(np.ceil(seconds / 30)))
        mono = np.concatenate([render(genre, artist, [77, n, part], 30.0, RATE) for part in parts])
        # Soft and loud sections, and a second channel that is not the first.
        swell = 0.6 + 0.4 * np.sin(2 * np.pi * np.arange(length) / (length / 3))
        left = (mono[:length] * swell).astype(np.float32)
        soundfile.write(path, np.stack([left, 0.8 * np.roll(left, 300)], axis=1), RATE)
    return paths


def spliced(folder: Path, sources: list[Path], count: int, seconds: float, first: int = 0) -> list[Path]:
    """Songs as stereo MP3 from parts of others: of one source, or where that is a short clip, of two of its folder.

    Parts of 15 to 40 seconds in drawn order, each softer or louder, the whole faster or slower by up to 6 %: so many
    songs that differ can be had of a few real ones. `first` numbers the first of them: others have other numbers.
    """
    import soxr

    paths = []
    for n in range(first, first + count):
        draw, source = np.random.default_rng(n), sources[n % len(sources)]
        paths.append(folder / f"spliced-{n:03}-{seconds:.0f}.mp3")
        if paths[-1].exists():
            continue
        beside = [path for path in sources if path.parent == source.parent]
        sounds = [_stereo(source)]
        if len(sounds[0]) < 60 * RATE:
            sounds.append(_stereo(beside[draw.integers(len(beside))]))
        speed, parts, have = draw.uniform(0.94, 1.06), [], 0
        while have < seconds * RATE * speed:
            sound = sounds[int(draw.random() < 0.4) % len(sounds)]
            length = min(len(sound), int(draw.uniform(15, 40) * RATE))
            start = draw.integers(len(sound) - length + 1)
            parts.append(sound[start : start + length] * np.float32(draw.uniform(0.6, 1.0)))
            have += length
        mixed = soxr.resample(np.concatenate(parts), RATE * speed, RATE)[: int(seconds * RATE)]
        soundfile.write(paths[-1], np.clip(mixed, -1, 1), RATE)
    return paths


def _stereo(path: Path) -> np.ndarray:
    import soxr

    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return soxr.resample(np.repeat(samples, 2, axis=1)[:, :2] if samples.shape[1] == 1 else samples, rate, RATE)


def written(path: Path, kind: str, stereo: np.ndarray) -> Path:
    """Sound (n, 2) at 44.1 kHz as a file of that kind."""
    if KINDS[kind] is not None:
        codec, container = KINDS[kind]
        _encoded(path, codec, container, stereo)
    elif kind == "opus":
        soundfile.write(path, stereo, 48000, format="OGG", subtype="OPUS")
    else:
        soundfile.write(path, stereo, RATE)
    return path


def _encoded(path: Path, codec: str, container: str, stereo: np.ndarray) -> None:
    import av

    with av.open(str(path), "w", format=container) as out:
        stream = out.add_stream(codec, rate=RATE, layout="stereo", bit_rate=128_000)
        stream.codec_context.open()
        context = stream.codec_context
        frame = av.AudioFrame.from_ndarray(stereo.T.copy(), format="fltp", layout="stereo")
        frame.sample_rate = RATE
        fit = av.AudioResampler(format=context.format, layout="stereo", rate=RATE, frame_size=context.frame_size or 0)
        for piece in [*fit.resample(frame), *fit.resample(None), None]:
            for packet in stream.encode(piece):
                out.mux(packet)


def tagged(path: Path, n: int) -> None:
    """A title, an artist and many other bytes, in the file's own way; no genre."""
    import mutagen
    from mutagen.id3 import PRIV, TIT2, TPE1

    file = mutagen.File(path)
    if file.tags is None:
        file.add_tags()
    title, artist = f"Söng {n} 🎶", f"Artist {n % 5}"
    if hasattr(file.tags, "getall"):  # ID3
        for frame in (TIT2(text=title), TPE1(text=artist), PRIV(owner="example", data=bytes(range(256)) * 16)):
            file.tags.add(frame)
    else:
        keys = {"MP4": ("\xa9nam", "\xa9ART"), "ASF": ("Title", "Author")}.get(type(file).__name__, ("title", "artist"))
        file[keys[0]], file[keys[1]] = title, artist
    file.save()


def collection(folder: Path, count: int, data: str | Path | None = None, seconds: float = 8.0) -> list[Path]:
    """Tagged files of every kind without a genre, from the songs of `data` or synthesised ones."""
    from tonearm import audio

    folder.mkdir(parents=True, exist_ok=True)
    sources = found(data) if data else []
    paths = []
    for n in range(count):
        kind = list(KINDS)[n % len(KINDS)]
        if sources:
            mono = audio.load(sources[n % len(sources)], sample_rate=RATE, start_seconds=n % 7, clip_seconds=seconds)
            samples = mono.samples
        else:
            genre = GENRES[n % len(GENRES)]
            samples = np.repeat(render(genre, make_artist([5, n]), [5, n], seconds), 2)
        path = written(
            folder / f"{n:02} – Ünï 🎶.{kind}", kind, np.stack([samples, samples], axis=1).astype(np.float32)
        )
        tagged(path, n)
        paths.append(path)
    return paths
