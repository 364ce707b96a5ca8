"""Predictions of a trained network, item by item, and the files they are written to."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from models.data import Normaliser
from models.examples import Examples, evaluation_batches
from models.options import NetworkOptions
from models.windows import average_windows
from pipeline.records import InputError, replacing

TARGETS = ("valence", "arousal")


@torch.inference_mode()
def outputs(
    network: nn.Module, examples: Examples, items: np.ndarray, batch_size: int, mixed: bool = False
) -> list[np.ndarray]:
    """What the network says of each item: (outputs,) logits, or (steps, targets) of a window without its padding."""
    network.eval()
    order = evaluation_batches(items, examples.length, batch_size)
    said: dict[int, np.ndarray] = {}
    for group, batch in zip(order, examples.batches(order)):
        with torch.autocast(examples.device.type, torch.bfloat16, enabled=mixed):
            values = network(batch.values, batch.masks)
        values = values.to(torch.promote_types(values.dtype, torch.float32)).cpu().numpy()
        if examples.task == "frame":
            count = next(iter(examples.count.values()))[group]
            said.update((item, x[:n]) for item, x, n in zip(group.tolist(), values, count))
        else:
            said.update(zip(group.tolist(), values))
    return [said[item] for item in items.tolist()]


def probabilities(logits: Sequence[np.ndarray]) -> np.ndarray:
    """Softmax in float64: I of (classes,) -> (I, classes)."""
    x = np.stack(logits).astype(np.float64)
    x = np.exp(x - x.max(1, keepdims=True))
    return x / x.sum(1, keepdims=True)


def segment_columns(examples: Examples, items: np.ndarray, logits: Sequence[np.ndarray], seed: int) -> dict:
    """Columns of predictions.parquet of classes of segments, ordered by part and segment."""
    order = np.lexsort((examples.segment[items], examples.part[items]))
    items, p = items[order], probabilities(logits)[order]
    parts, part = np.unique(examples.part[items], return_inverse=True)
    return {
        "segment_id": (examples.segment[items], examples.segment_ids),
        "seed": np.full(len(items), seed, np.int64),
        "part": (part, parts.tolist()),
        "label": (examples.target[items], examples.classes),
        "predicted": (p.argmax(1), examples.classes),
        **{f"p_{name}": p[:, k].astype(np.float32) for k, name in enumerate(examples.classes)},
    }


def frame_outputs(
    examples: Examples, items: np.ndarray, windows: Sequence[np.ndarray]
) -> list[tuple[int, str, np.ndarray]]:
    """Average overlapping windows: (segment index, part, (frames, targets)) of each segment and part."""
    groups: dict[tuple[int, str], list[int]] = {}
    for k, item in enumerate(items):
        groups.setdefault((int(examples.segment[item]), str(examples.part[item])), []).append(k)
    return [
        (i, part, average_windows([windows[k] for k in ks], examples.first[items[ks]], int(examples.labels.count[i])))
        for (i, part), ks in sorted(groups.items(), key=lambda group: (group[0][1], group[0][0]))
    ]


def frame_columns(examples: Examples, averaged: Sequence[tuple[int, str, np.ndarray]], seed: int) -> dict:
    """Columns of predictions.parquet, ordered by part, segment and frame; labels are NaN where they do not count."""
    segment, part = np.array([a[0] for a in averaged]), [a[1] for a in averaged]
    frames = [len(a[2]) for a in averaged]
    ranges = [slice(examples.labels.offset[i], examples.labels.offset[i + 1]) for i in segment]
    valid = np.concatenate([examples.labels.valid[r].cpu().numpy() for r in ranges])
    truth = np.concatenate([examples.labels.values[r].cpu().numpy() for r in ranges])
    predicted = np.concatenate([a[2] for a in averaged]).astype(np.float32)
    rows: Any = next(iter(examples.tables.values())).rows
    grids = rows.grids
    return {
        "segment_id": (np.repeat(segment, frames), examples.segment_ids),
        "seed": np.full(len(valid), seed, np.int64),
        "part": (np.repeat([sorted(set(part)).index(p) for p in part], frames), sorted(set(part))),
        "frame": np.concatenate([np.arange(n) for n in frames]),
        "time_s": np.concatenate([grids[i][:, 0] for i in segment]),
        "valid": valid,
        **{f"truth_{name}": np.where(valid, truth[:, k], np.float32(np.nan)) for k, name in enumerate(TARGETS)},
        **{f"prediction_{name}": predicted[:, k] for k, name in enumerate(TARGETS)},
    }


def write_columns(path: Path, columns: dict) -> None:
    """Write the columns of one seed as predictions.parquet; texts are given as codes and what they stand for."""
    import pyarrow
    from pyarrow import parquet

    def column(values):
        if isinstance(values, tuple):
            codes, names = values
            return pyarrow.DictionaryArray.from_arrays(codes.astype(np.int32), pyarrow.array(names, pyarrow.string()))
        return pyarrow.array(values)

    with replacing(path) as temporary:
        parquet.write_table(pyarrow.table({name: column(values) for name, values in columns.items()}), temporary)


def join_files(paths: Sequence[Path], out: Path) -> None:
    """Join the prediction files of several seeds, in the given order; one seed in memory at a time."""
    from pyarrow import parquet

    with replacing(out) as temporary, parquet.ParquetWriter(temporary, parquet.read_schema(paths[0])) as writer:
        for path in paths:
            writer.write_table(parquet.read_table(path))


def load_network(folder: str | Path) -> tuple[nn.Module, dict[str, Normaliser], dict]:
    """Load a trained seed from its folder: the network, its normalisers per modality, and run.json.

    The network takes what ``models.data.SegmentDataset`` yields with these normalisers; rcma and rjcma want rows that
    ``pipeline.timebase.to_grid`` has brought to one grid. Raises InputError where the folder holds no finished run.
    """
    from safetensors.torch import load_file

    from models.network import build

    folder = Path(folder)
    if not (folder / "run.json").is_file():
        raise InputError(f"{folder}: holds no run.json, so no finished training; give a folder runs/RUN/foldK/seedN")
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    tensors = load_file(folder / "checkpoint.safetensors")
    options, model = NetworkOptions.model_validate(run["network"]), run["model"]
    network = build(options, model["dims"], run["task"], len(model["outputs"]), model["max_steps"])
    network.load_state_dict({k.removeprefix("network."): v for k, v in tensors.items() if k.startswith("network.")})
    normalisers = {
        m: Normaliser(tensors[f"normaliser.{m}.mean"], tensors[f"normaliser.{m}.std"]) for m in model["dims"]
    }
    return network.eval(), normalisers, run
