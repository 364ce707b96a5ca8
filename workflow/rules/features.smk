# Weights are fetched once; each extractor runs per shard of videos, and its shards are joined into one store.
# All in one job: loading transformers takes longer than making one.
rule demo_weights:
    output:
        directory(expand("results/weights/demo--{kind}", kind=checkpoints.KINDS)),
    log:
        "results/demo/logs/weights.log",
    benchmark:
        "results/benchmarks/weights/demo.tsv"
    params:
        code=code("workflow.demo.command:demo_weights"),
    shell:
        "python -m workflow demo-weights --out results/weights > {log} 2>&1"


rule weights:
    output:
        directory("results/weights/{slug}"),
    log:
        "results/logs/weights/{slug}.log",
    benchmark:
        "results/benchmarks/weights/{slug}.tsv"
    wildcard_constraints:
        slug="(?!demo--)[^/]+",
    retries: 2
    localrule: True  # the login node may have internet where compute nodes have none
    params:
        source=lambda wildcards: CORPORA.weight_sources[wildcards.slug]["source"],
        pickle=lambda wildcards: "--allow-pickle" if CORPORA.weight_sources[wildcards.slug]["allow_pickle"] else "",
        local=local_weights,
    shell:
        "python -m pipeline weights fetch {params.source:q} --out {output:q} {params.pickle}"
        " --lock weights.lock.yaml > {log:q} 2>&1"


rule shard:
    input:
        tables("results/{corpus}/features/{extractor}.h5", store_entry, raw("features", of_all=True), extractor_code),
        observations=observations,
        weights=lambda wildcards: weights_folder(extractor_entry(wildcards).weights),
    output:
        temp("results/{corpus}/shards/{extractor}/{part}.h5"),
    log:
        "results/{corpus}/logs/features/{extractor}/{part}.log",
    benchmark:
        "results/{corpus}/benchmarks/features-{extractor}/{part}.tsv"
    resources:
        mem_mb=memory(3000),
        runtime=lambda wildcards, input, attempt: int((120 + 0.2 * input.size_mb) * attempt),
        gpu=lambda wildcards: gpus(wildcards, extractor_entry(wildcards).uses_gpu),
    params:
        kind=lambda wildcards: extractor_entry(wildcards).extractor,
        options=lambda wildcards: extractor_entry(wildcards).options_json,
        shards=lambda wildcards: " ".join(f"--shard {shlex.quote(name)}" for name in shards_of(wildcards)),
        raw=raw("features"),
        weights=given("weights"),
        device=processor,
        demonstration=lambda wildcards: "--demonstration" if planned(wildcards).settings.demonstration else "",
        previous="results/{corpus}/features/{extractor}.h5",
        code=extractor_code,
    shell:
        "python -m pipeline features --corpus {wildcards.corpus} --name {wildcards.extractor} --extractor {params.kind:q}"
        " --options {params.options:q} --results results/{wildcards.corpus} {params.shards}"
        " {params.weights} {params.device} {params.demonstration} --previous {params.previous} --out {output}"
        " > {log} 2>&1"


rule merge:
    input:
        lambda wildcards: [
            f"results/{wildcards.corpus}/shards/{wildcards.extractor}/{k}.h5"
            for k in range(len(planned(wildcards).parts))
        ],
    output:
        "results/{corpus}/features/{extractor}.h5",
    log:
        "results/{corpus}/logs/features/{extractor}/merge.log",
    benchmark:
        "results/{corpus}/benchmarks/merge/{extractor}.tsv"
    params:
        # Parts are gone once they are joined, so what they follow is said here as well.
        entry=store_entry,
        raw=raw("features"),
        extractor=extractor_code,
        code=code("pipeline.features.command:merge", "pipeline.store:merge"),
    shell:
        "python -m pipeline merge {input} --out {output} > {log} 2>&1"


# A store that is imported or joined is not extracted.
ruleorder: imported > joined > merge


rule joined:
    input:
        joined_stores,
    output:
        "results/{corpus}/features/{extractor}.h5",
    log:
        "results/{corpus}/logs/features/{extractor}/joined.log",
    benchmark:
        "results/{corpus}/benchmarks/joined/{extractor}.tsv"
    wildcard_constraints:
        extractor=one_of(CORPORA.stores_by("join")),
    params:
        entry=store_entry,  # stores in their order
        code=code("pipeline.features.join:join"),
    shell:
        "python -m pipeline join {input} --name {wildcards.extractor} --out {output} > {log} 2>&1"


# The file counts by what it holds, as weights do: where it is gone or has moved, the store that is there stands for it.
rule imported:
    input:
        segments=imported_segments,
    output:
        "results/{corpus}/features/{extractor}.h5",
    log:
        "results/{corpus}/logs/features/{extractor}/imported.log",
    benchmark:
        "results/{corpus}/benchmarks/imported/{extractor}.tsv"
    wildcard_constraints:
        extractor=one_of(CORPORA.stores_by("import")),
    params:
        source=imported_file,
        held=imported_digests,
        modality=lambda wildcards: extractor_entry(wildcards).modality,
        demonstration=lambda wildcards: "--demonstration" if planned(wildcards).settings.demonstration else "",
        code=code("pipeline.interchange.command:import_"),
    shell:
        "python -m pipeline import {params.source:q} --corpus {wildcards.corpus} --name {wildcards.extractor}"
        " --modality {params.modality} --segments {input.segments} {params.demonstration} --out {output} > {log} 2>&1"
