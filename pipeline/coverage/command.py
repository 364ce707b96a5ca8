"""The ``coverage`` stage: of every segment and modality what is there, what is not, and why.

One row for each segment and each of video, audio, text and, in tasks of frames, label, ``features/<name>`` for each
feature store, and ``split``: whether the protocol uses the segment; before them the findings that concern a whole unit
or the whole corpus.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import click

from pipeline.causes import Cause, Status
from pipeline.cli import EXISTING, FILE
from pipeline.corpora.base import WHOLE_CORPUS
from pipeline.coverage.of_split import of_split
from pipeline.coverage.states import State, graded, of_modality, of_store
from pipeline.records import PREPARED, Finding, InputError, Segment, read_labels, read_table, write_table


def collect(results: Path, features: Sequence[str], split: Path | None = None) -> list[Finding]:
    """All rows of the coverage table of one corpus; raises InputError for a file that is not what its name says."""
    segments = read_table(results / "segments.tsv", Segment)
    tables = [path for name in ("findings.tsv", "label_findings.tsv") if (path := results / name).exists()]
    findings = [row for path in tables for row in read_table(path, Finding)]
    states: dict[str, dict[str, State]] = {}
    general = []
    for modality, pattern in PREPARED.items():
        folder = pattern.partition("/")[0]
        if (results / folder).is_dir():
            states[modality] = of_modality(results, modality, segments)
        else:
            general.append(_missing(modality, f"not prepared: there is no folder {folder}"))
    if "text" in states:
        states["text"] = _with_sound(states["text"], states.get("audio", {}))
    if (results / "labels.h5").exists():
        states["label"] = of_store(results / "labels.h5", Cause.NO_LABEL, "no label", "frames")[0]
    for column in (f"features/{name}" for name in features):
        if (results / f"{column}.h5").exists():
            store = results / f"{column}.h5"
            found, made_from = of_store(store, Cause.NOTHING_OBSERVED, "nothing observed", "rows")
            states[column] = _explain(found, states.get(made_from, {}))
        else:
            general.append(_missing(column, f"there is no {column}.h5"))
    if split is not None:
        states["split"] = of_split(split, segments, read_labels(results / "labels.tsv"))
    return [*general, *_rows(segments, states, findings)]


def _missing(modality: str, reason: str) -> Finding:
    return Finding(WHOLE_CORPUS, None, modality, Status.ABSENT, reason, cause=Cause.NOT_PREPARED)


def _explain(features: dict[str, State], source: dict[str, State]) -> dict[str, State]:
    """Features that are wholly absent are so for the reason of what they were made from."""
    absent = {segment_id for segment_id, state in features.items() if state.status == Status.ABSENT}
    known = {segment_id: source[segment_id] for segment_id in absent & source.keys() if source[segment_id].reason}
    return features | {s: replace(features[s], reason=why.reason, cause=why.cause) for s, why in known.items()}


def _with_sound(text: dict[str, State], sound: dict[str, State]) -> dict[str, State]:
    """Where no word was found and something is wrong with the sound, the reason names it."""
    wordless = {segment_id: state for segment_id, state in text.items() if state.cause == Cause.NO_WORD}
    wrong = {segment_id: sound[segment_id].reason for segment_id in wordless.keys() & sound.keys()}
    return text | {s: replace(text[s], reason=f"{text[s].reason}: {why}") for s, why in wrong.items() if why}


def _rows(
    segments: Sequence[Segment], states: dict[str, dict[str, State]], findings: Iterable[Finding]
) -> Iterator[Finding]:
    """Findings that stand alone, then a row for each segment and modality with the findings that concern it."""
    known = {s.segment_id for s in segments}
    concerning = defaultdict(list)
    for finding in findings:
        if finding.segment in known and finding.modality in states:
            concerning[finding.segment, finding.modality].append(finding)
        else:
            yield finding
    for segment in segments:
        for modality, of_segment in states.items():
            state = of_segment.get(segment.segment_id, graded(0.0, Cause.NOT_IN_FILE, "the segment is not in the file"))
            own = concerning[segment.segment_id, modality]
            reasons, cause = [f.reason for f in own if f.reason], state.cause or (Cause.CORPUS if own else None)
            if state.status != Status.ABSENT or not reasons:  # else the reader of the corpus knows better why
                reasons.append(state.reason)
            else:
                cause = Cause.CORPUS
            lacking = state.status == Status.OK and any(f.status != Status.OK for f in own)
            status = Status.PARTIAL if lacking else state.status
            reason = "; ".join(dict.fromkeys(filter(None, reasons))) or None
            share = round(state.fraction, 4)
            yield Finding(segment.unit_id, segment.segment_id, modality, status, reason, share, cause)


@click.command()
@click.option("--corpus", required=True, help="Name of the corpus, for the log.")
@click.option("--results", required=True, type=click.Path(path_type=Path), help="Folder of the corpus's results.")
@click.option("--features", multiple=True, metavar="NAME", help="A feature store to look at; once for each.")
@click.option("--split", type=EXISTING, help="Folds that are used.")
@click.option("--out", required=True, type=FILE, help="Table to write.")
def coverage(corpus: str, results: Path, features: tuple[str, ...], split: Path | None, out: Path):
    """Say what is missing of every segment and modality, and why."""
    from pipeline.log import log

    if not (results / "segments.tsv").exists():
        raise InputError(f"{results}: no segments.tsv; run the index stage first")
    rows = collect(results, list(features), split)
    write_table(out, rows, Finding)
    counts = {str(s): sum(r.status == s for r in rows) for s in Status}
    log.info("coverage of %s: %s", corpus, ", ".join(f"{n} {status}" for status, n in counts.items()))
