"""Features brought to mean 0 and deviation 1: by the moments of a training part, or of each speaker."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.attention import blank_
from pipeline.records import InputError
from pipeline.store import FeatureStore

BLOCK_ROWS = 8192


@dataclass(frozen=True)
class Normaliser:
    """Mean and standard deviation of each feature; a constant feature is only shifted."""

    mean: Tensor  # (D,)
    std: Tensor  # (D,)

    @classmethod
    def fit(cls, blocks: Iterable[tuple[Tensor, Tensor]], dim: int) -> "Normaliser":
        """Population moments over the valid rows of blocks of (values (N, D), valid (N,)), taken in float64."""
        count, mean, spread = 0, torch.zeros(dim, dtype=torch.float64), torch.zeros(dim, dtype=torch.float64)
        for values, valid in blocks:
            rows = values[valid].double()
            if not len(rows):
                continue
            mean, spread = mean.to(rows.device), spread.to(rows.device)
            # Chan et al. 1979: moments of two sets joined, without the cancellation of a sum of squares.
            shift = rows.mean(0) - mean
            total = count + len(rows)
            spread = spread + rows.var(0, correction=0) * len(rows) + shift**2 * (count * len(rows) / total)
            mean = mean + shift * (len(rows) / total)
            count = total
        std = (spread / max(count, 1)).sqrt()
        constant = std <= torch.finfo(torch.float32).eps * mean.abs()  # such a spread is rounding
        return cls(mean.float().cpu(), torch.where(constant, 1.0, std).float().cpu())

    def to(self, device: torch.device, dtype: torch.dtype) -> "Normaliser":
        """Return the same on another device, in another precision."""
        return Normaliser(self.mean.to(device, dtype), self.std.to(device, dtype))

    def __call__(self, values: Tensor, mask: Tensor) -> Tensor:
        """Normalise (..., D) values in the precision of the moments; 0 where ``mask`` (...) is False."""
        return blank_(values.to(self.mean.dtype).sub(self.mean).div_(self.std), mask)


def of_speakers(store: FeatureStore, segment_ids: Sequence[str], speakers: Mapping[str, str]) -> list[Normaliser]:
    """For each segment the moments of all valid rows that the store has of its speaker; ``speakers`` by segment.

    Which of them a fold uses does not count, so that a speaker is the same in all folds. Raises InputError for a
    segment of which no speaker is given.
    """
    if unknown := [segment_id for segment_id in segment_ids if segment_id not in speakers]:
        raise InputError(
            f"normalise: speaker: no speaker is known of {len(unknown)} of {len(segment_ids)} segments, the first "
            f"{unknown[0]}; give the segments.tsv that the features of {store.path} were made with"
        )
    own: dict[str, list[str]] = defaultdict(list)
    for segment_id in store.segment_ids:
        if segment_id in speakers:
            own[speakers[segment_id]].append(segment_id)
    found = {}
    for speaker in {speakers[segment_id] for segment_id in segment_ids}:
        read = (rows for _, rows in store.read(own[speaker], BLOCK_ROWS))
        blocks = ((torch.from_numpy(rows.values), torch.from_numpy(rows.valid)) for rows in read)
        found[speaker] = Normaliser.fit(blocks, store.dim)
    return [found[speakers[segment_id]] for segment_id in segment_ids]
