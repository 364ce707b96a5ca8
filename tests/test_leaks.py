"""Who leaks where: every protocol on a corpus with IEMOCAP's true dialogs, judged by the turns' names."""

import re
from collections import Counter, defaultdict
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from click.testing import CliRunner

from models.__main__ import main
from models.apply.card import people
from models.protocols.folds import fold_count, of_turns
from models.protocols.groups import speakers_known
from models.protocols.labels import usable
from models.protocols.leaks import Leak, clauses, leaks, share_of
from models.protocols.split import assign
from models.task import Task
from pipeline.records import Assignment, InputError, Segment, read_table, write_table
from tests.iemocap_turns import SEVEN, turns_and_labels
from tests.training_material import frame_split, videos

TURN = re.compile(r"(?P<session>Ses\d\d)[FM]_(?P<scenario>script\d\d|impro\d\d)\w*_(?P<letter>[FM])\d{3}")
NOTHING = {"session": 0, "speaker": 0, "dialog": 0, "scenario": 0}
SCRIPTS = NOTHING | {"scenario": 1}
ALL = dict.fromkeys(NOTHING, 1)


@cache
def named(turn):
    """What the name of a turn says of its groups."""
    match = TURN.fullmatch(turn)
    dialog = turn.rpartition("_")[0]
    speaker = match["session"] + match["letter"]
    return {"session": match["session"], "speaker": speaker, "dialog": dialog, "scenario": match["scenario"]}


@pytest.fixture(scope="module")
def corpus():
    return turns_and_labels()


@pytest.fixture(scope="module")
def splits(corpus):
    segments, labels = corpus
    label, _ = usable(Task("classes", "segment"), segments, labels, SEVEN)
    made = {}

    def split(protocol, turns="all"):
        if (protocol, turns) not in made:
            made[protocol, turns] = assign(segments, protocol, label, turns=turns, seed=337)
        return made[protocol, turns]

    return split


def members(rows):
    parts = defaultdict(lambda: defaultdict(list))
    for row in rows:
        parts[row.fold][row.part].append(row.segment_id)
    assert parts, "no fold has anybody"
    return parts


def share(parts, part, other, group):
    """The share of a part's turns whose group is in the other part as well, over all folds."""
    shared = items = 0
    for fold in parts.values():
        known = {named(turn)[group] for turn in fold[other]}
        shared += sum(named(turn)[group] in known for turn in fold[part])
        items += len(fold[part])
    return shared / items


def test_the_table_has_the_published_counts(corpus):
    segments, labels = corpus
    assert len(segments) == 10039
    assert len({s.unit_id for s in segments}) == 151
    assert Counter(s.session for s in segments) == {"1": 1819, "2": 1811, "3": 2136, "4": 2103, "5": 2170}
    published = {"xxx": 2507, "fru": 1849, "neu": 1708, "ang": 1103, "sad": 1084, "exc": 1041, "hap": 595, "sur": 107}
    assert Counter(row.label for row in labels) == published | {"fea": 40, "oth": 3, "dis": 2}
    assert all(named(s.segment_id) == {**named(s.segment_id), "scenario": s.scenario} for s in segments)


@pytest.mark.parametrize(
    ("protocol", "turns", "folds", "test", "development", "selection"),
    [
        ("session", "all", 5, SCRIPTS, SCRIPTS, SCRIPTS),
        ("session", "improvised", 5, SCRIPTS, SCRIPTS, SCRIPTS),
        ("session", "scripted", 5, SCRIPTS, SCRIPTS, SCRIPTS),
        ("speaker", "all", 10, SCRIPTS, SCRIPTS, SCRIPTS),
        ("scenario", "all", 20, NOTHING, NOTHING, NOTHING),
        ("scenario", "improvised", 20, NOTHING, NOTHING, NOTHING),
        ("scenario", "scripted", 15, NOTHING, NOTHING, NOTHING),
        ("utterance", "all", 5, ALL, ALL, ALL),
        ("group", "all", 5, SCRIPTS, SCRIPTS, SCRIPTS),
    ],
)
def test_who_leaks_where(corpus, splits, protocol, turns, folds, test, development, selection):
    segments, _ = corpus
    rows = splits(protocol, turns)
    parts = members(rows)
    assert len(parts) == folds == fold_count(protocol, of_turns(segments, turns))
    table = {(r.part, r.known_from, r.group): r.share for r in leaks(rows, segments) if r.fold == "all"}
    for part, known_from, expected in (
        ("test", "training", test),
        ("development", "training", development),
        ("test", "development", selection),
    ):
        for group, leaking in expected.items():
            found = share(parts, part, known_from, group)
            assert found == pytest.approx(table[part, known_from, group]), (part, known_from, group)
            assert found > 0.9 if leaking else found == 0, (part, known_from, group, found)
    tested = Counter(row.segment_id for row in rows if row.part == "test")
    if protocol != "utterance":  # whose development turns are tested nowhere
        styles = {s.segment_id for s in segments if turns in ("all", s.style)}
        assert tested == Counter({row.segment_id for row in rows} & styles)
        assert len(tested) == {"all": 7487, "scripted": 3513, "improvised": 3974}[turns]


def test_scenario_folds_are_of_sensible_size_and_hold_the_classes(corpus, splits):
    label = {row.segment_id: row.label for row in corpus[1]}
    for fold in members(splits("scenario")).values():
        assert 300 <= len(fold["test"]) <= 450
        assert 300 <= len(fold["development"]) <= 450
        assert 1900 <= len(fold["training"]) <= 2600
        assert {label[turn] for turn in fold["training"]} == {label[turn] for turn in fold["development"]} == set(SEVEN)
        assert len({label[turn] for turn in fold["test"]}) >= 6
        assert len({named(turn)["session"] for turn in fold["training"]}) == 3
    # Of how many scripts or scenes a fold's session, and of how many sessions its scenarios are kept for testing.
    assert all(len({named(t)["session"] for t in fold["test"]}) == 1 for fold in members(splits("scenario")).values())


def test_a_whole_session_selects_where_sessions_are_left_out(splits):
    for protocol in ("session", "speaker"):
        for fold in members(splits(protocol)).values():
            assert len({named(turn)["session"] for turn in fold["development"]}) == 1
            assert len({named(turn)["session"] for turn in fold["training"]}) == 3


def test_what_leaks_is_said(corpus, splits):
    segments, _ = corpus
    said = {p: clauses(leaks(splits(p), segments)) for p in ("session", "speaker", "scenario", "utterance")}
    assert said["session"] == said["speaker"] == ["the script or scene of 100 % of the test items also trains"]
    assert said["scenario"] == []
    assert [clause.split(" of ")[0] for clause in said["utterance"]] == [
        *("the session", "the speaker", "the dialog or recording", "the script or scene"),
    ]
    video = videos()
    assert clauses(leaks(frame_split(video), video)) == []
    published = clauses(leaks(frame_split(video, "official_paper"), video))
    assert "the speaker of 100 % of the test items also selects the model" in published
    assert [share_of(x) for x in (0.0004, 0.25, 0.996, 1)] == ["under 1 %", "25 %", "over 99 %", "100 %"]


def test_counts_equal_a_loop_over_all_pairs():
    rng = np.random.default_rng(0)
    segments = [
        Segment(f"s{i}", f"u{i % 11}", f"p{i % 7}", None, None, 0, 1, dialog=f"d{i % 13}" if i % 3 else None)
        for i in range(60)
    ]
    parts = rng.choice(["training", "development", "test", "unlabelled"], (2, 60))
    rows = [Assignment(f"s{i}", fold, parts[fold][i]) for fold in range(2) for i in range(60)]
    found = {(r.fold, r.part, r.known_from, r.group): (r.items, r.shared) for r in leaks(rows, segments)}
    for fold in range(2):
        for part, other in (("test", "training"), ("test", "development"), ("development", "training")):
            own, others = ([s for s, p in zip(segments, parts[fold]) if p == name] for name in (part, other))
            by_speaker = sum(any(a.speaker == b.speaker for b in others) for a in own)
            by_dialog = sum(any((a.dialog or a.unit_id) == (b.dialog or b.unit_id) for b in others) for a in own)
            assert found[str(fold), part, other, "speaker"] == (len(own), by_speaker)
            assert found[str(fold), part, other, "dialog"] == (len(own), by_dialog)
    assert {group for *_, group in found} == {"speaker", "dialog"}  # of sessions and scenarios nothing is known
    with pytest.raises(InputError, match="segment s59 of the split is not in"):
        leaks(rows, segments[:-1])


def test_command(tmp_path, corpus, splits):
    write_table(tmp_path / "segments.tsv", corpus[0], Segment)
    write_table(tmp_path / "session.tsv", splits("session"), Assignment)
    arguments = ["leaks", "--segments", tmp_path / "segments.tsv", "--split", tmp_path / "session.tsv"]
    done = CliRunner().invoke(main, [str(a) for a in [*arguments, "--out", tmp_path / "leaks.csv"]])
    assert done.exit_code == 0, done.exception
    assert read_table(tmp_path / "leaks.csv", Leak) == leaks(splits("session"), corpus[0])


def test_speakers_are_known_where_somebody_has_named_them():
    def known(*named: tuple[str, str]) -> bool:
        return speakers_known([Segment(f"s{k}", unit, speaker) for k, (unit, speaker) in enumerate(named)])

    assert not known(("file1", "file1"), ("file1", "file1"), ("file2", "file2")), "a table without the column"
    assert not known(("video1", "video1"), ("video1", "video1_left"), ("video2", "video2")), "files of people"
    assert known(("file1", "ann"), ("file1", "ann"), ("file2", "bob"))
    assert known(("file1", "ann"), ("file2", "ann"))
    assert known(("file1", "ann"), ("file2", "ann"), ("file3", "file3")), "some are named"


def test_a_model_s_page_counts_recordings_where_nobody_named_the_speakers():
    segments = [Segment(f"s{k}", f"file{k // 2}", f"file{k // 2}") for k in range(6)]
    training = [Assignment(s.segment_id, 0, "training") for s in segments[:4]]
    assert people(segments, training) == {"recordings": 2, "segments": 4}
    named = [replace(s, speaker=f"who{k % 3}") for k, s in enumerate(segments)]
    assert people(named, training) == {"people": 3, "segments": 4}
