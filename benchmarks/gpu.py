"""What a GPU is worth: seeds at once as graphs, mixed precision, paces of extractors.

    python -m benchmarks gpu

needs torch, transformers, h5py and numpy; without a CUDA device it says so and measures nothing.
"""

import json
import tempfile
import time
from pathlib import Path

from benchmarks.training import job_of_turns, train, turns
from pipeline.features.command import build
from pipeline.features.pieces import Job
from pipeline.features.run import extract_all
from pipeline.features.synthetic import clip
from pipeline.weights import seal

SECONDS = {
    "cuda": {"transformers_audio": 600.0, "transformers_image": 200.0, "transformers_text": 3600.0},
    "cpu": {"transformers_audio": 60.0, "transformers_image": 4.5, "transformers_text": 180.0, "onnx_image": 18.0},
}
"""Media that a device is given to measure its pace."""
SEEDS, TURNS, EPOCHS = 10, 1000, 8
TURN_S = 4.5  # mean of IEMOCAP


def checkpoint(kind: str, folder: Path, layers: int = 12) -> Path:
    """Save a network of the research one's size with random weights: pace does not depend on what the weights are."""
    import transformers as t

    folder.mkdir()
    if kind == "transformers_audio":
        t.Wav2Vec2Model(t.Wav2Vec2Config(num_hidden_layers=layers)).save_pretrained(folder)
        t.Wav2Vec2FeatureExtractor().save_pretrained(folder)
    elif kind == "transformers_image":
        t.ViTModel(t.ViTConfig(num_hidden_layers=layers)).save_pretrained(folder)
        t.ViTImageProcessor().save_pretrained(folder)
    elif kind == "onnx_image":
        _efficientnet(folder / "network.onnx")
    else:
        t.BertModel(t.BertConfig(num_hidden_layers=layers)).save_pretrained(folder)
        special, letters = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], list("abcdefghijklmnopqrstuvwxyz")
        words = [f"word{k}" for k in range(50)]  # of benchmarks/features.py; other words are spelled
        (folder / "vocab.txt").write_text("\n".join([*special, *words, *letters, *(f"##{x}" for x in letters)]))
        t.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    seal(folder, "benchmark")
    return folder


def _efficientnet(path: Path) -> None:
    """EfficientNet-B0 as the default face encoder, exported as its authors export theirs."""
    import torch
    import transformers as t

    config = t.EfficientNetConfig(width_coefficient=1.0, depth_coefficient=1.0, image_size=224, hidden_dim=1280)
    network = t.EfficientNetForImageClassification(config)
    for module in network.modules():  # or numbers would fade from layer to layer until they are slow
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
        elif isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # statistics are those of the pictures below
    with torch.no_grad():
        network.train()(pixel_values=torch.randn(2, 3, 224, 224))
    batch = {0: "batch"}
    torch.onnx.export(
        network.eval(), torch.zeros(1, 3, 224, 224), path, opset_version=11, dynamo=False,
        input_names=["input"], output_names=["output"], dynamic_axes={"input": batch, "output": batch},
    )  # fmt: skip


def seconds_per_hour(kind: str, device: str, media_s: float) -> float:
    """Seconds that one network of base size takes for an hour of speech in turns of mean length, without start-up.

    Sound whole, 25 pictures and 5 words a second (:mod:`pipeline.features.synthetic`).
    """
    import torch

    with tempfile.TemporaryDirectory() as temporary:
        extractor, _ = build(kind, {}, checkpoint(kind, Path(temporary) / kind), device)
        count = max(1, round(media_s / TURN_S))
        pieces = [clip(extractor.modality, TURN_S, segment_id=f"turn{k:05d}") for k in range(count)]
        jobs = [Job(piece.segment_id, piece) for piece in pieces]
        list(extract_all(extractor, jobs[:8]))  # start-up, of the device too
        if device == "cuda":
            torch.cuda.synchronize()
        clock = time.perf_counter if device == "cuda" else time.process_time  # which other work does not stretch
        begin_s = clock()
        list(extract_all(extractor, jobs))
        return (clock() - begin_s) * 3600 / (count * TURN_S)


def seeds_at_once(folder: Path, files: dict[str, Path]) -> dict[str, float]:
    """Epochs of several seeds, development included: each step started from Python, one seed after another, against
    graphs of all seeds at once; and what a seed's step takes then."""
    from models.fit import Run
    from models.job import load_examples, make_repeatable
    from models.options import NetworkOptions
    from models.seeds import alternate

    make_repeatable(True, 1)
    found = {}
    for fusion in ("self_attention", "cross_attention", "rcma"):
        job = job_of_turns(folder, files, NetworkOptions(fusion=fusion), epochs=EPOCHS)
        examples = load_examples(job, "cuda")

        def seconds(runs: list[Run]) -> float:
            alternate((run.epoch() for run in runs), lambda: True)
            begin_s = time.perf_counter()
            alternate((run.epoch() for run in runs), lambda: True)
            return time.perf_counter() - begin_s

        alone, *together = (Run(examples, job.network, job.training, seed) for seed in (0, *range(SEEDS)))
        alone.graphs = None
        alone_s, together_s = seconds([alone]), seconds(together)
        name = f"GPU, {SEEDS} seeds, {fusion}"
        found[f"{name}: one after another, step by step / at once, as graphs (at least 5)"] = (
            SEEDS * alone_s / together_s
        )
        steps = -(-len(alone.items) // job.training.batch_size)
        found[f"{name}: ms of an epoch for each step and seed"] = 1000 * together_s / SEEDS / steps
    return found


def epochs() -> dict[str, float]:
    """Seeds at once, and an epoch in exact arithmetic against fast arithmetic."""
    seconds = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = turns(folder, TURNS)
        paces = seeds_at_once(folder, files)
        for name, changes in {"exact": {}, "mixed": {"mixed_precision": True}}.items():
            train(folder, files, name, 1, seeds=[0], epochs=EPOCHS, stop_patience=EPOCHS, device="cuda", **changes)
            seconds[name] = json.loads((folder / name / "seed0" / "run.json").read_text())["seconds"]
    return paces | {"GPU, epoch: exact / mixed precision": seconds["exact"] / seconds["mixed"]}


def figures() -> dict[str, float]:
    """All figures of one run; none without a GPU."""
    import torch

    if not torch.cuda.is_available():
        print("\nno CUDA device here: the GPU part is not measured")
        return {}
    found = epochs()
    for kind, media_s in SECONDS["cuda"].items():
        try:
            found[f"GPU, {kind} of base size: seconds per hour of speech"] = seconds_per_hour(kind, "cuda", media_s)
        except ImportError as error:  # transformers prepares pictures with pillow
            print(f"\n{kind} is not measured: {' '.join(str(error).split())}")
    return found
