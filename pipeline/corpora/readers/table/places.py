"""Where the files and folders lie that cells name, whatever system wrote their paths."""

import glob
import os
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

from pipeline.corpora.tree import below, names_in
from pipeline.files import LITTER, is_litter

_PATTERN = re.compile(r"[*?\[]")


class Places:
    """Files that cells name, below ``root`` or elsewhere; network shares are asked for each folder once."""

    def __init__(self, root: Path):
        self.root = root
        self._known: dict[tuple[str, Callable], tuple[str, dict[str, str]]] = {}

    def file(self, text: str) -> str | None:
        """Path of a file as tables hold it; None where there is no such file."""
        return self._find(text, os.DirEntry.is_file)

    def folder(self, text: str) -> str | None:
        """Path of a folder as tables hold it; None where there is no such folder."""
        return "." if os.path.normpath(text) == "." else self._find(text, os.DirEntry.is_dir)

    def media(self, text: str, kind: str) -> list[str]:
        """Paths of the file that a cell names, or of all videos (or sounds, by ``kind``) that match its pattern."""
        found = self.file(text)
        if found or not _PATTERN.search(text):
            return [found] if found else []
        from pipeline.names import AUDIO_SUFFIXES, VIDEO_SUFFIXES

        suffixes = VIDEO_SUFFIXES if kind == "video" else AUDIO_SUFFIXES + VIDEO_SUFFIXES
        matches = (self.file(path) for path in glob.glob(text, root_dir=self.root, recursive=True))
        wanted = {path for path in matches if path and path.lower().endswith(suffixes)}
        kept = sorted(p for p in wanted if not is_litter(os.path.basename(p)) and LITTER.isdisjoint(p.split("/")))
        return kept or (self.media(text.replace("\\", "/"), kind) if "\\" in text else [])

    def _find(self, text: str, is_meant: Callable[[os.DirEntry], bool]) -> str | None:
        folder, name = os.path.split(os.path.normpath(text))
        if (folder, is_meant) not in self._known:
            where = self._where(folder)
            self._known[folder, is_meant] = where, names_in(os.path.join(self.root, where), is_meant)
        where, names = self._known[folder, is_meant]
        found = names.get(name) or names.get(unicodedata.normalize("NFC", name))
        if found:
            return found if where in ("", ".") else f"{where}/{found}"
        return self._find(text.replace("\\", "/"), is_meant) if "\\" in text else None

    def _where(self, folder: str) -> str:
        """A folder as tables hold it: from the root, also where it goes up from there, so that both may move."""
        root = os.path.normpath(self.root)
        whole = os.path.normpath(os.path.join(root, folder))
        where = below(Path(root), Path(whole))
        if where != whole or os.path.isabs(folder):
            return where
        # Above a root that is a link the system sees another folder than the path says.
        same = os.path.realpath(self.root / folder) == os.path.realpath(whole)
        return folder if same else os.path.abspath(whole)
