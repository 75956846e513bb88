"""Files to waveforms: decode, resample, excerpts, and the one AudioError."""

from tonearm.audio.errors import CODES, AudioError
from tonearm.audio.waveform import Waveform

__all__ = ["CODES", "AudioError", "Waveform"]
