"""``affectflow new``: a settings file for one corpus, to be filled in."""

import re
from pathlib import Path

import click

from pipeline.records import InputError

TEMPLATE = """\
# Settings of the corpus {name}. They are laid over the config.yaml that comes with affectflow, which documents every
# key: a key that is given here replaces the one there, and all others keep their values.
#
#   affectflow report {name} --config scale=demo    the whole path in minutes, with small random networks
#   affectflow report {name}                        the real thing: results/{name}_report.html
#   affectflow features {name}                      the feature stores alone

corpora:
  "{name}":
    reader: table
    # The folder in which the paths of the table begin.
    root: {root}
    # A table (CSV or TSV) in that folder, a row for each segment. Needed are a file or
    # a text, and a label, numbers or an annotation:
    #   video, audio      the file, by its path in root
    #   start_s, end_s    which seconds of it; without them all of it
    #   segment_id        a name; without it made from the file's
    #   speaker           who speaks; without it each file is a speaker
    #   label             its class; or numbers: valence, arousal, dominance, or any other, which you
    #                     then name: task: numbers/segment:sentiment
    #   annotation        or a file of labels of each frame, by its path in root
    #   text              the words spoken
    #   part              training, development or test; without it folds are made
    segments: labels.csv

    # What config.yaml has under `defaults` holds here, too. Entries are added by a name, and taken out by null:
    # extractors:
    #   voice: {{extractor: prosody}}
    #   bert: null
"""


@click.command()
@click.argument("name")
@click.option("--root", default=".", show_default=True, help="Folder of the corpus.")
def new(name, root):
    """Write NAME.yaml, the settings of one corpus of your own, into this folder."""
    path = write(name, root, Path.cwd())
    if not Path(root).is_dir():
        click.echo(f"warning: --root {root}: there is no such folder here; correct root in {path.name}", err=True)
    click.echo(f"{path.name}: fill it in, then run `affectflow report {name}`")


def write(name: str, root: str, folder: Path) -> Path:
    """Write the settings file and return its path; raises InputError where the name cannot be used or is taken."""
    from workflow.launch import base, corpora_of
    from workflow.options import TAKEN

    if not re.fullmatch(r"[A-Za-z][\w-]{0,99}", name, re.ASCII):
        raise InputError(f"{name!r} cannot name a corpus: take letters, digits, _ and - (at most 100), first a letter")
    if name in TAKEN:
        raise InputError(f"{name!r} cannot name a corpus: results/{name} is shared by all corpora; choose another name")
    if name == "config":
        raise InputError("'config' cannot name a corpus: a config.yaml stands for all settings; choose another name")
    if name in corpora_of(base()):
        raise InputError(
            f"{name!r} is in {base()} already, so its root is enough; write these two lines into {name}.yaml:\n"
            f"corpora:\n  {name}: {{root: {_quoted(root)}}}"
        )
    path = folder / f"{name}.yaml"
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(TEMPLATE.format(name=name, root=_quoted(root)))
    except FileExistsError:
        raise InputError(f"{path} is there already; take another name, or remove it first") from None
    return path


def _quoted(text: str) -> str:
    """A path as YAML takes it whatever signs it holds."""
    return "'" + text.replace("'", "''") + "'"
