"""Mistakes to look at and listen to: the right segments, their own crops and sounds, and nothing unless asked for."""

import base64
import csv
import io
import json

import av
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from models.report.sections.examples import choose, command
from pipeline.audio_file import AudioWriter
from pipeline.corpora.readers.iemocap import Reader as Iemocap
from pipeline.crops import NO_FACE, FaceWriter
from pipeline.inspect.examples import SOUND_S, examples, mp3
from pipeline.records import InputError, Segment, Word, write_table
from tests.report_fixture import Fixture, page_of

RATE_HZ = 16_000


def run(tool, *arguments: str):
    done = CliRunner().invoke(tool, [str(a) for a in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output


def test_the_surest_mistakes_come_first_and_every_class_has_its_turn():
    rows = []
    for name, label, p in (
        ("a1", "a", (0.05, 0.95)), ("a2", "a", (0.2, 0.8)), ("a3", "a", (0.9, 0.1)),
        ("b1", "b", (0.6, 0.4)), ("b2", "b", (0.1, 0.9)),
    ):  # fmt: skip
        for seed in (1, 2):
            rows.append({"segment_id": name, "seed": seed, "label": label, "p_a": p[0], "p_b": p[1]})
    found = choose(pd.DataFrame(rows), "self-A", 12)
    assert [(m.segment_id, m.truth, m.predicted, m.confidence) for m in found] == [
        ("a1", "a", "b", 0.95), ("b1", "b", "a", 0.6), ("a2", "a", "b", 0.8),
    ]  # fmt: skip
    assert [m.segment_id for m in choose(pd.DataFrame(rows), "self-A", 1)] == ["a1"]


def test_frames_are_refused(tmp_path):
    made = Fixture(tmp_path, "affwild2", size=24)
    with pytest.raises(InputError, match="examples are segments that a run gets wrong, and task numbers/frame"):
        run(command, "--results", made.folder, "--out", tmp_path / "examples.tsv")


@pytest.fixture
def results(tmp_path):
    """One video with three segments: s0 is seen, heard and says two words, s1 is silent and unseen, s2 has no files."""
    units = ("unit", "unit", "other")
    segments = [
        Segment(f"s{k}", unit, "x", None, None, 10.0 * k, 10.0 * k + 6, text="spoken") for k, unit in enumerate(units)
    ]
    write_table(tmp_path / "segments.tsv", segments, Segment)
    times = np.stack([np.arange(3) / 10, np.arange(3) / 10 + 0.1], 1)
    stream = io.BytesIO()
    Image.new("RGB", (112, 112), (200, 30, 90)).save(stream, "JPEG", quality=95)
    with FaceWriter(tmp_path / "faces" / "unit.h5", {s: (times, np.arange(3)) for s in ("s0", "s1")}) as writer:
        for row in range(3):
            writer.found("s0", row, stream.getvalue())
            writer.absent("s1", row, NO_FACE)
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(6 * RATE_HZ) / RATE_HZ).astype(np.float32)
    plan = {name: (start_s, len(tone)) for name, start_s in (("s0", 0.0), ("s1", 10.0))}
    with AudioWriter(tmp_path / "audio" / "unit.h5", plan) as writer:
        writer.write("s0", 0, tone)
        writer.describe("s0", "video", (0.0, 6.0))
    words = [
        Word("two", 1.0, 1.2, "transcript"),
        Word("words", 2.0, 2.2, "transcript"),
        Word("later", 7, 8, "transcript"),
    ]
    write_table(tmp_path / "words" / "unit.tsv", words, Word)
    (tmp_path / "chosen.tsv").write_text("segment_id\ttruth\ns0\tneu\ns1\tneu\ns2\tneu\n")
    return tmp_path


def test_what_is_cut_is_the_segment_s_own(results):
    out = results / "tables" / "examples.jsonl"
    run(examples, "--results", results, "--segments", results / "chosen.tsv", "--out", out)
    first, silent, without = (json.loads(line) for line in out.read_text().splitlines())
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(first["jpeg"]))))
    assert picture.shape == (80, 80, 3)
    assert np.abs(picture.mean((0, 1)) - (200, 30, 90)).max() < 6
    assert first["words"] == "two words"
    with av.open(io.BytesIO(base64.b64decode(first["sound"]))) as container:
        heard = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    assert abs(len(heard) / RATE_HZ - SOUND_S) < 0.2
    spectrum = np.abs(np.fft.rfft(heard[RATE_HZ : 2 * RATE_HZ]))
    assert abs(int(spectrum.argmax()) - 440) <= 1
    assert first["sound_type"] == "audio/mpeg"
    assert (silent["jpeg"], silent["sound"], silent["words"]) == (None, None, "")
    assert (without["jpeg"], without["sound"], without["words"]) == (None, None, "spoken")


def test_a_sound_is_small():
    noise = np.random.default_rng(1).uniform(-1, 1, round(SOUND_S * RATE_HZ)).astype(np.float32)
    assert len(mp3(noise, RATE_HZ)) < 20_000


def test_segments_that_are_not_there_are_named(results):
    cases = {"segment_id\nnobody\n": "nobody is not a segment", "name\ns0\n": "lacks the column segment_id"}
    for text, said in cases.items():
        (results / "chosen.tsv").write_text(text)
        with pytest.raises(InputError, match=said):
            run(examples, "--results", results, "--segments", results / "chosen.tsv", "--out", results / "x.jsonl")


def test_the_report_shows_them_where_they_were_made_and_only_there(tmp_path):
    made = Fixture(tmp_path, "iemocap", size=40)
    tables = made.folder / "tables"
    assert "examples" not in [s.attributes["id"] for s in page_of(made).all("section")]
    run(command, "--results", made.folder, "--count", "5", "--out", tables / "examples.tsv")
    with (tables / "examples.tsv").open(newline="") as stream:
        chosen = list(csv.DictReader(stream, delimiter="\t"))
    assert 0 < len(chosen) <= 5
    assert all(row["truth"] != row["predicted"] for row in chosen)
    assert all(made.labels[row["segment_id"]] == row["truth"] for row in chosen)
    line = {"segment_id": chosen[0]["segment_id"], "jpeg": base64.b64encode(b"x").decode(), "words": "<b>said</b>"}
    line |= {"sound": base64.b64encode(b"y").decode(), "sound_type": "audio/mpeg"}
    (tables / "examples.jsonl").write_text(json.dumps(line) + "\n")
    section = page_of(made).by_id("examples")
    (item,) = section.all("li")
    assert item.all("audio")[0].attributes["src"] == "data:audio/mpeg;base64,eQ=="
    assert "“<b>said</b>”" in item.text
    truth, said = (Iemocap.label_words[chosen[0][key]] for key in ("truth", "predicted"))
    assert f"{truth} taken for {said} with" in item.text
    (tables / "examples.jsonl").write_text(json.dumps({**line, "sound_type": "text/html"}) + "\n")
    with pytest.raises(InputError, match="sound of type 'text/html'"):
        page_of(made)
