"""All tracks as points, near where they sound alike: by principal components, and by UMAP where it is installed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tonearm.reports import _html as h
from tonearm.reports._draw import WIDTH, Drawing
from tonearm.reports._html import Safe, tag
from tonearm.reports._palette import genre_color

_HEIGHT = 330.0
_MARGIN = 10.0
_ROUNDS = 8


@dataclass(frozen=True)
class Place:
    """A map: its name, what it says about itself, and the place of each track (n, 2)."""

    name: str
    words: str
    points: np.ndarray


def places(vectors: np.ndarray) -> list[Place]:
    """Maps of vectors (n, d): principal components, and UMAP where it can be imported."""
    if len(vectors) < 3:
        return []
    scaled = standardised(vectors)
    points, shares = principal(scaled)
    found = [
        Place(
            "Principal components",
            f"The two directions in which tracks differ most: they hold {100 * shares[0]:.0f} % and "
            f"{100 * shares[1]:.0f} % of all differences, so tracks that lie together may still differ in the rest.",
            points,
        )
    ]
    if (other := _umap(scaled)) is not None:
        found.append(
            Place(
                "UMAP",
                "Neighbours stay neighbours (McInnes, Healy and Melville 2018); distances between groups, and how "
                "large a group is, say little.",
                other,
            )
        )
    return found


def standardised(vectors: np.ndarray) -> np.ndarray:
    """Columns with mean 0 and deviation 1, outliers cut off; columns that never change are left out."""
    values = np.nan_to_num(np.asarray(vectors, np.float64), posinf=0.0, neginf=0.0)
    spread = values.std(axis=0)
    changes = spread > 1e-9 * np.maximum(np.abs(values).max(axis=0), 1e-12)
    if not changes.any():
        return np.zeros((len(values), 1))
    values = (values[:, changes] - values[:, changes].mean(axis=0)) / spread[changes]
    return np.clip(values, -5, 5)


def principal(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first two principal components (n, 2) of `values` (n, d), and the share of the variance of each (2,)."""
    centred = values - values.mean(axis=0)
    variances, directions = np.linalg.eigh(centred.T @ centred / max(1, len(values) - 1))
    first = directions[:, ::-1][:, :2]
    if first.shape[1] < 2:
        first = np.pad(first, ((0, 0), (0, 1)))
    # The sign of a direction is chance: the largest weight is made positive, so that equal data give equal maps.
    largest = np.abs(first).argmax(axis=0)
    first = first * np.where(first[largest, [0, 1]] < 0, -1, 1)
    total = max(float(variances.sum()), 1e-12)
    shares = np.pad(variances[::-1][:2], (0, max(0, 2 - len(variances)))) / total
    return centred @ first, np.maximum(shares, 0)


def _umap(values: np.ndarray) -> np.ndarray | None:
    if len(values) < 16:
        return None
    try:
        import umap
    except ImportError:
        return None
    neighbours = min(15, len(values) - 1)
    return np.asarray(umap.UMAP(n_neighbors=neighbours, random_state=0, n_jobs=1).fit_transform(values), np.float64)


def maps(
    found: Sequence[Place], genres: Sequence[str], labels: Sequence[str], sounds: Sequence[str], order: Sequence[str]
) -> Safe:
    """The maps with a choice of genre to bring out, a label by pointer or arrow keys, and sound where there is some.

    `labels` say what each point is, `sounds` are addresses (empty: none), `order` is the order of the genres.
    """
    number = {genre: index for index, genre in enumerate(order)}
    of = np.array([number[genre] for genre in genres])
    figures = [_map(place, of, order) for place in found]
    data = {
        "labels": list(labels),
        "genres": of.tolist(),
        "names": list(order),
        "sounds": list(sounds) if any(sounds) else [],
        "points": [[[round(x, 1), round(y, 1)] for x, y in spread(place.points).tolist()] for place in found],
    }
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    heard = "; Enter plays the track" if data["sounds"] else ""
    player = tag("audio", controls="", preload="none", aria_label="The chosen track") if data["sounds"] else ""
    return tag(
        "div",
        _choices(order),
        tag("p", f"Point at a track, or take the arrow keys in a map{heard}.", class_="small soft screen"),
        tag("div", *figures, class_="pair"),
        tag("output", "", class_="box screen", hidden=""),
        player,
        Safe(f'<script type="application/json">{text}</script>'),
        class_="maps",
    )


def _choices(order: Sequence[str]) -> Safe:
    """Radio buttons that fade all other genres: by style alone, so they work without the script."""
    every = tag("label", Safe('<input type="radio" name="genre" value="all" checked> '), "all genres")
    items = [every]
    for index, genre in enumerate(order):
        box = Safe(f'<input type="radio" name="genre" id="bring-out-{index}" value="{index}"> ')
        swatch = Safe(f'<span class="swatch" style="background: var({genre_color(index)})"></span> ')
        items.append(tag("label", box, swatch, genre))
    return tag("fieldset", tag("legend", "Bring out a genre", class_="small"), *items, class_="choices")


def style(genres: int) -> str:
    """The style of the maps; a rule per genre for the radio buttons."""
    rules = "".join(
        f".maps:has(#bring-out-{i}:checked) svg path[class^=of]:not(.of{i}) {{ opacity: .08; }}\n"
        for i in range(genres)
    )
    return (
        ".choices { border: 0; padding: 0; margin: .5rem 0; display: flex; flex-wrap: wrap; gap: .1rem .9rem; }\n"
        ".choices label { padding: .15rem 0; cursor: pointer; } .swatch { display: inline-block; width: .8rem;"
        " height: .8rem; border-radius: 50%; vertical-align: -.05rem; }\n"
        ".map { cursor: crosshair; touch-action: manipulation; border: 1px solid var(--line); max-width: 34rem; }\n"
        "@media print { .choices input { display: none; } .swatch { print-color-adjust: exact; } }\n" + rules
    )


def spread(points: np.ndarray) -> np.ndarray:
    """Points in units of the picture: the middle 99.8 % fill it, what lies farther out stays at its edge."""
    low, high = np.quantile(points, [0.001, 0.999], axis=0)
    share = np.clip((points - low) / np.where(high > low, high - low, 1.0), 0, 1)
    size = np.array([WIDTH - 2 * _MARGIN, _HEIGHT - 2 * _MARGIN])
    return _MARGIN + size * np.stack([share[:, 0], 1 - share[:, 1]], axis=1)


def _map(place: Place, of: np.ndarray, order: Sequence[str]) -> Safe:
    points = spread(place.points)
    draw = Drawing(f"Map of all tracks: {place.name}", WIDTH, _HEIGHT)
    radius = 2.6 if len(points) < 1500 else 1.6
    # In rounds, so that no genre lies above all others where they meet.
    for start in range(_ROUNDS):
        for index in range(len(order)):
            own = points[of == index][start::_ROUNDS]
            if len(own):
                draw.dots(own[:, 0], own[:, 1], genre_color(index), radius, group=f"of{index}")
    for x, y, genre in _names(points, of, order):
        draw.text(x, y + 4, genre, size=11, anchor="middle", bold=True, halo=True)
    ring = '<circle class="ring" r="6" fill="none" stroke="var(--ink)" stroke-width="2" visibility="hidden"/></svg>'
    svg = Safe(str(draw.svg()).replace("</svg>", ring))
    box = tag(
        "div", svg, class_="map", tabindex="0", role="group", aria_label=f"{place.name}: arrow keys go to a track"
    )
    return tag("figure", tag("h3", place.name), box, tag("figcaption", place.words))


def _names(points: np.ndarray, of: np.ndarray, order: Sequence[str]) -> list[tuple[float, float, str]]:
    """The name of each genre at its middle, or as near to it as leaves the other names readable."""
    taken: list[tuple[float, float, float]] = []
    found = []
    for index, genre in enumerate(order):
        own = points[of == index]
        if not len(own):
            continue
        x, y = np.median(own, axis=0).tolist()
        half = 3.6 * len(genre)
        x = min(max(x, half), WIDTH - half)
        for step in sorted(range(-24, 25), key=abs):
            at = y + 7.0 * step
            free = all(abs(at - b) >= 13 or abs(x - a) >= half + other for a, b, other in taken)
            if free and 6 <= at <= _HEIGHT - 6:
                break
        else:
            continue  # no room is left: its colour is among the choices above the map
        taken.append((x, at, half))
        found.append((x, at, genre))
    return found


SCRIPT = """
for (const box of document.querySelectorAll('.maps')) {
  const data = JSON.parse(box.querySelector('script').textContent);
  const out = box.querySelector('output'), audio = box.querySelector('audio');
  const maps = [...box.querySelectorAll('.map')];
  let at = -1;
  const chosen = () => { const one = box.querySelector('input:checked').value; return one === 'all' ? -1 : +one; };
  const show = i => {
    at = i; out.hidden = false;
    out.textContent = data.labels[i] + ' (' + data.names[data.genres[i]] + ')';
    maps.forEach((map, m) => {
      const ring = map.querySelector('.ring'), [x, y] = data.points[m][i];
      ring.setAttribute('cx', x); ring.setAttribute('cy', y); ring.setAttribute('visibility', 'visible');
    });
  };
  const play = () => {
    if (!audio || at < 0 || !data.sounds[at]) return;
    audio.src = data.sounds[at];
    audio.play().catch(() => { out.textContent += ': its sound cannot be played here'; });
  };
  const nearest = (points, x, y, ok) => {
    const only = chosen(); let best = -1, least = Infinity;
    for (let i = 0; i < points.length; i++) {
      if (only >= 0 && data.genres[i] !== only) continue;
      const dx = points[i][0] - x, dy = points[i][1] - y;
      const far = ok ? ok(dx, dy) : dx * dx + dy * dy;
      if (far < least) { least = far; best = i; }
    }
    return best;
  };
  maps.forEach((map, m) => {
    const svg = map.querySelector('svg'), points = data.points[m];
    const point = event => {
      const r = svg.getBoundingClientRect(), v = svg.viewBox.baseVal;
      const i = nearest(points, (event.clientX - r.left) * v.width / r.width,
        (event.clientY - r.top) * v.height / r.height);
      if (i >= 0) show(i);
    };
    map.addEventListener('pointermove', point);
    map.addEventListener('click', event => { point(event); play(); });
    map.addEventListener('keydown', event => {
      const way = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
      if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); play(); return; }
      if (!way) return;
      event.preventDefault();
      if (at < 0) { show(Math.max(0, nearest(points, 180, 165))); return; }
      const [x, y] = points[at], only = chosen();
      const i = only >= 0 && data.genres[at] !== only ? nearest(points, x, y) : nearest(points, x, y, (dx, dy) => {
        const along = dx * way[0] + dy * way[1], across = Math.abs(dx * way[1]) + Math.abs(dy * way[0]);
        return along > 0.05 ? along + 3 * across : Infinity;
      });
      if (i >= 0) show(i);
    });
  });
}
"""


def download(found: Sequence[Place], ids: Sequence[str], genres: Sequence[str]) -> Safe:
    columns = [axis for place in found for axis in (f"{place.name} 1", f"{place.name} 2")]
    data = [
        (name, genre, *(float(v) for place in found for v in place.points[i]))
        for i, (name, genre) in enumerate(zip(ids, genres, strict=True))
    ]
    return h.download("map", ("id", "genre", *columns), data)
