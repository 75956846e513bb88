"""Student's t, by hand because the light tool has no scipy."""

from __future__ import annotations

import math
from statistics import NormalDist

from tonearm.errors import UsageError


def student_quantile(probability: float, degrees: int) -> float:
    """Quantile of Student's t for whole degrees of freedom."""
    if degrees < 1:
        raise UsageError(f"Student's t needs a degree of freedom, not {degrees}")
    z = NormalDist().inv_cdf(probability)
    if degrees >= 30:
        return _cornish_fisher(z, degrees)
    low, high = 0.0, 1e6
    inside = abs(2 * probability - 1)
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _student_inside(middle, degrees) < inside else (low, middle)
    return math.copysign((low + high) / 2, z) if z else 0.0


def _cornish_fisher(z: float, degrees: int) -> float:
    """Abramowitz and Stegun 26.7.5."""
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / degrees**power for power, term in enumerate(terms, start=1))


def _student_inside(t: float, degrees: int) -> float:
    """P(|T| < t), Abramowitz and Stegun 26.7.3 and 26.7.4."""
    angle = math.atan(t / math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = degrees % 2
    term = cosine if odd else 1.0
    total = 0.0
    for step in range(1, degrees - 1, 2) if odd else range(2, degrees + 1, 2):
        total += term
        term *= cosine**2 * ((step + 1) / (step + 2) if odd else (step - 1) / step)
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
