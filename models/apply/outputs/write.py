"""Everything that comes out of the prediction of one recording, written into a folder."""

from pathlib import Path

from models.apply.answer import Answer
from models.apply.outputs.page import EMBED_BELOW_MB, write_page
from models.apply.outputs.subtitles import write_vtt
from models.apply.outputs.table import table, write_csv, write_parquet


def write_outputs(
    answer: Answer,
    folder: Path,
    *,
    overlay: bool = False,
    embed_below_mb: float = EMBED_BELOW_MB,
    name: str | None = None,
) -> list[Path]:
    """Write NAME.csv, .parquet, .vtt, .png and .html, each moved into place when whole; returns their paths.

    ``name`` is the recording's own without its suffix where it is not given. The page comes last, so that where it is,
    everything is.
    """
    folder, name = Path(folder), name or answer.source.stem
    rows = table(answer)
    files = {suffix: folder / f"{name}.{suffix}" for suffix in ("csv", "parquet", "vtt", "html")}
    write_csv(rows, files["csv"])
    write_parquet(rows, files["parquet"])
    write_vtt(answer, files["vtt"])
    write_page(answer, files["html"], embed_below_mb)
    return list(files.values())
