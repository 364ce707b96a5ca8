"""A tree of a hundred recordings, half of them damaged in the ways that people have met, and the table that lists them.

Good ones show a face that nods a little and sound a tone for most of a second, in many containers and under odd names.
"""

import os
import random
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import av
import numpy as np
import soundfile

from pipeline.names import AUDIO_SUFFIXES, VIDEO_SUFFIXES
from tests.clips import ffmpeg, write_clip

FPS, FRAMES, RATE_HZ = 25, 20, 16_000
HOLDS_OTHERS = {  # what a container that cannot hold H.264 and AAC gets
    ".webm": ("-c:v", "libvpx", "-b:v", "2M", "-c:a", "libvorbis"),
    ".ogv": ("-c:v", "libtheora", "-q:v", "9", "-c:a", "libvorbis"),
    ".mpg": ("-c:v", "mpeg1video", "-q:v", "2", "-c:a", "mp2"),
    ".mpeg": ("-c:v", "mpeg2video", "-q:v", "2", "-c:a", "mp2"),
    ".wmv": ("-c:v", "wmv2", "-q:v", "2", "-c:a", "wmav2"),
    ".asf": ("-c:v", "wmv2", "-q:v", "2", "-c:a", "wmav2"),
    ".vob": ("-c:v", "mpeg2video", "-q:v", "2", "-c:a", "ac3"),
    ".mxf": ("-c:v", "mpeg2video", "-q:v", "2", "-c:a", "pcm_s16le", "-ar", "48000"),
    ".avi": ("-c:v", "mpeg4", "-q:v", "2", "-c:a", "libmp3lame"),
}
NAMES = [
    "two words", "comma, and", "{braces}", "<angles>", "'single'", '"double"', "semi;colon", "100 % & more", "#hash",
    "`tick` $HOME", "ünïcødé", "de\u0301compose\u0301", "🎬", "-dash", "[set]", "line\nbreak",
    "carriage\rreturn", "tab\tstop", os.fsdecode(b"caf\xe9 latin"), "x" * 200, "back\\slash", "CON", "dots..", "=1+1",
]  # fmt: skip
"""Names that a shell, a table, Snakemake, a spreadsheet or another system would trip over."""


@dataclass
class Tree:
    """The folder, the rows of its table, and what is bad: by segment, its modality and words of the reason."""

    root: Path
    rows: list[dict[str, str]] = field(default_factory=list)
    good: dict[str, tuple[str, ...]] = field(default_factory=dict)  # segment to the modalities that it has
    bad: dict[str, tuple[str, str]] = field(default_factory=dict)
    unlisted: list[str] = field(default_factory=list)  # words that coverage must have of rows that are none

    def add(self, name: str, **cells: str) -> str:
        """A row with a name of its own; whose label, speaker and transcript are not given gets some."""
        k = len(self.rows)
        usual = {"speaker": f"s{k % 3}", "label": ("calm", "cross")[k // 3 % 2], "transcript": "said.tsv"}
        self.rows.append({"segment_id": name, **usual, **cells})
        return name

    def write(self) -> None:
        import csv

        columns = list(dict.fromkeys(column for row in self.rows for column in row))
        with (self.root / "segments.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(self.rows)


def nodding(count: int = FRAMES, size: int = 240) -> list[np.ndarray]:
    """Pictures of one face, moved a little from each to the next."""
    import cv2
    from skimage import data

    face = cv2.resize(data.astronaut()[10:230, 110:330], (size + 20, size + 20))
    return [face[k % 5 : k % 5 + size, 10 : 10 + size].copy() for k in range(count)]


def make(root: Path) -> Tree:
    """Write the whole tree and its table."""
    tree = Tree(root)
    root.mkdir()
    tone = 0.3 * np.sin(2 * np.pi * 220 * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32)
    whole = root / "whole.mp4"
    pictures = nodding()
    write_clip(whole, pictures, np.arange(FRAMES) / FPS, sound=(tone[: RATE_HZ * FRAMES // FPS], RATE_HZ, 0.0, "aac"))
    soundfile.write(root / "whole.wav", tone, RATE_HZ)
    (root / "said.tsv").write_text("word\tstart\tend\nwell\t0.1\t0.3\nyes\t0.3\t0.6\n")
    _good(tree, whole)
    _bad_media(tree, whole, tone)
    _bad_pictures(tree, pictures)
    _bad_words(tree, whole)
    _bad_rows(tree)
    tree.write()
    return tree


def _good(tree: Tree, whole: Path) -> None:
    root, all_three = tree.root, ("video", "audio", "text")
    for suffix in VIDEO_SUFFIXES:
        codec = HOLDS_OTHERS.get(suffix, ("-c:v", "libx264", "-crf", "10", "-c:a", "aac"))
        ffmpeg("-i", whole, "-ac", "1", "-ar", "44100", *codec, root / f"film{suffix}")
        tree.good[tree.add(f"film_{suffix[1:]}", video=f"film{suffix}")] = all_three
    for suffix in AUDIO_SUFFIXES:
        codec = ("-c:a", "libopus") if suffix == ".opus" else ()
        ffmpeg("-i", root / "whole.wav", *codec, "-ar", "48000", root / f"sound{suffix}")
        tree.good[tree.add(f"sound_{suffix[1:]}", audio=f"sound{suffix}")] = ("audio", "text")
    (root / "odd").mkdir()
    for k, name in enumerate(NAMES):
        (root / "odd" / f"{name}.mp4").hardlink_to(whole)
        if k % 2:  # the other half are found by a pattern
            (root / "odd" / f"{name}.mp4").rename(root / "odd" / f"{name}.MP4")
            if name.isprintable() and name.isascii():
                tree.good[tree.add(f"name_{k}", video=f"odd/{name}.MP4")] = all_three
    tree.rows.append({"video": "odd/*.mp4", "speaker": "s1", "label": "calm", "transcript": "said.tsv"})
    turned = {"turned": ("-display_rotation", "90"), "upside_down": ("-display_rotation", "180")}
    for name, matrix in turned.items():
        filters = ("-vf", f"rotate=PI/{2 if name == 'turned' else 1}")
        ffmpeg("-i", whole, *filters, "-c:a", "copy", root / "rotated.mp4")
        ffmpeg(*matrix, "-i", root / "rotated.mp4", "-c", "copy", root / f"{name}.mp4")
        tree.good[tree.add(name, video=f"{name}.mp4")] = all_three
    ffmpeg("-i", whole, "-vf", "scale=180:240,setsar=4/3", "-c:a", "copy", root / "oblong.mp4")
    tree.good[tree.add("oblong", video="oblong.mp4")] = all_three
    both = ("-f", "lavfi", "-i", "color=s=64x64:d=0.8:r=25", "-i", whole, "-map", "0:v", "-map", "1:v", "-map", "1:a")
    meant = ("-disposition:v:0", "0", "-disposition:v:1", "default")
    ffmpeg(*both, "-c:a", "copy", *meant, root / "preview.mp4")
    tree.good[tree.add("preview_first", video="preview.mp4")] = all_three
    tree.good[tree.add("words_alone", text="so it is", transcript="")] = ("text",)


def _bad_media(tree: Tree, whole: Path, tone: np.ndarray) -> None:
    """Files that are no media, or hold no more than a part."""
    root, draw = tree.root, random.Random(1)
    stand_ins = {
        "empty": (b"", "an empty file"),
        "text": (b"This is not a video.", "not a media file"),
        "html": (b"<!DOCTYPE html><html>404</html>", "a web page"),
        "xml": (b"<?xml version='1.0'?><Error/>", "an XML text"),
        "pointer": (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:46\nsize 44\n",
            "of Git large-file storage",
        ),
        "annex": (b"/annex/objects/SHA256E-s1--0.mp4\n", "a pointer of git-annex"),
        "refused": (b'{"error": "no"}', "an error message of a server"),
        "zeros": (bytes(5000), "not a media file"),
        "noise": (draw.randbytes(5000), "not a media file"),
        "zip": (b"PK\x03\x04" + draw.randbytes(900), "not a media file"),
    }
    for (name, (content, words)), (kind, suffix) in product(stand_ins.items(), (("video", ".mp4"), ("audio", ".wav"))):
        (root / f"{name}{suffix}").write_bytes(content)
        tree.bad[tree.add(f"{name}_{kind}", **{kind: f"{name}{suffix}"})] = (kind, words)
    cuts = {
        "mp4": (0.5, "not a media file"),
        "mkv": (0.02, "not a media file"),
        "flv": (0.5, "no frame can be decoded"),
        "avi": (0.5, "truncated"),
        "webm": (0.5, "truncated"),
    }
    for form, (share, words) in cuts.items():
        content = (root / f"film.{form}").read_bytes()
        (root / f"cut.{form}").write_bytes(content[: int(len(content) * share)])
        tree.bad[tree.add(f"cut_{form}", video=f"cut.{form}")] = ("video", words)
    (root / "cut.wav").write_bytes((root / "whole.wav").read_bytes()[:9000])
    tree.bad[tree.add("cut_wav", audio="cut.wav", end_s="1")] = ("audio", "sound ends 0.72 s early")
    soundfile.write(root / "nan.wav", np.where(np.arange(RATE_HZ) // 800 == 10, np.nan, tone), RATE_HZ, subtype="FLOAT")
    tree.bad[tree.add("nan", audio="nan.wav")] = ("audio", "no sound for 0.05 s in between")
    tree.unlisted.append("1 cells hold nan and count as empty (1 of segment_id)")  # it is named after its file
    soundfile.write(root / "all_nan.wav", np.full(RATE_HZ, np.nan), RATE_HZ, subtype="FLOAT")
    tree.bad[tree.add("all_nan", audio="all_nan.wav")] = ("audio", "no sample can be decoded")
    soundfile.write(root / "silent.wav", np.zeros(RATE_HZ), RATE_HZ)
    tree.bad[tree.add("silent", audio="silent.wav")] = ("audio", "silent")
    soundfile.write(root / "no_samples.wav", np.zeros(0), RATE_HZ)
    tree.bad[tree.add("no_samples", audio="no_samples.wav")] = ("audio", "no sample can be decoded")
    ffmpeg("-i", whole, "-c", "copy", "-an", root / "mute.mp4")
    tree.bad[tree.add("mute", video="mute.mp4")] = ("audio", "no audio stream")
    ffmpeg("-i", root / "whole.wav", root / "no_picture.mp4")
    tree.bad[tree.add("no_picture", video="no_picture.mp4")] = ("video", "no video stream")
    (root / "a.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nhello\n")
    ffmpeg("-i", root / "a.srt", root / "no_streams.mkv")
    tree.bad[tree.add("no_streams", video="no_streams.mkv")] = ("video", "no video stream")
    dropped = ("-bsf:a", "noise=drop=between(n\\,40\\,100)")
    ffmpeg("-stream_loop", "14", "-i", whole, "-c", "copy", *dropped, root / "hole.mkv")
    tree.bad[tree.add("hole", video="hole.mkv")] = ("audio", "no sound for 4.67 s in between")
    ffmpeg("-i", whole, "-c", "copy", "-bsf:v", "setts=ts=TS+gte(N\\,10)*36000/TB", root / "jump.mkv")
    tree.bad[tree.add("jump", video="jump.mkv")] = ("video", "impossible time stamps")
    ffmpeg("-stream_loop", "4", "-i", whole, "-c", "copy", root / "long.ts")
    (root / "twice.ts").write_bytes((root / "long.ts").read_bytes() * 2)
    tree.bad[tree.add("twice", video="twice.ts")] = ("video", "go back by")


def _bad_pictures(tree: Tree, pictures: list[np.ndarray]) -> None:
    """Videos that decode to nothing, to smears, or to no face."""
    root, draw = tree.root, random.Random(2)
    whole = root / "film.mp4"
    with av.open(str(whole)) as container:
        packets = [bytes(p) for p in container.demux(video=0) if p.size]
    for name, which, words in (("no_frame", packets, "no frame can be decoded"), ("smeared", packets[6:9], "damaged")):
        data = whole.read_bytes()
        for packet in which:
            data = data.replace(packet, packet[:6] + draw.randbytes(len(packet) - 6))
        (root / f"{name}.mp4").write_bytes(data)
        tree.bad[tree.add(name, video=f"{name}.mp4")] = ("video", words)
    test_picture = ("-f", "lavfi", "-i", "testsrc=s=160x120:d=0.8:r=25")
    ffmpeg(*test_picture, "-i", whole, "-map", "0:v", "-map", "1:a", root / "nobody.mp4")
    tree.bad[tree.add("nobody", video="nobody.mp4")] = ("video", "no face")
    black = [*pictures[:10], *(np.zeros_like(pictures[0]) for _ in range(10))]
    write_clip(root / "gone.mp4", black, np.arange(FRAMES) / FPS)
    ffmpeg("-i", root / "gone.mp4", "-i", whole, "-map", "0:v", "-map", "1:a", "-c", "copy", root / "goes.mp4")
    tree.bad[tree.add("goes", video="goes.mp4")] = ("video", "no face")


def _bad_words(tree: Tree, whole: Path) -> None:
    """Transcripts of which nothing can be used."""
    texts = {
        "nobody.tsv": ("word\tstart\tend\tsegment_id\nhello\t0\t0.5\tsomebody_else\n", "somebody_else"),
        "plain.srt": ("this is no subtitle file", "not SubRip"),
        "plain.vtt": ("no header\n", "WebVTT"),
        "no_columns.tsv": ("hello there\n", "expected the columns"),
        "zero.srt": ("", "no word was found"),
        "bytes.tsv": ("\0\0\0", "zero bytes"),
    }
    for name, (text, words) in texts.items():
        (tree.root / f"bad_{name}").write_text(text)
        copy = tree.root / f"talk_{name.replace('.', '_')}.mp4"
        copy.hardlink_to(whole)
        tree.bad[tree.add(copy.stem, video=copy.name, transcript=f"bad_{name}")] = ("text", words)
    for suffix in (".srt", ".vtt"):
        (tree.root / f"both{suffix}").write_text("WEBVTT\n\n00:00.000 --> 00:00.500\nhello\n")
    (tree.root / "both.mp4").hardlink_to(whole)
    tree.bad[tree.add("both", video="both.mp4", transcript="")] = ("text", "was not used")


def _bad_rows(tree: Tree) -> None:
    """Rows of the table that cannot be used, of files that could."""
    (tree.root / "folder.mp4").mkdir()
    os.mkfifo(tree.root / "pipe.mp4")
    rows = {
        "backwards": ({"start_s": "0.5", "end_s": "0.2"}, "0.5"), "no_time": ({"start_s": "soon"}, "soon"),
        "part_unknown": ({"part": "often"}, "often"), "side_unknown": ({"side": "up"}, "up"),
        "negative": ({"start_s": "-1"}, "-1"), "missing": ({"video": "nowhere.mp4"}, "nowhere.mp4"),
        "folder": ({"video": "folder.mp4"}, "folder.mp4"), "pipe": ({"video": "pipe.mp4"}, "pipe.mp4"),
        "nothing": ({"video": "", "transcript": ""}, "names neither video, sound nor text"),
    }  # fmt: skip
    for name, (cells, words) in rows.items():
        tree.add(name, **{"video": "whole.mp4", **cells})
        tree.unlisted.append(words)
    for name in ("monday.mp4.part", "tuesday.mp4.crdownload", "film.mkv.aria2", "odd/wednesday.mp4.tmp"):
        (tree.root / name).write_bytes((tree.root / "whole.mp4").read_bytes()[:5000])
        tree.unlisted.append(name)
    for name in ("._film.mp4", "~$segments.csv", "odd/._two words.mp4"):  # no recordings, and nobody misses them
        (tree.root / name).write_bytes(b"\0\5\x16\7")
    if os.geteuid():  # nothing is forbidden to root
        (tree.root / "private.mp4").write_bytes((tree.root / "whole.mp4").read_bytes())
        (tree.root / "private.mp4").chmod(0)
        tree.bad[tree.add("private", video="private.mp4")] = ("video", "Permission denied")
    late = tree.root / "later.mp4"
    late.hardlink_to(tree.root / "whole.mp4")
    tree.bad[tree.add("beyond", video="later.mp4", start_s="50", end_s="51")] = ("video", "after the last frame")
    (tree.root / "unlabelled.mp4").hardlink_to(tree.root / "whole.mp4")
    tree.bad[tree.add("unlabelled", video="unlabelled.mp4", label="")] = ("label", "predicted, not scored")
