"""The first page: the question that was configured, its answer, the best model, what is decided and what is not."""

from dataclasses import dataclass

from models.evaluation.statuses import Status
from models.protocols.leaks import clauses
from models.report.gather import Results
from models.report.runs import RunNames
from models.report.sections.classes import guessing
from models.report.sections.contrasts import undecided
from models.report.sections.folds import develops_on_tested, leaks_of
from models.report.sections.scores import Cell, Cells, guessed
from models.report.sections.verdict import EQUIVALENT, REFUSED, UNDECIDED, UNTESTED, Answer, Verdicts
from models.report.tables import Table
from models.report.writing import DEVELOPMENT, Numbers, count, grouped, missing, sentence

CHOSEN_BY_TESTED = (
    "Development parts of some folds are test parts of others, so the choice is not independent of that score, which "
    "may be a little too high."
)
NO_VERDICT = {
    Status.AT_CHANCE: "No verdict: the better one, or both, are not shown to be better than guessing.",
    **{one: f"No verdict: {one.text}." for one in (Status.SELECTED_ON_TEST, Status.ONE_SEED)},
}
WORTH_SAYING = 0.005  # between two differences of one contrast


@dataclass(frozen=True)
class Best:
    """The run with the best development score, and what it scores on the test part."""

    run: str
    development: Cell
    test: Cell | None
    defined: str  # in how many trainings the test score is, where it has no mean
    at_chance: bool
    equals: int  # other runs with the same development score
    unranked: int  # runs whose development score is undefined in some training


@dataclass(frozen=True)
class FirstPage:
    """All that stands above the sections."""

    question: str
    answer: str
    lead: str
    first: Answer | None  # the contrast that the question is; None where none was planned
    best: str  # a sentence; empty where it stands in the lead already, or where nothing is known
    decided: list[Answer]  # answers of the other contrasts
    undecided: Table | None
    warnings: list[str]
    facts: list[tuple[str, str]]


def best_run(cells: Cells, ranked: list[str], metric: str, chance: float | None) -> Best | None:
    """The run that a reader who had seen only the development part would take; None without development scores."""
    for run in ranked:
        test, defined = cells.get((run, metric)), cells.undefined.get((run, metric), "")
        if test or defined:
            low = test is not None and guessed(test.mean, chance)
            score = cells[run, DEVELOPMENT + metric]
            equals = [
                other for other in ranked if other != run and cells[other, DEVELOPMENT + metric].mean == score.mean
            ]
            unranked = sum(of == DEVELOPMENT + metric for _, of in cells.undefined)
            return Best(run, score, test, defined, low, len(equals), unranked)
    return None


def first_page(
    results: Results, verdicts: Verdicts, cells: Cells, runs: list[str], ranked: list[str], chance: float | None
) -> FirstPage:
    """Put the page's words together; everything in them is in the tables."""
    settings, names = results.settings, verdicts.names
    best = best_run(cells, ranked, settings.metric, chance)
    tested = len(runs) > 1 and results.split is not None and develops_on_tested(results.split)
    best_is = _best_sentence(best, len(runs), settings, names, chance, tested) if best else ""
    first = verdicts.answers[0] if verdicts.answers else None
    if first:
        question, answer, lead = _question(first.question), _answer(first), first.sentence
    elif settings.contrasts:
        question, answer = _question(settings.contrasts[0]["question"]), "Not tested."
        lead = "No test of it was there when this report was written."
    else:
        question, answer, lead = _without_contrasts(settings, names, cells, runs, best, best_is)
        best_is = ""
    others = [a for a in verdicts.answers if a is not first]
    return FirstPage(
        question=question,
        answer=answer,
        lead=lead,
        first=first,
        best=best_is,
        decided=[a for a in others if a.decided],
        undecided=undecided(verdicts, settings, others),
        warnings=_warnings(results, first, best),
        facts=_facts(results, verdicts, runs, cells),
    )


def _question(text: str) -> str:
    text = sentence(text.strip())
    return text if text.endswith(("?", ".", "!")) else f"{text}?"


def _answer(answer: Answer) -> str:
    return {
        EQUIVALENT: f"The two are practically equivalent{answer.here}.",
        UNDECIDED: "Undecided: these data do not tell.",
        UNTESTED: "Not tested.",
        REFUSED: NO_VERDICT.get(answer.row.get("status"), "No verdict: these data cannot carry one."),
    }.get(answer.kind, f"{answer.word}.")


def _score(cell: Cell, numbers: Numbers) -> str:
    spread = f" ± {numbers.score(cell.sd)}" if cell.sd is not None else ""
    return f"{numbers.score(cell.mean)}{spread}{' %' if numbers.percent else ''}"


def _best_sentence(best: Best, runs: int, settings, names: RunNames, chance: float | None, tested: bool) -> str:
    numbers = Numbers(settings.metric)
    development, run = numbers.with_unit(best.development.mean), sentence(names.run(best.run))
    text = f"{run} scores {development} on the development part."
    if runs > 1:
        too = f", which {count(best.equals, 'other run')} reached, too" if best.equals else ""
        text = f"Best by its development score ({development}{too}): {names.run(best.run)}."
    if best.unranked:
        text += f" Not ranked: {count(best.unranked, 'run')}, of which that score is undefined in some training."
    if best.test:
        trainings = count(best.test.runs, "training")
        over = f", mean ± standard deviation over {trainings}" if best.test.runs > 1 else ""
        text += f" On the test part it scores {_score(best.test, numbers)} {numbers.words}{over}."
    else:
        text += f" On the test part its {numbers.words} is {best.defined}, so that it has no mean."
    text += f" {CHOSEN_BY_TESTED}" if tested else ""
    frames = settings.task.frames
    return f"{text} {guessing(settings.metric, chance, settings.words['segment'], frames)}".strip()


def _without_contrasts(settings, names: RunNames, cells: Cells, runs: list[str], best: Best | None, best_is: str):
    """Question, answer and lead where nobody planned a comparison."""
    numbers = Numbers(settings.metric)
    if len(runs) == 1:
        question = f"How well does {names.run(runs[0])} do?"
    else:
        question = "How well do these models do?" if runs else "Nothing was scored."
    scored = {run: cells[run, settings.metric] for run in runs if (run, settings.metric) in cells}
    none = "No comparison was planned, so nothing here says that one model is better than another."
    none = none if len(runs) > 1 else ""
    if best:
        answer = f"{sentence(names.run(best.run))}: " if len(runs) > 1 else ""
        score = f"{numbers.with_unit(best.test.mean)} {numbers.words}" if best.test else f"{numbers.words} undefined"
        return question, f"{answer}{score}.", f"{best_is} {none}".strip()
    if scored:
        means = [cell.mean for cell in scored.values()]
        low, high = numbers.score(min(means)), numbers.with_unit(max(means))
        between = high if len(means) == 1 else f"{low} to {high}"
        lead = "There is no development score by which one model could be chosen before the test."
        return question, f"{between} {numbers.words}.", f"{lead} {none}".strip()
    return question, "There are no scores.", "The table of scores was not there when this report was written."


def _other_by_folds(answer: Answer, numbers: Numbers) -> str:
    """Says so where the means over folds stand otherwise than the items of all folds together; else empty."""
    together, a, b = (answer.row.get(key) for key in ("difference", "fold_mean_a", "fold_mean_b"))
    if missing(together) or missing(a) or missing(b):
        return ""
    apart = a - b
    if apart * together > 0 or abs(apart - together) < WORTH_SAYING:
        return ""
    means = f"{answer.first} {numbers.with_unit(a)}, {answer.second} {numbers.with_unit(b)}"
    return f"The means over folds stand otherwise ({means}): folds differ in size and in classes."


def _warnings(results: Results, first: Answer | None, best: Best | None) -> list[str]:
    """What must be known before any of it is believed."""
    settings = results.settings
    out = []
    if first and first.cautions:
        out.append(f"{sentence('; '.join(first.cautions))}.")
    if first and (order := _other_by_folds(first, Numbers(settings.metric))):
        out.append(order)
    if first and first.also:
        out.append(f"The two sides also differ in: {', '.join(first.also)}.")
    if best and best.at_chance:
        out.append("The best model does no better than guessing.")
    known = [clause for clause in (settings.protocol.caveat, *clauses(leaks_of(results))) if clause]
    if known:
        out.append(f"Protocol \u201c{settings.protocol.description}\u201d: {'; '.join(dict.fromkeys(known))}.")
    return out


def _facts(results: Results, verdicts: Verdicts, runs: list[str], cells: Cells) -> list[tuple[str, str]]:
    settings, segments = results.settings, results.segments
    out = []
    if segments is not None:
        out.append((f"{sentence(settings.words['segment'])}s", grouped(segments["segment_id"].nunique())))
        out.append((f"{sentence(settings.words['unit'])}s", grouped(segments["unit_id"].nunique())))
        if (results.speakers or 1) > 1:
            out.append(("Speakers", grouped(results.speakers)))
    out.append(("Protocol", settings.protocol.description))
    trainings = max((cell.runs for cell in cells.values()), default=0)
    if runs:
        times = f", {'each ' if len(runs) > 1 else ''}trained {count(trainings, 'time')}" if trainings else ""
        out.append(("Models", f"{count(len(runs), 'run')}{times}"))
    if verdicts.rows:
        out.append(("Tested on", f"{verdicts.basis()}; {count(len(verdicts.rows), 'planned contrast')}"))
    elif results.split is not None:
        tested = results.split.loc[results.split["part"] == "test", "segment_id"].nunique()
        out.append(("Test part", count(tested, settings.words["segment"])))
    return out
