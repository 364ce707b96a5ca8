"""MELD (Friends): every clip is a unit and a segment, labelled by the table of its part.

The times in the tables are those of the episode. A clip is one utterance, so its segment is the whole clip.
"""

import csv
import io
import re
from collections import Counter, defaultdict
from pathlib import Path
from types import MappingProxyType

from pipeline.corpora.base import Corpus, Index
from pipeline.corpora.tree import files, find_root, read_text
from pipeline.names import safe_id
from pipeline.records import Finding, InputError, Label, Segment, Unit

LAYOUT = ("*_sent_emo.csv", "train_splits|dev_splits_complete|output_repeated_splits_test")
FOLDERS = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}
PARTS = {"train": "train", "dev": "validation", "test": "test"}
ROWS = {"train": 9_989, "dev": 1_109, "test": 2_610}
EMOTIONS = ("neutral", "joy", "surprise", "anger", "sadness", "disgust", "fear")
COLUMNS = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")
FAR_LONGER = 3  # times as long as the utterance and a second: then a clip holds much else
_CLIP = re.compile(r"dia(\d+)_utt(\d+)", re.ASCII)
_COPY = "final_videos_test"  # the test part holds some clips a second time under names that begin so
_TIME = re.compile(r"(\d+):(\d\d):(\d\d)[,.](\d{1,3})", re.ASCII)


class Reader(Corpus):
    """MELD: what each utterance of a dialogue of Friends expresses."""

    title = "MELD"
    task = "classes/segment"
    protocols = ("parts", "utterance")
    unit_word, segment_word = "clip", "utterance"
    official_labels = default_labels = EMOTIONS
    text_files = MappingProxyType({"emotion labels": ("*_sent_emo.csv",)})
    citation = """@inproceedings{poria2019meld,
  title = {{MELD}: A Multimodal Multi-Party Dataset for Emotion Recognition in Conversations},
  author = {Poria, Soujanya and Hazarika, Devamanyu and Majumder, Navonil and Naik, Gautam and Cambria, Erik and
            Mihalcea, Rada},
  booktitle = {Proceedings of the 57th Annual Meeting of the Association for Computational Linguistics},
  pages = {527--536},
  year = {2019}
}"""

    def index(self) -> Index:
        """Read the tables and list the clips; raises InputError where there is nothing to read."""
        self._utterance_s: dict[str, float] = {}  # how long an utterance lasts by the tables
        root = find_root(self.root, self.key, LAYOUT)
        found = Index()
        for part in FOLDERS:
            self._read_part(root, part, found)
        if not found.segments:
            first = f"; the first finding: {found.findings[0].reason}" if found.findings else ""
            raise InputError(f"{self.key}: no utterance of {root} has a clip{first}")
        return found

    def _read_part(self, root: Path, part: str, found: Index) -> None:
        say = found.say
        clips = _clips(root / FOLDERS[part], say)
        table = root / f"{part}_sent_emo.csv"
        if not table.is_file():
            lacking = f"there is no {table.name}" + (f": {len(clips)} clips of {FOLDERS[part]} unused" if clips else "")
            return say("corpus", "absent", lacking)
        if not clips:
            return say("video", "absent", f"there is no clip in {FOLDERS[part]}: nothing of {table.name} is used")
        rows = _rows(table, say)
        if len(rows) != ROWS[part]:
            say("corpus", "partial", f"{len(rows):,} rows in {table.name}, where the published has {ROWS[part]:,}")
        for (dialogue, utterance), row in rows.items():
            segment_id = f"{part}_dia{dialogue}_utt{utterance}"
            clip = clips.pop((dialogue, utterance), None)
            if clip is None:
                say("video", "absent", f"no {FOLDERS[part]}/dia{dialogue}_utt{utterance}.mp4", segment_id)
                continue
            path, dialog = clip.relative_to(root).as_posix(), f"{part}_dia{dialogue}"
            found.units.append(Unit(segment_id, path, part=PARTS[part]))
            found.segments.append(
                Segment(
                    segment_id, segment_id, row["Speaker"], part=PARTS[part], dialog=dialog,
                    turn=utterance, text=row["Utterance"] or None,
                )
            )  # fmt: skip
            found.labels.append(Label(segment_id, row["Emotion"].lower() or None))
            if row["Emotion"].lower() not in EMOTIONS:
                reason = f"emotion {row['Emotion']!r} is none of {', '.join(EMOTIONS)}; kept as it is"
                say("label", "partial", reason, segment_id, segment_id)
            self._utterance_s[segment_id] = _seconds(row.get("EndTime")) - _seconds(row.get("StartTime"))
        for dialogue, utterance in sorted(clips):
            path = clips[dialogue, utterance].relative_to(root).as_posix()
            say("label", "absent", f"{path} has no row in {table.name}", f"{part}_dia{dialogue}_utt{utterance}")

    def review(self, found: Index) -> list[Finding]:
        """A finding for each clip that is far longer than its utterance."""
        findings = []
        for segment in found.segments:
            utterance_s = self._utterance_s.get(segment.segment_id, 0.0)
            if utterance_s > 0 and segment.duration_s > FAR_LONGER * (utterance_s + 1):
                lasts = f"the clip lasts {segment.duration_s:.1f} s, the utterance {utterance_s:.1f} s"
                reason = f"{lasts}: it holds much else"
                findings.append(Finding(segment.unit_id, segment.segment_id, "video", "partial", reason))
        return findings


def _clips(folder: Path, say) -> dict[tuple[int, int], Path]:
    """Clips by dialogue and utterance; files that are named otherwise are findings."""
    clips = {}
    for path in files(folder, ".mp4"):
        match = _CLIP.fullmatch(path.stem)
        if match:
            clips[int(match[1]), int(match[2])] = path
        elif not path.stem.startswith(_COPY):
            say("video", "absent", f"{folder.name}/{path.name} is not dia<D>_utt<U>.mp4; not used", safe_id(path.stem))
    return clips


def _rows(table: Path, say) -> dict[tuple[int, int], dict[str, str]]:
    """Rows of a table by dialogue and utterance; what cannot be used is a finding."""
    try:
        text, note = read_text(table)
    except InputError as error:
        say("label", "absent", str(error))
        return {}
    text, count = as_written(text)
    if count:
        note = f"{count} quotes and dashes of {table.name} are in Windows-1252; read as such"
    if note:
        say("text", "partial", note)
    reader = csv.DictReader(io.StringIO(text, newline=""))
    lacking = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if lacking:
        say("label", "absent", f"{table.name} has no column {', '.join(lacking)}; its first line is not that of MELD")
        return {}
    rows: dict[tuple[int, int], list[dict[str, str]]] = defaultdict(list)
    for row in reader:
        row = {name: (cell or "").strip() for name, cell in row.items() if name is not None}
        try:
            rows[int(row["Dialogue_ID"]), int(row["Utterance_ID"])].append(row)
        except ValueError:
            given = f"{row['Dialogue_ID']!r} and {row['Utterance_ID']!r}"
            say("label", "absent", f"{table.name}, line {reader.line_num}: {given} are not two numbers; row not used")
    used = {}
    for key, same in rows.items():
        name = f"{table.name}: dialogue {key[0]}, utterance {key[1]}"
        versions = Counter((row["Utterance"], row["Speaker"], row["Emotion"]) for row in same)
        if len(versions) > 1:
            say("label", "absent", f"{name} is there {len(same)} times, differently; none was used")
            continue
        if len(same) > 1:
            say("label", "partial", f"{name} is there {len(same)} times, alike; one was used")
        used[key] = same[0]
    return used


def as_written(text: str) -> tuple[str, int]:
    """Text whose typographic quotes went through Latin-1, as MELD's did, with these set right; and how many they are.

    ``company\\x92s`` is what the tables hold where the script has ``company’s``: 0x92 is ’ in Windows-1252.
    """
    return re.subn("[\x80-\x9f]", lambda found: found[0].encode("latin-1").decode("cp1252", errors="replace"), text)


def _seconds(time: str | None) -> float:
    """Seconds of ``00:16:16,059``; NaN for anything else."""
    match = _TIME.fullmatch((time or "").strip())
    if not match:
        return float("nan")
    hours, minutes, seconds, fraction = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + int(fraction.ljust(3, "0")) / 1000
