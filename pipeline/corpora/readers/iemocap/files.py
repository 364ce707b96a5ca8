"""The lines of IEMOCAP's text files: EmoEvaluation and transcriptions."""

import re
from dataclasses import dataclass
from pathlib import Path

from pipeline.records import InputError

LABELS = ("xxx", "fru", "neu", "ang", "sad", "exc", "hap", "sur", "fea", "oth", "dis")
"""Every label of the release; xxx: the raters did not agree."""
NUMBERS = ("valence", "arousal", "dominance")

DIALOG = re.compile(r"Ses(?P<session>\d\d)(?P<letter>[FM])_(?P<scene>\w+)", re.ASCII)
_TURN = re.compile(r"[FM]\d{3}", re.ASCII)
_NUMBER = r"\s*(\d+(?:\.\d*)?)\s*"
_EVALUATION = re.compile(rf"\[{_NUMBER}-{_NUMBER}\]\s+(\S+)\s+(\S+)\s+\[{_NUMBER},{_NUMBER},{_NUMBER}\]\s*", re.ASCII)
_RATING = re.compile(r"C-([EFM]\w+):(.*)", re.ASCII)
_TRANSCRIPT = re.compile(rf"(\S+)\s+\[{_NUMBER}-{_NUMBER}\]\s*:(.*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Turn:
    """One header line of an EmoEvaluation file; valence, arousal (activation) and dominance run from 0.5 to 5.5."""

    turn_id: str
    start_s: float
    end_s: float
    label: str
    valence: float
    arousal: float
    dominance: float


def parse_evaluation_line(line: str) -> Turn | None:
    """The turn of a header line; ``None`` for blank lines, the legend (``%``) and the lines of single raters.

    ``[6.2901 - 8.2357]<TAB>Ses01F_impro01_F000<TAB>neu<TAB>[2.5000, 2.5000, 2.5000]``

    Raises InputError for a line that opens like a header and is not one.
    """
    if not line.lstrip().startswith("["):
        return None
    match = _EVALUATION.fullmatch(line.strip())
    if not match:
        raise InputError(f"{line.strip()!r} is not '[start - end] turn label [valence, activation, dominance]'")
    start, end, turn_id, label, *vad = match.groups()
    return Turn(turn_id, float(start), float(end), label, *map(float, vad))


def parse_rating_line(line: str) -> tuple[str, list[str]] | None:
    """Who rated and what, of ``C-E2:<TAB>Neutral; Anger;<TAB>()``; ``None`` of any other line.

    E and a number is somebody who watched, F or M and a number the actor about themselves. A label is the first three
    letters of what is named. Raises InputError for a line that opens like that of a rater and names nobody, nothing, or
    something that is not a label of the release.
    """
    if not line.strip().startswith("C-"):
        return None
    match = _RATING.match(line.strip())
    named = match and [name.strip() for name in match[2].partition("(")[0].split(";") if name.strip()]
    labels = list(dict.fromkeys(name[:3].lower() for name in named or ()))
    if not labels or not set(labels) <= set(LABELS) - {"xxx"}:
        raise InputError(f"{line.strip()[:60]!r} is not 'C-rater: emotion; ...', of {', '.join(LABELS[1:])}")
    return match[1], labels


def parse_transcript_line(line: str) -> tuple[str, str] | None:
    """Turn id and text of a transcript line; ``None`` for a line without id, such as ``M: ...``.

    ``Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.`` The text may hold further colons. The times repeat those of
    the EmoEvaluation file, which are the ones that count. Raises InputError for an id without times.
    """
    match = _TRANSCRIPT.fullmatch(line.strip())
    if match and DIALOG.match(match[1]):
        return match[1], match[4].strip()
    if DIALOG.match(line.strip()):
        raise InputError(f"{line.strip()[:60]!r} is not 'turn [start-end]: text'")
    return None


def split_turn(turn_id: str) -> tuple[str, str]:
    """Dialog and letter of the person who speaks: ``Ses01F_impro01_M003`` is ``Ses01F_impro01`` and ``M``.

    Dialog names differ in length and parts (``Ses05M_script01_1b``), so only the last ``_`` counts.
    Raises InputError for anything else.
    """
    dialog, _, turn = turn_id.rpartition("_")
    if not DIALOG.fullmatch(dialog) or not _TURN.fullmatch(turn):
        raise InputError(f"{turn_id!r} is not a turn: expected <dialog>_<F or M><three digits>")
    return dialog, turn[0]


def scenario_of(dialog: str) -> str:
    """What is acted, ``script01`` or ``impro05``: every session has the same three scripts and eight scenes.

    Parts of a script (``script01_1``) and repetitions of a scene (``impro05a``) are the same scenario.
    """
    match = re.match(r"(script|impro)\d\d", DIALOG.fullmatch(dialog)["scene"], re.ASCII)
    return match[0] if match else DIALOG.fullmatch(dialog)["scene"]


def style_of(dialog: str) -> str:
    """Whether a dialog is scripted or improvised."""
    return "scripted" if scenario_of(dialog).startswith("script") else "improvised"


def alignment_folder(root: Path, session: int, dialog: str) -> Path:
    """Where the forced alignments of a dialog's turns are, if the release has them."""
    return root / f"Session{session}" / "sentences" / "ForcedAlignment" / dialog


def sentence_path(session: int, turn_id: str) -> str:
    """Where the sound of one turn is, relative to the root."""
    return f"Session{session}/sentences/wav/{turn_id.rpartition('_')[0]}/{turn_id}.wav"


def video_path(session: int, dialog: str) -> str:
    """Where the video of a dialog is, relative to the root."""
    return f"Session{session}/dialog/avi/DivX/{dialog}.avi"
