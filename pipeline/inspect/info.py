"""``info`` describes one feature store; ``diff`` says how far two are apart."""

import json

import click
import numpy as np

from pipeline.cli import EXISTING
from pipeline.store import FeatureStore, Rows


class Statistics:
    """Per-column statistics over valid rows, gathered block by block (Chan, Golub and LeVeque 1979)."""

    def __init__(self, dim: int):
        self.rows = self.valid = 0
        self.mean, self.squares = np.zeros(dim), np.zeros(dim)
        self.low, self.high = np.full(dim, np.inf), np.full(dim, -np.inf)
        self.not_finite = np.zeros(dim, np.int64)

    def add(self, rows: Rows) -> None:
        """Take in the rows of one segment."""
        self.rows += len(rows)
        values = rows.values[rows.valid].astype(np.float64)
        self.not_finite += (~np.isfinite(values)).sum(0)
        values = values[np.isfinite(values).all(1)]
        if not len(values):
            return
        count, mean = len(values), values.mean(0)
        total = self.valid + count
        self.squares += ((values - mean) ** 2).sum(0) + (mean - self.mean) ** 2 * self.valid * count / total
        self.mean += (mean - self.mean) * count / total
        self.low, self.high = np.minimum(self.low, values.min(0)), np.maximum(self.high, values.max(0))
        self.valid = total

    @property
    def sd(self) -> np.ndarray:
        """Population standard deviation of each column."""
        return np.sqrt(self.squares / max(self.valid, 1))


def describe(store: FeatureStore) -> str:
    """Contents, provenance, coverage and statistics of a store, as text."""
    found, without = Statistics(store.dim), []
    for segment_id, rows in store.read():
        found.add(rows)
        if not rows.valid.any():
            without.append(segment_id)
    known = store.attributes
    lines = [
        f"{known['name']}: {known['modality']} features of {known['corpus']} by {known['extractor']} "
        f"{known['extractor_version']}{', DEMONSTRATION' if known['demonstration'] else ''}",
        "",
        f"segments   {len(store):,}, {len(without):,} of them without a valid row{_some(without)}",
        f"rows       {found.rows:,} of {store.dim} {store.dtype} numbers, {_percent(found.valid, found.rows)} valid",
        f"values     {_extent(found)}",
    ]
    for what, columns in (("NaN or infinite", found.not_finite > 0), ("constant", (found.sd == 0) & (found.valid > 1))):
        if columns.any():
            lines.append(f"WARNING    {what} columns: {_some(np.flatnonzero(columns).tolist()).strip(' ()')}")
    lines += ["", "made with", *(f"  {line}" for line in recipe(store))]
    return "\n".join(lines)


def recipe(store: FeatureStore) -> list[str]:
    """What config.yaml has to say to make the store again, and what it was made with."""
    known = store.attributes
    made = {"extractor": known["extractor"], **known["config"]}
    read = made.pop("times", None) if known["extractor"] == "import" else None
    if read:  # only the file's name is kept: where it lies is nobody else's business
        made |= {"path": f".../{made['path']}", "modality": known["modality"]}
    lines = [f"extractors.{known['name']}: {json.dumps(made, ensure_ascii=False)}"]
    lines += [f"times: {read}"] if read else []
    if known["weights"]:
        lines.append(f"weights: {known['weights'].get('source')} at {known['weights'].get('revision')}")
        for name, digest in sorted(known["weights"].get("sha256", {}).items()):
            lines.append(f"  {name}  sha256 {digest}")
    lines.append("software: " + ", ".join(f"{k} {v}" for k, v in sorted(known["software"].items())))
    return [*lines, f"inputs: digest {known['inputs']}"]


def compare(a: FeatureStore, b: FeatureStore) -> str:
    """Which segments two stores share, and how far their values, times and masks are apart."""
    lines = []
    for key in a.attributes:
        if a.attributes[key] != b.attributes[key]:
            lines.append(f"{key}: {json.dumps(a.attributes[key])} | {json.dumps(b.attributes[key])}")
    for first, second in ((a, b), (b, a)):
        alone = sorted(set(first) - set(second))
        lines.append(f"segments only in {first.path}: {len(alone)}{_some(alone)}")
    shared = sorted(set(a) & set(b))
    lengths, masks, times, largest, square, count = 0, 0, 0.0, 0.0, 0.0, 0
    for segment_id in shared:
        x, y = a[segment_id], b[segment_id]
        if len(x) != len(y):
            lengths += 1
            continue
        masks += not np.array_equal(x.valid, y.valid)
        if len(x):
            times = max(times, float(np.abs(x.time_s - y.time_s).max()))
            if a.dim == b.dim:
                apart = x.values.astype(np.float64) - y.values
                largest = max(largest, np.abs(apart).max())
                square, count = square + (apart**2).sum(), count + apart.size
    lines.append(f"segments in both: {len(shared)}; other number of rows in {lengths}, other mask in {masks}")
    lines.append(f"times: up to {times:.6g} s apart")
    if a.dim != b.dim:
        lines.append(f"values: width {a.dim} | {b.dim}, not compared")
    else:
        lines.append(f"values: up to {largest:.6g} apart, root mean square {np.sqrt(square / max(count, 1)):.6g}")
    return "\n".join(lines)


def _some(names: list, most: int = 5) -> str:
    if not names:
        return ""
    return f" ({', '.join(map(str, names[:most]))}{f' and {len(names) - most} more' if len(names) > most else ''})"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "none"


def _extent(found: Statistics) -> str:
    if not found.valid:
        return "none is valid"
    extent = f"{found.low.min():.4g} to {found.high.max():.4g}"
    return f"{extent}; column mean {_range(found.mean)}, sd {_range(found.sd)}"


def _range(values: np.ndarray) -> str:
    return f"{values.min():.4g} to {values.max():.4g}"


@click.command()
@click.argument("store", type=EXISTING)
def info(store):
    """Describe a feature STORE: contents, provenance, coverage, statistics; NaN and constant columns are called out."""
    click.echo(describe(FeatureStore(store)))


@click.command()
@click.argument("a", type=EXISTING)
@click.argument("b", type=EXISTING)
def diff(a, b):
    """Compare two feature stores: the same segments? how far apart?"""
    click.echo(compare(FeatureStore(a), FeatureStore(b)))
