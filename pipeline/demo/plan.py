"""What the demonstration corpora hold: names that are known before anything is generated.

Nothing heavy is imported here: the workflow reads these names while it is being planned.
"""

from pipeline.records import InputError

CORPORA = ("iemocap", "affwild2")
SESSIONS = (1, 2, 3, 4, 5)
DIALOGS = ("F_impro01", "M_script01_1")
"""In each session, one dialog whose left-hand actor is the woman and one whose left-hand actor is the man."""


def dialogs(session: int) -> list[str]:
    """Names of a session's dialogs in the demonstration IEMOCAP."""
    return [f"Ses{session:02d}{kind}" for kind in DIALOGS]


def unit_ids(corpus: str) -> list[str]:
    """Units of a demonstration corpus; raises InputError for a corpus that is neither iemocap nor affwild2."""
    if corpus == "iemocap":
        return [name for session in SESSIONS for name in dialogs(session)]
    raise InputError(f"there is no demonstration corpus {corpus!r}; allowed: {', '.join(CORPORA)}")
