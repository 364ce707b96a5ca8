"""The stages of a small corpus, run as the workflow runs them: one process a video or a shard, each with its cost."""

import json
import sys
from pathlib import Path

from benchmarks.measure import Cost, run
from models.task import Task
from pipeline.corpora.registry import make


class Corpus:
    """A corpus under ``root`` that ``reader`` reads, and the commands that make its results.

    Of so few recordings each is a shard of its own name.
    """

    def __init__(self, reader: str, root: Path, results: Path):
        self.name, self.root, self.results = reader, root, results
        self.task = Task.parse(make(reader, reader, root).task)
        self._tree = [f"--corpus={reader}", f"--reader={reader}", f"--root={root}"]
        self._media = [f"--root={root}", f"--tables={results}"]

    def _run(self, package: str, stage: str, *arguments) -> Cost:
        return run([sys.executable, "-m", package, stage, *map(str, arguments)], self.root)

    def index(self) -> Cost:
        """Read the tree; everything else needs it."""
        return self._run("pipeline", "index", *self._tree, f"--out={self.results}")

    def frame_labels(self) -> Cost:
        """Write the labels of every frame, where the corpus has such."""
        given = [f"--tables={self.results}", f"--columns={','.join(self.task.targets)}"]
        out = [f"--out={self.results}/labels.h5", f"--findings={self.results}/label_findings.tsv"]
        return self._run("pipeline", "frame-labels", *self._tree, *given, *out)

    def faces(self, shard: str, rate_hz: float | None = None) -> Cost:
        """Track one video's faces: every frame where frames are labelled, else ten a second, or as often as is said."""
        rate = [f"--sample-rate-hz={rate_hz or 10}"] if rate_hz or not self.task.frames else []
        out = f"--out={self.results}/faces/{shard}.h5"
        return self._run("pipeline", "faces", *self._media, f"--shard={shard}", *rate, out)

    def audio(self, shard: str) -> Cost:
        """Cut one video's sound."""
        out = f"--out={self.results}/audio/{shard}.h5"
        return self._run("pipeline", "audio", *self._media, f"--shard={shard}", out)

    def words(self, shard: str, recogniser: str = "none") -> Cost:
        """Place one video's words in time."""
        given = [f"--shard={shard}", f"--audio={self.results}/audio/{shard}.h5"]
        out = f"--out={self.results}/words/{shard}.tsv"
        return self._run("pipeline", "words", *self._media, *given, f"--recogniser={recogniser}", out)

    def features(self, extractor: str, shards: list[str], weights: Path | None = None, **options) -> Cost:
        """Make one part of the features."""
        fixed = [f"--corpus={self.name}", f"--name={extractor}", f"--extractor={extractor}", "--demonstration"]
        given = [f"--results={self.results}", *(f"--shard={name}" for name in shards)]
        given += [f"--options={json.dumps(options)}", *([f"--weights={weights}"] if weights else [])]
        return self._run("pipeline", "features", *fixed, *given, f"--out={self.results}/features/{extractor}.h5")

    def split(self, protocol: str) -> Cost:
        """Assign segments to parts, by their labels of frames."""
        fixed = [f"--task={self.task}", f"--segments={self.results}/segments.tsv", f"--protocol={protocol}"]
        store = f"--labels-store={self.results}/labels.h5"
        return self._run("models", "split", *fixed, store, f"--out={self.results}/split.tsv")

    def train(self, modalities: str, stores: dict[str, str], network: dict, training: dict) -> Cost:
        """Train one model on the first fold; ``stores`` maps a modality to its extractor."""
        features = [f"--feature={m}={self.results}/features/{extractor}.h5" for m, extractor in stores.items()]
        labels = [f"--labels={self.results}/labels.h5"] if self.task.frames else []
        options = [f"--network={json.dumps(network)}", f"--training={json.dumps(training)}"]
        fixed = ["--name=bench", f"--modalities={modalities}", f"--split={self.results}/split.tsv", "--fold=0"]
        out = f"--out={self.results}/run"
        return self._run("models", "train", f"--task={self.task}", *labels, *fixed, *features, *options, out)
