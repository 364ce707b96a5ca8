"""What is resampled together: dialogs, videos or speakers, and the wider group around them."""

from dataclasses import replace

import pytest

from models.evaluation.clusters import clusters_of
from models.task import Task
from pipeline.records import Segment
from tests.iemocap_turns import turns_and_labels
from tests.training_material import videos

CLASSES, FRAMES = Task("classes", "segment"), Task("numbers", "frame", ("valence",))


def clips(speakers=5, each=3, **changes):
    one = Segment("", "", "", None, None, 0.0, 1.0)
    names = [(f"{s}_{k}", str(s)) for s in range(speakers) for k in range(each)]
    return [replace(one, segment_id=name, unit_id=name, speaker=speaker, **changes) for name, speaker in names]


def test_turns_belong_to_dialogs_and_dialogs_to_sessions():
    segments, _ = turns_and_labels()
    found = clusters_of(segments, CLASSES)
    assert (found.kind, found.group_kind) == ("dialog", "session")
    assert found.of["Ses03M_impro05a_F001"] == "Ses03M_impro05a"
    assert found.group_of["Ses03M_impro05a"] == "3"
    assert set(found.group_of.values()) == set("12345")


def test_subjects_belong_to_videos_and_videos_to_nothing_wider():
    found = clusters_of(videos(), FRAMES)
    assert (found.kind, found.group_kind) == ("video", None)
    assert found.of["video00_left"] == found.of["video00_right"] == "video00"


@pytest.mark.parametrize(("task", "kind", "group"), [(CLASSES, "speaker", None), (FRAMES, "video", "speaker")])
def test_files_of_one_utterance_belong_to_their_speakers(task, kind, group):
    found = clusters_of(clips(), task)
    assert (found.kind, found.group_kind) == (kind, group)
    assert found.of["3_2"] == ("3" if kind == "speaker" else "3_2")


def test_one_file_with_a_second_utterance_changes_no_other():
    segments = [*clips(), replace(clips()[0], segment_id="0_0b", start_s=1.0, end_s=2.0)]
    found = clusters_of(segments, CLASSES)
    assert (found.kind, len(set(found.of.values()))) == ("speaker", 5)
    assert found.of["0_0b"] == found.of["0_0"]


def test_what_several_people_are_in_is_one_cluster():
    """Clips of A and B beside interviews that hold both: neither person is independent of the other."""
    talks = [
        Segment(f"talk{k}_{turn}", f"talk{k}", str(turn % 2), None, None, float(turn), turn + 1.0)
        for k in range(4)
        for turn in range(20)
    ]
    found = clusters_of([*clips(2, 3), *talks], CLASSES)
    assert (found.kind, len(set(found.of.values()))) == ("video", 10)


def test_videos_of_several_sentences_stay_clusters_where_some_hold_one():
    """As in MOSEI: three speakers of four videos, one of which holds one sentence."""
    counts = [(s, 1 if s.unit_id.endswith("_0") else 5) for s in clips(3, 4)]
    sentences = [replace(s, segment_id=f"{s.unit_id}_{k}") for s, count in counts for k in range(count)]
    found = clusters_of(sentences, CLASSES)
    assert (found.kind, found.group_kind, len(set(found.of.values()))) == ("video", "speaker", 12)


def test_a_group_is_wider_only_where_every_cluster_lies_in_one():
    segments = [replace(s, group=f"g{int(s.speaker) % 2}") for s in clips()]
    assert clusters_of(segments, CLASSES).group_kind == "group"
    torn = [replace(s, group=f"g{k % 2}") for k, s in enumerate(clips())]
    assert clusters_of(torn, CLASSES).group_kind is None
    one = [replace(s, session="1") for s in clips()]
    assert clusters_of(one, CLASSES).group_kind is None


@pytest.mark.parametrize(
    ("sites", "sessions", "speakers", "kind"),
    [
        (5, 10, 20, "group"),
        (2, 5, 20, "session"),  # of two sites nothing can be told
        (2, 4, 20, "speaker"),
        (2, 3, 4, "speaker"),
        (2, 4, 4, "session"),
        (4, 4, 4, "group"),
    ],
)
def test_groups_are_of_the_outermost_kind_that_has_five_else_of_the_one_that_has_most(sites, sessions, speakers, kind):
    segments = []
    for k, s in enumerate(clips(40, 1)):
        speaker = k % speakers
        session = speaker % sessions
        segments.append(replace(s, speaker=f"p{speaker}", session=f"s{session}", group=f"g{session % sites}"))
    found = clusters_of(segments, FRAMES)
    assert (found.kind, found.group_kind) == ("video", kind)
    assert len(set(found.group_of.values())) == {"group": sites, "session": sessions, "speaker": speakers}[kind]
