# Predictions become tables, and tables the report.


rule scores:
    input:
        predictions=predictions,
        segments="results/{corpus}/segments.tsv",
        split=split_file,
    output:
        scores=report("results/{corpus}/tables/scores.csv", caption="../report/scores.rst", category="{corpus}"),
        confusion="results/{corpus}/tables/confusion.csv",
        per_video="results/{corpus}/tables/per_video.csv",
        missing="results/{corpus}/tables/missing_modalities.csv",
    log:
        "results/{corpus}/logs/scores.log",
    benchmark:
        "results/{corpus}/benchmarks/scores/all.tsv"
    params:
        task=lambda wildcards: planned(wildcards).settings.task,
        runs=lambda wildcards: " ".join(f"--run {run}" for run in options(wildcards).planned_runs),
        protocol=lambda wildcards: planned(wildcards).settings.protocol,
        folds=fold_count,
        code=code("models.evaluation.scores:score"),
    shell:
        "python -m models score --task {params.task:q} --results results/{wildcards.corpus} --segments {input.segments}"
        " --protocol {params.protocol} {params.runs} --folds {params.folds} --out {output.scores} --confusion {output.confusion}"
        " --per-video {output.per_video} --missing {output.missing} > {log} 2>&1"


rule significance:
    input:
        predictions=predictions,
        segments="results/{corpus}/segments.tsv",
        split=split_file,
    output:
        report("results/{corpus}/tables/significance.csv", caption="../report/significance.rst", category="{corpus}"),
    log:
        "results/{corpus}/logs/significance.log",
    benchmark:
        "results/{corpus}/benchmarks/significance/all.tsv"
    params:
        task=lambda wildcards: planned(wildcards).settings.task,
        protocol=lambda wildcards: planned(wildcards).settings.protocol,
        folds=fold_count,
        contrasts=lambda wildcards: json.dumps([c.model_dump() for c in options(wildcards).contrasts]),
        options=lambda wildcards: options(wildcards).significance.model_dump_json(),
        code=code("models.evaluation.significance:significance"),
    shell:
        "python -m models significance --task {params.task:q} --results results/{wildcards.corpus}"
        " --protocol {params.protocol} --segments {input.segments} --split {input.split} --folds {params.folds}"
        " --contrasts {params.contrasts:q} --options {params.options:q} --out {output} > {log} 2>&1"


rule leaks:
    input:
        segments="results/{corpus}/segments.tsv",
        split=split_file,
    output:
        report("results/{corpus}/tables/leaks.csv", caption="../report/leaks.rst", category="{corpus}"),
    log:
        "results/{corpus}/logs/leaks.log",
    benchmark:
        "results/{corpus}/benchmarks/leaks/all.tsv"
    localrule: True  # a second or two, not worth a queue
    params:
        code=code("models.protocols.leaks:command"),
    shell:
        "python -m models leaks --segments {input.segments} --split {input.split} --out {output} > {log} 2>&1"


rule coverage:
    input:
        "results/{corpus}/segments.tsv",
        "results/{corpus}/findings.tsv",
        "results/{corpus}/labels.tsv",
        lambda wildcards: [path for paths in planned(wildcards).prepared_for_runs.values() for path in paths],
        frame_labels_of,
        lambda wildcards: [f"results/{wildcards.corpus}/features/{name}.h5" for name in options(wildcards).read],
        split=split_file,
    output:
        report("results/{corpus}/tables/coverage.csv", caption="../report/coverage.rst", category="{corpus}"),
    log:
        "results/{corpus}/logs/coverage.log",
    benchmark:
        "results/{corpus}/benchmarks/coverage/all.tsv"
    params:
        features=lambda wildcards: " ".join(f"--features {name}" for name in options(wildcards).read),
        code=code("pipeline.coverage.command:coverage"),
    shell:
        "python -m pipeline coverage --corpus {wildcards.corpus} --results results/{wildcards.corpus} {params.features}"
        " --split {input.split} --out {output} > {log} 2>&1"


rule contact_sheet:
    input:
        "results/{corpus}/segments.tsv",
        "results/{corpus}/labels.tsv",
        lambda wildcards: planned(wildcards).prepared_for_runs.get("video", []),
    output:
        report("results/{corpus}/tables/contact_sheet.jpg", caption="../report/contact_sheet.rst", category="{corpus}"),
        captions="results/{corpus}/tables/contact_sheet.json",
        strips="results/{corpus}/tables/film_strips.jsonl",
    log:
        "results/{corpus}/logs/contact_sheet.log",
    benchmark:
        "results/{corpus}/benchmarks/contact_sheet/all.tsv"
    params:
        # Predictions of frames are drawn over time, with the face beside them.
        strips=lambda wildcards: "--strips" if planned(wildcards).settings.task.frames else "--no-strips",
        code=code("pipeline.inspect.contact_sheet:contact_sheet"),
    shell:
        "python -m pipeline contact-sheet --results results/{wildcards.corpus} --out {output[0]}"
        " --film-strips {output.strips} {params.strips} > {log} 2>&1"


rule configuration:
    output:
        "results/{corpus}/config.json",
    priority: 100  # it tells whose results these are, before there are any
    localrule: True
    params:
        json=lambda wildcards: json.dumps(planned(wildcards).configuration, indent=1),
    shell:
        "printf %s {params.json:q} > {output}"


rule html_report:
    input:
        rules.scores.output,
        rules.significance.output,
        rules.leaks.output,
        rules.coverage.output,
        contact_sheet,
        shown_errors,
        "results/{corpus}/raters.tsv",
        rules.raw_files.output,
        rules.configuration.output,
    output:
        page=report("results/{corpus}_report.html", caption="../report/report.rst", category="{corpus}"),
        paper=directory("results/{corpus}/paper"),
    log:
        "results/{corpus}/logs/report.log",
    params:
        code=code("models.report.command:report"),
    shell:
        "revision=$(python -c 'from workflow.home import revision; print(revision())');"
        " python -m models report --results results/{wildcards.corpus}"
        ' --revision "$revision" --paper {output.paper} --out {output.page} > {log} 2>&1'
