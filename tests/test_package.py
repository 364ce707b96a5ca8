"""The project as others have it: one import and one command, from any folder, from a checkout or a wheel."""

import importlib
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from pydantic import TypeAdapter, ValidationError

import affectflow
from affectflow import new
from affectflow.command import COMMANDS, group
from pipeline.digest import imports, used
from pipeline.records import InputError
from tests.conftest import REPOSITORY
from tests.workflow_runs import outside
from workflow import home, launch
from workflow.options import CorpusName


@pytest.mark.parametrize("name", affectflow.__all__)
def test_every_name_is_what_its_module_defines(name):
    module, _, attribute = affectflow.NAMES[name].partition(":")
    assert attribute == name
    assert getattr(affectflow, name) is getattr(importlib.import_module(module), name)


def test_a_plug_that_imports_from_here_consists_of_what_it_uses_alone(tmp_path):
    """An extractor is not made anew because the datasets of training were edited."""
    modules = {}
    for source in ("affectflow", "pipeline.features.base"):
        plug = tmp_path / f"{source}.py"
        plug.write_text(f"from {source} import Extractor\n\n\nclass Mine(Extractor):\n    modality = 'audio'\n")
        modules[source] = {name for name in used(plug) if not name.startswith((str(tmp_path), "affectflow"))}
    assert modules["affectflow"] == modules["pipeline.features.base"]
    assert any(name.startswith("pipeline.features.base:") for name in modules["affectflow"])


def test_a_wrong_name_is_told_the_right_ones():
    with pytest.raises(AttributeError, match=r"has no 'Features'; it has .*FeatureStore"):
        affectflow.Features  # noqa: B018


def test_importing_loads_nothing_heavy_and_works_from_any_folder(tmp_path):
    code = "import sys{}; print(*sys.modules){}"
    bare = outside(tmp_path, sys.executable, "-c", code.format("", ""))
    done = outside(tmp_path, sys.executable, "-c", code.format(", affectflow", "; affectflow.FeatureStore"))
    assert done.returncode == 0, done.stderr
    added = {name.partition(".")[0] for name in {*done.stdout.split()} - {*bare.stdout.split()}}
    assert added - sys.stdlib_module_names == {"affectflow"}


@pytest.mark.parametrize("package", ["pipeline", "models"])
def test_nothing_below_knows_the_package_on_top(package):
    for path in (REPOSITORY / package).rglob("*.py"):
        module = ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
        assert not {name for name in imports(module) if name.startswith("affectflow")}, module


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name):
    done = CliRunner().invoke(group, [name, "--help"])
    assert done.exit_code == 0, (done.output, done.exception)
    assert "Usage:" in done.output


# What becomes of the arguments of `affectflow report`.


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_target_stands_first_and_settings_last(here):
    words = launch.command_line("results/iemocap_report.html", ("my.yaml", "scale=demo"), ("-n", "--cores", "3"))
    assert words[3:] == [
        *("results/iemocap_report.html", "--snakefile", str(REPOSITORY / "Snakefile"), "-n", "--cores", "3"),
        *("--configfile", "my.yaml", "--config", "scale=demo"),
    ]


@pytest.mark.parametrize("options", [(), ("-n",), ("--keep-going",)])
def test_all_cores_are_used_where_nothing_else_is_said(options):
    words = launch.command_line("all", (), options)
    assert words[words.index("--cores") + 1] == "all"


@pytest.mark.parametrize(
    "options", [("-c4",), ("-j", "4"), ("--cores=4",), ("--workflow-profile", "slurm"), ("--jobs", "9")]
)
def test_cores_are_left_to_whoever_names_them(options):
    assert "all" not in launch.command_line("target", (), options)


def test_settings_named_like_the_corpus_are_found(here):
    (here / "mine.yaml").write_text("corpora: {mine: {reader: table, root: .}}")
    (here / "other.yaml").write_text("corpora: {mine: {reader: table, root: /x}}")
    assert launch.overlays("mine", ()) == ("mine.yaml",)
    assert launch.overlays("mine", ("scale=demo",)) == ("mine.yaml", "scale=demo")
    assert launch.overlays("mine", ("other.yaml",)) == ("other.yaml",)
    assert launch.overlays("iemocap", ()) == ()


@pytest.mark.parametrize("given", ["mine", "mine.yaml"])
def test_a_corpus_may_be_called_by_its_file(here, given):
    (here / "mine.yaml").write_text("corpora: {mine: {reader: table, root: ., segments: t.csv}}")
    (here / "t.csv").write_text("audio,label,speaker\na.wav,x,s1\nb.wav,y,s2\n")
    for name in ("a.wav", "b.wav"):
        (here / name).touch()
    done = CliRunner().invoke(group, ["check", given])
    assert done.exit_code == 0, done.output
    assert "corpus       mine (" in done.output


@pytest.mark.parametrize("corpus", ["theirs", "--cores", "iemocap"])
def test_a_corpus_that_no_settings_name_is_refused_with_those_there_are(here, corpus):
    (here / "my.yaml").write_text("corpora: {iemocap: null, mine: {reader: table}}")
    with pytest.raises(InputError, match=f"no corpus '{corpus}', only affwild2, mine: name one first"):
        launch.overlays(corpus, ("my.yaml",))


def test_why_a_corpus_is_not_there_is_said(here):
    with pytest.raises(InputError, match=r"no corpus 'emo', .*; no emo\.yaml lies in this folder; `affectflow new"):
        launch.overlays("emo", ())
    for file in ("typo.yaml", "emo.yaml"):
        (here / file).write_text("corpus: {emo: {reader: table, root: .}}")
    for given, named in (((), "emo"), (("typo.yaml",), "typo")):
        with pytest.raises(InputError, match=rf"^{named}\.yaml: corpus: unknown key \(did you mean corpora\?\)"):
            launch.overlays("emo", given)


@pytest.mark.parametrize("text", [None, "corpora: [", "- a list"])
def test_settings_that_cannot_be_read_are_named(here, text):
    if text:
        (here / "my.yaml").write_text(text)
    with pytest.raises(InputError, match=r"my\.yaml: cannot be read as settings \(.*\w"):
        launch.overlays("iemocap", ("my.yaml",))


def test_weights_of_the_corpus_s_own_settings_are_fetched_and_of_a_demonstration_none(here, monkeypatch):
    started = []
    monkeypatch.setattr(launch, "start", lambda *words: started.append(words))
    said = CliRunner().invoke(group, ["weights", "iemocap"]).output
    assert re.match("nothing needs fetching: scale demo, as no root is set for iemocap; weights: demo:wav2vec2, ", said)
    assert started == []
    (here / "labels.csv").write_text("text,label,speaker\nOh well,happy,ann\nOh no,sad,bob\n")
    (here / "mine.yaml").write_text("corpora: {mine: {reader: table, root: ., segments: labels.csv}}")
    done = CliRunner().invoke(group, ["weights", "mine", "-n"])
    assert done.exit_code == 0, done.exception
    assert started == [("weights_mine", ("mine.yaml",), ("-n",))]


# `affectflow new`.


def test_new_settings_are_whole_and_never_overwritten(here):
    path = new.write("mine", "/data/it's mine: 50 %", here)
    assert yaml.safe_load(path.read_text()) == {
        "corpora": {"mine": {"reader": "table", "root": "/data/it's mine: 50 %", "segments": "labels.csv"}}
    }
    path.write_text("edited")
    with pytest.raises(InputError, match=r"mine\.yaml is there already"):
        new.write("mine", ".", here)
    assert path.read_text() == "edited"


def test_a_root_that_is_not_there_is_said(here):
    for name, root, says in (("mine", here, False), ("yours", here / "gone", True)):
        done = CliRunner().invoke(new.new, [name, "--root", str(root)])
        assert done.exit_code == 0
        assert (f"--root {root}: there is no such folder here; correct root in {name}.yaml" in done.stderr) == says


@pytest.mark.parametrize("name", ["my-corpus", "x" * 100])
def test_a_name_that_settings_take_can_be_given(here, name):
    assert TypeAdapter(CorpusName).validate_python(name) == name
    assert set(yaml.safe_load(new.write(name, ".", here).read_text())["corpora"]) == {name}


@pytest.mark.parametrize("name", ["weights", "demo", "logs", "benchmarks"])
def test_a_folder_of_all_corpora_names_none(here, name):
    with pytest.raises(InputError, match=f"results/{name} is shared by all corpora"):
        new.write(name, ".", here)
    with pytest.raises(ValidationError, match=f"results/{name} is shared by all corpora"):
        TypeAdapter(CorpusName).validate_python(name)


@pytest.mark.parametrize("name", ["on", "no", "null"])
def test_a_word_that_yaml_takes_for_another_thing_names_a_corpus(here, name):
    assert set(yaml.safe_load(new.write(name, ".", here).read_text())["corpora"]) == {name}


def test_a_corpus_that_config_yaml_has_is_given_its_root_alone(here):
    with pytest.raises(InputError, match=r"'iemocap' is in .*config.yaml already, so its root is enough") as error:
        new.write("iemocap", "/data/it's", here)
    lines = str(error.value).partition("into iemocap.yaml:\n")[2]
    assert yaml.safe_load(lines) == {"corpora": {"iemocap": {"root": "/data/it's"}}}
    with pytest.raises(InputError, match=r"'config' cannot name a corpus: a config.yaml stands for all settings"):
        new.write("config", ".", here)
    assert not list(here.iterdir())


@pytest.mark.parametrize("option", ["--configfile", "--configfile=more.yaml", "--configfiles", "-C"])
def test_settings_in_snakemake_s_own_way_are_refused_as_one_of_two_would_be_dropped(option):
    with pytest.raises(InputError, match="give settings as --config FILE"):
        launch.command_line("results/mine_report.html", ("mine.yaml",), ("--dry-run", option, "more.yaml"))


@pytest.mark.parametrize("name", ["", "9lives", "-a", "a/b", "my corpus", "größe", "x" * 101])
def test_a_name_that_paths_and_rules_would_not_take_is_refused(here, name):
    with pytest.raises(InputError, match="cannot name a corpus: take letters"):
        new.write(name, ".", here)
    assert not list(here.iterdir())


# The code that jobs run is that of the workflow that started them.


def test_a_workflow_of_another_checkout_is_refused(tmp_path):
    home.check_installed(REPOSITORY)
    with pytest.raises(InputError, match=r"run the code in .*start snakemake from the environment of the first"):
        home.check_installed(tmp_path)


def test_a_python_without_the_project_is_told_how_to_get_it(monkeypatch):
    monkeypatch.setattr(home, "installed_home", lambda: None)
    with pytest.raises(InputError, match=r"has no affectflow.*make .venv/installed"):
        home.check_installed(REPOSITORY)


def test_the_revision_is_that_of_the_code_and_of_no_repository_around_it(tmp_path, monkeypatch):
    git = ["git", "-C", str(REPOSITORY), "describe", "--always", "--abbrev=12", "--exclude=*"]
    commit = subprocess.run(git, capture_output=True, text=True).stdout.strip()
    assert home.revision().startswith(commit)
    monkeypatch.setattr(home, "HOME", REPOSITORY / "affectflow")  # inside of a repository, but not its top
    assert home.revision() == f"version {project()['version']}"


# The wheel.


def project() -> dict:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of this checkout, built offline by what the lock holds."""
    folder = tmp_path_factory.mktemp("wheel")
    uv = [str(Path(sys.executable).with_name("uv")), "build", "--wheel", "--offline", "--no-build-isolation"]
    done = subprocess.run(
        [*uv, "--python", sys.executable, "--out-dir", str(folder), str(REPOSITORY)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_the_wheel_holds_what_a_checkout_has(wheel):
    tracked = subprocess.run(["git", "-C", str(REPOSITORY), "ls-files"], capture_output=True, text=True, check=True)
    here = [name for name in tracked.stdout.splitlines() if (REPOSITORY / name).is_file()]
    code = re.compile(r"(affectflow|models|pipeline|workflow)/(?!rules/|report/)")
    beside = re.compile(r"Snakefile|config\.yaml|(configs|profiles|workflow/rules|workflow/report)/")
    expected = {name for name in here if code.match(name)}
    expected |= {f"affectflow/home/{name}" for name in here if beside.match(name)}
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert expected - held == set()
    assert not {name for name in held if name.startswith(("tests", "benchmarks", "docs"))}


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The bin folder of an empty environment with the wheel, which sees the packages of the lock, but no checkout."""
    folder = tmp_path_factory.mktemp("installed") / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    lock = Path(sys.prefix) / packages.relative_to(folder)
    linked = packages.parent / "lock"
    linked.mkdir()
    for path in lock.iterdir():
        if "affectflow" not in path.name:
            (linked / path.name).symlink_to(path)
    (packages / "lock.pth").write_text(str(linked))
    uv = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--offline", "--no-deps", "--quiet"]
    subprocess.run([*uv, "--python", str(folder / "bin" / "python"), str(wheel)], check=True)
    return folder / "bin"


@pytest.mark.slow
def test_the_installed_command_plans_the_demonstration_from_an_empty_folder(installed, tmp_path):
    (tmp_path / "models.py").write_text("raise SystemExit('a file of the user stood in for ours')")
    done = outside(tmp_path, str(installed / "affectflow"), "--help")
    assert "report" in done.stdout, done.stderr
    done = outside(tmp_path, str(installed / "affectflow"), "new", "mine")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "mine.yaml").is_file()
    done = outside(tmp_path, str(installed / "affectflow"), "report", "iemocap", "-n")
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-3000:]
    assert re.search(r"^html_report +1$", said, re.M)
    assert str(installed.parent) in said  # the configuration and the profile that came with the wheel
    assert str(REPOSITORY) not in said


@pytest.mark.slow
def test_a_table_of_sounds_becomes_a_report_in_a_folder_of_the_user(installed, tmp_path):
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__init__.py").write_text("raise SystemExit('a file of the user stood in for ours')")
    import numpy as np
    import soundfile

    rng, rows = np.random.default_rng(0), ["audio,speaker,label"]
    for k in range(32):
        pitch_hz, label = ((200, "low"), (900, "high"))[k % 2]
        tone = 0.3 * np.sin(2 * np.pi * (pitch_hz + 7 * k) * np.arange(16_000) / 16_000)
        soundfile.write(tmp_path / f"{k}.wav", tone + 0.01 * rng.standard_normal(16_000), 16_000)
        rows.append(f"{k}.wav,s{k // 8},{label}")
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    outside(tmp_path, str(installed / "affectflow"), "new", "mine")
    with (tmp_path / "mine.yaml").open("a") as settings:
        settings.write(
            "    extractors: {mfcc: {extractor: mfcc}, wav2vec2: null}\n"
            "    inputs: {audio: mfcc}\n"
            "    runs: {self: [A]}\n"
            "    contrasts: []\n"
            "    media_units: 32\n"
            "    training: {seeds: [1], epochs: 3}\n"
            "    training_job: run\n"
        )
    done = outside(tmp_path, str(installed / "affectflow"), "report", "mine")
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    html = (tmp_path / "results" / "mine_report.html").read_text()
    assert f"version {project()['version']}" in html
    scores = (tmp_path / "results" / "mine" / "tables" / "scores.csv").read_text()
    assert "balanced_accuracy" in scores

    given = ["--results", "results/mine", "--run", "self-A", "--out", "results/mine/models/self-A"]
    done = outside(tmp_path, str(installed / "affectflow"), "pack", *given)
    assert done.returncode == 0, done.stderr
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(tmp_path / "results" / "mine" / "models" / "self-A", elsewhere / "model")
    shutil.copy(tmp_path / "3.wav", elsewhere)
    done = outside(elsewhere, str(installed / "affectflow"), "predict", "model", "3.wav", "--out", "said")
    assert done.returncode == 0, done.stderr
    assert (elsewhere / "said" / "3.html").is_file()
    from affectflow import load_model

    there, here = pd.read_parquet(elsewhere / "said" / "3.parquet"), load_model(elsewhere / "model")
    pd.testing.assert_frame_equal(there, here.predict(elsewhere / "3.wav"), rtol=1e-6)


@pytest.mark.slow
def test_code_counts_the_same_installed_and_in_a_checkout(installed, tmp_path):
    ask = "from pipeline.digest import code; print(code('models.train'), code('models.report.command'))"
    there = outside(tmp_path, str(installed / "python"), "-c", ask)
    here = outside(tmp_path, sys.executable, "-c", ask)
    assert there.stdout == here.stdout != ""


@pytest.mark.slow
def test_an_installed_package_knows_its_home_and_version(installed, tmp_path):
    subprocess.run(["git", "init", "--quiet", str(installed.parent)], check=True)  # a repository of the user around it
    ask = "from workflow import home; print(home.HOME == home.installed_home(), home.HOME, home.revision(), sep='|')"
    done = outside(tmp_path, str(installed / "python"), "-c", ask)
    same, where, revision = done.stdout.strip().split("|")
    assert same == "True"
    assert Path(where) == _home(installed)
    assert revision == f"version {project()['version']}"


def _home(installed: Path) -> Path:
    return next(installed.parent.glob("lib/python*/site-packages/affectflow/home"))
