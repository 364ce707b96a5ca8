"""Plugs by name: built in, from an installed package's entry points, from a module, or from a user's own file.

A plug is a class in a file of its own, with a table of options (``Config``) where it has any. To find plugs and check
their options imports their modules only, which load nothing heavy until they are used: the workflow does so as it is
read. What there is to find decides no result, so this module is part of no stage's digest.
"""

import importlib
import importlib.util
import inspect
import os
import sys
import traceback
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pydantic.dataclasses
from pydantic import ConfigDict, TypeAdapter, ValidationError

from pipeline.digest import PACKAGES, code, helpers
from pipeline.names import close_to
from pipeline.records import InputError

options = pydantic.dataclasses.dataclass(config=ConfigDict(extra="forbid"), frozen=True, kw_only=True)
"""Decorator of a plug's option table: types are checked, unknown keys refused."""


class OptionError(InputError):
    """An option that a plug does not take: ``option`` is its name as the last part of a path, () where it is none's."""

    def __init__(self, message: str, option: tuple[str, ...]):
        super().__init__(message)
        self.option = option


def option_of(error: object) -> tuple[str, ...]:
    """The option that an error is about, as the last part of a path; () where it is about none."""
    return error.option if isinstance(error, OptionError) else ()


@options
class NoOptions:
    """The table of a plug that has no options."""


@dataclass(eq=False)
class Registry:
    """All plugs of one kind: ``kind`` is what one is called, ``base`` the class that it derives from.

    ``built_in`` maps names to ``module:Class``; an installed package offers more in the entry point group ``group``.
    ``required`` names attributes that a class must set, each with the values that it may have, () for any.
    """

    kind: str
    base: str
    group: str
    built_in: Mapping[str, str]
    required: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def names(self) -> list[str]:
        """Names that need no module: those built in and those of installed packages."""
        return sorted({*self.built_in, *(point.name for point in entry_points(group=self.group))})

    def load(self, name: str) -> Any:
        """The class behind a name, ``module:Class`` or ``file.py:Class``; raises InputError listing what there is."""
        target = self.built_in.get(name) or next((p.value for p in entry_points(group=self.group, name=name)), name)
        module, colon, class_name = target.rpartition(":")
        if not colon:
            raise InputError(
                f"there is no {self.kind} {name!r}; there are {', '.join(self.names())}, and your own as module:Class "
                "or file.py:Class"
            )
        imported = self._module(module, name)
        found: Any = getattr(imported, class_name, None)
        home, _, base = self.base.partition(":")
        wanted = getattr(importlib.import_module(home), base)
        if found is None:
            own = _own(imported, wanted)
            raise InputError(
                f"{self.kind} {name!r}: {class_name} in {module} is missing; of subclasses of {home}.{base} there "
                f"{'is' if len(own) == 1 else 'are'} {', '.join(own) or 'none'}"
            )
        if not _derives(found, wanted):
            raise InputError(f"{self.kind} {name!r}: {class_name} in {module} is not a subclass of {home}.{base}")
        if inspect.isabstract(found):
            lacking = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
            raise InputError(f"{self.kind} {name!r}: {class_name} in {module} lacks {lacking}; define it")
        config = getattr(found, "Config", None)
        if "__dataclass_fields__" not in getattr(config, "__dict__", {}):  # those of a parent are not its own
            raise InputError(
                f"{self.kind} {name!r}: {getattr(config, '__name__', config)}, the Config of {class_name}, "
                "is no table of options; put the decorator affectflow.options before it"
            )
        for attribute, allowed in self.required.items():
            given = getattr(found, attribute, None)
            if given not in allowed if allowed else not given:
                among = f" to {' or '.join(map(repr, allowed))}" if allowed else ""
                raise InputError(f"{self.kind} {name!r}: set its class attribute {attribute}{among}")
        return found

    def _module(self, module: str, name: str):
        file = Path(os.path.expanduser(module)).resolve() if module.endswith(".py") else None
        if file and not file.is_file():
            expected = "" if str(file) == module else f"it is expected at {file}; "
            raise InputError(
                f"{self.kind} {name!r}: there is no such file; {expected}put it there, or correct the path"
            )
        problem = ""
        try:
            if file:
                found = _import_file(file)
            else:
                if "" not in sys.path and str(Path.cwd()) not in sys.path:
                    sys.path.append(str(Path.cwd()))  # the folder of the workflow, as for `python -m`
                found = importlib.import_module(module)
                file = Path(found.__file__).resolve() if found.__file__ else None
        except Exception as error:  # a plug is anybody's code
            problem = f"{module} cannot be imported ({_described(error, module)}); {_advice(error, module)}"
        if clash := _clash(file) if file and name not in self.built_in else "":  # perhaps why it cannot be imported
            problem = f"{module} {clash}"
        if problem:
            raise InputError(f"{self.kind} {name!r}: {problem}")
        return found

    def options_for(self, name: str, given: Mapping | None = None, beside: Iterable[str] = ()):
        """A plug's validated options; raises OptionError naming each wrong key, its value, and all that are allowed.

        ``beside``: keys that stand in the same table and belong to somebody else, for the message.
        """
        config, given = self.load(name).Config, given or {}
        own = list(config.__dataclass_fields__)
        allowed = [*own, *beside]
        problems: list[tuple[tuple, str]]
        problems = [((key,), f"unknown option {key!r}{close_to(str(key), allowed)}") for key in given if key not in own]
        try:
            if not problems:
                return TypeAdapter(config).validate_python(dict(given))
        except ValidationError as error:
            for each in error.errors():
                where = ".".join(map(str, each["loc"])) or "options"
                problems.append((each["loc"][:1], f"{where}: {message_of(each)} (given {each['input']!r})"))
        listed = ", ".join(allowed) or "none"
        wrong = "; ".join(problem for _, problem in problems)
        raise OptionError(f"{self.kind} {name!r}: {wrong}. Its options are: {listed}", problems[0][0])

    def written(self, name: str, given: Mapping) -> dict[str, Any]:
        """Those of a plug's options that are no defaults, sorted by name, as JSON has them."""
        made = self.options_for(name, given)
        found = TypeAdapter(type(made)).dump_python(made, mode="json", exclude_defaults=True)
        return {key: found[key] for key in sorted(found)}

    def check_weights(self, name: str, weights: str | None) -> None:
        """Raise InputError where a plug needs weights and none are named, or some are named and it uses none."""
        needs = self.load(name).needs_weights
        if needs and not weights:
            raise InputError(
                f"{self.kind} {name!r} needs a checkpoint: add weights: ORG/NAME@COMMIT, a folder or a file"
            )
        if weights and not needs and name in self.built_in:
            raise InputError(f"{self.kind} {name!r} uses no weights; say weights: null in place of {weights}")

    def code_of(self, name: str, *stage: str) -> str:
        """Digest of a plug's code; with a stage (``module:function``) of all that decides what it makes with it."""
        return code(*stage, self.load(name))


def _derives(found: Any, base: type) -> bool:
    return isinstance(found, type) and issubclass(found, base)


def _own(module: Any, base: type) -> list[str]:
    """The classes of a module that derive from ``base``, without those that it imports from other packages."""
    head = module.__name__.partition(".")[0]
    named = vars(module).items()
    return [k for k, v in named if _derives(v, base) and v is not base and v.__module__.partition(".")[0] == head]


def message_of(error: Mapping[str, Any]) -> str:
    """What one of pydantic's errors says, without the words that it puts before a validator's own."""
    return error["msg"].removeprefix("Value error, ")


@cache
def _import_file(path: Path):
    """Import a file under a name of its own, so that it can be called like any other module."""
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # what lies beside it may be imported by it
    name = f"{path.stem}_{zlib.crc32(str(path).encode()):08x}"
    spec = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _clash(file: Path) -> str:
    """Which module stands in for one of the same name that a plug's file imports from beside it; else empty."""
    try:
        wanted = helpers(file)
    except (OSError, SyntaxError, ValueError):  # said where it is imported
        return ""
    for name, meant in wanted.items():
        loaded = getattr(sys.modules.get(name), "__file__", None)
        if loaded and Path(loaded).resolve() != meant.resolve():
            return f"imports {name}, which is {loaded} here and not {meant}: one name stands for one file; rename one"
    return ""


def _described(error: Exception, module: str) -> str:
    """An error of an import in a few words, with the line of the plug's file where it is known."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).name == Path(module).name]
    known = isinstance(error, ImportError | OSError | SyntaxError)
    text = str(error) if known else f"{type(error).__name__}: {error}"
    return text if known or not lines else f"{text}, line {lines[-1]}"


def _advice(error: Exception, module: str) -> str:
    """What to do where a module cannot be imported."""
    if not isinstance(error, ImportError):
        return "correct it"
    lacking = error.name or ""
    head = lacking.partition(".")[0]
    if head in PACKAGES:
        return f"{head} is a name of affectflow's own; where one of yours is meant, rename it"
    if not lacking and module.endswith(".py"):
        return "correct it; what imports from its package (from .x import y) is named module:Class, not by its file"
    if isinstance(error, ModuleNotFoundError):
        if f"{module}.".startswith(f"{lacking}."):
            return "correct it, put its folder on PYTHONPATH, or give the path of its file as file.py:Class"
        if head != module.partition(".")[0]:
            return f"install {head} into the environment of affectflow or, where it is yours, put it beside the plug"
    return "correct it"
