"""What belongs to the workflow alone: ``python -m workflow STAGE --help``."""

import click

from pipeline.cli import StageGroup, run

STAGES = {
    "demo-corpus": ("workflow.demo.command:demo_corpus", "generate a synthetic corpus"),
    "demo-weights": ("workflow.demo.command:demo_weights", "generate a small checkpoint of each real architecture"),
}


@click.group(cls=StageGroup, stages=STAGES, context_settings={"help_option_names": ["-h", "--help"]})
def main():
    """Make what a fresh clone lacks."""


if __name__ == "__main__":
    run(main)
