"""Everything that comes out of the prediction of one recording, written into a folder."""

from pathlib import Path

from models.apply.answer import Answer
from models.apply.outputs.overlay import write_overlay
from models.apply.outputs.page import write_page
from models.apply.outputs.subtitles import write_vtt
from models.apply.outputs.table import table, write_csv, write_parquet
from models.apply.outputs.textgrid import write_textgrid
from models.apply.outputs.timeline import write_timeline
from pipeline.container import MediaError
from pipeline.log import log
from pipeline.records import InputError

OVERLAY = "overlay.mp4"
SUFFIXES = ("csv", "parquet", "vtt", "TextGrid", "png", OVERLAY, "html")  # files that a recording may give


def write_outputs(answer: Answer, folder: Path, name: str, *, overlay: bool = False) -> list[Path]:
    """Write NAME.csv and the others of SUFFIXES, the overlay where it is asked for; returns their paths.

    A recording whose pictures cannot be shown, such as one of sound alone, has no overlay, which is logged. Where there
    is an overlay but browsers do not play the recording, the page plays the overlay. Raises InputError where the
    recording lies in the same folder.
    """
    check_apart(answer.source, folder)
    paths = {suffix: Path(folder) / f"{name}.{suffix}" for suffix in SUFFIXES}
    rows, drawn = table(answer), None
    write_csv(rows, paths["csv"])
    write_parquet(rows, paths["parquet"])
    write_vtt(answer, paths["vtt"])
    write_textgrid(answer, paths["TextGrid"])
    write_timeline(answer, paths["png"])
    if overlay:
        try:
            write_overlay(answer, paths[OVERLAY])
            drawn = paths[OVERLAY]
        except MediaError as error:  # what is predicted of its sound is as good as without
            log.warning("%s: no overlay is made: %s", answer.source, error.reason)
    write_page(answer, paths["html"], drawn)
    return [path for suffix, path in paths.items() if drawn or suffix != OVERLAY]


def check_apart(source: Path, folder: Path) -> None:
    """Raise InputError where outputs would lie beside their recording: NAME.vtt would replace its transcript, or be
    read as one the next time, and its overlay be taken for a recording."""
    if source.absolute().parent.resolve() == folder.absolute().resolve():
        raise InputError(
            f"{folder}: holds the recording {source.name}, whose transcript may be replaced; write into another folder"
        )
