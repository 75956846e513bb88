"""Augmentations: equal seeds equal batches, each does what it says, wrong keywords are refused."""

from __future__ import annotations

import dataclasses
import random
import struct
import zlib

import numpy as np
import pytest
import soundfile
import torch
from scipy import ndimage

from tonearm.audio import Waveform
from tonearm.errors import UsageError
from tonearm.training import augment

KINDS = augment.registry.names()
RATE = 22050


def batch(kind: str, n: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    shape = (1, RATE) if augment.registry.get(kind).on == "waveform" else (40, 60)
    draw = np.random.default_rng(7)
    x = torch.from_numpy(draw.normal(size=(n, *shape)).astype(np.float32))
    return x, torch.eye(3)[torch.arange(n) % 3]


def one(kind: str, seed: int = 0, **keywords) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    x, y = batch(kind)
    chain = augment.create([{"kind": kind, **keywords}], sample_rate=RATE)
    return x, *chain(x, y, np.random.default_rng(seed))


@pytest.mark.parametrize("kind", KINDS)
def test_contract(kind):
    """Equal seeds equal batches whatever else was drawn; others others; shapes stay; nothing is changed in place."""
    x, y = batch(kind)
    before, before_y = x.clone(), y.clone()
    chain = augment.create([{"kind": kind}], sample_rate=RATE)
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    first, first_y = chain(x, y, np.random.default_rng(5))
    expected = random.Random(1).random(), np.random.RandomState(1).random()
    assert (random.random(), np.random.random()) == expected, "the generators of the program were moved"
    torch.manual_seed(2)
    again, again_y = chain(x, y, np.random.default_rng(5))
    assert torch.equal(first, again)
    assert torch.equal(first_y, again_y)
    assert not torch.equal(first, chain(x, y, np.random.default_rng(6))[0])
    assert first.shape == x.shape
    assert first.dtype == torch.float32
    assert torch.isfinite(first).all()
    assert not torch.equal(first, x)
    torch.testing.assert_close(first_y.sum(1), torch.ones(len(y)))
    assert torch.equal(x, before)
    assert torch.equal(y, before_y)
    assert augment.create(chain.config()) == chain
    assert augment.registry.get(kind).__doc__


@pytest.mark.parametrize("kind", KINDS)
def test_probability_none_leaves_all_half_leaves_some(kind):
    x, out, _ = one(kind, probability=0.0)
    assert torch.equal(out, x)
    x, out, _ = one(kind, seed=2, probability=0.5)
    same = (out == x).flatten(1).all(1)
    assert same.any()
    assert not same.all()


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_keywords_are_refused(kind):
    with pytest.raises(UsageError, match="probabilty") as refused:
        augment.create([{"kind": kind, "probabilty": 1.0}], sample_rate=RATE)
    for field in dataclasses.fields(augment.registry.get(kind)):
        assert field.name in refused.value.hint
    with pytest.raises(UsageError, match="probability must lie between 0 and 1"):
        augment.create([{"kind": kind, "probability": 2}], sample_rate=RATE)
    if augment.registry.get(kind).on == "waveform":
        with pytest.raises(UsageError, match="must know their rate"):
            augment.create([{"kind": kind}])
        x = torch.zeros(2, 40, 60)
        with pytest.raises(UsageError, match="works on samples"):
            augment.create([{"kind": kind}], sample_rate=RATE)(x, torch.eye(2), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"kind": "mixpu"}, "did you mean 'mixup'"),
        ({"alpha": 1}, "described by its kind"),
        ({"kind": "time-mask", "masks": 1.5}, "masks must be a whole number between 1 and 100"),
        ({"kind": "resize", "direction": "time"}, "unknown direction"),
        ({"kind": "noise", "least_db": 50.0, "most_db": 10.0}, "lies above"),
        ({"kind": "filter", "which": "comb"}, "unknown filter"),
        ({"kind": "codec", "codec": "aac"}, "unknown codec"),
    ],
)
def test_what_is_wrong_is_said(config, message):
    with pytest.raises(UsageError, match=message):
        augment.create([config], sample_rate=RATE)


def test_masks_hide_whole_rows_or_columns_and_no_more_than_told():
    for kind, axis in (("time-mask", 2), ("frequency-mask", 1)):
        x, out, _ = one(kind, masks=2, longest=0.2)
        hidden = (out == 0).all(3 - axis)
        assert torch.equal(out != x, hidden.unsqueeze(3 - axis).expand(x.shape))
        assert 0 < hidden.sum(1).max() <= 2 * 0.2 * x.shape[axis]


def test_mixup_by_hand():
    x, y = batch("mixup")
    step = augment.create([{"kind": "mixup", "alpha": 0.5}]).steps[0]
    drawn = step.draw(np.random.default_rng(0), len(x), x.shape[1:])
    out, shares = step.apply(x, y, drawn)
    for i, (share, other) in enumerate(zip(drawn["share"], drawn["other"], strict=True)):
        torch.testing.assert_close(out[i], share * x[i] + (1 - share) * x[other], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(shares[i], (share * y[i] + (1 - share) * y[other]).float())


def test_mel_shift_moves_rows_and_repeats_the_edge():
    x, y = batch("mel-shift")
    step = augment.create([{"kind": "mel-shift", "most": 5}]).steps[0]
    out, _ = step.apply(x, y, {"bands": np.array([3, -2, 0, 5, -5, 1])})
    assert torch.equal(out[0, 3:], x[0, :-3])
    assert torch.equal(out[0, :3], x[0, :1].expand(3, -1))
    assert torch.equal(out[1, :-2], x[1, 2:])
    assert torch.equal(out[2], x[2])


def test_resize_is_numpys_interpolation():
    x, y = batch("resize")
    step = augment.create([{"kind": "resize", "direction": "frames"}]).steps[0]
    drawn = step.draw(np.random.default_rng(0), len(x), x.shape[1:])
    out, _ = step.apply(x, y, drawn)
    frames = np.arange(x.shape[2])
    for i in range(len(x)):
        middle = drawn["around"][1][i] * frames[-1]
        places = middle + (frames - middle) / drawn["factor"][1][i]
        np.testing.assert_allclose(out[i, 7].numpy(), np.interp(places, frames, x[i, 7].numpy()), atol=1e-3)


def test_equalise_adds_one_value_per_band():
    x, out, _ = one("equalise", strength=0.5)
    change = out - x
    torch.testing.assert_close(change, change[:, :, :1].expand(x.shape), rtol=1e-4, atol=1e-5)
    assert 0.01 < change.abs().max() <= 3 * 0.5


def test_white_noise_has_the_deviation_that_was_drawn():
    x, y = torch.zeros(4, 200, 200), torch.eye(4)
    step = augment.create([{"kind": "white-noise", "strength": 0.5}]).steps[0]
    drawn = step.draw(np.random.default_rng(0), 4, (200, 200))
    out, _ = step.apply(x, y, drawn)
    np.testing.assert_allclose(out.std((1, 2)).numpy(), drawn["deviation"], rtol=0.02)


@pytest.mark.parametrize("size", [(41, 41), (40, 60)])
def test_rotation_is_scipys(size):
    smooth = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=size), 3)
    x = torch.from_numpy(smooth.astype(np.float32))[None]
    step = augment.create([{"kind": "rotate"}]).steps[0]
    out, _ = step.apply(x, torch.eye(1), {"radians": np.radians([20.0])})
    expected = ndimage.rotate(smooth, 20, reshape=False, order=1, mode="nearest")
    inner = (slice(8, -8), slice(8, -8))
    np.testing.assert_allclose(out[0].numpy()[inner], expected[inner], atol=0.02 * smooth.std())


def test_shift_and_flip_by_hand():
    x, y = batch("shift")
    step = augment.create([{"kind": "shift"}]).steps[0]
    out, _ = step.apply(x, y, {"by": np.array([[2.0] * 6, [-3.0] * 6])})
    torch.testing.assert_close(out[:, 2:, :-3], x[:, :-2, 3:])
    x, out, _ = one("flip", probability=1.0)
    assert torch.equal(out, x.flip(-1))


def _tone(pitch: float, seconds: float = 1.0) -> torch.Tensor:
    time = np.arange(round(seconds * RATE)) / RATE
    return torch.from_numpy((0.5 * np.sin(2 * np.pi * pitch * time)).astype(np.float32))[None, None]


def _peak(x: torch.Tensor) -> float:
    samples = x.flatten().numpy()
    return float(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))).argmax() * RATE / len(samples))


def test_pitch_moves_a_tone_and_stretch_does_not():
    tone, y = _tone(440), torch.eye(1)
    moved = [
        _peak(augment.create([{"kind": "pitch", "semitones": 4.0}], sample_rate=RATE)(tone, y, g)[0])
        for g in map(np.random.default_rng, range(5))
    ]
    steps = 12 * np.log2(np.array(moved) / 440)
    assert (np.abs(steps) <= 4.2).all()
    assert np.ptp(steps) > 1
    stretched, _ = augment.create([{"kind": "stretch"}], sample_rate=RATE)(tone, y, np.random.default_rng(0))
    assert _peak(stretched) == pytest.approx(440, rel=0.02)


def test_gain_and_noise_stay_within_their_decibels():
    tone = _tone(440).repeat(20, 1, 1)
    loud, _ = augment.create([{"kind": "gain", "most_db": 6.0}], sample_rate=RATE)(
        tone, torch.eye(20), np.random.default_rng(0)
    )
    gains = 20 * torch.log10(loud.std((1, 2)) / tone.std((1, 2)))
    assert gains.abs().max() <= 6.01
    assert gains.std() > 1
    noisy, _ = augment.create([{"kind": "noise", "least_db": 10.0, "most_db": 20.0}], sample_rate=RATE)(
        tone, torch.eye(20), np.random.default_rng(0)
    )
    below = 20 * torch.log10(tone.std((1, 2)) / (noisy - tone).std((1, 2)))
    assert below.min() > 9.5
    assert below.max() < 20.5


def test_a_lowpass_takes_the_highs_and_a_codec_keeps_the_sound():
    x, y = batch("filter")
    low, _ = augment.create([{"kind": "filter"}], sample_rate=RATE)(x, y, np.random.default_rng(0))
    spectrum = np.abs(np.fft.rfft(low.numpy()[:, 0]))
    assert spectrum[:, :500].mean() > 3 * spectrum[:, 9000:].mean()
    for codec in ("mp3", "vorbis"):
        tone = 8 * _tone(440)  # louder than a file may be: standardised samples are
        through, _ = augment.create([{"kind": "codec", "codec": codec}], sample_rate=RATE)(
            tone, torch.eye(1), np.random.default_rng(0)
        )
        assert np.corrcoef(through.flatten(), tone.flatten())[0, 1] > 0.98
        assert not torch.equal(through, tone)


def test_crop_repeats_a_stretch_of_the_clip():
    x, y = batch("crop")
    step = augment.create([{"kind": "crop"}], sample_rate=RATE).steps[0]
    out, _ = step.apply(x, y, {"share": np.full(6, 0.5), "start": np.full(6, 0.25)})
    begin = round(0.25 * RATE)
    assert torch.equal(out[:, :, : RATE // 2], x[:, :, begin : begin + RATE // 2])
    assert torch.equal(out[:, :, RATE // 2 : RATE], x[:, :, begin : begin + RATE - RATE // 2])


def _pixels(png: bytes) -> np.ndarray:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    at, data, size = 8, b"", (0, 0)
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        body = png[at + 8 : at + 8 + length]
        assert struct.unpack(">I", png[at + 8 + length : at + 12 + length])[0] == zlib.crc32(kind + body)
        if kind == b"IHDR":
            size = struct.unpack(">II", body[:8])
        data += body if kind == b"IDAT" else b""
        at += 12 + length
    return np.frombuffer(zlib.decompress(data), np.uint8).reshape(size[1], size[0] + 1)[:, 1:]


@pytest.mark.parametrize("kind", KINDS)
def test_previews_are_a_picture_and_two_sounds(kind, tmp_path):
    chain = augment.create([{"kind": kind, "probability": 1.0}], sample_rate=RATE)
    clips = [Waveform(_tone(pitch, 1.0).flatten().numpy(), RATE) for pitch in (440, 1500)]
    shown = augment.preview(chain, clips[0], other=clips[1], seed=1)
    paths = shown.save(tmp_path / "clip")
    pixels = _pixels(paths[0].read_bytes())
    half = (pixels.shape[1] - 4) // 2
    assert pixels.shape[0] == 128
    assert not np.array_equal(pixels[:, :half], pixels[:, half + 4 :])
    sounds = [soundfile.read(path)[0] for path in paths[1:]]
    assert len(sounds[0]) == len(sounds[1]) == RATE
    assert not np.array_equal(*sounds)
    assert np.abs(sounds[0]).max() > 0.1


def test_previews_show_the_tone_where_it_is(tmp_path):
    clip = Waveform(_tone(440).flatten().numpy(), RATE)
    chain = augment.create([{"kind": "time-mask", "longest": 0.3}])
    shown = augment.preview(chain, clip)
    assert _peak(torch.from_numpy(shown.before.samples)) == pytest.approx(440, rel=0.03)
    with pytest.raises(UsageError, match="nothing to preview"):
        augment.preview(augment.create([]), clip)
    with pytest.raises(UsageError, match="one at a time"):
        augment.preview(augment.create([{"kind": "gain"}, {"kind": "mixup"}], sample_rate=RATE), clip)
