"""README and docs as a reader types them: every block is run, planned, parsed or validated as it stands, from the top.

A shell block is one that is indented or says ``sh``; a settings block that begins with ``# NAME.yaml`` is that file.
"""

import itertools
import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas
import pytest
import soundfile
import yaml
from click.testing import CliRunner
from snakemake.cli import get_argument_parser

from affectflow.command import COMMANDS, group
from models.__main__ import main as models_stages
from pipeline.__main__ import main as pipeline_stages
from pipeline.corpora.readers.table.file import COLUMNS
from pipeline.records import Assignment, write_table
from tests.conftest import REPOSITORY
from tests.report_fixture import Fixture
from tests.test_iemocap import make_tree
from tests.training_material import class_split, emotional_turns, turn_rows, write_store
from tests.workflow_runs import snakemake
from workflow import overlay
from workflow.overlay import patch
from workflow.settings import check, resolve

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
STAGES = {"pipeline": pipeline_stages, "models": models_stages}
STARTS = {"report", "features", "weights"}  # commands of affectflow that become snakemake
ROOTS = {"/data": "data", "/shared/corpora": "data", "/home/me": "me"}  # folders of the reader, made by the fixture

# What cannot be typed here, by words of it, and why.
ELSEWHERE = {
    "git clone": "it needs the address of a clone",
    "pip install": "a scheduler's plugin that the lock does not hold",
    "--executor cluster-generic": "the same plugin",
    "sacct": "a cluster: tests/test_slurm.py starts one",
    "apiVersion": "Kubernetes",
    "watch": "a run under way; tests/test_progress.py has one",
    "weights verify": "checkpoints that were fetched; tests/test_weights.py has some",
    "check-recogniser pocketsphinx": "a sound of the reader's own; tests/test_recognisers.py runs it on speech",
    "affectflow predict": "a model that was trained; tests/test_apply.py trains some",
    "load_model": "the same",
}


@dataclass(frozen=True)
class Block:
    """A block of a page: where it begins, its language, and its lines without their indentation."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self):
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> list[list[str]]:
        """The words of each command of a shell block."""
        lines = self.text.replace("\\\n", " ").splitlines()
        here = [line for line in lines if line.strip() and not any(words in line for words in ELSEWHERE)]
        return [shlex.split(part, comments=True) for line in here for part in line.split(" && ")]


def blocks(page: Path) -> list[Block]:
    """Every fenced and every indented block of a page."""
    out, lines = [], page.read_text(encoding="utf-8").splitlines() + [""]
    k = 0
    while k < len(lines):
        fence = re.fullmatch(r"( *)```(\w*)", lines[k])
        start = k
        if fence:
            k = next(n for n in range(k + 1, len(lines)) if lines[n] == f"{fence[1]}```")
            text = [line.removeprefix(fence[1]) for line in lines[start + 1 : k]]
            out.append(Block(page.name, start + 1, fence[2], "\n".join(text) + "\n"))
        elif lines[k].startswith("    ") and not lines[k - 1].strip():
            while lines[k].startswith("    "):
                k += 1
            out.append(Block(page.name, start + 1, "sh", "\n".join(line.strip() for line in lines[start:k]) + "\n"))
        k += 1
    return out


BLOCKS = [block for page in PAGES for block in blocks(page)]
TYPED = [b for b in BLOCKS if b.language == "sh" or not any(words in b.text for words in ELSEWHERE)]
SETTINGS = {m[1]: b.text for b in BLOCKS if b.language == "yaml" and (m := re.match(r"# (\w+\.yaml)\n", b.text))}


def own(text: str, folder: Path) -> str:
    """A block whose paths of the reader's machine lie in ``folder``."""
    for root, here in ROOTS.items():
        text = re.sub(rf"(?<![\w/]){root}(?=/)", str(folder / here), text)
    return text


@pytest.fixture(scope="module")
def machine(tmp_path_factory) -> Path:
    """A reader's folder: plugs and settings as printed, a table of sounds, two dialogs of IEMOCAP, a finished run."""
    folder = tmp_path_factory.mktemp("reader")
    for name in ("me", "data/mine", "data/talks", "data/moods", "data/mosei", "data/MELD.Raw"):
        (folder / name).mkdir(parents=True)
    for block in BLOCKS:
        plug = re.search(r"^class (\w+)\((Corpus|Extractor|Fusion|Recogniser)\)", block.text, re.M)
        if block.language == "python" and plug and not (path := folder / "me" / f"{plug[1].lower()}.py").exists():
            path.write_text(block.text)
    (folder / "data" / "openface.csd").touch()
    for name, text in SETTINGS.items():
        (folder / name).write_text(own(text, folder))
    shutil.copy(REPOSITORY / "config.yaml", folder)
    table = next(b.text for b in BLOCKS if b.language == "csv" and b.page == "corpora.md")
    (folder / "data" / "talks" / "labels.csv").write_text(table)
    (folder / "data" / "mosei" / "labels.csv").write_text("video,start_s,end_s,speaker,Sentiment_score\n")
    rows = ["audio,speaker,label,text"]
    for k in range(12):
        soundfile.write(folder / "data" / "mine" / f"{k}.wav", np.full(8000, 0.1), 16_000)
        rows.append(f"{k}.wav,s{k // 3},{'ab'[k % 2]},so it is")
    (folder / "data" / "mine" / "labels.csv").write_text("\n".join(rows) + "\n")
    release = folder / "data" / "IEMOCAP_full_release"
    for dialog, (n, label) in itertools.product(("Ses01F_impro01", "Ses02M_impro01"), enumerate(("neu", "ang", "hap"))):
        turns = [(f"{dialog}_{who}00{k}", 2.0 * k, 2.0 * k + 1, label, "Hello.") for who in "FM" for k in range(3)]
        make_tree(
            release, f"{dialog[:-1]}{n + 1}", [(t[0].replace(dialog, f"{dialog[:-1]}{n + 1}"), *t[1:]) for t in turns]
        )
    return folder


@pytest.fixture(scope="module")
def finished(machine) -> Path:
    """The same folder with the results of a run on IEMOCAP."""
    Fixture(machine / "results", "iemocap", size=20)
    shutil.copytree(machine / "results", machine / "other" / "results")
    shutil.copy(machine / "results/iemocap/splits/session.tsv", machine / "results/iemocap/splits/scenario.tsv")
    files = sorted((machine / "results/iemocap/runs/self-A+V+T").glob("*/predictions.parquet"))
    pandas.concat(map(pandas.read_parquet, files)).query("part == 'test'").to_csv(machine / "theirs.csv")
    return machine


def arguments(words: list[str]):
    """What Snakemake understands of a command line; raises ValueError where it does not."""
    try:
        return get_argument_parser().parse_args(words)
    except SystemExit:
        raise ValueError(f"snakemake {shlex.join(words)}: this it does not understand") from None


def started(words: list[str], monkeypatch) -> list[str]:
    """The command line of snakemake that ``affectflow report`` and its like become."""
    became = []
    monkeypatch.setenv("PYTHONSAFEPATH", "1")  # as it sets it, but not for the tests after this
    monkeypatch.setattr("workflow.launch.os.execv", lambda _, line: became.extend(line))
    invoke(group, words)
    return became[3:]


def invoke(command, words: list[str]) -> None:
    done = CliRunner().invoke(command, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output


def type_in(words: list[str], monkeypatch) -> None:
    """Run one command of a shell block; of what starts the workflow, its command line alone (see the plans below)."""
    match words:
        case ["snakemake", *rest]:
            arguments(rest)
        case ["affectflow", name, *rest] if name in STARTS:
            arguments(started([name, *rest], monkeypatch))
        case ["affectflow", *rest]:
            invoke(group, rest)
        case ["python", "-m", package, *rest]:
            invoke(STAGES[package], rest)
        case ["make", *targets]:
            subprocess.run(["make", "-n", *targets], cwd=REPOSITORY, check=True, capture_output=True)
        case ["source", ".venv/bin/activate"]:
            assert {"activate", "affectflow", "snakemake"} <= {p.name for p in Path(sys.executable).parent.iterdir()}
        case _:
            raise AssertionError(f"not typed here, nor listed in ELSEWHERE: {words}")


@pytest.mark.parametrize("block", [b for b in TYPED if b.language == "sh"], ids=str)
def test_shell_lines_can_be_typed(block, finished, monkeypatch):
    monkeypatch.chdir(finished)
    for words in block.commands:
        type_in([own(word, finished) for word in words], monkeypatch)


def test_commands_that_cannot_run_here_are_commands(monkeypatch):
    """Of those in ELSEWHERE, the command of ours and its options; names that the reader fills in may be any file."""
    monkeypatch.setattr("click.Path.convert", lambda self, value, *_: Path(value))
    lines = [line for b in BLOCKS if b.language == "sh" for line in b.text.replace("\\\n", " ").splitlines()]
    ours = [shlex.split(line, comments=True) for line in lines if line.startswith("affectflow ")]
    checked = [words for words in ours if any(there in " ".join(words) for there in ELSEWHERE)]
    for words in checked:
        at, rest = group, words[1:]
        while rest and hasattr(at, "get_command"):
            context = at.make_context(at.name, list(rest[:1]), resilient_parsing=True)
            at, rest = at.get_command(context, rest[0]), rest[1:]
            assert at is not None, words
        at.make_context(at.name, rest)
    assert len(checked) == 4


@pytest.mark.parametrize("block", [b for b in TYPED if b.language == "yaml"], ids=str)
def test_settings_are_taken_over_config_yaml(block, machine):
    path = machine / "laid_over.yaml"
    path.write_text(own(block.text, machine))
    overlay.read_layers([REPOSITORY / "config.yaml", path])
    base = yaml.safe_load((REPOSITORY / "config.yaml").read_text(encoding="utf-8"))
    config = patch(base, yaml.safe_load(path.read_text()))
    for name in check(config).plain.corpora:
        resolve(check(config), name)
    assert check(config).plain != check(base).plain, "it changes nothing"


@pytest.mark.parametrize("block", [b for b in TYPED if b.language == "python"], ids=str)
def test_python_runs(block, finished, monkeypatch):
    monkeypatch.chdir(finished)
    exec(compile(block.text, str(block), "exec"), {"__name__": "typed"})


def test_the_notebook_learns_what_was_put_into_a_store(tmp_path, monkeypatch):
    """On noise whose mean the label tells, ten lines of own code are far above chance on people they never heard.

    The results are those of the demonstration, by names, where a run on the corpus has left its split, too. A kernel
    starts in the folder of its notebook.
    """
    turns = emotional_turns()
    config = yaml.safe_load((REPOSITORY / "config.yaml").read_text(encoding="utf-8"))
    protocol = resolve(check(config), "iemocap").protocol
    for name in ("docs", "results/iemocap/features", "results/iemocap/splits"):
        (tmp_path / name).mkdir(parents=True)
    write_store(tmp_path / "results/iemocap/features/wav2vec2.h5", turn_rows(turns, "audio"), "audio")
    write_table(tmp_path / f"results/iemocap/splits/{protocol}.tsv", class_split(turns, protocol), Assignment)
    (tmp_path / "results/iemocap/splits/utterance.tsv").touch()
    monkeypatch.chdir(tmp_path / "docs")
    cells = json.loads((REPOSITORY / "docs" / "features.ipynb").read_text(encoding="utf-8"))["cells"]
    codes, names = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"], {}
    for code in codes:
        exec(compile(code, "features.ipynb", "exec"), names)
    assert names["score"] > 0.6
    assert len(codes[2].splitlines()) == 10
    assert not any(cell.get("outputs") for cell in cells)
    assert "pip install notebook" in "".join(cells[0]["source"]), "the lock has none"


def test_every_block_says_what_it_is():
    assert {b.language for b in BLOCKS} == {"sh", "yaml", "python", "csv", "text"}
    for words in ELSEWHERE:
        assert any(words in b.text for b in BLOCKS), f"{words!r} stands nowhere any more"


# What snakemake would do: a dry run for each choice of settings, with all targets that are typed with it.


def plans() -> dict[str, set[str]]:
    """The options that matter to a plan, to all targets that README and docs make with them."""
    blocks_have = [words[1:] for b in BLOCKS if b.language == "sh" for words in b.commands if words[0] == "snakemake"]
    text_has = re.findall(r"`snakemake ([^`\n]+)`", "".join(page.read_text(encoding="utf-8") for page in PAGES))
    out: dict[str, set[str]] = {}
    for words in [*blocks_have, *map(shlex.split, text_has)]:
        found = arguments(words)
        options = ["--workflow-profile", str(found.workflow_profile)] if found.workflow_profile else []
        options += ["--configfile", *map(str, found.configfile)] if found.configfile else []
        options += ["--config", *found.config] if found.config else []
        out.setdefault(shlex.join(options), set()).update(found.targets)
    return {options: targets for options, targets in out.items() if targets}


@pytest.mark.slow
@pytest.mark.parametrize("options", plans())
def test_what_snakemake_is_asked_for_can_be_planned(options, machine):
    words = [str(machine / word) if word in SETTINGS else word for word in shlex.split(options)]
    said = snakemake(machine, *sorted(plans()[options]), "--dry-run", "--quiet", "rules", *words)
    assert "This was a dry-run" in said


def test_other_schedulers_are_told_what_rules_ask_for():
    """Also of rules that ask for none of it: a resource without a default would be an error there."""
    rules = "".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "workflow" / "rules").glob("*.smk"))
    tables = re.findall(r"^ +resources:\n((?: +\w+=.*\n)+)", rules, re.M)
    asked = {name for table in tables for name in re.findall(r"^ +(\w+)=", table, re.M)}
    lines = [b.text for b in BLOCKS if "--executor cluster-generic" in b.text]
    assert len(lines) == 2
    for line in lines:
        given = re.search(r"--default-resources (.*?) --cluster", " ".join(line.split()))[1]
        assert set(re.findall(r"{resources\.(\w+)}", line)) == set(re.findall(r"(\w+)=", given)) == asked


def test_commented_lines_of_the_profile_name_rules():
    text = (REPOSITORY / "profiles" / "slurm" / "config.yaml").read_text(encoding="utf-8")
    files = [REPOSITORY / "Snakefile", *(REPOSITORY / "workflow" / "rules").glob("*.smk")]
    rules = set(re.findall(r"^ *(?:rule|use rule) (\w+)", "".join(p.read_text(encoding="utf-8") for p in files), re.M))
    named = re.findall(r"^#   (\w+): \{", text, re.M) + re.findall(r"^# set-threads: \{(\w+):", text, re.M)
    assert len(named) == 7
    assert set(named) <= rules | {"train"}  # whose name is drawn up by how many folds it trains
    assert yaml.safe_load(text)["retries"] == 2  # "each of the two retries", says cluster.md


# What stands in the text.


@pytest.mark.parametrize(
    "page", [*PAGES, REPOSITORY / "CONTRIBUTING.md", REPOSITORY / "CHANGELOG.md"], ids=lambda p: p.name
)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link, anchor in re.findall(r"\]\(([^)#:]*)#?([^)#:]*)\)", text):
        target = page.parent / link if link else page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.M)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, anchor


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_and_options_that_are_named_exist(page):
    text = " ".join(page.read_text(encoding="utf-8").split())
    for line in re.findall(r"`((?:affectflow|python -m (?:pipeline|models)) [^`]+)`", text):
        *program, name = re.match(r"(affectflow|python -m \w+) ([\w-]+)", line).groups()
        commands = group if program == ["affectflow"] else STAGES[program[0].split()[-1]]
        command = commands.get_command(None, name)
        assert command, line
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        assert set(re.findall(r" (--[\w-]+)", line)) <= known, line
        assert program != ["affectflow"] or name in COMMANDS


def test_the_table_of_the_readme_has_columns_that_mean_something():
    table = next(b.text for b in BLOCKS if b.language == "csv" and b.page == "README.md")
    header, *rows = (line.split(",") for line in table.splitlines())
    assert set(header) <= set(COLUMNS)
    assert {len(row) for row in rows} == {len(header)}


def test_the_readme_is_short():
    assert len(PAGES[0].read_text(encoding="utf-8").splitlines()) < 200


@pytest.mark.parametrize("plug", ["Extractor", "Fusion", "Recogniser", "Corpus"])
def test_a_plug_of_the_docs_has_ten_lines(plug):
    first = next(b.text for b in BLOCKS if b.page != "README.md" and f"({plug}):" in b.text)
    assert sum(bool(line.strip()) for line in first.splitlines()) <= 10


def test_the_extractor_of_the_readme_is_that_of_the_docs():
    """Which test_features_check runs, its numbers known beforehand."""
    first, second = (
        next(b.text for b in BLOCKS if b.page == page and "class Loudness" in b.text)
        for page in ("README.md", "extractors.md")
    )
    assert first == second


def test_models_that_are_named_exist_as_they_are_described():
    config = check(yaml.safe_load((REPOSITORY / "config.yaml").read_text(encoding="utf-8"))).plain
    text = (REPOSITORY / "docs" / "fusions.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(r\w*cma\w*)`", text.split("## Papers, code")[1].split("\n## ")[0]))
    assert {"rcma", "rjcma_published"} <= named <= set(config.models)
    assert config.models["rcma"].recursions == 3
    assert config.models["rjcma_published"].recursions == 2
    assert not any(config.models[name].separate_targets for name in named if name != "rjcma_published")
