# What the rules of features.smk ask of weights, and of stores that are joined of others or imported.
from ast import literal_eval


def recorded_digests(output):
    """The digests of files of one's own that an output was made of: of its parameters, the one list."""
    return next((literal_eval(text) for text in recorded_params(output) if text.startswith("[")), [])


@in_a_sentence
def local_weights(wildcards):
    """Digests of a checkpoint on this machine; where it is gone, those of the copy that a run before made of it."""
    found = CORPORA.local_weights(wildcards.slug)
    return recorded_digests(f"results/weights/{wildcards.slug}") if found is None else found


def joined_stores(wildcards):
    """The stores that one is joined of; raises WorkflowError where it is another corpus's that is."""
    if stores := extractor_entry(wildcards).joined:
        return [f"results/{wildcards.corpus}/features/{store}.h5" for store in stores]
    raise WorkflowError(f"{wildcards.extractor} of corpus {wildcards.corpus} is not joined of others")


def imported_segments(wildcards):
    """The segments that an imported store is of; raises WorkflowError where it is another corpus's that is imported."""
    if extractor_entry(wildcards).imported:
        return f"results/{wildcards.corpus}/segments.tsv"
    raise WorkflowError(f"{wildcards.extractor} of corpus {wildcards.corpus} is not imported")


def imported_file(wildcards, input):
    """The file that a store is made of; a function of the input, so that one that has moved reruns nothing."""
    return extractor_entry(wildcards).source


def imported_digests(wildcards):
    """The digest of the file that a store is made of; where it is gone, that by which the store was made."""
    file, made = extractor_entry(wildcards).source, "results/{corpus}/features/{extractor}.h5".format(**wildcards)
    return CORPORA.digests([file]) if os.path.exists(file) else recorded_digests(made)
