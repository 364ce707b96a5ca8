"""Everything the page shows, as plain values: after this no file is read."""

from models.evaluation.contrast import runs_of
from models.options import MODALITIES
from models.report import writing
from models.report.gather import Results, contact_sheet
from models.report.paper import paper
from models.report.runs import RunNames, in_order, matches, names_of
from models.report.sections import classes, contrasts, costs, folds, items, published, ranks, scores, traces, training
from models.report.sections.coverage import coverage
from models.report.sections.examples import examples
from models.report.sections.first_page import first_page
from models.report.sections.provenance import provenance
from models.report.sections.raters import agreement_of
from models.report.sections.verdict import Verdicts
from models.settings import Settings
from models.wording import NORMALISED

TITLES = {
    "scores": "Scores",
    "significance": "Significance and equivalence",
    "classes": "Classes",
    "truth": "Prediction and truth",
    "traces": "Prediction against truth over time",
    "videos": "{} by {}",
    "speakers": "Speaker by speaker",
    "examples": "Errors to look at",
    "curves": "Training",
    "coverage": "Coverage",
    "faces": "Faces",
    "methods": "How it was computed",
    "paper": "For a paper",
    "cost": "Cost",
    "provenance": "Provenance",
    "downloads": "Downloads",
}


def build(results: Results, media: bool = True) -> dict:
    """The values of the page; without ``media`` no face, word or trace, and no label or prediction of one segment."""
    settings = results.settings
    table = scores.of_protocol(results.tables["scores"], settings.protocol.name)
    runs = in_order(table["run"], settings.runs)
    rows = results.tables["significance"].to_dict("records")
    run_names = names_of(settings)
    verdicts = Verdicts(rows, run_names, settings)
    cells = scores.collect(table[table["run"].isin(runs)])
    ranked = scores.ranking(cells, runs, settings.metric)
    main = scores.main_runs(ranked, runs, [run for side in "ab" for run in runs_of(rows[0][side])] if rows else [])
    best = next(iter(ranked or main), None)
    view = {
        "settings": settings,
        "media": media,
        "synthetic": settings.root is None,
        "demonstration": is_demonstration(results),
        "modality_letters": {k: v for k, v in MODALITIES.items() if v in settings.modalities},
        "run_names": run_names,
        "verdicts": verdicts,
        "main": main,
        "all_in_detail": len(main) == len(runs),
        "best": best,
        "absent": results.absent,
        **_score_views(results, table, cells, runs, main, run_names),
    }
    view |= _contrast_views(verdicts, settings, results)
    view |= _prediction_views(results, main, best, run_names, media)
    view["first_page"] = first_page(results, verdicts, cells, runs, ranked, view["chance"])
    view |= {
        "models_table": training.models_table(results, runs, run_names),
        "layers_table": training.layers_table(results, runs, run_names),
        "curves": training.learning_curves(results, main) if main else None,
        "coverage": coverage(results.tables["coverage"], settings, media),
        "sheet": contact_sheet(results) if media else None,
        "cost": None if results.benchmarks is None else costs.cost(results.benchmarks),
        "split": None if results.split is None else folds.split_table(results, results.split),
        "apart": folds.apart(results),
        "normalised": NORMALISED,
        "provenance": provenance(results),
        "packed": [run for run in runs if (results.folder / "models" / run / "model.json").is_file()],
        "departures": departures(settings, runs),
        "feature_lines": feature_lines(settings),
    }
    view["paper"] = paper(results, view, runs)
    word = settings.words["segment"]
    view["sections"] = [
        (name, title.format(writing.sentence(word), word))
        for name, title in TITLES.items()
        if _stands(name, view, media)
    ]
    return view


def _stands(section: str, view: dict, media: bool) -> bool:
    """Whether a section has a place in this report; what was configured and is not there is said in its place."""
    settings = view["settings"]
    numbers, frames = settings.task.numbers, settings.task.frames
    return {
        "significance": bool(settings.contrasts or view["verdicts"].rows),
        "classes": not numbers,
        "truth": numbers and not frames,
        "traces": numbers and frames and media,
        "videos": frames,
        "speakers": view["speakers"] is not None,
        "examples": view["examples"] is not None,
        "faces": media and "video" in settings.modalities,
    }.get(section, True)


def _score_views(results: Results, table, cells: scores.Cells, runs: list[str], main: list[str], run_names) -> dict:
    settings, confusion = results.settings, results.tables["confusion"]
    class_names = [] if settings.task.numbers else classes.classes_of(table, settings.options["labels"])
    counts = classes.support(confusion, len(settings.seeds))
    papers = published.papers(settings)
    chance = scores.chance_of(table, settings.metric)
    shown = scores.score_view(cells, runs, run_names, settings, papers, chance)
    of_class = {
        kind: classes.of_classes(kind, cells, main, class_names, counts, run_names, settings)
        for kind in ("recall", "precision")
    }
    return {
        **of_class,
        "classes": class_names,
        "chance": chance,
        "scores": shown,
        "style_table": scores.by_turns(results.tables["scores"], runs, run_names, settings),
        "features_table": scores.by_input(cells, runs, run_names, settings.metric),
        "raters": agreement_of(results, settings, class_names),
        "without_table": scores.without_table(results.tables["missing_modalities"], runs, run_names, settings),
        "published_table": published.table(papers, shown.shown if shown else set()),
        "ranks": ranks.picture(
            table,
            results.tables["per_video"],
            runs,
            settings.metric,
            run_names,
            planned=bool(settings.contrasts),
            segment=settings.words["segment"],
        ),
        "confusion": classes.confusions(confusion, main, class_names, run_names),
    }


def _contrast_views(verdicts: Verdicts, settings: Settings, results: Results) -> dict:
    if not verdicts.rows:
        return dict.fromkeys(("contrasts", "tests", "forest", "contrasts_by_style"))
    return {
        "contrasts": contrasts.planned(verdicts, settings, training.parameters(results)),
        "tests": contrasts.tests(verdicts),
        "forest": contrasts.forest_axis(verdicts, settings),
        "contrasts_by_style": contrasts.by_turns(verdicts),
    }


def _prediction_views(results: Results, main: list[str], best: str | None, run_names: RunNames, media: bool) -> dict:
    settings = results.settings
    numbers, frames = settings.task.numbers, settings.task.frames
    found = {} if frames else {run: items.read_items(results, run) for run in main}
    found = {run: table for run, table in found.items() if table is not None and len(table)}
    predictions = {f"prediction_{target}" for target in settings.task.targets}
    of_numbers = {run: table for run, table in found.items() if predictions <= set(table)} if numbers else {}
    return {
        "calibration": items.calibration(found, run_names) if found and not numbers else None,
        "speakers": items.speakers(results, of_numbers if numbers else found, run_names),
        "truth": items.truth_and_prediction(of_numbers, run_names, settings.task.targets, media),
        "traces": traces.traces(results, best) if numbers and frames and media and best else [],
        "videos": traces.video_swarm(results, main, run_names) if frames else None,
        "examples": examples(results) if media else None,
    }


def is_demonstration(results: Results) -> bool:
    """Whether any number in it rests on a synthetic corpus or on random weights."""
    settings, marked = results.settings, (store.attributes["demonstration"] for store in results.stores)
    return settings.demonstration or bool(settings.random_weights) or any(marked)


def departures(settings: Settings, runs: list[str]) -> list[dict]:
    """Where the papers did otherwise, as far as it concerns a model or a modality that ran."""
    used = list(dict.fromkeys(settings.runs[run].model for run in runs))
    options = [{**settings.models[model], "training": settings.trained(model)} for model in used]
    found = list(settings.departures)
    for model in used:
        about = settings.about_models[model]
        found += [{**note, "title": f"{about['title']}: {note['title']}"} for note in about["notes"]]
    kept = [
        one
        for one in found
        if ("models" not in one or any(matches(one["models"], of_model) for of_model in options))
        and ("modality" not in one or one["modality"] in settings.modalities)
        and ("unless" not in one or not matches(one["unless"], settings.options))
    ]
    return list({(one["title"], one["text"]): one for one in kept}.values())


def feature_lines(settings: Settings) -> list[str]:
    """What each modality is made of, in words: one line for each that some run reads."""
    out = []
    for modality in settings.modalities:
        stores = []
        for store, (by, weights) in settings.made_by(modality).items():
            made = "imported" if by == "import" else f"extractor {by}"
            if weights and by != "import":
                made += f", {weights}"
            stores.append(f"{store} ({made})")
        out.append(f"{writing.sentence(modality)}: {writing.listing(stores)}.")
    return out
