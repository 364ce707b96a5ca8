# One job per source video: faces (the only stage that decodes pictures), sound and words.


rule faces:
    input:
        units="results/{corpus}/units.tsv",
        segments="results/{corpus}/segments.tsv",
    output:
        "results/{corpus}/faces/{unit}.h5",
    log:
        "results/{corpus}/logs/faces/{unit}.log",
    benchmark:
        "results/{corpus}/benchmarks/faces/{unit}.tsv"
    resources:
        mem_mb=growing(2000),
        runtime=growing(120),
    params:
        root=root,
        rate=lambda wildcards: (
            f"--sample-rate-hz {options(wildcards).faces.sample_rate_hz}"
            if options(wildcards).faces.sample_rate_hz
            else ""
        ),
        crops=lambda wildcards: options(wildcards).faces.crops_source,
        code=code("pipeline.faces.command"),
    shell:
        "python -m pipeline faces --root {params.root:q} --units {input.units} --segments {input.segments}"
        " --unit {wildcards.unit:q} {params.rate} --crops-source {params.crops} --out {output:q} > {log:q} 2>&1"


rule audio:
    input:
        units="results/{corpus}/units.tsv",
        segments="results/{corpus}/segments.tsv",
    output:
        "results/{corpus}/audio/{unit}.h5",
    log:
        "results/{corpus}/logs/audio/{unit}.log",
    benchmark:
        "results/{corpus}/benchmarks/audio/{unit}.tsv"
    resources:
        mem_mb=growing(1000),
        runtime=growing(20),
    params:
        root=root,
        source=lambda wildcards: getattr(options(wildcards), "audio", "video"),
        code=code("pipeline.audio"),
    shell:
        "python -m pipeline audio --corpus {wildcards.corpus} --root {params.root:q} --units {input.units}"
        " --segments {input.segments} --unit {wildcards.unit:q} --source {params.source} --out {output:q} > {log:q} 2>&1"


rule words:
    input:
        units="results/{corpus}/units.tsv",
        segments="results/{corpus}/segments.tsv",
        audio="results/{corpus}/audio/{unit}.h5",
        weights=lambda wildcards: weights_folder(options(wildcards).recogniser.weights),
    output:
        "results/{corpus}/words/{unit}.tsv",
    log:
        "results/{corpus}/logs/words/{unit}.log",
    benchmark:
        "results/{corpus}/benchmarks/words/{unit}.tsv"
    resources:
        mem_mb=growing(4000),
        runtime=growing(180),
        gpu=word_gpus,
    params:
        root=root,
        recogniser=lambda wildcards: options(wildcards).recogniser.model_dump_json(exclude={"weights"}),
        weights=lambda wildcards, input: f"--weights {input.weights}" if input.get("weights") else "",
        code=code("pipeline.words.command"),
    shell:
        "python -m pipeline words --corpus {wildcards.corpus} --root {params.root:q} --units {input.units}"
        " --segments {input.segments} --unit {wildcards.unit:q} --audio {input.audio:q}"
        " --recogniser {params.recogniser:q} {params.weights} --out {output:q} > {log:q} 2>&1"
