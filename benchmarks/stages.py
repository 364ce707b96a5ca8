"""The stages of a small corpus, run as the workflow runs them: one process a video or a shard, each with its cost."""

import json
import sys
from pathlib import Path

from benchmarks.measure import Cost, run


class Corpus:
    """A corpus of one kind under ``root``, and the commands that make its results."""

    def __init__(self, name: str, root: Path, results: Path):
        self.name, self.root, self.results = name, root, results
        self.labels = results / "labels.h5" if name == "affwild2" else None
        self._tables = [f"--{table}={results}/{table}.tsv" for table in ("units", "segments")]
        self._common = [f"--root={root}", *self._tables]

    def _run(self, package: str, stage: str, *arguments) -> Cost:
        return run([sys.executable, "-m", package, stage, *map(str, arguments)], self.root)

    def index(self) -> Cost:
        """Read the tree; everything else needs it."""
        labels = [f"--labels={self.labels}"] if self.labels else []
        findings = f"--findings={self.results}/findings.tsv"
        return self._run("pipeline", "index", f"--corpus={self.name}", *self._common, findings, *labels)

    def faces(self, unit: str) -> Cost:
        """Track one video's faces: ten a second of a dialog, or every frame."""
        rate = ["--sample-rate-hz=10"] if self.name == "iemocap" else []
        out = f"--out={self.results}/faces/{unit}.h5"
        return self._run("pipeline", "faces", *self._common, f"--unit={unit}", *rate, out)

    def audio(self, unit: str) -> Cost:
        """Cut one video's sound."""
        fixed = [f"--corpus={self.name}", *self._common, f"--unit={unit}", "--source=video"]
        return self._run("pipeline", "audio", *fixed, f"--out={self.results}/audio/{unit}.h5")

    def words(self, unit: str, recogniser: str = "none") -> Cost:
        """Place one video's words in time."""
        fixed = [f"--corpus={self.name}", *self._common, f"--unit={unit}", f"--audio={self.results}/audio/{unit}.h5"]
        kind = json.dumps({"kind": recogniser})
        return self._run("pipeline", "words", *fixed, f"--recogniser={kind}", f"--out={self.results}/words/{unit}.tsv")

    def features(self, extractor: str, units: list[str], weights: Path | None = None, **options) -> Cost:
        """Make one shard of features."""
        fixed = [f"--corpus={self.name}", f"--name={extractor}", f"--extractor={extractor}", "--demonstration"]
        given = [f"--results={self.results}", *(f"--unit={unit}" for unit in units), f"--options={json.dumps(options)}"]
        sealed = [f"--weights={weights}"] if weights else []
        out = f"--out={self.results}/features/{extractor}.h5"
        return self._run("pipeline", "features", *fixed, *given, *sealed, out)

    def split(self, protocol: str) -> Cost:
        """Assign segments to parts."""
        fixed = [f"--corpus={self.name}", f"--segments={self.results}/segments.tsv", f"--protocol={protocol}"]
        return self._run("models", "split", *fixed, f"--out={self.results}/split.tsv")

    def train(self, modalities: str, stores: dict[str, str], network: dict, training: dict) -> Cost:
        """Train one model on the first fold; ``stores`` maps a modality to its extractor."""
        features = [f"--feature={m}={self.results}/features/{extractor}.h5" for m, extractor in stores.items()]
        task = ["--task=frame", f"--labels={self.labels}"] if self.labels else ["--task=segment"]
        options = [f"--network={json.dumps(network)}", f"--training={json.dumps(training)}"]
        fixed = ["--name=bench", f"--modalities={modalities}", f"--split={self.results}/split.tsv", "--fold=0"]
        return self._run("models", "train", *task, *fixed, *features, *options, f"--out={self.results}/run")
