"""What two runs differ in: a contrast is read as being about one thing, so whatever else changes must be said."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan, nan

FIRST = ("modalities", "inputs", "fusion", "model")
"""What a contrast is taken to be about, where several things change."""
NO_DIFFERENCE = ("seeds", "device")
"""Training options that make no other model."""


def differences(
    a: Mapping,
    b: Mapping,
    modalities: tuple[str, str] = ("", ""),
    inputs: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {}),
    training: tuple[Mapping, Mapping] = ({}, {}),
) -> list[str]:
    """Names of all that differs between two runs, what the contrast is about first.

    ``a`` and ``b`` are the settled options of the two models, in which an option that its fusion does not read is
    absent or None: it then belongs to the fusion and does not count by itself. ``inputs`` are the stores by modality,
    compared for the modalities that both runs have. ``training`` is how each is trained, of which only the keys are
    compared that one of the models has for itself: what a published form brings along is part of it.
    """
    found = [] if set(modalities[0].split("+")) == set(modalities[1].split("+")) else ["modalities"]
    shared = [name for name in inputs[0] if name in inputs[1]]
    found += [f"inputs.{name}" for name in shared if inputs[0][name] != inputs[1][name]]
    other_fusion = a.get("fusion") != b.get("fusion")
    keys = [*a, *(key for key in b if key not in a)]
    for key in (key for key in keys if key != "training"):
        first, second = a.get(key), b.get(key)
        if first != second and not (other_fusion and None in (first, second)):
            found.append(key)
    own = [model.get("training") or {} for model in (a, b)]
    first, second = ({**of_model, **settled} for of_model, settled in zip(own, training))
    changed = [key for key in dict.fromkeys([*own[0], *own[1]]) if first.get(key) != second.get(key)]
    found += [f"training.{key}" for key in changed if key not in NO_DIFFERENCE]
    return sorted(found, key=lambda key: _rank(key.partition(".")[0]))


def runs_of(side: str) -> list[str]:
    """The runs that a row of significance.csv has as a or b: several where folds chose differently."""
    return side.split()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A run among which b was chosen, as b_chosen_from of significance.csv has it: ``run=score:folds``."""

    run: str
    score: float  # on the development part, mean over folds; NaN: undefined
    folds: int  # how many chose it

    def __str__(self):
        return f"{self.run}={'undefined' if isnan(self.score) else f'{self.score:.4f}'}:{self.folds}"

    @classmethod
    def read(cls, cell: object) -> list["Candidate"]:
        """All in a cell, joined by blanks; none where it is empty."""
        parts = [re.split("[=:]", one) for one in cell.split()] if isinstance(cell, str) else []
        return [cls(run, nan if score == "undefined" else float(score), int(folds)) for run, score, folds in parts]


def candidates(row: Mapping) -> list[str]:
    """The runs among which b of a row of significance.csv was chosen; b itself where it was not."""
    return [one.run for one in Candidate.read(row.get("b_chosen_from"))] or runs_of(row["b"])


def also_differs(found: list[str]) -> list[str]:
    """What a contrast does not say: all differences but the first, which it is about."""
    return found[1:]


def _rank(key: str) -> int:
    return FIRST.index(key) if key in FIRST else len(FIRST)
