"""Any transformers text model over words: BERT, RoBERTa, DeBERTa, sentence encoders and kin."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal
from unicodedata import category

import numpy as np
from pydantic import Field

from pipeline.features.base import options
from pipeline.features.layers import Combine, LayerOptions, Layers
from pipeline.features.piece import TextPiece
from pipeline.features.transformers_base import TransformersExtractor
from pipeline.log import log
from pipeline.records import InputError
from pipeline.store import Rows

MANY_WORDS, MAX_UNKNOWN = 200, 0.3


@options
class TransformersTextOptions(LayerOptions):
    """Defaults as in the recursive cross-modal attention paper: the sum of the last four layers, word by word."""

    layers: Layers = Field(default_factory=lambda: [-4, -3, -2, -1])
    combine: Combine = "sum"
    form: Literal["written", "spoken"] = Field(
        "written", description="words with the case and punctuation of their text, or in lower case without"
    )
    pooling: Literal["words", "mean", "cls"] = Field(
        "words", description="a row for each word, or one for the whole text: mean of all tokens, or the first token"
    )
    window_tokens: int = Field(512, ge=16, description="longer texts are read in windows of this many tokens")
    batch_tokens: int = Field(4096, gt=0, description="tokens, padding counted, in one pass of the network")


@dataclass(frozen=True, slots=True)
class Window:
    """Words ``first`` to ``last`` (not included) of a piece, of which ``keep`` are not mere context."""

    piece: int  # index into the batch
    first: int
    last: int
    keep: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Reading:
    """The tokens of a piece, read as one running text, without special ones.

    ``inputs`` are the numbers that the model takes for each token, ``home`` (T,) the word that it belongs to, and
    ``own`` (T,) whether it has a share in that word's row.
    """

    inputs: dict[str, list[int]]
    home: np.ndarray
    own: np.ndarray


class TransformersText(TransformersExtractor):
    """Hidden states of a text model; the sub-words of a word are averaged, and its row has the word's time.

    The words are read as running text, as models learn it, since tokenizers differ in how they mark where words begin.
    Punctuation is read with the words and has no row of its own, nor a share in that of its word.
    Texts longer than the model can read are cut into windows; each word is taken from the window in which it stands
    furthest from the edge. A word that the tokenizer drops is invalid.
    """

    modality = "text"
    packages = (*TransformersExtractor.packages, "tokenizers")
    demonstration_weights = "demo:bert"
    Config = TransformersTextOptions

    def _set_up(self) -> None:
        from tokenizers.pre_tokenizers import ByteLevel, Sequence

        from pipeline.features.checkpoint import COMMON_WORDS

        if not self.processor.is_fast:
            raise InputError(
                f"{self.weights}: its tokenizer cannot tell which sub-words make a word (no fast tokenizer)"
            )
        if self.processor.pad_token is None:
            self.processor.pad_token = self.processor.eos_token or self.processor.unk_token
        self.unknown = self.words = 0
        # Such a vocabulary knows words by the space before them, so the first gets one, as within a text.
        first = self.processor.backend_tokenizer.pre_tokenizer
        steps: Any = first if isinstance(first, Sequence) else [first]
        self.lead = " " if any(isinstance(step, ByteLevel) for step in steps) else ""
        some = self.processor(" ".join(COMMON_WORDS), return_special_tokens_mask=True)
        special = some["special_tokens_mask"]
        before, after = special.index(0), special[::-1].index(0)
        names = [name for name in self.processor.model_input_names if name in some]
        self.around = {n: (some[n][:before], some[n][len(special) - after :]) for n in names}
        self.specials = before + after
        self.limit = min(self.config.window_tokens, self.processor.model_max_length, self._positions())

    def _positions(self) -> int:
        """Maximum number of tokens that the model's position embeddings allow."""
        known = getattr(self.model.config, "max_position_embeddings", None) or 512
        # RoBERTa and its kin count positions from after the padding index.
        padding = getattr(getattr(self.model, "embeddings", None), "padding_idx", None)
        return known - (padding + 1 if padding is not None else 0)

    def extract(self, batch: list[TextPiece]) -> list[Rows]:
        """Rows of each piece."""
        readings = [self._read(piece) for piece in batch]
        windows = [w for i, reading in enumerate(readings) for w in self._windows(i, reading, len(batch[i]))]
        encoded = [self._encode(readings[w.piece], w) for w in windows]
        vectors: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        order = sorted(range(len(windows)), key=lambda i: -len(encoded[i][1]))
        while order:
            most = max(1, self.config.batch_tokens // len(encoded[order[0]][1]))
            some, order = order[:most], order[most:]
            states = self._forward([encoded[i][0] for i in some])
            for i, state in zip(some, states, strict=True):
                vectors[i] = self._of_words(state, *encoded[i], windows[i].last - windows[i].first)
        return [self._rows(i, piece, windows, vectors) for i, piece in enumerate(batch)]

    def _read(self, piece: TextPiece) -> Reading:
        words = list((self.config.form == "written" and piece.written) or piece.words)
        text = self.lead + " ".join(words)
        plain = self.processor(text, add_special_tokens=False, return_offsets_mapping=True)
        offset = np.array(plain["offset_mapping"], int).reshape(-1, 2)
        return Reading({n: plain[n] for n in self.around}, *homes(offset, words, text))

    def _windows(self, index: int, reading: Reading, words: int) -> list[Window]:
        tokens = np.bincount(reading.home, minlength=words)
        return [Window(index, *span) for span in plan_windows(tokens, self.limit - self.specials)]

    def _encode(self, reading: Reading, window: Window) -> tuple[dict[str, list[int]], np.ndarray]:
        """The model's inputs for a window, and for each of its tokens the word in the window that it is part of.

        -1 stands for special tokens, and for the punctuation of a word.
        """
        first, last = np.searchsorted(reading.home, (window.first, window.last))
        last = min(last, first + self.limit - self.specials)  # a word longer than the model can read
        inputs = {n: before + reading.inputs[n][first:last] + after for n, (before, after) in self.around.items()}
        word = np.where(reading.own[first:last], reading.home[first:last] - window.first, -1)
        return inputs, np.pad(word, [len(each) for each in self.around["input_ids"]], constant_values=-1)

    def _forward(self, encoded: list):
        padded = self.processor.pad(
            {n: [e[n] for e in encoded] for n in self.around}, padding=True, padding_side="right", return_tensors="pt"
        ).to(self.device)
        states = self._hidden(padded)
        return [state[: len(e["input_ids"])] for state, e in zip(states, encoded, strict=True)]

    def _of_words(
        self, state: np.ndarray, encoded: dict, word: np.ndarray, words: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """(words, D) and (words,) whether the word has any token; for pooled text one row instead."""
        if self.config.pooling != "words":
            pooled = state[0] if self.config.pooling == "cls" else state.mean(axis=0)
            return pooled[None], np.ones(1, bool)
        values = np.zeros((words, state.shape[1]), np.float32)
        np.add.at(values, word[word >= 0], state[word >= 0])
        count = np.bincount(word[word >= 0], minlength=words)
        self._say_unknown(encoded["input_ids"].count(self.processor.unk_token_id), words)
        return values / np.maximum(count, 1)[:, None], count > 0

    def _say_unknown(self, unknown: int, words: int) -> None:
        """Warn once where the tokenizer does not know many of the words: it is of another language."""
        before = self.unknown > MAX_UNKNOWN * max(self.words, MANY_WORDS)
        self.unknown, self.words = self.unknown + unknown, self.words + words
        if not before and self.unknown > MAX_UNKNOWN * max(self.words, MANY_WORDS):
            log.warning(
                "%s: %d of %d words are unknown to its tokenizer, and have one row between them; "
                "take a model of the language that is spoken", self.weights, self.unknown, self.words
            )  # fmt: skip

    def _rows(self, index: int, piece: TextPiece, windows: list[Window], vectors: dict) -> Rows:
        parts = [(w, *vectors[i]) for i, w in enumerate(windows) if w.piece == index]
        if self.config.pooling == "words":
            cut = [(v[w.keep[0] - w.first : w.keep[1] - w.first], s[w.keep[0] - w.first : w.keep[1] - w.first])
                   for w, v, s in parts]  # fmt: skip
            return Rows(np.concatenate([v for v, _ in cut]), piece.time_s, np.concatenate([s for _, s in cut]))
        spans = [piece.time_s[w.keep[0] : w.keep[1]] for w, _, _ in parts]
        time_s = np.array([(span[:, 0].min(), span[:, 1].max()) for span in spans])
        return Rows(np.concatenate([v for _, v, _ in parts]), time_s, np.ones(len(parts), bool))


def homes(offset: np.ndarray, words: list[str], text: str) -> tuple[np.ndarray, np.ndarray]:
    """The word (T,) that each token of a text belongs to, and whether (T,) it has a share in that word's row.

    ``offset`` (T, 2) is where the tokens lie in ``text``, which ends in the ``words`` with a space between them. Spaces
    belong to the word behind them. The punctuation of a word that has letters or numbers has no share.
    """

    def speaks(text: str) -> bool:
        return any(category(sign)[0] in "LMN" for sign in text)  # letters, their marks, numbers

    length = np.array([len(word) for word in words])
    end = np.cumsum(length + 1)
    end += len(text) - end[-1]
    start = end - length
    home = np.searchsorted(end, offset[:, 0], side="right").clip(max=len(words) - 1)
    home = np.maximum.accumulate(home)  # tokens without a place stay with the one before
    spoken = [speaks(word) for word in words]
    own = [  # a token of nothing but a space goes with the character after it
        not spoken[i] or speaks(text[max(first, start[i]) : max(last, start[i] + 1)])
        for i, (first, last) in zip(home, offset, strict=True)
    ]
    return home, np.array(own, bool)


def plan_windows(tokens: np.ndarray, room: int) -> list[tuple[int, int, tuple[int, int]]]:
    """Windows (first word, last, (first kept, last kept)) of at most ``room`` tokens that keep every word once.

    ``tokens`` (n,) counts the tokens of each word. Neighbouring windows share a quarter of the room where they can, and
    each keeps its half of what they share. A word longer than the room has a window of its own, to be truncated.
    """
    before = np.concatenate([[0], np.cumsum(tokens)])  # before[i]: tokens of the words in front of word i
    spans, first, last = [], 0, 0
    while last < len(tokens):
        end = int(np.searchsorted(before, before[first] + room, side="right")) - 1
        if end <= last and first < last:  # no room for another word beside what is shared
            first = last
            continue
        last = max(end, first + 1)
        spans.append((first, last))
        first = max(first + 1, int(np.searchsorted(before, before[last] - room // 4, side="left")))
    shared = [(a[1] + b[0] + 1) // 2 for a, b in pairwise(spans)]
    edges = [0, *shared, len(tokens)]
    return [(*span, (edges[i], edges[i + 1])) for i, span in enumerate(spans)]
