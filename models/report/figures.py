"""Single figures as SVG files: the marks of the page on a white ground, with labels, for papers and slides."""

import re
from dataclasses import dataclass
from functools import partial

import jinja2

from models.report.charts import BOX, path_data
from models.report.sections.verdict import BETTER, EQUIVALENT, REFUSED, UNDECIDED
from models.report.writing import Numbers, grouped, level

WIDTH_PX, LEFT_PX = 560, 56
KEY_PX, MARK_PX, LETTER_PX = 18, 30, 6.8  # sizes in a key: a row, a mark, a letter
ROW_PX, HEAD_PX = 26, 48
VERDICTS = {BETTER: "better", EQUIVALENT: "equivalent", UNDECIDED: "not decided", REFUSED: "no verdict"}


IN_PAGE = {"box": (BOX, BOX), "fit": path_data}
"""How lines are drawn in the page: in a box that stretches."""


@dataclass(frozen=True)
class FigureFile:
    """One figure that can be saved by itself."""

    name: str
    title: str
    svg: str


def resolved(style: str, charts: str) -> str:
    """The chart styles with the light colours put in place of their names: programs that draw SVG know no variables."""
    light = re.search(r":root \{(.*?)\}", style, re.DOTALL).group(1)
    colours = dict(re.findall(r"--([a-z-]+): ([^;]+);", light))
    return re.sub(r"var\(--([a-z-]+)\)", lambda match: colours[match.group(1)], charts)


def figure_files(view: dict, environment: jinja2.Environment) -> list[FigureFile]:
    """Every figure of the page as a file."""
    template = environment.get_template("figure.svg.j2")
    style, charts = (environment.loader.get_source(environment, name)[0] for name in ("report.css", "chart.css"))
    common = {"style": resolved(style, charts), "demonstration": view["demonstration"]}
    out = []
    for name, title, data in (*_rows(view), *_lines(view)):
        fit = partial(path_data, box=data["box"], decimals=1)
        key, top = _placed(data.pop("key"), data["width"])
        out.append(FigureFile(name, title, template.render(title=title, fit=fit, key=key, top=top, **common, **data)))
    if view["ranks"]:
        svg = environment.get_template("ranks.svg.j2").render(ranks=view["ranks"], file=True, **common, **IN_PAGE)
        out.append(FigureFile("ranks", "Runs by mean rank", svg))
    return out


def _placed(key: list[tuple[str, str, str]], width: float) -> tuple[list[tuple], int]:
    """Where the marks of a key stand, (x, y, shape, class, words) each, row by row, and how high all of it is."""
    out: list[tuple] = []
    x, y = 8.0, KEY_PX
    for mark in key:
        wide = MARK_PX + LETTER_PX * len(mark[-1]) + 14
        if x > 8 and x + wide > width:
            x, y = 8.0, y + KEY_PX
        out.append((x, y, *mark))
        x += wide
    return out, y + 10


def _rows(view: dict):
    if scores := view["scores"]:
        rows = []
        for group in scores.table.groups:
            rows += [{"heading": f"{group.title} {group.sub}".strip()}] if group.title else []
            rows += [{"label": row["model"], "row": row} for row in group.rows]
        numbers = Numbers(scores.metric)
        data = {"mark": "score", "metric": scores.metric, "chance": scores.chance, "axis": scores.axis}
        key = [("line", "whisker", "standard deviation")] if scores.trainings > 1 else []
        key += [("diamond", "", "published")] if scores.shown else []
        data["key"] = key + ([("line", "chance", "guessing")] if scores.chance is not None else [])
        yield "scores", numbers.title, _of_rows(rows, data, numbers.factor)
    if table := view["contrasts"]:
        rows = [{"label": f"{row['first']} {row['second']}", "row": row} for row in table.rows]
        data = {"mark": "contrast", "region": view["settings"].practical_region, "axis": view["forest"]}
        data |= {"left_words": "second better", "right_words": "first better"}
        verdicts, alpha = view["verdicts"], view["settings"].alpha
        named = {(kind, a.here): a.css for kind in VERDICTS for a in verdicts.answers if a.kind == kind}
        data["key"] = [("dot", css, VERDICTS[kind] + here) for (kind, here), css in named.items()]
        if verdicts.resampled:
            data["key"] += [("line", "interval", f"{level(alpha)} interval")]
            data["key"] += [("line", "interval inner", f"{level(2 * alpha)} interval")]
        data["key"].append(("box", "region", f"±{verdicts.numbers.region(verdicts.region)}"))
        yield "contrasts", table.title, _of_rows(rows, data, view["verdicts"].numbers.factor)


def _of_rows(rows: list[dict], data: dict, factor: float) -> dict:
    longest = max(len(row.get("label") or row["heading"]) for row in rows)
    left = min(max(140, 6.4 * longest + 24), 460)
    size = {"width": left + 380, "height": HEAD_PX + ROW_PX * len(rows) + 22, "left": left, "factor": factor}
    words = {"left_words": "", "right_words": ""}
    return {"kind": "rows", "rows": rows, "box": (BOX, BOX), **words, **size, **data}


def _lines(view: dict):
    names = view["run_names"]
    if curves := view["curves"]:
        for k, item in enumerate(curves["runs"], start=1):
            if curves["score"]:
                numbers = Numbers(curves["metric"])
                title = f"Development {numbers.words} by epoch, {names.run(item['run'])}"
                curve = _curve(curves, item, [curves["score"]], numbers.factor, numbers.words)
                yield f"score_by_epoch_{k}", title, curve
            if curves["losses"]:
                title = f"Loss by epoch, {names.run(item['run'])}"
                yield f"loss_by_epoch_{k}", title, _curve(curves, item, curves["losses"], 1, "loss")
    if calibration := view["calibration"]:
        for k, line in enumerate(calibration["lines"], start=1):
            chart = {"line": line, "axis": calibration["axis"], "diagonal": calibration["diagonal"]}
            key = [("line", "diagonal", "confidence deserved")]
            data = _one(chart, "reliability", 320, 320, "confidence, per cent", "right, per cent", key)
            yield f"calibration_{k}", f"Share right by confidence, {names.run(line['run'])}", data
    for k, chart in enumerate((view["truth"] or {"charts": []})["charts"], start=1):
        title = f"Predicted by true {chart['target']}, {names.run(chart['run'])}"
        axes_said = (f"true {chart['target']}", f"predicted {chart['target']}")
        drawn = _of(len(chart["dots"]), chart["items"], f"test {view['settings'].words['segment']}s")
        key = [("dot", "faint", drawn)] if chart["dots"] else []
        key += [("line", "median second", "mean of a bin"), ("line", "diagonal", "right")]
        yield f"truth_{k}", title, _one(chart, "scatter", 320, 320, *axes_said, key)
    for k, trace in enumerate(view["traces"], start=1):
        axes = {"x_axis": trace["x_axis"], "y_axis": trace["y_axis"]}
        charts = [(10 + 150 * i, 130, {"chart": chart, **axes}) for i, chart in enumerate(trace["charts"])]
        size = {"width": 760, "height": 10 + 150 * len(charts) + 34, "left": LEFT_PX}
        data = {"kind": "lines", "mark": "trace", "charts": charts, "box": (760 - LEFT_PX - 24, 130), **size}
        several = trace["seeds"] > 1
        data["key"] = [("line", "truth", "truth")]
        data["key"] += [("line", "predicted", "prediction" + (", mean over seeds" if several else ""))]
        data["key"] += [("box", "band", "range over seeds")] if several else []
        axis_words = {"x_words": "time, minutes and seconds", "y_words": ""}
        yield f"trace_{k}", f"Truth and prediction, {trace['segment_id']}", {**data, **axis_words}


def _curve(curves: dict, item: dict, columns: list[str], factor: float, words: str) -> dict:
    chart = {"item": item, "columns": columns, "x_axis": curves["x_axis"], "y_axis": curves["axes"][columns[0]]}
    medians = [("line", "median", "median")]
    if len(columns) > 1:
        medians = [("line", "median second", "training part, median"), ("line", "median", "development part, median")]
    key = [*medians, ("line", "thin", _of(item["drawn"], item["trainings"], "trainings"))]
    return _one({**chart, "factor": factor}, "curve", WIDTH_PX - LEFT_PX - 24, 200, "epoch", words, key)


def _of(drawn: int, there: int, what: str) -> str:
    return f"single {what}" if drawn == there else f"{drawn} of {grouped(there)} {what}"


def _one(chart, mark: str, wide: float, tall: float, x_words: str, y_words: str, key: list) -> dict:
    size = {"width": wide + LEFT_PX + 24, "height": tall + 60, "left": LEFT_PX, "box": (wide, tall)}
    words = {"x_words": x_words, "y_words": y_words, "key": key}
    return {"kind": "lines", "mark": mark, "charts": [(12, tall, chart)], **words, **size}
