"""openSMILE's standard feature sets (eGeMAPS and others); an optional extra because of its licence."""

from functools import cached_property
from typing import Literal

import numpy as np
from pydantic import Field

from pipeline.features.base import Cut, Extractor, Options, options
from pipeline.features.piece import AudioPiece
from pipeline.records import InputError
from pipeline.store import Rows


@options
class OpenSmileOptions(Options):
    """Which set, and whether its rows are for every 10 ms or for the whole segment."""

    feature_set: Literal["eGeMAPSv02", "GeMAPSv01b", "ComParE_2016"] = Field("eGeMAPSv02", description="which set")
    level: Literal["lld", "functionals"] = Field(
        "lld", description="low-level descriptors every 10 ms, or functionals over the segment (at most 60 s each)"
    )


class OpenSmile(Extractor):
    """Rows as openSMILE gives them, at the times it gives; a row that it could not compute is invalid."""

    modality = "audio"
    packages = ("opensmile",)
    Config = OpenSmileOptions

    def __init__(self, config=None, weights=None, device: str = "cpu"):
        super().__init__(config, weights, device)
        try:
            import opensmile  # noqa: F401
        except ImportError:
            raise InputError(
                "extractor opensmile: the package opensmile is not installed; its licence is for research only, hence "
                "it is optional: pip install opensmile"
            ) from None

    @property
    def cut(self) -> Cut:
        """Functionals describe a whole piece, so they have no context."""
        if self.config.level == "functionals":
            return Cut(length=60.0, grid=0.01, batch=600.0)
        return Cut(length=60.0, context=2.0, grid=0.01, batch=600.0)

    @cached_property
    def _smile(self):
        import opensmile

        level = {"lld": "LowLevelDescriptors", "functionals": "Functionals"}[self.config.level]
        return opensmile.Smile(
            feature_set=opensmile.FeatureSet[self.config.feature_set], feature_level=opensmile.FeatureLevel[level]
        )

    def extract(self, batch: list[AudioPiece]) -> list[Rows]:
        """Rows of each piece; sound shorter than half a second is padded with silence, as functionals need it."""
        return [self._rows(piece) for piece in batch]

    def _rows(self, piece: AudioPiece) -> Rows:
        table = self._smile.process_signal(piece.padded(piece.sample_rate_hz // 2), piece.sample_rate_hz)
        values = table.to_numpy(np.float32)
        begin_s, end_s = (table.index.get_level_values(k).total_seconds().to_numpy() for k in ("start", "end"))
        keep = begin_s * piece.sample_rate_hz < len(piece)
        time_s = np.stack([begin_s, end_s], axis=1)[keep] + piece.start_s
        valid = np.isfinite(values[keep]).all(axis=1)
        return Rows(np.where(valid[:, None], values[keep], 0), time_s, valid)
