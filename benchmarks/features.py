"""Feature stages against the bare work they cannot do without: forward passes of the network, and the length of sound.

Networks have the width of the research ones and random weights: time does not depend on what the weights are. Their
bare time is that of the faster of two loops over the same inputs, sorted by length: one by one, and in the stage's
batches. All times are those of one core, so that other work on the machine does not count.
"""

import io
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.gpu import checkpoint
from benchmarks.measure import ATTRIBUTES
from pipeline.audio_file import AudioWriter
from pipeline.crops import FaceWriter
from pipeline.features.command import build
from pipeline.features.pieces import read_pieces
from pipeline.features.run import write_store
from pipeline.features.synthetic import clip
from pipeline.records import Segment, Word, write_table

LAYERS = {"transformers_audio": 4, "transformers_image": 4, "transformers_text": 12}  # fewer: the harder, the faster
OF_SOUND = {"layers": [4, 5, 6, 7, 8], "pool_s": 0.1}  # the default


def _turns(durations_s: np.ndarray) -> dict[str, tuple[float, float]]:
    ends = np.cumsum(durations_s + 0.2)
    return {f"u_{i:04d}": (float(e - d), float(e)) for i, (d, e) in enumerate(zip(durations_s, ends, strict=True))}


def _segments(turns: dict) -> list[Segment]:
    return [Segment(name, "u", "who", None, None, *span) for name, span in sorted(turns.items())]


def _write_sound(results: Path, turns: dict) -> None:
    plan = {name: (a, round((b - a) * 16_000)) for name, (a, b) in turns.items()}
    with AudioWriter(results / "audio" / "u.h5", plan) as writer:
        for name, (a, b) in turns.items():
            writer.write(name, 0, clip("audio", b - a).samples[: plan[name][1]])
            writer.describe(name, "video", (a, b))


def _write_faces(results: Path, turns: dict, rate_hz: float = 10.0) -> None:
    from PIL import Image

    frames = {name: np.arange(a, b, 1 / rate_hz) for name, (a, b) in turns.items()}
    plan = {name: (np.stack([t, t + 1 / rate_hz], axis=1), np.arange(len(t))) for name, t in frames.items()}
    pictures = []
    for crop in clip("video", 1.0).crops:
        stream = io.BytesIO()
        Image.fromarray(crop).save(stream, "JPEG", quality=92)
        pictures.append(stream.getvalue())
    with FaceWriter(results / "faces" / "u.h5", plan) as writer:
        for name, times in frames.items():
            for row in range(len(times)):
                writer.found(name, row, pictures[row % len(pictures)])


def _write_words(results: Path, turns: dict) -> None:
    words = [
        Word(f"word{(7 * k) % 50}", a + 0.3 * k, a + 0.3 * k + 0.25, "forced_alignment", name)
        for name, (a, b) in turns.items()
        for k in range(int((b - a) / 0.3))
    ]
    write_table(results / "words" / "u.tsv", words, Word)


class _Recorder:
    """Stands in for a network and keeps what it was called with."""

    def __init__(self, model):
        self.model, self.config, self.calls = model, model.config, []

    def __getattr__(self, name):
        return getattr(self.model, name)

    def __call__(self, **inputs):
        self.calls.append(inputs)
        return self.model(**inputs)


def seconds(function) -> float:
    """Time of the processor that a call takes."""
    begin = time.process_time()
    function()
    return time.process_time() - begin


def _one_by_one(calls: list[dict]) -> list[dict]:
    """Each item of each batch alone, without its padding."""
    import torch

    alone = []
    for call in calls:
        tensors = {k: v for k, v in call.items() if isinstance(v, torch.Tensor)}
        rest = {k: v for k, v in call.items() if k not in tensors}
        mask = tensors.get("attention_mask")
        for i in range(len(next(iter(tensors.values())))):
            end = int(mask[i].sum()) if mask is not None else None
            alone.append({**{k: v[i : i + 1, :end] if end else v[i : i + 1] for k, v in tensors.items()}, **rest})
    return alone


def _matrix_product_rate() -> float:
    """Floating-point operations a second in float32 products as large as those of a network of base size."""
    import torch

    rows, narrow, wide = 1536, 768, 3072
    a, b = torch.randn(rows, narrow), torch.randn(narrow, wide)
    return 2 * rows * narrow * wide / min(seconds(lambda: a @ b) for _ in range(20))


def _operations(model, calls: list[dict]) -> int:
    """Floating-point operations of matrix products and convolutions in so many calls."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        for call in calls:
            model(**call)
    return counter.get_total_flops()


def _network(kind: str, results: Path, turns: dict, options: dict) -> dict[str, float]:
    """How the stage without start-up compares with its bare forward passes and with matrix products, best of two."""
    import torch

    extractor, _ = build(kind, options, checkpoint(kind, results / kind, LAYERS[kind]), "cpu")
    segments = _segments(turns)
    extractor.dim  # noqa: B018 - part of start-up
    recorder = _Recorder(extractor.model)

    def stage():
        write_store(results / f"{kind}.h5", ATTRIBUTES, extractor, read_pieces(segments, results, extractor))

    def bare(calls):
        with torch.inference_mode():
            for call in calls:
                extractor.model(**call)

    extractor.model = recorder
    stage()
    extractor.model = recorder.model
    loops = [recorder.calls, _one_by_one(recorder.calls)]
    forward_s = min(seconds(lambda calls=calls: bare(calls)) for calls in loops for _ in range(2))
    stage_s, product_rate = min(seconds(stage) for _ in range(2)), _matrix_product_rate()
    return {
        f"{kind}: bare forward passes / stage without start-up (at least 0.85)": forward_s / stage_s,
        f"{kind}: operations a second / those of matrix products (at least 0.8)": (
            _operations(extractor.model, recorder.calls) / stage_s / product_rate
        ),
    }


def faces(folder: Path) -> dict[str, float]:
    """A crop through a vision transformer of base size and through the default, an EfficientNet-B0; best of four."""
    spent_s = {}
    for kind, options in (("transformers_image", {}), ("onnx_image", {"output": "penultimate"})):
        extractor, _ = build(kind, options, checkpoint(kind, folder / f"whole_{kind}"), "cpu")
        piece = clip("video", 0.4)
        spent_s[kind] = min(seconds(partial(extractor.extract, [piece])) for _ in range(4)) / piece.valid.sum()
    return {
        "faces: ms of a core for a crop, EfficientNet-B0 in ONNX Runtime": 1000 * spent_s["onnx_image"],
        "faces: a crop by ViT-base / by EfficientNet-B0 (at least 10)": (
            spent_s["transformers_image"] / spent_s["onnx_image"]
        ),
    }


def sound(folder: Path) -> dict[str, float]:
    """Five seconds through wav2vec2 with the layers of the default, and through all of them; best of four."""
    import torch
    import transformers

    weights = checkpoint("transformers_audio", folder / "whole_sound")
    extractor, _ = build("transformers_audio", OF_SOUND, weights, "cpu")
    whole, piece = transformers.AutoModel.from_pretrained(weights).eval(), clip("audio", 5.0)

    def usual():
        with torch.inference_mode():
            whole(torch.from_numpy(piece.samples)[None], output_hidden_states=True)

    times_s = [min(seconds(way) for _ in range(4)) for way in (usual, lambda: extractor.extract([piece]))]
    return {"sound: five seconds by transformers' wav2vec2 / by the default (at least 1.3)": times_s[0] / times_s[1]}


def bfloat16(folder: Path) -> dict[str, float]:
    """Ten faces, and the sound of a turn, through transformers of base size in bfloat16 and float32; best of four."""
    found = {}
    ways = (("transformers_image", clip("video", 0.4), {}), ("transformers_audio", clip("audio", 4.5), OF_SOUND))
    for kind, piece, options in ways:
        weights, spent_s = checkpoint(kind, folder / f"halved_{kind}"), {}
        for precision in ("float32", "bfloat16"):
            extractor, _ = build(kind, {**options, "precision": precision}, weights, "cpu")
            spent_s[precision] = min(seconds(partial(extractor.extract, [piece])) for _ in range(4))
        what = f"{kind} in bfloat16"
        found |= {
            f"{what}: float32 / bfloat16 (at least 1.3 on a processor that has it)": (
                spent_s["float32"] / spent_s["bfloat16"]
            ),
            f"{what}: least cosine to float32 (at least 0.999)": extractor.cosine_to_float32,
        }
    return found


def figures() -> dict[str, float]:
    """Ratios of one run on one core."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    found = {}
    try:
        with tempfile.TemporaryDirectory() as folder:
            results = Path(folder)
            turns = _turns(random.uniform(0.8, 9.0, 8))
            _write_sound(results, turns)
            _write_faces(results, turns, rate_hz=2.0)
            spoken = _turns(random.uniform(0.8, 9.0, 40))
            _write_words(results, spoken)
            for kind, options in (
                ("transformers_audio", {}),
                ("transformers_image", {}),
                ("transformers_text", {"layers": [-4, -3, -2, -1], "combine": "sum"}),
            ):
                found |= _network(kind, results, spoken if kind == "transformers_text" else turns, options)
            found |= faces(results) | sound(results) | bfloat16(results)
            turns = _turns(random.uniform(0.8, 9.0, 240))
            _write_sound(results, turns)
            extractor, _ = build("mfcc", {}, None, "cpu")
            extractor.dim  # noqa: B018
            begin = time.process_time()
            write_store(results / "mfcc.h5", ATTRIBUTES, extractor, read_pieces(_segments(turns), results, extractor))
            spent_s = time.process_time() - begin
            found["mfcc: seconds of sound / seconds of one core (at least 300)"] = (
                sum(b - a for a, b in turns.values()) / spent_s
            )
    finally:
        torch.set_num_threads(threads)
    return found


if __name__ == "__main__":
    for name, value in figures().items():
        print(f"{value:8.2f}  {name}")
