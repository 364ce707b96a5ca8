# A corpus tree, generated or the user's own, becomes tables of recordings, segments and labels.


rule demo_corpus:
    output:
        directory("results/demo/{tree}"),
    log:
        "results/demo/logs/{tree}.log",
    benchmark:
        "results/benchmarks/demo_corpus/{tree}.tsv"
    wildcard_constraints:
        tree="|".join(plan.TREES.values()),
    threads: 2
    params:
        reader=lambda wildcards: {tree: reader for reader, tree in plan.TREES.items()}[wildcards.tree],
        code=code("workflow.demo.command:demo_corpus"),
    shell:
        "python -m workflow demo-corpus --corpus {params.reader} --out {output} --workers {threads} > {log} 2>&1"


rule index:
    input:
        lambda wildcards: planned(wildcards).generated or [],
    output:
        units="results/{corpus}/units.tsv",
        segments="results/{corpus}/segments.tsv",
        labels="results/{corpus}/labels.tsv",
        raters="results/{corpus}/raters.tsv",
        findings="results/{corpus}/findings.tsv",
    log:
        "results/{corpus}/logs/index.log",
    benchmark:
        "results/{corpus}/benchmarks/index/all.tsv"
    params:
        root=root,
        reading=reading,
        shards=lambda wildcards: (
            f"--media-units {options(wildcards).media_units}" if options(wildcards).media_units else ""
        ),
        tables=lambda wildcards: planned(wildcards).tables_digest,
        folder=lambda wildcards, output: os.path.dirname(output.units),
    shell:
        "python -m pipeline index {params.reading} --root {params.root:q} {params.shards} --out {params.folder}"
        " > {log} 2>&1"


# What the report and the archive say was read; apart from the index, so that a replaced video changes no table of it.
rule raw_files:
    input:
        "results/{corpus}/units.tsv",
        "results/{corpus}/segments.tsv",
    output:
        "results/{corpus}/raw_files.tsv",
    log:
        "results/{corpus}/logs/raw_files.log",
    localrule: True  # a second or two, not worth a queue
    params:
        root=root,
        reading=reading,
        raw=lambda wildcards: planned(wildcards).raw_files,
        code=reader_code("raw_files"),
    shell:
        "python -m pipeline raw-files {params.reading} --root {params.root:q} --tables results/{wildcards.corpus}"
        " --fingerprints .snakemake/fingerprints/{wildcards.corpus}.json --out {output} > {log} 2>&1"


rule frame_labels:
    input:
        "results/{corpus}/units.tsv",
        "results/{corpus}/segments.tsv",
    output:
        labels="results/{corpus}/labels.h5",
        findings="results/{corpus}/label_findings.tsv",
    log:
        "results/{corpus}/logs/frame_labels.log",
    benchmark:
        "results/{corpus}/benchmarks/frame_labels/all.tsv"
    params:
        root=root,
        reading=reading,
        columns=lambda wildcards: ",".join(planned(wildcards).settings.task.targets) or "label",
        demonstration=lambda wildcards: "--demonstration" if planned(wildcards).settings.synthetic else "",
        raw=raw("labels"),
        code=reader_code("frame_labels"),
    shell:
        "python -m pipeline frame-labels {params.reading} --root {params.root:q} --tables results/{wildcards.corpus}"
        " --fingerprints .snakemake/fingerprints/{wildcards.corpus}.json"
        " --columns {params.columns:q} {params.demonstration} --out {output.labels} --findings {output.findings}"
        " > {log} 2>&1"
