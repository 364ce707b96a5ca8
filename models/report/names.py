"""What things are called in the report: runs, metrics, classes and numbers, in words a reader knows."""

from collections import Counter
from math import isnan

MODALITY_WORDS = {"A": "audio", "V": "video", "T": "text"}
CLASS_WORDS = {
    "ang": "anger", "exc": "excitement", "hap": "happiness", "sad": "sadness", "fru": "frustration",
    "sur": "surprise", "neu": "neutral", "fea": "fear", "dis": "disgust", "oth": "other", "xxx": "no agreement",
}  # fmt: skip
METRIC_WORDS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "ccc_valence": "CCC valence",
    "ccc_arousal": "CCC arousal",
    "ccc_mean": "CCC mean",
    "rmse_valence": "RMSE valence",
    "rmse_arousal": "RMSE arousal",
    "pearson_valence": "Pearson valence",
    "pearson_arousal": "Pearson arousal",
}
FUSION_WORDS = {
    "self_attention": "self-attention",
    "cross_attention": "cross-attention",
    "cross_self_attention": "cross- and self-attention",
    "rcma": "RCMA",
    "rjcma": "RJCMA",
    "concatenation": "early concatenation",
    "late": "late fusion",
}
MINUS = "\u2212"


def missing(value) -> bool:
    """Whether a table's field is empty."""
    return value is None or value == "" or (isinstance(value, float) and isnan(value))


class Numbers:
    """How scores of one corpus are written: per cent with one decimal (IEMOCAP) or three decimals (CCC)."""

    def __init__(self, percent: bool):
        self.factor, self.decimals = (100, 1) if percent else (1, 3)
        self.unit = "points" if percent else "CCC"

    def score(self, value) -> str:
        """A score, or a dash where there is none."""
        if missing(value):
            return "–"
        return f"{value * self.factor:.{self.decimals}f}".replace("-", MINUS)

    def difference(self, value) -> str:
        """A difference with its sign."""
        if missing(value):
            return "–"
        text = f"{value * self.factor:+.{self.decimals}f}".replace("-", MINUS)
        return text[1:] if float(text.replace(MINUS, "-")) == 0 else text

    def region(self, value: float) -> str:
        """A practical region with its unit, without needless zeros: "1 point", "0.01 CCC"."""
        size = f"{value * self.factor:g}"
        return f"{size} {self.unit}" if self.unit != "points" else count_of(size, "point")

    def amount(self, value) -> str:
        """The size of a difference with its unit, as in "1.2 points"."""
        size = f"{abs(value) * self.factor:.{self.decimals}f}"
        return f"{size} {self.unit}" if self.unit != "points" else count_of(size.removesuffix(".0"), "point")


def p_value(value) -> str:
    """A probability with three decimals, small ones as a bound."""
    if missing(value):
        return "–"
    return "< 0.001" if value < 0.0005 else f"{value:.3f}"


def sentence(text: str) -> str:
    """A text with its first letter in upper case, the rest as it is."""
    return text[:1].upper() + text[1:]


def effect(value) -> str:
    """An effect size with its sign."""
    return f"{value:+.2f}".replace("-", MINUS)


def percent(value, decimals: int = 0) -> str:
    """A share of 1 as per cent; shares that only round to none or all keep a bound."""
    if missing(value):
        return "–"
    if decimals == 0 and 0 < value < 0.005:
        return "< 1 %"
    if decimals == 0 and 0.995 <= value < 1:
        return "> 99 %"
    return f"{value * 100:.{decimals}f} %"


def duration(seconds) -> str:
    """A time a person can read: 0.4 s, 12 s, 3 min 20 s, 5 h 02 min."""
    if missing(seconds):
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


def clock(seconds: float) -> str:
    """A position in a video as minutes and seconds."""
    whole = int(seconds)
    return f"{whole // 60}:{whole % 60:02d}"


def count_of(size: str, one: str) -> str:
    """A written number with its noun in the right form."""
    return f"{size} {one}" if size == "1" else f"{size} {one}s"


def verb(subject: str, one: str, many: str) -> str:
    """The form of a verb that goes with a subject such as "self-attention" or "3 recursions"."""
    return many if subject.endswith(" recursions") else one


def count(number: int, one: str, many: str | None = None) -> str:
    """A number with its noun: 1 turn, 10 039 turns."""
    return f"{grouped(number)} {one if number == 1 else many or one + 's'}"


def grouped(number) -> str:
    """A whole number with thin spaces between thousands."""
    return f"{int(number):,}".replace(",", "\u202f")


def combine_of(options: dict) -> str:
    """How a model combines attended vectors: as configured, else statistics for paper 1's attentions (its default)."""
    pooled = options.get("fusion") in ("self_attention", "cross_attention", "cross_self_attention")
    return options.get("combine") or ("statistics" if pooled else "concatenation")


def split_run(run: str) -> tuple[str, str]:
    """``model-modalities`` apart."""
    model, _, modalities = run.rpartition("-")
    return model, modalities


class RunNames:
    """Names of models and runs from their network options; two models that would read alike keep their own name too."""

    def __init__(self, models: dict[str, dict], used: list[str], pooling_matters: bool):
        self.options = {name: models.get(name) or {} for name in used}
        words = {name: self._describe(name, pooling_matters) for name in used}
        seen = Counter(words.values())
        self.words = {name: text if seen[text] == 1 else f"{text} ({name})" for name, text in words.items()}

    def _describe(self, name: str, pooling_matters: bool) -> str:
        options = self.options[name]
        fusion = options.get("fusion")
        if fusion not in FUSION_WORDS:
            return name
        words = FUSION_WORDS[fusion]
        if fusion in ("rcma", "rjcma") and not options.get("faithful"):
            words += f" ({count(options.get('recursions', 3), 'recursion')})"
        elif pooling_matters and "attention" in fusion and combine_of(options) == "concatenation":
            words += " without pooling"
        return words + (", as published" if options.get("faithful") else "")

    def model(self, model: str) -> str:
        """A model in words."""
        return self.words.get(model, model)

    def run(self, run: str) -> str:
        """A run in words: the model and its modality letters."""
        model, modalities = split_run(run)
        return f"{self.model(model)} {modalities}"

    def pair(self, a: str, b: str) -> tuple[str, str, str]:
        """Two runs to be compared, and what both share: ("self-attention", "cross-attention", "A+V+T")."""
        (model_a, set_a), (model_b, set_b) = split_run(a), split_run(b)
        options_a, options_b = (dict(self.options.get(model, {})) for model in (model_a, model_b))
        times = [options.pop("recursions", None) for options in (options_a, options_b)]
        if set_a == set_b and options_a == options_b and None not in times and times[0] != times[1]:
            fusion = FUSION_WORDS.get(options_a.get("fusion"), model_a)
            return count(times[0], "recursion"), count(times[1], "recursion"), f"{fusion} {set_a}"
        if set_a == set_b:
            return self.model(model_a), self.model(model_b), set_a
        if model_a == model_b:
            return set_a, set_b, self.model(model_a)
        return self.run(a), self.run(b), ""

    def fusion(self, run: str) -> str | None:
        """The fusion kind behind a run, None for a model that the configuration does not hold."""
        return self.options.get(split_run(run)[0], {}).get("fusion")
