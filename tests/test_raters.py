"""What one rater scores against the others, against a count by hand."""

import pytest

from models.report.sections.raters import agreement
from pipeline.records import OBSERVER, SELF, Rating, write_table
from tests.report_fixture import Fixture, page_of

VOTES = {
    "a": {"E1": ["ang"], "E2": ["ang"], "E3": ["ang"]},  # everybody is right
    "b": {"E1": ["ang"], "E2": ["ang"], "E3": ["neu"]},  # E3 alone faces two who agree, and is wrong
    "c": {
        "E1": ["neu"],
        "E2": ["neu", "sad"],
        "E3": ["neu"],
    },  # E2 is half right
    "d": {"E1": ["ang"], "E2": ["neu"], "E3": ["sad"]},  # nobody faces two who agree
    "e": {"E1": ["sad"], "E2": ["sad"]},  # one other is no majority
    "f": {"E1": ["fea"], "E2": ["fea"], "E3": ["fea"]},  # no class here
    "g": {"E1": ["neu"], "E2": ["neu"], "E3": ["neu"], "E4": ["ang"]},  # 2 of 3 agree for each; E4 is wrong
}


def test_agreement_is_that_of_a_count_by_hand():
    found = agreement(VOTES, ["ang", "neu", "sad"])
    ang = [1, 1, 1, 0]
    neu = [1, 1 / 2, 1, 1, 1, 1, 0]
    assert found.accuracy == pytest.approx(sum(ang + neu) / 11)
    assert found.balanced_accuracy == pytest.approx((sum(ang) / 4 + sum(neu) / 7) / 2)
    assert (found.segments, found.of) == (4, 7)
    assert agreement({"d": VOTES["d"], "e": VOTES["e"]}, ["ang", "sad"]) is None


def test_the_report_says_how_far_people_agree(tmp_path):
    made = Fixture(tmp_path, "iemocap")
    said = {"E1": "ang", "E2": "ang", "E4": "neu", "F1": "sad"}  # E4 alone faces two who agree, and is never right
    rows = [
        Rating(s.segment_id, r, label, SELF if r == "F1" else OBSERVER)
        for k, s in enumerate(made.segments)
        for r, label in said.items()
        if k or r != "E4"  # the first has two raters, who agree
    ]
    write_table(made.folder / "raters.tsv", rows, Rating)
    text = page_of(made).by_id("scores").text
    assert "one rater against the others scores 0 % balanced accuracy and 0 % accuracy, on the" in text
    tested = made.split.loc[made.split["part"] == "test", "segment_id"].nunique()
    assert f"{tested - 1} of {tested} rated test turns where more than half of the others, at least two," in text
    assert "The other turns are not counted: too few people rated them, or more than half name no one class" in text
