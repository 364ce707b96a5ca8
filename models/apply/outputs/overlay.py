"""The recording with what is predicted drawn into its pictures, as an mp4 that every player takes; its sound is kept.

Pictures and sound are read, drawn on and written one by one, so memory does not grow with the length of a recording.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from fractions import Fraction
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

from models.apply.answer import Answer, Face
from models.apply.outputs import curves, wording
from models.apply.outputs.curves import DARK, Track
from pipeline.container import REPLACE, MediaError, audio_streams, decoded, open_media
from pipeline.crops import CROP_PX
from pipeline.faces.align import TEMPLATE, similarity_transform
from pipeline.files import replacing
from pipeline.log import log, progress
from pipeline.media import Video
from pipeline.picture import Picture, Unconvertible
from pipeline.stamps import first_picture_s

TIME_BASE = Fraction(1, 90_000)  # holds the stamps of all usual frame rates exactly
SOUND_RATES_HZ = (
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
)  # fmt: skip
"""What AAC knows."""
THREADS = 2
PLATE = (20, 23, 27)
ALARM, ALARM_PLATE = "#7a2e00", (255, 233, 201)
CORNERS = (0, CROP_PX, CROP_PX * (1 + 1j), CROP_PX * 1j)
FRESH_S = 0.5  # how far apart looked-at frames may be for a box to glide from one to the next
BACK_S = 0.01  # how far stamps of sound may go back, which is less than a packet of it lasts


def write_overlay(answer: Answer, path: Path) -> None:
    """Write the recording with a box around each face and the current prediction of its person.

    Each picture keeps its own time stamp, counted from the first; in place of one that damage keeps from being shown,
    the one before stays. Raises MediaError where there is no picture.
    """
    import av

    video, artist = Video(answer.source), Artist(answer)
    pictures = progress(video.pictures(threads=THREADS), f"overlay of {answer.source.name}", len(video.time_s))
    with replacing(path) as temporary, av.open(str(temporary), "w") as out:
        sound, stream = _Sound(out, answer.source), None
        for picture, rgb in _shown(pictures, answer.source):
            if stream is None:
                rate = Fraction(len(video.time_s) / max(float(video.time_s[-1]), 0.04)).limit_denominator(1001)
                stream = _picture_stream(out, picture.width // 2 * 2, picture.height // 2 * 2, rate)
            sound.up_to(picture.time_s)
            frame = av.VideoFrame.from_ndarray(artist.draw(rgb, picture.time_s), "rgb24")
            if (frame.width, frame.height) != (stream.width, stream.height):  # odd, or it changes within the recording
                frame = frame.reformat(stream.width, stream.height)
            frame.pts, frame.time_base = round(picture.time_s / TIME_BASE), TIME_BASE
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
        sound.up_to(float("inf"))


def _shown(pictures: Iterable[Picture], source: Path) -> Iterator[tuple[Picture, np.ndarray]]:
    """Pictures with their pixels, as far as damage allows."""
    counts = Counter[str]()
    for picture in pictures:
        try:
            yield picture, picture.rgb()
            counts["shown"] += 1
        except Unconvertible:
            counts["damaged"] += 1
    if not counts["shown"]:
        raise MediaError(source, "none of its pictures can be shown", REPLACE)
    if counts["damaged"]:
        log.warning("%s: damaged pictures that are left out of the overlay: %d", source, counts["damaged"])


def _picture_stream(out, width: int, height: int, rate: Fraction):
    import av

    h264 = "libx264" in av.codecs_available
    stream = out.add_stream("libx264" if h264 else "mpeg4", rate=rate)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.codec_context.time_base = TIME_BASE if h264 else Fraction(1, 60_000)  # mpeg4 counts with 16 bits
    stream.codec_context.thread_count = THREADS
    # Without pictures that are coded before those they follow, the file begins at 0 for every player.
    stream.options = {"crf": "20", "preset": "veryfast", "bf": "0"} if h264 else {"qscale": "3"}
    return stream


class _Sound:
    """The sound of a recording, written as AAC as far as the pictures are."""

    def __init__(self, out, source: Path):
        self.out, self._stream = out, None
        self._frames: Iterator = iter(())
        self._next: Any = None
        with open_media(source) as container:
            streams = audio_streams(container)
            if not streams:
                return
            context = streams[0].codec_context
            rate, layout = context.sample_rate, "mono" if context.channels == 1 else "stereo"
        self._rate_hz = rate if rate in SOUND_RATES_HZ else 48_000
        self._stream = out.add_stream("aac", rate=self._rate_hz, layout=layout)
        self._stream.bit_rate = 96_000 if layout == "mono" else 160_000
        self._frames = self._resampled(source, layout)
        self._next = next(self._frames, None)

    def _resampled(self, source: Path, layout: str) -> Iterator:
        import av

        zero_s = first_picture_s(source)
        with open_media(source) as container:
            frames = _since(zero_s, decoded(container, audio_streams(container)[0], []))
            for _, alike in groupby(frames, key=attrgetter("format.name", "layout.name", "sample_rate")):
                resampler = av.AudioResampler("fltp", layout, self._rate_hz)  # takes no others
                for frame in alike:
                    yield from resampler.resample(frame)
                yield from resampler.resample(None)

    def up_to(self, time_s: float) -> None:
        """Write what begins no later than a time; everything that is left, and the end, where that is infinite."""
        while self._next is not None and float(self._next.pts * self._next.time_base) <= time_s:
            self.out.mux(self._stream.encode(self._next))
            self._next = next(self._frames, None)
        if self._stream is not None and time_s == float("inf"):
            self.out.mux(self._stream.encode())


def _since(zero_s: float, frames: Iterable) -> Iterator:
    """Frames of sound from a time on, from which their stamps then count, but for those that go back in time."""
    reached_s = 0.0  # before the first picture there is nothing to hear it with
    for frame in frames:
        start_s = float(frame.pts * frame.time_base) - zero_s if frame.pts is not None else reached_s
        if start_s >= max(0.0, reached_s - BACK_S):
            reached_s = start_s + frame.samples / frame.sample_rate
            frame.time_base = Fraction(1, frame.sample_rate)
            frame.pts = round(start_s * frame.sample_rate)
            yield frame


class Artist:
    """Draws boxes and labels of one answer into its pictures."""

    def __init__(self, answer: Answer):
        self.answer = answer
        self._tracks = curves.tracks(answer, most=max(1, len(answer.rows)))
        self._faces = {face.person: face for face in answer.faces}
        self._several = len(self._tracks) > 1

    def draw(self, rgb: np.ndarray, time_s: float) -> np.ndarray:
        """A picture (height, width, 3) with boxes, labels and, of a demonstration, a strip that says so.

        Of several people whose faces are followed those out of view have no label: together they would cover a picture.
        """
        import cv2

        picture = np.ascontiguousarray(rgb)
        height, width = picture.shape[:2]
        size_px = max(11, round(height / 30))
        unplaced_px = height - size_px // 2
        strip = label(wording.WARNING, ALARM, size_px, ALARM_PLATE) if self.answer.demonstration else None
        top_px = 0 if strip is None else strip.shape[0]
        for track in self._tracks:
            lines, colour = self._predicted(track, time_s)
            face = self._faces.get(track.person)
            corners = box_at(face, time_s)
            if corners is not None:
                # Sixteenths of a pixel; cv2 counts from the middle of the first, corners are counted from its edge.
                points = np.round((corners - 0.5) * 16).astype(np.int32)
                red_green_blue = tuple(int(colour[k : k + 2], 16) for k in (1, 3, 5))
                cv2.polylines(picture, [points], True, red_green_blue, max(2, size_px // 8), cv2.LINE_AA, shift=4)
            elif not lines or (face is not None and self._several):
                continue
            if not (text := "\n".join([track.person] * self._several + lines)):
                continue
            tile = label(text, colour, size_px)
            if corners is None:
                unplaced_px -= tile.shape[0]
                _paste(picture, tile, size_px // 2, unplaced_px)
            else:
                above_px = int(corners[:, 1].min()) - tile.shape[0] - 2
                _paste(picture, tile, int(corners[:, 0].min()), max(above_px, top_px))
        if strip is not None:
            picture[:top_px] = ALARM_PLATE
            _paste(picture, strip, (width - strip.shape[1]) // 2, 0)
        return picture

    def _predicted(self, track: Track, time_s: float) -> tuple[list[str], str]:
        """What is predicted of a person at a time, in lines, and its colour; no line where nothing is."""
        step = track.at(time_s)
        if step is None or not np.isfinite(track.values[step]).all():
            return [], DARK[-1]
        values = track.values[step]
        colour = DARK[0] if self.answer.numbers else DARK[wording.winner(values) % len(DARK)]
        return wording.headlines(self.answer, values), colour


def box_at(face: Face | None, time_s: float) -> np.ndarray | None:
    """(4, 2) corners of a person's aligned crop in the picture at a time, None where the face is not seen.

    Between two looked-at frames that both show the face the box glides from one to the other.
    """
    if face is None:
        return None
    k = int(np.searchsorted(face.time_s[:, 0], time_s + 1e-6, side="right")) - 1
    if k < 0 or not face.valid[k] or time_s >= face.time_s[k, 1]:
        return None
    landmarks = face.landmarks[k].astype(np.float64)
    if k + 1 < len(face.valid) and face.valid[k + 1]:
        step_s = face.time_s[k + 1, 0] - face.time_s[k, 0]
        share = max(0.0, time_s - face.time_s[k, 0]) / step_s if 0 < step_s <= FRESH_S else 0.0
        landmarks += share * (face.landmarks[k + 1] - landmarks)
    turn, shift = similarity_transform((landmarks[:, 0] + 1j * landmarks[:, 1]).tolist(), TEMPLATE)
    corners = np.array([(corner - shift) / turn for corner in CORNERS])
    return np.stack([corners.real, corners.imag], axis=1)


@lru_cache(maxsize=512)
def label(text: str, colour: str, size_px: int, plate: tuple[int, int, int] = PLATE) -> np.ndarray:
    """Lines of text on a plate, (height, width, 3) uint8."""
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size_px)
    left, top, right, bottom = ImageDraw.Draw(Image.new("RGB", (1, 1))).multiline_textbbox((0, 0), text, font)
    pad = max(2, size_px // 4)
    tile = Image.new("RGB", (int(right - left) + 2 * pad, int(bottom - top) + 2 * pad), plate)
    ImageDraw.Draw(tile).multiline_text((pad - left, pad - top), text, colour, font)
    return np.asarray(tile)


def _paste(picture: np.ndarray, tile: np.ndarray, left: int, top: int) -> None:
    """Put a tile where it is asked to be, or as near as the picture allows."""
    height, width = min(tile.shape[0], picture.shape[0]), min(tile.shape[1], picture.shape[1])
    left = min(max(left, 0), picture.shape[1] - width)
    top = min(max(top, 0), picture.shape[0] - height)
    picture[top : top + height, left : left + width] = tile[:height, :width]
