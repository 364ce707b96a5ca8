"""An image network in an ONNX file over face crops, run by ONNX Runtime."""

import os
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from pipeline.features.base import Cut, Extractor, Options, options
from pipeline.features.image_preparation import ImagePreparation
from pipeline.features.piece import FacePiece
from pipeline.records import InputError
from pipeline.store import Rows


@options
class OnnxImageOptions(Options):
    """How pixels are prepared and which output is the feature; the file says nothing of that."""

    file: str | None = Field(None, description="name of the .onnx file where the weights hold several")
    output: str | None = Field(None, description="name of the output to keep; null is the first")
    height: int = Field(112, gt=0, description="input height, where the file leaves it open")
    width: int = Field(112, gt=0, description="input width, where the file leaves it open")
    mean: tuple[float, float, float] = Field((127.5,) * 3, description="taken from each channel, in steps of 0 to 255")
    std: tuple[float, float, float] = Field((127.5,) * 3, description="what each channel is then divided by")
    channels: Literal["rgb", "bgr"] = Field("rgb", description="order of the colours the network expects")
    batch_size: int = Field(64, gt=0, description="faces in one pass, where the file leaves that open")


class OnnxImage(Extractor):
    """One row for each frame; places of a feature map are averaged; invalid where there is no face."""

    modality = "video"
    packages = ("onnxruntime", "torch")
    needs_weights = True
    Config = OnnxImageOptions

    def __init__(self, config=None, weights: Path | None = None, device: str = "cpu"):
        super().__init__(config, weights, device)
        import onnxruntime

        setup = onnxruntime.SessionOptions()
        setup.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", 0))
        providers = ["CPUExecutionProvider"]
        if device == "cuda" and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            providers.insert(0, "CUDAExecutionProvider")
        path = self._file()
        try:
            self.session = onnxruntime.InferenceSession(str(path), setup, providers=providers)
        except Exception as error:  # ONNX Runtime has exceptions of its own without a common base
            raise InputError(f"{path}: cannot be read as an ONNX model ({str(error).splitlines()[0][:200]})") from None
        self._look_at_input(path)

    def _file(self) -> Path:
        files = sorted(self.weights.glob("*.onnx"))
        if self.config.file is not None:
            files = [f for f in files if f.name == self.config.file]
        if len(files) != 1:
            there = ", ".join(f.name for f in sorted(self.weights.glob("*.onnx"))) or "none"
            raise InputError(f"{self.weights}: name one ONNX file with the option file; there are: {there}")
        return files[0]

    def _look_at_input(self, path: Path) -> None:
        c, inputs = self.config, self.session.get_inputs()
        outputs = [o.name for o in self.session.get_outputs()]
        if c.output is not None and c.output not in outputs:
            raise InputError(f"{path}: has no output {c.output!r}; its outputs are {', '.join(outputs)}")
        shape = inputs[0].shape
        if len(inputs) != 1 or len(shape) != 4 or inputs[0].type != "tensor(float)" or 3 not in (shape[1], shape[3]):
            takes = ", ".join(f"{i.name} {i.type} {i.shape}" for i in inputs)
            raise InputError(f"{path}: takes {takes}; onnx_image needs one float input of (batch, 3, height, width)")
        self.channels_first = shape[1] == 3
        size = shape[2:] if self.channels_first else shape[1:3]
        height, width = (n if isinstance(n, int) else open_ for n, open_ in zip(size, (c.height, c.width), strict=True))
        self.batch = shape[0] if isinstance(shape[0], int) and shape[0] > 0 else c.batch_size
        self.fixed = self.batch == shape[0]
        self.prepare = ImagePreparation(size=(height, width), mean=c.mean, std=c.std)
        self.input, self.output = inputs[0].name, c.output or outputs[0]

    @property
    def cut(self) -> Cut:
        """Frames are looked at one by one."""
        return Cut(length=256, batch=512)

    def extract(self, batch: list[FacePiece]) -> list[Rows]:
        """Rows of each piece."""
        rows = []
        for piece in batch:
            values = np.zeros((len(piece), 0), np.float32)
            seen = np.flatnonzero(piece.valid)
            found = [self._run(piece.crops[seen[i : i + self.batch]]) for i in range(0, len(seen), self.batch)]
            if found:
                values = np.zeros((len(piece), found[0].shape[1]), np.float32)
                values[seen] = np.concatenate(found)
            elif len(piece):
                values = np.zeros((len(piece), self.dim), np.float32)
            rows.append(piece.rows(values))
        return rows

    def _run(self, crops: np.ndarray) -> np.ndarray:
        import torch

        count = len(crops)
        if self.fixed and count < self.batch:
            crops = np.concatenate([crops, np.zeros((self.batch - count, *crops.shape[1:]), np.uint8)])
        if self.config.channels == "bgr":
            crops = crops[..., ::-1].copy()
        pixels = self.prepare(torch.from_numpy(crops)).numpy()
        pixels = pixels if self.channels_first else np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))
        found = self.session.run([self.output], {self.input: pixels})[0]
        if found.ndim == 4:
            found = found.mean(axis=(2, 3))
        return found.reshape(len(found), -1)[:count]
