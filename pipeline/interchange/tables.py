"""Apache Parquet, one line per row, and a Hugging Face ``datasets`` folder, one line per segment."""

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import numpy as np

from pipeline.files import replacing
from pipeline.log import log
from pipeline.records import InputError, Label, Segment, number_names
from pipeline.store import FeatureStore, Rows

HUB_PART = {"training": "train", "development": "validation", "test": "test", "unlabelled": "unlabelled"}


def _lists(values: np.ndarray, lengths: Iterable[int] | None = None):
    """(N, D) values as N lists, or as lists of such lists of the given lengths."""
    import pyarrow as pa

    rows = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])
    if lengths is None:
        return rows
    offset = np.concatenate([[0], np.cumsum(list(lengths))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offset), rows)


def write_parquet(store: FeatureStore, out: Path) -> None:
    """Write columns segment_id, start_s, end_s, valid and values (a list of D numbers), one line per row."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    ids = np.array(store.segment_ids, dtype=str)

    def table(owner: np.ndarray, rows: Rows):
        columns = {"segment_id": ids[owner], "start_s": rows.time_s[:, 0], "end_s": rows.time_s[:, 1]}
        return pa.table({**columns, "valid": rows.valid, "values": _lists(rows.values)})

    nothing = Rows(np.zeros((0, store.dim), store.dtype), np.zeros((0, 2)), np.zeros(0, bool))
    first = 0
    with (
        replacing(out) as temporary,
        pq.ParquetWriter(temporary, table(np.zeros(0, np.int64), nothing).schema) as writer,
    ):
        for rows in store.blocks():
            owner = np.searchsorted(store.offset, np.arange(first, first + len(rows)), side="right") - 1
            writer.write_table(table(owner, rows))
            first += len(rows)


def write_datasets(
    store: FeatureStore,
    out: Path,
    segments: list[Segment],
    labels: dict[str, Label],
    parts: dict[str, list[str]] | None = None,
) -> None:
    """Write a folder that ``datasets.load_dataset`` opens: one line per segment, one file per part of a split.

    A segment of several ``parts`` has a line in the file of each. Raises InputError where one is not in ``segments``,
    or none is in ``parts``.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    known = {segment.segment_id: segment for segment in segments}
    numbers = number_names(labels.values())
    kinds = {**dict.fromkeys(["start_s", "end_s", *numbers], pa.float64()), "turn": pa.int64()}  # others are text
    writers: dict[str, pq.ParquetWriter] = {}
    files = {part: out / "data" / f"{part}-00000-of-00001.parquet" for part in HUB_PART.values()}
    chosen = [segment_id for segment_id in store if parts is None or segment_id in parts]
    if strange := [segment_id for segment_id in chosen if segment_id not in known]:
        raise InputError(f"{store.path}: segment {strange[0]!r} is not in --segments; give the segments.tsv beside it")
    if not chosen:
        raise InputError(f"{store.path}: none of its {len(store)} segments is in the fold; give a split of its corpus")
    log.info("%s: %d of %d segments are in a part of the split", out, len(chosen), len(store))
    with ExitStack() as opened:
        for segment_id, rows in store.read(chosen):
            label = labels.get(segment_id, Label(segment_id))
            about = {"segment_id": segment_id, "label": label.label, **{n: label.numbers.get(n) for n in numbers}}
            about |= asdict(known[segment_id])
            table = pa.table(
                {
                    **{key: pa.array([value], kinds.get(key, pa.string())) for key, value in about.items()},
                    "values": _lists(rows.values, [len(rows)]),
                    "row_start_s": pa.array([rows.time_s[:, 0]]), "row_end_s": pa.array([rows.time_s[:, 1]]),
                    "row_valid": pa.array([rows.valid]),
                }
            )  # fmt: skip
            for part in [HUB_PART[part] for part in parts[segment_id]] if parts else ["train"]:
                if part not in writers:
                    temporary = opened.enter_context(replacing(files[part]))
                    writers[part] = opened.enter_context(pq.ParquetWriter(temporary, table.schema))
                writers[part].write_table(table)
    for part in files.keys() - writers.keys():  # files of an export by another split
        files[part].unlink(missing_ok=True)
    (out / "README.md").write_text(_card(store))


def _card(store: FeatureStore) -> str:
    facts = {k: store.attributes[k] for k in ("corpus", "modality", "extractor", "weights", "demonstration")}
    lines = [f"- {key}: {value}" for key, value in facts.items()]
    return "---\nlicense: other\n---\n\n# " + store.attributes["name"] + "\n\n" + "\n".join(lines) + "\n"
