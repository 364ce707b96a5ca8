# A corpus tree, generated or the user's own, becomes tables of units and segments.


rule demo_corpus:
    output:
        directory("results/demo/{tree}"),
    log:
        "results/demo/logs/{tree}.log",
    benchmark:
        "results/benchmarks/demo_corpus/{tree}.tsv"
    wildcard_constraints:
        tree="IEMOCAP_full_release|AffWild2",
    threads: 2
    params:
        corpus=lambda wildcards: {path: c for c, path in DEMO_ROOT.items()}[f"results/demo/{wildcards.tree}"],
        code=code("pipeline.demo.command"),
    shell:
        "python -m pipeline demo-corpus --corpus {params.corpus} --out {output} --workers {threads} > {log} 2>&1"


rule index:
    input:
        raw_corpus,
    output:
        units="results/{corpus}/units.tsv",
        segments="results/{corpus}/segments.tsv",
        findings="results/{corpus}/findings.tsv",
        raw_files="results/{corpus}/raw_files.tsv",
    log:
        "results/{corpus}/logs/index.log",
    benchmark:
        "results/{corpus}/benchmarks/index/all.tsv"
    wildcard_constraints:
        corpus="iemocap",
    params:
        root=root,
        units=lambda wildcards: UNITS[wildcards.corpus],
        labels=lambda wildcards, output: f"--labels {output.labels}" if output.get("labels") else "",
        demonstration=lambda wildcards: "--demonstration" if SETTINGS[wildcards.corpus].synthetic else "",
        code=code("pipeline.corpora.command"),
    shell:
        "python -m pipeline index --corpus {wildcards.corpus} --root {params.root:q} --units {output.units}"
        " --segments {output.segments} --findings {output.findings}"
        " --raw-files {output.raw_files} {params.labels} {params.demonstration} > {log} 2>&1"


use rule index as index_frames with:
    output:
        units="results/{corpus}/units.tsv",
        segments="results/{corpus}/segments.tsv",
        findings="results/{corpus}/findings.tsv",
        raw_files="results/{corpus}/raw_files.tsv",
        labels="results/{corpus}/labels.h5",
    wildcard_constraints:
        corpus="affwild2",
