"""How much there is of a segment, and why not more: names that code can ask for, each with a text for people."""

from enum import StrEnum


class Worded(StrEnum):
    """A value as it stands in a table, with what it says to people."""

    text: str

    def __new__(cls, value: str, text: str = ""):
        """A member that equals its value and carries its text."""
        member = str.__new__(cls, value)
        member._value_, member.text = value, text
        return member


class Status(Worded):
    """How much of a segment is there in one modality."""

    OK = "ok", "whole"
    PARTIAL = "partial", "partial"
    ABSENT = "absent", "absent"


class Cause(Worded):
    """Why a segment is not whole in one modality, or what must be known of it although it is."""

    CORPUS = "corpus", "noted while the corpus was read"
    NOT_PREPARED = "not_prepared", "nothing of this modality was prepared"
    NO_FILE = "no_file", "the file of its video is not there"
    NOT_IN_FILE = "not_in_file", "it is not in the file of its video"
    NOTHING_READ = "nothing_read", "nothing of it could be read"
    NO_FACE = "no_face", "no face was found"
    OTHER_FACE = "other_face", "only the face of somebody else was found"
    DAMAGED = "damaged", "frames are damaged"
    NO_SOUND = "no_sound", "there is no sound of it"
    PART_OF_SOUND = "part_of_sound", "there is sound for a part of it"
    SILENT = "silent", "its sound is silent"
    NO_WORD = "no_word", "no word was found"
    RECOGNISER_FAILED = "recogniser_failed", "the recogniser failed on its sound"
    EVEN_TIMES = "even_times", "the times of its words are estimates"
    NOTHING_OBSERVED = "nothing_observed", "nothing was observed in some of its time"
    NO_LABEL = "no_label", "it has no label"
    OTHER_LABEL = "other_label", "its label is not among those configured"
    PREDICTED_ONLY = "predicted_only", "it is predicted only: it has no label to train on or to be scored by"
    OTHER_STYLE = "other_style", "its style is not among those asked for"
    KEPT_APART = "kept_apart", "it shares people, a recording or a scenario with what is held out"
    LEFT_OUT = "left_out", "the protocol leaves it out"
    REMARK = "remark", "something about it was remarked: see its reason"
