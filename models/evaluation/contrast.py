"""What two runs differ in: a contrast is read as being about one thing, so whatever else changes must be said."""

from collections.abc import Mapping

FIRST = ("modalities", "inputs", "fusion", "model")
"""What a contrast is taken to be about, where several things change."""


def differences(
    a: Mapping,
    b: Mapping,
    modalities: tuple[str, str] = ("", ""),
    inputs: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {}),
) -> list[str]:
    """Names of all that differs between two runs, what the contrast is about first.

    ``a`` and ``b`` are the settled options of the two models, in which an option that its fusion does not read is
    absent or None: it then belongs to the fusion and does not count by itself. ``inputs`` are the stores by modality,
    compared for the modalities that both runs have.
    """
    found = [] if set(modalities[0].split("+")) == set(modalities[1].split("+")) else ["modalities"]
    shared = [name for name in inputs[0] if name in inputs[1]]
    found += [f"inputs.{name}" for name in shared if inputs[0][name] != inputs[1][name]]
    other_fusion = a.get("fusion") != b.get("fusion")
    keys = [*a, *(key for key in b if key not in a)]
    for key in keys:
        first, second = a.get(key), b.get(key)
        if first != second and not (other_fusion and None in (first, second)):
            found.append(key)
    return sorted(found, key=lambda key: _rank(key.partition(".")[0]))


def runs_of(side: str) -> list[str]:
    """The runs that a row of significance.csv has as a or b: several where folds chose differently."""
    return side.split()


def also_differs(found: list[str]) -> list[str]:
    """What a contrast does not say: all differences but the first, which it is about."""
    return found[1:]


def _rank(key: str) -> int:
    return FIRST.index(key) if key in FIRST else len(FIRST)
