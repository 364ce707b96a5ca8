"""Files that appear whole or not at all, and what lies where one should be."""

import json
import os

import pytest

from pipeline.files import replacing, what_lies_at, write_json


def test_replacing_leaves_nothing_behind_when_the_block_fails(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("before")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["out.txt"]


def test_json_holds_any_name_of_a_file(tmp_path):
    value = {"b": os.fsdecode(b"caf\xe9.mp4"), "a": 1}
    write_json(tmp_path / "new" / "x.json", value, sort_keys=True)
    text = (tmp_path / "new" / "x.json").read_bytes()
    assert text == b'{\n "a": 1,\n "b": "caf\\udce9.mp4"\n}\n'
    assert json.loads(text) == value


def test_what_is_no_plain_file_is_named(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert (what_lies_at(tmp_path), what_lies_at(tmp_path / "pipe")) == ("a folder", "a pipe or device")
