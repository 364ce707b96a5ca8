"""Tables as LaTeX, and a document of all of them: in the style of booktabs, cut to what fits between the margins.

A table that is wider or longer than a page comes in parts, each with the column that heads the rows. What stands small
below a value on the page is a line of its own here, and long text is broken into lines.
"""

import math
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import groupby, zip_longest
from unicodedata import east_asian_width

from models.report.tables import Column, Table
from models.report.writing import MINUS

LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$"}
LATEX |= {c: f"\\{c}" for c in "&%$#_{}"}
LATEX |= {MINUS: "$-$", "±": r"$\pm$", "×": r"$\times$", "–": "--", "\u202f": r"\,", "\u00a0": "~", "’": "'"}
LATEX |= {c: f"{{{c}}}" for c in "[*"}  # which \\ in front of a row would take for its own
LATEX |= {"“": "``", "”": "''", "…": r"\dots{}", "Δ": r"$\Delta$"}
BREAK = r"\allowbreak{}"

PACKAGES, LETTERS = r"\usepackage{array,booktabs}", r"\usepackage[T1]{fontenc}"
OTHER = re.compile("[^\0-\x7f¡£«»¿À-ÖØ-öø-ĥĨ-ķĹ-ľŁ-ňŊ-ťŨ-žȘ-ț–—‘-‚“-„…‰‹›]")  # what the fonts of T1 lack
SIZE, SMALLER = r"\footnotesize\setlength{\tabcolsep}{3pt}", r"\scriptsize"
LINE, HALF_LINE = 80, 56  # digits of that size across a page of an article, and across one of two columns
GAP = 1.5  # digits that a column's margins take
LONG = 18  # digits from which text is broken into lines
LINES = 44  # rows of a table on a page
DIGITS = {**dict.fromkeys(".,:;!'|il", 0.55), **dict.fromkeys(" ()[]/-frstj\u202f", 0.75)}
DIGITS |= {**dict.fromkeys("mw%+<>=±×−ΔABCDEFGHIJKLMNOPQRSTUVWXYZ", 1.5), **dict.fromkeys("bdhknpquvxy_", 1.1)}
"""How many digits wide a character is; others are as wide as one."""


@cache
def latex(text: str) -> str:
    """A text with everything escaped that LaTeX would take for itself; in long names a line may end."""
    words = []
    for word in text.split(" "):
        parts = re.findall(r"[^/@:_.-]{1,8}[/@:_.-]*|[/@:_.-]+", word) if len(word) > LONG else [word]
        words.append(BREAK.join("".join(LATEX.get(c, c) for c in part) for part in parts))
    return " ".join(words)


def as_latex(table: Table, label: str, demonstration: bool = False) -> str:
    """The table as a float, or as one for each part of it that fits on a page."""
    parts = [part for columns in _abreast(table) for part in _pages(columns)]
    out: list[str] = []
    for number, part in enumerate(parts, start=1):
        of = f", part {number} of {len(parts)}" if len(parts) > 1 else ""
        caption = latex(f"{'DEMONSTRATION, not a result. ' if demonstration else ''}{table.title}{of}.")
        about = _about(table) if number == len(parts) else []
        out += _float(part, caption, label if number == 1 else f"{label}-{number}", about)
    text = "".join(out)
    return "\n".join([f"% needs {packages(text)}", *other_script(text), *out]) + "\n"


def other_script(text: str) -> list[str]:
    """The comment on a text that pdflatex stops at; none on another."""
    said = "% has characters that pdflatex does not know: take xelatex or lualatex, and a font of them"
    return [said] if OTHER.search(text) else []


def packages(text: str) -> str:
    """What a text needs: fonts of more letters than ASCII has only where it has such, and pdflatex knows them all."""
    return PACKAGES if text.isascii() or OTHER.search(text) else LETTERS + PACKAGES


def _packed(sizes: Sequence[float], most: float) -> list[list[int]]:
    """Cut a sequence into the fewest runs of at most ``most`` each, as even as can be; gives the places of each run."""

    def cut(limit: float) -> list[list[int]]:
        runs: list[list[int]] = []
        left = 0.0
        for place, size in enumerate(sizes):
            if not runs or size > left:
                runs.append([])
                left = limit
            runs[-1].append(place)
            left -= size
        return runs

    while most > 1 and len(cut(most - 1)) == len(cut(most)):
        most -= 1
    return cut(most)


@cache
def _width(text: str) -> int:
    """About how many digits wide a text is."""
    return math.ceil(sum(DIGITS.get(c, 2 if east_asian_width(c) in "WF" else 1) for c in text))


def _wanted(table: Table) -> dict[str, int]:
    """The width of the longest line in each column: of a heading the longest word, as others begin a new line."""
    out = {}
    for c in table.columns:
        lines = [*c.head.split(), *(text for row in table.rows for text in (_cell(c, row), c.below(row)))]
        out[c.key] = max(map(_width, lines), default=1)
    return out


def _given(table: Table) -> dict[str, int]:
    """The width that each column gets: columns of long text share what the others leave of the page."""
    wanted = _wanted(table)
    given = {key: min(length, LONG) for key, length in wanted.items()}
    long = sorted((key for key in given if wanted[key] > LONG), key=wanted.get)
    for k, key in enumerate(long):
        left = max(0, int(LINE - sum(given.values()) - GAP * len(given)))
        given[key] = min(wanted[key], given[key] + left // (len(long) - k))
    return given


def _abreast(table: Table) -> list[Table]:
    """The columns in parts that fit between the margins, each behind the first.

    Columns under a shared heading stay together where they fit; else the heading comes again in each part.
    """
    first, *others = table.columns
    needs = {key: min(length, LONG) + GAP for key, length in _wanted(table).items()}
    room, together = LINE - needs[first.key], []
    for _, group in groupby(others, key=lambda c: c.over or c.key):
        columns = list(group)
        together += [[columns[k] for k in run] for run in _packed([needs[c.key] for c in columns], room)]
    runs = _packed([sum(needs[c.key] for c in columns) for columns in together], room)
    return [replace(table, columns=(first, *(c for k in run for c in together[k]))) for run in runs] or [table]


def _pages(table: Table) -> list[Table]:
    """The rows in parts that fit on a page, each under the heading of its group."""
    given = _given(table)
    rows = [(k, row) for k, group in enumerate(table.groups) for row in group.rows]
    heights = []
    for _, row in rows:
        upper = max(-(-_width(_cell(c, row)) // given[c.key]) for c in table.columns)
        lower = max(-(-_width(c.below(row)) // given[c.key]) for c in table.columns)
        heights.append(upper + (lower and lower + 0.5))
    parts = []
    for run in _packed(heights, LINES):
        part = [rows[place] for place in run]
        numbers = dict.fromkeys(k for k, _ in part)
        parts.append(tuple(replace(table.groups[n], rows=[row for k, row in part if k == n]) for n in numbers))
    return [replace(table, groups=groups) for groups in parts] or [table]


def _float(table: Table, caption: str, label: str, about: Sequence[str]) -> Iterator[str]:
    given, wanted = _given(table), _wanted(table)
    kind = "table*" if sum(given.values()) + GAP * len(given) > HALF_LINE else "table"
    paragraph = r">{\raggedright\arraybackslash}p"
    kinds = ["r" if c.number else "l" for c in table.columns]
    for place, c in enumerate(table.columns):
        if given[c.key] < wanted[c.key]:
            kinds[place] = f"{paragraph}{{{given[c.key] / 2:g}em}}"
    yield rf"\begin{{{kind}}}"
    yield rf"\centering{SIZE}"
    yield rf"\caption{{{caption}}}"
    yield rf"\label{{tab:{label}}}"
    yield rf"\begin{{tabular}}{{{''.join(kinds)}}}"
    yield r"\toprule"
    yield from _shared_heads(table, given)
    yield from _lines([textwrap.wrap(c.head, given[c.key], break_long_words=False) for c in table.columns])
    yield from _body(table)
    yield r"\bottomrule"
    yield r"\end{tabular}"
    yield from (rf"\par\smallskip{{{SMALLER} {text}\par}}" for text in about)
    yield rf"\end{{{kind}}}"


def _lines(heads: Sequence[Sequence[str]], write: Callable[[int, str], str] = lambda place, text: latex(text)):
    """Headings of several lines, a row for each line; all end in the last row."""
    upwards = list(zip_longest(*(lines[::-1] for lines in heads), fillvalue=""))
    for texts in upwards[::-1]:
        yield " & ".join(write(place, text) for place, text in enumerate(texts)) + r" \\"


def _shared_heads(table: Table, given: dict[str, int]) -> Iterator[str]:
    if not any(column.over for column in table.columns):
        return
    at, heads, rules = 0, [], []
    for over, width in table.spans:
        room = sum(given[c.key] for c in table.columns[at : at + width])
        heads.append(textwrap.wrap(over, room, break_long_words=False))
        rules += [rf"\cmidrule(lr){{{at + 1}-{at + width}}}"] if over else []
        at += width
    spans = [width for _, width in table.spans]
    yield from _lines(heads, lambda place, text: rf"\multicolumn{{{spans[place]}}}{{c}}{{{latex(text)}}}")
    yield " ".join(rules)


def _body(table: Table) -> Iterator[str]:
    for group in table.groups:
        yield r"\midrule"
        if group.title:
            words = f"{group.title} {group.sub}".strip()
            yield rf"\multicolumn{{{len(table.columns)}}}{{l}}{{\emph{{{latex(words)}}}}} \\"
        for row in group.rows:
            yield " & ".join(latex(_cell(column, row)) for column in table.columns) + r" \\"
            below = [latex(column.below(row)) for column in table.columns]
            if any(below):
                yield " & ".join(f"{{{SMALLER} {text}}}" if text else "" for text in below) + r" \\ \addlinespace"


def _cell(column: Column, row: dict) -> str:
    spread = column.spread(row)
    return column.text(row) + (f" ± {spread}" if spread else "")


def _about(table: Table) -> list[str]:
    """The note, and the remarks that cells number."""
    remarks = " ".join(f"{k}: {latex(text)}." for k, text in enumerate(table.remarks, start=1))
    return [text for text in (latex(table.note), remarks) if text]


def document(tables: Iterable[str], cites: bool, text: str = "") -> str:
    """A document that shows the methods paragraph, every table and the bibliography of a folder; all as ``text``."""
    lines = [
        *other_script(text),
        "% All that is in this folder: pdflatex preview; bibtex preview; pdflatex preview; pdflatex preview",
        "% Figures are SVG, which LaTeX takes as PDF: inkscape --export-type=pdf scores.svg",
        r"\documentclass{article}",
        r"\usepackage[utf8]{inputenc}",
        f"{packages(text)}  % what the tables need",
        r"\emergencystretch=3em",
        r"\begin{document}",
        r"\input{methods}",
        *(rf"\input{{{name}}}\clearpage" for name in tables),
        *([r"\bibliographystyle{plain}", r"\bibliography{references}"] if cites else []),
        r"\end{document}",
    ]
    return "\n".join(lines) + "\n"
