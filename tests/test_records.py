import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import records
from pipeline.corpora.readers.table.file import TableFile
from pipeline.records import (
    RESERVED,
    Finding,
    InputError,
    Label,
    Segment,
    Unit,
    Word,
    check_numbers,
    read_labels,
    read_shard,
    read_table,
    write_labels,
    write_table,
)

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


def test_a_cell_as_long_as_a_book_is_read(tmp_path):
    """What csv takes by itself ends at 131,072 characters: two hours of speech."""
    segment = Segment("a", "a", "ann", text="so it is " * 60_000)
    write_table(tmp_path / "segments.tsv", [segment], Segment)
    assert read_table(tmp_path / "segments.tsv", Segment) == [segment]
    (tmp_path / "labels.csv").write_text(f"text,label\n{segment.text},x\n")
    (row,) = TableFile(tmp_path / "labels.csv", {}).rows
    assert row.cells["text"] == segment.text.strip()


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
    path.write_text("word\tstart_s\tend_s\tsource\tsegment_id\tunit_id\twritten\nhello\t0.1\tsoon\ttranscript\t\t\t\n")
    with pytest.raises(InputError, match=r"words.tsv, line 2: column end_s holds 'soon', expected float$"):
        read_table(path, Word)
    path.write_text("word\tstart_s\n")
    with pytest.raises(InputError, match="lacks the columns"):
        read_table(path, Word)


@pytest.mark.parametrize(("given", "says"), [
    ({"side": "middle"}, r"segment x: side 'middle' is not one of \('whole', 'left', 'right'\)"),
    ({"picture": "left"}, r"segment x: picture 'left' is not one of \('whole', 'left_half', 'right_half'\)"),
])  # fmt: skip
def test_a_segment_says_which_person_in_which_part_of_the_picture(given, says):
    with pytest.raises(InputError, match=says):
        Segment("x", "u", "s", None, None, 0.0, 1.0, **given)


def test_a_shard_is_its_recordings_in_order_each_with_its_own_segments(tmp_path):
    shard_of = {"b": "00000", "a": "00000", "c": "00001", "alone": ""}
    units = [Unit(name, f"{name}.mp4", shard=shard) for name, shard in shard_of.items()]
    segments = [
        Segment(f"{name}{k}", name, "s", None, None, k, k + 1.0, shard=shard_of[name]) for k in (0, 1) for name in "abc"
    ]
    write_table(tmp_path / "units.tsv", units, Unit)
    write_table(tmp_path / "segments.tsv", segments, Segment)
    found = [(unit, [s.segment_id for s in own]) for unit, own in read_shard(tmp_path, "00000")]
    assert found == [(units[0], ["b0", "b1"]), (units[1], ["a0", "a1"])]
    assert read_shard(tmp_path, "alone") == [(units[3], [])], "a unit of no shard is a shard by itself"
    for other in ("00002", "a", ""):
        with pytest.raises(InputError, match=rf"shard '{other}' is not in .*units\.tsv"):
            read_shard(tmp_path, other)
    assert {s.file for s in segments} == {"00000", "00001"}
    assert Segment("x", "u", "s", None, None, 0.0, 1.0).file == "u"


def test_of_the_rows_of_other_shards_no_cell_is_looked_at(tmp_path, monkeypatch):
    units = [Unit(name, shard=f"{k:05d}") for k, name in enumerate("abc")]
    write_table(tmp_path / "units.tsv", units, Unit)
    write_table(tmp_path / "segments.tsv", [Segment(u.unit_id, u.unit_id, "s", shard=u.shard) for u in units], Segment)
    lines, value = set(), records._value
    monkeypatch.setattr(records, "_value", lambda *given: lines.add(given[3]) or value(*given))
    assert [unit for unit, _ in read_shard(tmp_path, "00001")] == units[1:2]
    assert lines == {3}


def test_labels_are_a_table_apart_that_may_be_absent(tmp_path):
    path = tmp_path / "labels.tsv"
    assert read_labels(path) == {}
    labels = [Label("a", "ang", {"valence": 2.5, "dominance": 1.0}), Label("b")]
    write_labels(path, labels)
    assert read_labels(path) == {"a": labels[0], "b": labels[1]}
    path.write_text("segment_id\tlabel\tpain\na\t\tmuch\n")
    with pytest.raises(InputError, match=r"labels.tsv, line 2: column pain holds 'much', expected float"):
        read_labels(path)
    path.write_text("segment_id\tpain\na\t1\n")
    with pytest.raises(InputError, match=r"labels.tsv: lacks the columns \['label'\]"):
        read_labels(path)


names_of_numbers = st.text("abcxyzäß_0189", min_size=1, max_size=9)
numbers = st.dictionaries(names_of_numbers, st.floats(allow_nan=False, allow_infinity=False), max_size=4)


@given(st.dictionaries(printable, st.tuples(st.none() | printable, numbers), max_size=6))
def test_labels_read_back_as_they_were_written(tmp_path_factory, given_labels):
    path = tmp_path_factory.mktemp("table") / "labels.tsv"
    labels = [Label(name, *label) for name, label in given_labels.items()]
    write_labels(path, labels)
    assert list(read_labels(path).values()) == labels
    with path.open(newline="", encoding="utf-8") as stream:
        header, *rows = csv.reader(stream, delimiter="\t")
    assert sorted(header) == sorted({"segment_id", "label", *(name for row in labels for name in row.numbers)})
    for row, label in zip(rows, labels, strict=True):
        cells = dict(zip(header, row, strict=True))
        assert (cells.pop("segment_id"), cells.pop("label")) == (label.segment_id, label.label or "")
        assert {name: float(cell) for name, cell in cells.items() if cell} == label.numbers


def test_numbers_are_columns_in_the_order_of_the_corpus(tmp_path):
    one, other = {"pain": 1.0, "arousal": 2.0, "valence": 3.0}, {"arousal": 4.0, "joy": 5.0}
    write_labels(tmp_path / "labels.tsv", [Label("a", None, other), Label("b", None, one)])
    text = "segment_id\tlabel\tpain\tarousal\tvalence\tjoy\na\t\t\t4.0\t\t5.0\nb\t\t1.0\t2.0\t3.0\t\n"
    assert (tmp_path / "labels.tsv").read_text() == text


def test_numbers_of_a_label_are_given_by_name():
    with pytest.raises(InputError, match=r"label of segment a: numbers 2\.5; give them by name"):
        Label("a", None, 2.5)


@pytest.mark.parametrize("name", ["", "a-b", " a", "a  b", "a,b", "a\n", "mean", "Mean", "label", "speaker", "model"])
def test_what_cannot_name_a_number(tmp_path, name):
    with pytest.raises(InputError, match="cannot name a number: names are words of letters, digits and _, each once"):
        check_numbers(["pain", name])
    with pytest.raises(InputError, match="cannot name a number"):
        write_labels(tmp_path / "labels.tsv", [Label("a", None, {name: 1.0})])
    with pytest.raises(InputError, match=r"'Pain' cannot name a number"):
        check_numbers(["pain", "Pain"])
    check_numbers(["pain", "PHQ_8", "schön", "2", "valence"])
    assert {"label", "segment_id", "start_s", "video", "time_s", "mean"} <= RESERVED
