"""Which code a stage or a plug consists of, as a digest: an edit of what it does reruns it, and nothing else does.

A digest covers the top-level definitions that a target uses, directly or not, followed through imports and through
names such as "module:attribute" in tables of what is imported late. What each is and reads, :mod:`pipeline.definitions`
says. Where a definition lies does not count: one that moves to another module stays what it is.

Tables of plugs, named ``BUILT_IN``, are not followed: each plug has a digest of its own, which the rule that uses it
adds. A module with a ``__digest__`` counts elsewhere by that text in place of its code; such a module has a format with
a number, and says when the number rises.
"""

import os
import sys
from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from pathlib import Path

from pipeline import definitions
from pipeline.definitions import Chain, Definition, Import, Source

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("pipeline", "models", "workflow", "affectflow")
# How a stage talks, how its code is looked at and how plugs are found change no result; published figures are seen by
# their values, in the configuration that the report reads.
QUIET = {
    "pipeline.cli", "pipeline.log", "pipeline.digest", "pipeline.definitions", "pipeline.registry",
    *(f"pipeline.corpora.readers.{p.parent.name}.figures" for p in ROOT.glob("pipeline/corpora/readers/*/figures.py")),
}  # fmt: skip
ALWAYS, WHOLE = "", "*"  # in place of a name: what runs at import, and all that a module defines

Node = tuple[Path, str]
"""A name that a file defines."""


@cache
def _source(path: Path) -> Source:
    return definitions.read(path.read_bytes())


@cache
def _file(folder: Path, module: str) -> Path | None:
    path = os.path.join(folder, *module.split("."))
    for candidate in (f"{path}.py", os.path.join(path, "__init__.py"))[not module :]:
        if os.path.isfile(candidate):
            return Path(candidate)
    return None


@cache
def _ours(path: Path) -> bool:
    return any(path.is_relative_to(ROOT / package) for package in PACKAGES)


@cache
def _homes(path: Path) -> tuple[tuple[Path, ...], str]:
    """Folders from which a file may import, and which name there is of its making beside ours: no name, if all are."""
    top = path if path.name != "__init__.py" else path.parent
    while (top.parent / "__init__.py").is_file():
        top = top.parent
    if any(top.parent.glob("*.dist-info")):  # what else is installed there is not of its making
        return (top.parent,), top.stem
    searched = {Path(os.path.realpath(folder)) for folder in sys.path}  # a plug's own, too, which is named by its file
    above = [folder for folder in path.parents if folder in searched]  # nearest first, as for a job with no other plug
    return (*above, top.parent), ""


@cache
def _beside(origin: Path, module: str) -> Path | None:
    """File of a module that lies where a plug's file can import it; None where it is not of the plug's making."""
    folders, only = _homes(origin)
    found = (_file(folder, module) for folder in folders if only in ("", module.partition(".")[0]))
    return next(filter(None, found), None)


@cache
def _locate(origin: Path, level: int, module: str) -> Path | None:
    """File of a module that ``origin`` imports; None where it is neither ours nor, for a plug, of its own making."""
    if level:
        return _file(origin.parents[level - 1], module)
    if module.partition(".")[0] in PACKAGES:
        return _file(ROOT, module)
    return None if _ours(origin) else _beside(origin, module)


def _leads_to(origin: Path, found: Import, names: Chain) -> set[Node | str]:
    """What names, of something imported, stand for: definitions of ours, or a dotted name of somebody else's."""
    names = names if found.attribute is None else (found.attribute, *names)
    path = _locate(origin, found.level, found.module)
    below = found._replace(module=".".join(filter(None, [found.module, *names[:1]])), attribute=None)
    submodule = _locate(origin, below.level, below.module) if names else None
    if path is None and submodule is None:
        return {".".join([found.module, *names[: found.attribute is not None]])}
    if path is not None and names:
        source = _source(path)
        if names[0] in source.definitions:
            return {(path, names[0])}
        passed_on = {each for each in source.imports if each.name == names[0]}
        if not passed_on and "__getattr__" in source.definitions:  # given when it is asked for: from a table of names
            tables = {each for definition in source.definitions.values() for each in definition.imports}
            passed_on = {each for each in tables if not each.name and each.attribute == names[0]}
        if passed_on := passed_on - ({found} if path == origin else set()):
            return set().union(*(_leads_to(path, each, names[1:]) for each in passed_on))
    return _leads_to(origin, below, names[1:]) if submodule else {(path, WHOLE)}


@cache
def _packages(folder: Path) -> frozenset[Node]:
    """A folder and those above it, as far as they are packages."""
    files = [parent / "__init__.py" for parent in (folder, *folder.parents)]
    return frozenset((file, ALWAYS) for file in files if file.is_file())


@cache
def _runs(path: Path, imports: frozenset[Import]) -> frozenset[Node]:
    """Modules that run when a file's imports do, with the packages that hold it."""
    found = set(_packages(path.parent))
    for each in imports:
        for module in {each.module, ".".join(filter(None, [each.module, each.attribute]))}:
            found |= {(file, ALWAYS) for file in [_locate(path, each.level, module)] if file}
    return frozenset(found)


@cache
def _definition(node: Node) -> Definition:
    source = _source(node[0])
    return source.always if node[1] == ALWAYS else source.definitions[node[1]]


@cache
def _links(node: Node) -> tuple[tuple[str, Node | str], ...]:
    """What each name that a definition reads stands for."""
    path, _ = node
    source, own = _source(path), _definition(node)
    imports = own.imports | source.imports
    found = {
        (".".join(chain), target)
        for chain in own.reads
        for each in imports
        if each.name == chain[0]
        for target in _leads_to(path, each, chain[1:])
    }
    found |= {(chain[0], (path, chain[0])) for chain in own.reads if chain[0] in source.definitions}
    found |= {("", target) for each in own.imports if not each.name for target in _leads_to(path, each, ())}
    return tuple((name, target) for name, target in found if name or not isinstance(target, str))


def _names(path: Path) -> list[Node]:
    return [(path, name) for name in (ALWAYS, *_source(path).definitions)]


@cache
def _quiet(root: Path) -> set[Path | None]:
    return {_file(root, module) for module in QUIET}


@cache
def _identity(target: Node | str) -> str:
    """What a target is, wherever it lies."""
    if isinstance(target, str):
        return target
    if target[1] != WHOLE:
        return _definition(target).digest.hex()
    return sha256(b"".join(sorted(_definition(node).digest for node in _names(target[0])))).hexdigest()


@cache
def _step(node: Node) -> tuple[str, frozenset[Node]]:
    """A definition as a line of the digest, and the definitions that it leads to."""
    path, name = node
    if name == WHOLE:
        return "", frozenset(_names(path))
    used, further = [], {(path, ALWAYS), *_runs(path, _source(path).imports), *_runs(path, _definition(node).imports)}
    for read, target in _links(node):
        if isinstance(target, str):
            used.append(f"{read} {target}")
        elif target[0] != path and (number := _source(target[0]).stands_for):
            used.append(f"{read} {number}")
        elif target[0] not in _quiet(ROOT):
            used.append(f"{read} {_identity(target)}")
            further.add(target)
    digest = _definition(node).digest.hex()
    return "\n".join([digest, *sorted(used)]) if digest or used else "", frozenset(further)


def _reached(starts: Iterable[Node]) -> dict[Node, str]:
    """Everything that is used, with its line of the digest."""
    lines: dict[Node, str] = {}
    todo = list(starts)
    while todo:
        node = todo.pop()
        if node not in lines and node[0] not in _quiet(ROOT):
            lines[node], further = _step(node)
            todo.extend(further)
    return {node: line for node, line in lines.items() if line}


def _starts(target: str | type | Path) -> list[Node]:
    """Where to begin: a "module" whole, a "module:name", a class or a file; raises ValueError where there is none."""
    if isinstance(target, Path):
        return [(target.resolve(), WHOLE)]
    if isinstance(target, type):
        path, name = Path(sys.modules[target.__module__].__file__).resolve(), target.__qualname__.partition(".")[0]
        return [(path, name if name in _source(path).definitions else WHOLE)]
    module, _, name = target.partition(":")
    path = _file(ROOT, module)
    found = _leads_to(path, Import("", 0, module, name or None), ()) if path else set()
    if not found or (name and (path, WHOLE) in found):
        raise ValueError(f"{target}: there is no such module or definition; correct whoever asks for its digest")
    return [node for node in found if not isinstance(node, str)]


def _module(path: Path) -> str:
    """Dotted name of one of our modules; other files by their path."""
    if not path.is_relative_to(ROOT):
        return str(path)
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(module: str) -> frozenset[str]:
    """Our own modules that a module's source imports anywhere, in functions and for annotations too."""
    path = _file(ROOT, module)
    if path is None:
        return frozenset()
    source = _source(path)
    found = source.imports.union(source.annotation_imports, *(each.imports for each in source.definitions.values()))
    files = {file for file, _ in _runs(path, frozenset(each for each in found if each.name))} - {path}
    return frozenset(_module(file) for file in files)


@cache
def helpers(path: Path) -> dict[str, Path]:
    """What a plug's file, and its helpers, import by bare names from around them: module to file.

    A name of ours is among it only where ours has nothing of what is imported.
    """
    found: dict[str, Path] = {}
    todo, seen = [path], set()
    while todo:
        origin = todo.pop()
        if origin in seen or _ours(origin):
            continue
        seen.add(origin)
        source = _source(origin)
        for each in source.imports.union(*(definition.imports for definition in source.definitions.values())):
            parts = [*filter(None, each.module.split(".")), *([each.attribute] if each.attribute else [])]
            names = [".".join(parts[:n]) for n in range(1, len(parts) + 1)]
            head = parts[0] if parts else ""
            if each.level:
                todo += filter(None, (_locate(origin, each.level, name) for name in {each.module, *names[-1:]}))
            elif head != "affectflow" and not (head in PACKAGES and any(_file(ROOT, name) for name in names[1:])):
                own = {name: file for name in names if (file := _beside(origin, name))}
                found = own | found
                todo += own.values()
    return found


def used(*targets: str | type | Path) -> list[str]:
    """Every definition that targets use, as "module:name", sorted; no name stands for what runs at import."""
    reached = _reached(start for target in targets for start in _starts(target))
    return sorted(f"{_module(path)}:{name}" for path, name in reached)


@cache
def code(*targets: str | type | Path) -> str:
    """Digest of what targets do: a "module:name", a "module" whole, a file, a plug's class; ValueError where absent.

    Templates belong to the modules that they lie beside.
    """
    reached = _reached(start for target in targets for start in _starts(target))
    digest = sha256("\0".join(sorted(set(reached.values()))).encode())
    for folder in sorted({path.parent / "templates" for path in {path for path, _ in reached}}):
        for template in sorted(folder.glob("*.*")):
            digest.update(template.name.encode() + template.read_bytes())
    return digest.hexdigest()[:16]
