"""Settings of one's own, laid over config.yaml."""

from pathlib import Path

import pytest

from pipeline.records import InputError
from tests.conftest import REPOSITORY
from workflow import overlay


def lay_over(folder: Path, text: str) -> None:
    (folder / "my.yaml").write_text(text)
    overlay.check_files([folder / "my.yaml"], REPOSITORY / "config.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "corpora: {affwild2: null}",
        "corpora: {iemocap: {extractors: {mfcc: null, bert: null}, root: null}}",
        "corpora: {mine: {reader: table, extractors: {bert: null}}}",
        "{}",
    ],
)
def test_settings_may_take_out_what_there_is(tmp_path, text):
    lay_over(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("corpora: {iemocap: {extractors: {mfc: null}}}", "iemocap.extractors.mfc: null takes .* did you mean mfcc?"),
        ("corpora: {affwild: null}", "corpora.affwild: null takes .* did you mean affwild2?"),
        ("defaults: {segment: {extractors: {x: null}}}", "defaults.segment.extractors.x: null takes"),
        ("corpora:\n  mine: {root: a}\n  mine: {root: b}\n", "'mine' stands in line 3 and in line 2 of one table"),
        ("scale: demo\nscale: auto\n", "'scale' stands in line 2 and in line 1"),
    ],
)
def test_settings_that_take_out_nothing_or_say_a_thing_twice_are_refused(tmp_path, text, said):
    with pytest.raises(InputError, match=said):
        lay_over(tmp_path, text)
