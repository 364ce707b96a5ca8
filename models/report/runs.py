"""The runs of a report: what each is, and what it is called in words a reader knows."""

from collections import Counter
from collections.abc import Iterable, Mapping

from models.evaluation.contrast import also_differs, differences, runs_of
from models.options import MODALITIES
from models.report.writing import listing, sentence
from models.settings import Run, Settings


class RunNames:
    """Runs in words: a model by the title of its fusion, and by its own name too where two titles are alike."""

    def __init__(
        self, runs: dict[str, Run], options: dict[str, dict], about: dict[str, dict], training: dict[str, dict]
    ):
        self.runs, self.options, self.about, self.training = runs, options, about, training
        titles = {run.model: about[run.model]["title"] for run in runs.values()}
        seen = Counter(titles.values())
        self.titles = {m: text if seen[text] == 1 else f"{text} ({m})" for m, text in titles.items()}
        stores = {m: {run.inputs[m] for run in runs.values() if m in run.inputs} for m in MODALITIES.values()}
        self.varied = [modality for modality, read in stores.items() if len(read) > 1]
        self.stores = set().union(*stores.values())

    def sentence(self, text: str) -> str:
        """A text as a sentence begins, with the name of a store in front as it is written."""
        return text if text.partition(" ")[0].rstrip(":,") in self.stores else sentence(text)

    def model(self, run: str) -> str:
        """The model of a run in words."""
        return self.titles[self.runs[run].model]

    def features(self, run: str) -> str:
        """Which stores a run reads, of the modalities for which runs read different ones; else nothing."""
        inputs = self.runs[run].inputs
        return ", ".join(inputs[modality] for modality in self.varied if modality in inputs)

    def model_on_modalities(self, run: str) -> str:
        """A run in words without its features, which may be alike for several."""
        return f"{self.model(run)} {self.runs[run].modalities}"

    def of(self, run: str) -> str:
        """The model of a run, with its features where runs read different ones."""
        return self.model(run) + self._on_features(run)

    def run(self, run: str) -> str:
        """A run in words: the model, its modality letters and, where they vary, its features."""
        return self.model_on_modalities(run) + self._on_features(run)

    def side(self, runs: str) -> str:
        """One side of a contrast in words: a run, or the best of several."""
        return best_of(map(self.run, runs_of(runs)))

    def _on_features(self, run: str) -> str:
        features = self.features(run)
        return f" on {features}" if features else ""

    def differences(self, a: str, b: str) -> list[str]:
        """In which keys of the configuration two runs differ, the most telling first."""
        first, second = self.runs[a], self.runs[b]
        options = self.options[first.model], self.options[second.model]
        training = self.training.get(first.model, {}), self.training.get(second.model, {})
        return differences(*options, (first.modalities, second.modalities), (first.inputs, second.inputs), training)

    def also_differ(self, a: str, b: str) -> list[str]:
        """In what else than a contrast asks for its two sides differ, with any of the runs that b is."""
        return list(dict.fromkeys(key for run in runs_of(b) for key in also_differs(self.differences(a, run))))

    def pair(self, a: str, b: str) -> tuple[str, str, str]:
        """Two sides to be compared, and what both share: ("self-attention", "cross-attention", "A+V+T")."""
        every = [a, *runs_of(b)]
        models, features = ({part(run) for run in every} for part in (self.model, self.features))
        letters = {self.runs[run].modalities for run in every}
        of, shared = self.run, ""
        if len(letters) == 1:
            (shared,) = letters
            if len(features) == 1:
                of, shared = self.model, " on ".join(filter(None, (shared, *features)))
            elif len(models) == 1:
                of, shared = self.features, f"{self.model(a)} {shared}"
            else:
                of = self.of
        elif len(models) == len(features) == 1:
            of, shared = (lambda run: self.runs[run].modalities), self.model(a)
        return of(a), best_of(map(of, every[1:])), shared


def names_of(settings: Settings) -> RunNames:
    """Every configured run in words."""
    training = {model: settings.trained(model) for model in settings.about_models if model in settings.models}
    return RunNames(settings.runs, settings.models, settings.about_models, training)


def best_of(names: Iterable[str]) -> str:
    """One name, or several of which the best was taken, in words."""
    first, *others = names
    return f"the best of {listing([first, *others])}" if others else first


def matches(wanted: Mapping, options: Mapping) -> bool:
    """Whether options hold all that is wanted of them, at any depth; a list asks for the same set, or for one of it."""
    return all(_fits(value, options.get(key)) for key, value in wanted.items())


def _fits(wanted, found) -> bool:
    if isinstance(wanted, list):
        return sorted(wanted) == sorted(found) if isinstance(found, list) else found in wanted
    if wanted and isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and matches(wanted, found)
    return (wanted or None) == (found or None)


def in_order(runs: Iterable[str], known: Iterable[str]) -> list[str]:
    """Runs in the order of the configuration; those that it does not list are left out."""
    found = set(runs)
    return [run for run in known if run in found]
