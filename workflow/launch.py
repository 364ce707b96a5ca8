"""Commands that start the workflow: they find the Snakefile, lay settings over config.yaml, and become snakemake.

Settings are those that ``--config`` names; CORPUS.yaml of the folder where no file is named.
"""

import os
import sys
from pathlib import Path

import click

from pipeline.records import InputError
from workflow.home import HOME

PLACED = ("--cores", "-c", "--jobs", "-j", "--profile", "--workflow-profile", "--executor", "-e")  # say how many cores
PASSED_ON = {"ignore_unknown_options": True, "allow_interspersed_args": True, "help_option_names": ["-h", "--help"]}

settings_option = click.option(
    "--config", "settings", multiple=True, metavar="FILE|KEY=VALUE",
    help="Settings laid over config.yaml: a file of some of its keys, or one key. CORPUS.yaml where no file is given.",
)  # fmt: skip
_rest = click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[SNAKEMAKE OPTIONS]...")


@click.command(context_settings=PASSED_ON)
@click.argument("corpus")
@settings_option
@_rest
def report(corpus, settings, options):
    """Make results/CORPUS_report.html in this folder: everything that it takes, and nothing that is there already."""
    start(f"results/{corpus}_report.html", overlays(corpus, settings), options)


@click.command(context_settings=PASSED_ON)
@click.argument("corpus")
@settings_option
@_rest
def features(corpus, settings, options):
    """Make the feature stores of CORPUS, and train nothing."""
    start(f"features_{corpus}", overlays(corpus, settings), options)


@click.command(context_settings=PASSED_ON)
@settings_option
@_rest
def weights(settings, options):
    """Fetch the weights that the configuration names: all that needs the internet, and nothing else."""
    start("all_weights", settings, options)


def overlays(corpus: str, settings: tuple[str, ...]) -> tuple[str, ...]:
    """What is laid over config.yaml: what was given, or, where nothing was, CORPUS.yaml if this folder has one.

    Raises InputError where no file of settings names the corpus.
    """
    own = Path(f"{corpus}.yaml")
    if own.is_file() and not _files(settings):
        settings = (str(own), *settings)
    found: dict = {}
    for given in (base(), *_files(settings)):
        found |= read(given).get("corpora") or {}
    if found.get(corpus) is None:
        there = ", ".join(name for name, entry in found.items() if entry is not None)
        raise InputError(
            f"there is no corpus {corpus!r}, only {there}: name one first, snakemake's options after it; "
            "`affectflow new NAME` writes settings for a corpus of your own"
        )
    return settings


def base() -> str:
    """The config.yaml that settings are laid over: this folder's, or the one that comes with affectflow."""
    return "config.yaml" if Path("config.yaml").is_file() else str(HOME / "config.yaml")


def read(given: str) -> dict:
    """What one of the settings says, a file or KEY=VALUE; raises InputError where it is neither."""
    import yaml

    key, equals, value = given.partition("=")
    try:
        found = yaml.safe_load(value if equals else Path(given).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{given}: cannot be read as settings ({reason})") from None
    if not equals and not isinstance(found or {}, dict):
        raise InputError(f"{given}: cannot be read as settings (it holds no keys with values)")
    return {key: found} if equals else found or {}


def _files(settings: tuple[str, ...]) -> list[str]:
    return [given for given in settings if "=" not in given]


def in_order(settings: tuple[str, ...]) -> list[str]:
    """The settings as Snakemake lays them over each other: files first, then single keys."""
    return sorted(settings, key=lambda given: "=" in given)


def command_line(target: str, settings: tuple[str, ...], options: tuple[str, ...]) -> list[str]:
    """The command line of snakemake.

    The target stands first and settings last: some options of snakemake take all words that follow.
    """
    files = _files(settings)
    pairs = in_order(settings)[len(files) :]
    placed = any(option.partition("=")[0] in PLACED or option.startswith(("-c", "-j")) for option in options)
    return [
        *(sys.executable, "-m", "snakemake", target, "--snakefile", str(HOME / "Snakefile")),
        *options,
        *([] if placed else ["--cores", "all"]),
        *(["--configfile", *files] if files else []),
        *(["--config", *pairs] if pairs else []),
    ]


def start(target: str, settings: tuple[str, ...], options: tuple[str, ...]) -> None:
    """Become snakemake, in this folder."""
    arguments = command_line(target, settings, options)
    os.environ["PYTHONSAFEPATH"] = "1"  # a models.py in this folder must not stand in for ours
    sys.stdout.flush()
    os.execv(arguments[0], arguments)
