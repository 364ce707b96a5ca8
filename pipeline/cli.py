"""What every stage's command line shares: lazy commands, logging, progress, and errors that say what to do."""

import importlib
import logging
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from typing import TypeVar

import click

from pipeline.records import InputError

Item = TypeVar("Item")
log = logging.getLogger("affectflow")


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
        with formatter.section("Stages"):
            formatter.write_dl([(name, text) for name, (_, text) in self.stages.items()])


def run(group: click.Group) -> None:
    """Run a command group: an expected error is one line, an unexpected one a sentence before its trace."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    try:
        group(standalone_mode=False)
    except InputError as error:
        sys.exit(f"error: {error}")
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit("stopped by the user; run the same command again to go on")
    except OSError as error:
        if error.errno is None:
            _unexpected()
        where = error.filename or "no file named"
        sys.exit(f"error: {error.strerror}: {where}; free space or correct the permissions, then run again")

    except Exception:
        _unexpected()


def _unexpected():
    print(
        f"error: {' '.join(sys.argv[1:3])} failed in a way nobody foresaw. "
        "Run the same command again; if it fails again, report it with the lines below.",
        file=sys.stderr,
    )
    traceback.print_exc()
    sys.exit(1)


def progress(items: Iterable[Item], what: str, total: int | None = None, every_s: float = 15.0) -> Iterator[Item]:
    """Yield ``items`` under a bar on a terminal, under a plain log line every ``every_s`` seconds elsewhere."""
    total = len(items) if total is None and hasattr(items, "__len__") else total
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(items, desc=what, total=total, unit="")
        return
    begin_s = said_s = time.monotonic()
    count = 0
    for count, item in enumerate(items, start=1):
        yield item
        now_s = time.monotonic()
        if now_s - said_s >= every_s:
            said_s = now_s
            left = f", about {(now_s - begin_s) / count * (total - count):.0f} s left" if total else ""
            log.info("%s: %d%s%s", what, count, f" of {total}" if total else "", left)
    log.info("%s: %d done in %.1f s", what, count, time.monotonic() - begin_s)
