"""The tables of the planned contrasts: verdicts with their intervals, and all tests side by side."""

from math import isnan

from models.evaluation.contrast import Candidate, runs_of
from models.report.charts import Axis
from models.report.runs import best_of
from models.report.sections.verdict import UNTESTED, Answer, Verdicts, remarks, short, why_not
from models.report.tables import Column, Group, Table
from models.report.writing import (
    Numbers,
    count,
    effect,
    grouped,
    level,
    listing,
    metric_words,
    missing,
    percent,
    sentence,
)
from models.settings import Settings

BOOTSTRAPPED = "p value of the bootstrap"
OTHER_P = {  # than the probability of a difference at least as large if there were none
    "p_holm": f"{BOOTSTRAPPED}, Holm-adjusted",
    "p_equivalence": f"{BOOTSTRAPPED} against a difference as large as the practical region or larger, "
    "two one-sided tests",
    "p_equivalence_holm": "p value of the two one-sided tests, Holm-adjusted",
    "p_equivalence_by_group": "the two one-sided tests, with whole groups drawn anew",
}


def forest_axis(verdicts: Verdicts, settings: Settings) -> Axis:
    """The axis all contrasts share; it always holds zero and twice the practical region."""
    reach = [row[k] for row in verdicts.rows for k in ("ci_low", "ci_high", "difference") if not missing(row[k])]
    region = settings.practical_region
    return Axis.covering([*reach, -2 * region, 2 * region], 5)


def _compared(a: str, b: str, shared: str, row: dict, verdicts: Verdicts) -> dict:
    """A row of significance.csv with its two sides and its interval in words."""
    second = f"against {b}" + (f", {shared}" if shared else "")
    return {
        **row, "first": verdicts.names.sentence(a), "second": second,
        "interval": verdicts.numbers.interval(row["ci_low"], row["ci_high"]),
    }  # fmt: skip


def _rows(answers: list[Answer], verdicts: Verdicts, parameters: dict[str, int]) -> list[dict]:
    out = []
    for answer in answers:
        row = answer.row
        sizes = [[parameters.get(run) for run in runs_of(row[side])] for side in "ab"]
        out.append(
            {
                **_compared(answer.first, answer.second, answer.shared, row, verdicts),
                "verdict": "not tested" if answer.kind == UNTESTED else short(answer.row),
                "verdict_class": answer.css,
                "reason": why_not(row) or None,
                "caution": "; ".join(answer.cautions) or None,
                "also": ", ".join(answer.also) or None,
                "parameters": None
                if not answer.also or None in [*sizes[0], *sizes[1]]
                else "parameters " + " / ".join(listing(list(dict.fromkeys(map(grouped, of))), "or") for of in sizes),
            }
        )
    return out


def _columns(verdicts: Verdicts) -> list[Column]:
    """Of a contrast: difference, interval and p."""
    holm = len(verdicts.rows) > 1
    adjusted = OTHER_P["p_holm"] if holm else BOOTSTRAPPED
    return [
        Column("difference", "Difference", verdicts.numbers.difference),
        Column("interval", "Interval"),
        Column("p_holm", "p (Holm)" if holm else "p", verdicts.p, explain=adjusted),
    ]


def planned(verdicts: Verdicts, settings: Settings, parameters: dict[str, int]) -> Table:
    """Every planned contrast with its verdict, what else its sides differ in, and the parameters of both."""
    numbers = verdicts.numbers
    unit = "points" if numbers.percent else numbers.unit
    title = f"Planned contrasts, {metric_words(str(verdicts.rows[0]['metric']))}"
    rows = _rows(verdicts.answers, verdicts, parameters)
    note = f"First minus second in {unit}"
    if any(row["interval"] for row in rows):
        note += f", with the {level(settings.alpha)} interval of the cluster bootstrap"
    note += "."
    if any(row["also"] for row in rows):
        note += " Where both sides differ in more than what is asked, the last column says in what, with the parameters"
        note += " of the first / of the second."
    adjusted = ", Holm-adjusted" if len(verdicts.rows) > 1 else ""
    columns = [
        Column("first", "First against second", number=False, sub="second"),
        *_columns(verdicts),
        Column(
            "p_equivalence_holm",
            f"p (equiv.{', Holm' if adjusted else ''})",
            verdicts.p,
            explain=OTHER_P["p_equivalence"] + adjusted,
        ),
        Column("verdict", "Verdict", number=False, sub="reason", css="verdict"),
        Column("also", "Also differs in", number=False, sub="parameters", css="small"),
    ]
    table = Table.of("contrasts", title, columns, rows, note=note, kind="contrasts wide", plot="Difference as a chart")
    return table.without_empty()


def undecided(verdicts: Verdicts, settings: Settings, answers: list) -> Table | None:
    """The contrasts that the data leave open, for the first page."""
    rows = _rows([a for a in answers if not a.decided], verdicts, {})
    if not rows:
        return None
    for row in rows:
        row["why"] = "; ".join(filter(None, (row["reason"], row["caution"]))) or None
        row["versus"] = f"{row['first']} {row['second']}"
    columns = [
        Column("question", "Question", lambda text: sentence(str(text)), number=False, sub="why"),
        Column("versus", "First against second", number=False),
        *_columns(verdicts),
    ]
    interval = f", {level(settings.alpha)} interval" if any(row["interval"] for row in rows) else ""
    note = f"First minus second{interval}. Not decided is not the same as equal."
    return Table.of("undecided", "What these data do not decide", columns, rows, note=note).without_empty()


def tests(verdicts: Verdicts) -> Table:
    """All tests of every contrast; remarks are numbered as in ``verdicts.notes``."""
    notes = verdicts.notes()
    rows = []
    for row in verdicts.rows:
        marks = ", ".join(str(notes[part]) for part in remarks(row))
        effects = {f"{key}_text": effect(row[key]) for key in EFFECTS if not missing(row.get(key))}
        if not missing(row.get("standard_error_by_group")):
            effects["by_group_text"] = f"s.e. {verdicts.numbers.score(row['standard_error_by_group'])}"
        second = f"against {best_of(runs_of(row['b']))}"
        about = {"second": second, "notes": marks or None, "equivalence_interval": verdicts.inner_interval(row)}
        rows.append({**row, **effects, **about})
    score, inner = verdicts.numbers.score, f"{level(2 * verdicts.alpha)} interval"
    kind = verdicts.group_kind
    tested = {
        "p_bootstrap": ("p bootstrap", ""), "p_holm": ("p Holm", ""), "p_equivalence": ("p equiv.", ""),
        "p_equivalence_holm": ("p equiv. Holm", ""),
        "p_by_group": (f"p by {kind}", "by_group"), "p_equivalence_by_group": (f"p equiv. by {kind}", ""),
        "p_t_corrected": ("p corrected resampled t", "effect_t_corrected"),
        "p_wilcoxon": ("p Wilcoxon", "effect_wilcoxon"), "p_mcnemar": ("p McNemar", "effect_mcnemar"),
        "p_t_paper": ("p paper’s t-test", "effect_size"),
    }  # fmt: skip
    if len(rows) == 1:
        del tested["p_holm"], tested["p_equivalence_holm"]  # adjusted for nothing
    shares = {"p_a_better": "first better", "p_equivalent": "equivalent", "p_b_better": "second better"}
    columns = [
        Column("a", "Contrast", number=False, sub="second"),
        Column("items", "Test items", grouped),
        Column("clusters", "Clusters", grouped),
        Column("mean_a", "First", score),
        Column("mean_b", "Second", score),
        Column("standard_error", "s.e.", score, explain="standard error of the difference, by the cluster bootstrap"),
        Column(
            "equivalence_interval",
            inner,
            explain="of the difference; where equivalent, within the practical region",
        ),
        *(
            Column(k, head, verdicts.p, sub=f"{of}_text" if of else "", explain=OTHER_P.get(k, ""))
            for k, (head, of) in tested.items()
        ),
        *(Column(k, f"P ({words})", percent) for k, words in shares.items()),
        Column("notes", "Notes"),
        Column(
            "b_chosen_from",
            "Second chosen from",
            lambda text: _candidates(text, verdicts.numbers),
            number=False,
            css="small prose",
            explain="by development score, in each fold; its mean over folds, and how many folds chose the run",
        ),
    ]
    shown = [text for key, text in EFFECTS.items() if any(not missing(row.get(key)) for row in verdicts.rows)]
    sizes = f"Below a p, its effect size: {', '.join(shown)}. " if shown else ""
    groups = f"By {kind}: the bootstrap of whole {kind}s, with its standard error (s.e.). " if kind else ""
    bayes = any(not missing(row.get(key)) for row in verdicts.rows for key in shares)
    others = [k for k in OTHER_P if k in tested and any(not missing(row.get(k)) for row in rows)]
    note = (
        "p: probability of a difference at least this large if there were none"
        f"{''.join(f'; {tested[k][0]}: {OTHER_P[k]}' for k in others)}. "
        f"{'P: posterior probability (Bayesian correlated t-test). ' if bayes else ''}{sizes}{groups}"
        "A dash: not applicable, see the notes."
    )
    return Table.of(
        "tests", "All tests", columns, rows, note=note, kind="wide dense", remarks=tuple(notes)
    ).without_empty()


def _candidates(text: str, numbers: Numbers) -> str:
    """What b was chosen from, in words: each run with its development score and how many folds chose it."""
    out = []
    for one in Candidate.read(text):
        score = "undefined" if isnan(one.score) else numbers.with_unit(one.score)
        out.append(f"{one.run} ({score}, {count(one.folds, 'fold')})")
    return ", ".join(out)


EFFECTS = {
    "effect_t_corrected": "mean over standard deviation of the folds’ differences (corrected t)",
    "effect_wilcoxon": "matched-pairs rank-biserial correlation (Wilcoxon)",
    "effect_mcnemar": "Cohen’s g (McNemar)",
    "effect_size": "Cohen’s d over trainings (paper)",
}


def by_turns(verdicts: Verdicts) -> Table | None:
    """The planned contrasts on the test items of one style alone; None where items are of one style."""
    if not verdicts.secondary:
        return None
    numbers, groups = verdicts.numbers, []
    for turns in dict.fromkeys(row["turns"] for row in verdicts.secondary):
        same = [row for row in verdicts.secondary if row["turns"] == turns]
        rows = [_compared(*verdicts.names.pair(row["a"], row["b"]), row, verdicts) for row in same]
        groups.append(Group(rows, turns))
    columns = (
        Column("first", "First against second", number=False, sub="second"),
        Column("items", "Test items", grouped),
        Column("mean_a", "First", numbers.score),
        Column("mean_b", "Second", numbers.score),
        Column("difference", "Difference", numbers.difference),
        Column("interval", "Interval"),
        Column("p_bootstrap", "p", verdicts.p, explain="of the bootstrap, adjusted for nothing"),
    )
    title = "The same contrasts on the test items of one style alone"
    note = "To look at, not to decide: these were not planned, and p is adjusted for nothing."
    if reasons := dict.fromkeys(why_not(row) for row in verdicts.secondary if missing(row.get("p_bootstrap"))):
        note += f" A dash: {'; '.join(filter(None, reasons))}."
    return Table("contrasts_by_style", title, columns, tuple(groups), note=note)
