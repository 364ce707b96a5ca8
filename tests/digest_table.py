"""Which rules and plugs an edit of each module reruns: ``python -m tests.digest_table`` writes digest_table.txt anew.

What consists of what is read off the workflow's rules and the tables of plugs, and every module is edited in a copy of
the sources: nothing here knows how a digest is taken.
"""

import ast
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path

from pipeline import definitions, digest

ROOT = Path(__file__).resolve().parent.parent
FILE = Path(__file__).with_suffix(".txt")
HEAD = "# Module, and what its code is part of: rules and plugs. Written by: python -m tests.digest_table\n"
PACKAGES = [package for package in ("pipeline", "models", "workflow", "affectflow") if (ROOT / package).is_dir()]
LOOKED_UP = ("_beside", "_file", "_homes", "_links", "_locate", "_packages", "_quiet", "_runs")  # no edit changes these
EXPLAINED = {"option", "argument", "command", "group", "Field"}


@cache
def stages() -> dict[tuple[str, str], str]:
    """The definition behind each command of each package."""
    found = {}
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("__main__.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "STAGES":
                package = ".".join(path.relative_to(ROOT).parent.parts)
                found |= {(package, name): target for name, (target, _) in ast.literal_eval(node.value).items()}
    return found


@cache
def rules() -> dict[str, tuple[str, list[str]]]:
    """Of each rule with a command: the definition that this runs, and what ``code=`` names (of index: ``tables=``).

    Where a function says it, it is taken to name the same; where there is no ``code=``, nothing is named.
    """
    found = {}
    for path in [ROOT / "Snakefile", *sorted(ROOT.glob("workflow/rules/*.smk"))]:
        for block in re.split(r"^(?=(?:use )?rule \w| +rule:)", path.read_text(), flags=re.M)[1:]:
            command = re.search(r"python -m ([\w.]+) ([a-z-]+) ", block)
            said = re.search(r"^ +(?:code|tables)=(.*?)(?=^ +\w+=|^ +\w+:)", block, re.M | re.S)
            if command:
                runs = stages()[command.groups()]
                named = re.findall(r"\"((?:pipeline|models|workflow)[\w.]+(?::\w+)?)\"", said[1] if said else "")
                name = re.match(r'rule (\w+)| +rule:\s+name:\s+"(\w+)"', block)
                found[name[1] or name[2]] = runs, (named or [runs]) if said else []
    return found


@cache
def modules() -> dict[str, Path]:
    """Path, below the root, of each module of the packages that has more than a docstring."""
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    paths = [
        path for path in paths if path.parent != ROOT / "workflow"
    ]  # decides parameters, which rules see as they are
    paths = [path.relative_to(ROOT) for path in sorted(paths) if len(ast.parse(path.read_text()).body) > 1]
    return {".".join(path.with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


@cache
def plugs() -> dict[str, str]:
    """Every built-in plug: "module:Class" and the module of the table that holds it."""
    found = {}
    for module, path in modules().items():
        for node in ast.parse((ROOT / path).read_text()).body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and "BUILT_IN" in ast.unparse(node).split("=")[0]:
                found |= dict.fromkeys(import_module(module).BUILT_IN.values(), module)
    return found


def closure(*targets: str | type | Path) -> set[str]:
    """The modules of which targets use something."""
    return {each.partition(":")[0] for each in digest.used(*targets)}


def copy(folder: Path) -> Path:
    """The packages alone, to be edited."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def parts() -> dict[str, list[str]]:
    """What each rule and each built-in plug consists of."""
    return {name: targets for name, (_, targets) in rules().items() if targets} | {plug: [plug] for plug in plugs()}


def codes(root: Path, wanted: dict[str, list[str]] | None = None) -> dict[str, str]:
    """Digests of what is wanted, all parts unless said, of the sources in a folder."""
    with sources(root):
        return {name: digest.code(*targets) for name, targets in (wanted or parts()).items()}


@contextmanager
def sources(root: Path) -> Iterator[None]:
    """Take digests of the sources in a folder."""
    before, digest.ROOT = digest.ROOT, root
    forget()
    try:
        yield
    finally:
        digest.ROOT = before
        forget()


def forget(kept: tuple[str, ...] = ()) -> None:
    """Let the next digest look at the files again."""
    for name, function in vars(digest).items():
        if hasattr(function, "cache_clear") and name not in kept:
            function.cache_clear()


class Changed(ast.NodeTransformer):
    """Code that does something else: one statement more in every function and class, other constants."""

    def visit_FunctionDef(self, node):
        node.body.append(ast.parse("edited = 1").body[0])
        return node

    visit_AsyncFunctionDef = visit_ClassDef = visit_FunctionDef

    def visit_Assign(self, node):
        if "BUILT_IN" not in ast.unparse(node) and "__digest__" not in ast.unparse(node):
            node.value = ast.Tuple([node.value, ast.Constant(1)], ast.Load())
        return node

    visit_AnnAssign = visit_Assign


class Reworded(ast.NodeTransformer):
    """The same code in other words: docstrings, annotations, texts of errors, of logs and of options."""

    opening = "'Other words.'\nlog.info('%d things', len(''))"

    def visit_FunctionDef(self, node):
        self.generic_visit(node)
        node.returns = ast.Name("object")
        for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
            each.annotation = ast.Name("object")
        if ast.get_docstring(node) is not None:
            del node.body[0]
        node.body[:0] = ast.parse(self.opening).body
        return node

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Raise(self, node):
        if isinstance(node.exc, ast.Call) and ast.unparse(node.exc.func) not in definitions.RECORDED:
            node.exc.args = [ast.Constant("other") if _is_text(each) else each for each in node.exc.args]
        return node

    def visit_Call(self, node):
        self.generic_visit(node)
        function = ast.unparse(node.func)
        if function.rpartition(".")[2] in EXPLAINED:
            for each in node.keywords:
                each.value = ast.Constant("other") if each.arg in ("help", "description") else each.value
        if function.startswith("log.") and _is_text(node.args[0]):
            node.args[0] = ast.Constant("other")
        return node


def _is_text(node) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def edited(text: str, edit: type[ast.NodeTransformer]) -> str:
    """The source after an edit, in another layout, with a remark and without those that were there."""
    return "# a remark\n" + ast.unparse(ast.fix_missing_locations(edit().visit(ast.parse(text)))) + "\n\n"


def touched(root: Path) -> dict[str, list[str]]:
    """Of each module of a copy, the parts whose digest an edit of its code changes."""
    found = {}
    with sources(root):
        before = {name: digest.code(*targets) for name, targets in parts().items()}
        for module, path in modules().items():
            text = (root / path).read_text()
            (root / path).write_text(edited(text, Changed))
            forget(kept=LOOKED_UP)
            found[module] = [name for name, targets in parts().items() if digest.code(*targets) != before[name]]
            (root / path).write_text(text)
    return found


def line(module: str, names: list[str]) -> str:
    """A line of the table; the plugs of one table are named together where it is all of them."""
    of_table = plugs()
    tables = {table for table in of_table.values() if {p for p, t in of_table.items() if t == table} <= set(names)}
    said = [name for name in names if name not in of_table] + [f"{table}:*" for table in sorted(tables)]
    said += [_title(name) for name in names if name in of_table and of_table[name] not in tables]
    source = definitions.read((ROOT / modules()[module]).read_bytes())
    if source.stands_for:
        said.append(f"({source.stands_for!r} stands for {digest.code(module)})")
    return f"{module:<38} {' '.join(said) or '-'}\n"


def _title(plug: str) -> str:
    """The class of a plug; of a reader, its module: their classes are all called Reader."""
    module, _, name = plug.partition(":")
    return module.rpartition(".")[2] if name == "Reader" else name


def table(root: Path) -> str:
    """The whole table, of a copy of the sources."""
    return HEAD + "".join(line(module, names) for module, names in sorted(touched(root).items()))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        FILE.write_text(table(copy(Path(folder).resolve())))
