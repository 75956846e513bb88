"""The colours of every page and picture, as names, so that light, dark and paper are three columns of one table.

Text colours reach 4.5:1 against `paper` and `box`, marks 3:1 against `paper` (WCAG 2.2, 1.4.3 and 1.4.11); the tests
compute it. Genres take g1 to g12, hues that lie apart with lightness that differs, so that neighbours differ in grey.
"""

from __future__ import annotations

import numpy as np

#            name:   (light,     dark,      paper)
_TABLE = {
    "paper": ("#ffffff", "#16181b", "#ffffff"),
    "ink": ("#1c1e21", "#e8eaed", "#000000"),
    "soft": ("#5b6169", "#a3aab3", "#444444"),
    "line": ("#d9dde2", "#3a3f46", "#bbbbbb"),
    "box": ("#f4f6f8", "#1f2226", "#f4f4f4"),
    "link": ("#0b57a4", "#8ab8f0", "#000000"),
    "bad": ("#b3261e", "#f28b82", "#8c1d18"),
    "warn": ("#875500", "#f3b765", "#6b4300"),
    "good": ("#1b6e3c", "#7fd0a0", "#124d2a"),
    "c1": ("#c2453c", "#e5746b", "#b23a32"),
    "c2": ("#b8741a", "#e0a84d", "#a86a10"),
    "c3": ("#6b76c9", "#98a2ee", "#5059a8"),
    "c4": ("#2c7d59", "#5fbf93", "#236347"),
    "c5": ("#7d838c", "#7c828b", "#777777"),
    # Grounds that carry text in `ink` at any share of them.
    "right": ("#7fc7a2", "#1d5f45", "#9ed6b9"),
    "wrong": ("#f2a59b", "#7d3a33", "#f4b9b1"),
    "heat": ("#8fb3e6", "#2b4d86", "#b3cbee"),
    "g1": ("#bd413f", "#e47c75", "#bd413f"),
    "g2": ("#0961bb", "#64a1ee", "#0961bb"),
    "g3": ("#299236", "#80cd82", "#299236"),
    "g4": ("#8548ac", "#be8ce1", "#8548ac"),
    "g5": ("#c96900", "#fba962", "#c96900"),
    "g6": ("#009b9e", "#2ad7d7", "#009b9e"),
    "g7": ("#b94c90", "#eb8ec4", "#b94c90"),
    "g8": ("#978000", "#decc60", "#978000"),
    "g9": ("#383da2", "#7684da", "#383da2"),
    "g10": ("#00784f", "#27b892", "#00784f"),
    "g11": ("#8d0e41", "#c5617c", "#8d0e41"),
    "g12": ("#446500", "#86a645", "#446500"),
}
LIGHT, DARK, PAPER = ({name: row[column] for name, row in _TABLE.items()} for column in range(3))
TEXT = ("ink", "soft", "link", "bad", "warn", "good")
GENRES = 12


def genre_color(number: int) -> str:
    """The colour of the genre with that number; from the thirteenth on they come again."""
    return f"--g{number % GENRES + 1}"


def css() -> str:
    """The table as CSS variables; dark where the reader's system is, paper in print."""

    def block(colors: dict[str, str]) -> str:
        return ":root { " + " ".join(f"--{name}: {value};" for name, value in colors.items()) + " }"

    return (
        f"{block(LIGHT)}\n@media screen and (prefers-color-scheme: dark) {{ {block(DARK)} }}\n"
        f"@media print {{ {block(PAPER)} }}\n"
    )


def rgb(color: str) -> tuple[int, int, int]:
    """#rrggbb as three numbers."""
    return tuple(int(color[i : i + 2], 16) for i in (1, 3, 5))


def mixed(color: str, ground: str, share: float) -> str:
    """What `color` looks like on `ground` at that opacity."""
    return "#" + "".join(
        f"{round(share * a + (1 - share) * b):02x}" for a, b in zip(rgb(color), rgb(ground), strict=True)
    )


def contrast(first: str, second: str) -> float:
    """The contrast ratio of WCAG 2.2, 1 to 21."""

    def luminance(color: str) -> float:
        channels = [value / 255 for value in rgb(color)]
        linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def ramp() -> np.ndarray:
    """256 colours (256, 3) uint8 from near black over purple and orange to near white, for values from low to high.

    Lightness rises evenly in OKLab (Ottosson 2020), so the picture is true in grey and on paper.
    """
    light = np.linspace(0.13, 0.98, 256)
    share = np.linspace(0.0, 1.0, 256)
    hue = np.radians(np.interp(share, (0, 0.3, 0.65, 1), (285, 318, 390, 455)))
    chroma = np.interp(share, (0, 0.15, 0.35, 0.7, 0.88, 1), (0.03, 0.12, 0.17, 0.165, 0.12, 0.05))
    lab = np.stack([light, chroma * np.cos(hue), chroma * np.sin(hue)])
    cones = _LAB_TO_CONES @ lab
    linear = np.clip(_CONES_TO_RGB @ cones**3, 0, 1)
    colors = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(255 * colors).T.astype(np.uint8)


_LAB_TO_CONES = np.array(
    [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]]
)
_CONES_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)
