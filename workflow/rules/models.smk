# Splits and training.


rule split:
    input:
        segments="results/{corpus}/segments.tsv",
        labels="results/{corpus}/labels.tsv",
        labels_store=frame_labels_of,
    output:
        "results/{corpus}/splits/{protocol}.tsv",
    log:
        "results/{corpus}/logs/splits/{protocol}.log",
    benchmark:
        "results/{corpus}/benchmarks/split/{protocol}.tsv"
    localrule: True  # a second or two, not worth a queue
    params:
        task=lambda wildcards: planned(wildcards).settings.task,
        store=given("labels_store"),
        classes=lambda wildcards: shlex.quote(",".join(planned(wildcards).settings.labels)),  # :q quotes no empty text
        merge=lambda wildcards: json.dumps(options(wildcards).merge),
        turns=lambda wildcards: options(wildcards).turns,
        seed=lambda wildcards: options(wildcards).split_seed,
        folds=planned_folds,
        code=code("models.protocols.split:split"),
    shell:
        "python -m models split --task {params.task:q} --segments {input.segments} --labels-table {input.labels}"
        " {params.store} --turns {params.turns:q} --protocol {wildcards.protocol}"
        " --classes {params.classes} --merge {params.merge:q} --seed {params.seed} {params.folds} --out {output}"
        " > {log} 2>&1"


# For models that learn what every single rater said: training.targets is raters.
rule targets:
    input:
        segments="results/{corpus}/segments.tsv",
        raters="results/{corpus}/raters.tsv",
        split="results/{corpus}/splits/{protocol}.tsv",
    output:
        "results/{corpus}/targets/{protocol}.tsv",
    log:
        "results/{corpus}/logs/targets/{protocol}.log",
    benchmark:
        "results/{corpus}/benchmarks/targets/{protocol}.tsv"
    localrule: True  # a second or two, not worth a queue
    params:
        merge=lambda wildcards: json.dumps(options(wildcards).merge),
        code=code("models.protocols.targets:command"),
    shell:
        "python -m models targets --segments {input.segments} --raters {input.raters} --split {input.split}"
        " --merge {params.merge:q} --out {output} > {log} 2>&1"


# A job trains one fold of a run; or all of them, where that takes no longer than loading torch (training_job: run).
for _folds, _names in CORPORA.training_jobs.items():

    rule:
        name:
            "train" if _folds is None else f"train_{_folds}_folds"
        input:
            unpack(run_features),
            split=split_file,
            labels=labels_of,
            targets=targets_of,
            segments=segments_of,
        output:
            expand(
                "results/{{corpus}}/runs/{{model}}-{{modalities}}/fold{fold}/predictions.parquet",
                fold=["{fold}"] if _folds is None else range(_folds),
            ),
        log:
            f"results/{{corpus}}/logs/runs/{{model}}-{{modalities}}{'-fold{fold}' if _folds is None else ''}.log",
        benchmark:
            f"results/{{corpus}}/benchmarks/train-{{model}}-{{modalities}}/{'{fold}' if _folds is None else 'all'}.tsv"
        wildcard_constraints:
            corpus=one_of(_names),
        threads: lambda wildcards: training_of(wildcards).threads
        resources:
            mem_mb=training_memory,
            runtime=lambda wildcards, attempt: 240 * attempt * len(folds_of(wildcards)),  # minutes
            gpu=lambda wildcards: gpus(wildcards, training_of(wildcards).device != "cpu"),
        params:
            task=lambda wildcards: planned(wildcards).settings.task,
            features=lambda wildcards: " ".join(f"--feature {m}={path}" for m, path in run_features(wildcards).items()),
            tables=given("labels", "segments", "targets"),
            network=lambda wildcards: network(wildcards).model_dump_json(),
            training=lambda wildcards: options(wildcards).training.model_dump_json(),
            folds=lambda wildcards, output: " ".join(
                f"--fold {fold} --out {os.path.dirname(path)}" for fold, path in zip(folds_of(wildcards), output)
            ),
            code=lambda wildcards: fusions.code_of(network(wildcards).fusion),
        shell:
            "python -m models train --task {params.task:q} --name {wildcards.model} --modalities {wildcards.modalities}"
            " --split {input.split} {params.features} {params.tables} --network {params.network:q}"
            " --training {params.training:q} --cores {threads} {params.folds} > {log} 2>&1"


# Asked for by name alone: snakemake --cores 8 results/iemocap/models/self-A+V+T
rule pack:
    input:
        unpack(packed_features),
        predictions=lambda wildcards: predictions(wildcards, runs=["{model}-{modalities}".format(**wildcards)]),
        tables=["results/{corpus}/segments.tsv", "results/{corpus}/config.json"],
        split=split_file,
        targets=targets_of,
        weights=run_weights,
    output:
        directory("results/{corpus}/models/{model}-{modalities}"),
    log:
        "results/{corpus}/logs/models/{model}-{modalities}.log",
    benchmark:
        "results/{corpus}/benchmarks/pack/{model}-{modalities}.tsv"
    params:
        code=code("models.apply.pack:pack"),
    shell:
        "python -m models pack --results results/{wildcards.corpus} --run {wildcards.model}-{wildcards.modalities}"
        " --out {output} > {log} 2>&1"


# Asked for by name alone: snakemake --cores 8 results/affwild2/submission
rule submission:
    input:
        "results/{corpus}/units.tsv",
        "results/{corpus}/config.json",
        submitted_segments,
        "results/{corpus}/labels.h5",
        "results/{corpus}/tables/scores.csv",
        lambda wildcards: predictions(wildcards, folds=[0]),
    output:
        directory("results/{corpus}/submission"),
    log:
        "results/{corpus}/logs/submission.log",
    benchmark:
        "results/{corpus}/benchmarks/submission/all.tsv"
    params:
        code=code("models.submission:submission"),
    shell:
        "python -m models submission --results results/{wildcards.corpus} --out {output} > {log} 2>&1"
