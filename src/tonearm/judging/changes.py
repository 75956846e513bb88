"""Changes of sound after which it is the same music: what no listener would call another genre."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tonearm import audio
from tonearm.audio import Waveform
from tonearm.errors import TonearmError

Audible = Literal["no", "little", "yes"]
# Windows of the time stretch, how far apart they are laid, and how far each may be moved, in samples.
FRAME, STEP, REACH = 2048, 1024, 512


@dataclass(frozen=True, slots=True)
class Change:
    """`make` gives the changed sound, or None where there is nothing to change (8 kHz of a file that ends at 4).

    `audible`: "no" (nobody hears it), "little" (only beside the original), "yes" (plainly, and it is the same music).
    """

    name: str
    words: str
    audible: Audible
    make: Callable[[Waveform, np.random.Generator], Waveform | None]


def _gain(gain_db: float) -> Callable:
    def make(wave: Waveform, draw: np.random.Generator) -> Waveform:
        return Waveform(wave.samples * np.float32(10 ** (gain_db / 20)), wave.sample_rate)

    return make


def _filtered(wave: Waveform, gain: Callable[[np.ndarray], np.ndarray]) -> Waveform:
    """Through a filter without phase: `gain` of hertz."""
    spectrum = np.fft.rfft(wave.samples)
    spectrum *= gain(np.fft.rfftfreq(len(wave.samples), 1 / wave.sample_rate))
    return Waveform(np.fft.irfft(spectrum, len(wave.samples)).astype(np.float32), wave.sample_rate)


def _low_pass(hertz: float) -> Callable:
    def make(wave: Waveform, draw: np.random.Generator) -> Waveform | None:
        if wave.sample_rate / 2 <= hertz:
            return None
        return _filtered(wave, lambda f: np.clip((1.1 * hertz - f) / (0.1 * hertz), 0, 1))

    return make


def _without_deep(wave: Waveform, draw: np.random.Generator) -> Waveform:
    return _filtered(wave, lambda f: np.clip((f - 20) / 4, 0, 1))


def _tone(wave: Waveform, draw: np.random.Generator) -> Waveform:
    """A smooth response of up to 3 dB, another one for each file."""
    decibels = draw.uniform(-3, 3, 11)
    return _filtered(
        wave, lambda f: 10 ** (np.interp(np.log2(np.maximum(f, 20) / 20), np.arange(11), decibels) / 20)
    )  # fmt: skip


def _rate(rate: int) -> Callable:
    def make(wave: Waveform, draw: np.random.Generator) -> Waveform | None:
        if wave.sample_rate == rate:
            return None
        return Waveform(audio.resample(wave.samples, wave.sample_rate, rate), rate)

    return make


def _later(wave: Waveform, draw: np.random.Generator) -> Waveform | None:
    begin = wave.sample_rate // 2
    return Waveform(wave.samples[begin:], wave.sample_rate) if len(wave.samples) > 4 * begin else None


def _noise(snr_db: float) -> Callable:
    def make(wave: Waveform, draw: np.random.Generator) -> Waveform:
        level = np.sqrt(np.mean(np.square(wave.samples, dtype=np.float64))) * 10 ** (-snr_db / 20)
        noise = draw.standard_normal(len(wave.samples), dtype=np.float32)
        return Waveform(wave.samples + np.float32(level) * noise, wave.sample_rate)

    return make


def _speed(factor: float) -> Callable:
    """As a record that turns too fast: tempo and pitch together."""

    def make(wave: Waveform, draw: np.random.Generator) -> Waveform:
        return Waveform(
            audio.resample(wave.samples, round(wave.sample_rate * factor), wave.sample_rate), wave.sample_rate
        )

    return make


def _tempo(factor: float) -> Callable:
    def make(wave: Waveform, draw: np.random.Generator) -> Waveform:
        return Waveform(stretched(wave.samples, factor), wave.sample_rate)

    return make


def _pitch(semitones: float) -> Callable:
    factor = 2 ** (semitones / 12)

    def make(wave: Waveform, draw: np.random.Generator) -> Waveform:
        longer = stretched(wave.samples, 1 / factor)
        return Waveform(audio.resample(longer, round(wave.sample_rate * factor), wave.sample_rate), wave.sample_rate)

    return make


def stretched(samples: np.ndarray, factor: float) -> np.ndarray:
    """Samples (n,) `factor` times as fast at the same pitch, (n / factor,): WSOLA (Verhelst, Roelands, ICASSP 1993).

    Windows of the sound, laid further apart or closer, each moved a little to where it goes on best from the one
    before. By hand because librosa is not part of the light install, and its phase vocoder smears what it stretches.
    """
    window = np.hanning(FRAME + 1)[:-1].astype(np.float32)
    count = max(1, round(len(samples) / factor / STEP))
    padded = np.pad(np.asarray(samples, np.float32), (REACH + FRAME, 2 * FRAME + 2 * REACH))
    out = np.zeros(count * STEP + FRAME, np.float32)
    size = 1 << (FRAME + 2 * REACH - 1).bit_length()
    at = REACH + FRAME
    for k in range(count):
        wanted = REACH + FRAME + round(k * STEP * factor)
        if k:
            there = padded[wanted - REACH : wanted + REACH + FRAME]
            next_one = padded[at + STEP : at + STEP + FRAME]
            alike = np.fft.irfft(np.fft.rfft(there, size) * np.conj(np.fft.rfft(next_one, size)), size)
            wanted += int(alike[: 2 * REACH + 1].argmax()) - REACH
        at = wanted
        out[k * STEP : k * STEP + FRAME] += window * padded[at : at + FRAME]
    return out[: round(len(samples) / factor)]


# What an encoder of libsndfile takes; other rates are resampled first.
_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_OPUS_RATES = (8000, 12000, 16000, 24000, 48000)


def _mp3(kbits: int) -> Callable:
    def make(wave: Waveform, draw: np.random.Generator) -> Waveform:
        wave = _at_a_rate_of(wave, _MP3_RATES, 44100)
        # Of a constant bit rate libsndfile wants the place between the highest and the lowest that the rate allows.
        most, least = (
            (320, 32) if wave.sample_rate >= 32000 else (160, 8) if wave.sample_rate >= 16000 else (64, 8)
        )  # fmt: skip
        return _through(
            wave, format="MP3", subtype="MPEG_LAYER_III", bitrate_mode="CONSTANT",
            compression_level=(most - min(max(kbits, least), most)) / (most - least),
        )  # fmt: skip

    return make


def _opus(wave: Waveform, draw: np.random.Generator) -> Waveform:
    return _through(_at_a_rate_of(wave, _OPUS_RATES, 48000), format="OGG", subtype="OPUS", compression_level=0.95)


def _at_a_rate_of(wave: Waveform, rates: tuple[int, ...], otherwise: int) -> Waveform:
    if wave.sample_rate in rates:
        return wave
    return Waveform(audio.resample(wave.samples, wave.sample_rate, otherwise), otherwise)


def _through(wave: Waveform, **keywords: object) -> Waveform:
    """Through an encoder of libsndfile and back."""
    import soundfile

    # Encoders cut off what is beyond full scale; a file that is played too loud is not what is asked here.
    peak = max(1.0, float(np.abs(wave.samples).max()))
    file = io.BytesIO()
    try:
        soundfile.write(file, wave.samples / peak, wave.sample_rate, **keywords)
        file.seek(0)
        samples, rate = soundfile.read(file, dtype="float32")
    except (soundfile.SoundFileError, ValueError, TypeError) as error:
        raise TonearmError(f"this libsndfile cannot encode it: {error}", code="codec") from None
    return Waveform(samples * np.float32(peak), rate)


def _aac(wave: Waveform, draw: np.random.Generator) -> Waveform:
    """AAC at 64 kbit/s, by PyAV where it is installed."""
    try:
        import av
    except ImportError:
        raise TonearmError("AAC needs PyAV", hint='pip install "tonearm[av]"', code="needs-extra") from None
    wave = _at_a_rate_of(wave, (22050, 24000, 32000, 44100, 48000), 44100)
    file = io.BytesIO()
    with av.open(file, "w", format="adts") as container:
        stream = container.add_stream("aac", rate=wave.sample_rate)
        stream.bit_rate, stream.layout = 64000, "mono"
        peak = max(1.0, float(np.abs(wave.samples).max()))
        for at in range(0, len(wave.samples), 1024):
            piece = np.ascontiguousarray(wave.samples[None, at : at + 1024] / peak, np.float32)
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = wave.sample_rate, at
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    back = audio.load(file.getvalue())
    return Waveform(back.samples * np.float32(peak), back.sample_rate)


CHANGES: dict[str, Change] = {
    change.name: change
    for change in (
        Change("softer", "12 dB softer", "no", _gain(-12)),
        Change("louder", "12 dB louder, without clipping", "no", _gain(12)),
        Change("below-20-hz", "everything below 20 Hz is taken away", "no", _without_deep),
        Change("start", "it begins half a second later", "no", _later),
        Change("rate-48000", "resampled to 48 kHz", "no", _rate(48000)),
        Change("rate-22050", "resampled to 22.05 kHz", "little", _rate(22050)),
        Change("rate-16000", "resampled to 16 kHz", "little", _rate(16000)),
        Change("mp3-128k", "an MP3 of 128 kbit/s", "little", _mp3(128)),
        Change("mp3-64k", "an MP3 of 64 kbit/s", "little", _mp3(64)),
        Change("opus", "an Opus file of low quality", "little", _opus),
        Change("aac-64k", "AAC at 64 kbit/s", "little", _aac),
        Change("tone", "another tone control for each file, up to 3 dB", "little", _tone),
        Change("speed+3", "3 % faster and higher", "little", _speed(1.03)),
        Change("low-pass-8000", "nothing above 8 kHz", "little", _low_pass(8000)),
        Change("low-pass-4000", "nothing above 4 kHz", "yes", _low_pass(4000)),
        Change("tempo+5", "5 % faster at the same pitch", "little", _tempo(1.05)),
        Change("tempo-5", "5 % slower at the same pitch", "little", _tempo(1 / 1.05)),
        Change("pitch+1", "a semitone higher", "yes", _pitch(1)),
        Change("pitch-1", "a semitone lower", "yes", _pitch(-1)),
        Change("noise-30", "white noise 30 dB below", "little", _noise(30)),
        Change("noise-20", "white noise 20 dB below", "yes", _noise(20)),
        Change("noise-10", "white noise 10 dB below", "yes", _noise(10)),
    )
}
# Needs the file, not the sound: a waveform is mono already.
LEFT = Change("left-channel", "only the left channel of a stereo file", "yes", lambda wave, draw: None)


def left_channel(path: str, start_seconds: float, clip_seconds: float) -> Waveform | None:
    """The left channel of a stretch of a file; None where it has one channel, or libsndfile does not read it."""
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            if file.channels < 2:
                return None
            file.seek(round(start_seconds * file.samplerate))
            samples = file.read(round(clip_seconds * file.samplerate), dtype="float32", always_2d=True)
            return Waveform(np.ascontiguousarray(samples[:, 0]), file.samplerate) if len(samples) else None
    except (soundfile.SoundFileError, OSError, ValueError):
        return None
