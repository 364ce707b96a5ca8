# Settings, constraints and small named functions; no rules.
import glob
import json
import os
import re
import shlex
import sys

from snakemake.exceptions import WorkflowError
from snakemake.logging import DefaultFormatter, logger

sys.path.insert(0, workflow.basedir)

from models.protocols import folds as protocols
from pipeline import weights
from pipeline.corpora import catalogue
from pipeline.demo import plan
from pipeline.digest import code
from pipeline.features import registry
from pipeline.records import InputError, Segment
from workflow.progress import Reporter
from workflow.settings import CORPORA, resolve

# Jobs use this environment's python and this checkout's packages, wherever they run.
os.environ["PATH"] = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
os.environ["PYTHONPATH"] = ":".join(filter(None, [workflow.basedir, os.environ.get("PYTHONPATH")]))
os.environ["HDF5_USE_FILE_LOCKING"] = "FALSE"  # network file systems lack locks; every file has one writer

try:
    SETTINGS = {corpus: resolve(config, corpus) for corpus in CORPORA}
    UNITS = {
        corpus: (plan.unit_ids(corpus) if settings.synthetic else catalogue.list_units(corpus, settings.options.root))
        for corpus, settings in SETTINGS.items()
    }
except InputError as error:
    raise WorkflowError(str(error))

REPORTER = Reporter(logger, DefaultFormatter())
CHECKOUT = workflow.basedir
DEMO_ROOT = {"iemocap": "results/demo/IEMOCAP_full_release", "affwild2": "results/demo/AffWild2"}
PREDICTIONS = {"iemocap": "predictions.tsv", "affwild2": "predictions.parquet"}
TASK = {corpus: settings.options.task for corpus, settings in SETTINGS.items()}
MODALITY_LETTERS = {"A": "audio", "V": "video", "T": "text"}
OBSERVATIONS = {"audio": "audio/{unit}.h5", "video": "faces/{unit}.h5", "text": "words/{unit}.tsv"}
IMPORTED = {
    name for settings in SETTINGS.values() for name, entry in settings.options.extractors.items() if entry.imported
}


wildcard_constraints:
    corpus="|".join(CORPORA),
    unit=r"[^/]+",
    extractor=r"[^/]+",
    shard=r"\d+",
    fold=r"\d+",
    model=r"[^/-]+",
    modalities=r"[AVT](\+[AVT])*",


def options(wildcards):
    """The settings of the corpus a job belongs to."""
    return SETTINGS[wildcards.corpus].options


def active_corpora():
    """The corpora with a root; both, as demonstrations, where none has one."""
    return [c for c in CORPORA if not SETTINGS[c].synthetic] or list(CORPORA)


def root(wildcards):
    """Folder of the raw corpus."""
    return options(wildcards).root or DEMO_ROOT[wildcards.corpus]


def raw_corpus(wildcards):
    """What must exist before a corpus can be read: the generated one; a real one is not of our making."""
    return DEMO_ROOT[wildcards.corpus] if SETTINGS[wildcards.corpus].synthetic else []


def labels_of(corpus):
    """The frame-wise labels, where a corpus has them."""
    return f"results/{corpus}/labels.h5" if TASK[corpus].frames else []


def shards(corpus):
    """The corpus's videos in jobs of a fixed number, whatever the number of cores."""
    size = SETTINGS[corpus].options.shard_units
    return [UNITS[corpus][k : k + size] for k in range(0, len(UNITS[corpus]), size)]


def feature_stores(corpus):
    """Every feature store that the configuration asks for."""
    return [f"results/{corpus}/features/{name}.h5" for name in SETTINGS[corpus].options.extractors]


def extractor_entry(wildcards):
    """The configuration of the extractor a job runs."""
    return options(wildcards).extractors[wildcards.extractor]


def extractor_code(wildcards):
    """Digest of the sources one extractor consists of, its user's own file included."""
    return registry.code_of(extractor_entry(wildcards).extractor)


def observations(wildcards):
    """The files of one shard's videos that an extractor reads."""
    kind = OBSERVATIONS[extractor_entry(wildcards).modality]
    units = shards(wildcards.corpus)[int(wildcards.shard)]
    return [f"results/{wildcards.corpus}/" + kind.format(unit=unit) for unit in units]


def weights_folder(source):
    """Where the weights of a source lie; nothing where a source is not given."""
    return f"results/weights/{weights.slug(source)}" if source else []


def run_features(wildcards):
    """The feature stores one run reads, by modality."""
    names = {
        MODALITY_LETTERS[x]: options(wildcards).inputs[MODALITY_LETTERS[x]] for x in wildcards.modalities.split("+")
    }
    return {modality: f"results/{wildcards.corpus}/features/{name}.h5" for modality, name in names.items()}


def planned_segments(corpus):
    """The groups of a corpus's segments, one for each unit and person, as far as names of units tell."""
    if corpus != "iemocap":
        return [Segment(unit, unit, unit, None, None, 0.0, 1.0, "whole") for unit in UNITS[corpus]]
    return [
        Segment(f"{unit}_{letter}", unit, unit[:5] + letter, int(unit[3:5]), None, 0.0, 1.0, "whole")
        for unit in UNITS[corpus]
        for letter in "FM"
    ]


def fold_count(corpus):
    """Folds of the configured protocol, as far as the corpus's units allow."""
    return protocols.fold_count(SETTINGS[corpus].options.protocol, planned_segments(corpus))


def predictions(wildcards):
    """The item-level predictions of every run and fold."""
    return [
        f"results/{wildcards.corpus}/runs/{run}/fold{fold}/{PREDICTIONS[wildcards.corpus]}"
        for run in options(wildcards).run_names
        for fold in range(fold_count(wildcards.corpus))
    ]


def split_file(wildcards):
    """The split of the configured protocol."""
    return f"results/{wildcards.corpus}/splits/{options(wildcards).protocol}.tsv"


def configuration(corpus):
    """All that decided a corpus's results, for the report's provenance."""
    settings = SETTINGS[corpus]
    return {
        "config": {
            "scale": settings.scale,
            corpus: settings.options.model_dump(exclude={"root"}),
            "models": {
                name: settings.models[name].model_dump()
                for name in settings.options.runs
                if settings.options.runs[name]
            },
        },
        "demonstration": settings.demonstration,
        "scale": settings.scale,
        "root": None if settings.synthetic else os.path.basename(os.path.normpath(settings.options.root)),
        "generated": os.path.basename(DEMO_ROOT[corpus]) if settings.synthetic else None,
        "weights": {weights.slug(source): source for source in settings.options.weight_sources},
        "protocol": settings.options.protocol,
        "task": str(TASK[corpus]),
        "folds": fold_count(corpus),
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

for _corpus in CORPORA:
    for _name in sorted(glob_wildcards(f"results/{_corpus}/features/{{name,[^/.]+}}.h5").name):
        if _name not in SETTINGS[_corpus].options.extractors:
            logger.warning(
                f"results/{_corpus}/features/{_name}.h5 belongs to no extractor of config.yaml and is not used"
            )
