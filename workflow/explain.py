"""What is wrong with settings, in sentences: where, what was given, what is allowed, what to do."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from models.options import TrainingOptions
from pipeline.names import close_to
from pipeline.registry import message_of, option_of
from workflow.overlay import Layers

Sources = Sequence[tuple[tuple, dict]]
"""Where values may have been given: the key of a table, as a path, and the table; the first that has one wins."""
SHAPES = {
    "model_type": "write a table of some of its keys, {KEY: VALUE}",
    "dict_type": "write a table, {NAME: VALUE}",
    "list_type": "write a list, [ONE, ANOTHER]",
}
OF_TRAINING = sorted(TrainingOptions.model_fields.keys() - {"seeds"})  # keys that a model may set for itself


@dataclass(frozen=True)
class Places:
    """Where settings were given: under which key, and in which of the files that are laid over each other."""

    layers: Layers = ()  # none: the files are not known, and not named
    sources: Sources = ()
    above: tuple = ()  # the key of the table in which values are that no source has

    def __call__(self, *path) -> str:
        """Such as ``mine.yaml: corpora.mine.labels``, for what is found at ``path`` in what the sources make up."""
        return self.named(self.key(path))

    def key(self, path: tuple) -> tuple:
        """The key under which a value was given."""
        found = (prefix for prefix, table in self.sources if table and _holds(table, path))
        return (*next(found, self.above), *path)

    def named(self, key: tuple) -> str:
        """A key with its file: the last that has it or, where none does, the last that has most of what is above it."""
        dotted = ".".join(map(str, key)) or "the whole"
        if not self.layers:
            return dotted
        parts = (key[:length] for length in range(len(key), 0, -1))
        files = (file for part in parts for file, table in reversed(self.layers) if _holds(table, part))
        return f"{next(files, self.layers[0][0])}: {dotted}"


def _holds(node: Any, path: tuple) -> bool:
    for part in path:
        if not isinstance(node, dict) or part not in node:
            return not isinstance(node, dict)  # an entry of a list is where the list is
        node = node[part]
    return True


def explain(error: Mapping[str, Any], root: type[BaseModel], given: Any, places: Places) -> str:
    """One line about one error of settings, ``given``, checked against ``root``."""
    path = _path(error, given)
    where = places(*path, *option_of(error.get("ctx", {}).get("error")))
    if error["type"] == "extra_forbidden":
        allowed = _allowed_keys(root, path[:-1])
        return f"{where}: unknown key{close_to(str(path[-1]), allowed)}. Allowed: {', '.join(allowed)}"
    if error["type"] == "missing":
        *above, missing = path
        if above:  # where its table stands, not where a default has one
            changed, *key = parent = places.key(tuple(above))
            if changed == "demo":
                there = f"there is no {'.'.join(map(str, key))} that demo could change"
                return f"{places.named(parent)}: {there}; correct the name, or remove it from demo"
            where = places.named((*parent, missing))
        return f"{where}: missing; give it a value"
    message = f"{where}: {SHAPES.get(error['type'], message_of(error))}"
    if error["type"] == "value_error" and isinstance(error["input"], dict):
        return message  # a table is given; the message names what is wrong in it
    message += f" (given: {json.dumps(error['input'], default=str, skipkeys=True)[:80]})"
    return message + (f". Its keys: {', '.join(_allowed_keys(root, path))}" if error["type"] == "model_type" else "")


def _path(error: Mapping[str, Any], given: Any) -> tuple:
    """The keys that lead to an error, without what pydantic puts between them: which of several types it tried."""
    found = []
    for part in error["loc"]:
        if part in given if isinstance(given, dict) else isinstance(given, list) and isinstance(part, int):
            found.append(part)
            given = given[part]
    return (*found, error["loc"][-1]) if error["type"] == "missing" else tuple(found)


def _allowed_keys(root: type[BaseModel], path: tuple) -> list[str]:
    """The keys of the table at a path; none where that is no table of known keys."""
    known = {key for table in _tables(root, path) for key in table.model_fields}
    return sorted(known) or (OF_TRAINING if path[-1:] == ("training",) else [])  # a model's, which checks them itself


def _tables(kind: Any, path: tuple) -> Iterator[type[BaseModel]]:
    """The tables of known keys that a value of a type may hold at a path."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if not path:
            yield kind
        elif path[0] in kind.model_fields:
            yield from _tables(kind.model_fields[path[0]].annotation, path[1:])
    elif get_origin(kind) not in (dict, list):
        for one in get_args(kind):  # members of a union, or an annotated type
            yield from _tables(one, path)
    elif path:
        yield from _tables(get_args(kind)[-1], path[1:])
