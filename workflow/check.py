"""``affectflow check``: what a corpus holds and what a run on it would do and cost, in seconds and before any work."""

from collections import Counter
from collections.abc import Iterator
from functools import reduce
from math import isfinite
from typing import TYPE_CHECKING

import click

from models.evaluation.contrast import also_differs, differences
from models.options import runs_named
from models.report.writing import count
from pipeline.records import Assignment, InputError
from workflow.launch import base, files, in_order, overlays, read, settings_option

if TYPE_CHECKING:
    from workflow.settings import Resolved

CORES = 8  # for which the whole is said
APART = "demonstration's and your own plugs apart"


@click.command()
@click.argument("corpus")
@settings_option
def check(corpus, settings):
    """Say what CORPUS holds and lacks, and what a run on it as configured would make, train and cost."""
    from pipeline.corpora.check import summary
    from workflow.planned import Corpora

    known = Corpora(configuration(overlays(corpus, settings))).usable(corpus)
    if known.settings.synthetic:
        lines = [f"{'corpus':<12} {corpus}: no root is set, a synthetic corpus is generated", *plan_of(known)]
        lines.append(f"{'costs':<12} some minutes: a demonstration")
    else:
        lines = [*summary(known.settings.corpus, known.index), *plan_of(known), *parts_and_costs_of(known)]
    for line in lines:
        click.echo(line.encode(errors="replace").decode())


def configuration(settings: tuple[str, ...]) -> dict:
    """config.yaml with what was laid over it, as Snakemake lays it; raises InputError as a run would."""
    from workflow.overlay import check_files
    from workflow.settings import patch

    check_files(files(settings), base())
    return reduce(patch, map(read, (base(), *in_order(settings))))


def plan_of(known) -> Iterator[str]:
    """Yield what a run would do: scale, features and their weights, folds, trainings, contrasts."""
    options, scale = known.options, known.settings.scale
    stores = [f"{name} ({entry.extractor}, {entry.modality})" for name, entry in options.extractors.items()]
    runs, seeds = len(options.run_names), len(options.training.seeds)
    yield f"{'scale':<12} {scale}{': small random networks, to try the path' if scale == 'demo' else ''}"
    yield f"{'features':<12} {', '.join(stores) or 'none'}"
    if options.unread:
        yield f"{'unread':<12} {', '.join(options.unread)}: made, and read by no run"
    yield f"{'weights':<12} {', '.join(options.weight_sources) or 'none'}"
    yield f"{'protocol':<12} {known.settings.protocol}, {count(known.folds, 'fold')}"
    yield (
        f"{'trainings':<12} {runs * known.folds * seeds:,}: {count(runs, 'run')} ({', '.join(options.run_names)}), "
        f"{count(known.folds, 'fold')}, {count(seeds, 'seed')}"
    )
    yield f"{'contrasts':<12} {len(options.contrasts) or 'none'}"
    for contrast in options.contrasts:
        for b in runs_named(contrast.a, contrast.b)[1:]:
            rest = also_differs(between(known.settings, contrast.a, b))
            if rest:
                yield f"  {contrast.question}: {contrast.a} and {b} also differ in {', '.join(rest)}"


def parts_and_costs_of(known) -> Iterator[str]:
    """Yield what a split would hold and a run cost; where there can be no split, why, and what features cost."""
    try:
        rows = split_of(known)
    except InputError as error:
        rows = []
        yield f"{'split':<12} cannot be made: {error}"
    else:
        yield from parts_of(known, rows)
    yield from costs_of(known, rows)


def split_of(known) -> list[Assignment]:
    """The split, as far as recordings need not be opened for it; raises InputError where there can be none."""
    from models.protocols.labels import usable
    from models.protocols.split import assign

    one, options, segments = known.settings, known.options, known.index.segments
    label, predicted = usable(one.task, segments, known.index.labels, one.labels, options.merge, known.unlabelled)
    by_duration = one.task.frames and measured(known)
    return assign(segments, one.protocol, label, predicted, options.turns, options.split_seed, by_duration)


def measured(known) -> bool:
    """Whether the index says how long each segment is."""
    return all(isfinite(segment.end_s) for segment in known.index.segments)


def parts_of(known, rows: list[Assignment]) -> Iterator[str]:
    """Yield how large the parts of a fold would be, and where no contrast could be decided."""
    from models.protocols.split import PARTS

    one, sizes = known.settings, dict[str, list[int]]()
    for (part, _), size in sorted(Counter((row.part, row.fold) for row in rows).items()):
        sizes.setdefault(part, []).append(size)
    listed = ", ".join(f"{part} {span(sizes[part])}" for part in PARTS if part in sizes)
    yield f"{'split':<12} {listed} {one.corpus.segment_word}s{' in each fold' if known.folds > 1 else ''}"
    if known.options.contrasts and (measured(known) or not one.task.frames):
        yield from undecidable(known, {row.segment_id for row in rows if row.part == "test"})


def span(sizes: list[int]) -> str:
    """From the least to the most of several numbers."""
    least, most = min(sizes), max(sizes)
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def undecidable(known, tested: set[str]) -> Iterator[str]:
    """Yield why no contrast could be decided on the segments ``tested``, if so: they are too few, or in too few."""
    import numpy as np

    from models.evaluation.clusters import clusters_of
    from models.evaluation.comparison import too_little
    from workflow.estimate import FRAMES_PER_S

    task, segments = known.settings.task, [s for s in known.index.segments if s.segment_id in tested]
    clusters, items = clusters_of(segments, task), Counter[str]()
    for segment in segments:
        items[clusters.of[segment.segment_id]] += segment.duration_s * FRAMES_PER_S if task.frames else 1
    status = too_little(np.array(list(items.values())), known.options.significance.alpha)
    if status:
        what = f"{count(len(items), clusters.kind)} with {count(len(tested), known.settings.corpus.segment_word)}"
        yield f"  no contrast can be decided on a test set of {what}: {status.text}"


def costs_of(known, rows: list[Assignment]) -> Iterator[str]:
    """Yield what a run would cost as configured, and from what that was estimated."""
    from workflow.estimate import cells, costs, epochs_of, volume

    yield f"{'costs':<12} an estimate, from rates of {measured_on()}; networks of base size, {APART}"
    row = "  {:<24} {:>10} {:>12} {:>10} {:>21}"
    yield row.format("", "core hours", "or GPU hours", "GB of disk", "GB of memory of a job")
    found = costs(known, volume(known, rows))
    for cost in found:
        yield row.format(*cells(cost))
    priced = f"training is priced at {epochs_of(known.options.training)} epochs; " if rows else ""
    yield f"  {priced}– where no rate is known"
    for line in together(found):
        yield f"  all, {line}"


def measured_on() -> str:
    """The machines whose rates are taken."""
    from workflow.estimate import rates

    return " and ".join(f"one {rates()[key]['machine']} {key}" for key in ("core", "gpu") if key in rates())


def together(found: list) -> Iterator[str]:
    """Yield how long all stages take on cores alone, and on as many with a GPU where that is known."""
    from models.report.writing import duration
    from workflow.estimate import total

    unknown = [cost.stage for cost in found if cost.core_s is None and cost.gpu_s is None]
    apart = f", {' and '.join(unknown)} apart, of which no rate is known" if unknown else ""
    for gpu, where in ((False, f"{CORES} cores"), (True, f"{CORES} cores and one GPU")):
        seconds = total(found, CORES, gpu)
        if seconds is not None:
            yield f"on {where}: {duration(seconds)}{apart}"


def between(settings: "Resolved", a: str, b: str) -> list[str]:
    """All in which two runs differ."""
    first, second = (settings.options.planned_runs[run] for run in (a, b))
    models = [settings.models[run.model] for run in (first, second)]
    training = [settings.options.training.for_network(model).model_dump() for model in models]
    return differences(
        models[0].model_dump(),
        models[1].model_dump(),
        (first.modalities, second.modalities),
        (first.inputs, second.inputs),
        (training[0], training[1]),
    )
