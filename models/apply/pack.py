"""The ``pack`` stage: a trained run as a folder that predicts on any recording."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import click

from models.apply import card
from models.apply.model_folder import (
    CARD,
    FILE,
    FORMAT,
    MEMBERS,
    WEIGHTS,
    Feature,
    ModelFile,
    RecogniserChoice,
    Weights,
)
from models.evaluation.metrics import selecting_metric
from models.predictions import AGAIN, RUN, fold_and_seed, fold_folder, read_run, seed_folders
from models.protocols.targets import Target
from models.settings import Settings
from models.truth import rated
from pipeline import weights as checkpoints
from pipeline.cli import FOLDER, results_option
from pipeline.files import is_litter
from pipeline.log import log
from pipeline.records import Assignment, InputError, Segment, read_table
from pipeline.store import FeatureStore
from pipeline.words.registry import NONE, RECOGNISERS


@click.command()
@results_option
@click.option("--run", required=True, help="MODEL-MODALITIES")
@click.option("--weights", default="results/weights", show_default=True, type=FOLDER)
@click.option("--fold", "chosen", multiple=True, type=click.IntRange(0), help="only the networks of these folds")
@click.option("--best", is_flag=True, help="of each fold only the seed with the best development score")
@click.option("--include-weights", is_flag=True, help="copy the encoders too, so that nothing need be fetched")
@click.option("--out", required=True, type=FOLDER, help="the model folder")
def pack(results, run, weights, chosen, best, include_weights, out):
    """Put a trained run into a folder that predicts on any recording, with its scores and nothing of the corpus."""
    out = out.resolve()  # "." has no name
    _check_replaceable(out)
    config = results / "config.json"
    settings = Settings.from_json(config)
    folds = range(settings.folds)
    if unknown := sorted(set(chosen) - set(folds)):
        raise InputError(f"--fold {unknown[0]}: {config} has folds {folds.start} to {folds.stop - 1}")
    if run not in settings.runs:
        raise InputError(f"--run {run}: {config} has the runs {', '.join(settings.runs)}")
    inputs = settings.runs[run].inputs
    features = {m: _feature(results, store, settings.extractors) for m, store in inputs.items()}
    recogniser = _recogniser(settings.options["recogniser"] if "text" in inputs else {"kind": NONE}, weights)
    partial = out.with_name(f".{out.name}.partial")  # the folder appears only when whole
    shutil.rmtree(partial, ignore_errors=True)
    best_by = f"development_{selecting_metric(settings.task)}" if best else None
    trained = [fold_folder(results, run, fold) for fold in chosen or folds]
    members = _copy_members(trained, partial / MEMBERS, best_by)
    for each in (*(part.weights for feature in features.values() for part in feature.made), recogniser.weights):
        if each and (include_weights or not checkpoints.parse(each.source).remote):
            _copy_weights(weights / each.slug, partial / WEIGHTS / each.slug)
    files = checkpoints.digest_files(partial / MEMBERS)
    about = _describe(results, settings, run, members, features, recogniser, files)
    (partial / CARD).write_text(card.page(about), encoding="utf-8")
    (partial / FILE).write_text(about.model_dump_json(indent=1) + "\n", encoding="utf-8")
    if out.exists():
        shutil.rmtree(out)
    partial.rename(out)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    log.info("%s: %d networks, %.1f MB", out, about.card["networks"], size / 1e6)


def _describe(
    results: Path,
    settings: Settings,
    run: str,
    members: dict[int, list[int]],
    features: dict[str, Feature],
    recogniser: RecogniserChoice,
    files: dict,
) -> ModelFile:
    """What model.json says of the networks of some folds and seeds, by what is known of the corpus's runs."""
    task, folds, faces = settings.task, range(settings.folds), settings.options["faces"]
    trained = [seed_folders(fold_folder(results, run, fold)) for fold in folds]
    one = read_run(trained[min(members)][0])
    segments = read_table(results / "segments.tsv", Segment)
    by_votes = one["training"]["targets"] == "raters"
    training = _trained(results, f"{settings.protocol.name}.tsv", set(members), by_votes)
    calibrated = card.calibration(results, run, members, task)
    crops = faces["picture"] == "face" and "video" in features and any(segment.crops for segment in segments)
    return ModelFile(
        format=FORMAT,
        corpus=settings.corpus,
        title=settings.title,
        run=run,
        task=str(task),
        outputs=one["model"]["outputs"],
        demonstration=settings.demonstration or bool(settings.random_of(settings.runs[run].inputs.values())),
        faces=faces,
        supplied_crops=crops,
        recogniser=recogniser,
        features=features,
        temperature=calibrated["temperature"],
        ranges=card.ranges(results, run, folds, task),
        card={
            "protocol": settings.protocol.description,
            "caveat": settings.protocol.caveat,
            "folds": sorted(members),
            "seeds": sorted({seed for seeds in members.values() for seed in seeds}),
            "networks": sum(map(len, members.values())),
            "scored": sum(map(len, trained)),
            **card.people(segments, training),
            **{name: value for name, value in calibrated.items() if name != "temperature"},
            "scores": card.scores(results, run, len(folds), task, segments),
        },
        files=files,
    )


def _check_replaceable(out: Path) -> None:
    """Raise InputError where a folder holds anything that is no model, which a new one must not replace."""
    if out.is_dir() and any(out.iterdir()) and not (out / FILE).is_file():
        raise InputError(
            f"--out {out}: holds other things than a model; give a folder that is not there yet, is empty, or holds a "
            f"model ({FILE}), which is then replaced"
        )


def _copy_members(folds: Sequence[Path], out: Path, best_by: str | None) -> dict[int, list[int]]:
    """Copy the networks of some folds, or the best of each, and return their seeds; raises InputError where none is."""
    members: dict[int, list[int]] = {}
    for folder in folds:
        found = sorted(seed_folders(folder), key=fold_and_seed)
        if not found:
            raise InputError(f"{folder}: holds no trained seed; train the run first")
        if best_by:
            found = [max(found, key=lambda one: read_run(one)["selected"][best_by])]
        for one in found:
            target = out / one.relative_to(folder.parent)
            target.mkdir(parents=True)
            for name in ("checkpoint.safetensors", RUN):
                shutil.copyfile(one / name, target / name)
            fold, seed = fold_and_seed(one)
            members.setdefault(fold, []).append(seed)
    return members


def _trained(results: Path, split: str, folds: set[int], by_votes: bool) -> list[Assignment]:
    """What trains some folds: of a split, or with ``by_votes`` what raters have voted on in place of it."""
    rows = [row for row in read_table(results / "splits" / split, Assignment) if row.fold in folds]
    targets = read_table(results / "targets" / split, Target) if by_votes else []
    for fold in folds if by_votes else ():
        own = rated([row for row in rows if row.fold == fold], [target for target in targets if target.fold == fold])[0]
        rows = [*(row for row in rows if row.fold != fold), *own]
    return rows


def _feature(results: Path, name: str, entries: dict) -> Feature:
    """How a feature store was made, as the store says; raises InputError where no one extractor made it."""
    made, entry = FeatureStore(results / "features" / f"{name}.h5").attributes, entries[name]
    if entry["extractor"] == "import":
        raise InputError(
            f"features {name} were imported, and the tool that made them cannot be run on another recording; pack a "
            "run whose features an extractor makes"
        )
    parts = [_feature(results, store, entries) for store in entry["stores"]] if entry["extractor"] == "join" else []
    source = entry.get("weights")
    found = None
    if source:
        allowed, digests = bool(entry.get("allow_pickle")), made["weights"]["sha256"]
        found = Weights.of(source, allow_pickle=allowed, sha256=digests)
    return Feature(
        name=name,
        extractor=made["extractor"],
        version=made["extractor_version"],
        options=made["config"],
        weights=found,
        parts=parts,
    )


def _recogniser(entry: dict, weights: Path) -> RecogniserChoice:
    """What recognised the speech of the corpus."""
    kind, source, allowed, found = entry["kind"], entry.get("weights"), bool(entry.get("allow_pickle")), None
    common = ("kind", "weights", "allow_pickle")
    options = {key: value for key, value in entry.items() if key not in common and value is not None}
    if source:
        manifest = checkpoints.read_manifest(weights / checkpoints.slug(source))
        if manifest is None:
            raise InputError(f"{weights / checkpoints.slug(source)}: holds no weights of {source}; {AGAIN}")
        digests = {name: each["sha256"] for name, each in manifest["files"].items()}
        found = Weights.of(source, allow_pickle=allowed, sha256=digests)
    code = "" if kind == NONE else RECOGNISERS.code_of(kind)
    return RecogniserChoice(kind=kind, options=options, weights=found, code=code)


def _copy_weights(source: Path, target: Path) -> None:
    if not source.is_dir():
        raise InputError(f"{source}: the weights to be copied are not there; give their folder with --weights")
    if not target.exists():
        shutil.copytree(source, target, ignore=lambda _, names: set(filter(is_litter, names)))
