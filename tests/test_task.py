"""Tasks are read as they are written, and what is none is refused with an example."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.task import Task
from pipeline.records import InputError

NAMES = st.lists(st.text("abcxyz_", min_size=1), min_size=1, max_size=4, unique=True).map(tuple)


@given(st.sampled_from(["segment", "frame"]), NAMES)
def test_what_is_written_is_read(level, targets):
    for task in (Task("classes", level), Task("numbers", level, targets)):
        assert Task.parse(str(task)) == task
        assert (task.numbers, task.frames) == (task.kind == "numbers", level == "frame")


def test_the_text_is_short():
    assert str(Task("numbers", "frame", ("valence", "arousal"))) == "numbers/frame:valence,arousal"
    assert str(Task("classes", "segment")) == "classes/segment"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("segment", "a slash"),
        ("classes/video", "segment or frame"),
        ("emotions/frame", "classes or numbers"),
        ("numbers/frame", "named after a colon"),
        ("numbers/frame:", "named after a colon"),
        ("numbers/frame:valence,valence", "each once"),
        ("numbers/segment:pain,Pain", "'Pain' cannot name a number: .* each once"),
        ("numbers/segment:mean", "'mean' cannot name a number: .* none of .*mean"),
        ("numbers/frame:a-b", "'a-b' cannot name a number: names are words of letters, digits and _"),
        ("classes/frame:happy", "classes are not"),
    ],
)
def test_no_task(text, says):
    with pytest.raises(InputError, match=says):
        Task.parse(text)
