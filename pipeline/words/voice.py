"""Where somebody speaks, by the voice activity network Silero, whose weights lie in the package faster-whisper."""

import math

import numpy as np

from pipeline.audio_file import SILENT_PEAK

SHORTEST_S = 0.1
PAUSE_MS = 500  # shorter pauses are part of speech
PAD_MS = 200  # around speech: words begin and end softly


def voiced(
    samples: np.ndarray, sample_rate_hz: int, longest_s: float = math.inf, shortest_s: float = SHORTEST_S
) -> np.ndarray:
    """(n, 2) stretches of ``samples`` (N,) in seconds in which somebody speaks; none in silence, noise and music.

    Speech that lasts longer than ``longest_s`` is cut at its shortest silences, by the library; in sound shorter than
    ``shortest_s`` nobody speaks.
    """
    if len(samples) < shortest_s * sample_rate_hz or np.abs(samples).max(initial=0) < SILENT_PEAK:
        return np.zeros((0, 2))
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    options = VadOptions(min_silence_duration_ms=PAUSE_MS, speech_pad_ms=PAD_MS, max_speech_duration_s=longest_s)
    found = get_speech_timestamps(samples, options, sampling_rate=sample_rate_hz)
    return np.array([(each["start"], each["end"]) for each in found], float).reshape(-1, 2) / sample_rate_hz
