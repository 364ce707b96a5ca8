"""What a page can play: a recording that browsers know, held in the page or referred to, or a sentence why not."""

import base64
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from pipeline.container import MediaError, audio_streams, open_media, video_streams
from pipeline.stamps import first_picture_s

# What current Chromium, Firefox and Safari all play: files by suffix, streams by the name of their codec in libav.
TYPES = {
    ".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/mp4", ".webm": "video/webm",
    ".wav": "audio/wav", ".mp3": "audio/mpeg", ".m4a": "audio/mp4", ".flac": "audio/flac",
}  # fmt: skip
PICTURES = {"h264", "vp8", "vp9", "av1"}
SOUNDS = {"aac", "mp3", "opus", "vorbis", "flac", "pcm_s16le", "pcm_u8"}
EMBED_BELOW_BYTES = 20_000_000  # smaller files are held in the page


@dataclass(frozen=True)
class Player:
    """How a page plays a recording.

    ``element`` is video or audio, None where nothing plays, and then ``reason`` says why. ``data`` holds the file in
    base 64; where it is None, ``address`` leads to it from the page. ``offset_s`` is the first picture's time
    in the player.
    """

    element: str | None = None
    type: str = ""
    address: str = ""
    data: str | None = None
    offset_s: float = 0.0
    reason: str = ""


def player(path: Path, folder: Path) -> Player:
    """How a page in ``folder`` plays a file."""
    try:
        with open_media(path) as container:
            pictures, sounds = video_streams(container), audio_streams(container)
            lacks, zero_s = ", ".join(_lacking(path, pictures, sounds)), (container.start_time or 0) / 1e6
        offset_s = first_picture_s(path) - zero_s if pictures else 0.0
    except MediaError as error:
        return Player(reason=f"The recording cannot be played here: {error.reason}.")
    if lacks:
        return Player(
            reason=f"Browsers do not play {lacks}; the curves, words and table work without. "
            "Run the prediction with --overlay to get an mp4 that plays."
        )
    element = "video" if pictures else "audio"
    kind = TYPES[path.suffix.lower()].replace("video", element)
    if path.stat().st_size < EMBED_BELOW_BYTES:
        return Player(element, kind, data=base64.b64encode(path.read_bytes()).decode(), offset_s=offset_s)
    address = quote(os.fsencode(Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix()))
    return Player(element, kind, address=f"./{address}", offset_s=offset_s)


def _lacking(path: Path, pictures: list, sounds: list) -> Iterator[str]:
    if path.suffix.lower() not in TYPES:
        yield f"files of the kind {path.suffix or 'without a suffix'}"
    for what, streams, known in (("pictures", pictures, PICTURES), ("sound", sounds, SOUNDS)):
        codecs = [stream.codec_context.codec.canonical_name for stream in streams[:1]]
        yield from (f"{what} coded as {codec}" for codec in codecs if codec not in known)
