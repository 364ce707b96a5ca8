"""PocketSphinx, which carries its English model in its package: modest, but nothing has to be downloaded."""

from typing import Any

import numpy as np

from pipeline.timebase import alignment_range_s
from pipeline.words.alignment import spoken
from pipeline.words.base import TimedWord
from pipeline.words.pieces import PieceRecogniser

SHORTEST_S = 0.1  # less than some analysis frames: nothing to decode


class Sphinx(PieceRecogniser):
    """The US English model of the package."""

    title = "PocketSphinx"
    _decoder: Any = None

    def transcribe(self, samples: np.ndarray, sample_rate_hz: int) -> list[TimedWord]:
        """Words of the piece, decoded as one utterance and closed at its end, which brings out the last words."""
        from pocketsphinx import Decoder

        if self._decoder is None:  # all sound has one rate
            self._decoder = Decoder(samprate=sample_rate_hz, loglevel="FATAL")
        if len(samples) < SHORTEST_S * sample_rate_hz:
            return []
        pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
        self._decoder.reinit_feat()  # else words depend on the sound before
        self._decoder.start_utt()
        self._decoder.process_raw(pcm, full_utt=True)
        self._decoder.end_utt()
        if self._decoder.hyp() is None:
            return []
        found = [(spoken(s.word), *alignment_range_s(s.start_frame, s.end_frame)) for s in self._decoder.seg()]
        return [word for word in found if word[0]]
