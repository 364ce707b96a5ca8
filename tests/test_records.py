import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import Finding, InputError, Segment, Unit, Word, read_table, replacing, write_table

printable = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=30)
seconds = st.floats(0, 1e5, allow_nan=False)


@given(st.lists(st.tuples(printable, seconds, st.floats(1e-3, 100), st.none() | printable), max_size=8))
def test_a_table_reads_back_as_it_was_written(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("table") / "words.tsv"
    words = [Word(text, start, start + length, "transcript", segment) for text, start, length, segment in rows]
    write_table(path, words, Word)
    assert read_table(path, Word) == words


@pytest.mark.parametrize(
    "name", ["a\rb.mp4", "a\r\nb.mp4", 'a\tb".mp4', b"caf\xe9.mp4".decode(errors="surrogateescape")]
)
def test_names_of_files_come_back_as_they_are(tmp_path, name):
    units = [Unit("x", f"videos/{name}"), Unit("y", "videos/y.mp4")]
    write_table(tmp_path / "units.tsv", units, Unit)
    assert read_table(tmp_path / "units.tsv", Unit) == units
    write_table(tmp_path / "findings.tsv", [Finding("x", None, "video", "absent", f"no {name}")], Finding)
    (tmp_path / "findings.tsv").read_text(encoding="utf-8")


def test_a_table_opens_with_a_plain_reader(tmp_path):
    path = tmp_path / "segments.tsv"
    text = 'He said: "no"\tand left'
    segment = Segment("a_F000", "a", "Ses01F", "1", None, 0.5, 2.25, "left", text=text)
    write_table(path, [segment], Segment)
    with path.open(newline="", encoding="utf-8") as stream:
        row = next(csv.DictReader(stream, delimiter="\t"))
    assert row["text"] == text
    assert row["part"] == ""
    assert float(row["end_s"]) == 2.25
    assert read_table(path, Segment) == [segment]


def test_a_segment_must_end_after_it_starts():
    with pytest.raises(InputError, match=r"x: end_s 1\.0 is not after start_s 1\.0"):
        Segment("x", "u", "s", None, None, 1.0, 1.0, "whole")


@pytest.mark.parametrize("name", ["", "a/b", ".hidden"])
def test_a_unit_must_be_able_to_name_a_file(name):
    with pytest.raises(InputError, match="cannot name a file"):
        Unit(name, "v.avi")


def test_a_table_that_does_not_fit_names_line_and_column(tmp_path):
    path = tmp_path / "words.tsv"
    path.write_text("word\tstart_s\tend_s\tsource\tsegment_id\tunit_id\nhello\t0.1\tsoon\ttranscript\t\t\n")
    with pytest.raises(InputError, match=r"words.tsv, line 2: column end_s holds 'soon', expected .*float"):
        read_table(path, Word)
    path.write_text("word\tstart_s\n")
    with pytest.raises(InputError, match="lacks the columns"):
        read_table(path, Word)


def test_replacing_leaves_nothing_behind_when_the_block_fails(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("before")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["out.txt"]
