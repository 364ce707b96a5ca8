"""The coverage table: every reason from every file, nothing left out, quick for a whole corpus."""

import csv
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.audio_file import AudioWriter
from pipeline.causes import Cause, Status
from pipeline.coverage.command import collect
from pipeline.coverage.command import coverage as coverage_command
from pipeline.crops import NO_FACE, OTHER_FACE, FaceWriter
from pipeline.records import (
    Assignment,
    Finding,
    InputError,
    Label,
    Segment,
    Word,
    read_table,
    write_labels,
    write_table,
)
from pipeline.store import Rows, StoreWriter
from tests.training_material import class_split, emotional_turns, frame_split, labels_of, videos

ATTRIBUTES = dict.fromkeys(["corpus", "name", "extractor", "extractor_version", "inputs"], "x")
ATTRIBUTES |= {"modality": "audio", "config": {}, "weights": {}, "software": {}, "demonstration": False}


def segment(name: str, start_s=0.0, end_s=2.0, unit="u1", text=None) -> Segment:
    return Segment(name, unit, "s", "1", None, start_s, end_s, "left", text=text)


def write_corpus(results: Path, segments: list[Segment], findings=()) -> Path:
    results.mkdir(exist_ok=True)
    write_table(results / "segments.tsv", segments, Segment)
    write_table(results / "findings.tsv", findings, Finding)
    return results


def write_faces(results: Path, unit: str, codes: dict[str, list[int]], remarks: dict[str, str] | None = None) -> None:
    plan = {
        s: (np.stack([np.arange(len(c)), np.arange(len(c)) + 1.0], 1) / 10, np.arange(len(c))) for s, c in codes.items()
    }
    with FaceWriter(results / "faces" / f"{unit}.h5", plan) as writer:
        for name, own in codes.items():
            for row, code in enumerate(own):
                if code == 0:
                    writer.found(name, row, b"jpeg")
                else:
                    writer.absent(name, row, code)
        for name, text in (remarks or {}).items():
            writer.remark(name, text)


def write_sound(results: Path, unit: str, sound: dict[str, tuple]) -> None:
    """Segment -> (start_s, end_s, observed, remark or silent)."""
    plan = {name: (start_s, round((end_s - start_s) * 16_000)) for name, (start_s, end_s, _, _) in sound.items()}
    with AudioWriter(results / "audio" / f"{unit}.h5", plan) as writer:
        for name, (_, _, observed_s, remark) in sound.items():
            writer.describe(name, "video", observed_s, silent=remark == "silent")
            writer.remark(name, *([remark] if remark not in ("", "silent") else []))


def write_store(path: Path, rows: dict[str, list[bool]], modality: str = "audio") -> None:
    with StoreWriter(path, {**ATTRIBUTES, "modality": modality}, dim=2) as writer:
        for name, valid in sorted(rows.items()):
            n = len(valid)
            writer.append(name, Rows(np.zeros((n, 2)), np.zeros((n, 2)), np.array(valid, bool)))


def table(results: Path, *features: str) -> dict[tuple[str | None, str], Finding]:
    rows = collect(results, features)
    keyed = {(r.segment, r.modality): r for r in rows}
    assert len(keyed) == len(rows)
    return keyed


def brief(row: Finding) -> tuple:
    return row.status, row.reason, row.valid_fraction


def test_faces_by_frame_and_by_segment(tmp_path):
    names = "abcde"
    results = write_corpus(tmp_path, [segment(n) for n in names])
    codes = {"a": [0] * 4, "b": [0, NO_FACE, NO_FACE, OTHER_FACE], "c": [NO_FACE] * 3, "d": [0, 0], "e": []}
    write_faces(
        results, "u1", codes, {"d": "turn ends 1.2 s after the last frame", "e": "video unreadable: no such file"}
    )
    rows = table(results)
    assert brief(rows["a", "video"]) == ("ok", None, 1.0)
    reason = "no face found in 2 of 4 frames; only the face of somebody else in 1 of 4 frames"
    assert brief(rows["b", "video"]) == ("partial", reason, 0.25)
    assert brief(rows["c", "video"]) == ("absent", "no face found in 3 of 3 frames", 0.0)
    assert brief(rows["d", "video"]) == ("partial", "turn ends 1.2 s after the last frame", 1.0)
    assert brief(rows["e", "video"]) == ("absent", "video unreadable: no such file", 0.0)


def test_sound_by_what_was_recorded(tmp_path):
    results = write_corpus(tmp_path, [segment(n, 1.0, 3.0) for n in "abcdefghij"])
    sound = {
        "a": (1.0, 3.0, (1.0, 3.0), ""), "b": (1.0, 3.0, (1.5, 3.0), ""), "d": (1.0, 3.0, (1.0, 2.998), ""),
        "c": (1.0, 3.0, (), "no audio stream"), "e": (1.0, 3.0, (1.0, 3.0), "silent"),
        "f": (1.0, 3.0, (1.0, 3.0), "sound file missing: cut from the recording"),
        "g": (1.0, 3.0, (1.04, 2.96), ""), "h": (1.0, 3.0, (1.0, 2.94), ""),
        "i": (1.0, 3.0, [(1.0, 2.0), (2.02, 3.0)], ""), "j": (1.0, 3.0, (), ""),
    }  # fmt: skip
    write_sound(results, "u1", sound)
    rows = table(results)
    assert brief(rows["a", "audio"]) == ("ok", None, 1.0)
    assert brief(rows["b", "audio"]) == ("partial", "sound begins 0.50 s late", 0.75)
    assert brief(rows["c", "audio"]) == ("absent", "no audio stream", 0.0)
    assert brief(rows["d", "audio"]) == ("ok", None, 1.0)
    assert brief(rows["e", "audio"]) == ("partial", "silent", 1.0)
    assert brief(rows["f", "audio"]) == ("ok", "sound file missing: cut from the recording", 1.0)
    assert brief(rows["g", "audio"]) == ("ok", None, 1.0), "of which the stage that cuts sound says nothing"
    assert brief(rows["h", "audio"]) == ("partial", "sound ends 0.06 s early", 0.97)
    assert brief(rows["i", "audio"]) == ("partial", "no sound for 0.02 s in between", 0.99)
    assert brief(rows["j", "audio"]) == ("absent", "no sound in it", 0.0)


def test_words_by_the_time_somebody_speaks(tmp_path):
    segments = [segment("a", 0, 4), segment("b", 4, 8), segment("c", 8, 12, text="[LAUGHTER]"), segment("d", 8, 12)]
    results = write_corpus(tmp_path, [*segments, segment("left", 0, 10, "u2"), segment("right", 0, 10, "u2")])
    words = [Word("hi", 1, 2, "forced_alignment", "a"), Word("oh", 1.5, 3, "forced_alignment", "a")]
    write_table(tmp_path / "words" / "u1.tsv", [*words, Word("x", 4, 8, "transcript_even", "b")], Word)
    shared = [Word("um", 0, 1, "recogniser"), Word("er", 9, 12, "recogniser"), Word("no", 11, 12, "recogniser")]
    write_table(tmp_path / "words" / "u2.tsv", shared, Word)
    rows = table(results)
    assert brief(rows["a", "text"]) == ("ok", None, 0.5)
    assert brief(rows["b", "text"])[::2] == ("partial", 1.0)
    assert "times are estimates" in rows["b", "text"].reason
    assert brief(rows["c", "text"]) == ("absent", "no spoken word in the text '[LAUGHTER]'", 0.0)
    assert brief(rows["d", "text"]) == ("absent", "no word was found", 0.0)
    assert brief(rows["left", "text"]) == brief(rows["right", "text"]) == ("ok", None, 0.2)


def test_no_word_because_of_the_sound(tmp_path):
    results = write_corpus(tmp_path, [segment("a"), segment("b")])
    write_sound(results, "u1", {"a": (0.0, 2.0, (), "no audio stream"), "b": (0.0, 2.0, (0.0, 2.0), "")})
    write_table(tmp_path / "words" / "u1.tsv", [], Word)
    rows = table(results)
    assert brief(rows["a", "text"]) == ("absent", "no word was found: no audio stream", 0.0)
    assert brief(rows["b", "text"]) == ("absent", "no word was found", 0.0)


def test_no_word_because_the_recogniser_failed(tmp_path):
    results = write_corpus(tmp_path, [segment("a", 0, 4), segment("b", 4, 8)])
    write_table(tmp_path / "words" / "u1.tsv", [Word("hi", 5, 7, "forced_alignment", "b")], Word)
    failed = [Finding("u1", name, "text", "absent", "X failed: it broke", 0.0, "recogniser_failed") for name in "ab"]
    write_table(tmp_path / "recogniser_failures" / "u1.tsv", failed, Finding)
    rows = table(results)
    assert brief(rows["a", "text"]) == ("absent", "X failed: it broke", 0.0)
    assert rows["a", "text"].cause == "recogniser_failed"
    assert brief(rows["b", "text"]) == ("ok", None, 0.5), "words that there are count"


def test_findings_of_the_index_are_merged_or_stand_alone(tmp_path):
    findings = [
        Finding("corpus", None, "corpus", "partial", "part of the release"),
        Finding("u1", None, "video", "absent", "there is no u1.avi"),
        Finding("u1", "a", "text", "absent", "no line for this turn"),
        Finding("u1", "b", "text", "absent", "no line for this turn"),
        Finding("u1", "b", "label", "partial", "label 'bored' is new"),
        Finding("u1", "gone", "corpus", "absent", "two turns with this id"),
    ]
    results = write_corpus(tmp_path, [segment("a"), segment("b")], findings)
    write_table(tmp_path / "words" / "u1.tsv", [Word("hi", 0, 1, "forced_alignment", "b")], Word)
    every = collect(results, [])
    rows = {(r.segment, r.modality): r for r in every}
    assert [f for f in every if f in findings] == [findings[0], findings[1], findings[4], findings[5]]
    assert brief(rows["a", "text"]) == ("absent", "no line for this turn", 0.0)
    assert brief(rows["b", "text"]) == ("partial", "no line for this turn", 0.5), "its words are there all the same"


def test_labels_of_every_frame(tmp_path):
    findings = [
        Finding("u1", "b", "label", "partial", "9 rows for 10 frames", 0.7),
        Finding("u1", "c", "label", "absent", "no annotation: predicted, not scored", 0.0),
    ]
    results = write_corpus(tmp_path, [segment("a"), segment("b"), segment("c")])
    write_table(results / "label_findings.tsv", findings, Finding)
    write_store(results / "labels.h5", {"a": [True] * 10, "b": [True] * 7 + [False] * 3, "c": [False] * 10}, "label")
    rows = table(results)
    assert brief(rows["a", "label"]) == ("ok", None, 1.0)
    assert brief(rows["b", "label"]) == ("partial", "9 rows for 10 frames; no label in 3 of 10 frames", 0.7)
    assert brief(rows["c", "label"]) == ("absent", "no annotation: predicted, not scored", 0.0)


def test_features_and_why_they_are_absent(tmp_path):
    results = write_corpus(tmp_path, [segment(n) for n in "abcd"])
    whole = (0.0, 2.0, (0.0, 2.0), "")
    write_sound(results, "u1", {"a": whole, "b": whole, "c": (0.0, 2.0, (), "no audio stream"), "d": whole})
    write_store(results / "features" / "mfcc.h5", {"a": [True] * 4, "b": [True, False], "c": []})
    rows = table(results, "mfcc", "wav2vec2")
    assert brief(rows["a", "features/mfcc"]) == ("ok", None, 1.0)
    assert brief(rows["b", "features/mfcc"]) == ("partial", "nothing observed in 1 of 2 rows", 0.5)
    assert brief(rows["c", "features/mfcc"]) == ("absent", "no audio stream", 0.0)
    assert brief(rows["d", "features/mfcc"]) == ("absent", "the segment is not in the file", 0.0)
    assert brief(rows[None, "features/wav2vec2"]) == ("absent", "there is no features/wav2vec2.h5", None)


def write_split(results: Path, places: dict[str, list[tuple]]) -> Path:
    """Segment -> (fold, part, label) of each of its places."""
    path = results / "splits" / "session.tsv"
    write_table(path, [Assignment(name, *place) for name, own in places.items() for place in own], Assignment)
    return path


def test_segments_that_no_fold_uses_have_a_row_with_the_reason(tmp_path):
    labels = [Label("a", "neu"), Label("b", "exc"), Label("c", "xxx"), Label("d")]
    results = write_corpus(tmp_path, [segment(n) for n in "abcde"])
    write_labels(results / "labels.tsv", labels)
    used = {"a": [(0, "test", "neu"), (1, "training", "neu")], "b": [(0, "development", "hap"), (1, "test", "hap")]}
    rows = [r for r in collect(results, [], write_split(results, used)) if r.modality == "split"]
    assert [brief(r) for r in rows] == [
        ("ok", None, 1.0), ("ok", None, 1.0),
        ("absent", "label xxx is not among the configured labels", 0.0), ("absent", "it has no label", 0.0),
        ("absent", "it has no label", 0.0),
    ]  # fmt: skip


def test_segments_of_a_style_that_was_not_asked_for(tmp_path):
    styles = {"a": "improvised", "b": "scripted", "c": "improvised", "d": None}
    results = write_corpus(tmp_path, [replace(segment(n, unit=n), session=n, style=s) for n, s in styles.items()])
    used = {"a": [(0, "test"), (1, "training")], "c": [(0, "training"), (1, "test")]}
    rows = {r.segment: r for r in collect(results, [], write_split(results, used)) if r.modality == "split"}
    assert brief(rows["b"]) == ("absent", "only improvised segments are used, its style is scripted", 0.0)
    assert brief(rows["d"]) == ("absent", "only improvised segments are used, its style is not known", 0.0)
    assert brief(rows["c"]) == ("ok", None, 1.0)


def test_a_label_that_is_merged_is_among_those_configured(tmp_path):
    styles = {"a": "improvised", "b": "improvised", "c": "scripted", "d": "improvised", "e": "improvised"}
    emotion = {"a": "exc", "b": "neu", "c": "exc", "d": "exc", "e": "xxx"}
    results = write_corpus(tmp_path, [replace(segment(n, unit=n), style=s) for n, s in styles.items()])
    write_labels(results / "labels.tsv", [Label(*pair) for pair in emotion.items()])
    used = {"a": [(0, "test", "hap"), (1, "training", "hap")], "b": [(0, "training", "neu"), (1, "test", "neu")]}
    rows = {r.segment: r for r in collect(results, [], write_split(results, used)) if r.modality == "split"}
    assert [rows[name].cause for name in "cde"] == [Cause.OTHER_STYLE, Cause.KEPT_APART, Cause.OTHER_LABEL]
    assert rows["c"].reason == "only improvised segments are used, its style is scripted"
    used = {"b": [(0, "training", "neu"), (1, "test", "neu")]}
    rows = {r.segment: r for r in collect(results, [], write_split(results, used)) if r.modality == "split"}
    assert rows["c"].cause == Cause.OTHER_STYLE


def test_a_family_that_is_left_out_is_the_reason(tmp_path):
    families = [replace(s, group=s.session) for s in emotional_turns()]
    results = write_corpus(tmp_path, [replace(s, session=None) for s in families])
    split = class_split([replace(s, session=None) for s in families], "speaker")
    write_table(results / "speaker.tsv", split, Assignment)
    rows = [r for r in collect(results, [], results / "speaker.tsv") if r.modality == "split"]
    assert {r.reason for r in rows} == {"in no part of 1 of 10 folds: the same group is tested"}


def test_partners_and_subjects_that_a_protocol_leaves_out(tmp_path):
    segments = [segment("a", unit="u1"), segment("b", unit="u1"), segment("c", unit="u2"), segment("d", unit="u3")]
    results = write_corpus(tmp_path, [replace(s, session=None, speaker=s.segment_id) for s in segments])
    used = {"a": [(0, "test"), (1, "training")], "b": [(1, "test")], "c": [(0, "unlabelled"), (1, "unlabelled")]}
    rows = {r.segment: r for r in collect(results, [], write_split(results, used)) if r.modality == "split"}
    assert brief(rows["a"]) == ("ok", None, 1.0)
    reason = "in no part of 1 of 2 folds: somebody else of the same recording is tested"
    assert brief(rows["b"]) == ("partial", reason, 0.5)
    assert brief(rows["c"])[::2] == ("absent", 0.0)
    assert "predicted only" in rows["c"].reason
    assert brief(rows["d"]) == ("absent", "in no part of 2 of 2 folds: the protocol leaves it out", 0.0)
    with pytest.raises(InputError, match=r"session.tsv: holds no segment"):
        collect(results, [], write_split(results, {}))


def test_every_row_that_is_not_whole_has_a_cause_that_code_can_ask(tmp_path):
    results = write_corpus(tmp_path, [segment(n) for n in "abcd"])
    write_faces(results, "u1", {"a": [0, 0], "b": [NO_FACE, OTHER_FACE, OTHER_FACE], "c": [NO_FACE, 0], "d": []})
    whole, none = (0.0, 2.0, (0.0, 2.0)), (0.0, 2.0, (0.0, 0.0), "no audio stream")
    half = (0.0, 2.0, (0.0, 1.0), "sound ends 1.00 s early")
    write_sound(results, "u1", {"a": (*whole, "silent"), "b": none, "c": half, "d": (*whole, "")})
    write_store(results / "features" / "mfcc.h5", {n: [True] for n in "acd"} | {"b": []})
    rows = table(results, "mfcc")
    wanted = {
        ("a", "video"): None, ("b", "video"): "other_face", ("c", "video"): "no_face", ("d", "video"): "nothing_read",
        ("a", "audio"): "silent", ("b", "audio"): "no_sound", ("c", "audio"): "part_of_sound", ("d", "audio"): None,
        ("b", "features/mfcc"): "no_sound", ("a", "features/mfcc"): None, (None, "text"): "not_prepared",
    }  # fmt: skip
    assert {key: rows[key].cause for key in wanted} == wanted
    lacking = [row for row in rows.values() if row.status != Status.OK]
    assert lacking
    assert all(Cause(row.cause).text for row in lacking)


@pytest.mark.parametrize(("status", "words"), [("ok", "whole"), ("partial", "partial"), ("absent", "absent")])
def test_a_status_is_its_name_and_has_a_text(status, words):
    assert (Status(status), str(Status(status)), Status(status).text) == (status, status, words)


def kept_apart(segment: Segment, places: list[Assignment], by_id: dict[str, Segment], folds: int) -> tuple:
    """What coverage must say of a segment that some folds leave out, by loops over every place."""
    whys = []
    for fold in range(folds):
        here = [p for p in places if p.fold == fold]
        if segment.segment_id in {p.segment_id for p in here}:
            continue
        tested = [by_id[p.segment_id] for p in here if p.part == "test"]
        selects = [by_id[p.segment_id] for p in here if p.part == "development"]
        if any(s.session == segment.session for s in tested):
            whys.append("somebody else of the same session is tested")
        elif any(s.scenario == segment.scenario for s in tested):
            whys.append("the same script or scene is tested")
        elif any(s.session == segment.session for s in selects):
            whys.append("somebody else of the same session selects the model")
        else:
            assert any(s.scenario == segment.scenario for s in selects)
            whys.append("the same script or scene selects the model")
    reason = f"in no part of {len(whys)} of {folds} folds: {', '.join(dict.fromkeys(whys))}" if whys else None
    return "partial" if whys else "ok", reason, round(1 - len(whys) / folds, 4)


@pytest.mark.parametrize(
    ("segments", "protocol"),
    [
        (emotional_turns(), "session"),
        (emotional_turns(), "speaker"),
        (emotional_turns(), "utterance"),
        (emotional_turns(), "scenario"),
        (emotional_turns(), "group"),
        ([replace(s, part="validation") if s.segment_id == "video00_left" else s for s in videos()], "sixfold"),
        (videos(), "official_paper"),
    ],
)
def test_every_split_leaves_no_segment_unexplained(tmp_path, segments, protocol):
    results = write_corpus(tmp_path, segments)
    path = results / "splits" / f"{protocol}.tsv"
    label = {}
    if segments[0].session is None:
        split = frame_split(segments, protocol)
    else:
        labels = labels_of(segments, ("ang", "exc", "hap", "xxx"))
        label = {row.segment_id: row.label for row in labels}
        write_labels(results / "labels.tsv", labels)
        split = class_split(segments, protocol, ("ang", "hap"), {"exc": "hap"}, labels)
    write_table(path, split, Assignment)
    rows = {r.segment: r for r in collect(results, [], path) if r.modality == "split"}
    assert len(rows) == len(segments)
    assert not [r for r in rows.values() if "the protocol leaves it out" in (r.reason or "")]
    by_id = {s.segment_id: s for s in segments}
    for s in segments:
        if label.get(s.segment_id) == "xxx":
            assert brief(rows[s.segment_id])[:2] == ("absent", "label xxx is not among the configured labels")
        elif protocol == "speaker":
            reason = "in no part of 1 of 10 folds: somebody else of the same session is tested"
            assert brief(rows[s.segment_id]) == ("partial", reason, 0.9)
        elif protocol == "scenario":
            assert brief(rows[s.segment_id]) == kept_apart(s, split, by_id, 20)
        elif s.part == "test":
            assert rows[s.segment_id].status == "absent"
        elif s.segment_id == "video00_right" and protocol == "sixfold":
            reason = "in no part of 6 of 6 folds: somebody else of the same recording is tested"
            assert rows[s.segment_id].reason == reason
        else:
            assert brief(rows[s.segment_id]) == ("ok", None, 1.0)


def test_what_was_not_prepared_is_said(tmp_path):
    results = write_corpus(tmp_path, [segment("a"), segment("b", unit="u2")])
    write_faces(results, "u1", {"other": [0]})
    rows = table(results)
    assert brief(rows["a", "video"]) == ("absent", "the segment is not in faces/u1.h5", 0.0)
    assert brief(rows["b", "video"]) == ("absent", "there is no faces/u2.h5", 0.0)
    assert rows[None, "audio"].reason == "not prepared: there is no folder audio"
    assert rows[None, "text"].status == "absent"
    assert ("a", "audio") not in rows


def test_files_of_another_kind_are_refused(tmp_path):
    results = write_corpus(tmp_path, [segment("a")])
    (results / "faces").mkdir()
    (results / "faces" / "u1.h5").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"faces/u1.h5: not a face file"):
        collect(results, [])


@pytest.mark.parametrize("features", [["--features", "m1", "--features", "m2"], []])
def test_command_writes_the_columns_the_report_reads(tmp_path, features):
    results = write_corpus(tmp_path / "results", [segment("a", text="<b>&")])
    write_store(results / "features" / "m1.h5", {"a": [True]})
    out = results / "tables" / "coverage.csv"
    arguments = ["--corpus", "iemocap", "--results", str(results), *features, "--out", str(out)]
    result = CliRunner().invoke(coverage_command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    with out.open() as stream:
        assert next(csv.reader(stream)) == [
            "unit",
            "segment",
            "modality",
            "status",
            "reason",
            "valid_fraction",
            "cause",
        ]
    modalities = {r.modality for r in read_table(out, Finding)}
    assert modalities == {"video", "audio", "text", *(["features/m1", "features/m2"] if features else [])}


def test_command_without_index(tmp_path):
    arguments = ["--corpus", "iemocap", "--results", str(tmp_path), "--out", str(tmp_path / "c.csv")]
    with pytest.raises(InputError, match="run the index stage first"):
        CliRunner().invoke(coverage_command, arguments, catch_exceptions=False)


def test_whole_corpus_is_quick(tmp_path):
    units = {
        f"u{u:02d}": [segment(f"u{u:02d}_{n:03d}", 2.0 * n, 2.0 * n + 2, f"u{u:02d}") for n in range(400)]
        for u in range(25)
    }
    segments = [s for own in units.values() for s in own]
    results = write_corpus(tmp_path, segments)
    frames = np.stack([np.arange(9), np.arange(9) + 1.0], 1), np.arange(9)
    for unit, own in units.items():
        with FaceWriter(results / "faces" / f"{unit}.h5", {s.segment_id: frames for s in own}):
            pass  # rows that are never written count as damaged
        with AudioWriter(results / "audio" / f"{unit}.h5", {s.segment_id: (s.start_s, 0) for s in own}):
            pass
        words = [
            Word("w", s.start_s + k / 5, s.start_s + k / 5 + 0.1, "x", s.segment_id) for s in own for k in range(9)
        ]
        write_table(results / "words" / f"{unit}.tsv", words, Word)
    with StoreWriter(results / "features" / "mfcc.h5", ATTRIBUTES, dim=2) as writer:
        writer.append(segments[0].segment_id, Rows(np.zeros((10**6, 2)), np.zeros((10**6, 2)), np.ones(10**6, bool)))
    begin_s = time.process_time()
    rows = collect(results, ["mfcc"])
    seconds = time.process_time() - begin_s
    assert len(rows) == 4 * 10_000
    assert seconds < 8, f"{len(segments)} segments took {seconds:.1f} s"
