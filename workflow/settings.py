"""The settings of a corpus from config.yaml: checked when the workflow starts, before any work.

``python -m workflow.settings`` writes the JSON schemas under workflow/schemas from the same definition.
"""

import json
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import Field, TypeAdapter, ValidationError

from models.options import MODALITIES, NetworkOptions, Options, check_network
from pipeline.records import Finding, InputError, Segment, Unit, Word
from workflow.explain import explain, place
from workflow.options import CORPORA, AffWild2, Config, Iemocap, check_source

__all__ = ["CORPORA", "Resolved", "check", "patch", "resolve", "schemas"]


class Resolved(Options):
    """What holds for one corpus once the scale is known."""

    corpus: Literal["iemocap", "affwild2"]
    scale: Literal["research", "demo"]
    synthetic: bool = Field(description="no root: the generated corpus")
    options: Iemocap | AffWild2
    models: dict[str, NetworkOptions]

    @property
    def demonstration(self) -> bool:
        """Whether results mean nothing: small random checkpoints, and perhaps a synthetic corpus."""
        return self.scale == "demo"


def patch(base: dict, changes: dict) -> dict:
    """A copy of ``base`` in which the leaves of ``changes`` replace or add values."""
    out = deepcopy(base)
    for key, value in changes.items():
        out[key] = patch(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else value
    return out


def check(config: dict, demo: dict | None = None) -> Config:
    """Validate a configuration, into which ``demo`` may be patched already.

    Raises InputError that names the key, what was given and what is allowed.
    """
    try:
        return Config.model_validate(config)
    except ValidationError as error:
        lines = [explain(item, Config, demo or {}) for item in error.errors()]
        raise InputError("config.yaml cannot be used:\n  " + "\n  ".join(lines)) from None


def resolve(config: dict, corpus: str) -> Resolved:
    """The settings of one corpus, with the demonstration's values in place where its scale is demo.

    Both scales are checked whichever is chosen: a trial of minutes finds a mistake that the research run would meet.
    """
    plain = check(config)
    demo = plain.demo
    trial = check(patch(config, demo), demo)
    synthetic = getattr(plain.corpora, corpus).root is None
    scale = ("demo" if synthetic else "research") if plain.scale == "auto" else plain.scale
    if scale == "research" and synthetic:
        raise InputError(
            f"config.yaml: scale is research, but corpora.{corpus}.root is null; set the root or scale: demo"
        )
    for checked, replaced in ((plain, {}), (trial, demo)):
        _check_parts(corpus, checked, replaced)
    chosen = trial if scale == "demo" else plain
    options = getattr(chosen.corpora, corpus)
    return Resolved(corpus=corpus, scale=scale, synthetic=synthetic, options=options, models=chosen.models)


def _check_parts(corpus: str, checked: Config, demo: dict) -> None:
    """Ask extractors and networks whether they could work as configured."""
    options = getattr(checked.corpora, corpus)

    def ask(question, *path: str) -> None:
        try:
            question()
        except InputError as error:
            raise InputError(f"config.yaml: {place(('corpora', corpus, *path), demo)}: {error}") from None

    for name, entry in options.extractors.items():
        ask(entry.check, "extractors", name)
    ask(partial(check_source, options.recogniser.weights), "recogniser")
    for modality, name in options.inputs.items():
        found = options.extractors[name].modality
        if found != modality:
            where = place(("corpora", corpus, "inputs", modality), demo)
            raise InputError(f"config.yaml: {where}: {name} is made from {found}; use one from {modality}")
    for run in options.run_names:
        model, _, modalities = run.partition("-")
        names = [MODALITIES[letter] for letter in modalities.split("+")]
        ask(partial(check_network, checked.models[model], names, options.task.level), "runs", model)


def schemas() -> dict[str, dict]:
    """JSON schema of config.yaml and of each table, by file name."""
    tables = {"units": Unit, "segments": Segment, "words": Word, "coverage": Finding}
    found = {f"{name}.schema.json": TypeAdapter(record).json_schema() for name, record in tables.items()}
    return {"config.schema.json": Config.model_json_schema(), **found}


if __name__ == "__main__":
    for name, schema in schemas().items():
        path = Path(__file__).parent / "schemas" / name
        path.write_text(json.dumps({**schema, "additionalProperties": False}, indent=2) + "\n")
