"""The ``words`` stage: the words of some recordings, placed in time."""

from collections.abc import Sequence
from pathlib import Path

import click

from pipeline.cli import FILE, device_option, of_shard, parse_options
from pipeline.log import log
from pipeline.records import Finding, Segment, Word, read_shard, write_table


@click.command()
@of_shard
@click.option("--audio", type=FILE, help="The shard's audio file, for speech recognition.")
@click.option("--recogniser", default="none", help="none, a name, module:Class or file.py:Class.")
@click.option("--options", default="{}", help="The recogniser's options as JSON.")
@click.option("--weights", type=click.Path(path_type=Path), help="Checkpoint folder, where it needs one.")
@device_option
@click.option("--out", required=True, type=FILE, help="Table of words to write.")
@click.option("--failures", type=FILE, help="Table to write of segments on which the recogniser failed, and why.")
def words(root, tables, shard, audio, recogniser, options, weights, device, out, failures):
    """Place words in time, from transcripts, forced alignments, texts or speech recognition."""
    from pipeline.words import registry
    from pipeline.words.place import place_words

    given, transcribe = parse_options(options), None
    failed: list[Finding] = []
    registry.check(recogniser, given, str(weights) if weights else None)

    def recognise(group: Sequence[Segment]) -> list[Word]:
        nonlocal transcribe
        if recogniser == registry.NONE or audio is None:
            log.warning("words: %s: no usable transcript, and the recogniser is none: no words", group[0].segment_id)
            return []
        if transcribe is None:  # the model is loaded once, and only where there is speech to recognise
            from pipeline.audio_file import AudioFile
            from pipeline.words.place import transcriber

            model = registry.make(recogniser, given, weights, device)
            transcribe = transcriber(model, AudioFile(audio).__getitem__, failed)
        return transcribe(group)

    found = [word for unit, own in read_shard(tables, shard) for word in place_words(root, unit, own, recognise)]
    write_table(out, found, Word)
    if failures:
        write_table(failures, failed, Finding)
    sources = sorted({w.source for w in found})
    log.info("words: %s: %d words%s", shard, len(found), f" ({', '.join(sources)})" if sources else "")
