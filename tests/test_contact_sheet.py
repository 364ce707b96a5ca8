"""The contact sheet and the film strips show the crops they say they show."""

import base64
import io
import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from pipeline.crops import NO_FACE, FaceWriter
from pipeline.inspect.contact_sheet import COLUMNS, choose, contact_sheet
from pipeline.records import InputError, Label, Segment, write_labels, write_table

FRAMES, RATE_HZ = 20, 10.0


def colour(segment: int, frame: int) -> tuple[int, int, int]:
    return (40 + 10 * segment, 10 * frame, 255 - 10 * segment)


def jpeg(rgb: tuple[int, int, int]) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (112, 112), rgb).save(stream, "JPEG", quality=95)
    return stream.getvalue()


@pytest.fixture
def results(tmp_path):
    """Two videos with six segments each of three speakers; s03 shows no face, s04 only in its last quarter."""
    segments = []
    for k in range(12):
        unit, speaker = f"unit{k // 6}", f"speaker{k % 3}"
        start_s = 3.0 * (k % 6)
        end_s = start_s + FRAMES / RATE_HZ
        segments.append(Segment(f"s{k:02d}", unit, speaker, "1", None, start_s, end_s))
    write_table(tmp_path / "segments.tsv", segments, Segment)
    write_labels(tmp_path / "labels.tsv", [Label(s.segment_id, "neu") for s in segments[1::2]])
    (tmp_path / "faces").mkdir()
    for unit in ("unit0", "unit1"):
        mine = [s for s in segments if s.unit_id == unit]
        plan = {}
        for s in mine:
            start_s = s.start_s + np.arange(FRAMES) / RATE_HZ
            plan[s.segment_id] = (np.stack([start_s, start_s + 1 / RATE_HZ], 1), np.arange(FRAMES))
        with FaceWriter(tmp_path / "faces" / f"{unit}.h5", plan) as writer:
            for s in mine:
                k = int(s.segment_id[1:])
                for frame in range(FRAMES):
                    if k == 3 or (k == 4 and frame < 15):
                        writer.absent(s.segment_id, frame, NO_FACE)
                    else:
                        writer.found(s.segment_id, frame, jpeg(colour(k, frame)))
    return tmp_path


def run(results, *options: str):
    out = results / "tables" / "contact_sheet.jpg"
    done = CliRunner().invoke(
        contact_sheet, ["--results", str(results), "--out", str(out), *options], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    return Image.open(out), json.loads(out.with_suffix(".json").read_text())


def test_each_tile_is_the_middle_crop_of_the_segment_it_names(results):
    sheet, notes = run(results)
    shown = [crop["segment_id"] for crop in notes["crops"]]
    assert sorted(shown) == [f"s{k:02d}" for k in range(12) if k != 3]
    for i, crop in enumerate(notes["crops"]):
        k = int(crop["segment_id"][1:])
        left, top = i % COLUMNS * notes["crop_px"], i // COLUMNS * notes["tile_height_px"]
        frame = 15 if k == 4 else 9  # the valid frame nearest to the middle, the earlier of two
        assert np.abs(np.array(sheet.getpixel((left + 56, top + 56))) - colour(k, frame)).max() <= 6
        assert crop["time_s"] == pytest.approx(3.0 * (k % 6) + frame / RATE_HZ)
        assert crop["label"] == ("neu" if k % 2 else None)
    assert sheet.size == (COLUMNS * 112, 2 * notes["tile_height_px"])


def test_few_places_are_spread_over_speakers_and_a_faceless_segment_is_replaced(results):
    _, notes = run(results, "--crops", "3")
    assert sorted(crop["speaker"] for crop in notes["crops"]) == ["speaker0", "speaker1", "speaker2"]
    _, notes = run(results, "--crops", "4")
    assert len(notes["crops"]) == 4
    first = choose([Segment(f"s{k:02d}", "u", f"p{k:02d}", "1", None, 0, 1) for k in range(50)], 5)
    assert [place[0].segment_id for place in first] == ["s00", "s12", "s24", "s37", "s49"]


def test_film_strips_follow_the_segment(results):
    run(results, "--film-strips", str(results / "strips.jsonl"))
    strips = {s["segment_id"]: s for s in map(json.loads, (results / "strips.jsonl").read_text().splitlines())}
    assert len(strips) == 11  # every segment with a face
    strip = strips["s07"]
    picture = Image.open(io.BytesIO(base64.b64decode(strip["jpeg"])))
    assert picture.size == (10 * strip["tile_px"], strip["tile_px"])
    assert len(strip["time_s"]) == 10
    for cell, time_s in enumerate(strip["time_s"]):
        frame = round((time_s - 3.0) * RATE_HZ)
        assert frame // 2 == cell  # two frames in each tenth
        middle = np.array(picture.getpixel((cell * strip["tile_px"] + 32, 32)))
        assert np.abs(middle - colour(7, frame)).max() <= 8
    late = strips["s04"]["time_s"]
    assert late[:7] == [None] * 7
    assert None not in late[8:]


def test_a_corpus_without_faces_gives_a_sheet_that_says_so(results):
    segments = [Segment("s03", "unit0", "speaker0", "1", None, 9.0, 11.0)]
    write_table(results / "segments.tsv", segments, Segment)
    sheet, notes = run(results)
    assert notes["crops"] == []
    assert np.asarray(sheet).min() < 100  # words on white


def test_a_missing_face_file_is_an_error_that_names_it(results):
    (results / "faces" / "unit1.h5").unlink()
    with pytest.raises(InputError, match=r"unit1\.h5: no such file"):
        run(results)
