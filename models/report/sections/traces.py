"""Numbers of frames: prediction against truth over time for a few videos, with faces and words of the same seconds."""

import base64
import json
from itertools import pairwise

import numpy as np
import pandas as pd

from models.evaluation.scores import video_metrics
from models.predictions import FILE
from models.report.charts import Axis, band, block_means, path, swarm
from models.report.gather import Results
from models.report.runs import RunNames
from models.report.tables import Column, Group, Table
from models.report.writing import Numbers, metric_words, sentence
from pipeline.records import Segment, Word, read_table

POINTS = 400  # points of a line: more than a chart has pixels adds nothing
CELLS = 10
WORDS_PER_CELL = 9


def per_video(results: Results, run: str) -> pd.DataFrame:
    """The scores of each video by one run, mean over seeds, indexed by segment id."""
    table = results.tables["per_video"]
    rows, columns = table[table["run"] == run], [name for name in video_metrics(results.settings.task) if name in table]
    return rows.groupby("segment_id")[columns].mean().dropna(how="all")


def choose(results: Results, run: str) -> list[tuple[str, str]]:
    """The videos shown, as (segment id, why): the best, the median and the worst by this run's mean CCC per video."""
    found = per_video(results, run)
    ids = [] if found.empty else list(found.sort_values("ccc_mean", ascending=False).index)
    if len(ids) < 3:
        return [(i, "tested") for i in ids]
    return [(ids[0], "best"), (ids[len(ids) // 2], "median"), (ids[-1], "worst")]


def traces(results: Results, run: str) -> list[dict]:
    """One entry per chosen video; a video without predictions is left out."""
    chosen, targets = choose(results, run), results.settings.task.targets
    known = [] if results.segments is None else read_table(results.folder / "segments.tsv", Segment)
    segments = {segment.segment_id: segment for segment in known}
    strips = _strips(results, [segment_id for segment_id, _ in chosen])
    out = []
    for segment_id, why in chosen:
        frames = _predictions(results, run, segment_id)
        if frames is None or not {f"prediction_{name}" for name in targets} <= set(frames):
            continue
        words = _words(results, segments[segment_id]) if segment_id in segments else []
        out.append(_trace(segment_id, why, frames, targets, words, strips.get(segment_id)))
    return out


def _predictions(results: Results, run: str, segment_id: str) -> pd.DataFrame | None:
    for file in (folder / FILE for folder in results.fold_folders(run)):
        if not file.exists():
            continue
        table = pd.read_parquet(file, filters=[("segment_id", "==", segment_id), ("part", "==", "test")])
        if len(table):
            return table
    return None


def _words(results: Results, segment: Segment) -> list[Word]:
    file = segment.prepared(results.folder, "text")
    return [word for word in read_table(file, Word) if word.belongs_to(segment)] if file.exists() else []


def _strips(results: Results, wanted: list[str]) -> dict[str, dict]:
    """The film strips of a few segments out of ``tables/film_strips.jsonl``, one JSON object a line."""
    file = results.folder / "tables" / "film_strips.jsonl"
    found: dict[str, dict] = {}
    if file.exists():
        with file.open(encoding="utf-8") as stream:
            for line in stream:
                strip = json.loads(line)
                if strip["segment_id"] in wanted:
                    base64.b64decode(strip["jpeg"], validate=True)  # goes into the page: nothing else may be in it
                    found[strip["segment_id"]] = strip
    return found


def _trace(
    segment_id: str, why: str, frames: pd.DataFrame, targets: tuple[str, ...], words: list[Word], strip: dict | None
) -> dict:
    by_frame = frames.groupby("time_s", sort=True)
    valid = by_frame["valid"].first()
    time_s = valid.index.to_numpy(np.float64)
    step_s = float(np.median(np.diff(time_s))) if len(time_s) > 1 else 0.04
    x_axis = Axis.between(float(time_s[0]), float(time_s[-1]) + step_s, 8)
    valid = valid.to_numpy(bool)
    x = block_means(time_s, POINTS)
    lines = {}
    for name in targets:
        truth = np.where(valid, by_frame[f"truth_{name}"].first().to_numpy(float), np.nan)
        predicted = by_frame[f"prediction_{name}"]
        lines[name] = [block_means(v, POINTS) for v in (truth, predicted.mean(), predicted.min(), predicted.max())]
    finite = np.concatenate([line[np.isfinite(line)] for four in lines.values() for line in four])
    y_axis = Axis.between(min(-0.5, float(finite.min()) - 0.05), max(0.5, float(finite.max()) + 0.05), 4)
    charts = [
        {
            "name": name,
            "truth": path(x, truth, x_axis, y_axis),
            "predicted": path(x, mean, x_axis, y_axis),
            "band": band(x, low, high, x_axis, y_axis),
        }
        for name, (truth, mean, low, high) in lines.items()
    ]
    return {
        "segment_id": segment_id,
        "why": why,
        "x_axis": x_axis,
        "y_axis": y_axis,
        "charts": charts,
        "frames": len(time_s),
        "frames_per_point": max(1, round(len(time_s) / POINTS)),
        "unlabelled": int((~valid).sum()),
        "seeds": int(frames["seed"].nunique()),
        "cells": _cells(x_axis, words, strip) if words or strip else [],
        "strip": strip,
        "words": [(round(w.start_s, 2), round(w.end_s, 2), w.word) for w in words],
        "word_sources": sorted({w.source.replace("_", " ") for w in words}),
    }


def _cells(x_axis: Axis, words: list[Word], strip: dict | None) -> list[dict]:
    """Equal stretches of the time axis, each with the crop nearest its middle and the words that begin in it."""
    edges = np.linspace(x_axis.low, x_axis.high, CELLS + 1)
    out = []
    for low, high in pairwise(edges):
        spoken = [w.word for w in words if low <= max(w.start_s, x_axis.low) < high]
        crop = None
        for k, seen_s in enumerate(strip["time_s"] if strip else []):
            if seen_s is not None and low <= seen_s < high:
                crop = k
        out.append(
            {
                "start_s": float(low),
                "end_s": float(high),
                "crop": crop,
                "words": spoken[:WORDS_PER_CELL],
                "more": max(0, len(spoken) - WORDS_PER_CELL),
            }
        )
    return out


def video_swarm(results: Results, runs: list[str], names: RunNames) -> dict | None:
    """Scores of each video by several runs as dots, with the median; the scale is the same for all of them."""
    tables = {run: found for run in runs if len(found := per_video(results, run))}
    task = results.settings.task
    wanted = [f"ccc_{target}" for target in task.targets] if task.numbers else ["balanced_accuracy", "accuracy"]
    metrics = [metric for metric in wanted if any(metric in table for table in tables.values())]
    if not metrics:
        return None
    axis = Axis.covering(np.concatenate([t[m].dropna().to_numpy() for t in tables.values() for m in metrics]), 6)
    groups = []
    for run, table in tables.items():
        rows = []
        for metric in metrics:
            values = table[metric]
            low, median, high = (float(values.quantile(q)) for q in (0.25, 0.5, 0.75))
            row = {"metric": metric_words(metric), "median": median, "low": low, "high": high}
            rows.append({**row, "videos": int(values.notna().sum()), "dots": swarm(values.to_numpy(), axis)})
        groups.append(Group(rows, names.run(run)))
    numbers = Numbers(metrics[0])
    heads = {"low": "Lower quarter", "median": "Median", "high": "Upper quarter"}
    columns = [Column("metric", "Score", number=False), *(Column(k, head, numbers.score) for k, head in heads.items())]
    columns.append(Column("videos", sentence(f"{results.settings.words['segment']}s")))
    of = "CCC" if task.numbers else "Accuracy"
    title = f"{of} of each {results.settings.words['segment']} by itself{numbers.per_cent}"
    return {
        "axis": axis,
        "factor": numbers.factor,
        "table": Table("videos", title, tuple(columns), tuple(groups), plot="Each as a dot"),
        "each": _each(tables, metrics, title, names),
    }


def _each(tables: dict[str, pd.DataFrame], metrics: list[str], title: str, names: RunNames) -> Table:
    """A row for each video, for those who want to look one up."""
    ids = sorted({i for table in tables.values() for i in table.index})
    columns, rows = [Column("segment_id", "Which", number=False)], [{"segment_id": i} for i in ids]
    for run, table in tables.items():
        for metric in metrics:
            key = f"{run} {metric}"
            columns.append(Column(key, metric_words(metric), Numbers(metric).score, over=names.run(run)))
            values = table[metric].to_dict()
            for row in rows:
                row[key] = values.get(row["segment_id"])
    return Table.of("each_video", f"{title}, one by one", columns, rows)
