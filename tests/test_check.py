"""What ``affectflow check`` foresees of a split: sizes counted by hand, and where nothing could be decided."""

import re

import pytest

from models.evaluation.statuses import Status
from workflow.check import configuration, parts_of
from workflow.planned import Corpora

RUNS = {"runs": {"self": ["A"], "early": ["A"]}}
CONTRAST = {"question": "Does attention help?", "a": "self-A", "b": "early-A"}


@pytest.fixture
def table(tmp_path):
    """The lines on the parts of a corpus of speakers with so many clips, of two classes in turn."""

    def lines(clips, contrasts=(CONTRAST,), protocol="speaker"):
        rows = [f"{one}{k}.wav,{one},{'xy'[k % 2]}" for one, many in clips.items() for k in range(many)]
        for row in rows:
            (tmp_path / row.split(",")[0]).write_bytes(b"no media is opened")
        (tmp_path / "labels.csv").write_text("\n".join(["audio,speaker,label", *rows]))
        entry = {"reader": "table", "root": str(tmp_path), "segments": "labels.csv", "protocol": protocol}
        config = configuration(())
        config["corpora"] = {"mine": {**entry, **RUNS, "contrasts": list(contrasts)}}
        return list(parts_of(Corpora(config)["mine"]))

    return lines


def test_the_parts_of_a_fold_are_counted(table):
    (line,) = table({f"s{k}": 10 for k in range(8)})
    assert line == "split        training 60, development 10, test 10 segments in each fold"
    (line,) = table({f"s{k}": 10 + k for k in range(8)})
    found = re.fullmatch(r"split +training (\d+) to (\d+), development (\d+) to (\d+), test 10 to 17 segments .*", line)
    whole = sum(10 + k for k in range(8))
    assert 0 < int(found[1]) <= int(found[2]) < whole - 10
    assert 10 <= int(found[3]) <= int(found[4]) <= 17


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
