"""Voices from a source and a filter: glottal pulses and noise, shaped by the formants of each word's letters.

The speech is not intelligible, but pitch, loudness, timbre and tempo are those asked for, and a word always
sounds alike.
The source-filter model is Fant's (1960); vowel formants are the averages of Peterson and Barney (1952) for men.
"""

from dataclasses import dataclass

import numpy as np

SAMPLE_RATE_HZ = 16_000
FRAME_S = 0.01  # one frame of a forced alignment, and one analysis step of the synthesis
HOP = int(SAMPLE_RATE_HZ * FRAME_S)
FFT = 4 * HOP
SILENCE_DB = -62.0

FORMANTS_HZ = {
    **{"a": (730, 1090, 2440), "e": (530, 1840, 2480), "i": (390, 1990, 2550), "o": (570, 840, 2410)},
    **{"u": (300, 870, 2240), "y": (270, 2290, 3010)},  # vowels
    **{"l": (360, 1300, 2700), "m": (250, 1000, 2200), "n": (250, 1400, 2500), "r": (420, 1300, 1600)},
    **{"w": (300, 700, 2200), "j": (300, 2100, 2900)},  # sonorants
    **{"s": (300, 2500, 5500), "z": (300, 2400, 5200), "f": (350, 1500, 4200), "v": (300, 1400, 3800)},
    **{"h": (600, 1500, 2600), "x": (300, 2200, 4800), "c": (350, 2000, 3600)},  # fricatives
    **{"p": (350, 900, 2300), "b": (300, 900, 2300), "t": (350, 1800, 3800), "d": (300, 1700, 3300)},
    **{"k": (350, 2000, 2600), "g": (300, 2000, 2500), "q": (350, 1400, 2500)},  # stops
}
VOWELS, SONORANTS, FRICATIVES, VOICED_OBSTRUENTS = "aeiouy", "lmnrwj", "szfvhxc", "zvbdg"
LENGTH_S = {"vowel": 0.110, "sonorant": 0.055, "fricative": 0.075, "stop": 0.055}


@dataclass(frozen=True)
class Voice:
    """What stays the same in a person's voice."""

    pitch_hz: float
    tract: float  # formants as multiples of the table's
    breath: float  # noise beside the pulses, 0 to 1
    level_db: float


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
    pitch, tract = (205, 1.15) if letter == "F" else (118, 1.0)
    return Voice(
        pitch_hz=pitch * 2 ** rng.uniform(-0.12, 0.12),
        tract=tract * rng.uniform(0.96, 1.04),
        breath=rng.uniform(0.05, 0.2),
        level_db=rng.uniform(-1, 1),
    )


def _kind(letter: str) -> str:
    kinds = (("vowel", VOWELS), ("sonorant", SONORANTS), ("fricative", FRICATIVES))
    return next((name for name, letters in kinds if letter in letters), "stop")


def phones(word: str, tempo: float = 1.0) -> list[tuple[str, int]]:
    """Letters of a word that sound (of vowels in a row the first, of doubles one) and their lengths in frames."""
    letters = [c for c in word.lower() if c in FORMANTS_HZ]
    kept = [
        c
        for n, c in enumerate(letters)
        if n == 0 or not (c == letters[n - 1] or (c in VOWELS and letters[n - 1] in VOWELS))
    ]
    if len(kept) > 2 and kept[-1] == "e" and kept[-2] not in VOWELS:
        kept = kept[:-1]  # silent
    return [(c, max(3, round(LENGTH_S[_kind(c)] / tempo / FRAME_S))) for c in kept or ["a"]]


def word_frames(word: str, tempo: float = 1.0) -> int:
    """Length of a spoken word in 10 ms frames."""
    return sum(frames for _, frames in phones(word, tempo))


def place(words: list[str], tempo: float, rng: np.random.Generator) -> tuple[list[tuple[str, int, int]], int]:
    """Words with first and end frame, after a short silence and with a pause now and then; and the length of all."""
    at, placed = int(rng.integers(8, 14)), []
    for n, word in enumerate(words):
        if n and rng.random() < 0.15:
            at += int(rng.integers(6, 14))
        length = word_frames(word, tempo)
        placed.append((word, at, at + length))
        at += length
    return placed, at + int(rng.integers(10, 16))


def _tracks(words, frames, prosody):
    """Per frame: letters' formants (F, 3), strength of pulses and of noise, semitones."""
    formants = np.full((frames, 3), (500.0, 1500.0, 2500.0))
    pulses, noise, semitones = np.zeros(frames), np.zeros(frames), np.zeros(frames)
    for word, start, _ in words:
        at = start
        for n, (letter, length) in enumerate(phones(word, prosody.tempo)):
            part, kind = slice(at, at + length), _kind(letter)
            formants[part] = FORMANTS_HZ[letter]
            shape = np.sin(np.pi * (np.arange(length) + 1) / (length + 1))
            if kind == "vowel":
                pulses[part] = 0.75 + 0.25 * shape
                semitones[part] = prosody.melody * shape * (1.0 if n < 3 else 0.4)
            elif kind == "sonorant":
                pulses[part] = 0.45
            else:
                noise[part] = 0.5 if kind == "fricative" else np.where(np.arange(length) < length - 2, 0.02, 0.6)
                pulses[part] = 0.25 if letter in VOICED_OBSTRUENTS else 0.0
            at += length
    spoken = np.flatnonzero(pulses > 0.5)
    if len(spoken):
        first, last = spoken[0], spoken[-1] + 1
        semitones[first:last] += np.linspace(0.5, -0.5, last - first)  # declination
        tail = slice(max(first, last - 25), last)
        semitones[tail] += prosody.ending * np.linspace(0, 1, tail.stop - tail.start)
    return formants, pulses, noise, semitones


def _smooth(track: np.ndarray, frames: int) -> np.ndarray:
    from scipy.ndimage import uniform_filter1d

    return uniform_filter1d(track, frames, axis=0, mode="nearest")


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
    """Speech of ``frames`` 10 ms frames, (frames * 160,) float64 in -1 to 1.

    Args:
        words: word, first frame and end frame of each.
        frames: length of the whole, silence around the words included.
        voice: who speaks.
        prosody: how.
        rng: source of noise and of the irregularities of pitch.
    """
    formants, pulses, noise, semitones = _tracks(words, frames, prosody)
    formants, pulses, noise = _smooth(formants, 4), _smooth(pulses, 3), _smooth(noise, 2)
    semitones = _smooth(semitones, 5) + prosody.pitch + 0.15 * _smooth(rng.normal(size=frames), 4)
    samples = frames * HOP
    at = np.arange(samples) / HOP - 0.5
    frame = np.arange(frames)
    pitch_hz = voice.pitch_hz * 2 ** (np.interp(at, frame, semitones) / 12)
    phase = np.cumsum(pitch_hz / SAMPLE_RATE_HZ) % 1.0
    # Rosenberg's pulse (1971, type C): it opens slowly and closes the faster, the more pressed the voice is.
    opening, closing = 0.42, float(np.clip(0.17 - 0.1 * prosody.brightness, 0.04, 0.3))
    glottis = np.where(phase < opening, 0.5 - 0.5 * np.cos(np.pi * phase / opening), 0.0)
    shutting = (phase >= opening) & (phase < opening + closing)
    glottis = np.where(shutting, np.cos(0.5 * np.pi * (phase - opening) / closing), glottis)
    hiss = rng.normal(size=samples)
    from scipy.signal import lfilter

    dullness = float(np.clip(0.6 - 0.3 * prosody.brightness, 0.1, 0.95))
    source = np.diff(glottis, prepend=0.0)
    source = lfilter([1 - dullness], [1, -dullness], source) * np.interp(at, frame, pulses)
    source += 0.012 * hiss * np.interp(at, frame, noise + 0.3 * voice.breath * pulses)
    # Each frame's spectrum is shaped by its own formants; neighbouring frames overlap by half.
    padded = np.pad(source, HOP)
    window = np.hanning(2 * HOP + 1)[:-1]
    cut = np.lib.stride_tricks.sliding_window_view(padded, 2 * HOP)[::HOP][: frames + 1] * window
    shape = _resonance(np.concatenate([formants[:1], formants]), voice.tract)
    shaped = np.fft.irfft(np.fft.rfft(np.pad(cut, ((0, 0), (HOP, HOP)))) * shape)
    out = np.zeros((frames + 4) * HOP)
    for quarter in range(4):
        out[quarter * HOP : (quarter + frames + 1) * HOP] += shaped[:, quarter * HOP : (quarter + 1) * HOP].ravel()
    out = out[2 * HOP : 2 * HOP + samples]
    speaking = np.interp(at, frame, pulses + noise) > 0.1
    level = np.sqrt(np.mean(out[speaking] ** 2)) if speaking.any() else 1.0
    out *= 10 ** ((-23.0 + voice.level_db + prosody.level) / 20) / max(level, 1e-9)
    out += 10 ** (SILENCE_DB / 20) * rng.normal(size=samples)
    return np.tanh(out * 1.1) / 1.1  # soft limit instead of clipping
