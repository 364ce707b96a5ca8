"""Items made of feature stores, segments or windows of frames, and what is fitted on those of them that train."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from models.dialog import Dialogs, turns_before
from models.examples import Examples
from models.normaliser import Normaliser
from models.options import NetworkOptions, TrainingOptions
from models.sources import GridRows, PooledRows, StoredRows, Table, place_tables, rows_within
from models.task import Task
from models.truth import Truth, frame_names
from pipeline.log import log
from pipeline.records import Assignment, InputError, Segment
from pipeline.store import FeatureStore
from pipeline.timebase import uniform_grid_s


def segment_items(
    stores: dict[str, FeatureStore],
    assignments: Sequence[Assignment],
    task: Task,
    truth: Truth,
    network: NetworkOptions,
    training: TrainingOptions,
    device: str = "cpu",
    rows_per_step: Mapping[str, int] | None = None,
    segments: Sequence[Segment] = (),
) -> Examples:
    """Segments as items, without normalisers; ``segments`` say who speaks and which turns are before it, if need be.

    With ``one_grid`` all modalities come on one time grid of ``training.grid_hop_s``, otherwise in their own rows, no
    finer than that, and end after ``training.max_s``. A faithful model takes stored rows, cut to the published lengths.
    """
    items = {a.segment_id for a in assignments}
    before = {i: turns for i, turns in turns_before(segments, network.context).items() if i in items}
    segment_ids = sorted(items.union(turn.segment_id for turns in before.values() for turn in turns))
    index = {s: i for i, s in enumerate(segment_ids)}
    fixed = network.published.steps if network.faithful else None
    most: Mapping[str, Any] = fixed or rows_within(stores, segment_ids, training.max_s)
    hop_s, speakers = training.grid_hop_s, _speakers(segments, training)
    rows: dict[str, StoredRows]
    if network.one_grid:
        nearest, grids = training.grid_rows == "nearest", _grids(stores, segment_ids, hop_s, training.max_s)
        rows = {m: GridRows(store, segment_ids, grids, nearest, most[m], speakers) for m, store in stores.items()}
    elif network.faithful:
        rows = {m: StoredRows(store, segment_ids, most[m], speakers) for m, store in stores.items()}
    else:
        pool = rows_per_step or {}
        rows = {m: PooledRows(s, segment_ids, hop_s, pool.get(m), most[m], speakers) for m, s in stores.items()}
    segment = np.array([index[a.segment_id] for a in assignments])
    return Examples(
        task=task,
        names=truth.names,
        segment_ids=segment_ids,
        tables=place_tables(rows, device, training.memory_budget_gb),
        normalisers={},
        part=np.array([a.part for a in assignments]),
        segment=segment,
        first=np.zeros(len(segment), np.int64),
        count={m: r.count[segment] for m, r in rows.items()},
        fixed_steps={m: fixed[m] for m in rows} if fixed else {},
        dtype=torch.float64 if network.faithful else torch.float32,
        target=truth.values,
        dialogs=Dialogs(segment_ids, before, {s.segment_id: s.speaker for s in segments}) if network.context else None,
        shares=truth.shares,
    )


def _speakers(segments: Sequence[Segment], training: TrainingOptions) -> dict[str, str] | None:
    return {s.segment_id: s.speaker for s in segments} if training.normalise == "speaker" else None


def _grids(stores: dict[str, FeatureStore], segment_ids: list[str], hop_s: float, max_s: float) -> list[np.ndarray]:
    """Cells from the first to the last row of any modality, over at most ``max_s``; one where a segment has no row."""
    begin, end = np.full(len(segment_ids), np.inf), np.full(len(segment_ids), -np.inf)
    for store in stores.values():
        time_s = store.array("time_s")
        for i, segment_id in enumerate(segment_ids):
            a, b = store.row_range(segment_id)
            if b > a:
                begin[i], end[i] = min(begin[i], time_s[a:b, 0].min()), max(end[i], time_s[a:b, 1].max())
    nothing = end < begin
    begin[nothing], end[nothing] = 0.0, hop_s
    end = np.minimum(end, begin + max_s)
    return [uniform_grid_s(a, b, hop_s) for a, b in zip(begin, end)]


def frame_items(
    stores: dict[str, FeatureStore],
    labels: FeatureStore,
    assignments: Sequence[Assignment],
    task: Task,
    network: NetworkOptions,
    training: TrainingOptions,
    device: str = "cpu",
    segments: Sequence[Segment] = (),
) -> Examples:
    """Windows over the video frames of ``labels``, features brought to them by time; without normalisers.

    ``segments`` tell who is seen in each, where that counts.
    Training windows without any labelled frame are left out; of the other parts every frame is covered.
    """
    names = frame_names(task, labels)
    segment_ids = sorted({a.segment_id for a in assignments})
    index = {s: i for i, s in enumerate(segment_ids)}
    truth = Table(StoredRows(labels, segment_ids), "device" if device != "cpu" else "host", device)
    if not task.numbers:
        _check_classes(truth, names)
    time_s = labels.array("time_s")
    grids = [time_s[slice(*labels.row_range(s))] for s in segment_ids]
    nearest, speakers = training.grid_rows == "nearest", _speakers(segments, training)
    rows = {m: GridRows(store, segment_ids, grids, nearest, speakers=speakers) for m, store in stores.items()}
    windows: list[tuple[str, int, int]] = []
    for a in assignments:
        i = index[a.segment_id]
        starts = cut_windows(int(truth.count[i]), training.window, training.window_hop).tolist()
        if not starts:
            log.warning("%s (%s) has no video frame in %s: nothing to predict", a.segment_id, a.part, labels.path)
        windows += [(a.part, i, first) for first in starts]
    part = np.array([part for part, _, _ in windows], str)
    segment, first = np.array([window[1:] for window in windows], np.int64).reshape(-1, 2).T
    count = np.minimum(truth.count[segment] - first, training.window)
    labelled = np.concatenate([[0], np.cumsum(truth.valid.cpu().numpy())])
    begin = truth.offset[segment] + first
    useful = (part != "training") | (labelled[begin + count] > labelled[begin])
    if not useful.all():
        log.info("left out %d training windows without any labelled frame", (~useful).sum())
    return Examples(
        task=task,
        names=names,
        segment_ids=segment_ids,
        tables=place_tables(rows, device, training.memory_budget_gb),
        normalisers={},
        part=part[useful],
        segment=segment[useful],
        first=first[useful],
        count=dict.fromkeys(rows, count[useful]),
        fixed_steps=dict.fromkeys(rows, training.window) if network.faithful else {},
        dtype=torch.float64 if network.faithful else torch.float32,
        labels=truth,
    )


def cut_windows(frames: int, window: int, hop: int) -> np.ndarray:
    """First frames of the windows over a sequence: every ``hop``, the last one moved so that it ends with the sequence.

    A sequence no longer than a window is one window, one without frames is none. Every frame lies in a window.
    """
    if frames == 0:
        return np.zeros(0, np.int64)
    if frames <= window:
        return np.zeros(1, np.int64)
    first = np.arange(0, frames - window + 1, hop)
    return first if first[-1] + window == frames else np.append(first, frames - window)


def _check_classes(labels: Table, names: list[str]) -> None:
    """Raise InputError where a label is not the number of a class."""
    found = labels.values[:-1, 0][labels.valid[:-1]]  # the last row is padding
    wrong = found[(found < 0) | (found >= len(names)) | (found != found.floor())]
    if len(wrong):
        raise InputError(
            f"{labels.rows.store.path}: a frame has class {wrong[0]:g}; the classes are numbered from 0 to "
            f"{len(names) - 1} ({', '.join(names)}); correct the reader's annotate"
        )


def fitted(examples: Examples, network: NetworkOptions, training: TrainingOptions) -> Examples:
    """Fit normalisers and scale on what trains, and say what is missing."""
    counts = Counter(examples.part.tolist())
    for needed in ("training", "development", "test"):
        if not counts[needed]:
            raise InputError(
                f"the {needed} part of this fold holds no item; its parts are {dict(counts)}; complete the labels or "
                "choose another protocol, so that training, development and test each have some"
            )
    trains = np.zeros(len(examples.segment_ids), bool)
    trains[examples.segment[examples.items("training")]] = True
    normalisers = {}
    for m, table in examples.tables.items():
        if examples.absent[m]:
            log.info("%s: %d of %d segments have no valid row; all masked", m, examples.absent[m], len(trains))
        seen = table.blocks(trains) if training.normalise else ()  # fitted on nothing: features stay as they are
        normalisers[m] = Normaliser.fit(seen, table.dim).to(examples.device, examples.dtype)
    return replace(examples, normalisers=normalisers, scale=_scale(examples, network.faithful))


def _scale(examples: Examples, faithful: bool) -> dict[str, list[float]] | None:
    """Mean and standard deviation of each number where any leaves [-1, 1], which a network's tanh can reach.

    A faithful model has its tanh all the same: the middle of the range, and half of it. Raises InputError for a number
    that is always the same, from which nothing can be learned.
    """
    if not examples.task.numbers:
        return None
    known = examples.known("training").astype(np.float64)
    low, high = known.min(0), known.max(0)
    for name, value, constant in zip(examples.names, low, low == high):
        if constant:
            raise InputError(f"{name} is {value:g} in the whole training part; take it out of the task {examples.task}")
    if low.min() >= -1 and high.max() <= 1:
        return None
    ranges = ", ".join(f"{name} {a:g} to {b:g}" for name, a, b in zip(examples.names, low, high))
    log.info("the training part has %s: the network's numbers are scaled to that", ranges)
    centre, spread = ((low + high) / 2, (high - low) / 2) if faithful else (known.mean(0), known.std(0))
    return {"centre": centre.tolist(), "spread": spread.tolist()}
