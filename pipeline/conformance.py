"""What every ``check-...`` command does: try a plug in several ways and say line by line what is wrong with it."""

import traceback
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

import click

from pipeline.records import InputError

Plug = TypeVar("Plug")
Checks = Mapping[str, Callable[[Plug], str]]
"""Each check by its title; it says what it found, or raises Wrong or InputError."""


class Wrong(Exception):
    """A check failed; the message says how."""


def verdicts(checks: Checks, plug: Plug) -> Iterator[tuple[str, str, bool]]:
    """Yield (title, what was found, whether it is good) of each check, in order."""
    for title, each in checks.items():
        try:
            yield title, each(plug), True
        except (Wrong, InputError) as error:
            yield title, str(error), False
        except Exception as error:  # a plug is anybody's code
            yield title, described(error), False


def described(error: Exception, file: str | None = None) -> str:
    """An error of a plug's code, and where: the last line of its ``file`` that it came through, else of any."""
    frames = traceback.extract_tb(error.__traceback__)
    at = [frame for frame in frames if file in (None, frame.filename)] or frames
    return f"{type(error).__name__}: {error} ({Path(at[-1].filename).name}, line {at[-1].lineno})"


def say(checks: Checks, plug: Plug, what: str) -> None:
    """Print a line for each check; raises InputError where any failed."""
    wrong = 0
    for title, message, good in verdicts(checks, plug):
        wrong += not good
        click.echo(f"{'ok   ' if good else 'WRONG'}  {title}: {message}")
    if wrong:
        raise InputError(f"{what}: {wrong} of {len(checks)} checks failed; see the lines marked WRONG")
