"""Try an extractor on a built-in clip and say what is wrong with it: shapes, times, masks, determinism, batches."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click
import numpy as np

from pipeline.cli import parse_options, plug_options
from pipeline.conformance import Wrong, say
from pipeline.features.base import Extractor
from pipeline.features.command import build
from pipeline.features.piece import Piece
from pipeline.features.pieces import Job, own_rows
from pipeline.features.run import check_pool, rows_of
from pipeline.features.synthetic import clip
from pipeline.store import Rows
from pipeline.timebase import sample_count, sample_index
from pipeline.weights import as_fetched

TOLERANCE = 1e-3  # share of the largest value that padding and the order of sums may change
UNCOVERED = 0.5  # share of a clip that no row may lie in: windows laid end to end leave less, however long they are


@click.command()
@plug_options
def check_extractor(name, options, weights, device):
    """Try extractor NAME (a name, module:Class or file.py:Class) on a built-in clip and say what is wrong with it."""
    with as_fetched(weights) as given:
        extractor, _ = build(name, parse_options(options), given, device)
        say(CHECKS, extractor, f"extractor {name!r}", type(extractor))


def _one(extractor: Extractor, piece: Piece) -> Rows:
    return rows_of(extractor, [piece])[0]


def _clip(extractor: Extractor, duration_s: float = 3.0, start_s: float = 12.5) -> Any:
    return clip(extractor.modality, duration_s, start_s)


def _span_s(piece: Any) -> tuple[float, float]:
    if hasattr(piece, "samples"):
        return piece.start_s, piece.start_s + len(piece) / piece.sample_rate_hz
    return float(piece.time_s[:, 0].min()), float(piece.time_s[:, 1].max())


def _shapes(extractor: Extractor) -> str:
    rows = _one(extractor, _clip(extractor))
    if len(rows) == 0:
        raise Wrong("no rows for a clip of 3 s")
    if not rows.valid.any():
        raise Wrong("every row of the clip is invalid; valid is true where something was observed")
    return f"{len(rows)} rows of width {extractor.dim} for 3 s"


def _times(extractor: Extractor) -> str:
    piece = _clip(extractor)
    rows = _one(extractor, piece)
    begin_s, end_s = _span_s(piece)
    centre_s = rows.time_s.mean(axis=1)
    outside = (centre_s < begin_s - 1e-6) | (centre_s > end_s + 1e-6)
    if outside.any():
        raise Wrong(
            f"{outside.sum()} of {len(rows)} rows are centred outside the clip ({begin_s:.2f} to {end_s:.2f} s), the "
            f"first at {centre_s[outside][0]:.2f} s; count from the piece's own start, in seconds"
        )
    if (np.diff(rows.time_s) <= 0).any():
        raise Wrong("a row ends where it begins; time_s is (N, 2), start and end of what the row was made from")
    later = _one(extractor, _clip(extractor, start_s=112.5))
    if not np.allclose(later.time_s - 100, rows.time_s, atol=1e-6):
        raise Wrong("the same clip 100 s later does not give the same rows 100 s later")
    if extractor.modality != "text":  # a word may be left out
        _covers(rows, begin_s, end_s)
    return f"rows from {rows.time_s[0, 0]:.3f} to {rows.time_s[-1, 1]:.3f} s of a clip from {begin_s} to {end_s} s"


def _covers(rows: Rows, begin_s: float, end_s: float) -> None:
    """Raise Wrong where no row lies in a large part of a clip, at an end or between two."""
    until_s = np.concatenate([[begin_s], np.maximum.accumulate(rows.time_s[:, 1])])
    from_s = np.concatenate([rows.time_s[:, 0], [end_s]])
    widest = int(np.argmax(from_s - until_s))
    if from_s[widest] - until_s[widest] > UNCOVERED * (end_s - begin_s):
        raise Wrong(
            f"no row lies between {until_s[widest]:.3f} and {from_s[widest]:.3f} s of a clip from {begin_s} to "
            f"{end_s} s; give rows to the end of the piece, however long it is"
        )


def _masks(extractor: Extractor) -> str:
    piece = _clip(extractor)
    if extractor.modality != "video":
        return f"{int(_one(extractor, piece).valid.sum())} rows are valid"
    rows = _one(extractor, piece)
    if len(rows) == len(piece) and (rows.valid & ~piece.valid).any():
        raise Wrong("rows of frames without a face are marked valid; use piece.rows(values), which masks them")
    blind = replace(piece, valid=np.zeros(len(piece), bool), crops=piece.crops * 0, mesh=piece.mesh * 0)
    if _one(extractor, blind).valid.any():
        raise Wrong("a piece without any face gives valid rows")
    return (
        f"{int((~rows.valid).sum())} of {len(rows)} rows invalid where {int((~piece.valid).sum())} frames have no face"
    )


def _short(extractor: Extractor) -> str:
    tiny = {"audio": 0.01, "video": 0.08, "text": 0.1}[extractor.modality]
    rows = _one(extractor, _clip(extractor, tiny))
    if len(rows) == 0:
        raise Wrong("the shortest piece gives no row; pad it, so that a short turn is not lost")
    return f"{len(rows)} row(s) for the shortest piece"


def _repeats(extractor: Extractor) -> str:
    first, second = (_one(extractor, _clip(extractor)) for _ in range(2))
    if not np.array_equal(first.values, second.values) or not np.array_equal(first.valid, second.valid):
        raise Wrong(
            f"the same piece gives other rows the second time (up to {_apart(first, second):.2g} of the largest one); "
            "is dropout on, or a random number drawn?"
        )
    return "the same piece gives the same rows"


def _batches(extractor: Extractor) -> str:
    pieces = [_clip(extractor, n) for n in (3.0, 1.0, 2.2)]
    batched = rows_of(extractor, pieces)
    worst = 0.0
    for piece, rows in zip(pieces, batched, strict=True):
        alone = _one(extractor, piece)
        if len(alone) != len(rows):
            raise Wrong(f"a piece gives {len(rows)} rows in a batch and {len(alone)} alone")
        worst = max(worst, _apart(alone, rows))
    if worst > TOLERANCE:
        raise Wrong(
            f"rows differ by up to {worst:.2g} of the largest value between a batch and each piece alone; mask the "
            "padding, or set batch=0 in cut to be given one piece at a time"
        )
    return f"a piece gives the same rows in any batch (to {worst:.1g})"


def _pieces(extractor: Extractor) -> str:
    check_pool(extractor)
    if extractor.modality != "audio":
        return "faces and words are cut between rows"
    whole, cut = _clip(extractor, 4.0), extractor.cut
    rate = whole.sample_rate_hz
    grid = sample_count(cut.grid, rate)
    middle = round(2.0 * rate / grid) * grid
    context = -(-sample_index(cut.context, rate) // grid) * grid
    at_s, from_ = whole.start_s + middle / rate, max(0, middle - context)
    left = replace(whole, samples=whole.samples[: middle + context])
    right = replace(whole, samples=whole.samples[from_:], start_s=whole.start_s + from_ / rate)
    halves = [
        own_rows(_one(extractor, left), Job("", keep_s=(-np.inf, at_s))),
        own_rows(_one(extractor, right), Job("", keep_s=(at_s, np.inf))),
    ]
    rows = _one(extractor, whole)
    joined = Rows(*(np.concatenate([getattr(h, k) for h in halves]) for k in ("values", "time_s", "valid")))
    if len(joined) != len(rows) or not np.allclose(joined.time_s, rows.time_s, atol=1e-6):
        raise Wrong(
            f"a clip gives {len(rows)} rows whole and {len(joined)}, or others, in two pieces; set grid in cut to the "
            "hop of the rows and context to at least their window"
        )
    apart = _apart(joined, rows)
    kept = f"cut in two, the rows stay where they were; values differ by up to {apart:.1g} of the largest one"
    if apart <= TOLERANCE:
        return kept
    return f"{kept} (of a network, which sees far around, this is normal; of a feature made window by window it is not)"


def _untouched(extractor: Extractor) -> str:
    piece, copy = _clip(extractor), _clip(extractor)
    extractor.extract([piece])
    for name in ("samples", "crops", "mesh", "landmarks", "valid", "time_s"):
        if hasattr(piece, name) and not np.array_equal(getattr(piece, name), getattr(copy, name)):
            raise Wrong(f"extract changes the piece's {name}; work on a copy")
    return "the piece is left as it was"


def _apart(one: Rows, other: Rows) -> float:
    """Largest difference as a share of the largest value."""
    if len(one) != len(other):
        return np.inf
    scale = float(np.abs(one.values).max(initial=0)) or 1.0
    return float(np.abs(one.values - other.values).max(initial=0)) / scale


CHECKS: dict[str, Callable[[Extractor], str]] = {
    "shapes": _shapes,
    "times": _times,
    "masks": _masks,
    "short pieces": _short,
    "determinism": _repeats,
    "batches": _batches,
    "cutting": _pieces,
    "input": _untouched,
}
