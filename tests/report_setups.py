"""The configurations that reports are tested on: the two papers' and what else people may ask for."""

from dataclasses import dataclass, field, replace

from pipeline.corpora.readers.affwild2 import Reader as AffWild2
from pipeline.corpora.readers.iemocap import Reader as Iemocap
from tests.report_material import CONTRASTS, RUNS

SEVEN = ("ang", "exc", "hap", "sad", "fru", "sur", "neu")
STORES = {  # name: modality, extractor, weights
    "bert": ("text", "transformers_text", "demo:bert"),
    "expression": ("video", "transformers_image", "demo:vit"),
    "mfcc": ("audio", "mfcc", None),
    "wav2vec2": ("audio", "transformers_audio", "demo:wav2vec2"),
}
SESSION = {"name": "session", "description": "leave one session out"}
OFFICIAL = {"name": "official", "description": "official partition"}
WHISPER = "openai/whisper-base.en@" + "9" * 40


def _said_by(reader) -> dict:
    """What a reader says of its corpus, in the form of config.json."""
    words = {"unit": reader.unit_word, "segment": reader.segment_word, "labels": dict(reader.label_words)}
    said = {"published": list(reader.published), "departures": list(reader.departures), "citations": [reader.citation]}
    return {"title": reader.title, "words": words, **said}


@dataclass(frozen=True)
class Setup:
    """What was configured, and roughly what came out."""

    corpus: str
    task: str = "classes/segment"
    levels: dict[str, float] = field(default_factory=dict)  # run to per cent, or to CCC
    contrasts: tuple = ()  # question, a, b, verdict
    classes: tuple[str, ...] = SEVEN
    folds: int = 5
    clusters: int = 151
    stores: tuple[str, ...] = tuple(STORES)
    protocol: dict = field(default_factory=lambda: dict(SESSION))
    words: dict | None = None
    title: str | None = None
    published: list = field(default_factory=list)
    departures: list = field(default_factory=list)
    citations: list = field(default_factory=list)
    runs: list | None = None  # where runs name their inputs
    recogniser: dict = field(default_factory=lambda: {"kind": "none", "weights": None})
    imported: tuple[str, ...] = ()
    styles: bool = False  # whether the test items are of two styles

    @property
    def numbers(self) -> bool:
        return self.task.startswith("numbers")

    @property
    def frames(self) -> bool:
        return "/frame" in self.task

    @property
    def targets(self) -> list[str]:
        return self.task.partition(":")[2].split(",")

    @property
    def metric(self) -> str:
        return "ccc_mean" if self.numbers else "balanced_accuracy"

    @property
    def modalities(self) -> list[str]:
        """Which of audio, video and text some run reads."""
        letters = {letter for run in self.levels for letter in run.rsplit("-", 1)[1].split("+")}
        return [name for letter, name in (("A", "audio"), ("V", "video"), ("T", "text")) if letter in letters]


IEMOCAP = Setup(
    "iemocap",
    levels=RUNS["iemocap"],
    contrasts=tuple(CONTRASTS["iemocap"]),
    **_said_by(Iemocap),
    styles=True,
)
AFFWILD2 = Setup(
    "affwild2",
    task="numbers/frame:valence,arousal",
    levels=RUNS["affwild2"],
    contrasts=tuple(CONTRASTS["affwild2"]),
    folds=1,
    clusters=76,
    protocol=dict(OFFICIAL),
    **_said_by(AffWild2),
    recogniser={"kind": "transformers", "weights": WHISPER},
)
PAPERS = {"iemocap": IEMOCAP, "affwild2": AFFWILD2}

MINE = Setup("mine", levels={"self-A+V+T": 58, "cross-A+V+T": 55, "self-T": 47, "self-A": 37})
TWO = (
    ("attention or early fusion", "self-A+V+T", "cross-A+V+T", "a better"),
    ("does sound help", "self-A+V+T", "self-T", "undecided"),
)


def _setup(levels: dict | None = None, *contrasts: tuple, **changes) -> Setup:
    return replace(MINE, levels=levels or MINE.levels, contrasts=contrasts, **changes)


SETUPS = {
    "audio": _setup({"self-A": 37.0, "late-A": 36.0}, ("attention or not", "self-A", "late-A", "undecided")),
    "video": _setup({"self-V": 44.0}, stores=("expression",)),
    "text": _setup({"self-T": 47.0, "early-T": 45.0}),
    "two modalities": _setup(
        {"self-A+T": 52.0, "cross-A+T": 50.0}, ("cross or self", "cross-A+T", "self-A+T", "b better")
    ),
    "no contrasts": _setup(),
    "one contrast": _setup(None, *TWO[:1]),
    "one fold": _setup(None, *TWO, folds=1, protocol={"name": "parts", "description": "the corpus's own parts"}),
    "two clusters": _setup(None, (*TWO[0][:3], "no verdict"), TWO[1], clusters=2),
    "four classes": replace(IEMOCAP, classes=("ang", "hap", "sad", "neu"), levels=MINE.levels, contrasts=TWO),
    "imported features": _setup(None, *TWO, imported=("mfcc", "expression", "bert")),
    "no videos": _setup(
        {"self-A+T": 52.0, "self-A": 37.0},
        ("do words help", "self-A+T", "self-A", "a better"),
        classes=("anger", "happiness", "neutral", "sadness"),
    ),
    "no sounds": _setup({"self-V+T": 56.0, "self-T": 47.0}, ("does the face help", "self-V+T", "self-T", "equivalent")),
    "no texts": _setup({"self-A+V": 49.0, "early-A+V": 47.0}),
    "numbers": _setup(
        {"self-A+V+T": 0.54, "early-A+V+T": 0.49},
        ("attention or early", "self-A+V+T", "early-A+V+T", "a better"),
        task="numbers/segment:valence,arousal,dominance",
    ),
    "classes of frames": _setup(None, *TWO, task="classes/frame", folds=1, protocol=dict(OFFICIAL)),
    "features compared": _setup(
        {"self-A": 37.0, "self_mfcc-A": 31.0, "self-A+T": 51.0},
        ("wav2vec2 or MFCC", "self-A", "self_mfcc-A", "a better"),
        runs=[
            {"run": "self-A", "model": "self", "modalities": "A"},
            {"run": "self_mfcc-A", "model": "self", "modalities": "A", "inputs": {"audio": "mfcc"}},
            {"run": "self-A+T", "model": "self", "modalities": "A+T"},
        ],
    ),
}
