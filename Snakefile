# affectflow: raw IEMOCAP and Aff-Wild2 media to attention-fusion models, significance tables and reports.
#
#   snakemake --cores 8 results/iemocap_report.html     one corpus, from raw media to the report
#   snakemake --cores 8                                 both (only those with a root, once one has a root)
#   snakemake --cores 8 features                        the feature stores alone
#   snakemake --cores 8 results/affwild2/submission     test predictions as the Aff-Wild2 challenge takes them
#   snakemake --cores 8 results/iemocap/models/self-A+V+T   a trained run as a folder that predicts on any recording
#   snakemake --cores 1 all_weights                     what needs internet, and nothing else
#
# What lies where under results/ ({corpus} is its name in the configuration):
#   {corpus}/units.tsv, segments.tsv, labels.tsv ...    the corpus as read        (workflow/rules/corpus.smk)
#   {corpus}/faces|audio/{shard}.h5, words/{shard}.tsv  one recording or some     (media.smk)
#   {corpus}/features/{extractor}.h5                    the public feature stores (features.smk)
#   {corpus}/splits/{protocol}.tsv                      folds and parts           (models.smk)
#   {corpus}/targets/{protocol}.tsv                     votes of single raters, where models learn them
#   {corpus}/runs/{model}-{modalities}/fold{fold}/      checkpoints, histories, predictions
#   {corpus}/models/{model}-{modalities}/               the same, packed to predict on any recording
#   {corpus}/tables/*.csv, {corpus}_report.html         scores, significance, coverage (report.smk)
#   {corpus}/logs/, {corpus}/benchmarks/                what each job said and cost
import atexit
import gc
import os

from snakemake.utils import min_version

min_version("9.0")
gc.set_threshold(10_000)  # or a sixth of planning goes into looking for garbage


# A folder with a config.yaml of its own is run by it; --configfile mine.yaml lays some keys over either.
configfile: "config.yaml" if os.path.exists("config.yaml") else f"{workflow.basedir}/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/corpus.smk"
include: "workflow/rules/media.smk"
include: "workflow/rules/stores.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/runs.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/report.smk"


# One line per finished rule, at the end the slowest rules and what failed; at any moment: affectflow progress
onstart:
    REPORTER.start(workflow.dag)
    CORPORA.remember()  # for raw_files and frame_labels


onsuccess:
    REPORTER.end()


onerror:
    REPORTER.end()


atexit.register(say_reports, workflow)
atexit.register(CORPORA.remember)


rule all:
    default_target: True
    input:
        expand("results/{corpus}_report.html", corpus=CORPORA.active),


rule features:
    input:
        lambda wildcards: [path for name in CORPORA.active for path in corpus(name).features],


for _corpus in CORPORA:

    rule:
        name:
            f"features_{_corpus}"
        input:
            CORPORA[_corpus].features,

    rule:
        name:
            f"weights_{_corpus}"
        input:
            weights_of([_corpus]),


rule all_weights:
    input:
        lambda wildcards: weights_of(CORPORA.active),
