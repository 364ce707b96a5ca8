"""The ``words`` stage: the words of some recordings, placed in time."""

from pathlib import Path

import click

from pipeline.cli import there
from pipeline.log import log
from pipeline.records import Segment, Word, read_shard, write_table

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--root", required=True, type=click.Path(path_type=Path), callback=there, help="Folder of the corpus.")
@click.option("--tables", required=True, type=click.Path(path_type=Path), help="Folder of units.tsv and segments.tsv.")
@click.option("--shard", required=True, help="Which recordings: the shard's name in these tables.")
@click.option("--audio", type=FILE, help="The shard's audio file, for speech recognition.")
@click.option(
    "--recogniser", default='{"kind": "none"}', help="JSON: kind none, pocketsphinx or transformers, options."
)
@click.option("--weights", type=click.Path(path_type=Path), help="Checkpoint folder of the kind transformers.")
@click.option("--device", default="auto", type=click.Choice(["auto", "cpu", "cuda"]), help="Where a model runs.")
@click.option("--out", required=True, type=FILE, help="Table of words to write.")
def words(root, tables, shard, audio, recogniser, weights, device, out):
    """Place words in time, from transcripts, forced alignments, texts or speech recognition."""
    from pipeline.words.place import place_words
    from pipeline.words.recogniser import make_recogniser, parse_config, recognise

    config = parse_config(recogniser)
    model = None

    def listen(segment: Segment) -> list[Word]:
        nonlocal model
        if config.kind == "none" or audio is None:
            log.warning("words: %s: no usable transcript, and the recogniser is none: no words", segment.segment_id)
            return []
        from pipeline.audio_file import AudioFile

        model = model or make_recogniser(config, weights, device)
        return list(recognise(model, config, AudioFile(audio)[segment.segment_id]))

    found = [word for unit, own in read_shard(tables, shard) for word in place_words(root, unit, own, listen)]
    write_table(out, found, Word)
    sources = sorted({w.source for w in found})
    log.info("words: %s: %d words%s", shard, len(found), f" ({', '.join(sources)})" if sources else "")
