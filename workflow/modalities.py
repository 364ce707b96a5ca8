"""What of the defaults a corpus has no use for (runs, features that no run reads), and what its own runs lack."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from models.options import MODALITIES, MODALITY_SETS, NetworkOptions, runs_named
from models.task import Task
from pipeline.corpora import check
from pipeline.corpora.base import Index
from workflow.options import CorpusOptions


def modalities_of(index: Index, recognised: bool) -> set[str]:
    """Which of audio, video and text a corpus has, from its tables; words may be ``recognised``."""
    units = {unit.unit_id: unit for unit in index.units}
    found = set[str]().union(*(check.modalities_of(segment, units[segment.unit_id]) for segment in index.segments))
    return found | {"text"} if recognised and "audio" in found else found


def without_unused(
    options: CorpusOptions, own: Mapping[str, Any], models: Mapping, task: Task, present: Collection[str] | None
) -> CorpusOptions:
    """The options without what a corpus has no use for of the defaults.

    What the corpus's ``own`` entry names stays, so that nothing that was asked for goes in silence: see ``lacking``.
    """
    if "runs" not in own:
        options = _without_runs(options, models, task, present)
    return _without_unread(_without_contrasts(options, "contrasts" not in own), own)


def lacking(options: CorpusOptions, index: Index | None) -> Iterator[str]:
    """Yield of each modality that no segment has which runs read it, those apart whose features are imported."""
    if index is None:
        return
    present = modalities_of(index, options.recogniser.enabled)
    for modality in (one for one in MODALITIES.values() if one not in present):
        runs = [
            name
            for name, run in options.planned_runs.items()
            if any(made.modality == modality and not made.imported for made in options.made(run).values())
        ]
        if runs:
            recognise = ", set a recogniser" if modality == "text" and "audio" in present else ""
            yield (
                f"no segment has {modality}, which {', '.join(runs)} would read: leave it out of runs{recognise}, "
                "or import features of it (extractor: import)"
            )


def _without_runs(
    options: CorpusOptions, models: Mapping[str, NetworkOptions], task: Task, present: Collection[str] | None
) -> CorpusOptions:
    """Without runs on modalities that the corpus lacks (None: not known), or as published for another task."""
    absent = set() if present is None else set(MODALITIES.values()).difference(present)
    other = {name for name, one in models.items() if one.published and one.published.task != task.what}
    kept = {}
    for key, entry in options.runs.items():
        if entry is None:
            kept[key] = entry
            continue
        one = options.run_entries[key]
        sets = [modalities for modalities in one.modalities if absent.isdisjoint(MODALITY_SETS.get(modalities, ()))]
        if sets and one.model not in other:
            gone = _of_sets(one.modalities) - _of_sets(sets)
            inputs = {modality: store for modality, store in one.inputs.items() if modality not in gone}
            changes = {"modalities": sets, "inputs": inputs}
            kept[key] = sets if isinstance(entry, list) else entry.model_copy(update=changes)
    return options.model_copy(update={"runs": kept})


def _without_contrasts(options: CorpusOptions, default: bool) -> CorpusOptions:
    """Without contrasts of runs that were left out by null and, of the ``default`` ones, of all that are not there."""
    left_out = {key for key, entry in options.runs.items() if entry is None}
    there = {f"{key}-{one}" for key, entry in options.run_entries.items() for one in entry.modalities}
    named = [(contrast, runs_named(contrast.a, contrast.b)) for contrast in options.contrasts]
    kept = [
        contrast
        for contrast, runs in named
        if left_out.isdisjoint(run.rpartition("-")[0] for run in runs) and (not default or there.issuperset(runs))
    ]
    return options.model_copy(update={"contrasts": kept})


def _without_unread(options: CorpusOptions, own: Mapping[str, Any]) -> CorpusOptions:
    """Without inputs and extractors that no run reads."""
    runs, extractors = options.run_entries.values(), options.extractors
    used = {modality for entry in runs for modality in _of_sets(entry.modalities).difference(entry.inputs)}
    used |= set(own.get("inputs") or ())
    inputs = {modality: store for modality, store in options.inputs.items() if modality in used}
    read = {*inputs.values(), *(store for entry in runs for store in entry.inputs.values())}
    if read <= extractors.keys():  # else it is a mistake, about which the whole list is told
        wanted = {*read, *(own.get("extractors") or ())}
        wanted |= {store for name in wanted & extractors.keys() for store in extractors[name].joined}
        extractors = {name: entry for name, entry in extractors.items() if name in wanted}
    return options.model_copy(update={"inputs": inputs, "extractors": extractors})


def _of_sets(sets: Collection[str]) -> set[str]:
    """The modalities of some sets; of what is no set, which is told elsewhere, none."""
    return {modality for one in sets for modality in MODALITY_SETS.get(one, ())}
