"""Face crop files: the aligned faces of the segments of one shard's units, read lazily.

Ragged by segment, see :mod:`pipeline.segment_file`; the rows of a segment are its sampled video frames in order::

    /time_s (N, 2)                         start and end of the frame
    /frame_index (N,)                      index of the frame in the decoded video
    /valid (N,) bool                       false: no crop of this segment's person
    /code (N,) uint8, see CODES            /score (N,) float32   0 to 1, see pipeline.faces.align
    /landmarks (N, 5, 2) float32           full-frame pixels, order LANDMARKS
    /mesh (N, 468, 3) float16              in pixels of the crop
    /jpeg (B,) uint8, /jpeg_range (N, 2)   bytes jpeg_range[n, 0]:jpeg_range[n, 1] are crop n

Which rows there are is known before the video is decoded, so rows of several people can be written in any order.
"""

import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from pipeline.segment_file import SegmentFile, SegmentWriter, Track

SCHEMA = 2
CROP_PX = 112
PICTURE_PX = {"face": CROP_PX, "half": 224}
"""What a row shows, and its width and height: an aligned face, or the middle of the person's part of the picture."""
LANDMARKS = ("image-left eye", "image-right eye", "nose tip", "image-left mouth corner", "image-right mouth corner")
CODES = (
    "ok", "no face found", "only the face of somebody else", "frame damaged", "no crop supplied", "crop unreadable"
)  # fmt: skip
OK, NO_FACE, OTHER_FACE, DAMAGED, NO_CROP, BAD_CROP = range(6)
_ROW_ARRAYS = {  # name: (shape of a row, dtype, rows in a chunk)
    "time_s": ((2,), "float64", 4096),
    "frame_index": ((), "int64", 4096),
    "valid": ((), "bool", 4096),
    "score": ((), "float32", 4096),
    "landmarks": ((5, 2), "float32", 1024),
    "mesh": ((468, 3), "float16", 32),
    "code": ((), "uint8", 4096),
    "jpeg_range": ((2,), "int64", 4096),
}
_BUFFER_ROWS = 128
_HELD_ROWS = 2048  # of all segments together, before each is written
_JPEG_CHUNK_BYTES = 1 << 18


def _array(name: str, text: str) -> property:
    return property(lambda track: track._read(name), doc=text)


class FaceTrack(Track):
    """The sampled frames of one segment's person."""

    _file: "FaceFile"
    time_s = _array("time_s", "(n, 2) start and end of each frame, in seconds from the unit's first frame.")
    frame_index = _array("frame_index", "(n,) index of each frame in the decoded video.")
    valid = _array("valid", "(n,) whether the frame shows this segment's person.")
    score = _array("score", "(n,) how well the face fits the template, 0 to 1.")
    code = _array("code", "(n,) why a frame has no crop: an index into CODES.")
    landmarks = _array("landmarks", "(n, 5, 2) pixels of the full frame, ordered as LANDMARKS; zeros where invalid.")

    def _lacking(self) -> list[str]:
        """Of how many frames there is no crop, by cause."""
        counts = np.bincount(self.code, minlength=len(CODES))
        return [f"{CODES[k]} in {n} of {len(self)} frames" for k, n in enumerate(counts) if k != OK and n]

    def mesh(self, first: int = 0, last: int | None = None) -> np.ndarray:
        """(n, 468, 3) mesh points in pixels of the crop; zeros where invalid."""
        return self._read("mesh", first, last)

    def crops(self, first: int = 0, last: int | None = None) -> np.ndarray:
        """(n, px, px, 3) uint8 RGB, see PICTURE_PX: aligned faces of 112; zeros where invalid."""
        from PIL import Image

        spans = self._read("jpeg_range", first, last)
        side_px = self._file.picture_px
        out = np.zeros((len(spans), side_px, side_px, 3), np.uint8)
        filled = np.flatnonzero(spans[:, 1] > spans[:, 0])
        if len(filled) == 0:
            return out
        # One read where the bytes of other people do not lie between; else row by row.
        begin, end = int(spans[filled, 0].min()), int(spans[filled, 1].max())
        dense = end - begin <= 4 * int((spans[filled, 1] - spans[filled, 0]).sum())
        block = self._file.array("jpeg", begin, end) if dense else None
        for i in filled:
            a, b = spans[i]
            data = self._file.array("jpeg", a, b) if block is None else block[a - begin : b - begin]
            with Image.open(io.BytesIO(data.tobytes())) as picture:
                out[i] = np.asarray(picture.convert("RGB"))
        return out


class FaceFile(SegmentFile):
    """Lazy, picklable mapping from segment id to :class:`FaceTrack`; raises InputError for any other file."""

    kind, schema, called = "faces", SCHEMA, f"a face file of schema {SCHEMA}"
    track = FaceTrack

    def _read(self, file) -> None:
        self.picture: str = self.attributes.get("picture", "face")
        self.picture_px = PICTURE_PX[self.picture]


class FaceWriter(SegmentWriter):
    """Write a face file whose rows are planned beforehand; it is moved into place when the block ends well.

    ``plan`` maps each segment id to its frames: ``time_s`` (n, 2) and ``frame_index`` (n,). A row that is never
    written stays invalid with the code ``DAMAGED``. ``attributes`` say how the file was made (JSON).
    """

    kind, schema = "faces", SCHEMA

    def __init__(
        self, path: str | Path, plan: Mapping[str, tuple[np.ndarray, np.ndarray]], attributes: dict | None = None
    ):
        super().__init__(path, {segment_id: len(index) for segment_id, (_, index) in plan.items()}, attributes)
        self._plan = plan
        self._blocks: dict[str, tuple[int, list[dict]]] = {}  # segment -> first row and consecutive rows held back
        self._held_rows = 0
        self._jpeg_bytes = 0
        self._jpeg: list[np.ndarray] = []

    def _create(self, count: int) -> None:
        file = self._file
        for name, (shape, kind, chunk) in _ROW_ARRAYS.items():
            fill = DAMAGED if name == "code" else 0
            size = {
                "shape": (count, *shape),
                "maxshape": (None, *shape),
                "chunks": (min(chunk, count) or chunk, *shape),
            }
            file.create_dataset(name, dtype=kind, fillvalue=fill, fletcher32=True, **size)
        file.create_dataset("jpeg", (0,), "uint8", maxshape=(None,), chunks=(_JPEG_CHUNK_BYTES,), fletcher32=True)
        self._place(self.segment_ids)

    def add(self, plan: Mapping[str, tuple[np.ndarray, np.ndarray]], code: np.ndarray) -> None:
        """Plan more segments, whose ids sort after those there are; until they are written, rows have the ``code`` (F,)
        of their frames."""
        before = int(self.offset[-1])
        self._plan = {**self._plan, **plan}
        self._plan_more({segment_id: len(index) for segment_id, (_, index) in plan.items()})
        for name in _ROW_ARRAYS:
            self._file[name].resize(int(self.offset[-1]), axis=0)
        self._file["code"][before:] = np.concatenate([code[plan[segment_id][1]] for segment_id in sorted(plan)])
        self._place(sorted(plan))

    def _place(self, segment_ids: Iterable[str]) -> None:
        """Write when the frames of segments are."""
        for segment_id in segment_ids:
            time_s, frame_index = self._plan[segment_id]
            first = int(self.offset[self._index[segment_id]])
            if len(frame_index):
                self._file["time_s"][first : first + len(frame_index)] = time_s
                self._file["frame_index"][first : first + len(frame_index)] = frame_index

    def found(
        self,
        segment_id: str,
        row: int,
        jpeg: bytes | np.ndarray,
        score: float = 1.0,
        landmarks: np.ndarray | None = None,
        mesh: np.ndarray | None = None,
    ) -> None:
        """Write one row with a face: JPEG bytes of the crop, score, landmarks (5, 2) and mesh (468, 3)."""
        jpeg = np.frombuffer(jpeg, np.uint8)
        begin = self._jpeg_bytes
        self._jpeg_bytes += len(jpeg)
        self._jpeg.append(jpeg)
        values = {"valid": True, "score": score, "code": OK, "jpeg_range": (begin, self._jpeg_bytes)}
        given = {"landmarks": landmarks, "mesh": None if mesh is None else np.asarray(mesh, np.float16)}
        self._put(segment_id, row, values | {name: 0 if each is None else each for name, each in given.items()})
        if len(self._jpeg) >= _BUFFER_ROWS:
            self._flush_jpeg()

    def absent(self, segment_id: str, row: int, code: int) -> None:
        """Write one row without a face; ``code`` is an index into CODES and not OK."""
        self._put(segment_id, row, {"code": code})

    def _put(self, segment_id: str, row: int, values: dict) -> None:
        if not 0 <= row < len(self._plan[segment_id][1]):
            raise IndexError(f"segment {segment_id} has no row {row}")
        first, block = self._blocks.get(segment_id, (row, []))
        if row != first + len(block) or len(block) >= _BUFFER_ROWS:
            self._flush(segment_id)
            first, block = row, []
        block.append(values)
        self._blocks[segment_id] = (first, block)
        self._held_rows += 1
        if self._held_rows >= _HELD_ROWS:
            self._flush_all()

    def _flush_all(self) -> None:
        for segment_id in list(self._blocks):
            self._flush(segment_id)

    def _flush(self, segment_id: str) -> None:
        first, block = self._blocks.pop(segment_id, (0, []))
        if not block:
            return
        self._held_rows -= len(block)
        begin = int(self.offset[self._index[segment_id]]) + first
        for name in {name: None for values in block for name in values}:  # what is not written takes no room
            shape, kind, _ = _ROW_ARRAYS[name]
            data = np.zeros((len(block), *shape), kind)
            for i, values in enumerate(block):
                data[i] = values.get(name, 0)
            self._file[name][begin : begin + len(block)] = data

    def _flush_jpeg(self) -> None:
        if self._jpeg:
            data = np.concatenate(self._jpeg)
            self._file["jpeg"].resize(self._jpeg_bytes, axis=0)
            self._file["jpeg"][self._jpeg_bytes - len(data) :] = data
            self._jpeg.clear()

    def _finish(self) -> None:
        self._flush_all()
        self._flush_jpeg()
        self._file["code"].attrs["names"] = json.dumps(CODES)
        self._file["landmarks"].attrs["names"] = json.dumps(LANDMARKS)
        super()._finish()
