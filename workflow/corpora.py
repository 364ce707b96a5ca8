"""All corpora of a configuration, and what they share: weights, and the digests of files of one's own."""

import os
import re
from collections.abc import Iterable
from functools import cached_property

from pipeline import weights
from pipeline.corpora.prepare import read
from pipeline.corpora.raw import Fingerprints
from pipeline.records import InputError
from workflow.overlay import Layers
from workflow.planned import Planned
from workflow.settings import Unreadable, check, resolve


class Corpora(dict[str, Planned]):
    """The corpora of a configuration by name; one that cannot be read stops nothing but what asks for it."""

    def __init__(self, config: dict, layers: Layers = ()):
        """Check the whole configuration; raises InputError for a mistake in what it says.

        The message names that of the ``layers``, the files of which it is made, in which the mistake stands.
        """
        super().__init__()
        self.unreadable: dict[str, str] = {}
        self.prints = Fingerprints("", ".snakemake/fingerprints/weights.json", whole=True)
        checked = check(config, layers)
        self._rooted: list[str] = []
        for name, entry in checked.plain.corpora.items():
            if entry and entry.get("root") is not None:
                self._rooted.append(name)
            try:
                self[name] = Planned(resolve(checked, name, read))
            except Unreadable as error:
                self.unreadable[name] = str(error)

    def __missing__(self, name: str) -> Planned:
        raise InputError(self.unreadable.get(name) or f"there is no corpus {name!r}; there are {', '.join(self)}")

    def usable(self, name: str) -> Planned:
        """A corpus to work on; raises InputError where it cannot be read, or its results must not be replaced."""
        if why := self[name].overwrites:
            raise InputError(why)
        return self[name]

    def asked_for(self, words: Iterable[str]) -> list[str]:
        """The corpora that a command line names in its targets."""
        target = r"results/([^/]+?)(?:/.*|_report\.html)|(?:features|weights)_(.+)"
        named = [found[1] or found[2] for word in words if (found := re.fullmatch(target, word))]
        return [name for name in named if name in self or name in self.unreadable]

    @property
    def active(self) -> list[str]:
        """The corpora with a root, readable or not; all, as demonstrations, where none has one."""
        known = [*self, *self.unreadable]
        return [name for name in known if name in self._rooted] or known

    @property
    def training_jobs(self) -> dict[int | None, list[str]]:
        """The corpora by how many folds one job trains: None stands for one job for each fold."""
        found: dict[int | None, list[str]] = {None: []}
        for name, corpus in self.items():
            found.setdefault(corpus.folds if corpus.trains_whole_runs else None, []).append(name)
        return found

    @cached_property
    def weight_sources(self) -> dict[str, dict]:
        """Where weights come from, by the name of their folder, and whether a pickle is allowed for them."""
        found: dict[str, dict] = {}
        for corpus in self.values():
            for source, allowed in corpus.options.weight_sources.items():
                known = found.setdefault(weights.slug(source), {"source": source, "allow_pickle": False})
                known["allow_pickle"] |= allowed
        return found

    def local_weights(self, slug: str) -> list[str] | None:
        """Digests of the files that a local checkpoint is loaded from; None where it is gone.

        A hub's is told by its revision. Raises InputError where there are no weights that may be read.
        """
        known = self.weight_sources[slug]
        source = weights.parse(known["source"])
        if source.kind != "path":
            return []
        if not os.path.exists(source.location):
            return None
        return self.digests(map(str, weights.local_files(source, known["allow_pickle"])))

    def digests(self, files: Iterable[str]) -> list[str]:
        """Digests of files of one's own, each read whole."""
        return list(map(self.prints.of, files))

    def remember(self) -> None:
        """Write down the digests of the files that were read, once for all of them: there may be 100,000."""
        for prints in (self.prints, *(corpus.prints for corpus in self.values())):
            prints.save()

    def stores_by(self, extractor: str) -> list[str]:
        """Names of the feature stores that an extractor makes, of all corpora."""
        entries = [pair for corpus in self.values() for pair in corpus.options.extractors.items()]
        return sorted({name for name, entry in entries if entry.extractor == extractor})
