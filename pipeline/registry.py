"""How a plug is found: by the name of a built-in one, by an entry point of an installed package, or in a user's file.

A plug is a class. Importing this module and listing names load no plug.
"""

import importlib
import importlib.util
import sys
import zlib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Generic, TypeVar

from pipeline.records import InputError

Plug = TypeVar("Plug")


class Registry(Generic[Plug]):
    """The plugs of one kind.

    Args:
        kind: what such a plug is called in messages and in the configuration, such as "extractor".
        base: the class that all of them extend.
        group: the entry point group under which installed packages offer theirs.
        built_in: ``module:Class`` by name.
    """

    def __init__(self, kind: str, base: type[Plug], group: str, built_in: Mapping[str, str]):
        self.kind, self.base, self.group, self.built_in = kind, base, group, built_in
        self.load = cache(self._load)

    def names(self) -> list[str]:
        """Names that need no module: the built-in plugs and those of installed packages."""
        return sorted({*self.built_in, *(point.name for point in entry_points(group=self.group))})

    def _load(self, name: str) -> type[Plug]:
        """The class behind a name, ``module:Class`` or ``file.py:Class``; raises InputError listing what there is."""
        found = next((p.value for p in entry_points(group=self.group, name=name)), name)
        module_name, colon, class_name = self.built_in.get(name, found).rpartition(":")
        if not colon:
            raise InputError(
                f"there is no {self.kind} {name!r}; there are {', '.join(self.names())}, and your own as module:Class "
                "or file.py:Class"
            )
        plug = getattr(self._import(module_name, name), class_name, None)
        if not (isinstance(plug, type) and issubclass(plug, self.base)):
            state = "missing" if plug is None else f"not a subclass of affectflow.{self.base.__name__}"
            raise InputError(f"{self.kind} {name!r}: {class_name} in {module_name} is {state}")
        return plug

    def _import(self, module_name: str, name: str):
        try:
            if not module_name.endswith(".py"):
                if "" not in sys.path and str(Path.cwd()) not in sys.path:
                    sys.path.append(str(Path.cwd()))  # the folder of the workflow, as for `python -m`
                return importlib.import_module(module_name)
            return import_file(Path(module_name).expanduser().resolve())
        except Exception as error:  # whatever a user's file raises
            raise InputError(
                f"{self.kind} {name!r}: {module_name} cannot be imported ({type(error).__name__}: {error}); correct "
                "it, or give the path of a file as file.py:Class"
            ) from None


def import_file(path: Path):
    """Import a file under a name of its own, so that it can be called like any other module."""
    name = f"{path.stem}_{zlib.crc32(str(path).encode()):08x}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
