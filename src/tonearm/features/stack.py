"""Several features as one array."""

from __future__ import annotations

from typing import Any

from tonearm.errors import UsageError
from tonearm.features import _fields, _ops
from tonearm.features._nested import description, inner
from tonearm.features._spectra import Spectra
from tonearm.features.base import Feature, feature


def _descriptions(value: Any) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)) or not value:
        raise _fields.Refused("a list of at least one feature")
    return tuple(description(item) for item in value)


@feature("stack")
class Stack(Feature):
    """Features with the same frames, one above the other, shape (sum of their rows, frames); they share one STFT."""

    features: tuple[Feature, ...] = _fields.checked(
        ("mfcc", "centroid"), "the features: kinds, configs or features", _descriptions
    )

    def check(self) -> None:
        features = tuple(inner(item, self.sample_rate) for item in self.features)
        object.__setattr__(self, "features", features)
        # Clips of three lengths tell hop_length, centring and sparse frames apart.
        rate = self.sample_rate or 44100
        for n_samples in (rate, 5 * rate + 1, 30 * rate + 7):
            counts = {item.kind: item.frame_count(n_samples) for item in features}
            if len(set(counts.values())) > 1:
                raise UsageError(
                    f"features with different frames cannot be stacked: {_listed(counts)} in {n_samples} samples",
                    hint="give them the same n_fft, hop_length, center and frames",
                )

    @property
    def has_batch(self) -> bool:
        return all(item.has_batch for item in self.features)

    @property
    def rows(self) -> int:
        return sum(item.rows for item in self.features)

    def columns(self) -> list[str]:
        """The names of the rows of each; a name that was there already gets a number behind it."""
        names: list[str] = []
        for item in self.features:
            for name in item.columns():
                seen = 1
                unique = name
                while unique in names:
                    seen += 1
                    unique = f"{name}_{seen}"
                names.append(unique)
        return names

    def frame_count(self, n_samples: int) -> int:
        return self.features[0].frame_count(n_samples)

    def compute(self, spectra: Spectra) -> Any:
        parts = [_ops.float32(spectra.of(item)) for item in self.features]
        counts = {item.kind: part.shape[-1] for item, part in zip(self.features, parts, strict=True)}
        if len(set(counts.values())) > 1:
            raise UsageError(f"features with different frames cannot be stacked: {_listed(counts)}")
        return _ops.concat(parts, -2)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in counts.items())
