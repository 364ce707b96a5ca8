"""Views of the split: how many segments each fold has in each part, and what of the test part trains, too."""

import pandas as pd

from models.protocols.leaks import Leak, clauses
from models.protocols.split import PARTS
from models.report.gather import Results
from models.report.tables import Column, Table
from models.report.writing import grouped, listing, percent, sentence
from models.task import POOLED

TRAINING = ("test", "training")


def leaks_of(results: Results) -> list[Leak]:
    """The rows of leaks.csv, without those of speakers where there are segments and nobody says who speaks."""
    rows = [Leak(**row) for row in results.tables["leaks"].to_dict("records")]
    unknown = results.segments is not None and results.speakers is None
    return [row for row in rows if not (unknown and row.group == "speaker")]


def _words(results: Results) -> dict[str, str]:
    """What the groups are called that have other words here."""
    return {"dialog": results.settings.words["unit"], "scenario": "script or scene"}


def split_table(results: Results, split: pd.DataFrame) -> Table:
    """Segments by fold and part, and the share of test segments of each fold whose speaker, dialog and so on trains."""
    rows = {}
    for fold, members in split.groupby("fold", sort=False):
        rows[fold] = {"fold": fold, **dict.fromkeys(PARTS, 0), **members["part"].value_counts()}
    shared = [row for row in leaks_of(results) if (row.part, row.known_from) == TRAINING and row.fold != POOLED]
    for row in shared:
        rows[row.fold] |= {row.group: row.share}
    words, word = _words(results), results.settings.words["segment"]
    used = [part for part in PARTS if any(row[part] for row in rows.values())]
    columns = [Column("fold", "Fold", number=False), *(Column(part, part, grouped) for part in used)]
    for group in dict.fromkeys(row.group for row in shared):
        columns.append(Column(group, f"Test {word}s whose {words.get(group, group)} also trains", percent))
    title = f"{sentence(word)}s by fold and part"
    return Table.of("folds", title, columns, list(rows.values()))


def alike(split: pd.DataFrame) -> list[list[str]]:
    """Folds that leave the same out of training and test a part of it each, as where recordings cannot be used."""
    others: dict[frozenset, dict[str, frozenset]] = {}
    for fold, members in split.groupby("fold", sort=False):
        seen, tested = (
            frozenset(members["segment_id"][members["part"].isin(parts)])
            for parts in (("training", "development"), ("test",))
        )
        others.setdefault(seen, {})[str(fold)] = tested
    return [list(tests) for tests in others.values() if len(set(tests.values())) > 1]


def develops_on_tested(split: pd.DataFrame) -> bool:
    """Whether the development part of some fold holds what another fold tests."""
    parts = [split.loc[split["part"] == part, ["segment_id", "fold"]] for part in ("development", "test")]
    both = parts[0].merge(parts[1], on="segment_id")
    return bool((both["fold_x"] != both["fold_y"]).any())


def apart(results: Results) -> str:
    """What of the test part does not train, and what does, as sentences; empty where nothing is known."""
    rows, words = leaks_of(results), _words(results)
    pooled = [row for row in rows if (row.part, row.known_from, row.fold) == (*TRAINING, POOLED)]
    kept = [words.get(row.group, row.group) for row in pooled if not row.shared]
    known = clauses(rows)
    out = [f"No {listing(kept, 'or')} of the test part trains."] if kept else []
    out += [f"{sentence('; '.join(known))}."] if known else []
    for same in [] if results.split is None else alike(results.split):
        out.append(f"Folds {listing(same)} leave the same out and test a part of it each; tests over folds count each.")
    return " ".join(out)
