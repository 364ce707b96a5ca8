"""Any transformers speech model with a convolutional front end: wav2vec2, HuBERT, WavLM and kin, or Whisper."""

from math import prod

import numpy as np
from pydantic import Field

from pipeline.features.base import Cut, options
from pipeline.features.layers import LayerOptions
from pipeline.features.piece import AudioPiece
from pipeline.features.synthetic import clip
from pipeline.features.transformers_base import TransformersExtractor
from pipeline.records import InputError
from pipeline.store import Rows
from pipeline.timebase import SAMPLE_RATE_HZ, window_ranges_s


@options
class TransformersAudioOptions(LayerOptions):
    """Layers, pooling, and how long sound is cut into pieces."""

    pool_s: float | None = Field(
        None,
        gt=0,
        description="mean of the rows centred within this many seconds, rounded to whole rows; null keeps every row",
    )
    piece_s: float = Field(30.0, gt=0, description="longer segments are cut into pieces of this many seconds")
    context_s: float = Field(2.0, ge=0, description="sound before and after a piece that the model sees, too")
    batch_s: float = Field(60.0, gt=0, description="seconds of sound, padding counted, in one pass of the network")


class TransformersAudio(TransformersExtractor):
    """Hidden states of a speech model, one row for each step of its convolutional front end.

    The time of a row is the stretch of sound its front end sees, from the kernels and strides in the model's config.
    """

    modality = "audio"
    demonstration_weights = "demo:wav2vec2"
    Config = TransformersAudioOptions

    def _set_up(self) -> None:
        rate = getattr(self.processor, "sampling_rate", SAMPLE_RATE_HZ)
        if rate != SAMPLE_RATE_HZ:
            raise InputError(
                f"{self.weights}: {self.name} takes sound at {rate} Hz; sound here has {SAMPLE_RATE_HZ} Hz"
            )
        self.whisper = self.name == "whisper"
        self.stride, self.field, self.lead = self._geometry()
        pool = max(1, round((self.config.pool_s or 0) * SAMPLE_RATE_HZ / self.stride))
        self.grid_s = pool * self.stride / SAMPLE_RATE_HZ
        self.pool_s = self.grid_s if pool > 1 else 0.0
        if self.whisper:
            self._check_fits()
        self.batched = self.whisper or self._padding_is_harmless()

    def _geometry(self) -> tuple[int, int, int]:
        """Samples from row to row, samples that a row sees, and samples that the first row sees before the sound."""
        config = self.model.config
        if self.whisper:
            # A mel frame every hop sees n_fft samples around it; two convolutions of 3, the second with stride 2.
            hop, n_fft = self.processor.hop_length, self.processor.n_fft
            return 2 * hop, 4 * hop + n_fft, 2 * hop + n_fft // 2
        kernels, strides = getattr(config, "conv_kernel", None), getattr(config, "conv_stride", None)
        if not kernels or not strides:
            raise InputError(
                f"{self.weights}: the row times of model type {self.name!r} cannot be derived; choose one with a "
                "convolutional front end (wav2vec2, hubert, wavlm, data2vec-audio, unispeech-sat, ...) or whisper"
            )
        steps = [prod(strides[:i]) for i in range(len(strides))]
        return prod(strides), 1 + sum((k - 1) * step for k, step in zip(kernels, steps, strict=True)), 0

    def _padding_is_harmless(self) -> bool:
        """Whether a masked, padded batch gives what each piece alone gives.

        Front ends with group normalisation see the padding in their statistics ("group"); others are tried.
        """
        if getattr(self.model.config, "feat_extract_norm", "group") == "group":
            return False
        long, short = clip("audio", 1.0), clip("audio", 0.6)
        alone, in_group = self._forward([short])[0], self._forward([long, short])[1]
        return np.allclose(alone, in_group, atol=1e-3 * np.abs(alone).max())

    def _check_fits(self) -> None:
        """Raise InputError where a row and its context are longer than what Whisper hears."""
        core, context = self.cut.samples(SAMPLE_RATE_HZ)
        whole_s, needed_s = (n / SAMPLE_RATE_HZ for n in (self.processor.n_samples, core + 2 * context))
        if needed_s > whole_s:
            raise InputError(
                f"{self.weights}: {self.name} hears {whole_s:g} s at once, and a row of pool_s {self.grid_s:g} s with "
                f"context_s {self.config.context_s:g} s on each side, in whole rows, takes {needed_s:g} s; choose a "
                "smaller pool_s or context_s"
            )

    @property
    def cut(self) -> Cut:
        """Pieces on the grid of rows; Whisper takes 30 s at once, context included."""
        c, grid = self.config, self.grid_s
        if self.whisper:
            window_s = self.processor.n_samples / SAMPLE_RATE_HZ
            context_s = min(c.context_s, window_s / 4)
            return Cut(min(c.piece_s, window_s - 2 * context_s - 2 * grid), context_s, grid, c.batch_s)
        return Cut(c.piece_s, c.context_s, grid, c.batch_s if self.batched else 0)

    def extract(self, batch: list[AudioPiece]) -> list[Rows]:
        """Rows of each piece; a piece shorter than the front end's field is padded with silence and gives one row."""
        states = self._forward(batch) if self.batched else [self._forward([piece])[0] for piece in batch]
        return [self._rows(piece, values) for piece, values in zip(batch, states, strict=True)]

    def _rows(self, piece: AudioPiece, values: np.ndarray) -> Rows:
        hop_s, field_s, lead_s = (n / SAMPLE_RATE_HZ for n in (self.stride, self.field, self.lead))
        time_s = window_ranges_s(len(values), field_s, hop_s, piece.start_s - lead_s)
        return Rows(np.asarray(values, np.float32), time_s, np.ones(len(values), bool))

    def row_count(self, samples: int) -> int:
        """Rows of a piece of this many samples."""
        if self.whisper:
            return max(1, -(-samples // self.stride))
        return max(1, (samples - self.field) // self.stride + 1)

    def _forward(self, pieces: list[AudioPiece]) -> list[np.ndarray]:
        counts = [self.row_count(len(piece)) for piece in pieces]
        most = int(self.config.batch_s * SAMPLE_RATE_HZ) // self.processor.n_samples if self.whisper else len(pieces)
        most, found = max(1, most), list[np.ndarray]()
        for i in range(0, len(pieces), most):
            found += self._pass(pieces[i : i + most])
        for piece, values, count in zip(pieces, found, counts, strict=True):
            if len(values) < count:
                raise InputError(
                    f"{self.weights}: segment {piece.segment_id}: {self.name} hears {len(values)} rows at once, a "
                    f"piece of {len(piece) / SAMPLE_RATE_HZ:g} s has {count}; cut it as the extractor's cut says"
                )
        return [values[:count] for values, count in zip(found, counts, strict=True)]

    def _pass(self, pieces: list[AudioPiece]) -> list[np.ndarray]:
        values = self._hidden({k: v.to(self.device) for k, v in self._inputs(pieces).items()})
        expected = self.row_count(max(len(piece) for piece in pieces))
        if values.shape[1] != expected and not self.whisper:
            raise InputError(
                f"{self.weights}: {self.name} gave {values.shape[1]} rows where its front end makes {expected}; models "
                "that shorten the sequence further cannot be placed in time"
            )
        return list(values)

    def _inputs(self, pieces: list[AudioPiece]) -> dict:
        import torch

        if self.whisper:
            sound = [piece.samples for piece in pieces]
            return dict(self.processor(sound, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt"))
        longest = max(self.field, *(len(piece) for piece in pieces))
        values = np.zeros((len(pieces), longest), np.float32)
        mask = np.zeros((len(pieces), longest), np.int64)
        for i, piece in enumerate(pieces):
            x = piece.samples
            if getattr(self.processor, "do_normalize", False):
                x = (x - x.mean()) / np.sqrt(x.var() + 1e-7)
            values[i, : len(x)] = x
            mask[i, : max(len(x), self.field)] = 1
        inputs = {"input_values": torch.from_numpy(values)}
        if len(pieces) > 1:
            inputs["attention_mask"] = torch.from_numpy(mask)
        return inputs
