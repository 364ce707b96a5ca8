"""The stages from feature stores to the report: ``python -m models STAGE --help``."""

import click

from pipeline.cli import StageGroup, run

STAGES = {
    "split": ("models.protocols.split:split", "assign segments to the folds and parts of a protocol"),
    "leaks": ("models.protocols.leaks:command", "count who and what the parts of a split share"),
    "targets": ("models.protocols.targets:command", "share the votes of single raters over the classes"),
    "train": ("models.train:train", "train one model on one modality set and some folds, all seeds"),
    "score": ("models.evaluation.scores:score", "compute every metric from item-level predictions"),
    "significance": ("models.evaluation.significance:significance", "test the planned contrasts"),
    "compare-predictions": (
        "models.evaluation.outside:compare_predictions",
        "test predictions made elsewhere against a run",
    ),
    "submission": ("models.submission:submission", "write test predictions as the Aff-Wild2 challenge takes them"),
    "pack": ("models.apply.pack:pack", "put a trained run into a folder that predicts on any recording"),
    "predict": ("models.apply.command:predict", "say what a packed model makes of recordings"),
    "check-fusion": ("models.check:check_fusion", "try a fusion on made-up streams and say what is wrong with it"),
    "report": ("models.report.command:report", "write the report as one HTML file"),
    "examples": ("models.report.sections.examples:command", "choose mistakes of a run to look at and listen to"),
    "compare-reports": ("models.report.compare:compare_reports", "set several results folders side by side"),
    "archive": ("models.report.archive:archive", "put a run into a folder to archive, without corpus data"),
}


@click.group(cls=StageGroup, stages=STAGES, context_settings={"help_option_names": ["-h", "--help"]})
def main():
    """Train fusion models on feature stores, score them and report."""


if __name__ == "__main__":
    run(main)
