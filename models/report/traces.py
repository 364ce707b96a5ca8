"""Aff-Wild2: prediction against truth over time for a few videos, with the faces and words of the same seconds."""

import base64
import json
from itertools import pairwise

import numpy as np
import pandas as pd

from models.report.charts import Axis, band, blocks, path, swarm
from models.report.gather import Results
from models.report.scores import per_video
from pipeline.records import Word, read_table

POINTS = 400  # of a line: more than a chart has pixels adds nothing
CELLS = 10
WORDS_PER_CELL = 9
DIMENSIONS = ("valence", "arousal")


def choose(results: Results, run: str) -> list[tuple[str, str]]:
    """The videos shown, as (segment id, why): the best, the median and the worst by this run's mean CCC per video.

    Without per_video.csv the first three tested videos, which is said too.
    """
    table = results.tables["per_video"]
    found = per_video(table, [run]) if table is not None else None
    if found:
        ranked = found[1].get(run, pd.DataFrame({"ccc_mean": []})).sort_values("ccc_mean", ascending=False)
        ids = list(ranked.index)
        if len(ids) >= 3:
            return [(ids[0], "best"), (ids[len(ids) // 2], "median"), (ids[-1], "worst")]
        return [(i, "tested") for i in ids]
    if results.split is None:
        return []
    tested = results.split.loc[results.split["part"] == "test", "segment_id"]
    return [(i, "among the first") for i in sorted(set(tested))[:3]]


def traces(results: Results, run: str) -> list[dict]:
    """One entry per chosen video; a video without predictions is left out by having none to show."""
    strips = _strips(results, [segment_id for segment_id, _ in choose(results, run)])
    segments = {s.segment_id: s for s in results.segments}
    out = []
    for segment_id, why in choose(results, run):
        frames = _predictions(results, run, segment_id)
        if frames is None or frames.empty:
            continue
        segment = segments.get(segment_id)
        words = _words(results, segment) if segment else []
        out.append(_trace(segment_id, why, frames, words, strips.get(segment_id)))
    return out


def _predictions(results: Results, run: str, segment_id: str) -> pd.DataFrame | None:
    for file in (folder / "predictions.parquet" for folder in results.fold_folders(run)):
        if not file.exists():
            continue
        table = pd.read_parquet(file, filters=[("segment_id", "==", segment_id), ("part", "==", "test")])
        if len(table):
            return table
    return None


def _words(results: Results, segment) -> list[Word]:
    file = results.folder / "words" / f"{segment.file}.tsv"
    if not file.exists():
        return []
    return [
        w
        for w in read_table(file, Word)
        if w.segment_id in (None, segment.segment_id) and w.end_s > segment.start_s and w.start_s < segment.end_s
    ]


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


def _trace(segment_id: str, why: str, frames: pd.DataFrame, words: list[Word], strip: dict | None) -> dict:
    by_frame = frames.groupby("time_s", sort=True)
    valid = by_frame["valid"].first()
    time_s = valid.index.to_numpy(np.float64)
    step_s = float(np.median(np.diff(time_s))) if len(time_s) > 1 else 0.04
    x_axis = Axis.between(float(time_s[0]), float(time_s[-1]) + step_s, 8)
    valid = valid.to_numpy(bool)
    x = blocks(time_s, POINTS)
    lines = {}
    for name in DIMENSIONS:
        truth = np.where(valid, by_frame[f"truth_{name}"].first().to_numpy(float), np.nan)
        predicted = by_frame[f"prediction_{name}"]
        lines[name] = [blocks(v, POINTS) for v in (truth, predicted.mean(), predicted.min(), predicted.max())]
    held = np.concatenate([line[np.isfinite(line)] for four in lines.values() for line in four])
    y_axis = Axis.between(min(-0.5, float(held.min()) - 0.05), max(0.5, float(held.max()) + 0.05), 4)
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
        "cells": _cells(x_axis, words, strip),
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


def video_swarm(results: Results, runs: list[str]) -> dict | None:
    """Per-video CCC of several runs as dots, with the median; the scale is the same for all of them."""
    table = results.tables["per_video"]
    found = per_video(table, runs) if table is not None else None
    if not found:
        return None
    _, tables = found
    values = [t[f"ccc_{d}"].dropna().to_numpy() for t in tables.values() for d in DIMENSIONS]
    axis = Axis.covering(np.concatenate(values), 6)
    return {
        "axis": axis,
        "videos": max(len(t) for t in tables.values()),
        "runs": [
            {
                "run": run,
                "rows": [
                    {
                        "name": d,
                        "dots": swarm(table[f"ccc_{d}"].to_numpy(), axis),
                        "median": float(table[f"ccc_{d}"].median()),
                        "low": float(table[f"ccc_{d}"].quantile(0.25)),
                        "high": float(table[f"ccc_{d}"].quantile(0.75)),
                        "count": int(table[f"ccc_{d}"].notna().sum()),
                    }
                    for d in DIMENSIONS
                ],
            }
            for run, table in tables.items()
        ],
    }
