"""Static word vectors as GloVe, word2vec and fastText distribute them: a text file, one word and its numbers a line."""

import mmap
import re
from functools import cached_property
from pathlib import Path

import numpy as np

from pipeline.features.base import Extractor
from pipeline.features.piece import TextPiece
from pipeline.records import InputError
from pipeline.store import Rows

_EDGES = re.compile(r"^\W+|\W+$")


class StaticVectors(Extractor):
    """One row for each word: its vector, the same wherever it stands; a word that the file lacks is invalid.

    A word is looked up as it is written, then without punctuation around it, then in lower case.
    """

    modality = "text"
    needs_weights = True
    uses_gpu = False
    demonstration_weights = "demo:glove"

    def __init__(self, config=None, weights: Path | None = None, device: str = "cpu"):
        super().__init__(config, weights, device)
        self.path = vector_file(Path(weights))
        self.place, self.width = index_vectors(self.path)

    @property
    def dim(self) -> int:
        """Width of the vectors."""
        return self.width

    @cached_property
    def _bytes(self) -> mmap.mmap:
        with self.path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def extract(self, batch: list[TextPiece]) -> list[Rows]:
        """Rows of each piece."""
        return [self._rows(piece) for piece in batch]

    def _rows(self, piece: TextPiece) -> Rows:
        values, known = np.zeros((len(piece), self.width), np.float32), np.zeros(len(piece), bool)
        for i, word in enumerate(piece.written or piece.words):
            bare = _EDGES.sub("", word)
            place = next((self.place[w] for w in (word, bare, bare.lower()) if w in self.place), None)
            if place is not None:
                values[i], known[i] = self._vector(place), True
        return Rows(values, piece.time_s, known)

    def _vector(self, place: int) -> np.ndarray:
        end = self._bytes.find(b"\n", place)
        fields = self._bytes[place : None if end < 0 else end].split()
        try:
            return np.array(fields[-self.width :], np.float32)
        except ValueError:
            raise InputError(f"{self.path}: {fields[0].decode()!r} has something that is not a number") from None


def vector_file(weights: Path) -> Path:
    """The one file of vectors in a folder of weights; raises InputError where there are none or several."""
    own = weights.glob("[!.]*")  # not what macOS lays beside a file
    found = sorted(p for p in own if p.suffix in (".txt", ".vec") and not p.name.startswith("LICENSE"))
    if len(found) != 1:
        there = ", ".join(p.name for p in found) or "none"
        raise InputError(f"{weights}: static_vectors reads one file .txt or .vec of word vectors; there are: {there}")
    return found[0]


def index_vectors(path: Path) -> tuple[dict[str, int], int]:
    """Where each word's line begins in a file of vectors, and how wide they are; of a word given twice, the first.

    A first line of two whole numbers (how many words, how wide) is a heading, as of word2vec. Words may hold spaces, as
    some of GloVe's do. Raises InputError where a line has another width than the first, naming the line.
    """
    place: dict[str, int] = {}
    width = begin = 0
    with path.open("rb") as file:
        for number, whole in enumerate(file, start=1):
            line = whole.rstrip()
            numbers = line.count(b" ")
            if number == 1 and numbers == 1 and all(part.isdigit() for part in line.split()):
                width = int(line.split()[1])
            elif line:
                width = width or numbers
                word = line.rsplit(b" ", width)[0].decode("utf-8", "replace")
                if numbers < width or _ends_in_number(word):
                    raise InputError(
                        f"{path}, line {number}: {word.split(' ')[0]!r} has {numbers} numbers and the words before it "
                        f"{width}; a file of word vectors has one width: fetch it again, or take this line out"
                    )
                place.setdefault(word, begin)
            begin += len(whole)
    if not place:
        raise InputError(f"{path}: holds no line of a word and its numbers")
    return place, width


def _ends_in_number(word: str) -> bool:
    """Whether the part of a line taken for its word ends in a number, so that the line has one number too many."""
    _, space, last = word.rpartition(" ")
    try:
        return bool(space) and float(last) == float(last)
    except ValueError:
        return False
