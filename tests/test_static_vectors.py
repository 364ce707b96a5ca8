"""Word vectors from text files as they are given out, their traps included."""

import numpy as np
import pytest

from pipeline import weights
from pipeline.conformance import verdicts
from pipeline.features.check import CHECKS
from pipeline.features.command import build
from pipeline.features.fetch import fetch
from pipeline.features.piece import TextPiece
from pipeline.features.static_vectors import vector_file
from pipeline.records import InputError

# GloVe 840B has words with spaces (". . .", "at name@domain.com") and words that are numbers.
ODD = [". . . 7 8 9", "at name@domain.com 1 1 1", "1990 2 2 2", "naïve 3 3 3"]
LINES = ["hello 1 2 -3e-1", "HELLO 4 5 6", *ODD, "hello 9 9 9"]


def made(tmp_path, lines, name="some.3d.txt", end="\n"):
    source = tmp_path / name
    source.write_text(end.join(lines) + end, encoding="utf-8")
    fetch(str(source), tmp_path / "weights")
    return build("static_vectors", {}, tmp_path / "weights", "cpu")[0]


def looked_up(extractor, *words):
    time_s = np.stack([np.arange(len(words)), np.arange(len(words)) + 1.0], axis=1)
    (rows,) = extractor.extract([TextPiece("s", list(words), time_s)])
    assert np.array_equal(rows.time_s, time_s)
    return rows


@pytest.mark.parametrize(
    ("name", "heading", "end"),
    [("glove.3d.txt", [], "\n"), ("word2vec.vec", ["7 3"], "\n"), ("fasttext.vec", ["7 3"], " \n")],
)
def test_each_word_has_its_own_numbers_and_unknown_ones_are_not_valid(tmp_path, name, heading, end):
    extractor = made(tmp_path, heading + LINES, name, end)
    rows = looked_up(extractor, "hello", "HELLO", "Hello,", ". . .", "1990", "naïve", "nobody", "at name@domain.com")
    assert rows.valid.tolist() == [True] * 6 + [False, True]
    expected = [[1, 2, -0.3], [4, 5, 6], [1, 2, -0.3], [7, 8, 9], [2, 2, 2], [3, 3, 3], [0, 0, 0], [1, 1, 1]]
    np.testing.assert_allclose(rows.values, expected, rtol=1e-6)


def test_a_word_is_looked_up_as_its_text_writes_it(tmp_path):
    time_s = np.array([[0.0, 1.0], [1.0, 2.0]])
    piece = TextPiece("s", ["hello", "hello"], time_s, written=["HELLO!", "hello"])
    (rows,) = made(tmp_path, LINES).extract([piece])
    np.testing.assert_allclose(rows.values, [[4, 5, 6], [1, 2, -0.3]], rtol=1e-6)


@pytest.mark.parametrize("wrong", ["tree 1 2", "tree 1 2 3 4"])
def test_two_widths_in_one_file_are_refused_with_the_line(tmp_path, wrong):
    with pytest.raises(InputError, match=r"some.3d.txt, line 8: 'tree' has [24] numbers and the words before it 3"):
        made(tmp_path, [*LINES, wrong])


def test_what_is_no_file_of_vectors_is_said(tmp_path):
    with pytest.raises(InputError, match="has something that is not a number"):
        looked_up(made(tmp_path, ["hello 1 x 3"]), "hello")
    (tmp_path / "weights" / "._some.3d.txt").write_bytes(b"left by macOS")
    assert vector_file(tmp_path / "weights").name == "some.3d.txt"
    (tmp_path / "weights" / "other.vec").write_text("a 1\n")
    with pytest.raises(InputError, match="of word vectors; there are: other"):
        vector_file(tmp_path / "weights")


def test_the_demonstration_has_a_vector_for_each_of_its_words(tmp_path):
    from workflow.demo.affect import vocabulary
    from workflow.demo.checkpoints import write_checkpoint

    write_checkpoint("glove", tmp_path)
    assert weights.verify(tmp_path)["source"] == "demo:glove"
    extractor = build("static_vectors", {}, tmp_path, "cpu")[0]
    rows = looked_up(extractor, *vocabulary())
    assert rows.valid.all()
    assert len(np.unique(rows.values, axis=0)) == len(rows)
    assert not [said for _, said, good in verdicts(CHECKS, extractor) if not good]
