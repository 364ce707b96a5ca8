"""A built-in clip of sound, faces and words, the same on every machine: to learn widths and to check extractors."""

from typing import Any

import numpy as np

from pipeline.features.piece import AudioPiece, FacePiece, TextPiece
from pipeline.records import Modality
from pipeline.timebase import SAMPLE_RATE_HZ, window_ranges_s

FRAME_S = 1 / 25
WORDS = ("I", "really", "did", "not", "expect", "that", "you", "would", "come", "all", "the", "way", "back", "today")
# Anchors of the MediaPipe mesh (index: x, y, z in pixels of the crop); the other points fill the oval of the face.
_ANCHORS = {
    33: (32, 50, 4), 133: (48, 51, 0), 362: (64, 51, 0), 263: (80, 50, 4), 1: (56, 70, -18), 10: (56, 12, 2),
    152: (56, 108, 4), 61: (42, 88, -2), 291: (70, 88, -2), 13: (56, 86, -8), 14: (56, 90, -8), 159: (40, 47, 0),
    145: (40, 54, 0), 386: (72, 47, 0), 374: (72, 54, 0), 105: (38, 38, -4), 334: (74, 38, -4), 234: (18, 62, 30),
    454: (94, 62, 30),
}  # fmt: skip


def clip(modality: Modality, duration_s: float = 3.0, start_s: float = 12.5, segment_id: str = "clip") -> Any:
    """A piece of ``duration_s`` that begins at ``start_s``; every fifth video frame shows no face."""
    make = {"audio": _sound, "video": _faces, "text": _text}[modality]
    return make(duration_s, start_s, segment_id)


def _sound(duration_s: float, start_s: float, segment_id: str) -> AudioPiece:
    """Voiced syllables of gliding pitch with short pauses, over faint noise."""
    t = np.arange(round(duration_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    phase = 2 * np.pi * np.cumsum(140 + 40 * np.sin(2 * np.pi * 0.7 * t)) / SAMPLE_RATE_HZ
    voice = sum(np.sin(k * phase) / k**1.2 for k in range(1, 12))
    syllables = np.clip(np.sin(2 * np.pi * 2.3 * t) + 0.4, 0, 1)
    noise = np.random.default_rng(0).standard_normal(len(t))
    samples = (0.15 * voice * syllables + 0.002 * noise).astype(np.float32)
    return AudioPiece(segment_id, samples, SAMPLE_RATE_HZ, start_s)


def _faces(duration_s: float, start_s: float, segment_id: str) -> FacePiece:
    """Frames of a drawn face that opens its mouth and turns its head a little."""
    n = max(2, round(duration_s / FRAME_S))
    valid = np.arange(n) % 5 != 4
    y, x = np.mgrid[:112, :112]
    crops = np.zeros((n, 112, 112, 3), np.uint8)
    mesh = np.repeat(_still_mesh()[None], n, axis=0)
    for i in range(n):
        opening = 3 + 3 * np.sin(0.8 * i)
        oval = ((x - 56) / 40) ** 2 + ((y - 60) / 50) ** 2 < 1
        dark = (np.hypot(x - 40, y - 51) < 5) | (np.hypot(x - 72, y - 51) < 5)
        dark |= ((x - 56) / 14) ** 2 + ((y - 88) / opening) ** 2 < 1
        shade = np.where(oval, 150 + 0.5 * x, 40) * np.where(dark, 0.3, 1)
        crops[i] = np.stack([shade, 0.8 * shade, 0.7 * shade], axis=-1)
        mesh[i, 14, 1] += opening
        mesh[i, :, 0] += 0.1 * np.sin(0.3 * i) * mesh[i, :, 2]
    corners = np.array([[200, 150], [232, 150], [216, 170], [202, 188], [230, 188]], np.float32)
    seen = valid[:, None, None]
    time_s = window_ranges_s(n, FRAME_S, FRAME_S, start_s)
    return FacePiece(
        segment_id, crops * seen[..., None], time_s, valid, corners * seen, (mesh * seen).astype(np.float32)
    )


def _still_mesh() -> np.ndarray:
    generator = np.random.default_rng(1)
    angle, radius = generator.uniform(0, 2 * np.pi, 468), np.sqrt(generator.uniform(0, 1, 468))
    mesh = np.stack([56 + 38 * radius * np.cos(angle), 60 + 48 * radius * np.sin(angle), 30 * radius**2 - 10], axis=1)
    for index, point in _ANCHORS.items():
        mesh[index] = point
    return mesh


def _text(duration_s: float, start_s: float, segment_id: str) -> TextPiece:
    n = max(1, round(duration_s * 5))
    return TextPiece(segment_id, [WORDS[i % len(WORDS)] for i in range(n)], window_ranges_s(n, 0.18, 0.2, start_s))
