"""What could be observed of the segments, and why not more: the views of coverage.csv."""

import pandas as pd

from models.report.charts import Axis
from models.report.tables import Column, Table
from models.report.writing import count, grouped, missing, percent, sentence
from models.settings import Settings
from pipeline.causes import Cause, Status

FINDINGS_AT_MOST = 60
REASONS_AT_MOST = 40
STATUS_WORDS = {str(status): status.text for status in Status}


def of_configured(table: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """The rows of what was configured: no modality that no run uses, no store that none reads."""
    used, read = set(settings.modalities), {f"features/{name}" for name in settings.stores_read}
    modality = table["modality"]
    unused = modality.isin({"video", "audio", "text"} - used)
    unread = modality.str.startswith("features/") & ~modality.isin(read)
    return table[~(unused | (unread & bool(read)))]


def coverage(table: pd.DataFrame, settings: Settings, media: bool = True) -> dict | None:
    """Counts by modality and status, causes with examples, findings on whole units; how many segments are used.

    Without ``media`` no segment is named and nothing is quoted, as reasons and findings may.
    """
    if table.empty:
        return None
    table = of_configured(table, settings)
    empty = table["segment"].isna()
    segments, others = table[~empty], table[empty]
    rows = []
    for modality, group in segments.groupby("modality", sort=False):
        counts = group["status"].value_counts()
        row = {"modality": modality, **{str(s): int(counts.get(s.value, 0)) for s in Status}, "total": len(group)}
        rows.append({**row, "share": row["absent"] / len(group)})
    split = next((row for row in rows if row["modality"] == "split"), None)
    return {
        "segments": split["total"] if split else int(segments["segment"].nunique()),
        "used": split["total"] - split["absent"] if split else None,
        "table": _by_modality(rows, settings, bool(split)),
        "axis": Axis.between(0, 1),
        "reasons": _reasons(segments[(segments["status"] != "ok") | segments["reason"].notna()], media),
        "findings": _findings(others, settings) if media else None,
    }


def _by_modality(rows: list[dict], settings: Settings, split: bool) -> Table:
    columns = [Column("modality", "What", number=False)]
    columns += [Column(str(status), sentence(status.text), grouped) for status in Status]
    columns.append(Column("share", "Absent, share", lambda x: percent(x, 1)))
    note = f"Partial: observed for a part of the {settings.words['segment']}’s time"
    note += "; split: used in some of the folds." if split else "."
    title = f"{sentence(settings.words['segment'])}s by what is there of them"
    return Table.of("coverage", title, columns, rows, note=note, plot="Shares as a chart")


def _reasons(rows: pd.DataFrame, media: bool) -> Table | None:
    """One line for each modality, status and cause, with the wording met first; without a cause, for each reason."""
    if rows.empty:
        return None
    reason = rows["reason"].fillna("no reason given")
    cause = rows["cause"]
    by = cause.where(cause.notna() & (cause != Cause.REMARK), reason)
    out = []
    for (modality, status, _), group in rows.assign(by=by).groupby(["modality", "status", "by"], sort=False):
        wordings = list(dict.fromkeys(reason.loc[group.index]))
        named = cause.loc[group.index[0]]
        quoted = missing(named) or named == Cause.REMARK
        if quoted and not media:
            continue
        head = wordings[0] if quoted else _text(named)
        row = {"why": sentence(head), "modality": modality, "status": STATUS_WORDS.get(status, status)}
        more = f" (and {count(len(wordings) - 1, 'other wording')})" if len(wordings) > 1 else ""
        row |= {"wording": None if wordings[0] == head else f"Such as: {wordings[0]}{more}", "segments": len(group)}
        out.append({**row, "examples": ", ".join(group["segment"].head(3))})
    if not media:
        out = [{**row, "wording": None, "examples": None} for row in out]
    out.sort(key=lambda row: (-row["segments"], row["modality"], row["why"]))
    columns = [
        Column("why", "Why", number=False, sub="wording"),
        Column("modality", "What", number=False),
        Column("status", "Status", number=False),
        Column("segments", "Segments", grouped),
        Column("examples", "For example", number=False, css="prose small muted"),
    ]
    note = "" if len(out) <= REASONS_AT_MOST else f"{count(len(out) - REASONS_AT_MOST, 'rarer line')} in coverage.csv."
    return Table.of("reasons", "Why", columns, out[:REASONS_AT_MOST], note=note).without_empty()


def _text(cause: str) -> str:
    return Cause(cause).text if cause in {str(c) for c in Cause} else cause.replace("_", " ")


def _findings(others: pd.DataFrame, settings: Settings) -> Table | None:
    if others.empty:
        return None
    rows = others.head(FINDINGS_AT_MOST).fillna("").to_dict("records")
    rows = [{**row, "unit": row["unit"] or "all", "status": STATUS_WORDS.get(row["status"], "")} for row in rows]
    columns = [
        Column("unit", sentence(settings.words["unit"]), number=False),
        Column("modality", "Concerns", number=False),
        Column("status", "Status", number=False),
        Column("reason", "Finding", number=False, css="prose"),
    ]
    more = len(others) - FINDINGS_AT_MOST
    note = f"{count(more, 'further line')} in coverage.csv." if more > 0 else ""
    return Table.of("findings", "What was found while reading the corpus", columns, rows, note=note)
