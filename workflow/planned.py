"""A corpus as the workflow plans with it: its tables, its shards, and digests of what each stage reads of them.

A digest follows contents. So a replaced video, a corrected annotation or a transcript laid beside a video after the
first run reruns what depends on it; a corrected label tracks no face again; a corpus that has moved reruns nothing.
"""

import os
import shlex
from collections.abc import Iterable
from dataclasses import asdict
from functools import cached_property
from hashlib import sha256
from json import dumps, loads
from math import isinf
from pathlib import Path

from models.protocols.folds import Words, fold_count, of_turns, words_of
from models.protocols.labels import trainable
from models.wording import about
from pipeline import weights
from pipeline.corpora.base import Corpus
from pipeline.corpora.prepare import shards
from pipeline.corpora.raw import Fingerprints, files_read
from pipeline.corpora.registry import READERS
from pipeline.digest import code
from pipeline.records import PREPARED, InputError, Modality, Segment, by_unit
from workflow.demo import plan
from workflow.feature_jobs import are_clips, in_jobs
from workflow.options import Run
from workflow.settings import Resolved

SUBMITTED = "numbers/frame:valence,arousal"  # what the challenge asks for


class Planned:
    """One corpus of the configuration."""

    def __init__(self, settings: Resolved):
        self.settings, self.options = settings, settings.options
        self.index = settings.index or plan.planned(self.options.reader)
        self.shards = shards([unit.unit_id for unit in self.index.units], self.options.media_units)
        self.prints = Fingerprints(settings.corpus.root, f".snakemake/fingerprints/{settings.name}.json")
        self._digests: dict[tuple, str] = {}

    @property
    def results(self) -> str:
        """Folder of the corpus's results."""
        return f"results/{self.settings.name}"

    @property
    def generated(self) -> str | None:
        """Folder of the synthetic corpus that stands in for one without root."""
        return f"results/demo/{plan.TREES[self.options.reader]}" if self.settings.synthetic else None

    @property
    def root(self) -> str:
        """Folder of the raw corpus."""
        return self.generated or str(self.settings.corpus.root)

    @cached_property
    def overwrites(self) -> str:
        """Why nothing may be written: a demonstration would replace what much work may have gone into; else empty."""
        file = Path(self.results, "config.json")
        if not self.settings.demonstration or not file.is_file():
            return ""
        try:
            if loads(file.read_text(encoding="utf-8"))["demonstration"]:
                return ""
        except (OSError, ValueError, KeyError):
            return f"{file} should say whose results these are, but cannot be read; remove it if you do not need them"
        why = "have no root for it" if self.settings.synthetic else "say scale: demo"
        return (
            f"{self.results} holds results of your corpus, and these settings {why}: a demonstration would be written "
            "over them. Name the settings of that run, or move the folder away first"
        )

    @property
    def reading(self) -> str:
        """Which corpus is read by what, as options of a command."""
        written = READERS.written(self.options.reader, self.options.reader_options)
        reader, options = map(shlex.quote, (self.options.reader, dumps(written)))
        return f"--corpus {self.settings.name} --reader {reader} --options {options}"

    @property
    def unlabelled(self) -> list[str]:
        """Tasks of frames: the segments without annotation, where the reader takes the labels of frames from these.

        What the ``annotate`` of another reader knows is seen when frames are.
        """
        return [s.segment_id for s in self.index.segments if s.annotation is None and self.settings.corpus.annotations]

    @cached_property
    def labelled(self) -> set[str]:
        """The segments that train or are tested, as far as the index tells: all those of a corpus to be generated."""
        known = {segment.segment_id for segment in self.index.segments}
        if self.settings.synthetic:
            return known
        task, classes, merge = self.settings.task, self.settings.labels, self.options.merge
        return trainable(task, known, self.index.labels, classes, merge, self.unlabelled)

    @property
    def folds(self) -> int:
        """Number of folds of the configured protocol; raises InputError where there can be none."""
        if self.not_folded:
            raise InputError(f"corpora.{self.settings.name}: {self.not_folded}")
        return self._folded[0]

    @property
    def not_folded(self) -> str:
        """Why there can be no folds to train, which features do without; else empty."""
        return self._folded[1]

    @cached_property
    def _folded(self) -> tuple[int, str]:
        """The number of folds, or 0 and why there can be none."""
        try:
            return fold_count(self.settings.protocol, self._in_folds), ""
        except InputError as error:
            return 0, str(error)

    @cached_property
    def _in_folds(self) -> list[Segment]:
        """The segments that folds are made of; where nothing has a label, which the split will say, all."""
        kept = of_turns(self.index.segments, self.options.turns)
        return [s for s in kept if s.segment_id in self.labelled] or kept

    @property
    def trains_whole_runs(self) -> bool:
        """Whether one job trains all folds of a run."""
        return self.options.training_job == "run" and self._folded[0] > 1

    @cached_property
    def parts(self) -> list[list[str]]:
        """Shards in feature jobs; the recordings of a corpus to be generated are no clips."""
        clips = not self.settings.synthetic and are_clips(Path(self.root), self.index.units, self._segments)
        return in_jobs(self.shards, self.options.shard_units, clips)

    def prepared(self, modality: Modality, some: Iterable[str] | None = None) -> list[str]:
        """The files that features of a modality are made from: of some shards, or of all."""
        return [f"{self.results}/{PREPARED[modality].format(shard=shard)}" for shard in some or self.shards]

    @cached_property
    def prepared_for_runs(self) -> dict[Modality, list[str]]:
        """By modality the faces, sound and words that the features which runs read are made from, and no others."""
        read = self.options.read.values()
        extracted = [entry.modality for entry in read if not (entry.imported or entry.joined)]
        return {modality: self.prepared(modality) for modality in PREPARED if modality in extracted}

    @property
    def features(self) -> list[str]:
        """Every feature store that the configuration asks for, and what it says."""
        return [f"{self.results}/config.json", *(f"{self.results}/features/{x}.h5" for x in self.options.extractors)]

    def reader_code(self, stage: str) -> str:
        """Digest of the code of a stage that reads the corpus, such as ``index``, with that of its reader."""
        return READERS.code_of(self.options.reader, f"pipeline.corpora.command:{stage}")

    @cached_property
    def generator_code(self) -> str:
        """Digest of the code that decides what a synthetic corpus holds: the same code generates the same files."""
        return f"{code('workflow.demo.command:demo_corpus')}-{self.reader_code('index')}"

    @cached_property
    def tables_digest(self) -> str:
        """What the index stage depends on: what the reader finds, and the media that tell where recordings end."""
        if self.settings.synthetic:
            return self.generator_code
        digest, index, corpus = sha256(self.reader_code("index").encode()), self.index, self.settings.corpus
        if type(corpus).review is not Corpus.review:  # which may follow more of its text files than the rows tell
            digest.update(repr(files_read(corpus, (), (), self.prints)).encode())
        for row in (*index.units, *index.segments, *index.labels, *index.findings, *index.ratings):
            digest.update(repr(row).encode(errors="surrogateescape"))
        open_ended = by_unit(segment for segment in self.index.segments if isinf(segment.end_s))
        for unit in self.index.units:
            own = open_ended.get(unit.unit_id)
            files = [unit.transcript, *((unit.video, unit.audio, *(s.audio for s in own if s.audio)) if own else ())]
            digest.update(repr([self.prints.of(path) for path in files]).encode())
        return digest.hexdigest()[:16]

    def raw(self, stage: str, some: Iterable[str]) -> str:
        """What a stage depends on of the segments and raw files of some shards."""
        if self.settings.synthetic:
            return self.generator_code
        key = (stage, tuple(some))
        if key not in self._digests:
            wanted = [unit_id for shard in key[1] for unit_id in self.shards[shard]]
            units = [self._units[unit_id] for unit_id in wanted]
            segments = [segment for unit_id in wanted for segment in self._segments.get(unit_id, ())]
            self._digests[key] = self.prints.stage(stage, units, segments)
        return self._digests[key]

    @cached_property
    def raw_files(self) -> str:
        """What the table of raw files holds; of a synthetic corpus, the code that decides it."""
        if self.settings.synthetic:
            return self.generator_code
        return repr(files_read(self.settings.corpus, self.index.units, self.index.segments, self.prints))

    @cached_property
    def _units(self) -> dict:
        return {unit.unit_id: unit for unit in self.index.units}

    @cached_property
    def _segments(self) -> dict:
        return by_unit(self.index.segments)

    def not_packed(self, run: Run) -> str:
        """Why a run cannot be packed to predict on any recording; else empty."""
        imported = [store for store, entry in self.options.made(run).items() if entry.imported]
        if not imported:
            return ""
        return (
            f"features {imported[0]} of {self.settings.name} are imported, and the tool that made them cannot be run "
            "on another recording; pack a run whose features an extractor makes"
        )

    @property
    def not_submitted(self) -> str:
        """Why there can be no submission to the Aff-Wild2 challenge; else empty."""
        name, task = self.settings.name, str(self.settings.task)
        if task != SUBMITTED:
            return f"a submission needs the task {SUBMITTED}, {name} has {task}; ask for {self.results}_report.html"
        if any(segment.part == "test" for segment in self.index.segments):
            return ""
        return (
            f"a submission predicts the part test, which is empty in {name}: everybody is annotated; put the "
            "challenge's test videos beside the others"
        )

    @property
    def configuration(self) -> dict:
        """All that decided the results, for the report's provenance, and the words in which it speaks of them."""
        one, corpus = self.settings, self.settings.corpus
        split = Words(self.not_folded) if self.not_folded else words_of(one.protocol, self._in_folds)
        of_corpus = {**self.options.model_dump(exclude={"root"}), "labels": one.labels, "protocol": one.protocol}
        runs = self.options.planned_runs
        models = {run.model: one.models[run.model].model_dump() for run in runs.values()}
        return {
            "config": {"scale": one.scale, one.name: of_corpus, "models": models},
            "corpus": one.name,
            "title": corpus.title,
            "reader": self.options.reader,
            "task": str(one.task),
            "words": {"unit": corpus.unit_word, "segment": corpus.segment_word, "labels": dict(corpus.label_words)},
            "citations": [corpus.citation] if corpus.citation else [],
            "published": list(corpus.published),
            "departures": list(corpus.departures),
            "runs": [{"run": name, **asdict(run)} for name, run in runs.items()],
            "models": {name: about(one.models[name], one.task) for name in models},
            "protocol": {"name": one.protocol, **asdict(split)},
            "demonstration": one.demonstration,
            "scale": one.scale,
            "root": None if one.synthetic else os.path.basename(os.path.normpath(corpus.root)),
            "generated": os.path.basename(self.generated) if self.generated else None,
            "weights": {weights.slug(source): source for source in self.options.weight_sources},
            "folds": self._folded[0],
            "feature_jobs": len(self.parts),
            "training_jobs": ["all"] if self.trains_whole_runs else list(map(str, range(self._folded[0]))),
        }
