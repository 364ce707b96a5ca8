"""Entries of BibTeX by their keys: those that come with affectflow, and those that plugs bring."""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

BIBLIOGRAPHY = Path(__file__).parent / "templates" / "references.bib"
KEY = re.compile(r"\s*@\w+\{\s*([^,\s]+)\s*,")


def entries(texts: Iterable[str]) -> dict[str, str]:
    """The texts that are entries, by their keys."""
    return {found.group(1): text.strip() for text in texts if (found := KEY.match(text))}


@cache
def bibliography() -> dict[str, str]:
    """The entries of references.bib."""
    return entries(BIBLIOGRAPHY.read_text(encoding="utf-8").split("\n\n"))
