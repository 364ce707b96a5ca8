"""Small text files that lie where a large file should be: pointers of large-file storage, web pages, nothing at all."""

from pathlib import Path

_HEAD_BYTES = 512
_ANNEX = ("a pointer of git-annex, not the file itself", "run git annex get")
_PAGE = ("a web page, such as a server sends in place of a file", "download it again")
_SIGNS = {
    b"version https://git-lfs": ("a pointer of Git large-file storage, not the file itself", "run git lfs pull"),
    b"/annex/objects/": _ANNEX,
    b"../.git/annex/objects/": _ANNEX,
    b"<!doctype html": _PAGE,
    b"<html": _PAGE,
    b"<?xml": ("an XML text, such as a server sends in place of a file", "download it again"),
    b'{"error': ("an error message of a server, not the file itself", "download it again"),
}


def stand_in(path: Path) -> tuple[str, str] | None:
    """Say what lies in place of a large file, and what to do about it; None where it looks like the file itself."""
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        return "an empty file", "replace it by a whole copy"
    return next((found for sign, found in _SIGNS.items() if head.startswith(sign)), None)
