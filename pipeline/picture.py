"""One decoded picture: its place in time, and its pixels, converted only when, and only where, they are looked at."""

from fractions import Fraction

import numpy as np

from pipeline.records import Side

Box = tuple[int, int, int, int]
"""Left, top, right and bottom pixel of a part of the picture; right and bottom are not included."""


class Picture:
    """One decoded frame; pixels are converted when asked for."""

    def __init__(self, index: int, time_s: float, frame, converter: "Converter"):
        self.index, self.time_s = index, time_s
        self._frame, self._converter = frame, converter
        turned = frame.rotation % 180 != 0
        self.width, self.height = (frame.height, frame.width) if turned else (frame.width, frame.height)

    def half(self, side: Side) -> Box:
        """The left or right half of the picture, or the whole."""
        middle = self.width // 4 * 2  # even: chroma is stored for pairs of pixels
        left, right = {"whole": (0, self.width), "left": (0, middle), "right": (middle, self.width)}[side]
        return left, 0, right, self.height

    def rgb(self, box: Box | None = None) -> np.ndarray:
        """(height, width, 3) uint8 RGB of a part of the picture, upright."""
        return self._converter.rgb(self._frame, box or self.half("whole"))

    def thumbnail(self, box: Box | None = None, size: int = 32) -> np.ndarray:
        """About (size, size) uint8 brightness samples of a part of the picture: enough to notice a cut."""
        left, top, right, bottom = box or self.half("whole")
        frame = self._frame
        stored_as_bytes = frame.format.is_planar and frame.format.components[0].bits == 8 and not frame.format.is_rgb
        if stored_as_bytes and frame.rotation % 360 == 0:
            plane = frame.planes[0]
            pixels = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
            part = pixels[top:bottom, left:right]
        else:
            part = self.rgb((left, top, right, bottom))[:, :, 1]
        return part[:: max(1, (bottom - top) // size), :: max(1, (right - left) // size)].copy()


class Converter:
    """Convert parts of frames to upright RGB through libav's filters, which are kept for the next frame."""

    def __init__(self, time_base: Fraction):
        self._time_base = time_base
        self._graphs: dict = {}

    def rgb(self, frame, box: Box) -> np.ndarray:
        """(height, width, 3) uint8 RGB of a part of a frame, upright."""
        rotation = frame.rotation % 360
        key = (box, frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range, rotation)
        if key not in self._graphs:
            if len(self._graphs) >= 16:
                self._graphs.clear()
            self._graphs[key] = self._build(frame, box, rotation)
        graph = self._graphs[key]
        graph.push(frame)
        return graph.pull().to_ndarray()

    def _build(self, frame, box: Box, rotation: int):
        import av

        left, top, right, bottom = box
        graph = av.filter.Graph()
        graph.threads = 1
        chain = [
            graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=self._time_base)
        ]
        # The display matrix turns counter-clockwise; what players show is the picture turned by it.
        turns = {90: ["cclock"], 180: ["clock", "clock"], 270: ["clock"]}.get(rotation, [])
        chain += [graph.add("transpose", turn) for turn in turns]
        chain.append(graph.add("crop", f"{right - left}:{bottom - top}:{left}:{top}:exact=1"))
        chain.append(graph.add("format", "rgb24"))
        chain.append(graph.add("buffersink"))
        graph.link_nodes(*chain).configure()
        return graph
