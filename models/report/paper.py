"""For the paper that people write: a methods paragraph from the numbers of the run, BibTeX, and all tables as files."""

from collections.abc import Iterator
from pathlib import Path

from models.evaluation.metrics import selecting_metric
from models.evaluation.statuses import Status
from models.protocols.leaks import clauses
from models.report.bibliography import bibliography, entries
from models.report.gather import Results
from models.report.latex import as_latex, document, latex
from models.report.runs import RunNames
from models.report.sections.folds import leaks_of
from models.report.sections.verdict import Verdicts
from models.report.tables import Table, as_csv
from models.report.writing import count, grouped, level, listing, metric_words, missing, sentence
from models.settings import Settings
from models.wording import NORMALISED
from pipeline.records import InputError

PREVIEW = "preview.tex"  # by which a folder is known as a report's own
CHOSEN = (
    " Where the second of a contrast is the best of several runs, that is in each fold the run with the highest score "
    "on the fold’s own development part."
)
VOTES, LABELS = "the shares of each class in the votes of all raters as targets", "the majority’s labels as targets"


class Cite(tuple):
    """Keys of the bibliography, where a text cites them."""


Text = list  # a list of strings and Cite


def paper(results: Results, view: dict, runs: list[str]) -> dict:
    """The paragraph as plain text and as LaTeX, and the BibTeX entries that it cites."""
    own = entries(results.settings.citations)
    parts = [part for text in _sentences(results, view, list(own), runs) for part in (*text, " ")][:-1]
    cited = dict.fromkeys(key for part in parts if isinstance(part, Cite) for key in part)
    brought = entries(about["citation"] or "" for about in results.settings.about_models.values())
    known = {**bibliography(), **own, **brought}
    return {
        "methods": "".join(_plain(part) if isinstance(part, Cite) else part for part in parts),
        "latex": "".join(_command(part) if isinstance(part, Cite) else latex(part) for part in parts) + "\n",
        "bibtex": "\n\n".join(known[key] for key in cited if key in known),
    }


def _plain(keys: Cite) -> str:
    return f" [{'; '.join(f'@{key}' for key in keys)}]" if keys else ""


def _command(keys: Cite) -> str:
    return rf"~\cite{{{','.join(keys)}}}" if keys else ""


def _sentences(results: Results, view: dict, own: list[str], runs: list[str]) -> Iterator[Text]:
    settings, names = results.settings, view["run_names"]
    if view["demonstration"]:
        yield ["DEMONSTRATION, not a result."]
    yield _corpus(results, own)
    if settings.modalities:
        yield [f"Inputs were made from {listing([_input(settings, modality) for modality in settings.modalities])}."]
    used = list(dict.fromkeys(names.runs[run].model for run in runs))
    if used:
        yield _models(names, used, len(runs))
        described = [(names.titles[model], names.about[model]["description"]) for model in used]
        yield from ([f"{sentence(title)}: {text.rstrip('.')}."] for title, text in described)
        yield [_training(settings, len(runs))]
        yield from ([text] for text in _exceptions(settings, names, used))
        yield [f"{sentence(NORMALISED[settings.options['training']['normalise']])}."]
        lin = ["lin1989"] if settings.metric.startswith("ccc") else []
        yield [f"Scores are {metric_words(settings.metric)}", Cite(lin), ", mean over trainings."]
    if view["verdicts"].rows:
        yield _tests(settings, view["verdicts"])
    if view["ranks"]:
        yield [
            "Beside that all runs are shown by their mean ranks",
            Cite(["demsar2006"]),
            ", to look at, not to decide.",
        ]
    page = view["first_page"]
    best = page.best or ("" if settings.contrasts else page.lead)
    if best and runs:
        yield [best]
    versions = dict(view["provenance"]["software"])
    found = [f"{name} {versions[name]}" for name in ("python", "torch", "transformers") if name in versions]
    code = f"affectflow{f' (revision {settings.revision})' if settings.revision else ''}"
    yield [f"Everything was computed with {listing([code, *found])}."]


def _corpus(results: Results, own: list[str]) -> Text:
    settings, segments = results.settings, results.segments
    size = ""
    if segments is not None:
        units = segments["unit_id"].nunique()
        size = f": {count(len(segments), settings.words['segment'])} in {count(units, settings.words['unit'])}"
        size += f" of {count(results.speakers, 'speaker')}" if results.speakers else ""
    folds = f" ({count(settings.folds, 'fold')})" if settings.folds > 1 else ""
    size += _used(results)
    text = f"{size}. Protocol: {settings.protocol.description}{folds}."
    if settings.protocol.caveat:
        text += f" {sentence(settings.protocol.caveat)}."
    if known := clauses(leaks_of(results)):
        text += f" {sentence('; '.join(known))}."
    return [f"We used {settings.title}", Cite(own), text]


def _used(results: Results) -> str:
    """How many segments train or are tested where not all do, and of which classes they are."""
    split, words = results.split, results.settings.words
    if split is None:
        return ""
    used = split[split["part"] != "unlabelled"].drop_duplicates("segment_id")
    named = used["label"].dropna().value_counts() if "label" in used else {}
    classes = [f"{words['labels'].get(label, label)} ({grouped(int(n))})" for label, n in named.items()]
    of = f", in {count(len(classes), 'class', 'classes')}: {listing(classes)}" if classes else ""
    return f"; {grouped(len(used))} of the {words['segment']}s train or are tested{of}"


def _input(settings: Settings, modality: str) -> str:
    stores = []
    for name, (by, weights) in settings.made_by(modality).items():
        called = by.rpartition(":")[2]  # of a plug, its class
        if by == "import":
            stores.append(f"elsewhere (imported as {name})")
        else:
            stores.append(f"by {called} with the weights {weights}" if weights else f"by {called}")
    return f"{modality} {listing(stores)}"


def _models(names: RunNames, used: list[str], runs: int) -> Text:
    many = "One model was" if len(used) == 1 else f"{grouped(len(used))} models were"
    text: Text = [f"{many} trained in {count(runs, 'run')}: "]
    for k, model in enumerate(used):
        given = names.about[model]["citation"]  # a key, or an entry with its own
        keys = list(entries([given])) or [given] if given else []
        text += [names.titles[model], Cite(keys), ", " if k < len(used) - 1 else "."]
    return text


def _training(settings: Settings, runs: int) -> str:
    training = settings.options["training"]
    recipe = [part for part in _recipe(settings, training) if part != LABELS]
    which = "It" if runs == 1 else "Each run"
    text = f"{which} was trained with {count(len(settings.seeds), 'seed')} in {count(settings.folds, 'fold')}"
    best = metric_words(selecting_metric(settings.task))
    return f"{text}: {', '.join(recipe)}; the epoch with the highest development {best} was tested."


def _exceptions(settings: Settings, names: RunNames, used: list[str]) -> Iterator[str]:
    """What some models have otherwise, by options of their own or as published; of votes their description tells."""
    general = _recipe(settings, settings.options["training"])
    for model in used:
        own = _recipe(settings, settings.trained(model))
        if changed := [part for part, usual in zip(own, general) if part not in (usual, VOTES)]:
            yield f"Other than that, {names.titles[model]} was trained with {listing(changed)}."


def _recipe(settings: Settings, training: dict) -> list[str]:
    """How long, in which batches, at which rates, by which loss and on what."""
    rate = training["learning_rate"]
    tried = isinstance(rate, list)
    rates = listing([f"{r:g}" for r in rate], "or") if tried else f"{rate:g}"
    return [
        f"at most {count(training['epochs'], 'epoch')}",
        f"batches of {training['batch_size']}",
        f"Adam with learning rate {rates}{', chosen on the development part' if tried else ''}",
        _loss(settings, training),
        VOTES if training["targets"] == "raters" else LABELS,
    ]


def _loss(settings: Settings, training: dict) -> str:
    if settings.task.numbers:
        return "mean squared error in standard deviations as loss" if training["loss"] == "mse" else "1 − CCC as loss"
    return f"cross-entropy as loss{', classes weighed by inverse frequency' if training['class_weights'] else ''}"


def _tests(settings: Settings, verdicts: Verdicts) -> Text:
    planned, kind = len(verdicts.rows), verdicts.rows[0].get("cluster_kind") or "cluster"
    tested = sum(not missing(row.get("p_holm")) for row in verdicts.rows)
    samples = grouped(settings.options["significance"]["bootstrap_samples"])
    groups = f"{verdicts.group_kind}s"
    holm = ["", Cite()] if planned == 1 else [", with Holm’s correction", Cite(["holm1979"])]
    many = "One contrast was" if planned == 1 else f"{planned} contrasts were"
    if not tested:
        return [f"{many} planned, but could not be tested."]
    done = "planned and tested" if tested == planned else f"planned, of which {tested} could be tested,"
    together = " of all folds together" if settings.folds > 1 else ""
    seeds = ", to whose variance that of trainings from different seeds is added" if len(settings.seeds) > 1 else ""
    return [
        f"{many} {done} on the test items{together} by a paired bootstrap of whole {kind}s ({samples} resamples)",
        Cite(["field2007"]),
        f" at level {settings.alpha:g}",
        *holm,
        ": interval and p are those of Student’s t with Satterthwaite’s degrees of freedom on its standard error",
        f"{seeds}; two runs count as equivalent where the {level(2 * settings.alpha)} interval of their difference "
        f"lies within ±{verdicts.numbers.region(settings.practical_region)}",
        Cite(["schuirmann1987"]),
        "." if planned == 1 else ", with the same correction.",
        f" A verdict is said of these {groups} alone where a bootstrap of whole {groups} does not share it."
        if verdicts.group_kind
        else "",
        " There is no verdict where the better run, or both of two equivalent ones, are not shown to score above the "
        "best constant answer",
        f"{''.join(f'; nor {why}' for why in _refused(verdicts))}.",
        CHOSEN if any(not missing(row.get("b_chosen_from")) for row in verdicts.rows) else "",
    ]


def _refused(verdicts: Verdicts) -> list[str]:
    """Why some contrasts have no verdict, whatever they score."""
    why = {
        Status.ONE_SEED: "where either was trained only once, which may be what differs",
        Status.SELECTED_ON_TEST: "where epochs were chosen by the scores of the test items themselves",
    }
    return [text for status, text in why.items() if any(row.get("status") == status for row in verdicts.rows)]


def write_paper(folder: Path, view: dict, tables: list[Table]) -> None:
    """Write every table of the page as CSV and LaTeX, every figure as SVG, the methods and the BibTeX into a folder."""
    from models.report.figures import figure_files
    from models.report.html import environment

    if folder.is_dir() and any(folder.iterdir()) and not (folder / PREVIEW).is_file():
        raise InputError(
            f"--paper {folder}: holds other files than a report writes; give a folder that is not there yet, is empty, "
            f"or holds those of an earlier report ({PREVIEW}), which are then replaced"
        )
    folder.mkdir(parents=True, exist_ok=True)
    corpus = view["settings"].corpus
    written = {}
    for table in tables:
        written[f"{table.name}.csv"] = as_csv(table)
        written[f"{table.name}.tex"] = as_latex(table, f"{corpus}-{table.name}", view["demonstration"])
    written |= {f"{figure.name}.svg": figure.svg for figure in figure_files(view, environment())}
    written["methods.tex"] = view["paper"]["latex"]
    written["references.bib"] = view["paper"]["bibtex"] + "\n"
    shown = "".join(text for name, text in written.items() if name.endswith((".tex", ".bib")))
    written[PREVIEW] = document((table.name for table in tables), bool(view["paper"]["bibtex"]), shown)
    for name in {path.name for path in folder.iterdir() if path.suffix in (".csv", ".tex", ".svg", ".bib")}:
        if name not in written:  # what an earlier configuration left
            (folder / name).unlink()
    for name, text in written.items():
        (folder / name).write_text(text, encoding="utf-8")
