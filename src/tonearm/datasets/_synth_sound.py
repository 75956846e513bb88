"""How the eight synthesised genres sound: notes and drums placed on a grid, mixed as their artist mixes.

Genre decides tempo, metre, patterns, harmony and the kind of instrument; the artist decides timbre, equalisation, room,
level and noise, and is kept well apart from other artists, as real ones are: who learns artists scores high until
artists are kept apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

SAMPLE_RATE = 22050

MAJOR, MINOR, SUS = (0, 4, 7), (0, 3, 7), (0, 5, 7)
SEVENTH, MAJOR7, MINOR7, POWER = (0, 4, 7, 10), (0, 4, 7, 11), (0, 3, 7, 10), (0, 7, 12)


@dataclass(frozen=True)
class Style:
    """A genre. Patterns have one sign per step: `x` a hit, `o` a softer one, `?` now and then, `.` none.

    `progressions` are chords by bar: (semitones above the key, chord). `tempo` is in beats per minute.
    """

    tempo: tuple[float, float]
    steps_per_beat: int
    voice: str
    chords: str
    bass: str
    melody: float
    scale: tuple[int, ...]
    progressions: tuple[tuple[tuple[int, tuple[int, ...]], ...], ...]
    drums: dict[str, str]
    chord_beats: float
    octave: int


_MAJOR_SCALE, _MINOR_SCALE = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
_BLUES_SCALE, _PENTATONIC = (0, 3, 5, 6, 7, 10), (0, 2, 4, 7, 9)

STYLES: dict[str, Style] = {
    "ambient": Style(
        (56, 84), 4, "pad", "x...............", "x...............", 0.10, _PENTATONIC,
        (((0, SUS), (5, MAJOR7), (9, MINOR7), (7, SUS)), ((0, MAJOR7), (7, SUS), (2, MINOR7), (5, SUS))),
        {"hat": "........?......."}, 7.0, 4,
    ),
    "breakbeat": Style(
        (148, 176), 4, "saw", "x.....x.....?...", "x.....x..x......", 0.14, _MINOR_SCALE,
        (((0, MINOR7), (8, MAJOR7), (3, MAJOR), (10, MAJOR)), ((0, MINOR), (0, MINOR), (5, MINOR), (7, MINOR))),
        {"kick": "x..?......x..?..", "snare": "....x.?o.?..x..o", "hat": "x.x.x.x.x.x.x.x."}, 1.2, 4,
    ),
    "house": Style(
        (112, 132), 4, "saw", "..x...x...x..?x.", "..x...x...x...x.", 0.10, _MINOR_SCALE,
        (((0, MINOR7), (5, MINOR7), (10, SEVENTH), (3, MAJOR7)), ((0, MINOR), (8, MAJOR), (3, MAJOR), (10, MAJOR))),
        {"kick": "x...x...x...x...", "clap": "....x.......x...", "hat": "..x...x...x...x."}, 0.5, 4,
    ),
    "ska": Style(
        (126, 168), 4, "pluck", "..x...x...x...x.", "x...x..?x...x.?.", 0.22, _MAJOR_SCALE,
        (((0, MAJOR), (5, MAJOR), (7, MAJOR), (0, MAJOR)), ((0, MAJOR), (9, MINOR), (5, MAJOR), (7, SEVENTH))),
        {"kick": "....x.......x...", "rim": "....x.......x..?", "hat": "..x...x...x...x."}, 0.3, 4,
    ),
    "shuffle": Style(
        (84, 124), 3, "pluck", "x.ox.ox.ox.o", "x.xx.xx.xx.x", 0.34, _BLUES_SCALE,
        (((0, SEVENTH), (5, SEVENTH), (0, SEVENTH), (0, SEVENTH), (5, SEVENTH), (5, SEVENTH), (0, SEVENTH),
          (0, SEVENTH), (7, SEVENTH), (5, SEVENTH), (0, SEVENTH), (7, SEVENTH)),),
        {"kick": "x.....x..?..", "snare": "...x.....x..", "hat": "x.xx.xx.xx.x"}, 0.5, 3,
    ),
    "swing": Style(
        (132, 196), 3, "reed", "...x.....?.x", "x..x..x..x..", 0.42, _MAJOR_SCALE,
        (((2, MINOR7), (7, SEVENTH), (0, MAJOR7), (9, MINOR7)), ((0, MAJOR7), (9, SEVENTH), (2, MINOR7), (7, SEVENTH))),
        {"ride": "x..x.xx..x.x", "hat": "...x.....x..", "snare": ".....?.....?"}, 0.6, 4,
    ),
    "thrash": Style(
        (112, 184), 4, "drive", "x.xxx.xxx.xxx.x?", "x.xxx.xxx.xxx.xx", 0.12, _MINOR_SCALE,
        (((0, POWER), (1, POWER), (0, POWER), (6, POWER)), ((0, POWER), (3, POWER), (5, POWER), (8, POWER))),
        {"kick": "x.x.x.x.x.x.x.xx", "snare": "....x.......x...", "hat": "x...x...x...x..."}, 0.45, 2,
    ),
    "waltz": Style(
        (92, 176), 4, "string", "....x...x...", "x...........", 0.30, _MAJOR_SCALE,
        (((0, MAJOR), (7, SEVENTH), (7, SEVENTH), (0, MAJOR)), ((0, MAJOR), (5, MAJOR), (7, SEVENTH), (0, MAJOR))),
        {"rim": "....?...?..."}, 0.9, 4,
    ),
}  # fmt: skip

GENRES = tuple(STYLES)

# Per voice: attack and decay in seconds (decay 0: held), how fast harmonics fall, and whether even ones are missing.
_VOICES = {
    "pad": (0.9, 0.0, 1.9, False),
    "saw": (0.006, 0.35, 1.0, False),
    "pluck": (0.003, 0.22, 1.3, False),
    "reed": (0.03, 0.0, 1.1, True),
    "drive": (0.004, 0.5, 1.1, False),
    "string": (0.09, 0.0, 1.2, False),
}
_OTHERS = tuple(_VOICES)


@dataclass(frozen=True)
class Artist:
    """What stays the same over all tracks of one artist."""

    seed: int
    voice_fall: float
    voice: str
    lead: str
    tilt_db: float
    peaks: tuple[tuple[float, float, float], ...]
    room_seconds: float
    room: float
    noise_db: float
    level_db: float
    drums_db: float
    bass_db: float
    drum_tune: float
    tempo_place: float


def make_artist(seed: list[int]) -> Artist:
    draw = np.random.default_rng(seed)
    peaks = tuple(
        (float(draw.uniform(150, 5000)), float(draw.uniform(0.3, 1.0)), float(draw.choice([-9, -6, 6, 9])))
        for _ in range(3)
    )
    return Artist(
        seed=int(draw.integers(2**31)),
        voice_fall=float(draw.uniform(-0.4, 1.1)),
        voice=str(draw.choice(_OTHERS)) if draw.random() < 0.4 else "",
        lead=str(draw.choice(_OTHERS)),
        tilt_db=float(draw.uniform(-5.0, 0.5)),
        peaks=peaks,
        room_seconds=float(draw.uniform(0.1, 1.4)),
        room=float(draw.uniform(0.02, 0.35)),
        noise_db=float(draw.uniform(-78, -44)),
        level_db=float(draw.uniform(-9, -1)),
        drums_db=float(draw.uniform(-18, 3)),
        bass_db=float(draw.uniform(-7, 4)),
        drum_tune=float(draw.uniform(0.7, 1.45)),
        tempo_place=float(draw.uniform(0, 1)),
    )


def _in_the_mood(artist: Artist, draw: np.random.Generator) -> Artist:
    """The artist on one day: no two tracks are mixed alike."""
    return replace(
        artist,
        voice_fall=artist.voice_fall + float(draw.uniform(-0.35, 0.35)),
        tilt_db=artist.tilt_db + float(draw.uniform(-1.2, 1.2)),
        drums_db=artist.drums_db + float(draw.uniform(-5, 5)),
        bass_db=artist.bass_db + float(draw.uniform(-4, 4)),
        room=artist.room * float(draw.uniform(0.4, 1.6)),
    )


def render(genre: str, artist: Artist, seed: list[int], seconds: float, sample_rate: int = SAMPLE_RATE) -> np.ndarray:
    """One track, float32, shape (round(seconds * sample_rate),), peak below 1."""
    style, draw = STYLES[genre], np.random.default_rng(seed)
    artist = _in_the_mood(artist, draw)
    n = round(seconds * sample_rate)
    low, high = style.tempo
    place = np.clip(artist.tempo_place + draw.uniform(-0.25, 0.25), 0, 1)
    step = 60.0 / (low + place * (high - low)) / style.steps_per_beat
    band = _Band(style, artist, draw, sample_rate, n)
    key = int(draw.integers(-5, 7))
    progression = style.progressions[int(draw.integers(len(style.progressions)))]
    bar_steps = len(style.chords)
    bars = int(np.ceil(seconds / (step * bar_steps)))
    note = int(draw.integers(len(style.scale)))
    for bar in range(bars):
        root, chord = progression[bar % len(progression)]
        at = bar * bar_steps * step
        for hit, gain in band.hits(style.chords):
            band.chord(at + hit * step, key + root, chord, style.chord_beats * step * style.steps_per_beat, gain)
        for hit, gain in band.hits(style.bass):
            band.bass(at + hit * step, key + root + int(draw.choice([0, 0, 0, 7, 12])), 1.6 * step, gain)
        for hit in np.flatnonzero(draw.random(bar_steps) < style.melody * (2 / style.steps_per_beat)):
            note = int(np.clip(note + draw.integers(-2, 3), 0, 2 * len(style.scale) - 1))
            pitch = style.scale[note % len(style.scale)] + 12 * (note // len(style.scale))
            band.lead(at + hit * step, key + pitch, 2.2 * step)
        for drum, pattern in style.drums.items():
            for hit, gain in band.hits(pattern):
                band.drum(at + hit * step, drum, gain)
    return _mix(band.out[:n], artist, draw, sample_rate)


class _Band:
    """Places sounds into one buffer; each note is computed once and added wherever it is played."""

    def __init__(self, style: Style, artist: Artist, draw: np.random.Generator, sample_rate: int, n: int) -> None:
        self.style, self.artist, self.draw, self.rate = style, artist, draw, sample_rate
        # Some artists play a genre on an instrument that is not its usual one.
        self.voice = artist.voice or style.voice
        self.out = np.zeros(n, np.float32)
        self.known: dict[tuple, np.ndarray] = {}
        self.drum_gain = 10 ** (artist.drums_db / 20)
        self.bass_gain = 10 ** (artist.bass_db / 20)
        # The kit is the artist's, not the track's.
        self.kit = np.random.default_rng(artist.seed)

    def hits(self, pattern: str) -> list[tuple[int, float]]:
        chance = {"x": 0.97, "o": 0.9, "?": 0.35, ".": 0.0}
        drawn = self.draw.random(len(pattern))
        return [(i, 0.55 if sign == "o" else 1.0) for i, sign in enumerate(pattern) if drawn[i] < chance[sign]]

    def _add(self, seconds: float, sound: np.ndarray, gain: float) -> None:
        # Players are not machines: a few milliseconds and decibels of difference.
        start = max(0, round((seconds + self.draw.normal(0, 0.003)) * self.rate))
        stop = min(len(self.out), start + len(sound))
        if stop > start:
            self.out[start:stop] += np.float32(gain * self.draw.uniform(0.85, 1.1)) * sound[: stop - start]

    def chord(self, at: float, root: int, chord: tuple[int, ...], seconds: float, gain: float) -> None:
        key = ("chord", root, chord)
        if key not in self.known:
            base = 12 * self.style.octave + 12 + root
            sound = np.sum([self._note(self.voice, base + step, seconds) for step in chord], axis=0)
            if self.voice == "drive":
                sound = np.tanh(3.0 * sound)
            self.known[key] = sound / np.float32(len(chord))
        self._add(at, self.known[key], 0.55 * gain)

    def bass(self, at: float, pitch: int, seconds: float, gain: float) -> None:
        self._add(at, self._note("saw", 36 + pitch % 12, seconds, fall=2.2), 0.5 * gain * self.bass_gain)

    def lead(self, at: float, pitch: int, seconds: float) -> None:
        self._add(at, self._note(self.artist.lead, 60 + pitch, seconds), 0.22)

    def drum(self, at: float, name: str, gain: float) -> None:
        if name not in self.known:
            self.known[name] = _drum(name, self.artist.drum_tune, self.kit, self.rate)
        self._add(at, self.known[name], 0.6 * gain * self.drum_gain)

    def _note(self, voice: str, pitch: int, seconds: float, fall: float | None = None) -> np.ndarray:
        key = (voice, pitch, seconds, fall)
        if key not in self.known:
            self.known[key] = _note(voice, pitch, seconds, self.artist.voice_fall, fall, self.rate)
        return self.known[key]


def _note(voice: str, pitch: int, seconds: float, brighter: float, fall: float | None, rate: int) -> np.ndarray:
    """One note by adding harmonics: float32, shape (samples,)."""
    attack, decay, own_fall, odd = _VOICES[voice]
    fall = own_fall + brighter if fall is None else fall
    hertz = 440.0 * 2 ** ((pitch - 69) / 12)
    n = max(64, round(seconds * rate))
    t = np.arange(n, dtype=np.float32) / np.float32(rate)
    harmonics = np.arange(1, max(2, min(12, int(0.45 * rate / hertz)) + 1))
    if odd:
        harmonics = harmonics[::2]
    # Chebyshev's recurrence: one cosine for all harmonics instead of one each.
    phase = np.cos(np.float32(2 * np.pi * hertz) * t)
    sound, before, now = np.zeros(n, np.float32), np.ones(n, np.float32), phase
    for k in range(1, int(harmonics[-1]) + 1):
        if k in harmonics:
            sound += np.float32(k**-fall) * now
        before, now = now, 2 * phase * now - before
    envelope = np.minimum(1.0, t / np.float32(min(attack, seconds / 3)))
    if decay:
        envelope *= np.exp(-t / np.float32(decay))
    release = min(n, max(32, round(0.03 * rate)))
    envelope[-release:] *= np.linspace(1, 0, release, dtype=np.float32)
    return (sound * envelope / np.float32(np.sum(harmonics**-fall))).astype(np.float32)


# Per drum: seconds, decay in seconds, start and end of the tone in Hz (0: none), share of noise, low edge of the noise.
_DRUMS = {
    "kick": (0.30, 0.08, 150, 48, 0.03, 0),
    "snare": (0.25, 0.07, 220, 170, 0.8, 900),
    "clap": (0.22, 0.06, 0, 0, 1.0, 1100),
    "rim": (0.08, 0.015, 900, 700, 0.4, 1500),
    "hat": (0.10, 0.025, 0, 0, 1.0, 6000),
    "ride": (0.45, 0.16, 3300, 3300, 0.8, 4500),
}


def _drum(name: str, tune: float, kit: np.random.Generator, rate: int) -> np.ndarray:
    seconds, decay, start, end, noisy, edge = _DRUMS[name]
    t = np.arange(round(seconds * rate)) / rate
    sweep = end + (start - end) * np.exp(-t / 0.03)
    tone = np.sin(2 * np.pi * tune * np.cumsum(sweep) / rate) if start else np.zeros_like(t)
    spectrum = np.fft.rfft(kit.standard_normal(len(t)))
    spectrum[np.fft.rfftfreq(len(t), 1 / rate) < min(edge * tune, 0.4 * rate)] *= 0.05
    noise = np.fft.irfft(spectrum, len(t))
    sound = ((1 - noisy) * tone + noisy * noise / (np.std(noise) * 3)) * np.exp(-t / (decay * tune))
    sound[-32:] *= np.linspace(1, 0, 32)
    return sound.astype(np.float32)


def _mix(dry: np.ndarray, artist: Artist, draw: np.random.Generator, rate: int) -> np.ndarray:
    """The artist's equaliser and room in one transform, then noise, a soft limiter and the artist's level."""
    n = len(dry)
    # A multiple of a power of two: lengths with large prime factors are slow to transform.
    size = -(-(n + rate) // 16384) * 16384
    hertz = np.fft.rfftfreq(size, 1 / rate).astype(np.float32)
    octaves = np.log2(np.maximum(hertz, 20) / 1000)
    gain_db = artist.tilt_db * octaves
    for centre, width, peak_db in artist.peaks:
        gain_db += peak_db * np.exp(-0.5 * ((octaves - np.log2(centre / 1000)) / width) ** 2)
    # Nothing a listener hears lies below 25 Hz: the clean dataset must not hold what the watermark plants.
    response = 10 ** (gain_db / 20) * np.clip((hertz - 22) / 8, 0, 1)
    t = np.arange(rate, dtype=np.float32) / rate
    room = np.random.default_rng(artist.seed + 1).standard_normal(rate, dtype=np.float32)
    room *= np.exp(-t * np.float32(6.9 / artist.room_seconds))
    room *= np.float32(artist.room / np.sqrt(np.sum(room**2)))
    room[0] += 1
    wet = np.fft.rfft(dry, size)
    wet *= np.fft.rfft(room, size) * response
    sound = np.fft.irfft(wet, size)[:n].astype(np.float32)
    loud = float(np.sqrt(np.mean(sound**2))) or 1.0
    sound *= np.float32(0.14 / loud)
    sound += np.float32(10 ** (artist.noise_db / 20)) * draw.standard_normal(n, dtype=np.float32)
    return np.tanh(sound) * np.float32(10 ** (artist.level_db / 20))
