"""One decoded picture: its place in time, and its pixels, upright and square, converted only where looked at."""

import math
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from functools import cached_property

import numpy as np

from pipeline.records import Side

Box = tuple[int, int, int, int]
"""Left, top, right and bottom pixel of a part of the picture; right and bottom are not included."""
Step = tuple[str, str]
"""A filter of libav and its arguments."""

NEARLY_SQUARE = 0.01  # pixels within this of a square are taken for squares
MAX_OBLONG = 4.0  # beyond this a pixel aspect is a mistake of the file
NEARLY_RIGHT_DEG = 1.0
_QUARTERS: list[list[Step]] = [  # clockwise
    [], [("transpose", "clock")], [("hflip", ""), ("vflip", "")], [("transpose", "cclock")],
]  # fmt: skip


class Unconvertible(ValueError):
    """Damage has made up colours or sizes of a picture that cannot be converted."""


class Picture:
    """One decoded frame; pixels are converted when asked for, or Unconvertible is raised.

    ``damaged``: it does not show what was filmed.
    """

    def __init__(self, index: int, time_s: float, frame, converter: "Converter", damaged: bool = False):
        self.index, self.time_s, self.damaged = index, time_s, damaged
        self._decoded, self._converter = frame, converter
        self.width, self.height = converter.size(frame)

    @cached_property
    def _frame(self):
        return self._convert(self._converter.upright, self._decoded)

    @staticmethod
    def _convert(how: Callable, *given):
        from av.error import FFmpegError

        try:
            return how(*given)
        except FFmpegError as error:
            raise Unconvertible(str(error)) from error

    def half(self, side: Side) -> Box:
        """The left or right half of the picture, or the whole."""
        middle = self.width // 4 * 2  # even: chroma is stored for pairs of pixels
        left, right = {"whole": (0, self.width), "left": (0, middle), "right": (middle, self.width)}[side]
        return left, 0, right, self.height

    def rgb(self, box: Box | None = None) -> np.ndarray:
        """(height, width, 3) uint8 RGB of a part of the picture."""
        return self._convert(self._converter.rgb, self._frame, box or self.half("whole"))

    def thumbnail(self, box: Box, size: int = 32) -> np.ndarray:
        """About (size, size) uint8 brightness samples of a part of the picture: enough to notice a cut."""
        left, top, right, bottom = box
        every = slice(None, None, max(1, (bottom - top) // size)), slice(None, None, max(1, (right - left) // size))
        frame = self._frame
        plane = frame.planes[0]
        bytes_ = frame.format.is_planar and frame.format.components[0].bits == 8 and not frame.format.is_rgb
        if bytes_ and plane.line_size > 0:  # a picture turned upside down has its lines in reverse
            pixels = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
            return pixels[top:bottom, left:right][every].copy()
        return self.rgb((left, top, right, bottom))[every].mean(axis=2).astype(np.uint8)


class Converter:
    """Bring frames upright, their pixels to squares and parts of them to RGB through libav's filters, which are kept.

    ``pixel_aspect`` is a pixel's width over its height, None where the file does not say.
    """

    def __init__(self, time_base: Fraction, pixel_aspect: Fraction | None = None):
        self._time_base = time_base
        oblong = float(pixel_aspect or 1)
        square = abs(oblong - 1) < NEARLY_SQUARE or not 1 / MAX_OBLONG <= oblong <= MAX_OBLONG
        self._oblong = 1.0 if square else oblong
        self._graphs: dict = {}

    def size(self, frame) -> tuple[int, int]:
        """Width and height of a frame when upright."""
        width, height = self._squared(frame.width, frame.height)
        turned = any(name == "transpose" for name, _ in turns(_matrix(frame)))
        return (height, width) if turned else (width, height)

    def upright(self, frame):
        """The frame as players show it, or the frame itself where it is so already."""
        matrix, size = _matrix(frame), (frame.width, frame.height)
        squared = self._squared(*size)
        steps = turns(matrix)
        if squared != size:
            steps = [("scale", f"{squared[0]}:{squared[1]}"), ("setsar", "1"), *steps]
        return self._run(frame, steps, matrix) if steps else frame

    def rgb(self, frame, box: Box) -> np.ndarray:
        """(height, width, 3) uint8 RGB of a part of a frame that is upright."""
        left, top, right, bottom = box
        steps = [("crop", f"{right - left}:{bottom - top}:{left}:{top}:exact=1"), ("format", "rgb24")]
        return self._run(frame, steps, box).to_ndarray()

    def _squared(self, width: int, height: int) -> tuple[int, int]:
        """Size with square pixels; none is lost."""
        if self._oblong > 1:
            return round(width * self._oblong / 2) * 2, height
        return (width, round(height / self._oblong / 2) * 2) if self._oblong < 1 else (width, height)

    def _run(self, frame, steps: list[Step], what: tuple):
        key = (what, frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range)
        if key not in self._graphs:
            if len(self._graphs) >= 16:
                self._graphs.clear()
            self._graphs[key] = _graph(frame, steps, self._time_base)
        graph = self._graphs[key]
        graph.push(frame)
        return graph.pull()


def _graph(frame, steps: list[Step], time_base: Fraction):
    import av

    graph = av.filter.Graph()
    graph.threads = 1
    buffer = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=time_base)
    filters = [graph.add(name, arguments) for name, arguments in steps]
    graph.link_nodes(buffer, *filters, graph.add("buffersink")).configure()
    return graph


def _matrix(frame) -> tuple[int, int, int, int] | None:
    """The part of a frame's display matrix that turns and mirrors, None where it has none."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return None
    a, b, _, c, d = struct.unpack("<5i", bytes(data)[:20])
    return a, b, c, d


def turns(matrix: tuple[int, int, int, int] | None) -> list[Step]:
    """Filters that do what a display matrix says: any mirror, any angle; none for one that says nothing.

    A matrix (a, b, c, d) brings a pixel to x' = ax + cy and y' = bx + dy.
    """
    if matrix is None or matrix[0] * matrix[3] == matrix[1] * matrix[2]:
        return []
    a, b, c, d = matrix
    mirrored = a * d < b * c
    angle = math.degrees(math.atan2(-b, -a) if mirrored else math.atan2(b, a))  # clockwise, after the mirror
    quarter = round(angle / 90)
    right = abs(angle - 90 * quarter) <= NEARLY_RIGHT_DEG
    turned = _QUARTERS[quarter % 4] if right else [("rotate", f"{math.radians(angle):.6f}")]
    return [("hflip", "")] * mirrored + turned


def progressive(frames: Iterable) -> Iterator:
    """Frames in their order, those of two fields that were taken one after the other made to show one instant.

    From the first interlaced frame on all go through libav's bwdif, which looks at the frames before and after.
    """
    graph, layout, inside, count = None, None, deque(), 0
    for frame in frames:
        now = (frame.width, frame.height, frame.format.name)
        if graph is not None and now != layout:
            yield from _pulled(graph, inside, last=True)
            graph = None
        if graph is None and frame.interlaced_frame:
            graph, layout = _graph(frame, [("bwdif", "mode=send_frame:deint=interlaced")], Fraction(1, 1000)), now
        if graph is None:
            yield frame
            continue
        inside.append(frame.pts)
        count += 1
        frame.pts = count  # whatever it was, the filter wants one
        graph.push(frame)
        yield from _pulled(graph, inside)
    if graph is not None:
        yield from _pulled(graph, inside, last=True)


def _pulled(graph, inside: deque, last: bool = False) -> Iterator:
    """Frames that a graph has ready, with the stamps they came with."""
    import av

    if last:
        graph.push(None)
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        frame.pts = inside.popleft()
        yield frame
