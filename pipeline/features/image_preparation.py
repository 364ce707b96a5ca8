"""Face crops to the pixels an image network asks for, resized by PIL, as the processors of published networks do it."""

from dataclasses import dataclass

import numpy as np

from pipeline.records import InputError

RESAMPLING = {0: "nearest", 2: "bilinear", 3: "bicubic"}  # PIL's numbers


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


def preparation_of(processor, where) -> ImagePreparation:
    """What a transformers image processor does; raises InputError where it asks for what is not known here."""
    size = _known(processor.size) if processor.do_resize else {}
    crop = _known(processor.crop_size) if getattr(processor, "do_center_crop", False) else {}
    edge = size.get("shortest_edge") or size.get("longest_edge")  # crops are square
    target: tuple[int, int] | None = None
    middle = (crop["height"], crop["width"]) if crop else None
    share = getattr(processor, "crop_pct", None)
    if share and edge and edge < 384:  # ConvNeXt: made larger, then the middle taken
        larger = int(edge / share)
        target, middle = (larger, larger), (edge, edge)
    elif edge:
        target = (edge, edge)
    elif size:
        target = (size["height"], size["width"])
    resample = int(processor.resample)
    if target and resample not in RESAMPLING:
        allowed = ", ".join(f"{number} ({name})" for number, name in RESAMPLING.items())
        raise InputError(f"{where}: preprocessor_config.json asks for resampling {resample}; allowed are {allowed}")
    scaled = {"mean": tuple(processor.image_mean), "std": tuple(processor.image_std)} if processor.do_normalize else {}
    factor = processor.rescale_factor if processor.do_rescale else 1.0
    return ImagePreparation(target, middle, RESAMPLING.get(resample, "bilinear"), factor, **scaled)


def _known(size) -> dict:
    return {key: value for key, value in dict(size or {}).items() if value is not None}
