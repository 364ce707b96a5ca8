# Settings, constraints and small named functions; no rules.
import glob
import json
import os
import re
import shlex
import sys
from hashlib import sha256
from math import isinf

from snakemake.exceptions import WorkflowError
from snakemake.logging import DefaultFormatter, logger

from affectflow.home import check_installed
from models.protocols.folds import PROTOCOLS, fold_count
from pipeline import weights
from pipeline.corpora.prepare import shards
from pipeline.corpora.raw import Fingerprints
from pipeline.corpora.registry import READERS
from pipeline.demo import plan
from pipeline.digest import code
from pipeline.features import registry
from pipeline.records import InputError
from workflow import settings
from workflow.overlay import check_files, take_out
from workflow.progress import Reporter

# Jobs call the Python that runs Snakemake, here or on a node, whether or not its environment is activated.
shell.prefix(f'set -euo pipefail; python() {{{{ {shlex.quote(sys.executable)} "$@"; }}}}; ')
os.environ["PYTHONSAFEPATH"] = "1"  # a models.py in the folder of the results must not stand in for ours
os.environ["HDF5_USE_FILE_LOCKING"] = "FALSE"  # network file systems lack locks; every file has one writer

try:
    if not workflow.dryrun:
        check_installed(workflow.basedir)
    check_files(workflow.overwrite_configfiles, workflow.configfiles[-1])
    SETTINGS = {name: settings.resolve(take_out(config), name) for name in settings.names(take_out(config))}
except InputError as error:
    raise WorkflowError(str(error))

REPORTER = Reporter(logger, DefaultFormatter())
INDEX = {name: one.index or plan.planned(one.options.reader) for name, one in SETTINGS.items()}
# Recordings by the name of the files that their faces, sound and words are in.
SHARDS = {
    name: shards([unit.unit_id for unit in INDEX[name].units], one.options.media_units)
    for name, one in SETTINGS.items()
}
PRINTS = {name: Fingerprints(one.corpus.root, f".snakemake/fingerprints/{name}.json") for name, one in SETTINGS.items()}
BY_UNIT = {}
MODALITY_LETTERS = {"A": "audio", "V": "video", "T": "text"}
PREPARED = {"audio": "audio/{shard}.h5", "video": "faces/{shard}.h5", "text": "words/{shard}.tsv"}
IMPORTED = {name for one in SETTINGS.values() for name, entry in one.options.extractors.items() if entry.imported}


wildcard_constraints:
    corpus="|".join(map(re.escape, SETTINGS)) or "(?!)",
    shard=r"[^/]+",
    extractor=r"[^/]+",
    part=r"\d+",
    fold=r"\d+",
    model=r"[^/-]+",
    modalities=r"[AVT](\+[AVT])*",


def options(wildcards):
    """The settings of the corpus a job belongs to."""
    return SETTINGS[wildcards.corpus].options


def active_corpora():
    """The corpora with a root; all, as demonstrations, where none has one."""
    return [c for c in SETTINGS if not SETTINGS[c].synthetic] or list(SETTINGS)


def demo_root(corpus):
    """Where the synthetic corpus lies that stands in for one without root."""
    return f"results/demo/{plan.TREES[SETTINGS[corpus].options.reader]}"


def root(wildcards, input):
    """Folder of the raw corpus; a function of the input to Snakemake, so that a corpus that has moved reruns nothing."""
    return (
        demo_root(wildcards.corpus) if SETTINGS[wildcards.corpus].synthetic else SETTINGS[wildcards.corpus].corpus.root
    )


def raw_corpus(wildcards):
    """What must exist before a corpus can be read: the generated one; a real one is not of our making."""
    return demo_root(wildcards.corpus) if SETTINGS[wildcards.corpus].synthetic else []


def reader_code(corpus):
    """Digest of the code that decides what a corpus's tables say."""
    return READERS.code_of(SETTINGS[corpus].options.reader, "pipeline.corpora.command")


def reading(wildcards):
    """Which corpus is read by what, as options of a command."""
    one = SETTINGS[wildcards.corpus]
    return (
        f"--corpus {wildcards.corpus} --reader {shlex.quote(one.options.reader)}"
        f" --options {shlex.quote(json.dumps(one.options.reader_options))}"
    )


def tables_digest(corpus):
    """What the index stage depends on: what the reader finds, and the media that tell where recordings end."""
    if SETTINGS[corpus].synthetic:
        return f"{code('pipeline.demo.command')}{reader_code(corpus)}"
    index, digest = INDEX[corpus], sha256(code("pipeline.corpora.command").encode())
    for row in (*index.units, *index.segments, *index.labels, *index.findings):
        digest.update(repr(row).encode(errors="surrogateescape"))
    open_ended = {segment.unit_id for segment in index.segments if isinf(segment.end_s)}
    for unit in index.units:
        files = [unit.transcript, *((unit.video, unit.audio) if unit.unit_id in open_ended else ())]
        digest.update(repr([PRINTS[corpus].of(path) for path in files]).encode())
    PRINTS[corpus].save()
    return digest.hexdigest()[:16]


def raw(stage, of_shards=None):
    """What a stage depends on of the raw files and of the segments that it reads, by content."""

    def digest(wildcards):
        corpus = wildcards.corpus
        if SETTINGS[corpus].synthetic:  # the same code generates the same files
            return f"{code('pipeline.demo.command')}{reader_code(corpus)}"
        names = of_shards(wildcards) if of_shards else [wildcards.shard]
        wanted = {unit_id for name in names for unit_id in SHARDS[corpus][name]}
        units = [unit for unit in INDEX[corpus].units if unit.unit_id in wanted]
        found = PRINTS[corpus].stage(stage, units, segments_of(corpus, [unit.unit_id for unit in units]))
        PRINTS[corpus].save()
        return found

    return digest


def segments_of(corpus, unit_ids):
    """The segments of some recordings, in the order of the tables."""
    if corpus not in BY_UNIT:
        for segment in INDEX[corpus].segments:
            BY_UNIT.setdefault(corpus, {}).setdefault(segment.unit_id, []).append(segment)
    return [segment for unit_id in unit_ids for segment in BY_UNIT.get(corpus, {}).get(unit_id, [])]


def all_shards(wildcards):
    """Every shard of a corpus."""
    return list(SHARDS[wildcards.corpus])


def parts(corpus):
    """The corpus's shards in feature jobs of a fixed number of recordings, whatever the number of cores."""
    names, wanted = list(SHARDS[corpus]), SETTINGS[corpus].options.shard_units
    size = max(1, wanted // max(1, max(map(len, SHARDS[corpus].values()), default=1)))
    return [names[k : k + size] for k in range(0, len(names), size)]


def shards_of_part(wildcards):
    """The shards that one feature job reads."""
    return parts(wildcards.corpus)[int(wildcards.part)]


def labels_of(corpus):
    """The frame-wise labels, where a corpus has them."""
    return f"results/{corpus}/labels.h5" if SETTINGS[corpus].level == "frame" else []


def feature_stores(corpus):
    """Every feature store that the configuration asks for."""
    return [f"results/{corpus}/features/{name}.h5" for name in SETTINGS[corpus].options.extractors]


def prepared(corpus):
    """The faces, sound and words that the corpus's features are made from."""
    kinds = sorted({entry.modality for entry in SETTINGS[corpus].options.extractors.values() if not entry.imported})
    return [f"results/{corpus}/{PREPARED[kind].format(shard=shard)}" for kind in kinds for shard in SHARDS[corpus]]


def extractor_entry(wildcards):
    """The configuration of the extractor a job runs."""
    return options(wildcards).extractors[wildcards.extractor]


def extractor_code(wildcards):
    """Digest of the sources one extractor consists of, its user's own file included."""
    return registry.code_of(extractor_entry(wildcards).extractor)


def observations(wildcards):
    """The files of a feature job's recordings that an extractor reads."""
    kind = PREPARED[extractor_entry(wildcards).modality]
    return [f"results/{wildcards.corpus}/" + kind.format(shard=shard) for shard in shards_of_part(wildcards)]


def heard(wildcards):
    """The sound of a shard, where speech is recognised; written words need none."""
    if options(wildcards).recogniser.kind == "none":
        return []
    return f"results/{wildcards.corpus}/audio/{wildcards.shard}.h5"


def weights_folder(source):
    """Where the weights of a source lie; nothing where a source is not given."""
    return f"results/weights/{weights.slug(source)}" if source else []


def run_features(wildcards):
    """The feature stores one run reads, by modality."""
    names = {
        MODALITY_LETTERS[x]: options(wildcards).inputs[MODALITY_LETTERS[x]] for x in wildcards.modalities.split("+")
    }
    return {modality: f"results/{wildcards.corpus}/features/{name}.h5" for modality, name in names.items()}


def folds_of(corpus):
    """Number of folds of the configured protocol."""
    return fold_count(SETTINGS[corpus].protocol, INDEX[corpus].segments, SETTINGS[corpus].options.turns)


def predictions(wildcards):
    """The item-level predictions of every run and fold."""
    return [
        f"results/{wildcards.corpus}/runs/{run}/fold{fold}/predictions.parquet"
        for run in options(wildcards).run_names
        for fold in range(folds_of(wildcards.corpus))
    ]


def split_file(wildcards):
    """The split of the configured protocol."""
    return f"results/{wildcards.corpus}/splits/{SETTINGS[wildcards.corpus].protocol}.tsv"


def configuration(corpus):
    """All that decided a corpus's results, for the report's provenance."""
    one = SETTINGS[corpus]
    protocol = PROTOCOLS[one.protocol]
    return {
        "config": {
            "scale": one.scale,
            corpus: {**one.options.model_dump(exclude={"root"}), "labels": one.labels, "protocol": one.protocol},
            "models": {name: one.models[name].model_dump() for name, sets in one.options.runs.items() if sets},
        },
        "corpus": corpus,
        "title": one.corpus.title,
        "reader": one.options.reader,
        "task": one.task,
        "words": {"unit": one.corpus.unit_word, "segment": one.corpus.segment_word},
        "citation": one.corpus.citation,
        "published": list(one.corpus.published(one.labels)),
        "protocol": {"name": one.protocol, "description": protocol.description, "caveat": protocol.caveat},
        "demonstration": one.demonstration,
        "scale": one.scale,
        "root": None if one.synthetic else os.path.basename(os.path.normpath(one.corpus.root)),
        "generated": os.path.basename(demo_root(corpus)) if one.synthetic else None,
        "weights": {weights.slug(source): source for source in one.options.weight_sources},
        "folds": folds_of(corpus),
    }


def growing(amount, per_input_mb=0.0):
    """A resource that grows with the size of the input and with each retry."""
    if not per_input_mb:  # asking for sizes costs more than all else about a job
        return lambda wildcards, attempt: amount * attempt
    return lambda wildcards, input, attempt: int((amount + per_input_mb * input.size_mb) * attempt)


def gpus(corpus, useful):
    """One GPU for a job to which it is useful; none at demo scale, and none here if this machine has none."""
    reachable = not workflow.local_exec or glob.glob("/dev/nvidia[0-9]*") or os.path.exists("/dev/dxg")
    return int(bool(useful and reachable) and not SETTINGS[corpus].demonstration)


def shard_gpus(wildcards):
    """A GPU for an extractor with weights; everything else is CPU work and must not hold one."""
    return gpus(wildcards.corpus, extractor_entry(wildcards).weights)


def word_gpus(wildcards):
    """A GPU for a recogniser with weights, also where a video turns out to have a transcript."""
    recogniser = options(wildcards).recogniser
    return gpus(wildcards.corpus, recogniser.kind == "transformers" and recogniser.weights)


def training_gpus(wildcards):
    """A GPU for training, unless the configuration says cpu."""
    return gpus(wildcards.corpus, options(wildcards).training.device != "cpu")


def training_memory(wildcards, input, threads, attempt):
    """Memory for the features as far as they are kept in it, and for each seed that trains at the same time."""
    training = options(wildcards).training
    features_mb = min(2.5 * input.size_mb, 1000 * training.memory_budget_gb + 1000)
    return int((1000 + 2000 * max(1, threads // training.threads) + features_mb) * attempt)


SOURCES = {}
for _settings in SETTINGS.values():
    for _source, _allowed in _settings.options.weight_sources.items():
        _known = SOURCES.setdefault(weights.slug(_source), {"source": _source, "allow_pickle": False})
        _known["allow_pickle"] |= _allowed

for _corpus in SETTINGS:
    for _name in sorted(glob_wildcards(f"results/{_corpus}/features/{{name,[^/.]+}}.h5").name):
        if _name not in SETTINGS[_corpus].options.extractors:
            logger.warning(
                f"results/{_corpus}/features/{_name}.h5 belongs to no extractor of config.yaml and is not used"
            )
