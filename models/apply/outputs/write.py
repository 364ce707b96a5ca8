"""Everything that comes out of the prediction of one recording, written into a folder."""

from pathlib import Path

from models.apply.answer import Answer
from models.apply.outputs.page import EMBED_BELOW_MB, write_page
from models.apply.outputs.subtitles import write_vtt
from models.apply.outputs.table import table, write_csv, write_parquet
from models.apply.outputs.timeline import write_timeline
from pipeline.container import open_media, video_streams
from pipeline.log import log
from pipeline.records import InputError


def write_outputs(
    answer: Answer,
    folder: Path,
    *,
    overlay: bool = False,
    embed_below_mb: float = EMBED_BELOW_MB,
    name: str | None = None,
) -> list[Path]:
    """Write NAME.csv, .parquet, .vtt, .png, with ``overlay`` .overlay.mp4, and last .html; returns their paths.

    ``name`` is the recording's own without its suffix where it is not given. Each file is moved into place when it is
    whole, and where one cannot be written, none is left. A recording of sound alone has no overlay, which is
    logged. Where there is an overlay but browsers do not play the recording, the page plays the overlay.
    Raises InputError where the recording lies in the same folder.
    """
    check_apart(answer.source, folder)
    folder, name = Path(folder), name or answer.source.stem
    rows, written = table(answer), []

    def add(suffix: str, write, *arguments) -> None:
        path = folder / f"{name}.{suffix}"
        write(*arguments, path)
        written.append(path)

    try:
        add("csv", write_csv, rows)
        add("parquet", write_parquet, rows)
        add("vtt", write_vtt, answer)
        add("png", write_timeline, answer)
        drawn = None
        if overlay and _has_pictures(answer.source):
            from models.apply.outputs.overlay import write_overlay

            add("overlay.mp4", write_overlay, answer)
            drawn = written[-1]
        add("html", lambda path: write_page(answer, path, embed_below_mb, drawn))
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        raise
    return written


def check_apart(source: Path, folder: Path) -> None:
    """Raise InputError where outputs would lie beside their recording: NAME.vtt would replace its transcript, or be
    read as one the next time, and its overlay be taken for a recording."""
    if source.absolute().parent.resolve() == folder.absolute().resolve():
        raise InputError(
            f"{folder}: holds the recording {source.name}, whose transcript may be replaced; write into another folder"
        )


def _has_pictures(source: Path) -> bool:
    with open_media(source) as container:
        found = bool(video_streams(container))
    if not found:
        log.warning("%s: has no pictures, so no overlay is made", source)
    return found
