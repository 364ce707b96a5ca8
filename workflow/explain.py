"""What is wrong with config.yaml, in sentences: where, what was given, what is allowed, what to do."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from models.options import TrainingOptions
from pipeline.names import close_to
from pipeline.registry import message_of

Sources = list[tuple[tuple, dict]]
"""Where values may have been given: the path of a table in config.yaml, and the table; the first that has one wins."""
SHAPES = {
    "model_type": "write a table of some of its keys, {KEY: VALUE}",
    "dict_type": "write a table, {NAME: VALUE}",
    "list_type": "write a list, [ONE, ANOTHER]",
}
OF_TRAINING = sorted(TrainingOptions.model_fields.keys() - {"seeds"})  # keys that a model may set for itself


def place(path: tuple, sources: Sources, fallback: tuple = ()) -> str:
    """A key as it is found in config.yaml: where its value was given, or under ``fallback``."""
    for prefix, table in sources:
        if table and _holds(table, path):
            return ".".join(map(str, (*prefix, *path)))
    return ".".join(map(str, (*fallback, *path))) or "the whole"


def _holds(node: Any, path: tuple) -> bool:
    for part in path:
        if not isinstance(node, dict) or part not in node:
            return not isinstance(node, dict)  # an entry of a list is where the list is
        node = node[part]
    return True


def explain(error: Mapping[str, Any], root: type[BaseModel], given: Any, sources: Sources, fallback: tuple = ()) -> str:
    """One line about one error of a configuration, ``given``, checked against ``root``."""
    path = _path(error, given)
    where = place(path, sources, fallback)
    if error["type"] == "extra_forbidden":
        allowed = _allowed_keys(root, path[:-1])
        return f"{where}: unknown key{close_to(str(path[-1]), allowed)}. Allowed: {', '.join(allowed)}"
    if error["type"] == "missing":
        parent = place(path[:-1], sources, fallback)
        if parent.startswith("demo."):
            above = parent.removeprefix("demo.")
            return f"{parent}: there is no {above} that demo could change; correct the name, or remove it from demo"
        where = f"{parent}.{path[-1]}" if path[1:] else where  # where its table stands, not where a default has one
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
