"""Face crops to the pixels an image network asks for, resized by PIL, as the processors of published networks do it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.crops import PICTURE_PX
from pipeline.records import InputError

RESAMPLING = {0: "nearest", 2: "bilinear", 3: "bicubic"}  # PIL's numbers
TOLERANCE = 1e-3  # between pixels of about -2 to 2: far above rounding errors, below one of 255 steps


@dataclass(frozen=True, slots=True)
class ImagePreparation:
    """Resize to ``size`` (height, width), cut ``crop`` from the middle, times ``factor``, less ``mean``, by ``std``.

    A picture that is as large as ``crop`` already was cut from the middle of a larger one, and is left as it is.
    """

    size: tuple[int, int] | None = None
    crop: tuple[int, int] | None = None
    mode: str = "bilinear"
    factor: float = 1.0
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)

    def __call__(self, crops, device: str = "cpu"):
        """(B, H, W, 3) uint8 array to (B, 3, h, w) float32 tensor on a device, resized on the processor for all."""
        import torch
        from PIL import Image

        if self.size and crops.shape[1:3] not in (self.size, self.crop):
            height, width = self.size
            how = Image.Resampling[self.mode.upper()]
            crops = np.stack([np.asarray(Image.fromarray(crop).resize((width, height), how)) for crop in crops])
        images = torch.from_numpy(crops).permute(0, 3, 1, 2)
        if self.crop:
            top, left = ((have - want) // 2 for have, want in zip(images.shape[2:], self.crop, strict=True))
            images = images[:, :, top : top + self.crop[0], left : left + self.crop[1]]
        mean, std = (torch.tensor(v, device=device).view(1, -1, 1, 1) for v in (self.mean, self.std))
        return images.to(device).float().mul_(self.factor / std).sub_(mean / std)

    def equals(self, crops, wanted) -> bool:
        """Whether crops become the pixels that are wanted, unless they are left as they are on purpose."""
        if crops.shape[1:3] == self.crop:
            return True
        made = self(crops)
        return made.shape == wanted.shape and float((made - wanted).abs().max()) < TOLERANCE


@dataclass(frozen=True, slots=True)
class OwnPreparation:
    """What a checkpoint's own image processor makes of crops, where that is more than is done above."""

    processor: Any

    def __call__(self, crops, device: str = "cpu"):
        """(B, H, W, 3) uint8 array to (B, 3, h, w) float32 tensor on a device."""
        made = self.processor(list(crops), return_tensors="pt")
        return made["pixel_values"].float().to(device)


def preparation_of(processor, where) -> ImagePreparation | OwnPreparation:
    """What prepares face crops as a transformers image processor does; raises InputError where it prepares no pictures.

    Its settings are followed here, for many crops at once, where that gives the same pixels as the processor itself on
    trial; else the processor is taken.
    """
    own, rng = OwnPreparation(processor), np.random.default_rng(0)
    trials = [rng.integers(0, 256, (1, side, side, 3), np.uint8) for side in PICTURE_PX.values()]
    try:
        wanted = [own(trial) for trial in trials]
        if any(pixels.ndim != 4 or pixels.shape[:2] != (1, 3) for pixels in wanted):
            raise ValueError(f"its pixels have the shape {tuple(wanted[0].shape)}, not (1, 3, height, width)")
    except Exception as error:  # any kind: each processor has code of its own
        raise InputError(
            f"{where}: the checkpoint's {type(processor).__name__} does not prepare single pictures "
            f"({type(error).__name__}: {error}); choose a network that looks at one picture at a time"
        ) from None
    made = _prescribed(processor.to_dict())
    return made if made and all(map(made.equals, trials, wanted)) else own


def _prescribed(asked: dict) -> ImagePreparation | None:
    """What the settings of a processor say, as far as they are usual ones; None where they cannot be followed."""
    size = asked.get("size", {}) if asked.get("do_resize") else {}
    crop = asked.get("crop_size", {}) if asked.get("do_center_crop") else {}
    edge = size.get("shortest_edge") or size.get("longest_edge")  # crops are square
    target = (edge, edge) if edge else (size.get("height"), size.get("width")) if size else None
    middle = (crop.get("height"), crop.get("width")) if crop else None
    share = asked.get("crop_pct")
    if share and edge and edge < 384:  # ConvNeXt: made larger, then the middle taken
        larger = int(edge / share)
        target, middle = (larger, larger), (edge, edge)
    mode = RESAMPLING.get(int(asked.get("resample", -1)))
    if None in (*(target or ()), *(middle or ())) or (target and not mode):
        return None
    normal = (asked["image_mean"], asked["image_std"]) if asked.get("do_normalize") else (0.0, 1.0)
    mean, std = (tuple(np.broadcast_to(numbers, 3).tolist()) for numbers in normal)
    factor = asked["rescale_factor"] if asked.get("do_rescale") else 1.0
    return ImagePreparation(target, middle, mode or "bilinear", factor, mean, std)
