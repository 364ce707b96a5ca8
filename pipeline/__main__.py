"""The stages from raw media to feature stores: ``python -m pipeline STAGE --help``."""

import click

from pipeline.cli import StageGroup, run

STAGES = {
    "index": ("pipeline.corpora.command:index", "read a corpus into tables of recordings, segments and labels"),
    "raw-files": ("pipeline.corpora.command:raw_files", "say which kinds of raw files are read, with their digests"),
    "frame-labels": ("pipeline.corpora.command:frame_labels", "read the labels of every video frame"),
    "faces": ("pipeline.faces.stage:faces", "track and align the faces of some recordings' segments"),
    "audio": ("pipeline.audio:audio", "cut 16 kHz mono audio of some recordings' segments"),
    "words": ("pipeline.words.command:words", "place some recordings' words in time"),
    "weights": ("pipeline.features.weights_command:weights", "fetch, list and verify model weights"),
    "features": ("pipeline.features.command:features", "run one extractor over one shard of videos"),
    "merge": ("pipeline.features.command:merge", "join the shards of one extractor into its feature store"),
    "join": ("pipeline.features.join:join", "put feature stores of one modality side by side"),
    "coverage": ("pipeline.coverage.command:coverage", "say what is missing of every segment, and why"),
    "contact-sheet": ("pipeline.inspect.contact_sheet:contact_sheet", "lay out face crops on one page"),
    "examples": ("pipeline.inspect.examples:examples", "cut crops, words and sound of chosen segments for the report"),
    "info": ("pipeline.inspect.info:info", "describe a feature store: contents, provenance, statistics"),
    "diff": ("pipeline.inspect.info:diff", "compare two feature stores"),
    "show": ("pipeline.inspect.show:show", "draw one segment on one time axis"),
    "export": ("pipeline.interchange.command:export", "write a feature store in another tool's format"),
    "import": ("pipeline.interchange.command:import_", "make a feature store from another tool's file"),
    "check-recogniser": ("pipeline.words.check:check_recogniser", "try a recogniser on noise, music and speech"),
    "check-extractor": ("pipeline.features.check:check_extractor", "try an extractor on a built-in clip"),
}


@click.group(cls=StageGroup, stages=STAGES, context_settings={"help_option_names": ["-h", "--help"]})
def main():
    """Turn raw media into feature stores, one stage at a time."""


if __name__ == "__main__":
    run(main)
