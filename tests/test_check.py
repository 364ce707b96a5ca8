"""What ``affectflow check`` foresees of a split: sizes counted by hand, and where nothing could be decided."""

import json
import re
from hashlib import sha256
from itertools import takewhile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from models.evaluation.statuses import Status
from models.protocols.labels import usable
from models.protocols.split import assign
from models.settings import Settings
from pipeline.corpora import raw
from pipeline.corpora.check import summary
from pipeline.corpora.resolve import with_ends
from pipeline.files import digest_file
from pipeline.records import InputError
from pipeline.weights import slug
from workflow import estimate
from workflow.check import beyond, parts_and_costs_of, plan_of, split_of
from workflow.corpora import Corpora
from workflow.estimate import volume
from workflow.launch import configuration

RUNS = {"runs": {"self": ["A"], "early": ["A"]}}
CONTRAST = {"question": "Does attention help?", "a": "self-A", "b": "early-A"}


@pytest.fixture
def spoken(tmp_path):
    """A corpus of speakers with so many clips, of two classes in turn."""

    def make(clips, contrasts=(CONTRAST,), protocol="speaker", **further):
        rows = [f"{one}{k}.wav,{one},{'xy'[k % 2]}" for one, many in clips.items() for k in range(many)]
        for row in rows:
            (tmp_path / row.split(",")[0]).write_bytes(b"no media is opened")
        (tmp_path / "labels.csv").write_text("\n".join(["audio,speaker,label", *rows]))
        entry = {"reader": "table", "root": str(tmp_path), "segments": "labels.csv", "protocol": protocol}
        config = configuration(())[0]
        config["corpora"] = {"mine": {**entry, **RUNS, "contrasts": list(contrasts), **further}}
        return Corpora(config)["mine"]

    return make


@pytest.fixture
def table(spoken):
    """The lines on the parts of such a corpus."""

    def lines(*args, **options):
        told = parts_and_costs_of(spoken(*args, **options))
        return list(takewhile(lambda line: not line.startswith("costs"), told))

    return lines


def test_the_parts_of_a_fold_are_counted(table):
    (line,) = table({f"s{k}": 10 for k in range(8)})
    assert line == "split        training 60, development 10, test 10 segments in each fold"
    (line,) = table({f"s{k}": 10 + k for k in range(8)})
    found = re.fullmatch(r"split +training (\d+) to (\d+), development (\d+) to (\d+), test 10 to 17 segments .*", line)
    whole = sum(10 + k for k in range(8))
    assert 0 < int(found[1]) <= int(found[2]) < whole - 10
    assert 10 <= int(found[3]) <= int(found[4]) <= 17


def test_speakers_without_labels_make_no_fold_and_a_broken_recording_takes_none(tmp_path):
    """Seven speakers of a clip each: two lack labels; of one who has some the only recording cannot be read."""
    sound, rows = np.zeros(16_000, np.float32), ["audio,speaker,label"]
    for k in range(7):
        for clip in range(2 if k < 4 else 1):
            rows.append(f"s{k}_{clip}.wav,s{k},{'' if k in (5, 6) else 'xy'[clip % 2]}")
            path = tmp_path / f"s{k}_{clip}.wav"
            path.write_bytes(b"RIFF, and no more") if k == 4 else soundfile.write(path, sound, 16_000)
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    entry = {"reader": "table", "root": str(tmp_path), "segments": "labels.csv", "protocol": "speaker", **RUNS}
    config = configuration(())[0]
    config["corpora"] = {"mine": {**entry, "contrasts": []}}
    known = Corpora(config)["mine"]
    assert known.folds == 5
    found = with_ends(tmp_path, known.index)
    label, predicted = usable(known.settings.task, found.segments, found.labels)
    made = assign(found.segments, "speaker", label, predicted, planned=known.folds)
    tested = {k: {row.segment_id for row in made if (row.fold, row.part) == (k, "test")} for k in range(5)}
    assert sorted(map(len, tested.values())) == [1, 1, 2, 2, 2]
    assert set.union(*tested.values()) == {f"s{k}_{clip}" for k in range(4) for clip in range(2)}
    assert {row.segment_id for row in made if row.part == "unlabelled"} == {"s5_0", "s6_0"}


def test_times_that_are_not_in_seconds_are_asked_about(tmp_path, monkeypatch):
    """Of 50 recordings 24 at most are opened, those first whose length no segment tells."""
    opened = []
    rows = ["video,audio,start_s,end_s,label", ",0.wav,2,,x"]
    for k in range(50):
        (tmp_path / f"{k}.wav").write_bytes(b"no media is opened")
        rows += [f",{k}.wav,100,1500,x", f",{k}.wav,0,{2300 if k else 3},y"]
    config = configuration(())[0]
    config["corpora"] = {"mine": {"reader": "table", "root": str(tmp_path), "segments": "labels.csv", "contrasts": []}}

    def length_s(root, file):
        opened.append(file)
        return None if file == "10.wav" else 2.3

    monkeypatch.setattr(estimate, "length_s", length_s)

    def asked(*rows):
        opened.clear()
        (tmp_path / "labels.csv").write_text("\n".join(rows))
        mine = Corpora(config)["mine"]
        list(parts_and_costs_of(mine))
        return beyond(mine), list(summary(mine.settings.corpus, mine.index, beyond(mine)))

    says, lines = asked(*rows)
    assert says == (
        "33 of 35 segments looked at begin after their recording ends, or end long after it, such as 0_002: 100.0 s of "
        "2.3 s; are the times in seconds?"
    )
    assert (lines[-1], opened) == (f"findings     {says}", [f"{k}.wav" for k in (0, *range(1, 50, 3))])
    inside = asked(rows[0], *(f",{k}.wav,0,{2 + k},x" for k in range(2)))
    assert (inside[0], inside[1][-1]) == ("", "findings     none: nothing is missing or unusable")


def test_settings_are_laid_over_each_other_as_snakemake_does_it(tmp_path):
    (tmp_path / "mine.yaml").write_text("scale: research")
    for given in (("scale=demo", str(tmp_path / "mine.yaml")), (str(tmp_path / "mine.yaml"), "scale=demo")):
        assert configuration(given)[0]["scale"] == "demo"  # a file first, whatever the order


def test_checkpoints_of_one_s_own_are_named_where_the_scale_is_demo(tmp_path):
    config = configuration(())[0]
    scale = next(plan_of(Corpora(config)["iemocap"]))
    assert scale.endswith(" demo: small random networks, to try the path")
    config["defaults"]["segment"]["extractors"]["wav2vec2"]["weights"] = str(tmp_path)
    scale = next(plan_of(Corpora(config)["iemocap"]))
    assert scale.endswith(" random networks (checkpoints of your own stay as they are), to try the path")


def test_a_corpus_without_folds_is_described_and_its_features_are_priced(spoken, tmp_path):
    known = spoken({"s0": 6})
    told = [line.split(maxsplit=1) for line in [*plan_of(known), *parts_and_costs_of(known)]]
    assert ["trainings", "none, for there are no folds"] in told
    (why,) = [rest for what, rest in told if what == "protocol"]
    assert why.startswith("speaker, no folds: protocol speaker needs at least 2 different speakers; there are ['s0']")
    assert {"audio", "wav2vec2"} <= {what for what, _ in told}
    assert not {"split", "training"} & {what for what, _ in told}
    with pytest.raises(InputError, match=r"corpora\.mine: protocol speaker needs at least 2"):
        _ = known.folds
    (tmp_path / "config.json").write_text(json.dumps(known.configuration))
    written = Settings.from_json(tmp_path / "config.json")
    assert (written.folds, written.training_jobs) == (0, [])
    assert written.protocol.description.startswith("protocol speaker needs at least 2")


def test_what_no_run_reads_and_what_no_segment_has_is_said(spoken, tmp_path):
    runs = {"self": ["A", "A+V"], "early": ["A+T", "V"]}
    (tmp_path / "x").touch()
    imported = {"extractor": "import", "path": str(tmp_path / "x"), "modality": "video"}

    def lacking(**further):
        return [line.partition(":")[0].strip() for line in said(**further) if line.startswith("  no segment")]

    def said(**further):
        return list(plan_of(spoken({"s0": 6}, [], runs=runs, **further)))

    bands = said(extractors={"bands": {"extractor": "log_mel"}})
    assert "unread       bands: made by affectflow features, read by no run" in bands
    text = "no segment has text, which early-A+T would read"
    assert lacking() == ["no segment has video, which self-A+V, early-V would read", text]
    assert lacking(extractors={"theirs": imported}, inputs={"video": "theirs"}) == [text]


READER = """
from affectflow import Corpus, Index, Segment, Unit

class Moods(Corpus):
    title, task = "Moods", "numbers/frame:valence"

    def index(self):
        names = [f"v{k}" for k in range(12)]
        units = [Unit(name, video=f"{name}.mp4") for name in names]
        return Index(units, [Segment(name, name, name, None, None, 0, 10) for name in names])

    def annotate(self, segment, frame_time_s):
        return frame_time_s[:, None] * 0
"""


def test_a_reader_that_only_annotates_has_labels(tmp_path):
    (tmp_path / "moods.py").write_text(READER)
    entry = {"reader": f"{tmp_path}/moods.py:Moods", "root": str(tmp_path), "protocol": "group"}
    config = configuration(())[0]
    config["corpora"] = {"mine": {**entry, "runs": {"self_frames": ["V"]}, "contrasts": []}}
    known = Corpora(config)["mine"]
    line, *_ = parts_and_costs_of(known)
    assert re.fullmatch(r"split +training \d to \d, development \d(?: to \d)?, test 2 to 3 .*", line), line
    assert volume(known, split_of(known)).trained_s == 120 * 4 / 5  # one of five folds is tested


def test_the_index_follows_what_a_reader_s_review_is_and_reads(tmp_path):
    """Which says what it finds after the index is planned."""
    config, found = configuration(())[0], []
    own = {"root": str(tmp_path), "protocol": "group", "runs": {"self_frames": ["V"]}, "contrasts": []}
    lasts = '    text_files = {"lengths": ("lengths.csv",)}\n'
    reviews = {"none": "", "one": lasts + "    def review(self, found): return found.findings[:0]\n"}
    for name, review, text in (("none", "none", "1"), ("none", "none", "2"), ("one", "one", "2"), ("one", "one", "3")):
        (tmp_path / f"{name}.py").write_text(READER + reviews[review])
        (tmp_path / "lengths.csv").write_text(text)
        config["corpora"] = {"mine": {"reader": f"{tmp_path}/{name}.py:Moods", **own}}
        found.append(Corpora(config)["mine"].tables_digest)
    assert found[0] == found[1]
    assert len(set(found)) == 3


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{}["mood"]', "KeyError: 'mood' (broken.py, line 8)"),
        ('__import__("json").loads("{")', "JSONDecodeError: Expecting property name enclosed in double quotes"),
        ("None + 1", "TypeError: unsupported operand type(s) for +: 'NoneType' and 'int' (broken.py, line 8)"),
    ],
)
@pytest.mark.parametrize("where", ["index", "__init__"])
def test_an_error_of_a_reader_of_one_s_own_stops_no_other_corpus(tmp_path, line, said, where):
    begun = f"    def {where}(self, *given):\n        {line}\n"
    text = READER.replace("    def index(self):\n", begun if where == "index" else begun + "    def index(self):\n")
    (tmp_path / "broken.py").write_text(text)
    config = configuration(())[0]
    config["corpora"]["mine"] = {"reader": f"{tmp_path}/broken.py:Moods", "root": str(tmp_path)}
    known = Corpora(config)
    assert set(known) == {"iemocap", "affwild2"}
    assert known.unreadable["mine"].startswith(f"corpora.mine: its reader failed: {said}")
    assert "(broken.py, line 8); correct the reader" in known.unreadable["mine"]


def test_a_task_may_be_told_when_a_reader_is_made(tmp_path):
    told = '    title = "Moods"\n\n'
    told += "    def __init__(self, *given):\n        super().__init__(*given)\n        self.task = TASK\n"
    text = READER.replace('    title, task = "Moods", "numbers/frame:valence"\n', told)
    config = configuration(())[0]
    entry = {"root": str(tmp_path), "protocol": "group", "runs": {"self_frames": ["V"]}, "contrasts": []}
    for name, task in (("moods", "numbers/frame:valence"), ("wrong", "clases/frame")):
        (tmp_path / f"{name}.py").write_text(text.replace("TASK", repr(task)))
        config["corpora"] = {"mine": {**entry, "reader": f"{tmp_path}/{name}.py:Moods"}}
        if name == "moods":
            assert str(Corpora(config)["mine"].settings.task) == task
        else:
            with pytest.raises(InputError, match=r"^corpora.mine: task clases/frame"):
                Corpora(config)


@pytest.mark.parametrize("name", ["title", "task"])
def test_a_reader_must_say_what_it_is_called_and_what_is_predicted(tmp_path, name):
    (tmp_path / f"no_{name}.py").write_text(READER.replace(name, f"other_{name}", 1))
    config = configuration(())[0]
    config["corpora"] = {"mine": {"reader": f"{tmp_path}/no_{name}.py:Moods", "root": str(tmp_path)}}
    said = rf"^corpora\.mine\.reader: reader .*no_{name}.*: set its (class )?attribute {name}"
    with pytest.raises(InputError, match=said):
        Corpora(config)


def test_a_table_whose_frames_are_not_annotated_has_no_labels(tmp_path):
    """The same task by the table reader, which knows frames by their annotation alone."""
    rows = ["video,start_s,end_s"]
    for k in range(12):
        (tmp_path / f"v{k}.mp4").write_bytes(b"")
        rows.append(f"v{k}.mp4,0,10")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    entry = {"reader": "table", "root": str(tmp_path), "segments": "labels.csv", "protocol": "group"}
    config = configuration(())[0]
    own = {"task": "numbers/frame:pain", "runs": {"self_frames": ["V"]}, "contrasts": []}
    config["corpora"] = {"mine": {**entry, **own}}
    known = Corpora(config)["mine"]
    line, *costs = parts_and_costs_of(known)
    assert "cannot be made" in line
    assert "none of 12 segments" in line
    assert not any(line.split()[0] == "training" for line in costs), "nothing trains"


def test_a_row_s_own_sound_counts_where_it_may_tell_the_end(tmp_path):
    """The index is made anew where the sound is another: the video that should tell cannot be read."""
    (tmp_path / "a.mp4").write_bytes(b"no video")
    (tmp_path / "labels.csv").write_text("video,audio,start_s,label\na.mp4,a1.wav,0,x\na.mp4,a2.wav,10,y\n")
    config = configuration(())[0]
    config["corpora"] = {"mine": {"reader": "table", "root": str(tmp_path), "segments": "labels.csv", "contrasts": []}}
    found = []
    for seconds in (3, 3, 4):
        for name in ("a1.wav", "a2.wav"):
            soundfile.write(tmp_path / name, np.zeros(8000 * seconds), 8000)
        found.append(Corpora(config)["mine"].tables_digest)
    assert found[0] == found[1] != found[2]


def test_a_local_checkpoint_that_differs_anywhere_is_another(tmp_path, monkeypatch):
    """One byte of three million; a file that nobody has touched is read once."""
    monkeypatch.chdir(tmp_path)
    weights = bytearray(np.random.default_rng(0).bytes(3_000_000))
    Path("mine").mkdir()
    Path("mine/config.json").write_text("{}")
    Path("mine/model.safetensors").write_bytes(weights)
    Path("a.wav").touch()
    Path("labels.csv").write_text("audio,start_s,end_s,label\na.wav,0,1,x\n")
    entry = {"reader": "table", "root": str(tmp_path), "segments": "labels.csv", "contrasts": []}
    entry["extractors"] = {"bert": {"extractor": "transformers_text", "weights": "./mine"}}
    read = []
    monkeypatch.setattr(raw, "digest_file", lambda path: read.append(path.name) or digest_file(path))

    def found():
        config = configuration(())[0]
        config["corpora"] = {"mine": entry}
        known = Corpora(config)
        digests = known.local_weights(slug("./mine"))
        known.remember()  # as the workflow does when it ends
        return digests

    first = found()
    assert first == [sha256(b"{}").hexdigest(), sha256(weights).hexdigest()]
    assert found() == first
    assert read == ["config.json", "model.safetensors"]
    weights[1_234_567] ^= 1
    Path("mine/model.safetensors").write_bytes(weights)
    assert found() == [first[0], sha256(weights).hexdigest()]


def test_a_corpus_without_enough_labels_is_described_all_the_same(table):
    (line,) = table({"s0": 1, "s1": 1, "s2": 1})  # of one class
    assert line == (
        "split        cannot be made: the segments have no label but 'x', and at least two classes are needed; "
        "complete the corpus's labels"
    )


def test_a_protocol_that_leaves_nothing_to_train_on_is_said_before_any_work(table):
    (line,) = table({"s0": 6, "s1": 1})
    assert line.startswith("split        cannot be made: only s10 is left to train on")


@pytest.mark.parametrize(
    ("clips", "status"),
    [
        ({"s0": 20, "s1": 20, "s2": 20}, Status.FEW_CLUSTERS),
        ({f"s{k}": 3 for k in range(8)}, Status.FEW_ITEMS),
        ({f"s{k}": 4 for k in range(8)}, None),
    ],
)
def test_contrasts_that_could_not_be_decided_are_said_before_any_work(table, clips, status):
    assert [line.rpartition(": ")[2] for line in table(clips)[1:]] == ([status.text] if status else [])
    assert table(clips, contrasts=())[1:] == []
    one = table({f"s{k}": 4 for k in range(8)}, training={"seeds": [1]})[1:]
    assert one == [f"  no contrast will be decided: {Status.ONE_SEED.text}"]
