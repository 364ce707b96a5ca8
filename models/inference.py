"""Predictions of a trained network, item by item."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from models.evaluation.metrics import confusion_matrix, metric, moments, overall
from models.examples import Examples, evaluation_batches
from models.normaliser import Normaliser
from models.options import NOTHING, NetworkOptions
from models.predictions import RUN, prediction_columns, read_run, truth_columns
from models.task import Task
from models.truth import UNKNOWN, is_known
from pipeline.records import InputError

ROWS_ON_GPU = 2**16  # rows of the longest modality of a batch, padding included; turns before its items come on top


@torch.inference_mode()
def outputs(
    network: nn.Module,
    examples: Examples,
    items: np.ndarray,
    batch_size: int,
    mixed: bool = False,
    without: str | None = None,
) -> list[np.ndarray]:
    """What the network says of each item: (outputs,), or (steps, outputs) of a window without its padding.

    ``without`` names a modality that is taken away, as if nothing of it had been observed.
    """
    network.eval()
    if examples.device.type == "cuda":  # a GPU computes a small batch faster than it is started
        longest = [int(n[items].max(initial=1)) for n in examples.count.values()]
        batch_size = max(batch_size, ROWS_ON_GPU // max(*longest, *examples.fixed_steps.values(), 1))
    order = evaluation_batches(items, examples.length, batch_size)
    output: dict[int, np.ndarray] = {}
    for group, batch in zip(order, examples.batches(order)):
        batch = batch.without(without) if without else batch
        with torch.autocast(examples.device.type, torch.bfloat16, enabled=mixed):
            values = network(*batch.given)
        values = values.to(torch.promote_types(values.dtype, torch.float32)).cpu().numpy()
        if examples.task.frames:
            count = next(iter(examples.count.values()))[group]
            output.update((item, x[:n]) for item, x, n in zip(group.tolist(), values, count))
        else:
            output.update(zip(group.tolist(), values))
    return [output[item] for item in items.tolist()]


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax in float64: (N, classes) -> (N, classes)."""
    from scipy.special import softmax

    return softmax(logits.astype(np.float64), axis=1)


@dataclass(frozen=True)
class Answers:
    """What a network says of N segments, or of all their frames, ordered by part, segment and frame; and the truth."""

    segment: np.ndarray  # (N,) index into the examples' segments
    part: np.ndarray  # (N,) index into parts
    parts: list[str]
    frame: np.ndarray | None  # (N,) number of the frame in its segment; None: of segments
    truth: np.ndarray  # (N,) numbers of classes, or (N, numbers)
    known: np.ndarray  # (N,) whether the truth is known
    output: np.ndarray  # (N, outputs) logits of classes, or numbers


def answers(examples: Examples, items: np.ndarray, output: Sequence[np.ndarray]) -> Answers:
    """Put together what was said of each of ``items``: see ``outputs``."""
    parts, part = np.unique(examples.part[items], return_inverse=True)
    if examples.task.frames:
        return _of_frames(examples, items, output, part, parts.tolist())
    order = np.lexsort((examples.segment[items], part))
    truth = examples.target[items[order]]
    known = is_known(truth)
    return Answers(
        examples.segment[items[order]], part[order], parts.tolist(), None, truth, known, np.stack(output)[order]
    )


def _of_frames(examples: Examples, items: np.ndarray, windows, part: np.ndarray, parts: list[str]) -> Answers:
    """Average the windows that cover a frame; of classes, their probabilities, given back as logits."""
    labels, classes = examples.labels, not examples.task.numbers
    groups: dict[tuple[int, int], list[int]] = {}
    for k, key in enumerate(zip(part.tolist(), examples.segment[items].tolist())):
        groups.setdefault(key, []).append(k)
    averaged = []
    for (_, segment), ks in sorted(groups.items()):
        output = [probabilities(windows[k]) if classes else windows[k] for k in ks]
        mean = average_windows(output, examples.first[items[ks]], int(labels.count[segment]))
        averaged.append(np.log(mean.clip(np.finfo(mean.dtype).tiny)) if classes else mean)
    frames = [len(output) for output in averaged]
    of_part, of_segment = (np.repeat([key[i] for key in sorted(groups)], frames) for i in (0, 1))
    ranges = [labels.range(segment) for _, segment in sorted(groups)]
    known = np.concatenate([labels.valid[r].cpu().numpy() for r in ranges])
    truth = np.concatenate([labels.values[r].cpu().numpy() for r in ranges])
    truth = np.where(known, truth[:, 0], UNKNOWN).astype(np.int64) if classes else truth
    frame = np.concatenate([np.arange(n) for n in frames])
    return Answers(of_segment, of_part, parts, frame, truth, known, np.concatenate(averaged))


def average_windows(outputs: list[np.ndarray], first: np.ndarray, frames: int) -> np.ndarray:
    """Average the windows that cover each frame: windows of (n, targets) at ``first`` -> (frames, targets) float64."""
    total = np.zeros((frames, outputs[0].shape[1]))
    count = np.zeros((frames, 1))
    for values, a in zip(outputs, first):
        total[a : a + len(values)] += values
        count[a : a + len(values)] += 1
    return total / count


def scores_without(
    network: nn.Module, examples: Examples, whole: Answers, batch_size: int, mixed: bool = False
) -> dict[str, dict[str, float | None]]:
    """Scores of the test part as it is (``nothing`` taken away; ``whole`` holds it) and without each modality.

    By what is taken away and by metric. Nothing where there is but one modality. A score that is undefined is None.
    """
    if len(examples.dims) == 1:
        return {}
    found, items = {NOTHING: scores_of(whole, examples.task, examples.names)}, examples.items("test")
    for modality in examples.dims:
        output = outputs(network, examples, items, batch_size, mixed, without=modality)
        found[modality] = scores_of(answers(examples, items, output), examples.task, examples.names)
    return found


def scores_of(found: Answers, task: Task, names: list[str]) -> dict[str, float | None]:
    """Every overall metric of the test part, as far as its truth is known."""
    tested = found.known & (found.part == found.parts.index("test"))
    truth, output = found.truth[tested], found.output[tested]
    if task.numbers:
        sums = np.stack([moments(truth[:, k], output[:, k]) for k in range(len(names))])
    else:
        sums = confusion_matrix(truth, output.argmax(1), len(names))
    values = {name: float(metric(task, name, names)(sums)) for name in overall(task)}
    return {name: None if np.isnan(value) else value for name, value in values.items()}


def columns(examples: Examples, found: Answers, seed: int) -> dict[str, Any]:
    """Columns of predictions.parquet, as models.predictions describes them; a text is given as codes and texts."""
    table: dict[str, Any] = {
        "segment_id": (found.segment, examples.segment_ids),
        "seed": np.full(len(found.segment), seed, np.int64),
        "part": (found.part, found.parts),
    }
    if found.frame is not None:
        rows: Any = next(iter(examples.tables.values())).rows
        time_s = [rows.grids[i][:, 0] for i in found.segment[found.frame == 0]]
        table |= {"frame": found.frame, "time_s": np.concatenate(time_s), "valid": found.known}
    names, task = examples.names, examples.task
    if task.numbers:
        truth = np.where(found.known[:, None], found.truth, np.float32(np.nan))
        table |= zip(truth_columns(task), truth.T)
        return table | dict(zip(prediction_columns(task), found.output.T.astype(np.float32)))
    p = probabilities(found.output)
    table["label"] = np.where(found.known, found.truth, len(names)), [*names, ""]
    table["predicted"] = p.argmax(1), names
    return table | {f"p_{name}": p[:, k].astype(np.float32) for k, name in enumerate(names)}


def load_network(folder: str | Path) -> tuple[nn.Module, dict[str, Normaliser], dict]:
    """Load a trained seed from its folder: the network, its normalisers per modality, and run.json.

    ``network(*examples.batch(items).given)`` is what it says of segments, once these normalisers are in ``examples``:
    what ``models.items.segment_items`` (of frames ``frame_items``) makes of features with the options ``network`` and
    ``training`` of run.json, ``rows_per_step`` of its ``model``, and the segments of segments.tsv.
    Raises InputError where the folder holds no finished run.
    """
    from safetensors.torch import load_file

    from models.network import build

    folder = Path(folder)
    if not (folder / RUN).is_file():
        raise InputError(f"{folder}: holds no {RUN}, so no finished training; give a folder runs/RUN/foldK/seedN")
    run = read_run(folder)
    tensors = load_file(folder / "checkpoint.safetensors")
    options, model = NetworkOptions.model_validate(run["network"]), run["model"]
    task = Task.parse(run["task"])
    counts = {m: len(numbers) for m, numbers in model["layers"].items()}
    network = build(options, model["dims"], task, len(model["outputs"]), model["max_steps"], model["scale"], counts)
    network.load_state_dict({k.removeprefix("network."): v for k, v in tensors.items() if k.startswith("network.")})
    normalisers = {
        m: Normaliser(tensors[f"normaliser.{m}.mean"], tensors[f"normaliser.{m}.std"]) for m in model["dims"]
    }
    return network.eval(), normalisers, run
