# Faces (the only stage that decodes pictures), sound and words: one job for each recording, or for many short ones.
# What they read of segments.tsv and of raw files is a parameter, by content: a corrected label tracks no face again.


rule faces:
    input:
        tables("results/{corpus}/faces/{shard}.h5", raw("faces"), face_options, code("pipeline.faces.stage:faces")),
    output:
        "results/{corpus}/faces/{shard}.h5",
    log:
        "results/{corpus}/logs/faces/{shard}.log",
    benchmark:
        "results/{corpus}/benchmarks/faces/{shard}.tsv"
    resources:
        mem_mb=memory(2000),
        runtime=growing(120),
    params:
        root=root,
        raw=raw("faces"),
        options=face_options,
        code=code("pipeline.faces.stage:faces"),
    shell:
        "python -m pipeline faces --root {params.root:q} --tables results/{wildcards.corpus}"
        " --shard {wildcards.shard:q} {params.options} --out {output:q} > {log:q} 2>&1"


rule audio:
    input:
        tables("results/{corpus}/audio/{shard}.h5", raw("audio"), code("pipeline.audio:audio")),
    output:
        "results/{corpus}/audio/{shard}.h5",
    log:
        "results/{corpus}/logs/audio/{shard}.log",
    benchmark:
        "results/{corpus}/benchmarks/audio/{shard}.tsv"
    resources:
        mem_mb=memory(1000),
        runtime=growing(20),
    params:
        root=root,
        raw=raw("audio"),
        code=code("pipeline.audio:audio"),
    shell:
        "python -m pipeline audio --root {params.root:q} --tables results/{wildcards.corpus}"
        " --shard {wildcards.shard:q} --out {output:q} > {log:q} 2>&1"


rule words:
    input:
        tables("results/{corpus}/words/{shard}.tsv", raw("words"), recogniser, recogniser_options, words_code),
        audio=sound_to_recognise,
        weights=lambda wildcards: weights_folder(options(wildcards).recogniser.weights),
    output:
        words="results/{corpus}/words/{shard}.tsv",
        failures="results/{corpus}/recogniser_failures/{shard}.tsv",
    log:
        "results/{corpus}/logs/words/{shard}.log",
    benchmark:
        "results/{corpus}/benchmarks/words/{shard}.tsv"
    resources:
        mem_mb=lambda wildcards, attempt: memory(4000 if options(wildcards).recogniser.weights else 2000)(
            wildcards, attempt
        ),
        runtime=growing(180),
        gpu=lambda wildcards: gpus(wildcards, options(wildcards).recogniser.uses_gpu),
    params:
        root=root,
        raw=raw("words"),
        recogniser=recogniser,
        options=recogniser_options,
        audio=given("audio"),
        weights=given("weights"),
        device=processor,
        code=words_code,
    shell:
        "python -m pipeline words --root {params.root:q} --tables results/{wildcards.corpus}"
        " --shard {wildcards.shard:q} {params.audio} --recogniser {params.recogniser:q} --options {params.options:q}"
        " {params.weights} {params.device} --out {output.words:q} --failures {output.failures:q} > {log:q} 2>&1"
