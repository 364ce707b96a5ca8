"""Try a recogniser on sound in which nobody speaks and on a voice, and say what is wrong with it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np

from pipeline.cli import EXISTING, parse_options, plug_options
from pipeline.conformance import Wrong, say
from pipeline.timebase import SAMPLE_RATE_HZ
from pipeline.weights import as_fetched
from pipeline.words.base import Recogniser, TimedWord
from pipeline.words.registry import make

SECONDS = 6.0
OVER_S = 0.5  # a word may reach this far over the end; what reaches further is wrong


@click.command()
@plug_options
@click.option("--sound", type=EXISTING, help="A recording (wav, flac) of speech; else a made-up voice without words.")
def check_recogniser(name, options, weights, device, sound):
    """Try recogniser NAME (a name, module:Class or file.py:Class) and say what is wrong with it."""
    with as_fetched(weights) as given:
        recogniser = make(name, parse_options(options), given, device)
        say(checks(_read(sound) if sound else murmur()), recogniser, f"recogniser {name!r}", type(recogniser))


def nobody() -> Iterator[tuple[str, np.ndarray]]:
    """Named test sounds without speech: silence, noise, simple music."""
    rng = np.random.default_rng(0)
    time_s = np.arange(round(SECONDS * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ

    def tones(*hz: float) -> np.ndarray:
        return sum(0.1 * np.sin(2 * np.pi * each * time_s) for each in hz)

    beat = 0.5 + 0.5 * np.sign(np.sin(2 * np.pi * 1.5 * time_s))
    yield "silence", 0 * time_s
    yield "white noise", rng.normal(0, 0.1, len(time_s))
    yield "hum", tones(50, 150, 250)
    yield "a chord", tones(261.6, 329.6, 392.0, 523.3)
    yield "chords in a beat", beat * tones(*(k * hz for hz in (220.0, 277.2, 329.6) for k in (1, 2, 3, 4)))


def murmur() -> np.ndarray:
    """(n,) a pulse train through moving formants, loud and soft by syllables: a voice that says no words."""
    from scipy.signal import lfilter

    count = round(SECONDS * SAMPLE_RATE_HZ)
    time_s = np.arange(count) / SAMPLE_RATE_HZ
    phase = np.cumsum(120 + 20 * np.sin(2 * np.pi * 0.7 * time_s)) / SAMPLE_RATE_HZ
    out = np.diff(np.floor(phase), prepend=0.0) + np.random.default_rng(0).normal(0, 0.005, count)
    syllables = np.array_split(out, round(SECONDS * 5))
    vowels_hz = [(730, 1090, 2440), (390, 1990, 2550), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410)]
    for k, part in enumerate(syllables):
        for hz in vowels_hz[k % len(vowels_hz)]:
            radius = np.exp(-np.pi * 90 / SAMPLE_RATE_HZ)
            part = lfilter([1.0], [1.0, -2 * radius * np.cos(2 * np.pi * hz / SAMPLE_RATE_HZ), radius**2], part)
        syllables[k] = 0.3 * part / np.abs(part).max() * np.hanning(len(part))
    return np.concatenate(syllables)


def _read(path: Path) -> np.ndarray:
    import librosa

    return librosa.load(path, sr=SAMPLE_RATE_HZ, mono=True)[0]


def _transcribed(recogniser: Recogniser, samples: np.ndarray) -> list[TimedWord]:
    words = recogniser.transcribe_speech(samples.astype(np.float32), SAMPLE_RATE_HZ)
    return [(str(word).strip(), start_s, end_s) for word, start_s, end_s in words]


def _quoted(words: list[TimedWord]) -> str:
    return f"{len(words)} words" + (f": {' '.join(word for word, *_ in words[:8])}" if words else "")


def checks(voice: np.ndarray) -> dict[str, Callable[[Recogniser], str]]:
    """Each check by its title, of a recogniser on a voice (n,) at 16 kHz and on what is none."""

    def quiet(recogniser: Recogniser) -> str:
        for what, samples in nobody():
            if words := _transcribed(recogniser, samples):
                raise Wrong(
                    f"finds {_quoted(words)} in {what}; leave finds_speech False, so that words outside of speech are "
                    "taken out"
                )
        return f"no words in {', '.join(what for what, _ in nobody())}"

    def times(recogniser: Recogniser) -> str:
        words, end_s = _transcribed(recogniser, voice), len(voice) / SAMPLE_RATE_HZ
        for word, start_s, stop_s in words:
            if not (0 <= start_s <= stop_s <= end_s + OVER_S):
                raise Wrong(
                    f"{word!r} is said from {start_s} to {stop_s} s of {end_s:.2f} s; count from the first sample"
                )
        if words != sorted(words, key=lambda each: each[1]):
            raise Wrong("words are not in order of time")
        return _quoted(words)

    def repeats(recogniser: Recogniser) -> str:
        first = _transcribed(recogniser, voice)
        recogniser.transcribe(voice[len(voice) // 2 :].astype(np.float32), SAMPLE_RATE_HZ)
        if _transcribed(recogniser, voice) != first:
            raise Wrong("the same sound gives other words the second time; nothing of the sound before may count")
        return "the same sound gives the same words, whatever came in between"

    def short(recogniser: Recogniser) -> str:
        for count in (0, 1, 160, 1600):
            _transcribed(recogniser, voice[:count])
        return "sound of 0 to 100 ms is survived"

    def untouched(recogniser: Recogniser) -> str:
        samples = voice.astype(np.float32)
        recogniser.transcribe(samples, SAMPLE_RATE_HZ)
        if not np.array_equal(samples, voice.astype(np.float32)):
            raise Wrong("transcribe changes the samples; work on a copy")
        return "the sound is left as it was"

    return {
        "nobody speaks": quiet, "words and times": times, "determinism": repeats, "short sound": short,
        "input": untouched,
    }  # fmt: skip
