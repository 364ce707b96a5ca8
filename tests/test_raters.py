"""What one rater scores against the others, against a count by hand."""

import pytest

from models.report.raters import agreement

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
