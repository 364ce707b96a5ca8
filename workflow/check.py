"""``affectflow check``: what a corpus holds and what a run on it would do and cost, in seconds and before any work."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from math import inf, isfinite
from typing import TYPE_CHECKING

import click

from models.evaluation.contrast import also_differs, differences
from models.options import runs_named
from models.report.writing import count
from pipeline.corpora.check import line, summary
from pipeline.records import Assignment, InputError
from workflow.launch import configuration, corpus_argument, overlays, settings_option

if TYPE_CHECKING:
    from workflow.estimate import Cost
    from workflow.planned import Planned
    from workflow.settings import Resolved

CORES = 8  # number of cores for which the total time is told
APART = "demonstration's and your own plugs apart"
LONG_AFTER = 1.5  # times the length of its recording: there a segment ends long after it


@click.command()
@corpus_argument
@settings_option
def check(corpus, settings):
    """Say what CORPUS holds and lacks, and what a run on it as configured would make, train and cost."""
    from workflow.corpora import Corpora

    planned = Corpora(*configuration(overlays(corpus, settings))).usable(corpus)
    if planned.settings.synthetic:
        lines = [line("corpus", f"{corpus}: no root is set, a synthetic corpus is generated"), *plan_of(planned)]
        lines.append(line("costs", "some minutes: a demonstration"))
    else:
        lines = [*summary(planned.settings.corpus, planned.index, beyond(planned))]
        lines += [*plan_of(planned), *parts_and_costs_of(planned)]
    for text in lines:
        click.echo(text.encode(errors="replace").decode())


def beyond(planned: "Planned") -> str:
    """How many segments do not lie in their recordings, of those recordings that were opened; empty where all do."""
    from workflow.estimate import lengths_s

    known_s = lengths_s(planned)
    looked = [(s, known_s[s.unit_id]) for s in planned.index.segments if s.unit_id in known_s]
    late = [(s, s.start_s, end_s) for s, end_s in looked if s.start_s >= end_s]
    late += [(s, s.end_s, end_s) for s, end_s in looked if s.start_s < end_s and LONG_AFTER * end_s < s.end_s < inf]
    if not late:
        return ""
    what = f"{len(late):,} of {len(looked):,} segments looked at begin after their recording ends, or end long after it"
    segment, time_s, end_s = late[0]
    return f"{what}, such as {segment.segment_id}: {time_s:,.1f} s of {end_s:,.1f} s; are the times in seconds?"


def plan_of(planned: "Planned") -> Iterator[str]:
    """Yield what a run would do: scale, features and their weights, folds, trainings, contrasts."""
    from workflow.modalities import lacking

    options, scale = planned.options, planned.settings.scale
    stores = [f"{name} ({entry.extractor}, {entry.modality})" for name, entry in options.extractors.items()]
    yield line("scale", scale + (small_networks(options.weight_sources) if scale == "demo" else ""))
    yield line("features", ", ".join(stores) or "none")
    if options.unread:
        yield line("unread", f"{', '.join(options.unread)}: made by affectflow features, read by no run")
    yield line("weights", ", ".join(options.weight_sources) or "none")
    yield from trainings_of(planned)
    yield from (f"  {text}" for text in lacking(options, planned.settings.index))
    yield line("contrasts", str(len(options.contrasts) or "none"))
    for contrast in options.contrasts:
        for b in runs_named(contrast.a, contrast.b)[1:]:
            rest = also_differs(between(planned.settings, contrast.a, b))
            if rest:
                yield f"  {contrast.question}: {contrast.a} and {b} also differ in {', '.join(rest)}"


def small_networks(sources: Iterable[str]) -> str:
    """What the demonstration runs in place of networks, by where their weights come from."""
    own = not all(source.startswith("demo:") for source in sources)
    return f": small random networks{' (checkpoints of your own stay as they are)' if own else ''}, to try the path"


def trainings_of(planned: "Planned") -> Iterator[str]:
    """Yield the protocol with its folds and how many trainings there are, or why there can be none."""
    one, options, runs = planned.settings, planned.options, planned.options.planned_runs
    if planned.not_folded:
        yield line("protocol", f"{one.protocol}, no folds: {planned.not_folded}")
        yield line("trainings", "none, for there are no folds")
        return
    folds, seeds = count(planned.folds, "fold"), count(len(options.training.seeds), "seed")
    rates = [len(options.training.for_network(one.models[run.model]).learning_rates) for run in runs.values()]
    several = f", {span(rates)} learning rates, of which one is kept" if max(rates, default=1) > 1 else ""
    total = sum(rates) * planned.folds * len(options.training.seeds)
    yield line("protocol", f"{one.protocol}, {folds}")
    yield line("trainings", f"{total:,}: {count(len(runs), 'run')} ({', '.join(runs)}), {folds}, {seeds}{several}")


def parts_and_costs_of(planned: "Planned") -> Iterator[str]:
    """Yield what a split would hold and a run cost; where there can be no split, why, and what features cost."""
    try:
        rows = split_of(planned)
    except InputError as error:
        rows = []
        if not planned.not_folded:  # else it was said
            yield line("split", f"cannot be made: {error}")
    else:
        yield from parts_of(planned, rows)
    yield from costs_of(planned, rows)


def split_of(planned: "Planned") -> list[Assignment]:
    """The split, as far as recordings need not be opened for it; raises InputError where there can be none."""
    from models.protocols.labels import usable
    from models.protocols.split import assign

    one, options, segments = planned.settings, planned.options, planned.index.segments
    label, predicted = usable(one.task, segments, planned.index.labels, one.labels, options.merge, planned.unlabelled)
    by_duration = one.task.frames and measured(planned)
    return assign(segments, one.protocol, label, predicted, options.turns, options.split_seed, by_duration)


def measured(planned: "Planned") -> bool:
    """Whether the index says how long each segment is."""
    return all(isfinite(segment.end_s) for segment in planned.index.segments)


def parts_of(planned: "Planned", rows: list[Assignment]) -> Iterator[str]:
    """Yield how large the parts of a fold would be, and where no contrast could be decided."""
    from models.protocols.split import PARTS

    one, sizes = planned.settings, dict[str, list[int]]()
    for (part, _), size in sorted(Counter((row.part, row.fold) for row in rows).items()):
        sizes.setdefault(part, []).append(size)
    listed = ", ".join(f"{part} {span(sizes[part])}" for part in PARTS if part in sizes)
    yield line("split", f"{listed} {one.corpus.segment_word}s{' in each fold' if planned.folds > 1 else ''}")
    if planned.options.contrasts:
        if measured(planned) or not one.task.frames:
            yield from undecidable(planned, {row.segment_id for row in rows if row.part == "test"})
        yield from without_verdict(planned, rows)


def span(sizes: list[int]) -> str:
    """From the least to the most of several numbers."""
    least, most = min(sizes), max(sizes)
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


def undecidable(planned: "Planned", tested: set[str]) -> Iterator[str]:
    """Yield why no contrast could be decided on the segments ``tested``, if so: they are too few, or in too few."""
    import numpy as np

    from models.evaluation.clusters import clusters_of
    from models.evaluation.comparison import too_little
    from workflow.estimate import FRAMES_PER_S

    task, segments = planned.settings.task, [s for s in planned.index.segments if s.segment_id in tested]
    clusters, items = clusters_of(segments, task), defaultdict[str, float](float)
    for segment in segments:
        items[clusters.of[segment.segment_id]] += segment.duration_s * FRAMES_PER_S if task.frames else 1
    status = too_little(np.array(list(items.values())), planned.options.significance.alpha)
    if status:
        what = f"{count(len(items), clusters.kind)} with {count(len(tested), planned.settings.corpus.segment_word)}"
        yield f"  no contrast can be decided on a test set of {what}: {status.text}"


def without_verdict(planned: "Planned", rows: list[Assignment]) -> Iterator[str]:
    """Yield why no contrast would have a verdict, however large the test set, if so."""
    from models.evaluation.significance import selected_on_test
    from models.evaluation.statuses import Status

    holds = {Status.ONE_SEED: len(planned.options.training.seeds) == 1, Status.SELECTED_ON_TEST: selected_on_test(rows)}
    yield from (f"  no contrast will be decided: {status.text}" for status, so in holds.items() if so)


def costs_of(planned: "Planned", rows: list[Assignment]) -> Iterator[str]:
    """Yield what a run would cost as configured, and from what that was estimated."""
    from workflow.estimate import cells, costs, epochs_of, volume

    yield line("costs", f"an estimate, from rates of {measured_on()}; networks of base size, {APART}")
    row = "  {:<24} {:>10} {:>12} {:>10} {:>21}"
    yield row.format("", "core hours", "or GPU hours", "GB of disk", "GB of memory of a job")
    found = costs(planned, volume(planned, rows))
    for cost in found:
        yield row.format(*cells(cost))
    priced = f"training is priced at {epochs_of(planned.options.training)} epochs; " if rows else ""
    yield f"  {priced}– where no rate is known"
    for text in together(found):
        yield f"  all, {text}"


def measured_on() -> str:
    """The machines whose rates are taken."""
    from workflow.estimate import rates

    return " and ".join(f"one {rates()[key]['machine']} {key}" for key in ("core", "gpu") if key in rates())


def together(found: list["Cost"]) -> Iterator[str]:
    """Yield how long all stages take on cores alone, and on as many with a GPU where that is known."""
    from models.report.writing import duration, listing
    from workflow.estimate import total

    unknown = [cost.stage for cost in found if cost.core_s is None and cost.gpu_s is None]
    apart = listing([*unknown, "the start of each job (some seconds)"])
    for gpu, where in ((False, f"{CORES} cores"), (True, f"{CORES} cores and one GPU")):
        seconds = total(found, CORES, gpu)
        if seconds is not None:
            yield f"on {where}: {duration(seconds)}, {apart} apart"


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
