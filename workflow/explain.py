"""What is wrong with config.yaml, in sentences: where, what was given, what is allowed, what to do."""

import json
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel

from pipeline.names import close_to

Sources = list[tuple[tuple, dict]]
"""Where values may have been given: the path of a table in config.yaml, and the table; the first that has one wins."""


def place(path: tuple, sources: Sources, fallback: tuple = ()) -> str:
    """A key as it is found in config.yaml: where its value was given, or under ``fallback``."""
    parts = [part for part in path if part != "[key]"]  # how pydantic says that the name itself is wrong
    for prefix, table in sources:
        if table and _holds(table, parts):
            return ".".join(map(str, (*prefix, *parts)))
    return ".".join(map(str, (*fallback, *parts))) or "the whole"


def _holds(node: Any, parts: list) -> bool:
    for part in parts:
        if not isinstance(node, dict) or part not in node:
            return not isinstance(node, dict)  # an entry of a list is where the list is
        node = node[part]
    return True


def explain(error: Mapping[str, Any], root: type[BaseModel], sources: Sources, fallback: tuple = ()) -> str:
    """One line about one error of a configuration checked against ``root``."""
    *parents, key = error["loc"] or ("",)
    where = place(error["loc"], sources, fallback)
    if error["type"] == "extra_forbidden":
        allowed = _allowed_keys(root, parents)
        return f"{where}: unknown key{close_to(str(key), allowed)}. Allowed: {', '.join(allowed)}"
    if error["type"] == "missing":
        parent = place(tuple(parents), sources, fallback)
        if parent.startswith("demo."):
            above = parent.removeprefix("demo.")
            return f"{parent}: there is no {above} that demo could change; correct the name, or remove it from demo"
        return f"{where}: missing; give it a value"
    message = f"{where}: {error['msg'].removeprefix('Value error, ')}"
    if error["type"] == "value_error" and isinstance(error["input"], dict):
        return message  # a table is given; the message names what is wrong in it
    return f"{message} (given: {json.dumps(error['input'], default=str)[:80]})"


def _allowed_keys(model: Any, path: list) -> list[str]:
    for part in path:
        annotation = model.model_fields[part].annotation if _is_model(model) and part in model.model_fields else model
        model = next((a for a in (annotation, *get_args(annotation)) if _is_model(a)), annotation)
    return sorted(model.model_fields) if _is_model(model) else []


def _is_model(thing) -> bool:
    return isinstance(thing, type) and issubclass(thing, BaseModel)
