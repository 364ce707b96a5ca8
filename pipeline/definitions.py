"""What a source file defines: each top-level definition reduced to a digest of what it does and to the names it reads.

What changes no result does not count: layout, comments, docstrings, annotations outside of class bodies (there they are
fields), texts of raised errors (but those of RECORDED), calls of a logger, explanations of options. Unlike ``ast.dump``
and bytecode, nothing here depends on the version of Python.
"""

import ast
import re
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any, NamedTuple

Chain = tuple[str, ...]
"""A name with the attributes that are read of it: ``np.linalg.norm`` is ("np", "linalg", "norm")."""

PLUGS = "BUILT_IN"  # name of the tables of plugs: what is in them counts where it is used, by a digest of its own
LOGGERS = {"log", "logger", "logging", "warnings"}
LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "warn"}
LOOKS = {("time", "monotonic"), *((name,) for name in ("len", "sum", "sorted", "max", "min", "round", "str", "repr"))}
EXPLAINED = {"option", "argument", "command", "group", "Field"}
EXPLANATIONS = {"help", "short_help", "epilog", "description", "metavar", "show_default"}
RECORDED = {"MediaError", "NoSound", "WrongScale"}  # errors that results quote: why there is no sound or picture
NOT_CODE = {"ctx", "kind", "type_comment", "type_ignores", "type_params", "simple"}
OURS = re.compile(r"\w+(\.\w+)*:\w+|\w+(\.\w+)+")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Import(NamedTuple):
    """``name`` stands for ``attribute`` of ``module``, or for the module itself; no name: it is used in any case."""

    name: str
    level: int
    module: str
    attribute: str | None = None


@dataclass(frozen=True, slots=True)
class Definition:
    """A function, class or constant: digest of what it does, names it reads, imports inside of it."""

    digest: bytes = b""
    reads: frozenset[Chain] = frozenset()
    imports: frozenset[Import] = frozenset()


@dataclass(frozen=True, slots=True)
class Source:
    """A module: definitions by name, what runs at its import beside them, imports of all, imports for annotations."""

    definitions: dict[str, Definition]
    always: Definition
    imports: frozenset[Import]
    annotation_imports: frozenset[Import]
    stands_for: str | None = None  # ``__digest__``: what is said in place of the code


@cache
def read(text: bytes) -> Source:
    """The definitions of a source file; raises SyntaxError."""
    parts: dict[str, list[_Reader]] = {"": []}
    imports, annotation_imports, changed_by, stands_for = set(), set(), {}, None
    statement: Any
    for statement in ast.parse(text).body:
        reader = _Reader()
        reader.statements([statement])
        annotation_imports |= reader.annotation_imports
        simple = isinstance(statement, (*FUNCTIONS, ast.ClassDef, ast.Assign, ast.AnnAssign, ast.AugAssign))
        if not simple:  # imports, and what runs whatever is used: its names have no definition of their own
            imports |= reader.imports
            parts[""].append(reader)
        if simple and "__digest__" in reader.stores and isinstance(statement.value, ast.Constant):
            stands_for = str(statement.value.value)
        for name in reader.stores or [""]:
            parts.setdefault(name, []).extend([reader] if simple and name != PLUGS else [])
        for decorator in getattr(statement, "decorator_list", ()):  # @group.command(): group has one more command
            if len(chain := _chain(getattr(decorator, "func", decorator))) > 1:
                changed_by.setdefault(chain[0], set()).add((statement.name,))
    made = {name: _definition(readers, changed_by.get(name, set())) for name, readers in parts.items()}
    return Source(made, made.pop(""), frozenset(imports), frozenset(annotation_imports), stands_for)


def _definition(readers: list["_Reader"], changed_by: set[Chain]) -> Definition:
    text = "\n".join(text for reader in readers if (text := "".join(reader.out)))
    reads = changed_by.union(*(reader.loads for reader in readers))
    imports = frozenset().union(*(reader.imports for reader in readers))
    return Definition(sha256(text.encode()).digest() if text else b"", frozenset(reads), imports)


def _chain(node: ast.AST) -> Chain:
    """The dotted name that an expression is; empty where it is something else."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return (node.id, *reversed(names)) if isinstance(node, ast.Name) else ()


def _is_text(node: ast.AST) -> bool:
    """Whether an expression is a text made on the spot, whatever is put into it."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str)
    if isinstance(node, ast.BinOp):
        return _is_text(node.left) or _is_text(node.right)
    if isinstance(node, ast.IfExp):
        return _is_text(node.body) and _is_text(node.orelse)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return _is_text(node.func.value)
    return isinstance(node, ast.JoinedStr)


def _does_something(node: ast.AST) -> bool:
    """Whether an expression calls anything but what only looks: ``log.info("wrote %s", write(out))`` writes."""
    calls = [each.func for each in ast.walk(node) if isinstance(each, ast.Call)]
    return any(
        _chain(call) not in LOOKS and not (isinstance(call, ast.Attribute) and _is_text(call.value)) for call in calls
    )


@cache
def _fields(kind: type[ast.AST]) -> tuple[str, ...]:
    return tuple(name for name in kind._fields if name not in NOT_CODE)


class _Reader:
    """Writes a syntax tree down as text and notes which names are read that are bound in no function inside."""

    def __init__(self):
        self.out: list[str] = []
        self.loads: set[Chain] = set()
        self.stores: set[str] = set()
        self.globals: set[str] = set()
        self.imports: set[Import] = set()
        self.annotation_imports: set[Import] = set()
        self.in_class = False

    def visit(self, node) -> None:
        """Write one value: a node, a list of statements, expressions or names, or a constant."""
        if node.__class__ is list:
            self.out.append("[")
            if node and isinstance(node[0], ast.stmt):
                self.statements(node)
            else:
                for each in node:
                    self.visit(each)
            self.out.append("]")
        elif handler := HANDLERS.get(type(node)):
            handler(self, node)
        elif isinstance(node, ast.AST):
            kind: Any = type(node)
            self.fields(node, _fields(kind))
        else:
            self.out.append(ascii(node) + ",")

    def fields(self, node: ast.AST, names, **instead) -> None:
        """Write a node by the fields that are neither absent nor empty; ``instead`` of their own, other values."""
        self.out.append(node.__class__.__name__ + "(")
        for name in names:
            value = instead[name] if name in instead else getattr(node, name, None)
            if value is not None and value != []:
                self.out.append(name + "=")
                self.visit(value)
        self.out.append(")")

    def statements(self, nodes: list[ast.stmt]) -> None:
        """Write what counts of some statements."""
        for node in nodes:
            value = node.value if isinstance(node, ast.Expr) else None
            if isinstance(value, ast.Call):
                self.visit(value)
            elif not isinstance(value, ast.Constant) and not isinstance(node, ast.Pass):
                self.visit(node)

    def inside(self, *nodes, hides: bool = True, in_class: bool = False) -> None:
        """Write what stands in a scope of its own, whose names are hidden from the outside (those of a class not)."""
        before = self.loads, self.stores, self.globals, self.in_class
        self.loads, self.stores, self.globals, self.in_class = set(), set(), set(), in_class
        for node in nodes:
            self.visit(node)
        hidden = self.stores - self.globals if hides else set()
        free = {chain for chain in self.loads if chain[0] not in hidden}
        self.loads, self.stores, self.globals, self.in_class = before
        self.loads |= free

    def function(self, node) -> None:
        """A function or lambda: decorators and defaults belong to the outside; annotations do not count."""
        name = getattr(node, "name", None)
        self.stores.update(filter(None, [name]))
        self.out.append(f"{node.__class__.__name__}({name}")
        self.visit([*getattr(node, "decorator_list", ()), *node.args.defaults])
        self.visit(node.args.kw_defaults)
        self.inside(node.args, node.body)
        self.out.append(")")

    def arguments(self, node: ast.arguments) -> None:
        """Names of arguments, bound inside."""
        for name in ("posonlyargs", "args", "vararg", "kwonlyargs", "kwarg"):
            group = getattr(node, name) or []
            names = [each.arg for each in (group if isinstance(group, list) else [group])]
            self.stores.update(names)
            self.out.append(f"{name}={','.join(names)};")

    def class_(self, node: ast.ClassDef) -> None:
        """A class: its body whole, with annotations, because they are fields."""
        self.stores.add(node.name)
        self.fields(node, ("name", "decorator_list", "bases", "keywords"))
        self.inside(node.body, hides=False, in_class=True)

    def comprehension(self, node) -> None:
        """A comprehension: its first iterable belongs to the outside."""
        first, *others = node.generators
        made = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        self.out.append(f"{node.__class__.__name__}{first.is_async}")
        self.visit(first.iter)
        self.inside(first.target, first.ifs, *others, *made)

    def name(self, node: ast.Name) -> None:
        """A name, read or bound."""
        self.out.append(f"Name({node.id})")
        if isinstance(node.ctx, ast.Load):
            self.loads.add((node.id,))
        else:
            self.stores.add(node.id)

    def attribute(self, node: ast.Attribute) -> None:
        """An attribute, of a name where the whole is a dotted name."""
        if chain := _chain(node):
            self.loads.add(chain)
            self.out.append(f"Name({'.'.join(chain)})")
        else:
            self.fields(node, ("value", "attr"))

    def constant(self, node: ast.Constant) -> None:
        """A constant; one that names a module or something in it is as good as an import."""
        value = node.value
        self.out.append(f"Constant({value!a})")
        if isinstance(value, str) and OURS.fullmatch(value):
            module, _, attribute = value.partition(":")
            self.imports.add(Import("", 0, module, attribute or None))

    def joined(self, node: ast.JoinedStr) -> None:
        """A formatted text; how its constant parts are cut differs between versions of Python."""
        parts: list = []
        for each in node.values:
            if isinstance(each, ast.Constant) and parts and isinstance(parts[-1], str):
                parts[-1] += str(each.value)
            else:
                parts.append(each.value if isinstance(each, ast.Constant) else each)
        self.fields(node, ("values",), values=[each for each in parts if each != ""])

    def annotated(self, node: ast.AnnAssign) -> None:
        """An assignment with an annotation, which counts in the body of a class."""
        if self.in_class:
            self.fields(node, ("target", "annotation", "value"))
            for each in ast.walk(node.annotation):  # a class that is defined further below
                if isinstance(each, ast.Constant) and isinstance(each.value, str):
                    self.loads.add((each.value,))
        elif node.value is None:
            self.stores.update(_chain(node.target)[:1])
        else:
            self.fields(ast.Assign([node.target], node.value), ("targets", "value"))

    def raise_(self, node: ast.Raise) -> None:
        """A raised error, without its texts where no result quotes them."""
        error = node.exc
        if isinstance(error, ast.Call) and not RECORDED & set(_chain(error.func)[-1:]):
            error = ast.Call(
                error.func,
                [each for each in error.args if not _is_text(each)],
                [each for each in error.keywords if not _is_text(each.value)],
            )
        self.fields(node, ("exc", "cause"), exc=error)

    def assert_(self, node: ast.Assert) -> None:
        """An assertion without its text."""
        self.fields(node, ("test",))

    def call(self, node: ast.Call) -> None:
        """A call without what it only explains; of a logger's, what is done on the way."""
        chain = _chain(node.func)
        first, last = (chain[0], chain[-1]) if chain else ("", "")
        arguments, keywords = node.args, node.keywords
        if first in LOGGERS and last in LEVELS and len(chain) == 2:
            for each in filter(_does_something, arguments):
                self.visit(each)
            return
        if last in EXPLAINED:
            keywords = [each for each in keywords if each.arg not in EXPLANATIONS]
        elif last == "progress":
            arguments = [each for each in arguments if not _is_text(each)]
        self.fields(node, ("func", "args", "keywords"), args=arguments, keywords=keywords)

    def if_(self, node: ast.If) -> None:
        """A condition; what is there for annotations alone, or for the file as a program, does not count."""
        if _chain(node.test)[-1:] == ("TYPE_CHECKING",):
            reader = _Reader()
            reader.statements(node.body)
            self.annotation_imports |= reader.imports
            self.statements(node.orelse)
        elif not (isinstance(node.test, ast.Compare) and _chain(node.test.left) == ("__name__",)):
            self.fields(node, ("test", "body", "orelse"))

    def binding(self, node) -> None:
        """What binds a name without an assignment: ``except ... as name`` and patterns."""
        self.stores.update(filter(None, [getattr(node, "rest", None), getattr(node, "name", None)]))
        self.fields(node, _fields(node.__class__))

    def global_(self, node: ast.Global) -> None:
        """Names that belong to the module though a function binds them."""
        self.globals.update(node.names)
        self.fields(node, ("names",))

    def import_(self, node: ast.Import) -> None:
        """An import of modules."""
        for each in node.names:
            name = each.asname or each.name.partition(".")[0]
            self.imports.add(Import(name, 0, each.name if each.asname else name))
            if not each.asname and "." in each.name:
                self.imports.add(Import("import", 0, each.name))  # a name that nothing can have

    def import_from(self, node: ast.ImportFrom) -> None:
        """An import of names; of all names, of which nobody knows which are used."""
        for each in node.names if node.module != "__future__" else ():
            star = each.name == "*"
            name, attribute = ("", None) if star else (each.asname or each.name, each.name)
            self.imports.add(Import(name, node.level, node.module or "", attribute))


HANDLERS = {
    **dict.fromkeys((*FUNCTIONS, ast.Lambda), _Reader.function),
    **dict.fromkeys((ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp), _Reader.comprehension),
    **dict.fromkeys((ast.ExceptHandler, ast.MatchAs, ast.MatchStar, ast.MatchMapping), _Reader.binding),
    ast.arguments: _Reader.arguments, ast.ClassDef: _Reader.class_, ast.Name: _Reader.name, ast.If: _Reader.if_,
    ast.Attribute: _Reader.attribute, ast.Constant: _Reader.constant, ast.JoinedStr: _Reader.joined,
    ast.AnnAssign: _Reader.annotated, ast.Raise: _Reader.raise_, ast.Call: _Reader.call, ast.Global: _Reader.global_,
    ast.Assert: _Reader.assert_, ast.Import: _Reader.import_, ast.ImportFrom: _Reader.import_from,
}  # fmt: skip
