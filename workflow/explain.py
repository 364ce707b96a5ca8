"""What is wrong with config.yaml, in sentences: where, what was given, what is allowed, what to do."""

import difflib
import json
from typing import Any, get_args

from pydantic import BaseModel


def place(path: tuple, demo: dict) -> str:
    """A key as it is found in config.yaml: under demo where ``demo`` gave its value."""
    parts = [part for part in path if part != "[key]"]  # how pydantic says that the name itself is wrong
    node: Any = demo
    for part in parts:
        if isinstance(node, dict) and part not in node:
            break
        node = node[part] if isinstance(node, dict) else None
    else:
        parts = ["demo", *parts] if demo else parts
    return ".".join(str(part) for part in parts) or "the whole"


def explain(error: dict, root: type[BaseModel], demo: dict) -> str:
    """One line about one error of a configuration checked against ``root``."""
    *parents, key = error["loc"] or ("",)
    where = place(error["loc"], demo)
    if error["type"] == "extra_forbidden":
        allowed = _allowed_keys(root, parents)
        close = difflib.get_close_matches(str(key), allowed, 1)
        return f"{where}: unknown key{f'; did you mean {close[0]}?' if close else ''} Allowed: {', '.join(allowed)}"
    if error["type"] == "missing":
        parent = place(tuple(parents), demo)
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
