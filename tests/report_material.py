"""What the made-up results of ``report_fixture`` are made of: models, levels, contrasts, signals and pictures."""

import base64
import io
from functools import cache

import numpy as np

from models.options import TrainingOptions
from pipeline.records import Segment

TRAINING = TrainingOptions(seeds=[1, 2], epochs=20, learning_rate=0.003).model_dump()
PAIRWISE = {"block": "bare", "encoder": "gru"}
MODELS = {
    "self": {"fusion": "self_attention", "combine": "statistics", **PAIRWISE},
    "cross": {"fusion": "cross_attention", "combine": "statistics", **PAIRWISE},
    "self_concat": {"fusion": "self_attention", "combine": "concatenation", **PAIRWISE},
    "cross_concat": {"fusion": "cross_attention", "combine": "concatenation", **PAIRWISE},
    "cross_self": {"fusion": "cross_self_attention", "combine": "statistics", **PAIRWISE},
    "early": {"fusion": "concatenation", "combine": "concatenation"},
    "late": {"fusion": "late", "combine": "concatenation"},
    "rcma": {"fusion": "rcma", "encoder": "gru", "recursions": 3},
    "rcma_1": {"fusion": "rcma", "encoder": "gru", "recursions": 1},
    "rcma_2": {"fusion": "rcma", "encoder": "gru", "recursions": 2},
    "rcma_4": {"fusion": "rcma", "encoder": "gru", "recursions": 4},
    "rjcma": {"fusion": "rjcma", "encoder": "gru", "recursions": 3},
}
TITLES = {
    "self": "self-attention", "cross": "cross-attention", "self_concat": "self-attention (no pooling)",
    "cross_concat": "cross-attention (no pooling)", "cross_self": "cross- and self-attention",
    "early": "early concatenation", "late": "late fusion", "rcma": "RCMA (3 recursions, GRU)",
    "rcma_1": "RCMA (1 recursion, GRU)", "rcma_2": "RCMA (2 recursions, GRU)", "rcma_4": "RCMA (4 recursions, GRU)",
    "rjcma": "RJCMA (3 recursions, GRU)",
}  # fmt: skip
RUNS = {
    "iemocap": {
        "self-A": 37, "self-V": 44, "self-T": 47, "self-A+V": 49, "self-A+T": 52, "self-V+T": 56, "self-A+V+T": 58.4,
        "cross-A+V": 48.4, "cross-A+T": 50.6, "cross-V+T": 56.3, "cross-A+V+T": 57.9,
        "self_concat-A+V+T": 58.2, "cross_concat-A+V+T": 57.1, "cross_self-A+V+T": 58.6, "early-A+V+T": 55.4,
        "late-A+V+T": 54.2, "rcma-A+V+T": 57.4, "rjcma-A+V+T": 57.8,
    },
    "affwild2": {
        "rcma-A+V": 0.49, "rcma-A+T": 0.31, "rcma-V+T": 0.46, "rcma-A+V+T": 0.541, "rcma_1-A+V+T": 0.522,
        "rcma_2-A+V+T": 0.535, "rcma_4-A+V+T": 0.537, "rjcma-A+V+T": 0.546, "rjcma-A+V": 0.494, "self-A": 0.24,
        "self-V": 0.41, "self-T": 0.12, "self-A+V": 0.47, "self-A+V+T": 0.515, "cross-A+V": 0.475, "cross-A+V+T": 0.523,
        "early-A+V+T": 0.497, "late-A+V+T": 0.468,
    },
}  # fmt: skip
CONTRASTS = {
    "iemocap": [
        ("cross or self attention, A+V+T", "cross-A+V+T", "self-A+V+T", "undecided"),
        ("cross or self attention, A+V", "cross-A+V", "self-A+V", "undecided"),
        ("cross or self attention, A+T", "cross-A+T", "self-A+T", "b better"),
        ("cross or self attention, V+T", "cross-V+T", "self-V+T", "equivalent"),
        ("three modalities or the best two, self", "self-A+V+T", "self-V+T", "a better"),
        ("with or without statistical pooling, self", "self-A+V+T", "self_concat-A+V+T", "equivalent"),
        ("attention or early concatenation", "self-A+V+T", "early-A+V+T", "a better"),
        ("attention or late fusion", "self-A+V+T", "late-A+V+T", "a better"),
        ("recursive cross-modal or cross attention", "rcma-A+V+T", "cross-A+V+T", "undecided"),
    ],
    "affwild2": [
        ("three recursions or one", "rcma-A+V+T", "rcma_1-A+V+T", "a better"),
        ("three recursions or two", "rcma-A+V+T", "rcma_2-A+V+T", "equivalent"),
        ("three recursions or four", "rcma-A+V+T", "rcma_4-A+V+T", "equivalent"),
        ("joint of the others or joint of all", "rcma-A+V+T", "rjcma-A+V+T", "undecided"),
        ("recursive cross-modal or self attention", "rcma-A+V+T", "self-A+V+T", "undecided"),
        ("with or without text", "rcma-A+V+T", "rcma-A+V", "a better"),
        ("attention or early concatenation", "rcma-A+V+T", "early-A+V+T", "a better"),
    ],
}


def hash_of(text: str) -> int:
    """A number from a text that is the same in every process."""
    return sum(ord(c) * (i + 7) for i, c in enumerate(text))


def smooth(rng, count: int, window: int) -> np.ndarray:
    """A slowly wandering signal within about ±0.6."""
    noise = np.convolve(rng.normal(0, 1, count + window), np.hanning(window), mode="valid")[:count]
    return noise / np.abs(noise).max() * rng.uniform(0.35, 0.6) + rng.uniform(-0.1, 0.3)


@cache
def face(k: int, size: int = 112):
    """The portrait that scikit-image carries, cropped to the face and varied in colour."""
    from PIL import Image, ImageEnhance
    from skimage.data import astronaut

    picture = Image.fromarray(astronaut()[50:220, 140:310]).resize((size, size))
    return ImageEnhance.Color(ImageEnhance.Brightness(picture).enhance(0.75 + k % 7 * 0.08)).enhance(k % 5 * 0.35)


def encoded(array) -> str:
    """JPEG bytes of an image as base64."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(np.asarray(array)).save(stream, "JPEG", quality=80)
    return base64.b64encode(stream.getvalue()).decode()


def contact_sheet(faces: list, segments: list[Segment], labels: dict[str, str]) -> tuple[bytes, dict]:
    """A sheet in the layout of ``pipeline.inspect.contact_sheet``: 112 px crops with room for a caption below."""
    columns, height = 6, 142
    rows = -(-len(faces) // columns)
    sheet = np.full((rows * height, columns * 112, 3), 255, np.uint8)
    for k, picture in enumerate(faces):
        top, left = k // columns * height, k % columns * 112
        sheet[top : top + 112, left : left + 112] = np.asarray(picture)
    crops = [
        {"segment_id": s.segment_id, "speaker": s.speaker, "label": labels.get(s.segment_id), "time_s": s.start_s + 1}
        for s in segments
    ]
    notes = {"columns": columns, "tile_height_px": height, "crop_px": 112, "crops": crops}
    return base64.b64decode(encoded(sheet)), notes
