"""How metrics, scores, counts and times are written in the report."""

from math import floor, isnan

from models.task import Task

METRIC_WORDS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "ccc": "CCC",
    "rmse": "RMSE",
    "pearson": "Pearson",
    "recall": "recall",
    "precision": "precision",
}
DEVELOPMENT = "development_"
MINUS = "\u2212"


def missing(value) -> bool:
    """Whether a table's field is empty."""
    return value is None or value == "" or (isinstance(value, float) and isnan(value))


def metric_words(metric: str) -> str:
    """A metric by its full name: "balanced accuracy", "CCC valence", "mean CCC"."""
    if metric.startswith(DEVELOPMENT):
        return f"development {metric_words(metric.removeprefix(DEVELOPMENT))}"
    if metric in METRIC_WORDS:
        return METRIC_WORDS[metric]
    family, _, of = metric.partition("_")
    words = METRIC_WORDS.get(family, family)
    return f"mean {words}" if of == "mean" else f"{words} {of.replace('_', ' ')}".strip()


def metrics_of(task: Task) -> list[str]:
    """The metrics of a task over all items, in the order in which they are shown."""
    if not task.numbers:
        return ["balanced_accuracy", "accuracy", "macro_f1", "weighted_f1"]
    of_all = [f"ccc_{of}" for of in ("mean", *task.targets)]
    return of_all + [f"{metric}_{of}" for metric in ("rmse", "pearson") for of in task.targets]


class Numbers:
    """How one metric is written: shares in per cent with one decimal, correlations and errors with three decimals."""

    def __init__(self, metric: str):
        family = metric.removeprefix(DEVELOPMENT).partition("_")[0]
        self.percent = family not in ("ccc", "rmse", "pearson")
        self.factor, self.decimals = (100, 1) if self.percent else (1, 3)
        self.unit = "points" if self.percent else METRIC_WORDS[family]
        self.words = metric_words(metric)
        self.per_cent = ", per cent" if self.percent else ""  # behind a table's title
        self.title = sentence(self.words) + self.per_cent

    def score(self, value) -> str:
        """A score without its unit."""
        return f"{value * self.factor:.{self.decimals}f}".replace("-", MINUS)

    def with_unit(self, value) -> str:
        """A score as a sentence says it: "58.4 %", "0.541"."""
        return f"{self.score(value)} %" if self.percent else self.score(value)

    def difference(self, value) -> str:
        """A difference with its sign."""
        return _signed(value * self.factor, self.decimals)

    def interval(self, low, high, region: float = 0.0) -> str:
        """Two differences as an interval, seen on the side of zero and of ``region`` where they lie; empty without."""
        if missing(low) or missing(high):
            return ""
        limits = [limit * self.factor for limit in (0.0, region, -region)]
        ends = (float(end * self.factor) for end in (low, high))
        return " to ".join(_signed(end, decimals_beside(limits, end, self.decimals)) for end in ends)

    def region(self, value: float) -> str:
        """A practical region with its unit, without needless zeros: "1 point", "0.01 CCC"."""
        size = f"{value * self.factor:g}"
        return points(size) if self.percent else f"{size} {self.unit}"

    def amount(self, value) -> str:
        """The size of a difference with its unit, as in "1.2 points"."""
        size = f"{abs(value) * self.factor:.{self.decimals}f}"
        return points(size.removesuffix(".0")) if self.percent else f"{size} {self.unit}"


def _signed(value: float, decimals: int) -> str:
    text = f"{value:+.{decimals}f}"
    return text[1:] if float(text) == 0 else text.replace("-", MINUS)


def decimals_beside(limits: list[float], value: float, at_least: int) -> int:
    """With how many decimals a value is still seen on the side of each limit where it lies."""

    def sides(x: float) -> list[int]:
        return [(x > limit) - (x < limit) for limit in limits]

    return next((n for n in range(at_least, 9) if sides(round(value, n)) == sides(value)), at_least)


def p_value(value, alpha: float = 0.05) -> str:
    """A probability with three decimals, or as many as tell it from ``alpha``; small ones as a bound."""
    return "< 0.001" if value < min(0.0005, alpha) else f"{value:.{decimals_beside([alpha], float(value), 3)}f}"


def p_is(value, alpha: float = 0.05) -> str:
    """A probability as it stands behind p: "= 0.012", "< 0.001"."""
    text = p_value(value, alpha)
    return text if text.startswith("<") else f"= {text}"


def sentence(text: str) -> str:
    """A text with its first letter in upper case, the rest as it is."""
    return text[:1].upper() + text[1:]


def effect(value) -> str:
    """An effect size with its sign."""
    return f"{value:+.2f}".replace("-", MINUS)


def percent(value, decimals: int = 0) -> str:
    """A share of 1 as per cent; shares that only round to none or all keep a bound."""
    text = f"{value * 100:.{decimals}f}"
    if decimals == 0 and 0 < value < 1 and text in ("0", "100"):
        return "< 1 %" if text == "0" else "> 99 %"
    return f"{text} %"


def level(alpha: float) -> str:
    """The level of an interval that leaves out ``alpha``: 95 %, 97.5 %."""
    return f"{100 * (1 - alpha):g} %"


def duration(seconds: float) -> str:
    """A time a person can read: 0.4 s, 12 s, 3 min 20 s, 5 h 02 min, 3 d 4 h."""
    if round(seconds, 1) < 10:
        return f"{seconds:.1f} s"
    # Rounded to what is shown before it is cut up: 59.7 s is a minute.
    whole, minutes, hours = round(seconds), round(seconds / 60), round(seconds / 3600)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes < 48 * 60 else f"{hours // 24} d {hours % 24} h"


def clock(time_s: float, decimals: int = 0) -> str:
    """A position in a recording: 0:05, 12:34, 1:02:03, with tenths where asked for."""
    ticks = floor(time_s * 10**decimals + 0.5)
    whole, part = divmod(ticks, 10**decimals)
    hours, minutes, seconds = whole // 3600, whole // 60 % 60, whole % 60
    text = f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
    return f"{text}.{part:0{decimals}d}" if decimals else text


def points(size: str) -> str:
    """A written number of percentage points."""
    return f"{size} point" if size == "1" else f"{size} points"


def count(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: 1 turn, 10 039 turns."""
    return f"{grouped(number)} {one if number == 1 else many or one + 's'}"


def grouped(number) -> str:
    """A whole number with thin spaces between thousands."""
    return f"{int(number):,}".replace(",", "\u202f")


def bytes_of(number: float) -> str:
    """A size in kB or MB."""
    return f"{max(number / 1e3, 1):.0f} kB" if number < 1e6 else f"{number / 1e6:.1f} MB"


def listing(items: list[str], last: str = "and") -> str:
    """Words as a list: "a", "a and b", "a, b and c"."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"
