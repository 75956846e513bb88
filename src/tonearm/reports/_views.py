"""What a sound looks like: waveform, zero crossings, spectra, cepstra, pitch classes and tempo, axes in their units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tonearm.audio import Waveform
from tonearm.errors import UsageError, unknown_name
from tonearm.reports import _draw
from tonearm.reports._draw import Axes, Drawing
from tonearm.reports._palette import ramp

LEFT, RIGHT = 58.0, 50.0
TOP, BOTTOM = 22.0, 34.0
_MOST_COLUMNS = 900
_LOWEST_HZ = 30.0


@dataclass(frozen=True)
class View:
    """One way to look at a sound: its name, how high its picture is, and who draws; that may add to the name."""

    words: str
    height: float
    draw: Callable[[Waveform, Axes], str | None]


@dataclass(frozen=True)
class Picture:
    """Values (rows, columns), lowest row first, with what the rows are."""

    values: np.ndarray
    low: float
    high: float
    key: tuple[str, str] = ("", "")


def drawn(
    waveform: Waveform, whats: Sequence[str], *, title: str, start_seconds: float = 0.0, width: float = _draw.WIDTH,
    headed: bool = False,
) -> Drawing:  # fmt: skip
    """The views named, one below the other; times count from `start_seconds`. `headed`: the title stands above."""
    check(whats)
    if not len(waveform.samples):
        raise UsageError("there is no sound in this stretch", hint="name an earlier start, or more seconds")
    draw = Drawing(title, width)
    if headed and title:
        most = int((width - 16) / 7)
        draw.text(8, 18, title if len(title) <= most else f"{title[: most - 1]}…", size=13, bold=True)
        draw.height = 24.0
    for what in whats:
        view = VIEWS[what]
        axes = Axes(
            draw, LEFT, draw.height + TOP, width - LEFT - RIGHT, view.height,
            (start_seconds, start_seconds + waveform.seconds), (0.0, 1.0),
        )  # fmt: skip
        more = view.draw(waveform, axes) or ""
        draw.text(LEFT, axes.top - 7, view.words + more, size=11, bold=True)
        draw.height = axes.top + axes.height + BOTTOM
    return draw


def check(whats: Sequence[str]) -> None:
    """Refuse names of views that there are not."""
    for what in whats:
        if what not in VIEWS:
            raise unknown_name("picture", what, VIEWS)
    if not whats:
        raise UsageError("nothing to draw", hint=f"name some of {', '.join(VIEWS)}")


def frame(axes: Axes, up: str, **keywords: object) -> None:
    """Axes with time along and `up` up, its unit written upwards beside it."""
    x_ticks = _draw.time_ticks(*axes.x_range, axes.width / 50)
    axes.frame(x_ticks=x_ticks, x_words=_draw.seconds, **keywords)
    axes.drawing.text(10, axes.top + axes.height / 2, up, size=10, anchor="middle", color="--soft", turned=True)


def picture(axes: Axes, shown: Picture, up: str, **keywords: object) -> None:
    """Values as colours with a key of what dark and light are."""
    spread = (shown.high - shown.low) or 1.0
    pixels = np.clip(np.rint((shown.values - shown.low) * (255 / spread)), 0, 255).astype(np.uint8)
    axes.picture(np.ascontiguousarray(pixels[::-1]), colors())
    frame(axes, up, grid=False, **keywords)
    if shown.key != ("", ""):
        key(axes, *shown.key)


def key(axes: Axes, low: str, high: str) -> None:
    """A bar of the colours beside a picture, with words at its ends."""
    x = axes.left + axes.width + 6
    axes.drawing.image(x, axes.top, 6, axes.height, np.arange(255, -1, -1, dtype=np.uint8)[:, None], colors())
    axes.drawing.text(x + 9, axes.top + 8, high, size=9, color="--soft")
    axes.drawing.text(x + 9, axes.top + axes.height, low, size=9, color="--soft")


@lru_cache(maxsize=1)
def colors() -> np.ndarray:
    return ramp()


def _frames(waveform: Waveform) -> dict[str, object]:
    """Keywords of a feature for a picture: the file's own rate, and no more frames than it has columns."""
    total = 1 + len(waveform.samples) // 512
    return {"sample_rate": None, **({"frames": _MOST_COLUMNS} if total > _MOST_COLUMNS else {})}


def peaks(waveform: Waveform, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Seconds from its start, lowest and highest sample of each of so many columns."""
    samples = waveform.samples
    columns = min(len(samples), columns)
    starts = np.arange(columns) * len(samples) // columns
    return (
        starts / waveform.sample_rate, np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)
    )  # fmt: skip


def _waveform(waveform: Waveform, axes: Axes) -> None:
    """Highest and lowest sample in each column: single peaks stay visible."""
    samples = waveform.samples
    peak = max(float(np.abs(samples).max()), 1e-6)
    axes.y_range = (-peak, peak)
    frame(axes, "amplitude", y_ticks=_draw.ticks(-peak, peak, 4))
    seconds, low, high = peaks(waveform, 2 * round(axes.width))
    seconds = axes.x_range[0] + seconds
    if len(seconds) == len(samples):
        axes.drawing.line(axes.x(seconds), axes.y(samples), "--g2", 1)
        return
    x = np.concatenate([seconds, seconds[::-1]])
    axes.drawing.area(axes.x(x), axes.y(np.concatenate([high, low[::-1]])), "--g2")


def _zcr(waveform: Waveform, axes: Axes) -> None:
    from tonearm import features

    share = features.create("zcr", **_frames(waveform))(waveform)[0]
    # A share of samples says little: crossings a second are twice the frequency of a pure tone.
    rate = share * waveform.sample_rate
    axes.y_range = (0.0, max(float(rate.max()) * 1.05, 1.0))
    frame(axes, "crossings a second")
    axes.drawing.line(axes.x(np.linspace(*axes.x_range, len(rate))), axes.y(rate), "--g5", 1.1)


def _decibels(waveform: Waveform) -> np.ndarray:
    from tonearm import features

    return features.create("stft", scale="db", **_frames(waveform))(waveform)


def linear_levels(waveform: Waveform) -> tuple[np.ndarray, np.ndarray]:
    """Hertz of each row, and decibels (rows, frames): the rows of the linear spectrogram."""
    levels = _decibels(waveform)
    step = waveform.sample_rate / 2 / (len(levels) - 1)
    # 1,025 bins on a hundred pixels: four together by their loudest, so that tones do not vanish between them.
    levels = levels[: len(levels) // 4 * 4].reshape(-1, 4, levels.shape[1]).max(axis=1)
    return (4 * np.arange(len(levels)) + 1.5) * step, levels


def _spectrogram(waveform: Waveform, axes: Axes) -> None:
    axes.y_range = (0.0, waveform.sample_rate / 2)
    _levels(axes, linear_levels(waveform)[1], y_words=_draw.hertz)


def log_levels(waveform: Waveform) -> tuple[np.ndarray, np.ndarray]:
    """Hertz of each row, and decibels (rows, frames): the rows of the logarithmic spectrogram."""
    levels = _decibels(waveform)
    top = waveform.sample_rate / 2
    step = top / (len(levels) - 1)
    edges = np.geomspace(_LOWEST_HZ, top, 193) / step
    middle = np.sqrt(edges[1:] * edges[:-1])
    below = np.clip(middle.astype(int), 0, len(levels) - 2)
    part = (middle - below)[:, None].astype(np.float32)
    rows = levels[below] * (1 - part) + levels[below + 1] * part
    starts, stops = np.ceil(edges[:-1]).astype(int), np.ceil(edges[1:]).astype(int)
    for row in np.flatnonzero(stops - starts > 1):
        rows[row] = levels[starts[row] : stops[row]].max(axis=0)
    return middle * step, rows


def _logspectrogram(waveform: Waveform, axes: Axes) -> None:
    top = waveform.sample_rate / 2
    axes.y_range, axes.y_log = (_LOWEST_HZ, top), True
    shown = [hz for hz in (50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000) if hz <= 0.96 * top]
    _levels(axes, log_levels(waveform)[1], y_ticks=shown, y_words=_draw.hertz)


def _mel(waveform: Waveform, axes: Axes) -> None:
    from tonearm import features
    from tonearm.features._mel import Mel

    levels = features.create("logmel", **_frames(waveform))(waveform)
    axes.y_range = (0.0, float(len(levels)))
    mel_axis(axes, levels, Mel(n_mels=len(levels)), waveform.sample_rate)


def mel_axis(axes: Axes, levels: np.ndarray, mel: object, sample_rate: float | None) -> None:
    """Mel bands in dB with the frequencies of some of them; numbers of bands where the rate is not known."""
    from tonearm.features._mel import to_hertz, to_mel

    axes.y_range = (0.0, float(len(levels)))
    if sample_rate is None:
        _levels(axes, levels, up="mel band")
        return
    top = mel.fmax or sample_rate / 2
    ends = to_mel(np.array([mel.fmin, top]), mel.mel_scale)
    middles = to_hertz(np.linspace(ends[0], ends[1], len(levels) + 2), mel.mel_scale)[1:-1]
    wanted = [hz for hz in (500, 1000, 2000, 4000, 8000, 16000) if middles[0] <= hz <= middles[-1]]
    places = np.interp(wanted, middles, np.arange(len(levels)) + 0.5).tolist()
    named = dict(zip(places, wanted, strict=True))
    _levels(axes, levels, y_ticks=places, y_words=lambda place: _draw.hertz(named[place]))


def _levels(axes: Axes, levels: np.ndarray, up: str = "frequency", **keywords: object) -> None:
    high = float(levels.max())
    low = max(float(levels.min()), high - 80.0)
    low = low if low < high else high - 80.0
    named = (f"{low - high:.0f} dB".replace("-", "\u2212"), "0 dB")
    picture(axes, Picture(levels, low, high, named), up, **keywords)


def _mfcc(waveform: Waveform, axes: Axes) -> None:
    from tonearm import features

    cepstra(axes, features.create("mfcc", **_frames(waveform))(waveform))


def cepstra(axes: Axes, values: np.ndarray) -> None:
    """Coefficients over time, each row from its own lowest to its own highest: the first is fifty times the last."""
    low, high = values.min(axis=1, keepdims=True), values.max(axis=1, keepdims=True)
    scaled = (values - low) / np.where(high > low, high - low, 1)
    axes.y_range = (0.5, len(values) + 0.5)
    shown = Picture(scaled, 0.0, 1.0, ("low", "high"))
    every = 5 if len(values) >= 12 else 2
    picture(axes, shown, "coefficient", y_ticks=[1, *range(every, len(values) + 1, every)])


def _chroma(waveform: Waveform, axes: Axes) -> None:
    from tonearm import features

    feature = features.create("chroma", **_frames(waveform))
    values, names = feature(waveform), feature.columns()
    axes.y_range = (-0.5, 11.5)
    naturals = [row for row, name in enumerate(names) if "#" not in name]
    picture(axes, Picture(values, 0.0, 1.0, ("0", "1")), "pitch class", y_ticks=naturals,
            y_words=lambda row: names[int(row)])  # fmt: skip


def _tempo(waveform: Waveform, axes: Axes) -> str:
    """How much the beat repeats at each tempo, and the tempo that is named."""
    from tonearm.features import Spectra, _ops, _tempo
    from tonearm.features._grid import Grid
    from tonearm.features._mel import Mel

    grid, rate = Grid(), waveform.sample_rate
    spectra = Spectra(np.ascontiguousarray(waveform.samples, np.float32), rate)
    envelope = _tempo.onset_strength(
        _ops.power_to_db(spectra.mel(grid, Mel())).T, n_fft=grid.n_fft, hop_length=grid.hop_length
    )
    frame_rate = rate / grid.hop_length
    strength = _tempo.mean_autocorrelation(envelope, int(8 * frame_rate))
    lags = np.arange(1, len(strength))
    bpm = 60 * frame_rate / lags
    shown = (bpm >= 30) & (bpm <= 300)
    axes.x_range, axes.x_log = (30.0, 300.0), True
    top = max(float(strength[1:][shown].max()), 1e-3)
    axes.y_range = (0.0, 1.1 * top)
    axes.frame(x_name="beats per minute", x_ticks=[30, 40, 60, 80, 100, 120, 160, 200, 300])
    axes.drawing.text(10, axes.top + axes.height / 2, "how much repeats", size=10, anchor="middle", color="--soft",
                      turned=True)  # fmt: skip
    axes.drawing.line(axes.x(bpm[shown]), axes.y(strength[1:][shown]), "--g3")
    best = _tempo.tempo_bpm(envelope, frame_rate)
    x = float(axes.x(best))
    axes.drawing.line([x, x], [axes.top, axes.top + axes.height], "--ink", 1, dashed=True)
    return f": {best:.0f} beats per minute"


VIEWS: dict[str, View] = {
    "waveform": View("Waveform", 70, _waveform),
    "zcr": View("Zero crossings", 70, _zcr),
    "spectrogram": View("Spectrogram, linear in frequency", 110, _spectrogram),
    "logspectrogram": View("Spectrogram, logarithmic in frequency", 110, _logspectrogram),
    "mel": View("Mel spectrogram", 110, _mel),
    "mfcc": View("MFCC", 90, _mfcc),
    "chroma": View("Chroma", 110, _chroma),
    "tempo": View("Tempo", 80, _tempo),
}
