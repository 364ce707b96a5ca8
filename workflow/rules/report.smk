# Predictions become tables, and tables the report.


rule scores:
    input:
        predictions=predictions,
        segments="results/{corpus}/segments.tsv",
        split=split_file,
    output:
        scores=report("results/{corpus}/tables/scores.csv", caption="../report/scores.rst", category="{corpus}"),
        confusion="results/{corpus}/tables/confusion.csv",
    log:
        "results/{corpus}/logs/scores.log",
    benchmark:
        "results/{corpus}/benchmarks/scores/all.tsv"
    wildcard_constraints:
        corpus="iemocap",
    params:
        task=lambda wildcards: TASK[wildcards.corpus],
        runs=lambda wildcards: " ".join(f"--run {run}" for run in options(wildcards).run_names),
        protocol=lambda wildcards: options(wildcards).protocol,
        folds=lambda wildcards: fold_count(wildcards.corpus),
        second=lambda wildcards, output: " ".join(f"--{k.replace('_', '-')} {v}" for k, v in list(output.items())[1:]),
        code=code("models.scores"),
    shell:
        "python -m models score --task {params.task} --results results/{wildcards.corpus} --segments {input.segments}"
        " --protocol {params.protocol} {params.runs} --folds {params.folds} --out {output.scores} {params.second} > {log} 2>&1"


use rule scores as scores_frames with:
    output:
        scores=report("results/{corpus}/tables/scores.csv", caption="../report/scores.rst", category="{corpus}"),
        per_video="results/{corpus}/tables/per_video.csv",
    wildcard_constraints:
        corpus="affwild2",


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
        task=lambda wildcards: TASK[wildcards.corpus],
        protocol=lambda wildcards: options(wildcards).protocol,
        folds=lambda wildcards: fold_count(wildcards.corpus),
        contrasts=lambda wildcards: json.dumps([c.model_dump() for c in options(wildcards).contrasts]),
        options=lambda wildcards: options(wildcards).significance.model_dump_json(),
        code=code("models.significance"),
    shell:
        "python -m models significance --task {params.task} --results results/{wildcards.corpus}"
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
    params:
        code=code("models.protocols.leaks"),
    shell:
        "python -m models leaks --segments {input.segments} --split {input.split} --out {output} > {log} 2>&1"


rule coverage:
    input:
        "results/{corpus}/segments.tsv",
        "results/{corpus}/findings.tsv",
        lambda wildcards: [
            f"results/{wildcards.corpus}/{kind.format(unit=unit)}"
            for kind in OBSERVATIONS.values()
            for unit in UNITS[wildcards.corpus]
        ],
        lambda wildcards: feature_stores(wildcards.corpus),
        split=split_file,
    output:
        report("results/{corpus}/tables/coverage.csv", caption="../report/coverage.rst", category="{corpus}"),
    log:
        "results/{corpus}/logs/coverage.log",
    benchmark:
        "results/{corpus}/benchmarks/coverage/all.tsv"
    params:
        features=lambda wildcards: " ".join(f"--features {name}" for name in options(wildcards).extractors),
        code=code("pipeline.coverage"),
    shell:
        "python -m pipeline coverage --corpus {wildcards.corpus} --results results/{wildcards.corpus} {params.features}"
        " --split {input.split} --out {output} > {log} 2>&1"


rule contact_sheet:
    input:
        "results/{corpus}/segments.tsv",
        lambda wildcards: [f"results/{wildcards.corpus}/faces/{unit}.h5" for unit in UNITS[wildcards.corpus]],
    output:
        report("results/{corpus}/tables/contact_sheet.jpg", caption="../report/contact_sheet.rst", category="{corpus}"),
        captions="results/{corpus}/tables/contact_sheet.json",
    log:
        "results/{corpus}/logs/contact_sheet.log",
    benchmark:
        "results/{corpus}/benchmarks/contact_sheet/all.tsv"
    wildcard_constraints:
        corpus="iemocap",
    params:
        strips=lambda wildcards, output: f"--film-strips {output.strips}" if output.get("strips") else "",
        code=code("pipeline.inspect.contact_sheet"),
    shell:
        "python -m pipeline contact-sheet --results results/{wildcards.corpus} --out {output[0]} {params.strips} > {log} 2>&1"


# Frame-wise predictions are drawn over time, with the face beside them.
use rule contact_sheet as contact_sheet_frames with:
    output:
        report("results/{corpus}/tables/contact_sheet.jpg", caption="../report/contact_sheet.rst", category="{corpus}"),
        captions="results/{corpus}/tables/contact_sheet.json",
        strips="results/{corpus}/tables/film_strips.jsonl",
    wildcard_constraints:
        corpus="affwild2",


rule configuration:
    output:
        "results/{corpus}/config.json",
    localrule: True
    params:
        json=lambda wildcards: json.dumps(configuration(wildcards.corpus), indent=1),
    shell:
        "printf %s {params.json:q} > {output}"


rule html_report:
    input:
        lambda wildcards: [
            f"results/{wildcards.corpus}/tables/{name}.csv"
            for name in ("scores", "per_video" if TASK[wildcards.corpus].frames else "confusion", "leaks")
        ],
        rules.significance.output,
        rules.coverage.output,
        "results/{corpus}/tables/contact_sheet.jpg",
        config=rules.configuration.output,
    output:
        report("results/{corpus}_report.html", caption="../report/report.rst", category="{corpus}"),
    log:
        "results/{corpus}/logs/report.log",
    params:
        code=code("models.report.command"),
    shell:
        "revision=$(git -C {CHECKOUT:q} describe --always --dirty --abbrev=12 --exclude='*' 2>/dev/null || true);"
        " python -m models report --corpus {wildcards.corpus} --results results/{wildcards.corpus}"
        ' --config-json {input.config} --revision "$revision" --out {output} > {log} 2>&1'
