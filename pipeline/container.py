"""Opening a media file: what is not media is named for what it is, and of several streams the right one is taken."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.files import what_lies_at
from pipeline.log import log
from pipeline.records import InputError
from pipeline.stand_in import stand_in

REPLACE = "replace it by a whole copy, or remove it from the corpus"
MAX_STRAY = 10_000  # packets of no known stream, behind which a file is given up


class MediaError(InputError):
    """A media file cannot be used; ``reason`` says why in a few words, ``text`` with what to do, without the path."""

    def __init__(self, path: Path, reason: str, advice: str):
        self.path, self.reason, self.text = path, reason, f"{reason}; {advice}"
        super().__init__(f"{path}: {self.text}")


class NoSound(MediaError):
    """A file has no sound at all."""


@contextmanager
def open_media(path: Path) -> Iterator:
    """An open container; raises MediaError for what is not media, and where libav fails on it inside the block.

    Only plain files are opened: a named pipe would never answer.
    """
    import av

    if not path.exists():
        raise MediaError(path, "no such file", "check its name and the folder it is in")
    if not path.is_file():
        raise MediaError(path, f"not a media file ({what_lies_at(path)})", REPLACE)
    try:
        if found := stand_in(path):
            raise MediaError(path, f"not a media file ({found[0]})", found[1])
        with path.open("rb") as file:
            head = file.read(12)
        # Sorted, an AVI is read by its index, which says for each packet where it stands in time: read in the order of
        # the file, all that follows a packet that was overwritten would come too early.
        options = {"fflags": "+sortdts"} if head[:4] == b"RIFF" and head[8:] == b"AVI " else {}
        # Absolute: libav takes what stands before a colon in a bare name, such as that of a clock time, for a protocol.
        opened = av.open(str(path.absolute()), metadata_errors="ignore", options=options)
    except (av.error.FFmpegError, OSError) as error:
        text = getattr(error, "strerror", None) or str(error)
        raise MediaError(path, f"not a media file ({text})", REPLACE) from None
    try:
        with opened as container:
            yield container
    except av.error.FFmpegError as error:
        raise MediaError(path, f"cannot be decoded ({error.strerror or error})", REPLACE) from None


def lasts_s(path: Path) -> float:
    """How long a file says that it lasts, in seconds; 0 where it does not say, or cannot be opened."""
    try:
        with open_media(path) as container:
            return (container.duration or 0) / 1_000_000
    except MediaError:
        return 0.0


def video_streams(container) -> list:
    """Streams of pictures, the one that is meant first: said to be the default, else the largest.

    Cover art, thumbnails and previews do not count as video.
    """
    from av.stream import Disposition

    small = Disposition.attached_pic | Disposition.timed_thumbnails
    found = [s for s in container.streams.video if s.codec_context and not s.disposition & small]
    return sorted(found, key=lambda s: (not s.disposition & Disposition.default, -s.width * s.height))


def audio_streams(container) -> list:
    """Streams of sound, the one that is meant first: said to be the default, and no commentary or description."""
    from av.stream import Disposition

    aside = Disposition.comment | Disposition.descriptions | Disposition.visual_impaired | Disposition.hearing_impaired
    found = [s for s in container.streams.audio if s.codec_context]
    return sorted(found, key=lambda s: (bool(s.disposition & aside), not s.disposition & Disposition.default))


def video_stream(container, path: Path):
    """The stream of pictures that is meant; raises MediaError where there is none."""
    streams = video_streams(container)
    if not streams:
        raise MediaError(path, "no video stream to decode", "replace it by the video, or remove it from the corpus")
    return streams[0]


def audio_stream(container, path: Path):
    """The stream of sound that is meant; raises NoSound where there is none."""
    streams = audio_streams(container)
    if not streams:
        raise NoSound(path, "no audio stream", "give the file with its sound, or leave audio out")
    return streams[0]


def which(streams: list, what: str) -> str:
    """Which of several streams is taken, in words; empty where there are not several."""
    return f"{len(streams)} streams of {what}; stream {streams[0].index} is taken" if len(streams) > 1 else ""


def say_which(path: Path, streams: list, what: str) -> None:
    """Log which of several streams is taken."""
    if text := which(streams, what):
        log.info("%s: %s", path, text)


def packets(container, *streams) -> Iterator:
    """Packets up to the end of the file and one that empties the decoder, which is None where the file breaks off."""
    import av

    for _ in range(MAX_STRAY):
        try:
            yield from container.demux(*streams)
            return
        except IndexError:  # a packet of a stream that was not there when the file was opened, as after damage
            continue
        except av.error.FFmpegError as error:
            log.warning("%s: cannot be read to its end (%s)", container.name, error.strerror)
            break
    yield None


def decoded(container, stream, lost: list[int | None]) -> Iterator:
    """Every frame that decodes; of a packet that does not, the time stamp is added to ``lost``."""
    import av

    for packet in packets(container, stream):
        try:
            frames = stream.decode(packet)
        except av.error.FFmpegError:
            lost += [packet.pts] if packet else []
            continue
        for frame in frames:
            frame.time_base = stream.time_base
            yield frame


def is_shown(packet) -> bool:
    """Whether a packet of a video stream holds a picture to be seen."""
    if not packet.size or packet.is_discard:
        return False
    # VP8 keeps pictures that are only referred to in packets of their own; RFC 6386, section 9.1.
    return packet.stream.codec_context.name != "vp8" or bool(bytes(packet)[0] & 0x10)
