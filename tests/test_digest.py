"""What a digest of code counts and what it does not: on small sources with known answers, and on our own."""

import importlib.util
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from models.__main__ import main
from models.fusion.registry import FUSIONS
from pipeline import digest, sound, store
from pipeline.container import MediaError
from pipeline.definitions import RECORDED
from pipeline.records import Assignment, write_table
from tests import digest_table
from tests.digest_table import ROOT, Reworded, closure, codes, copy, edited, forget, modules, plugs, rules, stages
from tests.training_material import (
    NETWORKS,
    TRAINING,
    class_split,
    emotional_turns,
    frame_labels,
    frame_rows,
    frame_split,
    train_arguments,
    turn_rows,
    videos,
    write_store,
)

FREE = {"models.reference"}  # for other people's code: no command uses it
STARTS = {module for module in modules() if module.endswith("__main__") or module.split(".")[0] == "affectflow"}


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Write modules of a small package in place of ours; gives a digest of them: pipeline.a:stage unless said."""
    monkeypatch.setattr(digest, "ROOT", tmp_path)

    def write(target="pipeline.a:stage", /, **texts):
        for name, text in {"__init__": "", **texts}.items():
            path = tmp_path / "pipeline" / f"{name}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        forget()
        return digest.code(target)

    yield write
    forget()


STAGE = """
import click
import numpy as np
from pydantic import BaseModel, Field
from pipeline.log import log, progress

TABLE = {"a": 1}

class Options(BaseModel):
    size: int = Field(3, gt=0, description="how many")

@click.command()
@click.option("--size", default=3, help="how many")
def stage(size, out: str = "x") -> int:
    '''Do it.'''
    options: Options = Options(size=size)
    if not size:
        raise ValueError(f"size {size} is zero; give {len(out)}")
    assert size, "none"
    for each in progress(range(size), "rounds"):
        log.info("round %d of %s", each, len(out))
    return np.sum([TABLE["a"], options.size])
"""
SAME = [
    ("size, out: str = ", "size: float, out: object = "),
    (") -> int:", "):  # a remark"),
    ("'''Do it.'''", "'''Do it well.'''\n"),
    ("'''Do it.'''", "pass"),
    ("options: Options = ", "options = "),
    ('f"size {size} is zero; give {len(out)}"', '"give " + "a size"'),
    (', "none"', ""),
    ('"rounds"', 'f"{size} rounds"'),
    ('log.info("round %d of %s", each, len(out))', 'log.warning("round")'),
    ('help="how many"', 'help="number", show_default=True'),
    ('description="how many"', 'description="number"'),
    ('TABLE = {"a": 1}', 'TABLE: dict[str, int] = {\n    "a": 1}'),
    ("TABLE = ", "OTHER = 5\ndef other(): return TABLE\nTABLE = "),
    ("import click", "import click, typing\nif typing.TYPE_CHECKING:\n    from pipeline.b import f"),
    ("import click", "import click\nif __name__ == '__main__':\n    stage()"),
    ("TABLE = ", "BUILT_IN = {'x': 'pipeline.b:f'}\nTABLE = "),
]
DIFFERENT = [
    ("{'a': 1}", "{'a': 2}"),
    ("{'a': 1}", "{'a': 1.0}"),
    ('"a"]', '"a"] + 1'),
    ("size: int", "size: float"),
    ("gt=0", "gt=1"),
    ("default=3", "default=4"),
    ('out: str = "x"', 'out: str = "y"'),
    ("ValueError", "TypeError"),
    ("if not size", "if size < 1"),
    ("import numpy as np", "import cupy as np"),
    ("progress(range(size)", "progress(range(size, 9)"),
    ("len(out))\n    return", "out.append(1))\n    return"),
    ("import click", "import click\nclick.anything()"),
    ("BaseModel)", "BaseModel, frozen=True)"),
]


@pytest.mark.parametrize(("old", "new"), SAME)
def test_words_layout_and_what_is_not_used_do_not_count(tree, old, new):
    assert old in STAGE
    assert tree(a=STAGE, b="def f(): pass") == tree(a=STAGE.replace(old, new), b="def f(): pass")


@pytest.mark.parametrize(("old", "new"), DIFFERENT)
def test_what_is_done_counts(tree, old, new):
    text = STAGE.replace('{"a": 1}', "{'a': 1}")
    assert old in text
    assert tree(a=text) != tree(a=text.replace(old, new))


def test_texts_of_errors_that_results_quote_count(tree):
    """Why a recording has no sound stands in the file of its sound, and in the table of coverage."""
    raised = "from pipeline.b import {0}\ndef stage(path): raise {0}(path, f'no {{path}}', 'look')"
    for name in ("MediaError", "NoSound", "WrongScale", "InputError"):
        text = raised.format(name)
        assert (tree(a=text) != tree(a=text.replace("no {", "not {"))) == (name != "InputError")
    assert issubclass(sound.WrongScale, MediaError), "the last module that has some is imported"
    assert {kind.__name__ for kind in (MediaError, *MediaError.__subclasses__())} == RECORDED


USES = [
    "from pipeline.b import f\ndef stage(): return f()",
    "from pipeline.b import f as g\ndef stage(): return g",
    "from pipeline import b\ndef stage(): return b.f()",
    "import pipeline.b\ndef stage(): return pipeline.b.f()",
    "import pipeline.b as b\nclass stage(b.f): pass",
    "from .b import f\nstage = [f]",
    "def stage():\n    from pipeline.b import f\n    return lambda: f()",
    "from pipeline.b import *\ndef stage(): return f()",
    "from pipeline import b\ndef stage(name): return getattr(b, name)",
    "from pipeline.c import f\ndef stage(): return f()",
    "import importlib\nTABLE = {'x': 'pipeline.b:f'}\ndef stage(x): return importlib.import_module(TABLE[x])",
    "from pipeline.b import f\n@f\ndef stage(): pass",
    "from pipeline.b import f\ndef stage(x=f): pass",
    "from pipeline.b import f\nclass stage:\n    x: f",
    "from pipeline.b import f\nclass stage:\n    def f(self): return f()",
    "from pipeline.b import f\ndef stage(): return [f for f in f()]",
    "from pipeline.b import f\ndef stage():\n    def inner(f): return f\n    return f()",
    "from pipeline.b import f\ndef stage():\n    def inner():\n        f = 1\n    return f()",
    "from pipeline.b import f\ndef other(): return f()\ndef stage(): return other()",
    "from pipeline.b import f\nstage = {}\nstage['x'] = f",
    "from pipeline.b import f\nf()\ndef stage(): pass",
    "import click\nfrom pipeline.b import f\n@click.group()\ndef stage(): pass\n@stage.command()\ndef one(): f()",
    "try:\n    from pipeline.b import f\nexcept ImportError:\n    f = None\ndef stage(): return f()",
    "from pipeline.log import log\nfrom pipeline.b import f\ndef stage(): log.info('wrote %s', f())",
    "from pipeline.d import stage",
    "from pipeline.late import f\ndef stage(): return f()",
]
USES_NOT = [
    "from pipeline.b import f\ndef stage(x: f) -> f: y: f = x",
    "from pipeline.b import f\ndef stage(): raise ValueError(f'one of {f()}')",
    "from pipeline.b import f\ndef other(): return f()\ndef stage(): pass",
    "from pipeline.b import f\ndef stage(f): return f()",
    "from pipeline.b import f\ndef stage():\n    f = 1\n    return lambda: f",
    "from pipeline.b import f\ndef stage(x): return [f for f in x]",
    "from pipeline import b\ndef stage(): return b.g()",
    "from pipeline.c import g\ndef stage(): return g()",
    "from pipeline.late import g\ndef stage(): return g()",
    "from pipeline.log import f\ndef stage(): return f()",
    "BUILT_IN = {'x': 'pipeline.b:f'}\ndef stage(x): return BUILT_IN[x]",
]


@pytest.mark.parametrize(("text", "counts"), [*((t, True) for t in USES), *((t, False) for t in USES_NOT)])
def test_a_definition_counts_where_it_is_used(tree, text, counts):
    others = {
        "c": "from pipeline.b import f, g",
        "d": "from pipeline.e import helper as stage",
        "late": "TABLE = ('pipeline.b:f', 'pipeline.b:g')\ndef __getattr__(name): return find(TABLE, name)",
        "e": "from pipeline import b\ndef helper(): return b.f()",
        "log": "from pipeline import b\ndef f(): return b.f()\nlog = 1",
    }
    b = "def f(): return 1\ndef g(): return 2"
    assert (tree(a=text, b=b, **others) != tree(a=text, b=b.replace("1", "7"), **others)) == counts


def test_a_definition_that_moves_stays_what_it_is(tree):
    stage = "from pipeline.{} import f\ndef stage(): return f()"
    before = tree(a=stage.format("b"), b="N = 2\ndef f(): return N", c="")
    assert tree(a=stage.format("c"), b="N = 2", c="from pipeline.b import N\ndef f(): return N") == before
    assert tree(a=stage.format("c"), b="N = 2\ndef f(): return N", c="def f(): return 3") != before


def test_a_module_with_a_number_counts_by_it_and_where_it_is_named_by_its_code(tree):
    a = "from pipeline.b import f\ndef stage(): return f()"
    b = "__digest__ = 'table, format 1'\ndef f(): return 1"
    at_a, at_b = tree(a=a, b=b), tree("pipeline.b:f", b=b)
    edited = b.replace("return 1", "return 2")
    assert (tree(a=a, b=edited), tree("pipeline.b:f", b=edited) == at_b) == (at_a, False)
    assert tree(a=a, b=b.replace("format 1", "format 2")) != at_a


def test_a_name_that_is_not_there_is_refused(tree):
    for target in ("pipeline.a:nothing", "pipeline.nothing", "pipeline.nothing:stage"):
        with pytest.raises(ValueError, match=f"{target}: there is no such module or definition"):
            tree(target, a="def stage(): pass")


@pytest.mark.parametrize("installed", [False, True])
def test_a_plug_is_its_class_and_what_it_uses_of_files_beside_it(tmp_path, tree, installed):
    home = tmp_path / "home"
    package = home / "theirs" if installed else home
    package.mkdir(parents=True)
    texts = {
        "mine": "from pipeline.b import f\nfrom theirs import helper\nimport other\n"
        "class Plug:\n    def use(self):\n        return f(), helper.near(), other.far()\nclass Second: pass",
        "helper": "def near(): return 1\ndef unused(): return 1",
    }
    if installed:
        (home / "theirs-1.0.dist-info").mkdir()
        (package / "__init__.py").touch()
    else:
        texts["mine"] = texts["mine"].replace("from theirs import helper", "import helper")

    def code(b="def f(): return 1", other="def far(): return 1", **changes):
        for name, text in {**texts, **changes}.items():
            (package / f"{name}.py").write_text(text)
        (home / "other.py").write_text(other)
        tree(a="def stage(): pass", b=b)
        plug = type("Plug", (), {"__module__": "a_module_of_its_own"})
        spec = importlib.util.spec_from_file_location("a_module_of_its_own", package / "mine.py")
        sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # that it is known is enough
        return digest.code(plug)

    before = code()
    try:
        assert code(mine=texts["mine"].replace("Second: pass", "Second: x = 1\nclass Third: pass")) == before
        assert code(helper=texts["helper"].replace("unused(): return 1", "unused(): return 2")) == before
        assert code(helper=texts["helper"].replace("near(): return 1", "near(): return 2")) != before
        assert code(mine=texts["mine"].replace("f(), ", "f(), f(), ")) != before
        assert code(b="def f(): return 2") != before
        assert (code(other="def far(): return 2") == before) == installed  # who else is installed is not of the plug
    finally:
        del sys.modules["a_module_of_its_own"]


def test_a_helper_counts_where_a_plug_that_is_named_by_its_file_finds_it(tmp_path, tree, monkeypatch):
    """Beside it, though its folder is a package, and from there on for the helpers below, which are in none."""
    texts = {
        "__init__": "",
        "gated": "import blocks\nfrom layers.a import f\ndef use(): return blocks.g(), f()",
        "blocks": "def g(): return 1",
        "layers/a": "from layers.b import h\ndef f(): return h()",
        "layers/b": "def h(): return 1",
    }
    plugs = tmp_path / "plugs"
    (plugs / "layers").mkdir(parents=True)
    monkeypatch.setattr(sys, "path", [*sys.path, str(plugs)])

    def code(**changes):
        for name, text in {**texts, **changes}.items():
            (plugs / f"{name}.py").write_text(text)
        tree(a="def stage(): pass")
        return digest.code(plugs / "gated.py")

    before = code()
    assert code(blocks="def g(): return 2") != before
    assert code(**{"layers/b": "def h(): return 2"}) != before
    assert code() == before
    assert digest.helpers(plugs / "gated.py") == {
        "blocks": plugs / "blocks.py",
        "layers.a": plugs / "layers/a.py",
        "layers.b": plugs / "layers/b.py",
    }


# Our own sources


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A copy of the packages, and the digests of all rules and plugs."""
    root = copy(tmp_path_factory.mktemp("sources").resolve())
    return root, codes(root)


@pytest.mark.slow
def test_an_edit_reruns_what_the_table_lists(sources):
    assert digest_table.table(sources[0]) == digest_table.FILE.read_text(), (
        "rules consist of other modules than before, or the code behind a number has changed: see that this is meant, "
        "raise the number where what is written or read has changed, and run python -m tests.digest_table"
    )


def test_every_module_is_part_of_a_rule_a_plug_or_a_command_for_people():
    named = [target for _, targets in rules().values() for target in targets]
    used = closure(*stages().values(), *named, *plugs())
    listed = dict(line.split(maxsplit=1) for line in digest_table.FILE.read_text().splitlines()[1:])
    assert set(modules()) - used - STARTS == digest.QUIET | FREE
    in_rules = {runs for runs, named in rules().values() if named}
    by_hand = closure(*set(stages().values()) - in_rules)
    assert {m for m, names in listed.items() if names == "-"} <= by_hand | digest.QUIET | FREE | STARTS


def test_the_number_of_the_feature_store_is_that_of_its_schema():
    assert store.__digest__.startswith(f"feature store, schema {store.SCHEMA}, revision ")


def written(root, texts, parts=None):
    """Digests while some files of a copy say something else."""
    before = {path: (root / path).read_text() for path in texts if (root / path).exists()}
    try:
        for path, text in texts.items():
            (root / path).write_text(text)
        return codes(root, parts)
    finally:
        for path in texts:
            (root / path).write_text(before[path]) if path in before else (root / path).unlink()


def test_other_words_rerun_nothing(sources):
    root, before = sources
    texts = {path: edited((root / path).read_text(), Reworded) for path in modules().values()}
    assert written(root, texts) == before


def test_what_is_new_reruns_nothing_that_is_there(sources):
    root, _ = sources
    commands = {name: [runs] for name, (runs, _) in rules().items()} | {plug: [plug] for plug in plugs()}
    before = codes(root, commands)
    homes = {plug.partition(":")[0].rpartition(".")[0] for plug in plugs()} | {"models.fusion"}
    new = {}
    for module, path in modules().items():
        if module.startswith(tuple(homes)):
            text = (root / path).read_text() + "\n\nclass NewPlug:\n    pass\n\ndef new(): return NewPlug()\n"
            new[path] = re.sub(r"^(BUILT_IN\b[^{]*\{)(?=\s*\")", r"\1'new': 'pipeline.media:Video', ", text, flags=re.M)
    assert sum("'new': 'pipeline.media:Video'" in text for text in new.values()) == len(set(plugs().values())) - 1
    new[Path("pipeline/corpora/readers/new.py")] = "class Reader:\n    pass\n"  # the folder is its table
    assert written(root, new, commands) == before


def test_the_sides_of_iemocap_are_read_again_where_they_change(sources):
    root, before = sources
    path = modules()["pipeline.corpora.readers.iemocap"]
    text = (root / path).read_text()
    swapped = (
        text.replace('"left_half" if', '"" if').replace('else "right', 'else "left').replace('"" if', '"right_half" if')
    )
    assert swapped != text
    after = written(root, {path: swapped})
    assert {name for name in before if before[name] != after[name]} == {"pipeline.corpora.readers.iemocap:Reader"}


@pytest.mark.parametrize("task", ["segment", "frame"])
def test_whatever_runs_in_a_training_counts(tmp_path, task):
    split, labels = tmp_path / "split.tsv", None
    if task == "segment":
        segments = emotional_turns()
        stores = {m: write_store(tmp_path / f"{m}.h5", turn_rows(segments, m), m) for m in ("audio", "text")}
        write_table(split, class_split(segments), Assignment)
    else:
        segments = videos()
        rows = frame_labels(segments)
        labels = write_store(tmp_path / "labels.h5", rows, "label")
        stores = {m: write_store(tmp_path / f"{m}.h5", frame_rows(rows, m), m) for m in ("audio", "video")}
        write_table(split, frame_split(segments), Assignment)
    network, training = NETWORKS[task], {**TRAINING[task], "epochs": 1, "resume_every_s": 0}
    arguments = train_arguments(tmp_path, task, split, stores, "run", network, training, labels)
    ran = set()

    def watch(frame, event, argument):
        code = frame.f_code
        if event == "call" and code.co_flags & inspect.CO_OPTIMIZED and code.co_filename.startswith(str(ROOT)):
            ran.add((code.co_filename, code.co_qualname.partition(".")[0]))

    sys.setprofile(watch)
    try:
        done = CliRunner().invoke(main, ["train", *arguments], catch_exceptions=False)
    finally:
        sys.setprofile(None)
    assert done.exit_code == 0, done.output
    modules_of = {str(ROOT / path): module for module, path in modules().items()}
    ours = {f"{modules_of[file]}:{name}" for file, name in ran if file in modules_of and name[0] != "<"}
    ours = {each for each in ours if each.partition(":")[0] not in digest.QUIET | STARTS}
    assert len(ours) > 50
    fusion = FUSIONS.load(NETWORKS[task]["fusion"])
    assert not ours - set(digest.used("models.train:train", fusion, "pipeline.store"))  # the store counts by its number


def test_digests_are_the_same_on_the_other_version_of_python():
    version = "3.12" if sys.version_info < (3, 12) else "3.11"
    call = [f"python{version}", "-c", "import json, sys; from pipeline import digest; "
            "print(json.dumps([digest.code(target) for target in sys.argv[1:]]))"]  # fmt: skip
    targets = sorted({*stages().values(), *plugs(), *modules()})
    environment = {**os.environ, "PYENV_VERSION": version}  # pyenv, where it is used, wants to be told
    try:
        done = subprocess.run([*call, *targets], cwd=ROOT, env=environment, capture_output=True, text=True)
    except FileNotFoundError:
        done = None
    if done is None or done.returncode == 127:
        pytest.skip(f"no python{version} on this machine")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [digest.code(target) for target in targets]
