"""An image network in an ONNX file over face crops, run by ONNX Runtime on the processor."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from pipeline.features.base import Cut, Extractor, Options, options
from pipeline.features.image_preparation import ImagePreparation
from pipeline.features.piece import FacePiece
from pipeline.records import InputError
from pipeline.store import Rows

if TYPE_CHECKING:
    import onnx

PENULTIMATE = "penultimate"
NAMED = 12  # tensors that an error lists
CHANNELS_SECOND = (
    "Conv", "ConvTranspose", "MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool",
    "BatchNormalization", "InstanceNormalization", "GroupNormalization", "LRN", "DepthToSpace", "SpaceToDepth",
)  # fmt: skip
"""Operators that ONNX defines for (batch, channels, height, width) only."""


@options
class OnnxImageOptions(Options):
    """How pixels are prepared and which tensor is the feature, neither of which the file says."""

    file: str | None = Field(None, description="name of the .onnx file where the weights hold several")
    output: str | None = Field(
        None,
        description="which tensor to keep: null, the first output; penultimate, what the last Gemm or MatMul "
        "(the classifier) takes; or any, outputs and inner ones, by its name in the file",
    )
    height: int = Field(112, gt=0, description="input height, where the file leaves it open")
    width: int = Field(112, gt=0, description="input width, where the file leaves it open")
    mean: tuple[float, float, float] = Field((127.5,) * 3, description="taken from each channel, in steps of 0 to 255")
    std: tuple[float, float, float] = Field((127.5,) * 3, description="what each channel is then divided by")
    channels: Literal["rgb", "bgr"] = Field("rgb", description="order of the colours the network expects")
    batch_size: int = Field(4, gt=0, description="faces in one pass, where the file leaves that open")


class OnnxImage(Extractor):
    """One row for each frame; places of a feature map are averaged; invalid where there is no face."""

    modality = "video"
    packages = ("onnx", "onnxruntime", "torch")
    needs_weights = True
    uses_gpu = False
    demonstration_weights = "demo:onnx"
    Config = OnnxImageOptions

    def __init__(self, config=None, weights: Path | None = None, device: str = "cpu"):
        super().__init__(config, weights, device)
        import onnx
        import onnxruntime

        setup = onnxruntime.SessionOptions()
        setup.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", 0))
        # Weights beside the file, as of networks above 2 GB, are looked for there.
        setup.add_session_config_entry("session.model_external_initializers_file_folder_path", str(self.weights))
        path = self._file()
        try:
            network = onnx.load(path, load_external_data=False)
            self.output = output_of(network.graph, self.config.output, path)
            self.session = onnxruntime.InferenceSession(
                network.SerializeToString(), setup, providers=["CPUExecutionProvider"]
            )
        except InputError:
            raise
        except Exception as error:  # both libraries have exceptions of their own without a common base
            raise InputError(f"{path}: cannot be read as an ONNX model ({str(error).splitlines()[0][:200]})") from None
        self._look_at_input(path)
        axis = channel_axis(network.graph, self.output, 1 if self.channels_first else 3)
        self.places = tuple({1, 2, 3} - {axis})

    def _file(self) -> Path:
        there = sorted(self.weights.glob("[!.]*.onnx"))
        files = [f for f in there if self.config.file in (None, f.name)]
        if len(files) != 1:
            names = ", ".join(f.name for f in there) or "none"
            raise InputError(f"{self.weights}: name one ONNX file with the option file; there are: {names}")
        return files[0]

    def _look_at_input(self, path: Path) -> None:
        c, inputs = self.config, self.session.get_inputs()
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
        self.input = inputs[0].name

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
        count = len(crops)
        if self.fixed and count < self.batch:
            crops = np.concatenate([crops, np.zeros((self.batch - count, *crops.shape[1:]), np.uint8)])
        if self.config.channels == "bgr":
            crops = crops[..., ::-1].copy()
        pixels = self.prepare(crops).numpy()
        pixels = np.ascontiguousarray(pixels if self.channels_first else pixels.transpose(0, 2, 3, 1))
        found = self.session.run([self.output], {self.input: pixels})[0]
        if found.ndim == 4:
            found = found.mean(axis=self.places)
        return found.reshape(len(found), -1)[:count]


def output_of(graph: "onnx.GraphProto", wanted: str | None, path: Path) -> str:
    """The name of the tensor that is the feature; an inner one becomes an output of the graph.

    Raises InputError where there is no such tensor, or no layer whose input is the penultimate one.
    """
    outputs = [output.name for output in graph.output]
    inner = [name for node in graph.node for name in node.output if name and name not in outputs]
    name = outputs[0] if wanted is None else wanted
    if wanted == PENULTIMATE and wanted not in (*outputs, *inner):
        last = next((node for node in reversed(graph.node) if node.op_type in ("Gemm", "MatMul")), None)
        name = last.input[0] if last else ""
    if name not in (*outputs, *inner):
        why = "no Gemm or MatMul after another layer" if wanted == PENULTIMATE else f"no tensor {wanted!r}"
        others = f", its last inner tensors {', '.join(inner[-NAMED:])}" if inner else ""
        raise InputError(f"{path}: has {why}; its outputs are {', '.join(outputs)}{others}")
    if name not in outputs:
        graph.output.add(name=name)  # ONNX Runtime infers its type
    return name


def channel_axis(graph: "onnx.GraphProto", tensor: str, of_input: int) -> int:
    """Axis of a feature map that holds the channels, traced through transpositions from an operator that fixes it.

    ``of_input`` is that axis of the graph's input, used where no operator fixes it.
    """
    made_by = {name: node for node in graph.node if node.input for name in node.output}  # constants have no input
    turns = []
    while (node := made_by.get(tensor)) is not None and node.op_type not in CHANNELS_SECOND:
        turns += [list(a.ints) for a in node.attribute if node.op_type == "Transpose" and len(a.ints) == 4]
        tensor = next((name for name in node.input if name in made_by), "")
    axis = of_input if node is None else 1
    for turn in reversed(turns):
        axis = turn.index(axis)
    return axis
