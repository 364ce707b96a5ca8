"""What two runs differ in: a contrast is read as being about one thing, so whatever else changes must be said."""

from collections.abc import Mapping

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


def candidates(row: Mapping) -> list[str]:
    """The runs among which b of a row of significance.csv was chosen; b itself where it was not."""
    among = row.get("b_chosen_from")
    return [one.partition("=")[0] for one in among.split()] if isinstance(among, str) and among else runs_of(row["b"])


def also_differs(found: list[str]) -> list[str]:
    """What a contrast does not say: all differences but the first, which it is about."""
    return found[1:]


def _rank(key: str) -> int:
    return FIRST.index(key) if key in FIRST else len(FIRST)
