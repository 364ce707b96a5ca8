"""Every table and figure of the page as a file: CSV, LaTeX and SVG that say what the page says."""

import base64
import csv
import io
import re
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

from models.report.charts import path_data
from models.report.command import report
from models.report.latex import LATEX, as_latex, other_script
from models.report.paper import bibliography
from models.report.tables import Column, Group, Table, as_csv
from pipeline.records import InputError
from tests.page import Page
from tests.report_fixture import Fixture, page_of

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, Page]:
    folder = tmp_path_factory.mktemp("files")
    return {name: page_of(Fixture(folder / name, name, size=30)) for name in ("iemocap", "affwild2", "numbers")}


def linked(page: Page, ending: str) -> dict[str, str]:
    """Name of a table or figure to the text of its file with this ending."""
    out = {}
    for section in page.by_id("downloads").all("ul"):
        if "raw" in section.attributes["class"]:
            continue
        for link in section.all("a"):
            name = link.attributes["download"].partition("_")[2].partition("_")[2]  # demonstration_<corpus>_<name>
            if name.endswith(ending):
                data = base64.b64decode(link.attributes["href"].partition("base64,")[2])
                out[name.removesuffix(ending)] = data.decode()
    return out


@pytest.mark.parametrize("name", ["iemocap", "affwild2", "numbers"])
def test_every_table_of_the_page_is_there_as_csv_and_latex_with_the_same_cells(name, pages):
    page = pages[name]
    tables = {t.attributes["data-name"]: t for t in page.all("table")}
    as_tables, as_tex = linked(page, ".csv"), linked(page, ".tex")
    assert set(tables) == set(as_tables) == set(as_tex)
    for key, table in tables.items():
        body = [tr for tr in table.all("tr") if tr.all("td")]
        assert len(list(csv.reader(io.StringIO(as_tables[key])))) == len(body) + 1, key
        for tr, found in zip(body, latex_rows(as_tex[key], len(body)), strict=True):
            cells = [cell for cell in tr.all("th", "td") if "plot" not in cell.attributes.get("class", "")]
            assert found == [re.sub(r"[()\s]", "", cell.text).replace("’", "'") for cell in cells], key


def unescaped(cell: str) -> str:
    """What a cell shows, without blanks and brackets."""
    for tex, char in sorted(
        {**{t: c for c, t in LATEX.items()}, "\\allowbreak{}": ""}.items(), key=lambda x: -len(x[0])
    ):
        cell = cell.replace(tex, char)
    return re.sub(r"[()\s]", "", cell.replace("’", "'"))


def latex_rows(text: str, count: int) -> list[list[str]]:
    """The cells of a table of so many rows without blanks and brackets, its parts put together again."""
    beside: list[list[list[str]]] = [[]]
    for part in text.split("\\midrule\n", 1)[1].split("\\begin{tabular}"):
        body = part.partition("\\midrule\n")[2] if "\\toprule" in part else part
        for line in body.split("\\bottomrule")[0].splitlines():
            if line == "\\midrule" or line.startswith("\\multicolumn"):
                continue
            below = "{\\scriptsize " in line
            line = re.sub(r"\{\\scriptsize (.*?)\}(?= &| \\\\)", r"\1", line.removesuffix(" \\addlinespace"))
            cells = [unescaped(cell) for cell in line.removesuffix("\\\\").split(" & ")]
            if below:
                beside[-1][-1] = [a + b for a, b in zip(beside[-1][-1], cells, strict=True)]
                continue
            beside += [[]] if len(beside[-1]) == count else []
            beside[-1].append(cells)
    return [[*rows[0], *(cell for row in rows[1:] for cell in row[1:])] for rows in zip(*beside, strict=True)]


@pytest.mark.parametrize("name", ["iemocap", "affwild2", "numbers"])
def test_latex_is_whole(name, pages):
    texts = linked(pages[name], ".tex")
    assert len(texts) == len(pages[name].all("table")) > 5
    for key, text in texts.items():
        columns = 0
        assert text.startswith("% needs \\usepackage{array,booktabs}\n")
        assert (
            text.count("\\begin{") == text.count("\\end{") == 2 * text.count("\\caption{DEMONSTRATION, not a result.")
        )
        bare = re.sub(r"\\[{}]", "", text)
        assert bare.count("{") == bare.count("}")
        for line in text.splitlines():
            if line.startswith("\\begin{tabular}"):
                columns = len(re.sub(r">\{[^}]*\}p\{[^}]*\}", "l", line.removeprefix("\\begin{tabular}"))) - 2
            if line.endswith(r"\\") and "multicolumn" not in line:
                assert len(re.findall(r"(?<!\\)&", line)) == columns - 1, key
            assert line.isascii() or not set(line) & {"−", "±", "×", "–", "’", "“", "”", "…"}
        assert re.search(r"\\label\{tab:[a-z0-9]+-" + key.replace("_", "_") + r"\}", text)


def test_csv_has_what_is_rounded_on_the_page_and_latex_escapes():
    columns = (Column("name", "Name", number=False, sub="below"), Column("v", "50 %", _one, sd="v_sd", over="Both"))
    first = Group([{"name": "a$b", "below": "under", "v": 0.123456, "v_sd": 0.2}], "first")
    table = Table("x", "A & B_1", columns, (first, Group([{"name": "~", "v": None}], "second")), note="#1")
    rows = list(csv.reader(io.StringIO(as_csv(table))))
    assert rows == [
        ["group", "name", "below", "v", "v_sd"],
        ["first", "a$b", "under", "0.123456", "0.2"],
        ["second", "~", "", "", ""],
    ]
    text = as_latex(table, "label")
    assert r"\caption{A \& B\_1.}" in text
    assert r"{\scriptsize \#1\par}" in text
    assert "a\\$b & 0.1 $\\pm$ 0.2 \\\\\n{\\scriptsize under} &  \\\\ \\addlinespace\n" in text
    assert r"\textasciitilde{} & -- \\" in text
    assert r" & \multicolumn{1}{c}{Both} \\" in text
    assert r"\cmidrule(lr){2-2}" in text
    assert r"Name & 50 \% \\" in text


def _one(value) -> str:
    return "–" if value is None else f"{value:.1f}"


@pytest.mark.parametrize("name", ["iemocap", "affwild2", "numbers"])
def test_figures_are_drawings_of_their_own(name, pages):
    page = pages[name]
    figures = linked(page, ".svg")
    assert {"scores", "contrasts"} <= set(figures)
    assert ("trace_1" in figures) == (name == "affwild2")
    assert ("truth_1" in figures) == (name == "numbers")
    assert ("calibration_1" in figures) == (name == "iemocap")
    for key, text in figures.items():
        drawing = ElementTree.fromstring(text)
        assert float(drawing.get("width")) > 0
        assert float(drawing.get("height")) > 0
        assert "var(" not in text, key
        assert "color-mix" not in text
        assert "Demonstration: not a result" in text
        assert not drawing.findall(f".//{SVG}script")
        assert drawing.find(f"{SVG}title").text
    targets = {e.attributes["href"][1:] for e in page.all("a") if e.attributes.get("href", "").startswith("#download-")}
    assert targets == {f"download-{n}" for n in linked(page, ".csv")} | {f"download-figure-{n}" for n in figures}


KEYS = {
    ("iemocap", "scores"): {"whisker": "standard deviation", "diamond": "published", "chance": "guessing"},
    ("affwild2", "loss_by_epoch_1"): {
        "median second": "training part, median",
        "median": "development part, median",
        "thin": "single trainings",
    },
    ("iemocap", "score_by_epoch_1"): {"median": "median", "thin": "single trainings"},
    ("affwild2", "trace_1"): {
        "truth": "truth",
        "predicted": "prediction, mean over seeds",
        "band": "range over seeds",
    },
    ("numbers", "truth_1"): {
        "dot faint": "single test segments",
        "median second": "mean of a bin",
        "diagonal": "right",
    },
    ("iemocap", "calibration_1"): {"diagonal": "confidence deserved"},
    ("iemocap", "contrasts"): {
        "dot better": "better",
        "dot equivalent": "equivalent",
        "dot undecided": "not decided",
        "interval": "95 % interval",
        "interval inner": "90 % interval",
        "region": "±1 point",
    },
}


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_trace_of_one_seed_has_no_range(tmp_path, seeds):
    page = page_of(Fixture(tmp_path, "affwild2", seeds=seeds))
    for text in (page.by_id("traces").text, linked(page, ".svg")["trace_1"]):
        assert ("mean over seeds" in text, "range over seeds" in text) == (seeds > 1,) * 2


@pytest.mark.parametrize(("name", "figure"), KEYS)
def test_a_drawing_says_what_its_marks_are(name, figure, pages):
    drawing = ElementTree.fromstring(linked(pages[name], ".svg")[figure])
    found = {}
    for mark in drawing.findall(f"{SVG}g[@class='key']"):
        (shape,) = [e for e in mark.iter() if e.tag in (f"{SVG}path", f"{SVG}rect", f"{SVG}circle")]
        found[shape.get("class")] = mark.find(f"{SVG}text").text
        left = float(re.match(r"translate\(([\d.]+) ", mark.get("transform"))[1])
        assert left + 28 + 6 * len(found[shape.get("class")]) < float(drawing.get("width"))
    assert found == KEYS[name, figure]


def test_the_drawing_of_scores_has_each_run_where_its_score_is(pages):
    drawing = ElementTree.fromstring(linked(pages["iemocap"], ".svg")["scores"])
    rows = list(csv.DictReader(io.StringIO(linked(pages["iemocap"], ".csv")["scores"])))
    at = [float(dot.get("cx").rstrip("%")) for dot in drawing.iter(f"{SVG}circle")]
    values = [float(row["balanced_accuracy"]) for row in rows]
    assert len(at) == len(values)
    slope = (at[-1] - at[0]) / (values[-1] - values[0])
    assert at == pytest.approx([at[0] + slope * (v - values[0]) for v in values], abs=0.02)


def test_lines_fit_a_box_of_another_size():
    steps = [("M", 0, 1), ("L", 0.5, 0), ("M", 1, 0.25)]
    assert path_data(steps) == "M0 1000L500 0M1000 250"
    assert path_data(steps, (200, 100), 1) == "M0.0 100.0L100.0 0.0M200.0 25.0"
    assert path_data([("M", 0, 0), ("L", 1, 1), ("Z",)], (50, 50), 1) == "M0.0 0.0L50.0 50.0Z"
    assert path_data([], (5, 5), 1) == ""


def test_the_command_writes_all_of_it_into_a_folder_and_takes_away_what_is_old(tmp_path):
    made = Fixture(tmp_path, "text", size=24)
    paper = tmp_path / "paper"
    paper.mkdir()
    for name in ("old.tex", "preview.tex"):  # of an earlier report
        (paper / name).write_text("x")
    (paper / "my_notes.md").write_text("x")
    arguments = ["--results", str(made.folder), "--out", str(tmp_path / "r.html"), "--paper", str(paper)]
    report.main(arguments, standalone_mode=False)
    page = Page((tmp_path / "r.html").read_text(encoding="utf-8"))
    names = {path.name for path in paper.iterdir()}
    assert names == {"my_notes.md", "methods.tex", "preview.tex", "references.bib", *_files(page)}
    assert (paper / "scores.csv").read_text() == linked(page, ".csv")["scores"]


def test_a_folder_of_other_files_is_left_as_it_is(tmp_path):
    made = Fixture(tmp_path, "text", size=24)
    paper = tmp_path / "my_paper"
    paper.mkdir()
    (paper / "main.tex").write_text("years of work")
    arguments = ["--results", str(made.folder), "--out", str(tmp_path / "r.html"), "--paper", str(paper)]
    with pytest.raises(InputError, match="my_paper: holds other files than a report writes"):
        report.main(arguments, standalone_mode=False)
    assert [path.read_text() for path in paper.iterdir()] == ["years of work"]


def _files(page: Page) -> set[str]:
    return {name + ending for ending in (".csv", ".tex", ".svg") for name in linked(page, ending)}


def test_the_paragraph_says_what_was_done_and_cites_what_was_used(tmp_path):
    made = Fixture(tmp_path, "iemocap", seeds=3, size=30)
    paper = tmp_path / "paper"
    arguments = ["--results", str(made.folder), "--out", str(tmp_path / "r.html"), "--paper", str(paper)]
    report.main([*arguments, "--revision", "abc123"], standalone_mode=False)
    said = Page((tmp_path / "r.html").read_text(encoding="utf-8")).with_class("methods")[0].text
    for part in (
        "We used IEMOCAP [@busso2008iemocap]: 30 turns in 30 dialogs of 10 speakers; ",
        "; 30 of the turns train or are tested, in ",
        "cross-entropy as loss; the epoch with the highest development accuracy was tested",
        "lies within ±1 point [@schuirmann1987], with the same correction",
        "Protocol: leave one session out (5 folds).",
        "audio by transformers_audio with the weights demo:wav2vec2",
        "9 models were trained in 18 runs: self-attention [@rajan2022], cross-attention [@rajan2022]",
        "RCMA (3 recursions, GRU) [@praveen2024]",
        "trained with 3 seeds in 5 folds: at most 20 epochs, batches of 32, Adam with learning rate 0.003",
        "9 contrasts were planned and tested on the test items of all folds together by a paired bootstrap of whole "
        "dialogs (5 000 resamples) [@field2007]",
        "at level 0.05, with Holm’s correction [@holm1979]: interval and p are those of Student’s t with "
        "Satterthwaite’s degrees of freedom on its standard error, to whose variance that of trainings from different "
        "seeds is added; two runs count as",
        "the 90 % interval of their difference lies within ±1 point",
        "affectflow (revision abc123)",
    ):
        assert part in said, part
    entries = re.findall(r"@\w+\{([^,]+),", (paper / "references.bib").read_text())
    assert sorted(entries) == sorted(set(re.findall(r"@([\w]+)", said)))
    latex = (paper / "methods.tex").read_text()
    assert sorted(set(re.findall(r"\\cite\{([^}]+)\}", latex))) == sorted(entries)
    assert "[@" not in latex


def test_tables_that_do_not_fit_come_in_parts_and_say_their_remarks_once():
    head = [Column("name", "Name", number=False), *(Column(f"v{k}", f"V{k}", over=f"all {k // 2}") for k in range(40))]
    rows = [{"name": f"50 % & more_{n}", **{f"v{k}": f"{n}.{k:02d}" for k in range(40)}} for n in range(99)]
    text = as_latex(Table.of("t", "Much", head, rows, remarks=("few folds", "p < 0.05")), "x")
    parts = text.split("\\begin{table*}\n")[1:]
    assert len(parts) == text.count("\\end{table*}") > 3
    assert re.findall(r"\\caption\{(.+)\.\}", text) == [
        f"Much, part {k} of {len(parts)}" for k in range(1, len(parts) + 1)
    ]
    labels = re.findall(r"\\label\{tab:(.+)\}", text)
    assert (labels[:2], len(set(labels))) == (["x", "x-2"], len(parts))
    assert parts[-1].endswith("\\par\\smallskip{\\scriptsize 1: few folds. 2: p $<$ 0.05.\\par}\n\\end{table*}\n")
    assert text.count("few folds") == 1
    assert latex_rows(text, 99) == [[f"50%&more_{n}", *(f"{n}.{k:02d}" for k in range(40))] for n in range(99)]
    for part in parts:
        shared = re.findall(r"\\multicolumn\{(\d+)\}\{c\}\{all \d+\}", part)
        assert set(shared) == {"2"}, "a shared heading is torn apart"
        assert part.count("50 \\%") < 50
    wordy = [Column("name", "Name", number=False, sub="about")]
    about = as_latex(Table.of("t", "Wordy", wordy, [{"name": "a", "about": "word " * 200}] * 9), "x")
    assert about.count(r"\begin{table*}") > 1
    narrow = as_latex(Table.of("t", "Little", head[:3], rows[:9]), "x")
    assert narrow.count(r"\begin{table}") == 1
    assert "smallskip" not in narrow


def test_a_matrix_of_many_classes_comes_in_parts_under_its_heading():
    columns = [Column("label", "true", number=False)]
    columns += [Column(f"v{k}", f"class {k:02d}", sub=f"n{k}", over="predicted") for k in range(40)]
    rows = [{"label": f"class {n:02d}", **{f"{c}{k}": f"{n}.{k}" for k in range(40) for c in "vn"}} for n in range(9)]
    text = as_latex(Table.of("t", "Matrix", columns, rows), "x")
    spans = [int(n) for n in re.findall(r"\\multicolumn\{(\d+)\}\{c\}\{predicted\}", text)]
    assert len(spans) == text.count("\\begin{tabular}") > 3
    assert (sum(spans), max(spans) < 14) == (40, True)
    assert latex_rows(text, 9) == [[f"class{n:02d}", *(f"{n}.{k}" * 2 for k in range(40))] for n in range(9)]


def test_a_row_may_begin_with_what_a_line_s_end_takes_for_its_own():
    columns = [Column("name", "Name", number=False), Column("v", "V")]
    rows = [{"name": name, "v": 1} for name in ("[laughter]", "*sigh*", "(x)")]
    text = as_latex(Table.of("t", "Labels", columns, rows), "x")
    assert "\\midrule\n{[}laughter] & 1 \\\\\n{*}sigh{*} & 1 \\\\\n(x) & 1" in text
    assert latex_rows(text, 3) == [["[laughter]", "1"], ["*sigh*", "1"], ["x", "1"]]


def test_what_pdflatex_cannot_set_is_said_at_the_head(tmp_path):
    said = "% has characters that pdflatex does not know: take xelatex or lualatex"
    made, paper = Fixture(tmp_path, "text", size=20), tmp_path / "paper"
    made.tell(words={"unit": "dialog", "segment": "turn", "labels": {"ang": "怒り", "sad": "träurig – “so”"}})
    arguments = ["--results", str(made.folder), "--out", str(tmp_path / "r.html"), "--paper", str(paper)]
    report.main(arguments, standalone_mode=False)
    of_labels = (paper / "recall.tex").read_text(encoding="utf-8")
    assert of_labels.splitlines()[1].startswith(said)
    assert (paper / "preview.tex").read_text(encoding="utf-8").startswith(said)
    assert said not in (paper / "cost.tex").read_text(encoding="utf-8")
    assert max(map(ord, of_labels)) > 0x3000


@pytest.mark.parametrize("sign", ["\u2009", "ħ", "ſ", "→", "λ", "e\u0301"])
def test_signs_that_no_font_of_latin_letters_has_are_known(sign):
    assert other_script(f"a {sign} b")


@pytest.mark.latex
def test_pdflatex_sets_every_letter_that_it_is_said_to_know(tmp_path):
    made, paper = Fixture(tmp_path, "text", size=20), tmp_path / "paper"
    letters = " ".join(c for c in map(chr, range(0xA1, 0x2100)) if not other_script(c))
    made.tell(words={"unit": "dialog", "segment": "turn", "labels": {"ang": "lęk", "sad": letters}})
    arguments = ["--results", str(made.folder), "--out", str(tmp_path / "r.html"), "--paper", str(paper)]
    report.main(arguments, standalone_mode=False)
    head = (paper / "recall.tex").read_text(encoding="utf-8").splitlines()[0]
    assert head == r"% needs \usepackage[T1]{fontenc}\usepackage{array,booktabs}"
    assert "lęk" in (paper / "recall.tex").read_text(encoding="utf-8")
    assert "xelatex" not in (paper / "preview.tex").read_text(encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "preview"]
    done = subprocess.run(command, cwd=paper, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.latex
@pytest.mark.parametrize("name", ["iemocap", "affwild2", "numbers"])
def test_the_folder_compiles_and_its_tables_fit_between_the_margins(name, tmp_path):
    made, paper = Fixture(tmp_path, name, size=30), tmp_path / "paper"
    report.main(
        ["--results", str(made.folder), "--out", str(tmp_path / "r.html"), "--paper", str(paper)], standalone_mode=False
    )
    once = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "preview"]
    for command in (once, ["bibtex", "preview"], once, once):
        done = subprocess.run(command, cwd=paper, capture_output=True, text=True, errors="replace")
        assert done.returncode == 0, done.stdout[-2000:]
    log = (paper / "preview.log").read_text(errors="replace")
    assert not re.findall(r"Overfull .*|LaTeX Warning: .*|.*undefined.*", log)
    assert "warning" not in (paper / "preview.blg").read_text().replace("warning$", "")


def test_the_bibliography_is_whole():
    assert {"rajan2022", "praveen2024"} <= bibliography().keys()
    for key, entry in bibliography().items():
        assert entry.count("{") == entry.count("}"), key
        for field in ("author", "title", "year"):
            assert re.search(rf"\n  {field}\s+= \{{.+", entry), (key, field)


@pytest.mark.parametrize("name", ["iemocap", "affwild2", "numbers"])
def test_no_sentence_speaks_of_what_is_not_there(name, pages):
    said = pages[name].all("main")[0].text
    assert not re.findall(r"\b(?:nan|None|NaN)\b", said)
    assert ("share a session" in said) == (name != "affwild2")
