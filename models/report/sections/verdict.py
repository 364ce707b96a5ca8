"""The verdict in words, from significance.csv and nothing else: what is decided, what is equivalent, what is open."""

from dataclasses import dataclass, field

from models.evaluation.contrast import runs_of
from models.evaluation.statuses import A_AHEAD, B_AHEAD, HERE, Remark, Role, Standing, Status, Verdict, only_on
from models.report.runs import RunNames
from models.report.writing import Numbers, count, level, missing, p_is, p_value
from models.settings import Settings

BETTER, EQUIVALENT, UNDECIDED, UNTESTED, REFUSED = "better", "equivalent", "undecided", "untested", "refused"
KINDS = {
    Verdict.A_BETTER: BETTER,
    Verdict.B_BETTER: BETTER,
    Verdict.EQUIVALENT: EQUIVALENT,
    Verdict.UNDECIDED: UNDECIDED,
}
KINDS |= {here: KINDS[verdict] for verdict, here in HERE.items()}
SHORT = {**dict.fromkeys(A_AHEAD, "first better"), **dict.fromkeys(B_AHEAD, "second better")}
SHORT |= {Verdict.EQUIVALENT_HERE: str(Verdict.EQUIVALENT)}
DECIDED = (BETTER, EQUIVALENT)
BEST_IS = "The best is in each fold the run with the highest score on the fold’s own development part."


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
    here: str = ""  # what the verdict is limited to, such as " on these sessions"; empty where to nothing
    cautions: list[str] = field(default_factory=list)  # why to be careful, each a clause
    also: list[str] = field(default_factory=list)  # what else both sides differ in

    @property
    def decided(self) -> bool:
        """Whether the data tell the two apart, or tell that they are alike."""
        return self.kind in DECIDED

    @property
    def css(self) -> str:
        """The classes of its marks."""
        return f"{self.kind} here" if self.here else self.kind


def remarks(row: dict) -> list[str]:
    """Why there is no verdict on a contrast, and remarks, each a clause."""
    return [*filter(None, [why_not(row)]), *(remark.text for remark in _remarks(row))]


def _remarks(row: dict) -> list[Remark]:
    """The remarks on a contrast; of an interval that is not there nothing is said."""
    found = [] if missing(row.get("remarks")) else [Remark(name) for name in str(row["remarks"]).split()]
    return [remark for remark in found if remark != Remark.ROUGH or not missing(row.get("p_bootstrap"))]


def short(row: dict) -> str:
    """The verdict in two words, and what it is limited to."""
    verdict = row.get("verdict")
    return SHORT.get(verdict, str(verdict)) + only_on(verdict, row.get("group_kind"))


def cautions(row: dict, alpha: float, names: tuple[str, str]) -> list[str]:
    """Why a verdict is to be read with care, each a clause; ``names`` are those of a and b."""
    found = _remarks(row)
    out = [f"there are only {_clusters(row)}, so interval and p are rough"] if Remark.ROUGH in found else []
    out += [remark.text for remark in (Remark.ONE_SEED, Remark.ALIKE) if remark in found]
    low = [name for side, name in zip("ab", names) if row.get(f"standing_{side}") == Standing.AT_CHANCE]
    if len(low) == 2:
        out.append("neither of the two is shown to be better than guessing")
    out += [f"{low[0]} is not shown to be better than guessing"] if len(low) == 1 else []
    return out + not_by_group(row, alpha)


def not_by_group(row: dict, alpha: float) -> list[str]:
    """The clause on a verdict that the test by whole groups does not share; else nothing."""
    if row.get("verdict") not in HERE.values():
        return []
    column, what = {
        BETTER: ("p_by_group", "there might be no difference"),
        EQUIVALENT: ("p_equivalence_by_group", "the difference might be larger"),
    }[KINDS[row["verdict"]]]
    by_group = row[column]
    over = f"p {p_is(by_group, alpha)} over {count(row['groups'], row['group_kind'])}"
    others = f"other {row['group_kind']}s, not only other {row['cluster_kind']}s,"
    return [f"with {others} {what} ({over})"]


def in_words_of(row: dict, settings: Settings) -> dict:
    """A row of significance.csv, which calls any recording a video, in the words of its corpus."""
    kind = row.get("cluster_kind")
    return {**row, "cluster_kind": {"video": settings.words["unit"]}.get(kind, kind)}


def _ends(row: dict, interval: str) -> tuple[float, float]:
    """The ends of an interval in the direction of a sentence that names the better one first."""
    low, high = row[f"{interval}_low"], row[f"{interval}_high"]
    return (-high, -low) if row["difference"] < 0 else (low, high)


def _clusters(row: dict) -> str:
    number, weighty = row["clusters"], row.get("effective_clusters")
    text = count(number, str(row.get("cluster_kind") or "cluster"))
    return text if missing(weighty) or weighty >= 0.9 * number else f"{text} that count like {weighty:.1f} equal ones"


def why_not(row: dict) -> str:
    """Why there is no verdict on a contrast, a clause; empty where there is one."""
    status = row.get("status")
    return "" if missing(status) or status == Status.TESTED else Status(status).text


class Verdicts:
    """Turn the rows of significance.csv into sentences."""

    def __init__(self, rows: list[dict], names: RunNames, settings: Settings):
        rows = [in_words_of(row, settings) for row in rows]
        planned = [row for row in rows if row["role"] == Role.PLANNED]
        self.rows, self.names = planned, names
        self.secondary = [row for row in rows if row not in planned]
        self.resampled = any(not missing(row.get("p_bootstrap")) for row in planned)
        self.group_kind = next((row["group_kind"] for row in planned if not missing(row.get("p_by_group"))), None)
        self.region, self.alpha = settings.practical_region, settings.alpha
        self.numbers = Numbers(str(planned[0]["metric"]) if planned else settings.metric)
        self.answers = [self._answer(row) for row in planned]

    def _answer(self, row: dict) -> Answer:
        a, b, shared = self.names.pair(row["a"], row["b"])
        verdict = row.get("verdict")
        here = only_on(verdict, row.get("group_kind"))
        kind = KINDS.get(verdict, REFUSED) if not missing(row.get("difference")) else UNTESTED
        if kind == UNTESTED:
            word, text = "Not tested", ": ".join(filter(None, (f"{a} against {b}", "; ".join(remarks(row)))))
        elif kind == REFUSED:
            lead = f"{self._lead(a, b, row)}, but there is no verdict"
            word, text = "No verdict", ": ".join(filter(None, (lead, why_not(row))))
        elif kind == EQUIVALENT:
            word, text = f"Practically equivalent{here}", self._equivalent(a, b, row)
        elif kind == UNDECIDED:
            word, text = "Undecided", self._undecided(a, b, row)
        else:
            better, worse = (a, b) if verdict in A_AHEAD else (b, a)
            word, text = f"{self.names.sentence(better)} is better{here}", self._better(better, worse, row)
        text = f"With {shared}, {text}." if shared else f"{self.names.sentence(text)}."
        text += f" {BEST_IS}" if len(runs_of(row["b"])) > 1 else ""
        question = str(row["question"])
        also = self.names.also_differ(row["a"], row["b"])
        warned = cautions(row, self.alpha, (a, b))
        return Answer(question, word, text, kind, a, b, shared, row, here, warned, also)

    def _better(self, better: str, worse: str, row: dict) -> str:
        by = self.numbers.amount(row["difference"])
        text = f"{better} scores {by} higher than {worse} ({self._interval(row)}{self._p(row)})"
        if Remark.SMALL in _remarks(row):
            text += f". The difference is real, but below {self._region}"
        by_group = row.get("p_by_group")
        if not missing(by_group) and by_group < self.alpha:
            p = p_is(by_group, self.alpha) + (", of this contrast alone" if len(self.rows) > 1 else "")
            text += f". It holds if whole {row['group_kind']}s are drawn anew, too (p {p})"
        return text

    def _interval(self, row: dict) -> str:
        return f"{level(self.alpha)} interval of the difference {self.numbers.interval(*_ends(row, 'ci'))}"

    def _p(self, row: dict) -> str:
        return f", {self._adjusted}p {p_is(row['p_holm'], self.alpha)}"

    @property
    def _adjusted(self) -> str:
        return "Holm-adjusted " if len(self.rows) > 1 else ""

    @property
    def _region(self) -> str:
        return self.numbers.region(self.region)

    def _equivalent(self, a: str, b: str, row: dict) -> str:
        p = p_is(row["p_equivalence_holm"], self.alpha)
        return (
            f"{a} and {b} differ by less than {self._region}: the {level(2 * self.alpha)} interval of the "
            f"difference, {self.inner_interval(row)}, lies within the practical region ({self._adjusted}p {p})"
        )

    def _lead(self, a: str, b: str, row: dict) -> str:
        difference = row["difference"]
        ahead, behind = (a, b) if difference >= 0 else (b, a)
        if self.numbers.difference(difference) == self.numbers.difference(0.0):
            return f"{a} and {b} score alike"
        return f"{ahead} scores {self.numbers.amount(difference)} higher than {behind}"

    def _undecided(self, a: str, b: str, row: dict) -> str:
        low, high, lead = row["ci_low"], row["ci_high"], f"{self._lead(a, b, row)}, but "
        if row["p_equivalence"] < self.alpha:  # which several contrasts together do not bear out
            between = self.numbers.interval(*_ends(row, "equivalence"), self.region)
            inner = f"{level(2 * self.alpha)} interval {between}"
            shown = f"{inner}, Holm-adjusted p {p_is(row['p_equivalence_holm'], self.alpha)}"
            alike = f"that the two differ by less than {self._region} is not shown"
            return f"{lead}{alike} once {self._all()} are corrected for ({shown})"
        if low <= 0 <= high:
            room = "no difference"
            room += f" and for one larger than {self._region}" if max(-low, high) > self.region else ""
            return f"{lead}the {self._interval(row)} leaves room for {room}{self._p(row)}"
        return (
            f"{lead}that is not shown once {self._all()} are corrected for ({self._interval(row)}{self._p(row)})"
            if len(self.rows) > 1
            else f"{lead}that is not enough to decide ({self._interval(row)}{self._p(row)})"
        )

    def _all(self) -> str:
        return f"all {len(self.rows)} planned contrasts" if len(self.rows) > 2 else "both planned contrasts"

    def inner_interval(self, row: dict) -> str:
        """The interval of the two one-sided tests: of equivalent models it lies within the practical region."""
        return self.numbers.interval(row.get("equivalence_low"), row.get("equivalence_high"), self.region)

    def p(self, value) -> str:
        """A probability as tables have it, beside the level of these tests."""
        return p_value(value, self.alpha)

    def notes(self) -> dict[str, int]:
        """Every distinct remark on a contrast with its number, in order of appearance."""
        parts = [part for row in self.rows for part in remarks(row)]
        return {text: k for k, text in enumerate(dict.fromkeys(parts), start=1)}

    def basis(self) -> str:
        """What the tests rest on: items and clusters of the planned contrasts, of which there are some."""
        row = self.rows[0]
        return f"{count(row['items'], 'test item')} of {count(row['clusters'], row['cluster_kind'])}"
