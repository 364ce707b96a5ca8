"""Voices from a source and a filter: glottal pulses and noise, shaped by the formants of each word's letters.

The speech is not intelligible, but pitch, loudness, timbre and tempo are those asked for, and a word always
sounds alike.
The source-filter model is Fant's (1960); vowel formants are the averages of Peterson and Barney (1952) for men.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

SAMPLE_RATE_HZ = 16_000
FRAME_S = 0.01  # one frame of a forced alignment, and one analysis step of the synthesis
HOP = int(SAMPLE_RATE_HZ * FRAME_S)
FFT = 4 * HOP
SILENCE_DB = -62.0

VOWELS_HZ = {
    "a": (730, 1090, 2440), "e": (530, 1840, 2480), "i": (390, 1990, 2550),
    "o": (570, 840, 2410), "u": (300, 870, 2240), "y": (270, 2290, 3010),
}  # fmt: skip
CONSONANTS = {  # formants, length in seconds, strength of pulses and of noise
    "lmnrwj": ((300, 1300, 2500), 0.055, 0.45, 0.0),
    "szfvhxc": ((300, 2100, 4600), 0.075, 0.0, 0.5),
    "pbtdkgq": ((350, 1500, 3000), 0.055, 0.0, 0.2),
}
PHONES = {vowel: (hz, 0.1, 0.9, 0.0) for vowel, hz in VOWELS_HZ.items()}
PHONES |= {letter: phone for letters, phone in CONSONANTS.items() for letter in letters}


@dataclass(frozen=True)
class Voice:
    """What stays the same in a person's voice."""

    pitch_hz: float
    tract: float  # formants as multiples of the table's
    breath: float  # noise beside the pulses, 0 to 1


@dataclass(frozen=True)
class Prosody:
    """How something is said: differences from a calm statement."""

    pitch: float = 0.0  # semitones
    melody: float = 1.5  # semitones that the stressed vowels rise
    level: float = 0.0  # dB
    brightness: float = 0.0  # about -1 (soft) to 1 (pressed)
    tempo: float = 1.0
    ending: float = -1.5  # semitones that the last syllable glides


def draw_voice(rng: np.random.Generator, letter: str) -> Voice:
    """A woman's (F) or a man's (M) voice."""
    pitch_hz, tract = (205, 1.15) if letter == "F" else (118, 1.0)
    return Voice(pitch_hz * 2 ** rng.uniform(-0.12, 0.12), tract * rng.uniform(0.96, 1.04), rng.uniform(0.05, 0.2))


def phones(word: str, tempo: float) -> list[tuple[str, int]]:
    """Letters of a word that sound, of those in a row that sound alike the first, and their lengths in frames."""
    kept: list[str] = []
    for letter in filter(PHONES.__contains__, word.lower()):
        if not kept or (letter != kept[-1] and not {letter, kept[-1]} <= VOWELS_HZ.keys()):
            kept.append(letter)
    return [(letter, max(3, round(PHONES[letter][1] / tempo / FRAME_S))) for letter in kept or ["a"]]


def place(words: list[str], tempo: float, rng: np.random.Generator) -> tuple[list[tuple[str, int, int]], int]:
    """Words with first and end frame, after a short silence and with a pause now and then; and the length of all."""
    at, placed = int(rng.integers(8, 14)), []
    for n, word in enumerate(words):
        if n and rng.random() < 0.15:
            at += int(rng.integers(6, 14))
        end = at + sum(frames for _, frames in phones(word, tempo))
        placed.append((word, at, end))
        at = end
    return placed, at + int(rng.integers(10, 16))


def _tracks(words, frames, prosody):
    """Per frame: letters' formants (F, 3), strength of pulses and of noise, semitones."""
    formants = np.full((frames, 3), (500.0, 1500.0, 2500.0))
    pulses, noise, semitones = np.zeros(frames), np.zeros(frames), np.zeros(frames)
    for word, at, _ in words:
        for n, (letter, length) in enumerate(phones(word, prosody.tempo)):
            part = slice(at, at + length)
            formants[part], _, pulses[part], noise[part] = PHONES[letter]
            if letter in VOWELS_HZ:
                semitones[part] = prosody.melody * np.hanning(length + 2)[1:-1] * (1.0 if n < 3 else 0.4)
            at += length
    tail = slice(max(0, words[-1][2] - 25), words[-1][2])
    semitones[tail] += prosody.ending * np.linspace(0, 1, tail.stop - tail.start)
    return formants, pulses, noise, semitones


def _resonance(formants_hz: np.ndarray, tract: float) -> np.ndarray:
    """(F, FFT / 2 + 1) magnitude of a chain of resonators."""
    frequency = np.fft.rfftfreq(FFT, 1 / SAMPLE_RATE_HZ)[None, :]
    gain = np.repeat(np.hypot(1, frequency / 1500), len(formants_hz), axis=0)  # stands in for the poles above
    higher = np.broadcast_to([3500.0, 4700.0], (len(formants_hz), 2))
    for centre in (np.concatenate([formants_hz, higher], 1) * tract).T[..., None]:
        width = 60 + 0.06 * centre
        gain *= centre**2 / np.hypot(centre**2 - frequency**2, frequency * width)
    return gain


def speak(
    words: list[tuple[str, int, int]], frames: int, voice: Voice, prosody: Prosody, rng: np.random.Generator
) -> np.ndarray:
    """Speech of words with their first and end frames, (frames * 160,) float64 in -1 to 1, silence around it."""
    from scipy.ndimage import uniform_filter1d
    from scipy.signal import istft, lfilter, stft

    tracks = _tracks(words, frames, prosody)
    formants, pulses, noise, semitones = (uniform_filter1d(track, 4, axis=0, mode="nearest") for track in tracks)
    samples = frames * HOP
    at, frame = np.arange(samples) / HOP - 0.5, np.arange(frames)
    pitch_hz = voice.pitch_hz * 2 ** ((np.interp(at, frame, semitones) + prosody.pitch) / 12)
    sawtooth = np.cumsum(pitch_hz / SAMPLE_RATE_HZ) % 1.0 - 0.5
    dullness = float(np.clip(0.75 - 0.5 * prosody.brightness, 0.05, 0.97))
    source = lfilter([1 - dullness], [1, -dullness], sawtooth) * np.interp(at, frame, pulses)
    source += 0.05 * rng.normal(size=samples) * np.interp(at, frame, noise + 0.3 * voice.breath * pulses)
    cut = {"fs": SAMPLE_RATE_HZ, "nperseg": 2 * HOP, "noverlap": HOP, "nfft": FFT}
    spectra = stft(source, **cut)[2]
    shape = _resonance(np.concatenate([formants[:1], formants]), voice.tract)
    out = istft(spectra * shape.T, **cut)[1][:samples]
    speaking = np.interp(at, frame, pulses + noise) > 0.1
    out *= 10 ** ((-23.0 + prosody.level) / 20) / np.sqrt(np.mean(out[speaking] ** 2))
    out += 10 ** (SILENCE_DB / 20) * rng.normal(size=samples)
    return np.tanh(out * 1.1) / 1.1  # soft limit instead of clipping


def mixed(seconds: float, pieces: Iterable[tuple[float, np.ndarray]]) -> np.ndarray:
    """Pieces of sound, each from its start in seconds on, in a track of so many seconds."""
    track = np.zeros(int(np.ceil(seconds * SAMPLE_RATE_HZ)))
    for start_s, sound in pieces:
        begin = round(start_s * SAMPLE_RATE_HZ)
        track[begin : begin + len(sound)] += sound
    return track
