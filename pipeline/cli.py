"""What every stage's command line shares: lazy commands, and errors that say what to do."""

import gc
import importlib
import json
import os
import platform
import re
import sys
import traceback
from pathlib import Path

import click

from pipeline.log import log_to_stderr
from pipeline.records import InputError

FULL = ("No space left on device", "Disk quota exceeded", "File too large")


class StageGroup(click.Group):
    """A group whose commands are imported when they are called: ``stages`` maps a name to (module:command, help)."""

    def __init__(self, *args, stages: dict[str, tuple[str, str]], **kwargs):
        super().__init__(*args, **kwargs)
        self.stages = stages

    def list_commands(self, context):
        """Names of the stages, in the order in which data flows."""
        return list(self.stages)

    def get_command(self, context, name):
        """Import and return one stage's command."""
        if name not in self.stages:
            return None
        module, _, attribute = self.stages[name][0].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def format_commands(self, context, formatter):
        """List the stages from the table alone, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.stages.items()])


def run(group: click.Group) -> None:
    """Run a command group: an expected error is one line, an unexpected one a sentence before its trace."""
    log_to_stderr()
    gc.set_threshold(10_000)  # or a seventh of importing torch and transformers goes into looking for garbage
    try:
        group(standalone_mode=False)
    except InputError as error:
        sys.exit(f"error: {error}")
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit("stopped by the user; run the same command again to go on")
    except Exception as error:
        if full := full_disk(error):
            _leave_full_disk(*full)
        if isinstance(error, OSError) and error.errno is not None:
            where = error.filename or "no file named"
            advice = "correct the path or its permissions"
            if isinstance(error, FileNotFoundError):
                advice = "correct the path, or let the workflow make the file first"
            sys.exit(f"error: {error.strerror}: {where}; {advice}, then run again")
        _unexpected()


def full_disk(error: Exception) -> tuple[str, str] | None:
    """What the system says of a full disk, and the file that did not fit; None where an error is another one."""
    full = next((text for text in FULL if text in str(error)), None)
    if full is None:
        return None
    named = re.search(r"filename = '([^']+)'", str(error))
    return full, named[1] if named else getattr(error, "filename", None) or "the disk that it writes to"


def _leave_full_disk(full: str, where: str):
    """Say so and leave at once: HDF5 would try again to write what did not fit, and crash."""
    print(f"error: {full}: {where}; make room, then run the same command again", file=sys.stderr, flush=True)
    os._exit(1)


def _unexpected():
    print(
        f"error: {' '.join(sys.argv[1:3])} stopped with an unexpected error. "
        "Run the same command again; if it fails again, report it with the lines below.",
        file=sys.stderr,
    )
    traceback.print_exc()
    sys.exit(1)


def there(context, parameter, root: Path) -> Path:
    """Return ``--root``; raise InputError, naming this machine, if it is empty or missing.

    A share that a node has not mounted must not look like a corpus whose videos are all missing.
    """
    if not root.is_dir() or not any(root.iterdir()):
        state = "an empty folder" if root.is_dir() else "not a folder"
        raise InputError(
            f"{parameter.opts[0]} {root}: on {platform.node()} this is {state}; "
            "make the corpus visible there by the same path, then run again"
        )
    return root


FILE = click.Path(dir_okay=False, path_type=Path)
FOLDER = click.Path(file_okay=False, path_type=Path)
EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)
EXISTING_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
task_option = click.option("--task", required=True, help="such as classes/segment or numbers/frame:valence,arousal")
results_option = click.option("--results", required=True, type=EXISTING_FOLDER, help="results/CORPUS")
segments_option = click.option("--segments", required=True, type=EXISTING, help="segments.tsv")
split_option = click.option("--split", required=True, type=EXISTING, help="splits/PROTOCOL.tsv")
folds_option = click.option("--folds", required=True, type=click.IntRange(1), help="number of folds, counted from 0")
merge_option = click.option(
    "--merge", default="{}", show_default=True, help='labels counted as another: \'{"exc": "hap"}\''
)
device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where a model runs.",
)


def options(*decorators):
    """Several options as one decorator, for commands that share them."""

    def decorate(command):
        for each in reversed(decorators):
            command = each(command)
        return command

    return decorate


root_option = click.option(
    "--root", type=click.Path(path_type=Path), required=True, callback=there, help="Folder of the corpus."
)
of_shard = options(
    root_option,
    click.option("--tables", type=FOLDER, required=True, help="Folder of units.tsv and segments.tsv."),
    click.option("--shard", required=True, help="Which recordings: the shard's name in these tables."),
)
plug_options = options(
    click.argument("name"),
    click.option("--options", default="{}", help="Its options as JSON."),
    click.option("--weights", type=click.Path(path_type=Path), help="Folder of the checkpoint, where it needs one."),
    device_option,
)


def parse_options(text: str, flag: str = "--options") -> dict:
    """A table from the command line; raises InputError where it is not a JSON object."""
    try:
        table = json.loads(text)
    except ValueError as error:
        raise InputError(f"{flag} {text!r} is not JSON ({error})") from None
    if not isinstance(table, dict):
        raise InputError(f"{flag} {text!r}: expected an object of names and values")
    return table
