"""The verdict in words, from significance.csv and nothing else: what is decided, what is equivalent, what is open."""

from dataclasses import dataclass, field

from models.contrast import also_differs
from models.report.names import Numbers, count, missing, p_value, percent, sentence
from models.report.runs import RunNames

BETTER, EQUIVALENT, UNDECIDED, UNTESTED, REFUSED = "better", "equivalent", "undecided", "untested", "refused"
KINDS = {"a better": BETTER, "b better": BETTER, "equivalent": EQUIVALENT, "undecided": UNDECIDED}
DECIDED = (BETTER, EQUIVALENT)
FEW_CLUSTERS = 20
"""Below so many the interval and p of a cluster bootstrap are rough."""


@dataclass(frozen=True)
class Answer:
    """One planned contrast in words: ``word`` is the verdict in a few words, ``sentence`` what supports it."""

    question: str
    word: str
    sentence: str
    kind: str  # better, equivalent, undecided, untested or refused
    first: str  # what is compared
    second: str
    shared: str  # what both have in common: the modalities or the model; empty where nothing
    row: dict
    cautions: list[str] = field(default_factory=list)  # why to be careful, each a clause
    also: list[str] = field(default_factory=list)  # what else both sides differ in

    @property
    def decided(self) -> bool:
        """Whether the data tell the two apart, or tell that they are alike."""
        return self.kind in DECIDED


def remarks(row: dict) -> list[str]:
    """The parts of a contrast's note."""
    return [] if missing(row.get("note")) else [part for part in str(row["note"]).split("; ") if part]


def flags(row: dict) -> list[str]:
    """The names of the cautions that the tests themselves gave a row."""
    given = row.get("cautions")
    return [] if missing(given) else [name for name in str(given).replace(";", " ").split() if name]


def cautions(row: dict) -> list[str]:
    """Why a verdict is to be read with care, each a clause."""
    kind = str(row.get("cluster_kind") or "cluster")
    known = {
        "few_clusters": f"there are only {count(row.get('clusters') or 0, kind)}, so interval and p are rough",
        "degenerate": "the scores hardly vary from one resampled test set to the next, so no interval can be trusted",
        "at_chance": "a model of the two does no better than guessing",
        "single_seed": "there is one seed, so chance in training is not in the interval",
    }
    found = flags(row)
    clusters = row.get("clusters")
    if "cautions" not in row and not missing(clusters) and clusters < FEW_CLUSTERS:
        found = ["few_clusters"]
    return [known.get(name, name.replace("_", " ")) for name in found]


class Verdicts:
    """Turn the rows of significance.csv into sentences."""

    def __init__(self, rows: list[dict], names: RunNames, settings):
        self.rows, self.names = rows, names
        self.region, self.alpha = settings.practical_region, settings.alpha
        self.numbers = Numbers(str(rows[0]["metric"]) if rows else settings.metric)
        self.topics = {contrast.get("question"): contrast.get("topic") for contrast in settings.contrasts}
        self.answers = [self._answer(row) for row in rows]

    def _answer(self, row: dict) -> Answer:
        a, b, shared = self.names.pair(row["a"], row["b"])
        verdict = row.get("verdict")
        kind = KINDS.get(verdict, REFUSED) if not missing(row.get("difference")) else UNTESTED
        if kind == UNTESTED:
            note = row.get("note")
            word, text = "Not tested", f"{a} against {b}" + ("" if missing(note) else f": {note}")
        elif kind == REFUSED:
            word, text = "No verdict", self._lead(a, b, row) + ", but these data carry no verdict"
        elif kind == EQUIVALENT:
            word, text = "Practically equivalent", self._equivalent(a, b, row)
        elif kind == UNDECIDED:
            word, text = "Undecided", self._undecided(a, b, row)
        else:
            better, worse = (a, b) if verdict == "a better" else (b, a)
            word, text = f"{sentence(better)} is better", self._better(better, worse, row)
        text = f"With {shared}, {text}." if shared else f"{sentence(text)}."
        question = str(row["question"])
        also = also_differs(self.names.differences(row["a"], row["b"]), self.topics.get(question))
        return Answer(question, word, text, kind, a, b, shared, row, cautions(row), also)

    def _better(self, better: str, worse: str, row: dict) -> str:
        by = self.numbers.amount(row["difference"])
        text = f"{better} scores {by} higher than {worse} ({self._interval(row)}{self._p(row)})"
        small = row.get("p_equivalence")
        if not missing(small) and small < self.alpha:
            text += f". The difference is real, but below {self._region}"
        return text

    def _interval(self, row: dict) -> str:
        """The interval in the direction of the sentence, which names the better one first."""
        low, high = row["ci_low"], row["ci_high"]
        if row["difference"] < 0:
            low, high = -high, -low
        return f"{percent(1 - self.alpha)} interval of the difference {self.numbers.interval(low, high)}"

    def _p(self, row: dict) -> str:
        value = row.get("p_holm")
        if missing(value):
            return ""
        text, adjusted = p_value(value), "Holm-adjusted " if len(self.rows) > 1 else ""
        return f", {adjusted}p {text if text.startswith('<') else '= ' + text}"

    @property
    def _region(self) -> str:
        return self.numbers.region(self.region)

    def _equivalent(self, a: str, b: str, row: dict) -> str:
        between = self.numbers.interval(row.get("equivalence_low"), row.get("equivalence_high"))
        return (
            f"{a} and {b} differ by less than {self._region}: the {percent(1 - 2 * self.alpha)} interval of the "
            f"difference, {between}, lies within the practical region"
        )

    def _lead(self, a: str, b: str, row: dict) -> str:
        difference = row["difference"]
        ahead, behind = (a, b) if difference >= 0 else (b, a)
        if self.numbers.difference(difference) == self.numbers.difference(0.0):
            return f"{a} and {b} score alike"
        return f"{ahead} scores {self.numbers.amount(difference)} higher than {behind}"

    def _undecided(self, a: str, b: str, row: dict) -> str:
        low, high = row["ci_low"], row["ci_high"]
        lead = f"{self._lead(a, b, row)}, but "
        if missing(low) or missing(high):
            return lead + "without an interval nothing can be said about it"
        if low <= 0 <= high:
            room = "no difference"
            room += f" and for one larger than {self._region}" if max(-low, high) > self.region else ""
            return f"{lead}the {self._interval(row)} leaves room for {room}{self._p(row)}"
        return (
            f"{lead}that does not hold for {self._all()} together ({self._interval(row)}{self._p(row)})"
            if len(self.rows) > 1
            else f"{lead}that is not enough to decide ({self._interval(row)}{self._p(row)})"
        )

    def _all(self) -> str:
        return f"all {len(self.rows)} planned contrasts" if len(self.rows) > 2 else "both planned contrasts"

    def notes(self) -> dict[str, int]:
        """Every distinct remark on a contrast with its number, in order of appearance."""
        parts = [part for row in self.rows for part in remarks(row)]
        return {text: k for k, text in enumerate(dict.fromkeys(parts), start=1)}

    def basis(self) -> str | None:
        """What the tests rest on: items and clusters of the first tested contrast; None where nothing was tested."""
        for row in self.rows:
            if not missing(row.get("items")) and not missing(row.get("clusters")):
                kind = str(row.get("cluster_kind") or "cluster")
                return f"{count(row['items'], 'test item')} in {count(row['clusters'], kind)}"
        return None
