"""Readers as plugs: by name, from a user's file, their options, and what is said of a corpus before any work."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from pipeline.corpora.base import Corpus, Index
from pipeline.corpora.check import summary
from pipeline.corpora.command import index as index_command
from pipeline.corpora.prepare import read, shards
from pipeline.corpora.registry import READERS, make
from pipeline.records import InputError, Segment, Unit, read_labels, read_table
from tests.plug_options import described

REPOSITORY = Path(__file__).resolve().parent.parent
MANUAL = (REPOSITORY / "docs" / "corpora.md").read_text(encoding="utf-8")


@pytest.fixture
def moods(tmp_path):
    """The worked example of the manual as a user's file, and a corpus for it."""
    shown = re.search(r"say `moods.py`:\n\n```python\n(.*?)```", MANUAL, re.DOTALL)[1]
    assert sum(bool(line.strip()) for line in shown.splitlines()) <= 10
    (tmp_path / "moods.py").write_text(shown)
    (tmp_path / "corpus").mkdir()
    for name in ("ann_joy_1", "ann_fear_1", "bob_joy_1"):
        soundfile.write(tmp_path / "corpus" / f"{name}.wav", np.zeros(8000), 16_000)
    return tmp_path


def test_the_manuals_reader_runs_as_printed(moods):
    arguments = ["--corpus", "moods", "--reader", f"{moods}/moods.py:Moods", "--root", str(moods / "corpus")]
    CliRunner().invoke(index_command, [*arguments, "--out", str(moods / "out")], catch_exceptions=False)
    segments = read_table(moods / "out" / "segments.tsv", Segment)
    assert [(s.segment_id, s.speaker, s.end_s) for s in segments] == [
        ("ann_fear_1", "ann", 0.5), ("ann_joy_1", "ann", 0.5), ("bob_joy_1", "bob", 0.5),
    ]  # fmt: skip
    assert [row.label for row in read_labels(moods / "out" / "labels.tsv").values()] == ["fear", "joy", "joy"]


def test_readers_that_are_not_there(moods):
    with pytest.raises(
        InputError, match=r"no reader 'melt'; there are affwild2, cremad, iemocap, meld, ravdess, table"
    ):
        make("x", "melt", moods)
    for reader, says in (
        ("moods.py:Mood", "Mood in .*moods.py is missing; .* there is Moods$"),
        ("gone.py:Moods", "there is no such file; put it there, or correct the path"),
        ("broken.py:Moods", r"cannot be imported \(invalid syntax \(broken.py, line 1\)\)"),
        ("moods.py:Unit", "is not a subclass of pipeline.corpora.base.Corpus"),
        ("untitled.py:Moods", "reader .*: set its class attribute title"),
    ):  # fmt: skip
        (moods / "untitled.py").write_text((moods / "moods.py").read_text().replace("title, task", "name, task"))
        (moods / "broken.py").write_text("class Moods(:\n")
        with pytest.raises(InputError, match=says):
            make("x", f"{moods}/{reader}", moods)


@pytest.mark.parametrize(("reader", "options", "says"), [
    ("iemocap", {"sounds": "video"}, "unknown option 'sounds'. Its options are: audio"),
    ("ravdess", {"channel": "whisper"}, r"channel: Input should be 'speech', 'song' or 'both' \(given 'whisper'\)"),
    ("meld", {"part": "test"}, "reader 'meld': unknown option 'part'. Its options are: none"),
    ("table", {}, r"segments: Field required"),
    ("table", {"segments": "x", "columns": ["label"]}, "columns: Input should be a valid dictionary"),
])  # fmt: skip
def test_options_that_do_not_fit(reader, options, says):
    with pytest.raises(InputError, match=says):
        READERS.options_for(reader, options)


@pytest.mark.parametrize("reader", sorted(READERS.built_in))
def test_every_option_is_described_in_the_manual(reader):
    own = next(part for part in re.findall(rf"(?s)(?:\*\*|## )`{reader}`.*?(?=\n\*\*`|\n## |\Z)", MANUAL))
    rows = dict(re.findall(r"^\| `(\w+)` \| .*? \| (.*) \|$", own.split("| Column |")[0], re.MULTILINE))
    assert rows == {name: description for name, _, description in described(READERS, reader)}


def test_every_column_is_described_in_the_manual():
    from pipeline.corpora.readers.table.file import COLUMNS

    table = MANUAL.split("| Column |")[1].split("\n\n")[0]
    named = (
        {name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])} if table else set()
    )
    assert named == set(COLUMNS)


def test_the_examples_of_the_manual_work(tmp_path):
    """The table and the options shown, on files of these names."""
    import yaml

    rows, options = re.search(r"## `table`.*?```csv\n(.*?)```\n\n```yaml\n(.*?)```", MANUAL, re.DOTALL).groups()
    (tmp_path / "talks").mkdir()
    for name in ("monday", "tuesday, noon"):
        (tmp_path / "talks" / f"{name}.mp4").touch()
    (tmp_path / "labels.csv").write_text(rows)
    entry = yaml.safe_load(options)["corpora"]["talks"]
    found = read(make("talks", entry.pop("reader"), tmp_path, {k: v for k, v in entry.items() if k != "root"}))
    assert [s.segment_id.split("@")[0] for s in found.segments] == ["monday_001", "monday_002", "tuesday_noon"]
    assert found.findings == []


# --- what every reader must keep -----------------------------------------------------------------------------------


class Given(Corpus):
    """A reader that gives what it is told to."""

    title, task = "Given", "classes/segment"
    found = Index()

    def index(self):
        return Index(list(self.found.units), list(self.found.segments), list(self.found.labels))


def segment(name: str, unit: str) -> Segment:
    return Segment(name, unit, "s", None, None, 0.0, 1.0)


@pytest.mark.parametrize(("units", "segments", "says"), [
    (["a", "a"], [], "two units are called 'a'"),
    (["a"], [("x", "a"), ("x", "a")], "two segments are called 'x'"),
    (["a"], [("x", "a"), ("y", "b")], "segments name the unit 'b', which is not listed"),
])  # fmt: skip
def test_ids_are_unique_and_units_listed(tmp_path, units, segments, says):
    known = Given("mine", tmp_path)
    known.found = Index([Unit(name) for name in units], [segment(*each) for each in segments])
    with pytest.raises(InputError, match=f"corpus mine: {says}"):
        read(known)


def test_small_recordings_share_files():
    assert shards(["a", "b"]) == {"a": ["a"], "b": ["b"]}
    many = [f"u{n}" for n in range(7_442)]
    grouped = shards(many)
    assert len(grouped) == 117
    assert [u for own in grouped.values() for u in own] == many
    assert set(map(len, list(shards(many, 8).values())[:-1])) == {8}


def test_recordings_that_are_added_last_leave_the_files_of_others_until_there_are_twice_as_many():
    many = [f"u{n}" for n in range(1 << 14)]
    for count in (1, 63, 128, 200, 1_000, 7_442):
        before, grown = shards(many[:count]), shards(many[: max(127, (1 << count.bit_length()) - 1)])
        kept = [own == grown[name] for name, own in before.items()]
        assert all(kept[:-1]), count
    assert [len(shards(many[:count])["00000"]) for count in (128, 255, 256, 511, 512, 1 << 14)] == [2, 2, 4, 4, 8, 256]


def test_reading_opens_no_media_and_imports_nothing_heavy(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no video")
    (tmp_path / "labels.csv").write_text("video,label\na.mp4,x\n")
    code = (
        "import sys; from pipeline.corpora.registry import make; from pipeline.corpora.prepare import read\n"
        f"known = make('x', 'table', {str(tmp_path)!r}, {{'segments': 'labels.csv'}})\n"
        "assert known.task == 'classes/segment' and len(read(known).segments) == 1\n"
        "assert not {'numpy', 'h5py', 'av', 'cv2', 'pandas', 'click'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)


# --- summaries ---------------------------------------------------------------------------------------------------


def test_a_summary_counts_what_is_there_and_what_is_not(tmp_path):
    rows = [
        "video,audio,text,speaker,group,part,label,valence,start_s,end_s",
        "a.mp4,,Oh,ann,x,train,joy,0.5,0,1800", "a.mp4,,,bob,x,train,joy,-1,1800,", "b.mp4,b.wav,,bob,,test,,,,",
        ",c.wav,,bob,y,,fear,,,", ",no.wav,,bob,y,,fear,,,", ",also_no.wav,,bob,y,,fear,,,",
    ]  # fmt: skip
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    for name in ("a.mp4", "b.mp4", "b.wav", "c.wav"):
        (tmp_path / name).touch()
    (tmp_path / "a.srt").touch()
    known = make("mine", "table", tmp_path, {"segments": "labels.csv"})
    assert list(summary(known, read(known))) == [
        f"corpus       mine (mine) in {tmp_path}",
        "task         classes/segment; protocols parts, speaker, group, utterance",
        "recordings   3",
        "segments     4, 0.50 h and 3 as long as their recordings",
        "speakers     2: bob (3), ann (1)",
        "groups       2: x (2), y (1); 1 in none",
        "parts        2: train (2), test (1); 1 in none",
        "classes      2: joy (2), fear (1); 1 segments without",
        "valence      2 segments, from -1 to 0.5",
        "video        3 segments",
        "audio        2 segments, 2 segments by the sound of their video",
        "text         2 segments",
        "findings     2 of audio, absent",
        "  no: labels.csv, line 6: there is no file no.wav; the row was not used",
        "  also_no: labels.csv, line 7: there is no file also_no.wav; the row was not used",
        "findings     1 of label, absent",
        "  b: labels.csv, line 4: no label: predicted, not scored",
        "findings     1 of text, noted",
        "  a: a.srt is not used for 1 of 2 segments, which have words of their own",
    ]
    cropped = Index([Unit("a")], [Segment("a", "a", "ann", None, None, 0.0, 1.0, crops="faces/a")])
    assert "video        1 segments" in list(summary(known, cropped))
