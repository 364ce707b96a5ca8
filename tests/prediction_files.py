"""Write prediction files as training does, from answers that a test chose."""

from pathlib import Path

import numpy as np

from models.predictions import FILE
from pipeline.records import Segment, write_table


def write_parquet(folder, run, fold, header, rows):
    """A prediction file from rows."""
    import pandas

    path = Path(folder) / "runs" / run / f"fold{fold}" / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    pandas.DataFrame(list(rows), columns=header).to_parquet(path)
    return path


def write_segments(folder, run, fold, classes, rows, shuffle=None):
    """``rows``: (segment_id, seed, part, label, predicted)."""
    rows = list(rows)
    if shuffle is not None:
        rows = [rows[i] for i in np.random.default_rng(shuffle).permutation(len(rows))]
    header = ["segment_id", "seed", "part", "label", "predicted", *(f"p_{c}" for c in classes)]
    filled = [[*row, *(0.9 if c == row[-1] else 0.1 / (len(classes) - 1) for c in classes)] for row in rows]
    return write_parquet(folder, run, fold, header, filled)


def write_frames(folder, run, fold, tracks, shuffle=None):
    """``tracks``: (segment_id, seed, part, truth (n, 2), predicted (n, 2), valid (n,))."""
    import pyarrow
    import pyarrow.parquet as parquet

    path = Path(folder) / "runs" / run / f"fold{fold}" / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {name: [] for name in ("segment_id", "seed", "part", "frame", "time_s", "valid")}
    values = []
    for segment_id, seed, part, truth, predicted, valid in tracks:
        n = len(truth)
        columns["segment_id"] += [segment_id] * n
        columns["seed"] += [seed] * n
        columns["part"] += [part] * n
        columns["frame"] += list(range(n))
        columns["time_s"] += [i / 30 for i in range(n)]
        columns["valid"] += np.asarray(valid, bool).tolist()
        values.append(np.concatenate([truth, predicted], axis=1))
    values = np.concatenate(values)
    for i, name in enumerate(("truth_valence", "truth_arousal", "prediction_valence", "prediction_arousal")):
        columns[name] = values[:, i].astype(np.float32)
    table = pyarrow.table(columns)
    if shuffle is not None:
        table = table.take(np.random.default_rng(shuffle).permutation(len(table)))
    parquet.write_table(table, path)
    return path


def write_numbers(folder, run, fold, targets, rows):
    """``rows``: (segment_id, seed, part, truth of each target, prediction of each target)."""
    header = ["segment_id", "seed", "part", *(f"{what}_{t}" for what in ("truth", "prediction") for t in targets)]
    return write_parquet(folder, run, fold, header, rows)


def write_frame_classes(folder, run, fold, classes, tracks):
    """``tracks``: (segment_id, seed, part, label (n,), predicted (n,)), a label "" where none is known."""
    import pandas

    tables = []
    for segment_id, seed, part, label, predicted in tracks:
        frame = np.arange(len(label))
        columns = {"segment_id": segment_id, "seed": seed, "part": part, "frame": frame, "time_s": frame / 30}
        columns |= {"valid": np.asarray(label) != "", "label": label, "predicted": predicted}
        tables.append(pandas.DataFrame(columns | {f"p_{c}": np.float32(c == np.array(predicted)) for c in classes}))
    path = Path(folder) / "runs" / run / f"fold{fold}" / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    pandas.concat(tables).to_parquet(path)
    return path


def write_rows(path, header, rows):
    """A tab-separated table."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join("\t".join(str(x) for x in row) for row in [header, *rows])
    path.write_text(text + "\n", encoding="utf-8")
    return path


def write_corpus(folder, unit_of, folds, protocol="session", **groups):
    """segments.tsv and a split: ``unit_of`` segment -> unit; ``folds`` one dict segment -> part for each fold.

    ``groups``: a function of the segment's id for each column of segments.tsv.
    """
    same = {"speaker": "speaker", "session": None, "part": None, "start_s": 0.0, "end_s": 1.0, "side": "whole"}
    rows = [Segment(s, u, **{**same, **{name: of(s) for name, of in groups.items()}}) for s, u in unit_of.items()]
    segments = Path(folder) / "segments.tsv"
    write_table(segments, rows, Segment)
    split = [(s, k, part, "") for k, parts in enumerate(folds) for s, part in parts.items()]
    return segments, write_rows(
        Path(folder) / "splits" / f"{protocol}.tsv", ["segment_id", "fold", "part", "label"], split
    )
