"""The ``words`` stage: one unit's words, placed in time."""

from pathlib import Path

import click

from pipeline.cli import there
from pipeline.corpora.catalogue import CORPORA
from pipeline.log import log
from pipeline.records import InputError, Segment, Unit, Word, read_table, write_table

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--corpus", required=True, type=click.Choice(list(CORPORA)), help="Which corpus the unit belongs to.")
@click.option("--root", required=True, type=click.Path(path_type=Path), callback=there, help="Folder of the corpus.")
@click.option("--units", required=True, type=FILE, help="Table of source videos.")
@click.option("--segments", required=True, type=FILE, help="Table of turns or subjects.")
@click.option("--unit", "unit_id", required=True, help="The unit to do.")
@click.option("--audio", required=True, type=FILE, help="The unit's audio file, for speech recognition.")
@click.option(
    "--recogniser", default='{"kind": "none"}', help="JSON: kind none, pocketsphinx or transformers, options."
)
@click.option("--weights", type=click.Path(path_type=Path), help="Checkpoint folder of the kind transformers.")
@click.option("--device", default="auto", type=click.Choice(["auto", "cpu", "cuda"]), help="Where a model runs.")
@click.option("--out", required=True, type=FILE, help="Table of words to write.")
def words(
    corpus: str,
    root: Path,
    units: Path,
    segments: Path,
    unit_id: str,
    audio: Path,
    recogniser: str,
    weights: Path | None,
    device: str,
    out: Path,
):
    """Place one video's words in time, from its transcript, its forced alignment, its text or speech recognition."""
    from pipeline.words.place import place_words
    from pipeline.words.recogniser import make_recogniser, parse_config, recognise

    config = parse_config(recogniser)
    unit = next((u for u in read_table(units, Unit) if u.unit_id == unit_id), None)
    if unit is None:
        raise InputError(f"unit {unit_id!r} is not in {units}; run the index stage again or correct the name")
    mine = [s for s in read_table(segments, Segment) if s.unit_id == unit_id]
    model = None

    def listen(segment: Segment) -> list[Word]:
        nonlocal model
        if config.kind == "none":
            log.warning("words: %s: no usable transcript, and the recogniser is none: no words", segment.segment_id)
            return []
        from pipeline.audio_file import AudioFile

        model = model or make_recogniser(config, weights, device)
        return list(recognise(model, config, AudioFile(audio)[segment.segment_id]))

    found = place_words(corpus, root, unit, mine, listen)
    write_table(out, found, Word)
    sources = sorted({w.source for w in found})
    log.info("words: %s: %d words%s", unit_id, len(found), f" ({', '.join(sources)})" if sources else "")
