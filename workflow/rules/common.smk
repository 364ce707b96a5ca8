# Settings, constraints and small named functions; no rules. What is known of a corpus: workflow/planned.py.
import json
import os
import re
import shlex
import sys
from functools import wraps

from snakemake.exceptions import WorkflowError
from snakemake.io import IOFile
from snakemake.logging import logger

from pipeline import weights
from pipeline.devices import count_gpus
from pipeline.digest import code as digest_of
from pipeline.records import InputError
from workflow.corpora import Corpora
from workflow.demo import checkpoints, plan
from workflow.home import check_installed
from workflow.overlay import read_layers
from workflow.progress import Reporter, say_reports
from workflow.remarks import remarks

# Jobs call the Python that runs Snakemake, here or on a node, whether or not its environment is activated.
shell.prefix(f'set -euo pipefail; python() {{{{ {shlex.quote(sys.executable)} "$@"; }}}}; ')
os.environ["PYTHONSAFEPATH"] = "1"  # a models.py in the folder of the results must not stand in for ours
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # compiling torch's modules anew would be half of each short job
os.environ["HDF5_USE_FILE_LOCKING"] = "FALSE"  # network file systems lack locks; every file has one writer

try:
    if {"-n", "--dry-run", "--dryrun"}.isdisjoint(sys.argv):  # workflow.dryrun is not known yet
        check_installed(workflow.basedir)
    _layers = read_layers([workflow.configfiles[-1], *workflow.overwrite_configfiles])
    CORPORA = Corpora(config, [*_layers, ("--config", dict(workflow.config_settings.config))])
    _asked = CORPORA.asked_for(sys.argv)
    for _name in _asked:  # here: of an error in planning Snakemake shows lines of code, too
        CORPORA.usable(_name)
        if any(re.match(f"results/{re.escape(_name)}(_report|/runs/|/models/|/submission)", word) for word in sys.argv):
            CORPORA[_name].folds  # which all of these need
except InputError as error:
    raise WorkflowError(str(error))

HERE = workflow.nodes is None  # a cluster needs --jobs; workflow.local_exec is not known yet
GPUS = count_gpus()
MEMORY_MB = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 10**6
if HERE:  # what jobs may ask for at a time, where --resources does not say it
    for _name, _amount in {"gpu": max(1, GPUS), "mem_mb": MEMORY_MB}.items():
        if _name not in workflow.global_resources:
            workflow.register_resource(_name, _amount)

REPORTER = Reporter(logger)


def one_of(names):
    """A pattern for any of some names; where there are none, it fits nothing."""
    return "|".join(map(re.escape, names)) or "(?!)"


wildcard_constraints:
    corpus=one_of([*CORPORA, *CORPORA.unreadable]),
    shard=r"[^/]+",
    extractor=r"[^/]+",
    part=r"\d+",
    fold=r"\d+",
    model=r"[^/-]+",
    modalities=r"[AVT](\+[AVT])*",


def in_a_sentence(function):
    """A function whose InputError is of the kind that Snakemake shows as a sentence."""

    @wraps(function)
    def asked(*given):
        try:
            return function(*given)
        except InputError as error:
            raise WorkflowError(str(error)) from None

    return asked


@in_a_sentence
def corpus(name):
    """A corpus to work on; raises WorkflowError where it cannot be read, or its results must not be replaced."""
    return CORPORA.usable(name)


def planned(wildcards):
    """The corpus that a job belongs to."""
    return corpus(wildcards.corpus)


def options(wildcards):
    """The settings of the corpus a job belongs to."""
    return planned(wildcards).options


def root(wildcards, input):
    """Folder of the raw corpus; a function of the input to Snakemake, so that a corpus that has moved reruns nothing."""
    return planned(wildcards).root


def raw(stage, of_all=False):
    """What a stage depends on of raw files and segments, by content: of a job's recordings, or of all of its corpus."""
    return lambda wildcards: planned(wildcards).raw(
        stage, planned(wildcards).shards if of_all else shards_of(wildcards)
    )


def reading(wildcards):
    """Which corpus is read by what, as options of a command."""
    return planned(wildcards).reading


def reader_code(stage):
    """Digest of the code of a stage that reads the corpus, with that of its reader."""
    return lambda wildcards: planned(wildcards).reader_code(stage)


def shards_of(wildcards):
    """The shards of recordings that a job works on."""
    if "shard" in wildcards.keys():
        return [wildcards.shard]
    if "part" in wildcards.keys():
        return planned(wildcards).parts[int(wildcards.part)]
    return list(planned(wildcards).shards)


def given(*names):
    """Options that give a command those of the named inputs that a job has."""
    return lambda wildcards, input: " ".join(
        f"--{name.replace('_', '-')} {shlex.quote(input[name])}" for name in names if input.get(name)
    )


def code(*targets):
    """What the code of a rule does, as a digest that is taken where a job is planned: on a node it is one job."""
    return lambda wildcards: digest_of(*targets)


def recorded_params(output):
    """The parameters by which an output was made, as Snakemake wrote them down; none where it made no such output."""
    return workflow.persistence.params(IOFile(output)) or ()


def tables(output, *deciding):
    """The index's tables, as input of the job that makes ``output`` (or that output's part) from ``deciding`` parameters.

    Where these are as they were, tables that were written anew are no reason to run. Where they are not, the job comes
    after the index: Snakemake asks no job behind one that runs for changes of its own.
    """

    def files(wildcards):
        paths = [f"results/{wildcards.corpus}/{name}.tsv" for name in ("units", "segments")]
        recorded = set(recorded_params(output.format(**wildcards)))
        unchanged = all(repr(parameter(wildcards)) in recorded for parameter in deciding)
        return [ancient(path) for path in paths] if unchanged else paths

    return files


def extractor_entry(wildcards):
    """The configuration of the extractor a job runs."""
    return options(wildcards).extractors[wildcards.extractor]


def store_entry(wildcards):
    """The configuration of the extractor a job runs, as JSON."""
    return extractor_entry(wildcards).as_json


def extractor_code(wildcards):
    """Digest of the sources one extractor consists of, its user's own file included."""
    return extractor_entry(wildcards).code


def observations(wildcards):
    """The files of a feature job's recordings that an extractor reads."""
    return planned(wildcards).prepared(extractor_entry(wildcards).modality, shards_of(wildcards))


def face_options(wildcards):
    """How many frames a second are looked at for faces, and whether for faces at all."""
    faces = options(wildcards).faces
    rate = [f"--sample-rate-hz {faces.sample_rate_hz}"] if faces.sample_rate_hz else []
    return " ".join(rate + ([f"--picture {faces.picture}"] if faces.picture != "face" else []))


def recogniser(wildcards):
    """Which recogniser transcribes a corpus's speech."""
    return options(wildcards).recogniser.kind


def recogniser_options(wildcards):
    """The recogniser's own options, as JSON."""
    return options(wildcards).recogniser.options_json


def sound_to_recognise(wildcards):
    """The sound of a shard, where speech is recognised; written words need none."""
    if not options(wildcards).recogniser.enabled:
        return []
    return planned(wildcards).prepared("audio", [wildcards.shard])[0]


def weights_folder(source):
    """Where the weights of a source lie; nothing where a source is not given."""
    return f"results/weights/{weights.slug(source)}" if source else []


@in_a_sentence
def weights_of(names):
    """Where all weights of some corpora lie; raises WorkflowError where one of these cannot be read."""
    return [weights_folder(source) for name in names for source in CORPORA[name].options.weight_sources]


def contact_sheet(wildcards):
    """The page of face crops, where faces were looked for."""
    if "video" not in planned(wildcards).prepared_for_runs:
        return []
    folder = f"results/{wildcards.corpus}/tables"
    return [f"{folder}/contact_sheet.jpg", f"{folder}/contact_sheet.json", f"{folder}/film_strips.jsonl"]


def shown_errors(wildcards):
    """Excerpts of segments that somebody had cut, where the corpus may be shown; none where nobody did."""
    paths = [f"results/{wildcards.corpus}/tables/examples.{suffix}" for suffix in ("tsv", "jsonl")]
    return paths if all(map(os.path.exists, paths)) else []


def growing(amount):
    """A resource that grows with each retry."""
    return lambda wildcards, attempt: amount * attempt


def memory(amount_mb):
    """Memory, which grows with each retry; half as much at demo scale, so that a small machine has room."""
    return lambda wildcards, attempt: int(amount_mb * attempt / (2 if planned(wildcards).settings.demonstration else 1))


def gpus(wildcards, useful):
    """One GPU for a job to which it is useful; none at demo scale, and none here if this machine has none."""
    reachable = not HERE or GPUS
    return int(bool(useful and reachable) and not planned(wildcards).settings.demonstration)


def processor(wildcards, input):
    """At demo scale no job asks for a GPU, so none takes one; of the input, for where a job runs changes no result."""
    return "--device cpu" if planned(wildcards).settings.demonstration else ""


def words_code(wildcards):
    """Digest of the sources that decide which words are recognised, a recogniser of the user's own included."""
    return options(wildcards).recogniser.code


for _level, _text in remarks(CORPORA, _asked, workflow.config_settings.overwrite_config, config):
    getattr(logger, _level)(_text)
