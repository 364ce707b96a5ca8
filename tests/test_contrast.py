"""What two runs differ in is found whatever it is, and nothing that follows from the fusion counts by itself."""

import pytest

from models.evaluation.contrast import Candidate, also_differs, candidates, differences
from models.options import NetworkOptions

SELF = {"fusion": "self", "combine": "statistics", "encoder": "gru", "width": 120, "heads": 6}
RECURSIVE = {"fusion": "rcma", "combine": "concatenation", "encoder": "tcn", "width": 120, "recursions": 3}


@pytest.mark.parametrize(
    ("a", "b", "more", "found"),
    [
        (SELF, SELF, {}, []),
        (SELF, {**SELF, "width": 60}, {}, ["width"]),
        (SELF, {**SELF, "fusion": "cross"}, {}, ["fusion"]),
        (SELF, {**SELF, "fusion": "cross", "encoder": "tcn"}, {}, ["fusion", "encoder"]),
        # heads and recursions are read by one fusion alone: they belong to it
        (SELF, RECURSIVE, {}, ["fusion", "combine", "encoder"]),
        (RECURSIVE, {**RECURSIVE, "recursions": 1}, {}, ["recursions"]),
        (RECURSIVE, {k: v for k, v in RECURSIVE.items() if k != "recursions"}, {}, ["recursions"]),
        (SELF, SELF, {"modalities": ("A+V", "A")}, ["modalities"]),
        (SELF, SELF, {"modalities": ("A+V", "V+A")}, []),
        (SELF, {**SELF, "width": 60}, {"modalities": ("A", "T")}, ["modalities", "width"]),
        (SELF, SELF, {"inputs": ({"audio": "mfcc", "text": "bert"}, {"audio": "wav2vec2"})}, ["inputs.audio"]),
        (SELF, {**SELF, "fusion": "cross"}, {"inputs": ({"audio": "x"}, {"audio": "y"}), "modalities": ("A", "A+T")},
         ["modalities", "inputs.audio", "fusion"]),
    ],
)  # fmt: skip
def test_differences(a, b, more, found):
    assert differences(a, b, **more) == found
    swapped = {key: pair[::-1] for key, pair in more.items()}
    assert sorted(differences(b, a, **swapped)) == sorted(found)


def test_training_is_compared_option_by_option():
    """Dropout of modalities and three learning rates in place of one are two things, of which a contrast asks one."""
    usual = {"seeds": [1], "device": "auto", "learning_rate": 1e-3, "modality_dropout": 0.0, "loss": "ccc"}
    own = {"modality_dropout": 0.3, "learning_rate": [1e-3, 3e-4, 1e-4]}
    dropout, plain = {**SELF, "training": own}, {**SELF, "training": {}}
    found = differences(dropout, plain, training=({**usual, **own}, usual))
    assert found == ["training.modality_dropout", "training.learning_rate"]
    assert differences(plain, dropout, training=(usual, {**usual, **own})) == found
    assert also_differs(found) == ["training.learning_rate"]
    assert differences(dropout, {**SELF, "fusion": "cross", "training": own}) == ["fusion"]
    as_usual = {**SELF, "training": {"learning_rate": 1e-3}}
    assert differences(as_usual, plain, training=(usual, usual)) == []
    fixed = {**usual, "modality_dropout": 0.0}  # what a published form brings, whatever is set
    assert differences({**SELF, "training": {"modality_dropout": 0.3}}, plain, training=(fixed, usual)) == []
    elsewhere = {"device": "cpu", "seeds": [2]}
    assert differences({**SELF, "training": elsewhere}, plain, training=(usual | elsewhere, usual)) == []


@pytest.mark.parametrize(
    ("found", "left"), [([], []), (["fusion"], []), (["fusion", "combine"], ["combine"])]
)  # fmt: skip
def test_what_a_contrast_does_not_say(found, left):
    assert also_differs(found) == left


def test_candidates_are_read_as_they_are_written():
    written = "self-A+V+T=0.5910:3 cross_self-A=undefined:0"
    (first, second) = found = Candidate.read(written)
    assert (first, second.run, second.folds) == (Candidate("self-A+V+T", 0.591, 3), "cross_self-A", 0)
    assert " ".join(map(str, found)) == written
    assert candidates({"b": "self-A+V+T", "b_chosen_from": written}) == ["self-A+V+T", "cross_self-A"]
    for empty in ("", float("nan")):  # as programs read an empty cell
        assert candidates({"b": "self-A late-A", "b_chosen_from": empty}) == ["self-A", "late-A"]


def test_networks_differ_in_what_was_set_and_settled():
    def of(**options):
        return NetworkOptions(**options).model_dump()

    assert differences(of(fusion="self_attention"), of(fusion="cross_attention")) == ["fusion"]
    assert differences(of(fusion="rcma"), of(fusion="rcma", recursions=1)) == ["recursions"]
    assert differences(of(fusion="self_attention"), of(fusion="concatenation")) == ["fusion", "combine"]
    unclean = differences(of(fusion="rcma"), of(fusion="cross_attention"))
    assert unclean == ["fusion", "combine", "encoder", "one_grid"]
    clean = of(fusion="cross_attention", combine="concatenation", encoder="tcn", one_grid=True)
    assert differences(of(fusion="rcma"), clean) == ["fusion"]
