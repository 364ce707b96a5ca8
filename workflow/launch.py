"""Commands that start the workflow: they find the Snakefile, lay settings over config.yaml, and become snakemake.

Settings are those that ``--config`` names; CORPUS.yaml of the folder where no file is named.
"""

import os
import sys
from pathlib import Path

import click

from pipeline.names import close_to
from pipeline.records import InputError
from workflow.home import HOME

PLACED = ("--cores", "-c", "--jobs", "-j", "--profile", "--workflow-profile", "--executor", "-e")  # say how many cores
SETTINGS = ("--configfile", "--configfiles", "-C")  # in snakemake's own way, which would drop one of two
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
@click.argument("corpus")
@settings_option
@_rest
def weights(corpus, settings, options):
    """Fetch the weights of CORPUS: all of it that needs the internet, and nothing else."""
    from workflow.check import configuration
    from workflow.planned import Corpora

    laid_over = overlays(corpus, settings)
    one = Corpora(configuration(laid_over))[corpus]
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
    laid_over = [base(), *files(settings)]
    found: dict = {}
    for given in laid_over:
        found |= corpora_of(given)
    if found.get(corpus) is None:
        check_keys(laid_over)
        lies_here = "" if files(settings) else f"no {own} lies in this folder; "
        there = ", ".join(str(name) for name, entry in found.items() if entry is not None)
        raise InputError(
            f"there is no corpus {corpus!r}, only {there}: name one first, snakemake's options after it; "
            f"{lies_here}`affectflow new NAME` writes settings for a corpus of your own"
        )
    return settings


def check_keys(given: list[str]) -> None:
    """Raise InputError for a key of some files that is none of settings: corpora may stand under it by mistake."""
    from workflow.options import Config

    allowed = sorted(Config.model_fields)
    for file in given:
        for key in (key for key in read(file) if key not in allowed):
            meant = close_to(str(key), allowed)
            raise InputError(f"{file}: {key}: unknown key{meant}. Allowed: {', '.join(allowed)}")


def base() -> str:
    """The config.yaml that settings are laid over: this folder's, or the one that comes with affectflow."""
    return "config.yaml" if Path("config.yaml").is_file() else str(HOME / "config.yaml")


def read(given: str) -> dict:
    """What one of the settings says, a file or KEY=VALUE; raises InputError where it is neither."""
    import yaml

    from workflow.overlay import read as read_file

    key, equals, value = given.partition("=")
    if not equals:
        return read_file(given)
    try:
        return {key: yaml.safe_load(value)}
    except yaml.YAMLError as error:
        raise InputError(f"{given}: cannot be read as settings ({error})") from None


def corpora_of(given: str) -> dict:
    """The corpora that a file of settings names; raises InputError where it is none."""
    found = read(given).get("corpora")
    return found if isinstance(found, dict) else {}  # whatever else it is, the workflow refuses


def files(settings: tuple[str, ...]) -> list[str]:
    """Those of the settings that are files."""
    return [given for given in settings if "=" not in given]


def in_order(settings: tuple[str, ...]) -> list[str]:
    """The settings as Snakemake lays them over each other: files first, then single keys."""
    return sorted(settings, key=lambda given: "=" in given)


def command_line(target: str, settings: tuple[str, ...], options: tuple[str, ...]) -> list[str]:
    """The command line of snakemake; raises InputError for an option that says settings in snakemake's way.

    The target stands first and settings last: some options of snakemake take all words that follow.
    """
    if own := next((option for option in options if option.partition("=")[0] in SETTINGS), None):
        raise InputError(f"{own}: give settings as --config FILE or --config KEY=VALUE, once for each")
    laid_over = files(settings)
    pairs = in_order(settings)[len(laid_over) :]
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
