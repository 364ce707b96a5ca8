"""Splits: nothing leaks, parts have sensible sizes, and what cannot be split is refused with a reason."""

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from models.splits import PROTOCOLS, Assignment, assign, choose_labels, fold_count, hold_out

from models.__main__ import main
from pipeline.records import InputError, Segment, read_table, write_table
from tests.training_material import CLASSES, emotional_turns, videos

SEVEN = ("ang", "exc", "fru", "hap", "neu", "sad", "sur")


def by_fold(assignments):
    found = defaultdict(lambda: defaultdict(list))
    for a in assignments:
        found[a.fold][a.part].append(a.segment_id)
    return found


def groups_of(segments, ids, attribute):
    value = {s.segment_id: getattr(s, attribute) for s in segments}
    return {value[i] for i in ids}


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 5), st.integers(2, 6), st.integers(4, 9), st.integers(0, 10**6))
def test_leave_one_session_out(sessions, dialogs, turns, seed):
    segments = emotional_turns(sessions, dialogs, turns, SEVEN, seed)
    folds = by_fold(assign(segments, "iemocap", "session", SEVEN, seed=seed))
    assert sorted(folds) == list(range(sessions)) == list(range(fold_count("session", {s.unit_id for s in segments})))
    for fold, parts in folds.items():
        ids = [i for part in parts.values() for i in part]
        assert sorted(ids) == sorted(s.segment_id for s in segments)  # each once, none missing
        assert groups_of(segments, parts["test"], "session") == {fold + 1}
        for a, b in (("training", "development"), ("training", "test"), ("development", "test")):
            for attribute in ("unit_id",) + (("speaker", "session") if b == "test" else ()):
                assert not groups_of(segments, parts[a], attribute) & groups_of(segments, parts[b], attribute)


@settings(deadline=None, max_examples=15)
@given(st.integers(2, 5), st.integers(2, 6), st.integers(0, 10**6))
def test_leave_one_speaker_out_leaves_the_partner_out_as_well(sessions, dialogs, seed):
    segments = emotional_turns(sessions, dialogs, 6, SEVEN, seed)
    folds = by_fold(assign(segments, "iemocap", "speaker", SEVEN, seed=seed))
    assert len(folds) == 2 * sessions == fold_count("speaker", {s.unit_id for s in segments})
    tested = []
    for parts in folds.values():
        (speaker,) = groups_of(segments, parts["test"], "speaker")
        tested.append(speaker)
        assert len(parts["test"]) == sum(s.speaker == speaker for s in segments)
        session = groups_of(segments, parts["test"], "session")
        others = parts["training"] + parts["development"]
        assert not groups_of(segments, others, "session") & session
        assert len(others) == sum(s.session not in session for s in segments)
        dialogs_ = [groups_of(segments, parts[p], "unit_id") for p in ("training", "development", "test")]
        assert sum(map(len, dialogs_)) == len(set().union(*dialogs_))
    assert sorted(tested) == sorted({s.speaker for s in segments})


def test_the_development_part_is_of_sensible_size_and_holds_every_class():
    segments = emotional_turns(5, 28, 66, SEVEN, seed=3)  # about as many as IEMOCAP has
    label = {s.segment_id: s.label for s in segments}
    for parts in by_fold(assign(segments, "iemocap", "session", SEVEN)).values():
        share = len(parts["development"]) / (len(parts["development"]) + len(parts["training"]))
        assert 0.10 < share < 0.18
        development = Counter(label[i] for i in parts["development"])
        training = Counter(label[i] for i in parts["training"])
        assert set(development) == set(SEVEN)
        for name in SEVEN:
            frequency = training[name] / len(parts["training"])
            assert abs(development[name] / len(parts["development"]) - frequency) < 0.03


def test_utterance_folds_have_the_published_proportions_and_say_that_they_leak():
    segments = emotional_turns(5, 30, 50, SEVEN)[:7487]
    folds = by_fold(assign(segments, "iemocap", "utterance", SEVEN))
    assert len(folds) == 5
    for parts in folds.values():
        sizes = np.array([len(parts[p]) for p in ("training", "development", "test")])
        assert sizes.sum() == 7487
        np.testing.assert_allclose(sizes / 7487, [0.80, 0.06, 0.14], atol=0.001)
    tested = [i for parts in folds.values() for i in parts["test"]]
    assert len(tested) == len(set(tested))  # about 70 % of the corpus, each turn at most once
    assert 0.69 < len(tested) / 7487 < 0.71
    assert groups_of(segments, folds[0]["test"], "speaker") & groups_of(segments, folds[0]["training"], "speaker")
    assert "optimistic" in PROTOCOLS["utterance"].caveat
    assert not PROTOCOLS["session"].caveat


def test_a_seed_decides_the_split():
    segments = emotional_turns()
    for protocol in ("session", "speaker", "utterance"):
        one, same, other = (assign(segments, "iemocap", protocol, CLASSES, seed=s) for s in (1, 1, 2))
        assert one == same
        assert one != other
        shuffled = [segments[i] for i in np.random.default_rng(0).permutation(len(segments))]
        assert assign(shuffled, "iemocap", protocol, CLASSES, seed=1) == one


def test_labels_are_merged_and_others_left_out_with_their_counts(caplog):
    segments = emotional_turns(labels=("ang", "exc", "hap", "neu", "xxx"))
    segments[0] = replace(segments[0], label=None)
    caplog.set_level("INFO")
    kept = choose_labels(segments, ["ang", "hap", "neu"], {"exc": "hap"})
    counts = Counter(label for _, label in kept)
    raw = Counter(s.label for s in segments)
    assert counts == {"ang": raw["ang"], "hap": raw["hap"] + raw["exc"], "neu": raw["neu"]}
    assert f"xxx {raw['xxx']}" in caplog.text
    assert "none 1" in caplog.text
    labels = {
        a.segment_id: a.label for a in assign(segments, "iemocap", "session", ["ang", "hap", "neu"], {"exc": "hap"})
    }
    assert labels == {s.segment_id: label for s, label in kept}


@settings(deadline=None, max_examples=25)
@given(st.integers(6, 30), st.integers(2, 10), st.integers(0, 4), st.integers(0, 10**6))
def test_video_protocols(training, validation, unlabelled, seed):
    segments = videos(training, validation, unlabelled, seed)
    part = {s.segment_id: s.part for s in segments}
    for protocol in ("official", "sixfold"):
        folds = by_fold(assign(segments, "affwild2", protocol, seed=seed))
        assert sorted(folds) == list(range(fold_count(protocol)))
        for fold, parts in folds.items():
            assert sorted(i for p in parts.values() for i in p) == sorted(part)
            units = [
                groups_of(segments, parts[p], "unit_id") for p in ("training", "development", "test", "unlabelled")
            ]
            assert sum(map(len, units)) == len(set().union(*units))  # subjects of one video are never apart
            assert all(units[:3])
            assert {part[i] for i in parts["unlabelled"]} <= {"test"}
            if fold == 0:
                assert sorted(parts["test"]) == sorted(i for i in part if part[i] == "validation")
                assert {part[i] for i in parts["training"] + parts["development"]} == {"train"}
        if protocol == "sixfold":
            tested = [i for parts in folds.values() for i in parts["test"]]
            assert sorted(tested) == sorted(i for i in part if part[i] != "test")  # every labelled video once


def test_the_papers_official_split_selects_on_its_test_part():
    segments = videos()
    (parts,) = by_fold(assign(segments, "affwild2", "official_paper")).values()
    assert sorted(parts["development"]) == sorted(parts["test"])
    assert not set(parts["training"]) & set(parts["test"])
    assert PROTOCOLS["official_paper"].caveat


def test_a_video_with_subjects_in_both_parts_never_trains_and_tests(caplog):
    segments = videos()
    apart = [replace(s, part="validation") if s.segment_id == "video00_left" else s for s in segments]
    assert segments[0].unit_id == segments[1].unit_id
    for parts in by_fold(assign(apart, "affwild2", "sixfold")).values():
        assert "video00_right" not in [i for p in parts.values() for i in p]
    assert "video00_right" in caplog.text


@given(st.lists(st.integers(0, 5), min_size=2, max_size=40), st.integers(0, 1000))
def test_hold_out_takes_whole_groups_and_leaves_some(groups, seed):
    names = [f"g{g}" for g in groups]
    if len(set(names)) < 2:
        return
    held = hold_out(names, [None] * len(names), [1.0] * len(names), 0.15, np.random.default_rng(seed))
    assert 0 < len(held) < len(set(names))


def test_fold_counts_are_known_without_data():
    published = {"session": 5, "speaker": 10, "utterance": 5, "official": 1, "official_paper": 1, "sixfold": 6}
    assert {name: fold_count(name) for name in PROTOCOLS} == published
    with pytest.raises(InputError, match="sixfold"):
        fold_count("loso")


@pytest.mark.parametrize(
    ("segments", "corpus", "protocol", "labels", "merge", "says"),
    [
        (emotional_turns(1), "iemocap", "session", CLASSES, {}, r"at least two sessions; there are sessions \[1\]"),
        ([s for s in emotional_turns(2) if s.speaker != "Ses02M"], "iemocap", "speaker", CLASSES, {}, "Ses02F"),
        (emotional_turns(2, 1), "iemocap", "session", CLASSES, {}, "at least two dialogs"),
        (emotional_turns(), "iemocap", "sixfold", CLASSES, {}, "session, speaker, utterance"),
        (emotional_turns(), "iemocap", "session", ("fea", "dis"), {}, "the corpus has ang, neu, sad"),
        (emotional_turns(), "iemocap", "session", ("ang",), {}, "at least two"),
        (emotional_turns(), "iemocap", "session", CLASSES, {"ang": "sad"}, "remove it from labels"),
        (emotional_turns(), "iemocap", "session", CLASSES, {"exc": "hap"}, "not in labels"),
        (emotional_turns(1, 1, 6), "iemocap", "utterance", CLASSES, {}, "too few"),
        (videos(3), "affwild2", "sixfold", (), {}, "at least 5 training videos; the corpus has 4 and 3"),
        (videos(10, 0), "affwild2", "official", (), {}, "needs validation videos"),
    ],
)
def test_what_cannot_be_split_is_refused(segments, corpus, protocol, labels, merge, says):
    with pytest.raises(InputError, match=says):
        assign(segments, corpus, protocol, labels, merge)


def test_a_corpus_of_two_sessions_has_two_folds(caplog):
    segments = emotional_turns(2)
    assert {a.fold for a in assign(segments, "iemocap", "session", CLASSES)} == {0, 1}
    assert "only sessions [1, 2] are there: 2 folds instead of 5" in caplog.text


def test_command(tmp_path):
    segments = emotional_turns(labels=("ang", "exc", "hap", "xxx"))
    write_table(tmp_path / "segments.tsv", segments, Segment)
    arguments = ["split", "--corpus", "iemocap", "--segments", str(tmp_path / "segments.tsv"), "--protocol", "session"]
    arguments += ["--labels", "ang,hap", "--merge", '{"exc": "hap"}', "--seed", "4", "--out", str(tmp_path / "s.tsv")]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.exception
    written = read_table(tmp_path / "s.tsv", Assignment)
    assert written == assign(segments, "iemocap", "session", ["ang", "hap"], {"exc": "hap"}, 4)
    assert (tmp_path / "s.tsv").read_text().startswith("segment_id\tfold\tpart\tlabel\n")
    for bad in ("{exc: hap}", '["exc"]'):
        arguments[arguments.index("--merge") + 1] = bad
        assert isinstance(CliRunner().invoke(main, arguments).exception, InputError)
