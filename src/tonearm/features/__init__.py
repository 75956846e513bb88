"""Waveforms to arrays, one STFT below all of them."""

from tonearm.features._scale import quantise, restore
from tonearm.features._settings import from_settings, parse_settings
from tonearm.features._spectra import Spectra
from tonearm.features.base import Feature, Framed, Spectral, create, feature, from_config, registry

__all__ = [
    "Feature",
    "Framed",
    "Spectra",
    "Spectral",
    "create",
    "feature",
    "from_config",
    "from_settings",
    "parse_settings",
    "quantise",
    "registry",
    "restore",
]
