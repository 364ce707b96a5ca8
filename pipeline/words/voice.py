"""Where somebody speaks, by the voice activity network Silero, whose weights lie in the package faster-whisper."""

import numpy as np

from pipeline.audio_file import SILENT_PEAK

SHORTEST_S = 0.1
PAUSE_MS = 500  # shorter pauses are part of speech
PAD_MS = 200  # around speech: words begin and end softly


def voiced(samples: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """(n, 2) stretches of ``samples`` (N,) in seconds in which somebody speaks; none in silence, noise and music."""
    if len(samples) < SHORTEST_S * sample_rate_hz or np.abs(samples).max(initial=0) < SILENT_PEAK:
        return np.zeros((0, 2))
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    options = VadOptions(min_silence_duration_ms=PAUSE_MS, speech_pad_ms=PAD_MS)
    found = get_speech_timestamps(samples, options, sampling_rate=sample_rate_hz)
    return np.array([(each["start"], each["end"]) for each in found], float).reshape(-1, 2) / sample_rate_hz
