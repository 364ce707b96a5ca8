"""Views of the split: how many segments each fold has in each part, and who of the test part is known from training."""

import pandas as pd

from models.protocols.leaks import Leak, clauses
from models.report.names import grouped, listing, sentence
from models.report.settings import Settings
from models.report.tables import Column, Table

GROUPS = ("speaker", "unit_id", "dialog", "scenario")
PARTS = ("training", "development", "test", "unlabelled")


def split_table(split: pd.DataFrame, segments: pd.DataFrame | None, settings: Settings) -> dict:
    """The table of folds, and the groups of test segments of which some also train (name to what they are called)."""
    parts = [p for p in PARTS if (split["part"] == p).any()]
    parts += sorted(set(split["part"]) - set(parts))
    known = [] if segments is None else [g for g in GROUPS if g in segments and segments[g].notna().any()]
    if "dialog" in known and (segments["dialog"].fillna("") == segments["unit_id"]).all():
        known.remove("dialog")
    if "speaker" in known and segments["speaker"].nunique() == len(segments):
        known.remove("speaker")  # nobody says whether one person is in several segments
    group_of = {g: dict(zip(segments["segment_id"], segments[g])) for g in known}
    words = {group: _words(group, settings) for group in known}
    rows, leaks = [], {}
    for fold, members in split.groupby("fold", sort=False):
        counts = members["part"].value_counts()
        row = {"fold": fold, **{part: int(counts.get(part, 0)) for part in parts}}
        for group in known:
            tested, trained = (_groups(members, part, group_of[group]) for part in ("test", "training"))
            shared = len(tested & trained)
            row[group] = f"{shared} of {len(tested)}"
            leaks |= {group: words[group][1]} if shared else {}
        rows.append(row)
    columns = [Column("fold", "Fold", number=False), *(Column(part, part, grouped) for part in parts)]
    columns += [Column(group, f"Test {many} that also train") for group, (_, many) in words.items()]
    title = f"{sentence(settings.words['segment'])}s by fold and part, counted in the split itself"
    return {"table": Table.of("folds", title, columns, rows), "leaks": leaks, "tested": _tested(split), "known": known}


def _words(group: str, settings: Settings) -> tuple[str, str]:
    """What one and many groups of a kind are called."""
    unit = settings.words["unit"]
    return {"unit_id": (unit, f"{unit}s"), "scenario": ("script or scene", "scripts or scenes")}.get(
        group, (group, f"{group}s")
    )


def _groups(members: pd.DataFrame, part: str, group_of: dict) -> set:
    ids = members.loc[members["part"] == part, "segment_id"]
    return {group_of[i] for i in ids if isinstance(group_of.get(i), str)}


def _tested(split: pd.DataFrame) -> int:
    return split.loc[split["part"] == "test", "segment_id"].nunique()


def apart(split: dict | None, settings: Settings) -> str:
    """What of the test part does not train, as a sentence; empty where nothing is known."""
    if split is None or not split["known"]:
        return ""
    kept = [_words(group, settings)[0] for group in split["known"] if group not in split["leaks"]]
    text = f"No {listing(kept, 'or')} of the test part trains." if kept else ""
    if split["leaks"]:
        text += f" {sentence(listing(list(split['leaks'].values())))} of the test part also train."
    return text.strip()


def caveats(leaks: pd.DataFrame | None) -> list[str]:
    """What of the test part is known from elsewhere, from leaks.csv: a clause for each kind of group."""
    return [] if leaks is None else clauses([Leak(**row) for row in leaks.to_dict("records")])
