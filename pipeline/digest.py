"""Which source files a stage consists of, so that editing its code reruns that stage and no other.

The workflow's triggers, the version kept in a feature store and the digest of a training are all of this one kind: what
one of them calls the same code, the others do too.
"""

import ast
from functools import cache
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("pipeline", "models")
QUIET = {"pipeline.cli", "pipeline.log"}  # how a stage talks changes no result


@cache
def _module_path(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


@cache
def _read(path: Path) -> tuple[bytes, frozenset[str]]:
    """Digest of a source file without its comments and layout, and our own modules that it imports.

    A file belongs to many stages, so both are kept; its syntax tree, a hundred times its size, is not.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
    ours = frozenset(name for name in found if name.split(".")[0] in PACKAGES and _module_path(name))
    return sha256(ast.dump(tree).encode()).digest(), ours


def imports(module: str) -> frozenset[str]:
    """Our own modules that a module's source imports anywhere, in functions too."""
    path = _module_path(module)
    return _read(path)[1] if path else frozenset()


def closure(*modules: str) -> list[str]:
    """The modules and all of ours that they import, directly or not, sorted."""
    seen, todo = set(), list(modules)
    while todo:
        module = todo.pop()
        if module not in seen and module not in QUIET:
            seen.add(module)
            todo.extend(imports(module))
    return sorted(seen)


@cache
def code(*modules: str, files: tuple[Path, ...] = ()) -> str:
    """Digest of what modules, files outside of our packages and all that they import of ours do.

    Comments and layout do not count. Templates belong to the modules that they lie beside.
    """
    named = {*modules, *(name for path in files for name in _read(path)[1])}
    paths = [path for path in map(_module_path, closure(*named)) if path]
    digest = sha256()
    for path in [*paths, *files]:
        digest.update(_read(path)[0])
    for folder in sorted({path.parent / "templates" for path in paths}):
        for template in sorted(folder.glob("*.*")):
            digest.update(template.name.encode() + template.read_bytes())
    return digest.hexdigest()[:16]
