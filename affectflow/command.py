"""The console command: ``affectflow --help``."""

import click

from models.__main__ import STAGES as MODELS
from pipeline.__main__ import STAGES as PIPELINE
from pipeline.cli import StageGroup, run

STAGES = PIPELINE | MODELS
TOOLS = (  # what people call by hand
    "predict", "info", "diff", "show", "export", "import", "check-extractor", "check-fusion", "check-recogniser",
    "compare-reports", "compare-predictions", "archive", "pack",
)  # fmt: skip
COMMANDS = {
    "new": ("affectflow.new:new", "write a settings file for a corpus of your own"),
    "report": ("workflow.launch:report", "from raw media to the report of one corpus"),
    "check": ("workflow.check:check", "what a corpus holds and lacks, and what a run on it would do"),
    "features": ("workflow.launch:features", "from raw media to the feature stores of one corpus"),
    "weights": ("workflow.launch:weights", "fetch the weights of one corpus, which needs the internet"),
    "progress": ("workflow.progress:main", "say how far the run in this folder is"),
    **{name: STAGES[name] for name in TOOLS},
    "pipeline": ("pipeline.__main__:main", f"the stages up to feature stores: {', '.join(PIPELINE)}"),
    "models": ("models.__main__:main", f"the stages from there on: {', '.join(MODELS)}"),
}


@click.group(cls=StageGroup, stages=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="affectflow")
def group():
    """From raw video to fusion models, significance tables and a report, in the folder where you are.

    A corpus of your own: `affectflow new mine`, edit mine.yaml, `affectflow report mine`.
    Its trained model, as a folder: `affectflow pack --results results/mine --run RUN --out MODEL`.
    Any video, by that: `affectflow predict MODEL VIDEO --out DIR`.
    """


def main() -> None:
    """Run the console command."""
    run(group)
