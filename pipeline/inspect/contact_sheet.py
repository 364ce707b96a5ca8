"""Pictures for the report: a contact sheet of face crops over the corpus, and film strips along single segments.

The sheet is a JPEG of captioned crops with a JSON of the same name beside it that says what each crop shows. Film
strips are JSON lines, one for each segment: ``{"segment_id", "tile_px", "time_s": [...], "jpeg": base64}``, where the
JPEG holds the crops side by side and ``time_s`` is null where a stretch of the segment shows no face.
"""

import base64
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
import numpy as np

from pipeline.cli import EXISTING_FOLDER, FILE
from pipeline.crops import CROP_PX, FaceFile, FaceTrack
from pipeline.files import replacing, write_json
from pipeline.log import log, progress
from pipeline.records import InputError, Segment, read_labels, read_table

COLUMNS = 6
CAPTION_PX = 30
STRIP_CELLS = 10
STRIP_PX = 64
JPEG_QUALITY = 85


def evenly(items: list, count: int) -> list:
    """At most ``count`` items, evenly spread over the list."""
    if len(items) <= count:
        return items
    return [items[i] for i in np.linspace(0, len(items) - 1, count).round().astype(int)]


def choose(segments: Iterable[Segment], count: int) -> list[list[Segment]]:
    """Candidates for ``count`` places, spread over speakers and over each speaker's segments.

    Each place lists its first choice and then that speaker's other segments, should the first choice show no face.
    """
    by_speaker: dict[str, list[Segment]] = {}
    for segment in sorted(segments, key=lambda s: s.segment_id):
        by_speaker.setdefault(segment.speaker, []).append(segment)
    speakers = evenly(sorted(by_speaker), count)
    places = []
    for k, speaker in enumerate(speakers):
        mine = by_speaker[speaker]
        share = count * (k + 1) // len(speakers) - count * k // len(speakers)
        for first in evenly(mine, share):
            places.append([first, *(s for s in mine if s is not first)])
    return places


def middle_crop(track: FaceTrack) -> int | None:
    """Index of the valid frame nearest to the middle of a segment; None where no frame is valid."""
    valid = np.flatnonzero(track.valid)
    return int(valid[np.abs(valid - (len(track) - 1) / 2).argmin()]) if len(valid) else None


class Faces:
    """The face files of a results folder, each opened once."""

    def __init__(self, results: Path):
        self.results, self._open = results, {}

    def track(self, segment: Segment) -> FaceTrack | None:
        """The faces of a segment; None where its file does not hold it. Raises InputError without the file."""
        if segment.file not in self._open:
            path = segment.prepared(self.results, "video")
            if not path.exists():
                raise InputError(f"{path}: no such file; let the workflow make the faces first")
            self._open[segment.file] = FaceFile(path)
        return self._open[segment.file].get(segment.segment_id)

    def forget(self) -> None:
        """Close all files."""
        for file in self._open.values():
            file.close()
        self._open.clear()


def pick_crops(faces: Faces, segments: list[Segment], count: int) -> list[tuple[Segment, float, np.ndarray]]:
    """Up to ``count`` segments with the time and picture of one crop each; none is shown twice."""
    shown: set[str] = set()
    out = []
    for candidates in choose(segments, count):
        for segment in candidates:
            track = None if segment.segment_id in shown else faces.track(segment)
            index = middle_crop(track) if track else None
            if index is not None:
                shown.add(segment.segment_id)
                out.append((segment, float(track.time_s[index, 0]), track.crops(index, index + 1)[0]))
                break
    return out


def draw_sheet(crops: list[tuple[Segment, float, np.ndarray]], classes: dict[str, str | None]):
    """A PIL picture of the crops in rows of COLUMNS, each with two lines of caption."""
    from PIL import Image, ImageDraw, ImageFont

    rows = max(1, -(-len(crops) // COLUMNS))
    sheet = Image.new("RGB", (COLUMNS * CROP_PX, rows * (CROP_PX + CAPTION_PX)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(10)
    if not crops:
        draw.text((8, 8), "no face in any segment", "black", font)
    for k, (segment, time_s, picture) in enumerate(crops):
        left, top = k % COLUMNS * CROP_PX, k // COLUMNS * (CROP_PX + CAPTION_PX)
        sheet.paste(Image.fromarray(picture).resize((CROP_PX, CROP_PX)), (left, top))
        second = ", ".join(filter(None, [classes.get(segment.segment_id), f"{time_s:.1f} s"]))
        for line, text in enumerate((segment.segment_id, second)):
            while text and draw.textlength(text, font) > CROP_PX - 4:
                text = text[:-2] + "\u2026"
            draw.text((left + 2, top + CROP_PX + 1 + 13 * line), text, "black", font)
    return sheet


def sheet_notes(crops: list[tuple[Segment, float, np.ndarray]], classes: dict[str, str | None]) -> dict:
    """What the sheet shows, tile by tile, for captions and alternative text."""
    return {
        "columns": COLUMNS,
        "tile_height_px": CROP_PX + CAPTION_PX,
        "crop_px": CROP_PX,
        "crops": [
            {
                "segment_id": s.segment_id,
                "speaker": s.speaker,
                "label": classes.get(s.segment_id),
                "time_s": round(time_s, 3),
            }
            for s, time_s, _ in crops
        ],
    }


def film_strip(segment: Segment, track: FaceTrack) -> dict:
    """The crops nearest to the middles of STRIP_CELLS equal stretches of a segment, small and side by side."""
    from PIL import Image

    valid = np.flatnonzero(track.valid)
    start_s = track.time_s[:, 0]
    edges = np.linspace(segment.start_s, segment.end_s, STRIP_CELLS + 1)
    strip = Image.new("RGB", (STRIP_CELLS * STRIP_PX, STRIP_PX), "grey")
    times: list[float | None] = []
    for k in range(STRIP_CELLS):
        inside = valid[(start_s[valid] >= edges[k]) & (start_s[valid] < edges[k + 1])]
        if len(inside) == 0:
            times.append(None)
            continue
        index = int(inside[np.abs(start_s[inside] - (edges[k] + edges[k + 1]) / 2).argmin()])
        picture = Image.fromarray(track.crops(index, index + 1)[0]).resize((STRIP_PX, STRIP_PX), Image.LANCZOS)
        strip.paste(picture, (k * STRIP_PX, 0))
        times.append(round(float(start_s[index]), 3))
    jpeg = base64.b64encode(jpeg_of(strip)).decode()
    return {"segment_id": segment.segment_id, "tile_px": STRIP_PX, "time_s": times, "jpeg": jpeg}


def strips_of(faces: Faces, segments: list[Segment]) -> Iterator[dict]:
    """One strip for each segment that shows a face anywhere, one video's files open at a time."""
    unit = None
    for segment in sorted(segments, key=lambda s: (s.unit_id, s.segment_id)):
        if segment.unit_id != unit:
            faces.forget()
            unit = segment.unit_id
        track = faces.track(segment)
        if track is not None and track.valid.any():
            yield film_strip(segment, track)


def jpeg_of(picture) -> bytes:
    """A PIL picture as a JPEG file."""
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=JPEG_QUALITY)
    return stream.getvalue()


@click.command()
@click.option("--results", required=True, type=EXISTING_FOLDER, help="results/CORPUS")
@click.option("--out", required=True, type=FILE, help="the sheet, a .jpg")
@click.option("--crops", "count", default=24, show_default=True, type=click.IntRange(1), help="at most this many")
@click.option("--film-strips", type=FILE, help="also these, a .jsonl")
@click.option("--strips/--no-strips", default=True, help="one strip for each segment, or an empty file")
def contact_sheet(results, out, count, film_strips, strips):
    """Lay out face crops from all over the corpus, to see at a glance whether they are right."""
    segments = read_table(results / "segments.tsv", Segment)
    classes = {name: row.label for name, row in read_labels(results / "labels.tsv").items()}
    faces = Faces(results)
    crops = pick_crops(faces, segments, count)
    write_json(out.with_suffix(".json"), sheet_notes(crops, classes))
    with replacing(out) as temporary:
        temporary.write_bytes(jpeg_of(draw_sheet(crops, classes)))
    log.info("%s: %d crops of %d segments", out, len(crops), len(segments))
    if film_strips:
        wanted = segments if strips else []
        with replacing(film_strips) as temporary, temporary.open("w", encoding="utf-8") as stream:
            for strip in progress(strips_of(faces, wanted), "film strips", total=len(wanted)):
                stream.write(json.dumps(strip) + "\n")
