"""The figures of docs/statistics.md are those that its script writes."""

import re

import click
import pytest

from benchmarks import statistics


def test_the_page_has_a_place_for_every_figure_and_holds_what_the_protocols_leak():
    text = statistics.PAGE.read_text(encoding="utf-8")
    assert set(re.findall(r"<!-- figures: (.*?) -->", text)) == set(statistics.ALL)
    assert statistics.written(text, {"leaks": statistics.leaking()}) == text


def test_figures_go_between_their_marks_and_nowhere_else():
    text = "a\n<!-- figures: x -->\nold\n<!-- end -->\nb\n<!-- figures: y -->\n<!-- end -->\n"
    new = statistics.written(text, {"y": "| 1 |", "x": r"| \1 |"})
    assert new == (
        "a\n<!-- figures: x -->\n\n| \\1 |\n\n<!-- end -->\nb\n<!-- figures: y -->\n\n| 1 |\n\n<!-- end -->\n"
    )
    assert statistics.written(new, {"x": r"| \1 |"}) == new
    with pytest.raises(click.ClickException, match="has no <!-- figures: z -->"):
        statistics.written(text, {"z": ""})


def test_the_best_of_several_is_worked_out_for_each_way_to_choose_it():
    lines = statistics.best_of_several(2).splitlines()
    assert len(lines) == 2 + 3
    assert lines[-1].startswith("| in each fold the best on its own development part | ")


def test_few_experiments_show_what_the_page_says():
    """With few dialogs and rare successes the bootstrap alone calls models equivalent that differ by five points."""
    cells = [line.split("|")[2:-1] for line in statistics.few_clusters(40).splitlines()[2:]]
    plain, used = ([[int(x.split("/")[k].strip(" %")) for x in row] for row in cells] for k in (0, 1))
    assert plain[0][1] > 10
    assert not any(row[k] for row in used for k in (1, 3, 5))
    assert sum(row[k] for row in used for k in (0, 2, 4)) / (3 * len(used)) <= 5
