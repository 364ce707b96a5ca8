"""The papers' published figures as data, each with where it was read.

Paper 1's column names are swapped against common use: its "WA" is balanced accuracy (mean recall over classes), its
"UWA" is plain accuracy. Here every figure carries its full name.
"""

from dataclasses import dataclass

EMOTIONS = ("ang", "exc", "fru", "hap", "neu", "sad", "sur")
"""The seven classes of paper 1, none merged into another."""


@dataclass(frozen=True, slots=True)
class Paper:
    """A paper and how it is cited."""

    authors: str
    year: int
    title: str
    venue: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A published mean, with the standard deviation over runs where one was published."""

    mean: float
    sd: float | None = None


PAPER_1 = Paper(
    "V. Rajan, A. Brutti, A. Cavallaro",
    2022,
    "Is cross-attention preferable to self-attention for multi-modal emotion recognition?",
    "ICASSP",
)
PAPER_2 = Paper(
    "R. G. Praveen, J. Alam",
    2024,
    "Recursive joint cross-modal attention for multimodal fusion in dimensional emotion recognition",
    "CVPR workshops (ABAW); arXiv 2403.13659",
)

# --- Paper 1, IEMOCAP, seven classes, mean over 50 runs (5 random utterance folds, 10 seeds); authors' slides.

SELF, CROSS, BOTH = "self_attention", "cross_attention", "cross_self_attention"
POOLED, CONCATENATED = "statistics", "concatenation"


def _percent(balanced: float, accuracy: float, balanced_sd: float | None = None, accuracy_sd: float | None = None):
    scale = [None if x is None else round(x / 100, 6) for x in (balanced, balanced_sd, accuracy, accuracy_sd)]
    return {"balanced_accuracy": Figure(*scale[:2]), "accuracy": Figure(*scale[2:])}


IEMOCAP: dict[tuple[str, str, str], dict[str, Figure]] = {  # (fusion, combine, modalities) -> metric -> figure
    (SELF, POOLED, "A"): _percent(36.5, 45.2),
    (SELF, POOLED, "V"): _percent(45.4, 51.3),
    (SELF, POOLED, "T"): _percent(47.4, 53.5),
    (SELF, POOLED, "A+V"): _percent(48.3, 56.7),
    (CROSS, POOLED, "A+V"): _percent(48.1, 56.6),
    (SELF, POOLED, "A+T"): _percent(51.8, 57.4),
    (CROSS, POOLED, "A+T"): _percent(50.1, 56.2),
    (SELF, POOLED, "V+T"): _percent(56.3, 61.4),
    (CROSS, POOLED, "V+T"): _percent(56.7, 61.7),
    (SELF, POOLED, "A+V+T"): _percent(58.7, 64.2, 2.2, 1.9),
    (CROSS, POOLED, "A+V+T"): _percent(57.8, 63.6, 2.4, 1.2),
    (SELF, CONCATENATED, "A+V+T"): _percent(58.4, 63.8, 2.1, 1.9),
    (CROSS, CONCATENATED, "A+V+T"): _percent(57.0, 63.4, 2.1, 1.5),
    (BOTH, POOLED, "A+V+T"): _percent(58.5, 64.2, 2.8, 2.0),
}
IEMOCAP_PRIOR = {
    "attentive modality hopping": _percent(54.7, 61.7, 2.5, 1.6),
    "MDRE": _percent(49.0, 56.4, 5.6, 4.3),
}
IEMOCAP_COLUMNS = {"balanced_accuracy": "WA", "accuracy": "UWA"}  # what the paper calls them
IEMOCAP_SOURCE = "the authors' slides"

# --- Paper 2, Aff-Wild2, CCC.


@dataclass(frozen=True, slots=True)
class Ccc:
    """A published pair of concordance correlation coefficients."""

    what: str
    part: str
    valence: float
    arousal: float
    source: str
    note: str = ""

    @property
    def mean(self) -> float:
        """Mean of both dimensions, which the paper does not print."""
        return (self.valence + self.arousal) / 2


AFFWILD2 = (
    Ccc("challenge baseline", "official validation", 0.240, 0.200, "abstract"),
    Ccc("challenge baseline", "official test", 0.211, 0.191, "abstract"),
    Ccc(
        "RJCMA, headline",
        "cross-validation fold 1",
        0.585,
        0.674,
        "abstract; which fold: a third party's reading of the full text",
        "this fold validates on videos of the official training part, so it does not compare with the official "
        "validation part",
    ),
    Ccc("RJCMA, headline", "official test", 0.542, 0.619, "abstract"),
    Ccc(
        "RJCMA, official split",
        "official validation",
        0.455,
        0.652,
        "a third party's reading of the full text",
        "the figure to compare with here: same split, same part",
    ),
    Ccc("RJCMA, audio and video only", "official test", 0.537, 0.576, "a third party's reading of the full text"),
)
AFFWILD2_OFFICIAL_VALIDATION = next(row for row in AFFWILD2 if row.what == "RJCMA, official split")
AFFWILD2_RECURSION = {1: 0.607, 2: 0.618, 3: 0.629, 4: 0.615}  # mean CCC by recursions, cross-validation fold 1
AFFWILD2_BEST_TEST_MEAN = 0.672  # winner of the sixth ABAW challenge
