"""IEMOCAP as released: dialogs are units, turns of the EmoEvaluation files segments, with each known trap handled.

A dialog is a unit if it has an EmoEvaluation file. What is missing or unusable becomes a finding; the rest of
the corpus is read all the same.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from pydantic import Field

from pipeline.corpora.base import Corpus, Index
from pipeline.corpora.readers.iemocap import figures
from pipeline.corpora.readers.iemocap.files import (
    DIALOG,
    LABELS,
    NUMBERS,
    Turn,
    alignment_folder,
    parse_evaluation_line,
    parse_rating_line,
    parse_transcript_line,
    scenario_of,
    sentence_path,
    split_turn,
    style_of,
    video_path,
)
from pipeline.corpora.readers.iemocap.release import check_release
from pipeline.corpora.tree import files, find_root, lines, names_in, read_text
from pipeline.records import OBSERVER, SELF, InputError, Label, Picture, Rating, Segment, Unit
from pipeline.registry import options

NUMBER = f"({'|'.join(NUMBERS)})"
LAYOUT = ("Session*/dialog/EmoEvaluation",)


@options
class IemocapOptions:
    """What can be said of IEMOCAP."""

    audio: Literal["sentences", "video"] = Field(
        "sentences", description="the wav cut for each turn (the speaker's own microphone), or the dialog's video"
    )
    task: str = Field(
        "classes/segment",
        pattern=rf"^(classes/segment|numbers/segment:{NUMBER}(,{NUMBER})*)$",
        description="classes/segment, or numbers/segment: with some of valence, arousal and dominance (0.5 to 5.5)",
    )


class Reader(Corpus):
    """IEMOCAP: what each turn of a dialog expresses."""

    title = "IEMOCAP"
    protocols = ("scenario", "session", "speaker", "utterance")
    unit_word, segment_word = "dialog", "turn"
    label_words = MappingProxyType(figures.EMOTIONS)
    official_labels = LABELS
    default_labels = ("ang", "exc", "hap", "sad", "fru", "sur", "neu")
    citation = """@article{busso2008iemocap,
  title = {{IEMOCAP}: Interactive emotional dyadic motion capture database},
  author = {Busso, Carlos and Bulut, Murtaza and Lee, Chi-Chun and Kazemzadeh, Abe and Mower, Emily and Kim, Samuel and
            Chang, Jeannette N. and Lee, Sungbok and Narayanan, Shrikanth S.},
  journal = {Language Resources and Evaluation},
  volume = {42},
  number = {4},
  pages = {335--359},
  year = {2008}
}"""
    text_files = MappingProxyType(
        {
            "emotion labels": ("Session[0-9]*/dialog/EmoEvaluation/*.txt",),
            "transcriptions": ("Session[0-9]*/dialog/transcriptions/*.txt",),
            "forced alignments": ("Session[0-9]*/sentences/ForcedAlignment/*/*.wdseg",),
        }
    )
    published, departures = figures.PUBLISHED, figures.DEPARTURES
    Config = IemocapOptions

    @property
    def task(self) -> str:  # type: ignore[override]
        """What is predicted of a turn, as the options say."""
        return self.config.task

    def index(self) -> Index:
        """Read the whole tree; raises InputError where there is nothing to read."""
        root = find_root(self.root, self.key, LAYOUT)
        found = Index()
        dialogs = sorted(_dialogs(root, self.key, found).items())
        with_video, with_sound = _media(root, dialogs, self.config.audio == "sentences", found)
        for dialog, session in dialogs:
            _read_dialog(root, dialog, session, with_video, with_sound, found)
        check_release(found)
        return found


def picture_of(dialog: str, letter: str) -> Picture:
    """Which half of the picture shows the person ``letter`` (F or M) of a dialog.

    The actor whom the DIALOG's letter names, the one who wears the markers, sits left, the partner right. Six public
    readers of the corpus agree on this and none disagrees; nobody here has checked it against the pictures.
    """
    return "left_half" if DIALOG.fullmatch(dialog)["letter"] == letter else "right_half"


def speaker_of(session: int, letter: str) -> str:
    """The speaker: the letter of the TURN with the session, ``Ses01F``; the dialog's letter may be the partner."""
    return f"Ses{session:02d}{letter}"


def _dialogs(root: Path, key: str, found: Index) -> dict[str, int]:
    """Session of each dialog that has an EmoEvaluation file; files and videos that fit no dialog are findings."""
    dialogs: dict[str, int] = {}
    folders = sorted(p for p in root.glob("Session[0-9]*") if p.is_dir() and p.name[7:].isdigit())
    for folder in folders:
        session = int(folder.name[7:])
        for path in files(folder / "dialog" / "EmoEvaluation", ".txt"):
            match = DIALOG.fullmatch(path.stem)
            if match and int(match["session"]) == session:
                dialogs[path.stem] = session
            else:
                reason = f"{path.relative_to(root)} is not named after a dialog of session {session} and was not read"
                found.say("corpus", "absent", reason, path.stem)
        for path in files(folder / "dialog" / "avi" / "DivX", ".avi"):
            if path.stem not in dialogs:
                reason = f"{path.relative_to(root)} has no EmoEvaluation/{path.stem}.txt, hence no turns"
                found.say("label", "absent", reason, path.stem)
    if not dialogs:
        raise InputError(f"{key}: no dialog in {root}/{LAYOUT[0]}; unpack the release again")
    return dialogs


def _media(root: Path, dialogs: Sequence[tuple[str, int]], sentences: bool, found: Index) -> tuple[bool, bool]:
    """Whether there is any video, and, where that is asked for, any sound of a turn; what all lack is one finding."""
    with_video = any(files(folder, ".avi") for folder in root.glob("Session*/dialog/avi/DivX"))
    with_sound = sentences and any(_sounds(root, session, dialog) for dialog, session in dialogs)
    if not with_video:
        found.say("video", "absent", "no dialog has a video, in Session*/dialog/avi/DivX/*.avi")
    if sentences and not with_sound:
        instead = "; the dialogs' mixed sound is used instead" if with_video else ""
        reason = f"no turn has a sound, in Session*/sentences/wav/*/*.wav{instead}"
        found.say("audio", "partial" if with_video else "absent", reason)
    return with_video, with_sound


def _sounds(root: Path, session: int, dialog: str) -> Collection[str]:
    """Names of the files in the folder of a dialog's sentences."""
    return names_in(str((root / sentence_path(session, f"{dialog}_")).parent))


def _read_dialog(root: Path, dialog: str, session: int, with_video: bool, with_sound: bool, found: Index) -> None:
    """Add a dialog and its turns; whether the tree is one ``with_video`` and one ``with_sound`` of turns at all."""
    base = root / f"Session{session}" / "dialog"
    video = video_path(session, dialog)
    found.units.append(Unit(dialog, video if with_video else None))
    aligned = {path.stem: path for path in files(alignment_folder(root, session, dialog), ".wdseg")}
    has_video = with_video and (root / video).is_file()
    if with_video and not has_video:
        found.say("video", "absent", f"there is no {video}", dialog)
    turns, ratings = _read_evaluation(base / "EmoEvaluation" / f"{dialog}.txt", dialog, found)
    there = _sounds(root, session, dialog)
    lacking = [t.turn_id for t in turns if with_sound and f"{t.turn_id}.wav" not in there]
    if lacking:
        instead = "the dialog's mixed sound is used instead" if has_video else "nor is there a video to take it from"
        reason = f"{len(lacking)} of {len(turns)} turns have no sound, such as {sentence_path(session, lacking[0])}"
        status = "absent" if len(lacking) == len(turns) and not has_video else "partial"
        found.say("audio", status, f"{reason}; {instead}", dialog)
    texts = _read_transcript(base / "transcriptions" / f"{dialog}.txt", dialog, {t.turn_id for t in turns}, found)
    scenario, style = scenario_of(dialog), style_of(dialog)
    pictures = {letter: picture_of(dialog, letter) for letter in "FM"}
    for turn in turns:
        letter = split_turn(turn.turn_id)[1]
        alignment = aligned.get(turn.turn_id)
        try:
            segment = Segment(
                segment_id=turn.turn_id,
                unit_id=dialog,
                speaker=speaker_of(session, letter),
                session=str(session),
                start_s=turn.start_s,
                end_s=turn.end_s,
                picture=pictures[letter],
                dialog=dialog,
                scenario=scenario,
                style=style,
                text=texts.get(turn.turn_id) or None,
                audio=sentence_path(session, turn.turn_id) if with_sound else None,
                alignment=alignment.relative_to(root).as_posix() if alignment else None,
            )
        except InputError as error:
            found.say("corpus", "absent", str(error), dialog, turn.turn_id)
            continue
        found.segments.append(segment)
        found.ratings += ratings.get(turn.turn_id, [])
        numbers = {name: getattr(turn, name) for name in NUMBERS}
        found.labels.append(Label(turn.turn_id, turn.label, numbers))
        if turn.label not in LABELS:
            reason = f"label {turn.label!r} is none of the release's {', '.join(LABELS)}; kept as it is"
            found.say("label", "partial", reason, dialog, turn.turn_id)


def _read_evaluation(path: Path, dialog: str, found: Index) -> tuple[list[Turn], dict[str, list[Rating]]]:
    """The usable turns of one EmoEvaluation file in order of time, and what each rater said."""
    turns: list[Turn] = []
    current: Turn | None = None  # whom the lines of raters are about: nobody's after a turn that cannot be read
    by_turn: dict[str, dict[str, Rating]] = {}
    try:
        text, note = read_text(path)
    except InputError as error:
        found.say("label", "absent", str(error), dialog)
        return [], {}
    if note:
        found.say("label", "partial", note, dialog)
    for number, line in enumerate(lines(text), start=1):
        try:
            if rating := parse_rating_line(line):
                _note(rating, current, by_turn)
                continue
            if line.lstrip().startswith("["):
                current = None
            turn = parse_evaluation_line(line)
            if turn is None:
                continue
            if split_turn(turn.turn_id)[0] != dialog:
                raise InputError(f"turn {turn.turn_id} belongs to another dialog")
        except InputError as error:
            reason = f"{path.name}, line {number}: {error}; the line was not used"
            found.say("label", "partial", reason, dialog)
            continue
        turns.append(turn)
        current = turn
    kept, by_id = [], defaultdict[str, list[Turn]](list)
    for turn in turns:
        by_id[turn.turn_id].append(turn)
    for turn_id, same in by_id.items():
        twice = f"{len(same)} turns have this id"
        if len(set(same)) > 1:
            differently = "; ".join(f"{t.start_s}-{t.end_s} s {t.label}" for t in same)
            reason = f"{twice}, different ({differently}); none was used"
            found.say("corpus", "absent", reason, dialog, turn_id)
            continue
        kept.append(same[0])
        if len(same) > 1:
            found.say("label", "partial", f"{twice}, alike; one was used", dialog, turn_id)
    if not kept:
        found.say("label", "absent", f"{path.name} has no usable turn", dialog)
    ratings = {turn_id: list(of_turn.values()) for turn_id, of_turn in by_turn.items()}
    return sorted(kept, key=lambda t: (t.start_s, t.turn_id)), ratings


def _note(rating: tuple[str, list[str]], turn: Turn | None, by_turn: dict[str, dict[str, Rating]]) -> None:
    """Note what a rater said of a turn; raises InputError where it is of no turn, or the rater's second about it."""
    rater, labels = rating
    if turn is None:
        raise InputError(f"what rater {rater} says stands below no turn that could be read")
    one = Rating(turn.turn_id, rater, ",".join(labels), OBSERVER if rater.startswith("E") else SELF)
    if by_turn.setdefault(turn.turn_id, {}).setdefault(rater, one) != one:
        raise InputError(
            f"rater {rater} has said of {turn.turn_id} before that it is {by_turn[turn.turn_id][rater].labels}"
        )


def _read_transcript(path: Path, dialog: str, turn_ids: set[str], found: Index) -> dict[str, str]:
    """Text of each turn."""
    if not path.is_file():
        found.say("text", "absent", f"there is no transcriptions/{path.name}", dialog)
        return {}
    try:
        text, note = read_text(path)
    except InputError as error:
        found.say("text", "absent", f"transcriptions/{error}", dialog)
        return {}
    if note:
        found.say("text", "partial", f"transcriptions/{note}", dialog)
    texts: dict[str, str] = {}
    without_turn = []
    for number, line in enumerate(lines(text), start=1):
        try:
            parsed = parse_transcript_line(line)
        except InputError as error:
            reason = f"transcriptions/{path.name}, line {number}: {error}; the line was not used"
            found.say("text", "partial", reason, dialog)
            continue
        if parsed is None:
            continue
        turn_id, words = parsed
        if turn_id not in turn_ids:
            without_turn.append(turn_id)
        elif texts.setdefault(turn_id, words) != words:
            reason = f"line {number} of the transcription is a second text for this turn; the first was used"
            found.say("text", "partial", reason, dialog, turn_id)
    if without_turn:
        reason = (
            f"transcriptions/{path.name}: {len(without_turn)} lines name turns that were not evaluated, "
            f"such as {without_turn[0]}"
        )
        found.say("text", "partial", reason, dialog)
    for turn_id in sorted(turn_ids - texts.keys()):
        found.say("text", "absent", "the transcription has no line for this turn", dialog, turn_id)
    for turn_id in sorted(t for t in turn_ids & texts.keys() if not texts[t]):
        found.say("text", "absent", "the transcription of this turn is empty", dialog, turn_id)
    return texts
