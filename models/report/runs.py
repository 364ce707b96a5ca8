"""The runs of a report: what each is, and what it is called in words a reader knows."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from models.evaluation.contrast import differences
from models.options import MODALITIES


@dataclass(frozen=True, slots=True)
class Run:
    """A model on some modalities, with the feature store that it reads for each."""

    name: str
    model: str
    modalities: str  # letters joined by +
    inputs: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, row: Mapping, defaults: Mapping[str, str]) -> "Run":
        """From what the configuration says of a run; inputs that it does not name are the corpus's."""
        model, modalities = row["model"], row["modalities"]
        own = row.get("inputs") or {}
        names = [MODALITIES[letter] for letter in modalities.split("+") if letter in MODALITIES]
        inputs = {name: own.get(name) or defaults.get(name) for name in names}
        found = {name: store for name, store in inputs.items() if store}
        return cls(row.get("run") or f"{model}-{modalities}", model, modalities, found)

    @classmethod
    def named(cls, name: str) -> "Run":
        """A run that the configuration does not list, from its name ``model-modalities``."""
        model, _, modalities = name.rpartition("-")
        return cls(name, model or name, modalities if model else "")


class RunNames:
    """Runs in words. The title of a model comes from its Fusion; two that would read alike keep their own name too."""

    def __init__(self, runs: Mapping[str, Run], options: Mapping[str, dict], about: Mapping[str, dict]):
        self.runs, self.options, self.about = dict(runs), options, about
        used = list(dict.fromkeys(run.model for run in runs.values()))
        titles = {model: (about.get(model) or {}).get("title") or model for model in used}
        seen = Counter(titles.values())
        self.titles = {m: text if seen[text] == 1 else f"{text} ({m})" for m, text in titles.items()}
        stores: dict[str, set] = {}
        for run in runs.values():
            for modality, store in run.inputs.items():
                stores.setdefault(modality, set()).add(store)
        self.varied = [modality for modality, names in stores.items() if len(names) > 1]

    def get(self, run: str) -> Run:
        """The run of a name."""
        return self.runs.get(run) or Run.named(run)

    def model(self, model: str) -> str:
        """A model in words."""
        return self.titles.get(model, model)

    def features(self, run: str) -> str:
        """Which stores a run reads, of the modalities for which runs read different ones; else nothing."""
        inputs = self.get(run).inputs
        return ", ".join(inputs[modality] for modality in self.varied if modality in inputs)

    def of(self, run: str) -> str:
        """The model of a run, with its features where runs read different ones."""
        features = self.features(run)
        return self.model(self.get(run).model) + (f" on {features}" if features else "")

    def run(self, run: str) -> str:
        """A run in words: the model, its modality letters and, where they vary, its features."""
        found = self.get(run)
        features = self.features(run)
        text = f"{self.model(found.model)} {found.modalities}".strip()
        return text + (f" on {features}" if features else "")

    def differences(self, a: str, b: str) -> list[str]:
        """In which keys of the configuration two runs differ, the most telling first."""
        first, second = self.get(a), self.get(b)
        return differences(
            self.options.get(first.model) or {"model": first.model},
            self.options.get(second.model) or {"model": second.model},
            (first.modalities, second.modalities),
            (first.inputs, second.inputs),
        )

    def pair(self, a: str, b: str) -> tuple[str, str, str]:
        """Two runs to be compared, and what both share: ("self-attention", "cross-attention", "A+V+T")."""
        first, second = self.get(a), self.get(b)
        features = (self.features(a), self.features(b))
        models = self.model(first.model), self.model(second.model)
        if first.modalities != second.modalities:
            if models[0] == models[1] and features[0] == features[1]:
                return first.modalities, second.modalities, models[0]
            return self.run(a), self.run(b), ""
        if features[0] == features[1]:
            return *models, " on ".join(filter(None, (first.modalities, features[0])))
        if models[0] == models[1]:
            return *features, f"{models[0]} {first.modalities}"
        return self.of(a), self.of(b), first.modalities


def matches(wanted: Mapping, options: Mapping) -> bool:
    """Whether options hold all that is wanted of them; a list of strings asks for the same set, or for one of it."""
    return all(_fits(value, options.get(key)) for key, value in wanted.items())


def _fits(wanted, found) -> bool:
    if isinstance(wanted, list):
        return sorted(wanted) == sorted(found) if isinstance(found, list) else found in wanted
    return (wanted or None) == (found or None)


def in_order(runs: Iterable[str], known: Mapping[str, Run]) -> list[str]:
    """Runs in the order of the configuration; those that it does not list are left out where it lists any."""
    found = list(dict.fromkeys(runs))
    return [run for run in known if run in found] if known else found
