"""What a report says of IEMOCAP: its words, and the figures and ways of Rajan et al. 2022, with where they were read.

The paper's column names are swapped against common use: its "WA" is balanced accuracy (mean recall over classes), its
"UWA" is plain accuracy. Here every figure carries its full name. The forms are those of
``models.report.sections.published`` and ``models.settings``.
"""

EMOTIONS = {
    "ang": "anger", "exc": "excitement", "hap": "happiness", "sad": "sadness", "fru": "frustration",
    "sur": "surprise", "neu": "neutral", "fea": "fear", "dis": "disgust", "oth": "other", "xxx": "no agreement",
}  # fmt: skip
SEVEN = ["ang", "exc", "hap", "sad", "fru", "sur", "neu"]

SELF, CROSS, BOTH = "self_attention", "cross_attention", "cross_self_attention"
POOLED, CONCATENATED = "statistics", "concatenation"
RESULTS = (  # fusion, combine, modalities, balanced accuracy, accuracy in per cent, their deviations over 50 trainings
    (SELF, POOLED, "A", 36.5, 45.2),
    (SELF, POOLED, "V", 45.4, 51.3),
    (SELF, POOLED, "T", 47.4, 53.5),
    (SELF, POOLED, "A+V", 48.3, 56.7),
    (CROSS, POOLED, "A+V", 48.1, 56.6),
    (SELF, POOLED, "A+T", 51.8, 57.4),
    (CROSS, POOLED, "A+T", 50.1, 56.2),
    (SELF, POOLED, "V+T", 56.3, 61.4),
    (CROSS, POOLED, "V+T", 56.7, 61.7),
    (SELF, POOLED, "A+V+T", 58.7, 64.2, 2.2, 1.9),
    (CROSS, POOLED, "A+V+T", 57.8, 63.6, 2.4, 1.2),
    (SELF, CONCATENATED, "A+V+T", 58.4, 63.8, 2.1, 1.9),
    (CROSS, CONCATENATED, "A+V+T", 57.0, 63.4, 2.1, 1.5),
    (BOTH, POOLED, "A+V+T", 58.5, 64.2, 2.8, 2.0),
)
PRIOR = (("attentive modality hopping", 54.7, 61.7, 2.5, 1.6), ("MDRE", 49.0, 56.4, 5.6, 4.3))
CALLED = {"balanced_accuracy": "WA", "accuracy": "UWA"}
PLAIN = {"block": "bare", "encoder": "gru", "context": 0, "training": {}}
"""What every model of the paper is, beside its fusion: no blocks of today, no turns before, no targets of its own."""


def _rows() -> list[dict]:
    out = []
    for fusion, combine, modalities, *values in RESULTS:
        of = {"model": {"fusion": fusion, "combine": combine, **PLAIN}, "modalities": modalities}
        out += _both(of, values)
    for what, *values in PRIOR:
        out += _both(
            {"what": what, "part": "the paper's folds", "source": "the authors' slides, on prior work"}, values
        )
    return out


def _both(of: dict, values: list[float]) -> list[dict]:
    shares = [round(value / 100, 6) for value in values] + [None, None]
    pairs = zip(CALLED, shares[:2], shares[2:4])
    return [{**of, "metric": metric, "mean": mean, "sd": sd, "called": CALLED[metric]} for metric, mean, sd in pairs]


PUBLISHED: list[dict] = [
    {
        "paper": "V. Rajan, A. Brutti, A. Cavallaro, ICASSP 2022",
        "source": "the authors' slides",
        "where": {"labels": SEVEN, "merge": {}, "turns": "all"},
        "about": "The paper's column names are swapped against common use: what it calls \u201cWA\u201d is balanced "
        "accuracy, the mean recall over classes; what it calls \u201cUWA\u201d is plain accuracy.",
        "protocols": ["utterance"],
        "otherwise": "Its figures come from random utterance folds, in which speakers and dialogs of the test part "
        "also train, so they do not compare directly with the protocol here.",
        "rows": _rows(),
    }
]

PAPERS_PICTURE = {"faces": {"picture": "half"}}  # and with it, in configs/rajan2022.yaml, the paper's other features
DEPARTURES: list[dict] = [
    {
        "title": "Features",
        "text": "The paper takes 40 MFCC with deltas at 100 a second; ResNet-101 on each half of the picture, 3 frames "
        "a second; GloVe vectors of the manual transcripts.",
        "unless": PAPERS_PICTURE,
    },
    {
        "title": "Faces",
        "text": "The paper feeds half the picture; here a tracked, aligned crop of the speaker's own face. Where none "
        "is found the frame is masked, not black.",
        "modality": "video",
        "unless": PAPERS_PICTURE,
    },
    {
        "title": "Padding and time",
        "text": "The paper pads or cuts every sequence to one length, does not mask the padding, and convolves with "
        "time as channels. Here padding and absent frames are masked everywhere, so that a turn's score does not "
        "depend on what it is batched with, and convolutions run over time.",
        "models": {"faithful": False},
    },
    {
        "title": "Network and training",
        "text": "The published GRUs take features as wide as they are. The published head is two linear layers with "
        "nothing between them, or one layer where nothing is pooled or both attentions stand together. Here rows in "
        "fast succession are averaged to fewer steps, and a linear layer brings them to one width before the GRU; "
        "every head has two layers with layer norm, LeakyReLU and dropout between them; and batches hold turns of "
        "similar length instead of random ones.",
        "models": {"fusion": [SELF, CROSS, BOTH], "encoder": "gru", "faithful": False},
    },
    {
        "title": "Normalisation",
        "text": "The published code takes features as they were extracted; here they are normalised.",
        "models": {"fusion": [SELF, CROSS, BOTH], "training": {"normalise": [True, "speaker"]}},
    },
    {
        "title": "As published",
        "text": "Models marked so keep the paper's way to the number, on the first 1000 rows of sound, 32 of video and "
        "128 of text; at the rates of these features that is another span of time than in the paper.",
        "models": {"fusion": [SELF, CROSS, BOTH], "faithful": True},
        "unless": PAPERS_PICTURE,
    },
    {
        "title": "Pooling of a single modality",
        "text": "Statistical pooling takes the mean and the unbiased standard deviation across the attended vectors; "
        "of one vector there is no such deviation, and the paper does not say what it did. Here it is zero, which "
        "keeps the layers after it the same for one, two and three modalities.",
        "models": {"combine": POOLED},
    },
    {
        "title": "Folds",
        "text": "The paper draws turns at random (80 / 6 / 14 %), so speakers, sessions and dialogs of the test part "
        "also train; that protocol is here as protocol: utterance.",
        "unless": {"protocol": "utterance"},
    },
]
