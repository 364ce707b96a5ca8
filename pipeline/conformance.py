"""What every ``check-...`` command does: try a plug in several ways and say line by line what is wrong with it."""

import traceback
from collections.abc import Callable, Iterator, Mapping
from inspect import getfile
from pathlib import Path
from typing import TypeVar

import click

from pipeline.records import InputError

Plug = TypeVar("Plug")
Checks = Mapping[str, Callable[[Plug], str]]
"""Each check by its title; it says what it found, or raises Wrong or InputError."""


class Wrong(Exception):
    """A check failed; the message says how."""


def verdicts(checks: Checks, plug: Plug, kind: type | None = None) -> Iterator[tuple[str, str, bool]]:
    """Yield (title, what was found, whether it is good) of each check, in order; ``kind`` is the class of the plug."""
    for title, each in checks.items():
        try:
            yield title, each(plug), True
        except (Wrong, InputError) as error:
            yield title, str(error), False
        except Exception as error:  # a plug is anybody's code
            yield title, described(error, getfile(kind) if kind else None), False


def described(error: Exception, file: str | None = None) -> str:
    """An error of a plug's code, and where: the last line of its ``file`` that it came through, else of any."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if file in (None, frame.filename)]
    at = (own or frames)[-1]
    where = "" if own else f", where {Path(str(file)).name} is called or its outcome is used"
    return f"{type(error).__name__}: {error} ({Path(at.filename).name}, line {at.lineno}{where})"


def say(checks: Checks, plug: Plug, what: str, kind: type) -> None:
    """Print a line for each check of a plug of class ``kind``; raises InputError where any failed."""
    wrong = 0
    earlier: dict[str, str] = {}  # by fault, the first check that found it: what crashes mostly does so in each
    for title, message, good in verdicts(checks, plug, kind):
        wrong += not good
        first = title if good else earlier.setdefault(message, title)
        shown = message if first == title else f"as above, under {first}"
        click.echo(f"{'ok   ' if good else 'WRONG'}  {title}: {shown}")
    if wrong:
        raise InputError(f"{what}: {wrong} of {len(checks)} checks failed; see the lines marked WRONG")
