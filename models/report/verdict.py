"""The verdict in words, from significance.csv and nothing else: what is decided, what is equivalent, what is open."""

import re
from dataclasses import dataclass

from models.report.names import (
    Numbers,
    RunNames,
    combine_of,
    count,
    missing,
    p_value,
    percent,
    sentence,
    split_run,
    verb,
)

VERDICTS = ("a better", "b better", "equivalent", "undecided")


@dataclass(frozen=True)
class Answer:
    """One planned contrast in words: ``word`` is the verdict in a few words, ``sentence`` what supports it."""

    question: str
    word: str
    sentence: str
    kind: str  # better, equivalent, undecided or untested
    first: str  # what is compared
    second: str
    shared: str  # what both have in common: the modalities or the model; empty where nothing
    row: dict


def remarks(row: dict) -> list[str]:
    """The parts of a contrast's note."""
    return [] if missing(row.get("note")) else [part for part in str(row["note"]).split("; ") if part]


class Verdicts:
    """Turn the rows of significance.csv into sentences."""

    def __init__(self, rows: list[dict], names: RunNames, numbers: Numbers, region: float, alpha: float):
        self.rows, self.names, self.numbers, self.region, self.alpha = rows, names, numbers, region, alpha
        self.answers = [self._answer(row) for row in rows]

    def _answer(self, row: dict) -> Answer:
        a, b, shared = self.names.pair(row["a"], row["b"])
        verdict = row.get("verdict")
        if verdict not in VERDICTS or missing(row["difference"]):
            note = row.get("note")
            word, kind = "Not tested", "untested"
            text = f"{a} against {b}" + ("" if missing(note) else f": {note}")
        elif verdict == "equivalent":
            word, kind, text = "Practically equivalent", "equivalent", self._equivalent(a, b, row)
        elif verdict == "undecided":
            word, kind, text = "Undecided", "undecided", self._undecided(a, b, row)
        else:
            better, worse = (a, b) if verdict == "a better" else (b, a)
            word, kind = f"{sentence(better)} {verb(better, 'is', 'are')} better", "better"
            text = self._better(better, worse, row)
        text = f"With {shared}, {text}." if shared else f"{sentence(text)}."
        return Answer(str(row["question"]), word, text, kind, a, b, shared, row)

    def _better(self, better: str, worse: str, row: dict) -> str:
        by = self.numbers.amount(row["difference"])
        text = f"{better} {verb(better, 'scores', 'score')} {by} higher than {worse}"
        text += f" ({self._interval(row)}{self._p(row)})"
        small = row.get("p_equivalence")
        if not missing(small) and small < self.alpha:
            text += f". The difference is real, but below {self._region}"
        return text

    def _interval(self, row: dict) -> str:
        """The interval in the direction of the sentence, which names the better one first."""
        low, high = row["ci_low"], row["ci_high"]
        if row["difference"] < 0:
            low, high = -high, -low
        low, high = self.numbers.difference(low), self.numbers.difference(high)
        return f"{percent(1 - self.alpha)} interval of the difference {low} to {high}"

    def _p(self, row: dict) -> str:
        value = row.get("p_holm")
        if missing(value):
            return ""
        text = p_value(value)
        return f", Holm-adjusted p {text if text.startswith('<') else '= ' + text}"

    @property
    def _region(self) -> str:
        return self.numbers.region(self.region)

    def _equivalent(self, a: str, b: str, row: dict) -> str:
        low, high = (self.numbers.difference(row.get(k)) for k in ("equivalence_low", "equivalence_high"))
        return (
            f"{a} and {b} differ by less than {self._region}: the {percent(1 - 2 * self.alpha)} interval of the "
            f"difference, {low} to {high}, lies within the practical region"
        )

    def _undecided(self, a: str, b: str, row: dict) -> str:
        difference, low, high = row["difference"], row["ci_low"], row["ci_high"]
        ahead, behind = (a, b) if difference >= 0 else (b, a)
        lead = f"{ahead} {verb(ahead, 'scores', 'score')} {self.numbers.amount(difference)} higher than {behind}, but "
        if missing(low) or missing(high):
            return lead + "without an interval nothing can be said about it"
        if low <= 0 <= high:
            room = "no difference"
            room += f" and for one larger than {self._region}" if max(-low, high) > self.region else ""
            return f"{lead}the {self._interval(row)} leaves room for {room}{self._p(row)}"
        return (
            f"{lead}that does not hold for all {len(self.rows)} planned contrasts together "
            f"({self._interval(row)}{self._p(row)})"
        )

    def of_fusions(self, kind_a: str, kind_b: str) -> list[Answer]:
        """Contrasts of two fusions on equal modalities, in file order, most modalities first."""
        found = []
        for answer in self.answers:
            a, b = answer.row["a"], answer.row["b"]
            same = split_run(a)[1] == split_run(b)[1]
            if same and {self.names.fusion(a), self.names.fusion(b)} == {kind_a, kind_b}:
                found.append(answer)
        return sorted(found, key=lambda x: -len(split_run(x.row["a"])[1]))

    def of_recursions(self) -> list[Answer]:
        """Contrasts of one recursive fusion with itself at another number of recursions."""
        return [x for x in self.answers if all(re.fullmatch(r"\d+ recursions?", side) for side in (x.first, x.second))]

    def of_text(self) -> list[Answer]:
        """Contrasts of one model with and without text."""
        found = []
        for answer in self.answers:
            (model_a, set_a), (model_b, set_b) = split_run(answer.row["a"]), split_run(answer.row["b"])
            letters = set(set_a.split("+")) ^ set(set_b.split("+"))
            if model_a == model_b and letters == {"T"}:
                found.append(answer)
        return found

    def notes(self) -> dict[str, int]:
        """Every distinct remark on a contrast with its number, in order of appearance."""
        parts = [part for row in self.rows for part in remarks(row)]
        return {text: k for k, text in enumerate(dict.fromkeys(parts), start=1)}

    def basis(self) -> str:
        """What the tests rest on: items and clusters of the first tested contrast, and the number of contrasts."""
        for row in self.rows:
            if not missing(row.get("items")) and not missing(row.get("clusters")):
                kind = str(row.get("cluster_kind") or "cluster")
                return (
                    f"{count(row['items'], 'test item')} in {count(row['clusters'], kind)}; "
                    f"{count(len(self.rows), 'planned contrast')}"
                )
        return count(len(self.rows), "planned contrast")


def iemocap_headline(verdicts: Verdicts) -> dict | None:
    """Answer "Is cross-attention better than self-attention here?" from the contrast with most modalities."""
    answers = [x for x in verdicts.of_fusions("cross_attention", "self_attention") if not _faithful(verdicts, x)]
    pooled = [x for x in answers if _pooled(verdicts, x)] or answers
    if not pooled:
        return None
    first = pooled[0]
    if first.kind == "better":
        winner = first.row["a"] if first.row["verdict"] == "a better" else first.row["b"]
        cross = verdicts.names.fusion(winner) == "cross_attention"
        word = "Yes: cross-attention is better." if cross else "No: self-attention is better."
    else:
        word = {
            "equivalent": "No: the two are practically equivalent.",
            "undecided": "Undecided: these data do not tell.",
            "untested": "Not tested.",
        }[first.kind]
    rest = [x for x in answers if x is not first]
    return {"answer": first, "word": word, "rest": rest, "elsewhere": [_brief(verdicts, x) for x in rest]}


def _brief(verdicts: Verdicts, answer: Answer) -> str:
    """A contrast in a few words: "A+T: self-attention is better"."""
    variant = answer.shared if _pooled(verdicts, answer) else f"{answer.shared} without pooling"
    return f"{variant}: {answer.word[:1].lower()}{answer.word[1:]}"


def _pooled(verdicts: Verdicts, answer: Answer) -> bool:
    model = split_run(answer.row["a"])[0]
    return combine_of(verdicts.names.options.get(model, {})) == "statistics"


def _faithful(verdicts: Verdicts, answer: Answer) -> bool:
    return any(verdicts.names.options.get(split_run(answer.row[k])[0], {}).get("faithful") for k in "ab")


def affwild2_headline(verdicts: Verdicts) -> list[dict]:
    """What recursion, the joint, recursive attention and text add: one topic each, with the contrasts on it."""
    plain = ("self_attention", "cross_attention")
    pairs = [(recursive, other) for recursive in ("rcma", "rjcma") for other in plain]
    topics = [
        ("Recursion", "Does attending again help?", verdicts.of_recursions()),
        ("Joint", "Of the others (RCMA) or of all (RJCMA)?", verdicts.of_fusions("rcma", "rjcma")),
        (
            "Attention",
            "Is recursive cross-modal attention better than self- or cross-attention?",
            [answer for pair in pairs for answer in verdicts.of_fusions(*pair)],
        ),
        ("Text", "Do the words add to sound and face?", verdicts.of_text()),
    ]
    return [{"name": name, "question": question, "answers": answers} for name, question, answers in topics]
