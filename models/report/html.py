"""What every page shares: templates that escape, and what stands in a page in place of a file."""

import base64
import hashlib
from functools import cache
from pathlib import Path

import jinja2

from models.report import writing

TEMPLATES = Path(__file__).parent / "templates"


@cache
def environment(*others: Path) -> jinja2.Environment:
    """The report's templates, and before them those of ``others``.

    They escape whatever comes from a corpus or a recording, and stop at a name that nobody gave.
    """
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*others, TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["writing"] = writing  # how numbers are written, for every template
    return made


def script_digest(text: str) -> str:
    """A script or style as a content security policy names it."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def data_uri(kind: str, data: bytes) -> str:
    """Bytes as a URI that needs no file."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
