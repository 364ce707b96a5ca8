"""Several results folders side by side: what differs in their configuration, and which scores moved.

No test is made here: the folders may differ in data, splits and much else, and the same item may train in one and be
tested in another. What is to be tested belongs in one configuration, as a planned contrast.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from models.evaluation.contrast import candidates, runs_of
from models.evaluation.statuses import Role
from models.report.charts import Axis
from models.report.gather import Results, read
from models.report.page import render_comparison
from models.report.runs import RunNames, in_order, names_of
from models.report.sections.provenance import versions
from models.report.sections.scores import Cells, collect, defined_below, of_protocol
from models.report.sections.verdict import in_words_of, not_by_group, short
from models.report.tables import Column, Table
from models.report.view import is_demonstration
from models.report.writing import Numbers, level, listing, missing
from models.settings import Settings
from pipeline.cli import EXISTING_FOLDER, FILE
from pipeline.files import replacing
from pipeline.log import log
from pipeline.records import InputError


@dataclass(frozen=True)
class Side:
    """One results folder: what it is called here, what it was configured with and what its runs score."""

    name: str
    results: Results
    cells: Cells
    runs: list[str]
    names: RunNames


def flat(value, path: str = "") -> Iterator[tuple[str, str]]:
    """The leaves of nested settings as (dotted key, text); a list is one leaf, and what is null is not there.

    Of a list of tables, as contrasts are, all of one question are a leaf under it; without questions each has a number.
    """
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        if all(isinstance(item, dict) and "question" in item for item in value):
            asked: dict[str, list[str]] = {}
            for item in map(dict, value):
                asked.setdefault(item.pop("question"), []).append(" ".join(map(str, item.values())))
            value = asked
        else:
            value = dict(enumerate(value))
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        yield path, ", ".join(map(str, value))
    elif value is not None:
        yield path, str(value)


def settings_of(side: Side) -> dict[str, str]:
    """All that was configured of a side: options of the corpus, models, and what the workflow adds."""
    settings = side.results.settings
    found = dict(flat(settings.options))
    found |= {f"models.{key}": value for key, value in flat(settings.models)}
    about = {"corpus": settings.corpus, "scale": settings.scale, "task": str(settings.task), "folds": settings.folds}
    return {**{key: str(value) for key, value in about.items()}, "protocol": str(settings.protocol.name), **found}


def _entry(key: str) -> str:
    """The model or extractor that a key is of; any other key is itself."""
    parts = key.split(".")
    return ".".join(parts[:2]) if parts[0] in ("models", "extractors") else key


def differing(sides: list[Side]) -> Table | None:
    """One row for each key of the configuration in which not all sides agree, and one for a model that not all have."""
    each = [settings_of(side) for side in sides]
    entries = [{_entry(key) for key in one} for one in each]
    rows = {}
    for key in dict.fromkeys(key for one in each for key in one):
        entry, values = _entry(key), [one.get(key) for one in each]
        if not all(entry in own for own in entries) and entry != key:
            key, values = entry, ["configured" if entry in own else None for own in entries]
        if len(set(values)) > 1:
            rows[key] = {"key": key, **{f"side{k}": value for k, value in enumerate(values)}}
    if not rows:
        return None
    columns = [Column("key", "Key", number=False)]
    columns += [Column(f"side{k}", side.name, number=False, css="prose small") for k, side in enumerate(sides)]
    return Table.of("configuration", "What differs in configuration", columns, list(rows.values()), kind="wide")


def material(sides: list[Side]) -> Table:
    """How much each side holds, and what it was computed with."""
    rows = []
    for side in sides:
        segments = side.results.segments
        infos = (info for run in side.runs for info in side.results.run_infos[run])
        software = versions(info["versions"] for info in infos)
        row = {"name": side.name, "title": side.results.settings.title, "runs": len(side.runs)}
        if segments is not None:
            row |= {"segments": segments["segment_id"].nunique(), "speakers": side.results.speakers}
        row["trainings"] = max((cell.runs for cell in side.cells.values()), default=None)
        rows.append({**row, "software": ", ".join(f"{k} {v}" for k, v in software.items()) or None})
    columns = [
        Column("name", "Folder", number=False),
        Column("title", "Corpus", number=False),
        Column("segments", "Segments"),
        Column("speakers", "Speakers"),
        Column("runs", "Runs"),
        Column("trainings", "Trainings of a run"),
        Column("software", "Software", number=False, css="small"),
    ]
    return Table.of("material", "What is compared", columns, rows)


def moved(sides: list[Side], metric: str) -> tuple[Table, Axis]:
    """The scores of each run on every side, those that moved most first; differences are from the first side."""
    numbers, first = Numbers(metric), sides[0]
    runs = dict.fromkeys(run for side in sides for run in side.runs)
    scored = [run for run in runs if any(side.cells.under(run, metric, metric) for side in sides)]
    rows = [_moved_row(run, sides, metric) for run in scored]
    rows.sort(key=lambda row: (row["most"] is None, -(row["most"] or 0)))
    columns = [Column("run", "Run", number=False)]
    for k, side in enumerate(sides):
        columns.append(Column.score(f"side{k}", side.name, numbers, sub=defined_below(f"side{k}", rows)))
    over = f"Change from {first.name}"
    columns += [Column(f"moved{k}", s.name, numbers.difference, over=over) for k, s in enumerate(sides) if k]
    table = Table.of(
        f"moved_{metric}",
        f"{numbers.title}: mean ± standard deviation over trainings",
        columns,
        rows,
        note="The runs that moved most come first; those without this score are left out. A dash: not there, or "
        "undefined in some training.",
        kind="wide many" if len(sides) > 4 else "wide",  # the dots of a row stand one below the other
        plot="Scores as a chart",
    )
    return table, Axis.covering([mean for row in rows for _, mean in row["means"]], 5)


def _either(names: Iterable[str]) -> str:
    """What several sides call one thing: each name, where they differ."""
    return " / ".join(dict.fromkeys(names))


def _moved_row(run: str, sides: list[Side], metric: str) -> dict[str, Any]:
    """One run's means on every side where it is there, and by how much they differ from the first side's."""
    found = [side.cells.get((run, metric)) for side in sides]
    means = [(k, cell.mean) for k, cell in enumerate(found) if cell]
    row: dict[str, Any] = {"run": _either(s.names.run(run) for s in sides if run in s.runs), "means": means}
    for k, side in enumerate(sides):
        row |= side.cells.under(run, metric, f"side{k}")
    changes = {f"moved{k}": mean - found[0].mean for k, mean in means if k and found[0]}
    return {**row, **changes, "most": max(map(abs, changes.values()), default=None)}


def verdicts(sides: list[Side]) -> Table | None:
    """The verdict on each planned contrast of every side, which is one whatever b was chosen; None without any."""
    rows: dict[tuple, dict] = {}
    for k, side in enumerate(sides):
        table = side.results.tables["significance"]
        for row in table[table["role"] == Role.PLANNED].to_dict("records"):
            name, among = side.names.run, sorted(candidates(row))
            of = rows.setdefault((row["question"], row["a"], *among), {"question": row["question"], "pairs": []})
            of["pairs"].append(f"{name(row['a'])} against {side.names.side(' '.join(among))}")
            if missing(row["difference"]):
                of[f"side{k}"] = "not tested"
                continue
            of[f"side{k}"] = short(row)
            numbers, settings = Numbers(str(row["metric"])), side.results.settings
            between = numbers.interval(row["ci_low"], row["ci_high"])
            by = f"{numbers.words} {numbers.difference(row['difference'])}"
            by += f" ({level(settings.alpha)} interval {between})" if between else ""
            taken = [f"chosen: {listing([name(run) for run in runs_of(row['b'])])}"] if len(among) > 1 else []
            of[f"side{k}_by"] = "; ".join([by, *taken, *not_by_group(in_words_of(row, settings), settings.alpha)])
    if not rows:
        return None
    for of in rows.values():
        of["pair"] = _either(of["pairs"])
    columns = [Column("pair", "Contrast", number=False, sub="question")]
    columns += [Column(f"side{k}", s.name, number=False, sub=f"side{k}_by") for k, s in enumerate(sides)]
    note = "First minus second; of what is in per cent, in points."
    return Table.of("verdicts", "Verdicts", columns, list(rows.values()), note=note)


def read_sides(folders: list[Path]) -> list[Side]:
    """Read the folders; raises InputError where one has no scores, or is given twice."""
    if len({folder.resolve() for folder in folders}) < max(2, len(folders)):
        raise InputError(f"{', '.join(map(str, folders))}: give two or more results folders, each once")
    sides = []
    for folder, name in zip(folders, _short(folders)):
        results = read(folder, Settings.from_json(folder / "config.json"))
        settings, table = results.settings, results.tables["scores"]
        if table.empty:
            raise InputError(f"{folder}: has no tables/scores.csv; run the workflow there first")
        table = of_protocol(table, settings.protocol.name)
        runs = in_order(table["run"], settings.runs)
        sides.append(Side(name, results, collect(table), runs, names_of(settings)))
    return sides


def _short(folders: list[Path]) -> list[str]:
    """The shortest ends of the paths by which all can be told apart, without what all end with."""
    parts = [folder.resolve().parts for folder in folders]
    while len({own[-1] for own in parts}) == 1:
        parts = [own[:-1] for own in parts]
    ends = (["/".join(own[-length:]) for own in parts] for length in range(1, max(map(len, parts)) + 1))
    return next(names for names in ends if len(set(names)) == len(names))


def build(sides: list[Side]) -> dict:
    """What the page of the comparison shows."""
    metrics = dict.fromkeys(side.results.settings.metric for side in sides)
    shown = [(metric, *moved(sides, metric)) for metric in metrics]
    tasks = {str(side.results.settings.task) for side in sides}
    return {
        "sides": sides,
        "title": f"What changed between {listing([side.name for side in sides])}?",
        "material": material(sides),
        "configuration": differing(sides),
        "moved": [(metric, table, axis) for metric, table, axis in shown if table.rows],
        "verdicts": verdicts(sides),
        "other_tasks": len(tasks) > 1,
        "demonstration": any(is_demonstration(side.results) for side in sides),
    }


@click.command("compare-reports")
@click.argument("folders", nargs=-1, required=True, type=EXISTING_FOLDER)
@click.option("--out", required=True, type=FILE, help="the HTML file to write")
def compare_reports(folders, out):
    """Set several results folders side by side: what differs in configuration, which scores moved."""
    page = render_comparison(build(read_sides(list(folders))))
    with replacing(out) as temporary:
        temporary.write_text(page, encoding="utf-8")
    log.info("%s: %d folders", out, len(folders))
