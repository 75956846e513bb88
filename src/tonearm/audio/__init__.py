"""Files to waveforms: decode, resample, excerpts, and the one AudioError."""

from tonearm.audio import prepare
from tonearm.audio._load import AudioInfo, Sound, info, load, reading, stream
from tonearm.audio._resample import resample
from tonearm.audio._sniff import SUFFIXES
from tonearm.audio.errors import CODES, AudioError
from tonearm.audio.waveform import Waveform

__all__ = [
    "CODES", "SUFFIXES", "AudioError", "AudioInfo", "Sound", "Waveform", "info", "load", "prepare", "reading",
    "resample", "stream",
]  # fmt: skip
