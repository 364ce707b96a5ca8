"""IEMOCAP's true shape: names, turns and labels of its 151 dialogs, from a table of counts."""

import csv
from pathlib import Path

import numpy as np

from pipeline.records import Label, Segment

TABLE = Path(__file__).parent / "iemocap_dialogs.tsv"
SEVEN = ("ang", "exc", "fru", "hap", "neu", "sad", "sur")
LABELS = ("ang", "exc", "hap", "sad", "fru", "sur", "neu", "fea", "dis", "oth", "xxx")


def turns_and_labels() -> tuple[list[Segment], list[Label]]:
    """All 10,039 turns; which of a dialog's labels a turn has is drawn, as is the order of its actors."""
    segments, labels = [], []
    with TABLE.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    for number, row in enumerate(rows):
        rng = np.random.default_rng(number)
        dialog, session = row["dialog"], int(row["session"])
        drawn = rng.permutation([name for name in LABELS for _ in range(int(row[name]))]).tolist()
        actors = rng.permutation(["F"] * int(row["turns_of_F"]) + ["M"] * int(row["turns_of_M"])).tolist()
        counted = {"F": 0, "M": 0}
        for k, letter in enumerate(actors):
            segment_id = f"{dialog}_{letter}{counted[letter]:03d}"
            counted[letter] += 1
            segments.append(
                Segment(
                    segment_id=segment_id,
                    unit_id=dialog,
                    speaker=f"Ses{session:02d}{letter}",
                    session=str(session),
                    part=None,
                    start_s=5.0 * k,
                    end_s=5.0 * k + 4,
                    picture="left_half" if dialog[5] == letter else "right_half",
                    dialog=dialog,
                    scenario=row["scenario"],
                    style="scripted" if row["scenario"].startswith("script") else "improvised",
                )
            )
            labels.append(Label(segment_id, drawn[k]))
    return segments, labels
