"""MediaPipe's face detector and face mesh, each behind one small class.

The detector sees all faces of a picture, small ones too; it is slow and has no memory. A tracker follows one face with
the mesh in tracking mode. It looks through a square window around its face: nobody else's face is in it most of the
time, a small face is large in it, and only its pixels are converted to RGB. (The mesh model also misplaces points of
tilted heads in pictures that are not square.)
"""

import contextlib
import os
import sys
import tempfile
import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pipeline.faces.align import Face, apart, five_points
from pipeline.picture import Box, Picture

POINTS = 468
MIN_CONFIDENCE = 0.5  # the detector's, as in the mesh's own graph
WINDOW_FACES = 3.0  # side of a tracker's window over the size of its face
MIN_WINDOW_PX = 96
MIN_PART_PX = 320  # side of a part of the picture that is searched by itself for small faces
_GRAPH = "mediapipe/modules/face_landmark/face_landmark_front_cpu.binarypb"  # what solutions.FaceMesh runs
_LANDMARKS = "multi_face_landmarks"
_PRESENCE = "facelandmarkcpu__face_presence_score"
# One serialised NormalizedLandmark: tag and length of the message, then x, y and z with a tag before each.
_LANDMARK = np.dtype({"names": ["x", "y", "z"], "formats": ["<f4"] * 3, "offsets": [3, 8, 13], "itemsize": 17})

_TAGS = b"\x0d" * POINTS + b"\x15" * POINTS + b"\x1d" * POINTS


@dataclass(slots=True)
class Detection:
    """A face the detector found: centre and size in pixels of the full picture, and four points: image-left eye,
    image-right eye, nose tip, middle of the mouth."""

    centre: complex
    width: float
    points: list[complex]

    def differs(self, face: Face) -> float:
        """Mean distance of a mesh's points from the detector's, in widths of the face; some hundredths if it fits."""
        eye, other, nose, *mouth = five_points(face.plane)
        own = (eye, other, nose, sum(mouth) / 2)
        return sum(abs(a - b) for a, b in zip(own, self.points, strict=True)) / 4 / self.width


class Detector:
    """Find every face in a part of a picture, with MediaPipe's full-range detector, opened when it is first asked."""

    _picture: Picture | None = None  # the one that was looked at last, ...
    _known: dict[tuple[Box, bool], list[Detection]]  # ... and what was found in its parts

    @cached_property
    def _detector(self):
        import cv2

        cv2.setNumThreads(1)  # the workflow counts on one core per video
        with quiet():
            detector = _solutions().face_detection.FaceDetection(
                model_selection=1, min_detection_confidence=MIN_CONFIDENCE
            )
            detector.process(np.zeros((64, 64, 3), np.uint8))
        return detector

    def find(self, picture: Picture, region: Box, thorough: bool = False) -> list[Detection]:
        """Faces in ``region``, largest first.

        ``thorough``: where there is none, look at parts of the region too. The detector sees a picture as 192 pixels
        and no face smaller than a twentieth of it. To ask again of the same picture costs nothing.
        """
        if picture is not self._picture:
            self._picture, self._known = picture, {}
        if (region, thorough) not in self._known:
            self._known[region, thorough] = self._find(picture, region, thorough)
        return self._known[region, thorough]

    def _find(self, picture: Picture, region: Box, thorough: bool) -> list[Detection]:
        found = self.find(picture, region) if thorough else self.find_in(picture.rgb(region), region[:2])
        if thorough and not found:
            for part in _parts(region):
                more = self.find_in(picture.rgb(part), part[:2])
                found = [*found, *(s for s in more if all(apart(s, known) for known in found))]
        return sorted(found, key=lambda detection: -detection.width)

    def find_in(self, rgb: np.ndarray, origin: tuple[int, int]) -> list[Detection]:
        """Faces in a part of a picture whose left upper pixel is ``origin``."""
        height, width = rgb.shape[:2]

        def place(x: float, y: float) -> complex:
            return complex(origin[0] + x * width, origin[1] + y * height)

        found = []
        for detection in self._detector.process(rgb).detections or ():
            box = detection.location_data.relative_bounding_box
            points = [place(p.x, p.y) for p in detection.location_data.relative_keypoints[:4]]
            centre = place(box.xmin + box.width / 2, box.ymin + box.height / 2)
            found.append(Detection(centre, max(box.width * width, box.height * height), points))
        return found

    def close(self) -> None:
        """Free the model."""
        if "_detector" in self.__dict__:
            self._detector.close()


class Tracker:
    """Follow one face with the face mesh in tracking mode."""

    _announced = False  # whether MediaPipe has printed its start-up message in this process

    def __init__(self):
        self._window: Box | None = None
        self._tracking = False
        with quiet():
            _solutions()
            from mediapipe.python import CalculatorGraph, packet_creator

            self._image = packet_creator.create_image_frame
            self._mesh = CalculatorGraph(graph_config=_graph_config())
            self._outputs: dict = {}
            for stream in (_LANDMARKS, _PRESENCE):
                self._mesh.observe_output_stream(stream, self._outputs.__setitem__, True)
            self._mesh.start_run(
                {
                    "num_faces": packet_creator.create_int(1),
                    "with_attention": packet_creator.create_bool(False),
                    "use_prev_landmarks": packet_creator.create_bool(True),
                }
            )
            self._step = 0
            self._clear()

    @property
    def locked(self) -> bool:
        """Whether the tracker has a face to follow."""
        return self._window is not None

    def lock(self, centre: complex, width: float, region: Box) -> None:
        """Look for a face at ``centre`` from the next picture on, and forget the former one."""
        self.release()
        self._window = _window(centre, width, region)

    def release(self) -> None:
        """Forget the face; costs one run of the mesh on a black picture, far less than opening the graph anew."""
        self._window = None
        if self._tracking:
            self._clear()

    def _clear(self) -> None:
        # Without a face in it the tracker has nothing to go on from, and detects in the next picture.
        self._run(np.zeros((64, 64, 3), np.uint8), (0, 0))
        self._tracking = False

    def follow(self, picture: Picture, region: Box) -> Face | None:
        """The face in this picture, or None; the window moves along when the face comes near its border."""
        rgb = picture.rgb(self._window)
        face = self._run(rgb, self._window[:2])
        if face is None and self._tracking:  # lost by tracking alone: now the detector looks at the same picture
            face = self._run(rgb, self._window[:2])
        self._tracking = face is not None
        if face is not None and not self._comfortable(face, region):
            self.lock(face.centre, face.width, region)
        return face

    def _comfortable(self, face: Face, region: Box) -> bool:
        left, top, right, bottom = self._window
        side = right - left
        largest = min(region[2] - region[0], region[3] - region[1])
        size = face.width
        too_small = size > side / 1.8 and side < largest - 1
        too_large = size < side / 5 and side > MIN_WINDOW_PX + 1
        if too_small or too_large:
            return False
        x, y = face.centre.real, face.centre.imag
        margin = 0.8 * size  # the crop reaches this far from the middle of the face
        return (
            (x - margin >= left or left <= region[0])
            and (y - margin >= top or top <= region[1])
            and (x + margin <= right or right >= region[2] - 1)
            and (y + margin <= bottom or bottom >= region[3] - 1)
        )

    def _run(self, rgb: np.ndarray, origin: tuple[int, int]) -> Face | None:
        from mediapipe.python import ImageFormat, packet_getter

        self._outputs.clear()
        self._step += 1
        image = self._image(image_format=ImageFormat.SRGB, data=rgb).at(self._step)
        with contextlib.nullcontext() if Tracker._announced else quiet():
            self._mesh.add_packet_to_input_stream("image", image)
            self._mesh.wait_until_idle()
        found = self._outputs.get(_LANDMARKS)
        if found is None or found.is_empty():
            return None
        Tracker._announced = True
        plane, depth = _points(packet_getter.get_proto_list(found)[0])
        side = rgb.shape[0]  # the window is a square; MediaPipe gives depth in widths of the picture
        plane = plane * side + complex(*origin)
        return Face(plane, depth * side, packet_getter.get_float(self._outputs[_PRESENCE]), rgb, origin)

    def close(self) -> None:
        """Free the model."""
        self._mesh.close()


def _points(landmarks) -> tuple[np.ndarray, np.ndarray]:
    """(468,) complex places and (468,) depths, read from the serialised message: to touch 1,404 attributes takes longer
    than to make a crop."""
    data = landmarks.SerializeToString()
    if len(data) == POINTS * _LANDMARK.itemsize and data[2::17] + data[7::17] + data[12::17] == _TAGS:
        fields = np.frombuffer(data, _LANDMARK)
        return fields["x"] + 1j * fields["y"].astype(np.float64), fields["z"].astype(np.float64)
    points = landmarks.landmark[:POINTS]
    return np.array([complex(p.x, p.y) for p in points]), np.array([p.z for p in points])


def _parts(region: Box) -> list[Box]:
    """Squares half as wide as the region, each over half of the next; none where that would not enlarge anything."""
    left, top, right, bottom = region
    side = max(right - left, bottom - top) // 4 * 2
    if side < MIN_PART_PX:
        return []

    def starts(low, high):
        room = max(high - low - side, 0)
        count = -(-room // (side // 2)) + 1
        return [low + room * k // max(count - 1, 1) // 2 * 2 for k in range(count)]

    return [
        (x, y, min(x + side, right), min(y + side, bottom)) for y in starts(top, bottom) for x in starts(left, right)
    ]


def _window(centre: complex, width: float, region: Box) -> Box:
    """A square with even edges around a face, inside of ``region``."""
    left, top, right, bottom = region
    side = min(max(int(WINDOW_FACES * width), MIN_WINDOW_PX), right - left, bottom - top) // 2 * 2
    x = int(min(max(centre.real - side / 2, left), right - side)) // 2 * 2
    y = int(min(max(centre.imag - side / 2, top), bottom - side)) // 2 * 2
    return x, y, x + side, y + side


def _solutions():
    """MediaPipe's solutions, imported without the plotting library that they only need to draw pictures."""
    if "mediapipe" not in sys.modules and "matplotlib" not in sys.modules:
        names = ("matplotlib", "matplotlib.pyplot")
        sys.modules.update({name: types.ModuleType(name) for name in names})
        try:
            import mediapipe
        finally:
            for name in names:
                del sys.modules[name]
    import mediapipe

    return mediapipe.solutions


def _graph_config():
    """The graph behind ``solutions.FaceMesh``, run by the calling thread.

    FaceMesh keeps the model's confidence to itself, and hands every picture to a pool of threads, one for each core of
    the machine, which costs a sixth of the time and more cores than the workflow reserves for a video.
    """
    import mediapipe
    from mediapipe.framework.calculator_pb2 import CalculatorGraphConfig
    from mediapipe.python import ValidatedGraphConfig, resource_util

    root = Path(mediapipe.__file__).parent.parent
    resource_util.set_resource_dir(str(root))  # where the graph finds its models
    graph = ValidatedGraphConfig()
    graph.initialize(binary_graph_path=str(root / _GRAPH))
    config = CalculatorGraphConfig.FromString(graph.binary_config)
    del config.executor[:]
    config.executor.add(type="ApplicationThreadExecutor")
    return config


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what native code writes to the error stream while a model starts; show it if that fails.

    MediaPipe announces its delegates and unused features there at every start, whatever the level of logging.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        try:
            yield
        except BaseException:
            captured.seek(0)
            os.write(kept, captured.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
