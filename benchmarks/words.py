"""Words of speech: Whisper of base size by faster-whisper in int8 against the transformers pipeline.

Weights are random, so both say the same number of tokens of each piece, about what somebody says in it. All times are
those of one core.
"""

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.features import seconds

BASE = {
    "tokens": 51_864, "d_model": 512, "encoder_layers": 6, "decoder_layers": 6, "encoder_attention_heads": 8,
    "decoder_attention_heads": 8, "encoder_ffn_dim": 2048, "decoder_ffn_dim": 2048,
}  # fmt: skip
PIECE_S, PIECES, TOKENS = 28, 8, 100  # a batch of pieces, as a recording of some minutes gives
SAMPLE_RATE_HZ = 16_000


def figures() -> dict[str, float]:
    """Seconds of sound in a second of one core, and their ratio, for a greedy search and for five beams."""
    import torch
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    from pipeline.weights import seal
    from pipeline.words.transformer import Transformer, TransformerOptions
    from tests.whisper_checkpoints import convert, make_whisper

    threads, found = torch.get_num_threads(), {}
    wave = np.random.default_rng(0).normal(0, 0.1, PIECES * PIECE_S * SAMPLE_RATE_HZ).astype(np.float32)
    spans = [{"start": k * PIECE_S, "end": (k + 1) * PIECE_S} for k in range(PIECES)]
    try:
        with tempfile.TemporaryDirectory() as name:
            whisper = make_whisper(Path(name) / "whisper", max_length=TOKENS, **BASE)
            model = WhisperModel(
                str(convert(whisper, Path(name) / "converted")), "cpu", compute_type="int8", cpu_threads=1
            )
            model.max_length = 2 * TOKENS  # of which CTranslate2 takes half
            seal(whisper, "benchmark")
            torch.set_num_threads(1)
            for beams in (1, 5):
                recogniser = Transformer(TransformerOptions(language="en", beams=beams), whisper, "cpu")

                def usual(recogniser=recogniser):
                    for piece in np.split(wave, PIECES):
                        recogniser.transcribe(piece, SAMPLE_RATE_HZ)

                def fast(beams=beams):
                    options = {"language": "en", "beam_size": beams, "batch_size": 8, "word_timestamps": True}
                    segments, _ = BatchedInferencePipeline(model).transcribe(
                        wave, vad_filter=False, clip_timestamps=spans, **options
                    )
                    return list(segments)

                rates = [len(wave) / SAMPLE_RATE_HZ / seconds(way) for way in (usual, fast)]
                found |= {
                    f"words: seconds of sound in one of a core, transformers, beams {beams}": rates[0],
                    f"words: seconds of sound in one of a core, faster-whisper int8, beams {beams}": rates[1],
                    f"words: the second / the first, beams {beams} (at least 4)": rates[1] / rates[0],
                }
    finally:
        torch.set_num_threads(threads)
    return found
