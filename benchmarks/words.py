"""Words of speech: Whisper of base size by faster-whisper in int8 against the transformers pipeline.

Weights are random, so both say the same number of tokens of each piece, about what somebody says in it. All times are
those of one core.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.features import seconds

BASE = {
    "tokens": 51_864, "d_model": 512, "encoder_layers": 6, "decoder_layers": 6, "encoder_attention_heads": 8,
    "decoder_attention_heads": 8, "encoder_ffn_dim": 2048, "decoder_ffn_dim": 2048,
}  # fmt: skip
PIECE_S, PIECES, TOKENS = 28, 8, 100  # a batch of pieces, as a recording of some minutes gives
SAMPLE_RATE_HZ = 16_000


@contextmanager
def whisper() -> Iterator[Path]:
    """A folder with a Whisper of random weights for a time, while PyTorch keeps to one core."""
    import torch

    from pipeline.weights import seal
    from tests.whisper_checkpoints import make_whisper

    threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = make_whisper(Path(folder) / "whisper", max_length=TOKENS, **BASE)
            torch.set_num_threads(1)
            seal(found, "benchmark")
            yield found
        finally:
            torch.set_num_threads(threads)


def wave() -> np.ndarray:
    """The sound of all pieces."""
    return np.random.default_rng(0).normal(0, 0.1, PIECES * PIECE_S * SAMPLE_RATE_HZ).astype(np.float32)


def of_faster_whisper(checkpoint: Path, compute_type: str, beams: int) -> float:
    """Seconds of sound that faster-whisper transcribes in one second of a core, words timed."""
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    from tests.whisper_checkpoints import convert

    folder = checkpoint.with_name("converted")
    if not folder.exists():
        convert(checkpoint, folder)
    model = WhisperModel(str(folder), "cpu", compute_type=compute_type, cpu_threads=1)
    model.max_length = 2 * TOKENS  # of which CTranslate2 takes half
    spans = [{"start": k * PIECE_S, "end": (k + 1) * PIECE_S} for k in range(PIECES)]
    options = {"language": "en", "beam_size": beams, "batch_size": PIECES, "word_timestamps": True}
    sound = wave()

    def transcribe():
        pipeline = BatchedInferencePipeline(model)
        return list(pipeline.transcribe(sound, vad_filter=False, clip_timestamps=spans, **options)[0])

    return PIECES * PIECE_S / seconds(transcribe)


def of_transformers(checkpoint: Path, beams: int) -> float:
    """Seconds of sound that the transformers pipeline transcribes in one second of a core, words timed."""
    from pipeline.words.transformer import Transformer, TransformerOptions

    recogniser = Transformer(TransformerOptions(language="en", beams=beams), checkpoint, "cpu")
    pieces = np.split(wave(), PIECES)
    return PIECES * PIECE_S / seconds(lambda: [recogniser.transcribe(piece, SAMPLE_RATE_HZ) for piece in pieces])


def figures() -> dict[str, float]:
    """Seconds of sound in a second of one core, and their ratio, for a greedy search and for five beams."""
    found = {}
    with whisper() as checkpoint:
        for beams in (1, 5):
            usual, fast = of_transformers(checkpoint, beams), of_faster_whisper(checkpoint, "int8", beams)
            found |= {
                f"words: seconds of sound in one of a core, transformers, beams {beams}": usual,
                f"words: seconds of sound in one of a core, faster-whisper int8, beams {beams}": fast,
                f"words: the second / the first, beams {beams} (at least 4)": fast / usual,
            }
    return found
