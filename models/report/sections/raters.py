"""What one rater scores against the others: how far people agree on what models are to predict."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from models.protocols.targets import votes
from models.report.gather import Results
from models.settings import Settings
from pipeline.records import Rating


@dataclass(frozen=True)
class Agreement:
    """Scores of single raters, each against what more than half of the others named."""

    balanced_accuracy: float
    accuracy: float
    segments: int
    of: int  # segments that anybody rated


def agreement(votes: Mapping[str, Mapping[str, list[str]]], classes: Iterable[str]) -> Agreement | None:
    """Score each rater of each segment, ``votes[segment][rater]`` being the labels that they named.

    The truth is what more than half of the other raters named, where that is one of ``classes`` and one label alone;
    who named k labels, the truth among them, is right by 1 / k. None where no two others agree anywhere.
    """
    classes, right, counted = set(classes), defaultdict(list), set()
    for segment, of_raters in votes.items():
        for rater, labels in of_raters.items():
            others = [named for other, named in of_raters.items() if other != rater]
            named = Counter(label for one in others for label in set(one))
            agreed = [label for label, n in named.items() if len(others) > 1 and 2 * n > len(others)]
            if len(agreed) == 1 and agreed[0] in classes:
                right[agreed[0]].append((agreed[0] in labels) / len(set(labels)))
                counted.add(segment)
    if not right:
        return None
    balanced = float(np.mean([np.mean(shares) for shares in right.values()]))
    return Agreement(balanced, float(np.mean(np.concatenate(list(right.values())))), len(counted), len(votes))


def agreement_of(results: Results, settings: Settings, classes: list[str]) -> Agreement | None:
    """The same of the test segments of a run; None where the corpus gives no single raters."""
    ratings, split = results.ratings, results.split
    if ratings.empty or not classes:
        return None
    if split is not None:
        ratings = ratings[ratings["segment_id"].isin(split.loc[split["part"] == "test", "segment_id"])]
    rows = (Rating(**row) for row in ratings.to_dict("records"))
    return agreement(votes(rows, settings.options["merge"]), classes)
