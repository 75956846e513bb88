"""Waveforms to arrays, one STFT below all of them."""
