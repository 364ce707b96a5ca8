# What the rules of models.smk and report.smk ask of folds and runs: settings, files, and whether there can be any.
from models.fusion import registry as fusions
from models.options import takes_segments


@in_a_sentence
def fold_count(wildcards):
    """How many folds there are to train; raises WorkflowError where there can be none."""
    return planned(wildcards).folds


def folds_of(wildcards):
    """The folds that a training job trains."""
    return [wildcards.fold] if "fold" in wildcards.keys() else range(fold_count(wildcards))


def planned_folds(wildcards):
    """How many folds the trainings count on, as an option of the split: recordings may turn out to be unreadable."""
    return f"--folds {fold_count(wildcards)}" if wildcards.protocol == planned(wildcards).settings.protocol else ""


def split_file(wildcards):
    """The split of the configured protocol."""
    return f"results/{wildcards.corpus}/splits/{planned(wildcards).settings.protocol}.tsv"


def run_of(wildcards):
    """The run that a training job is of."""
    runs, name = options(wildcards).planned_runs, f"{wildcards.model}-{wildcards.modalities}"
    if name not in runs:
        raise WorkflowError(f"{wildcards.corpus}: no run {name}; there are {', '.join(runs)}. Add it under runs")
    return runs[name]


def network(wildcards):
    """The model that a training job trains."""
    return planned(wildcards).settings.models[run_of(wildcards).model]


def training_of(wildcards):
    """How the model of a training job is trained: as the corpus says, and the model for itself."""
    return options(wildcards).training.for_network(network(wildcards))


def training_memory(wildcards, input, threads, attempt):
    """Memory for the features as far as they are kept in it, and for each seed that trains at the same time."""
    training = training_of(wildcards)
    features_mb = min(2.5 * input.size_mb, 1000 * training.memory_budget_gb + 1000)
    return memory(1000 + 2000 * max(1, threads // training.threads) + features_mb)(wildcards, attempt)


def run_features(wildcards):
    """The feature stores one run reads, by modality."""
    stores = run_of(wildcards).inputs.items()
    return {modality: f"results/{wildcards.corpus}/features/{store}.h5" for modality, store in stores}


def run_weights(wildcards):
    """The weights that a run's features and words were made with."""
    one = options(wildcards)
    sources = [entry.weights for entry in one.made(run_of(wildcards)).values()]
    sources += [one.recogniser.weights] if "text" in run_of(wildcards).inputs else []
    return [weights_folder(source) for source in dict.fromkeys(sources) if source]


def frame_labels_of(wildcards):
    """The frame-wise labels, where a corpus has them."""
    return f"results/{wildcards.corpus}/labels.h5" if planned(wildcards).settings.task.frames else []


def labels_of(wildcards):
    """Where training finds labels: of frames, and numbers of segments; classes of segments stand in the split."""
    numbers = planned(wildcards).settings.task.numbers
    return frame_labels_of(wildcards) or (f"results/{wildcards.corpus}/labels.tsv" if numbers else [])


def targets_of(wildcards):
    """The votes of single raters, where a model learns them."""
    if training_of(wildcards).targets != "raters":
        return []
    return f"results/{wildcards.corpus}/targets/{planned(wildcards).settings.protocol}.tsv"


def segments_of(wildcards):
    """Who speaks, and in which order, where a model or its training asks for it."""
    needed = takes_segments(network(wildcards), training_of(wildcards))
    return f"results/{wildcards.corpus}/segments.tsv" if needed else []


def predictions(wildcards, runs=None, folds=None):
    """The item-level predictions of some runs or of all, of some folds or of all."""
    return [
        f"results/{wildcards.corpus}/runs/{run}/fold{fold}/predictions.parquet"
        for run in runs or options(wildcards).planned_runs
        for fold in folds or range(fold_count(wildcards))
    ]


def packed_features(wildcards):
    """The features of a run that is packed; raises WorkflowError where it cannot be."""
    if reason := planned(wildcards).not_packed(run_of(wildcards)):
        raise WorkflowError(reason)
    return run_features(wildcards)


def submitted_segments(wildcards):
    """The segments of which some are asked for in a submission; raises WorkflowError where none are."""
    if reason := planned(wildcards).not_submitted:
        raise WorkflowError(reason)
    return f"results/{wildcards.corpus}/segments.tsv"
