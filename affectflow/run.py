"""Commands that start the workflow: they find the Snakefile, lay settings over config.yaml, and become snakemake."""

import os
import sys
from pathlib import Path

import click

from affectflow.home import HOME
from pipeline.records import InputError

PLACED = ("--cores", "-c", "--jobs", "-j", "--profile", "--workflow-profile", "--executor", "-e")  # say how many cores
PASSED_ON = {"ignore_unknown_options": True, "allow_interspersed_args": True, "help_option_names": ["--help"]}

_settings = click.option(
    "--config", "settings", multiple=True, metavar="FILE|KEY=VALUE",
    help="Settings laid over config.yaml: a file of some of its keys, or one key. CORPUS.yaml, if there, by itself.",
)  # fmt: skip
_rest = click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[SNAKEMAKE OPTIONS]...")


@click.command(context_settings=PASSED_ON)
@click.argument("corpus")
@_settings
@_rest
def report(corpus, settings, options):
    """Make results/CORPUS_report.html in this folder: everything that it takes, and nothing that is there already."""
    start(f"results/{corpus}_report.html", overlays(corpus, settings), options)


@click.command(context_settings=PASSED_ON)
@click.argument("corpus")
@_settings
@_rest
def features(corpus, settings, options):
    """Make the feature stores of CORPUS, and train nothing."""
    start(f"features_{corpus}", overlays(corpus, settings), options)


@click.command(context_settings=PASSED_ON)
@_settings
@_rest
def weights(settings, options):
    """Fetch the weights that the configuration names: all that needs the internet, and nothing else."""
    start("all_weights", settings, options)


def overlays(corpus: str, settings: tuple[str, ...]) -> tuple[str, ...]:
    """What is laid over config.yaml: what was given, or, where nothing was, CORPUS.yaml if this folder has one."""
    own = f"{corpus}.yaml"
    files = [given for given in settings if "=" not in given]
    return settings if files or not Path(own).is_file() else (own, *settings)


def command_line(target: str, settings: tuple[str, ...], options: tuple[str, ...]) -> list[str]:
    """The command line of snakemake; raises InputError for a file of settings that is not there.

    The target stands first and settings last: some options of snakemake take all words that follow.
    """
    files = [given for given in settings if "=" not in given]
    pairs = [given for given in settings if "=" in given]
    for path in files:
        if not Path(path).is_file():
            raise InputError(f"--config {path}: there is no such file; give a file of settings, or KEY=VALUE")
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
