"""Commands that start the workflow: they find the Snakefile, lay settings over config.yaml, and become snakemake.

Settings are those that ``--config`` names; CORPUS.yaml of the folder where no file is named.
"""

import os
import sys
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.records import InputError
from workflow.home import HOME

if TYPE_CHECKING:
    from workflow.overlay import Layers

PLACED = ("--cores", "-c", "--jobs", "-j", "--profile", "--workflow-profile", "--executor", "-e")  # say how many cores
SETTINGS = ("--configfile", "--configfiles", "-C")  # in snakemake's own way, which would drop one of two
PASSED_ON = {"ignore_unknown_options": True, "allow_interspersed_args": True, "help_option_names": ["-h", "--help"]}

settings_option = click.option(
    "--config", "settings", multiple=True, metavar="FILE|KEY=VALUE",
    help="Settings laid over config.yaml: a file of some of its keys, or one key. CORPUS.yaml where no file is given.",
)  # fmt: skip
corpus_argument = click.argument("corpus", callback=lambda *given: given[-1].removesuffix(".yaml"))  # its file, too
_rest = click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[SNAKEMAKE OPTIONS]...")


@click.command(context_settings=PASSED_ON)
@corpus_argument
@settings_option
@_rest
def report(corpus, settings, options):
    """Make results/CORPUS_report.html in this folder: everything that it takes, and nothing that is there already."""
    start(f"results/{corpus}_report.html", overlays(corpus, settings), options)


@click.command(context_settings=PASSED_ON)
@corpus_argument
@settings_option
@_rest
def features(corpus, settings, options):
    """Make the feature stores of CORPUS, and train nothing."""
    start(f"features_{corpus}", overlays(corpus, settings), options)


@click.command(context_settings=PASSED_ON)
@corpus_argument
@settings_option
@_rest
def weights(corpus, settings, options):
    """Fetch the weights of CORPUS: all of it that needs the internet, and nothing else."""
    from workflow.corpora import Corpora

    laid_over = overlays(corpus, settings)
    one = Corpora(*configuration(laid_over))[corpus]
    sources = list(one.options.weight_sources)
    if all(source.startswith("demo:") for source in sources):
        why = f", as no root is set for {corpus}" if one.settings.synthetic else ""
        click.echo(f"nothing needs fetching: scale {one.settings.scale}{why}; weights: {', '.join(sources) or 'none'}")
    else:
        start(f"weights_{corpus}", laid_over, options)


def overlays(corpus: str, settings: tuple[str, ...]) -> tuple[str, ...]:
    """What is laid over config.yaml: what was given, or, where nothing was, CORPUS.yaml if this folder has one.

    Raises InputError where no file of settings names the corpus.
    """
    own = Path(f"{corpus}.yaml")
    if own.is_file() and not files(settings):
        settings = (str(own), *settings)
    found: dict = {}
    for file in (base(), *files(settings)):
        found |= corpora_of(file)
    if found.get(corpus) is None:
        from workflow.settings import check

        check(*configuration(settings))  # they may stand under a key that is none
        lies_here = "" if files(settings) else f"no {own} lies in this folder; "
        there = ", ".join(str(name) for name, entry in found.items() if entry is not None)
        raise InputError(
            f"there is no corpus {corpus!r}, only {there}: name one first, snakemake's options after it; "
            f"{lies_here}`affectflow new NAME` writes settings for a corpus of your own"
        )
    return settings


def base() -> str:
    """The config.yaml that settings are laid over: this folder's, or the one that comes with affectflow."""
    return "config.yaml" if Path("config.yaml").is_file() else str(HOME / "config.yaml")


def configuration(settings: tuple[str, ...]) -> tuple[dict, "Layers"]:
    """config.yaml with what was laid over it, as Snakemake lays it, and each of these alone.

    Files first, then single keys. Raises InputError as a run would.
    """
    from workflow.overlay import patch, read_layers

    layers = read_layers([base(), *files(settings)])
    layers += [(f"--config {given}", _key_and_value(given)) for given in keys(settings)]
    return reduce(patch, (table for _, table in layers)), layers


def _key_and_value(given: str) -> dict:
    """What KEY=VALUE says to Snakemake; raises InputError where that is nothing."""
    from snakemake.cli import parse_config

    try:
        return parse_config([given])
    except (AssertionError, ValueError) as error:
        raise InputError(f"{given}: cannot be read as settings ({error or 'it has no value'})") from None


def corpora_of(file: str) -> dict:
    """The corpora that a file of settings names; raises InputError where it is none."""
    from workflow.overlay import read

    found = read(file).get("corpora")
    return found if isinstance(found, dict) else {}  # whatever else it is, the workflow refuses


def files(settings: tuple[str, ...]) -> list[str]:
    """Those of the settings that are files."""
    return [given for given in settings if "=" not in given]


def keys(settings: tuple[str, ...]) -> list[str]:
    """Those of the settings that are single keys with their values."""
    return [given for given in settings if "=" in given]


def command_line(target: str, settings: tuple[str, ...], options: tuple[str, ...]) -> list[str]:
    """The command line of snakemake; raises InputError for an option that says settings in snakemake's way.

    The target stands first and settings last: some options of snakemake take all words that follow.
    """
    if own := next((option for option in options if option.partition("=")[0] in SETTINGS), None):
        raise InputError(f"{own}: give settings as --config FILE or --config KEY=VALUE, once for each")
    laid_over, pairs = files(settings), keys(settings)
    placed = any(option.partition("=")[0] in PLACED or option.startswith(("-c", "-j")) for option in options)
    return [
        *(sys.executable, "-m", "snakemake", target, "--snakefile", str(HOME / "Snakefile")),
        *options,
        *([] if placed else ["--cores", "all"]),
        *(["--configfile", *laid_over] if laid_over else []),
        *(["--config", *pairs] if pairs else []),
    ]


def start(target: str, settings: tuple[str, ...], options: tuple[str, ...]) -> None:
    """Become snakemake, in this folder."""
    arguments = command_line(target, settings, options)
    os.environ["PYTHONSAFEPATH"] = "1"  # a models.py in this folder must not stand in for ours
    sys.stdout.flush()
    os.execv(arguments[0], arguments)
