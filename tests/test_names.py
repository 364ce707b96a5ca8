"""Ids made from any file name: safe wherever an id is written, and one to one."""

import csv
import io
import os
import re
import shlex
import subprocess
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.names import safe_id, unfinished

# What a file system can hold: bytes without zero and slash, as Python shows them.
FILE_NAMES = st.binary(min_size=1, max_size=255).map(
    lambda data: os.fsdecode(data.replace(b"\0", b"0").replace(b"/", b"|"))
)
NAMES = FILE_NAMES | st.text(min_size=1, max_size=80) | st.text(" .\r\n\t,{}<>'\"@%$`\\|;&é文", min_size=1, max_size=12)
HOSTILE = [
    "caf\udce9", "a\rb", "a\nb", "a\tb", "a,b", "{a}", "<a>", '"a"', "'a'", "a b", " a ", ".a", "..", "a/b", "$(rm x)",
    "`x`", "a;b", "a|b", "%j", "@a", "~", "*", "x" * 255, "é" * 127, "e\u0301", "\u202ea", "\ud800",
    "a\u2028b", "\0", "",
]  # fmt: skip


@pytest.mark.parametrize("name", ["a", "Ses01F_impro01", "1-30-1280x720.v2+b", "-x", "NA", "видео_3", "हिन्दी", "张三"])
def test_a_safe_name_is_its_own_id(name):
    assert safe_id(name) == name


@settings(deadline=None)
@given(NAMES)
@example("caf\udce9")
@example("\ud800")
@example("e\u0301")
@example("\u0300")
def test_an_id_is_safe(name):
    made = safe_id(name)
    assert made == unicodedata.normalize("NFC", made), "a file system that takes accents apart holds it once"
    assert re.fullmatch(r"[\w.+@\-]+", "".join(c for c in made if not is_mark(c))), made
    assert not made.startswith(".")
    assert len(made.encode()) <= 120
    stream = io.StringIO()
    csv.writer(stream, delimiter="\t", lineterminator="\n").writerow([made, "x"])
    assert stream.getvalue() == f"{made}\tx\n", "a table need not quote it"
    assert shlex.quote(made) == made or not made.isascii(), "a shell need not quote it"


def is_mark(character: str) -> bool:
    return unicodedata.category(character)[0] == "M"


@settings(deadline=None)
@given(st.lists(NAMES, min_size=2, max_size=20, unique=True))
@example(HOSTILE)
def test_ids_are_one_to_one(names):
    assert len({safe_id(name) for name in names}) == len(names)


@settings(deadline=None)
@given(NAMES)
def test_no_name_can_take_the_id_made_for_another(name):
    made = safe_id(name)
    assert made == name or safe_id(made) != made


@settings(deadline=None)
@given(st.text("aA b.", min_size=1, max_size=4), st.text("aA b.", min_size=1, max_size=4))
def test_ids_that_were_made_differ_in_more_than_case(one, other):
    if one != other and "@" in safe_id(one) + safe_id(other):
        assert safe_id(one).lower() != safe_id(other).lower()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_survive_file_system_and_shell(tmp_path, name):
    made = safe_id(name)
    (tmp_path / f".{made}.12345678.h5").write_text("")
    (tmp_path / f"{made}.h5").write_text("")
    said = subprocess.run(["sh", "-c", f"printf %s {made}"], capture_output=True, text=True, cwd=tmp_path)
    assert said.stdout == made


UNFINISHED = {
    "talk.mp4.part": "talk.mp4", "talk.MP4.CRDOWNLOAD": "talk.MP4", "talk.mp4.tmp": "talk.mp4",
    "talk.f137.mp4.part-Frag12.part": "talk.f137.mp4", "talk.webm.ytdl": "talk.webm", "talk.mp4.aria2": "talk.mp4",
    "videos.zip.part": "videos.zip", "Unconfirmed 8.crdownload": "Unconfirmed 8", ".talk.mp4.x1YzQ9": "talk.mp4",
    ".syncthing.talk.mp4.tmp": ".syncthing.talk.mp4", "batch.1.wav.filepart": "batch.1.wav", "a.part.part": "a",
    "film.mkv.!qB": "film.mkv", "talk.mov.download": "talk.mov",
}  # fmt: skip
FINISHED = [
    "talk.mp4", "part.mp4", "talk.part.mp4", "talk.part1.mp4", "tmp.mp4", ".part", "a.temp", "notes.tmp", "talk.mp4.md",
    "._talk.mp4", "._talk.mp4.part", "._talk.mp4.abcdef", ".talk.mp4", "talk.mp4.backup", "~$talk.csv", "x.partial.srt",
    "talk.mp4 (part)", "app.download", "talk.mp4.json",
]  # fmt: skip


@pytest.mark.parametrize("name", UNFINISHED)
def test_a_name_tells_of_an_unfinished_download(name):
    assert unfinished(name) == UNFINISHED[name]


@pytest.mark.parametrize("name", FINISHED)
def test_any_other_name_tells_of_none(name):
    assert unfinished(name) is None


@settings(deadline=None)
@given(NAMES, st.sampled_from([".part", ".crdownload", ".ytdl"]))
def test_whatever_is_downloaded_keeps_its_name(name, ending):
    if not name.startswith("._") and unfinished(name) is None and name + ending != ending:
        assert unfinished(name + ending) == name
