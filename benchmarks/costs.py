"""What each stage costs per video: whether it grows in proportion; and the table of costs in the docs.

    python -m benchmarks costs         measures
    python -m benchmarks.costs         writes the table

Stages run as the workflow runs them, one process a video or a shard, on generated media of a real dialog's size. Cost
is time of the processor. The table follows from the rates of benchmarks/rates.py, as what ``affectflow check`` says.
"""

import tempfile
from pathlib import Path

import numpy as np
import yaml

from benchmarks.full_size import make_affwild2, make_films, make_iemocap, write_config, write_dialog, write_film
from benchmarks.measure import ROOT
from benchmarks.stages import Corpus
from pipeline.corpora.base import Index
from tests.iemocap_turns import turns_and_labels
from workflow.check import measured_on, split_of, together
from workflow.corpora import Corpora
from workflow.estimate import Volume, cells, costs, epochs_of, trained
from workflow.planned import Planned

COUNTS = (1, 4, 16)
"""Numbers of short dialogs that are compared."""
DOCS = ROOT / "docs" / "cluster.md"
# Hours of the whole corpora: of recordings, all of which are segments, and of those with a label that is predicted.
FULL = [("iemocap", "IEMOCAP", 12.4, 9.3), ("affwild2", "Aff-Wild2", 26.0, 18.9)]


def _dialogs(root: Path, films: Path, count: int, turns: int) -> tuple[list[str], float]:
    """Write dialogs of the same turns into session 1; returns their names, and the seconds of each."""
    names = [f"Ses01F_impro{k:02d}" for k in range(1, count + 1)]
    for name in names:
        folder = root / "Session1" / "dialog"
        end_s = write_dialog(folder, name, turns, np.random.default_rng(turns))
        write_film(folder / "avi" / "DivX" / f"{name}.avi", films / "dialog.avi", end_s + 1)
    return names, end_s + 1


def proportion(folder: Path, films: Path) -> dict[str, float]:
    """What an hour of media costs where there is one dialog, and where there are four and sixteen."""
    units, unit_s = _dialogs(folder / "root", films, max(COUNTS), turns=6)
    corpus = Corpus("iemocap", folder / "root", folder / "results")
    corpus.index()
    found = {}
    for stage in (corpus.faces, corpus.audio, corpus.words):
        spent_s = [min(stage(unit).processor_s, stage(unit).processor_s) for unit in units]
        rates = {count: sum(spent_s[:count]) / count * 3600 / unit_s for count in COUNTS}
        for count, rate in rates.items():
            found[f"{stage.__name__}: s of a core for an hour of media, {count} dialogs"] = rate
        spread = max(rates.values()) / min(rates.values())
        found[f"{stage.__name__}: the most of these / the least (at most 1.1)"] = spread
    # In a shard all dialogs share one start, which is most of what so few cost: the best of four runs each.
    start, half, whole = (min(corpus.features("prosody", units[:n]).processor_s for _ in range(4)) for n in (1, 8, 16))
    found["prosody: cost of a further dialog among 16 / among 8 (0.9 to 1.1)"] = (whole - half) / 8 * 7 / (half - start)
    return found


def share_that_trains(known: Planned) -> float:
    """Which share of the labelled segments trains or selects a model of a fold, in the mean."""
    rows = split_of(known)
    return len(trained(rows)) / known.folds / len({row.segment_id for row in rows if row.part != "unlabelled"})


def table() -> str:
    """What config.yaml costs on both whole corpora at research scale, as Markdown."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_iemocap(folder / "IEMOCAP_full_release", sample=0.05)
        make_affwild2(folder / "AffWild2")
        write_config(folder)
        corpora = Corpora(yaml.safe_load((folder / "config.yaml").read_text()))
        corpora["iemocap"].index = Index([], *turns_and_labels())
        found = {
            title: costs(known, Volume(3600 * all_h, 3600 * all_h, 3600 * labelled_h * share_that_trains(known)))
            for known, title, all_h, labelled_h in ((corpora[name], *more) for name, *more in FULL)
        }
    epochs = [f"{title} {epochs_of(corpora[name].options.training)}" for name, title, *_ in FULL]
    lines = [
        "| | stage | core hours | or GPU hours | GB of disk | GB of memory of a job |",
        "|---|---|---|---|---|---|",
    ]
    lines += [f"| {title} | {' | '.join(cells(cost))} |" for title, own in found.items() for cost in own]
    lines += [
        "",
        f"Training is priced at so many epochs: {', '.join(epochs)}. All of it, one stage after the other:",
        "",
    ]
    for title, own in found.items():
        lines += [f"- {title}: {line}" for line in together(own)]
    return "\n".join([f"From rates of {measured_on()}:", "", *lines])


def write_docs() -> None:
    """Put the table between its marks in docs/cluster.md."""
    begin, end = "<!-- python -m benchmarks.costs -->\n", "<!-- end -->\n"
    before, _, rest = DOCS.read_text(encoding="utf-8").partition(begin)
    DOCS.write_text(f"{before}{begin}{table()}\n{end}{rest.partition(end)[2]}", encoding="utf-8")


def figures() -> dict[str, float]:
    """All figures of one run."""
    with tempfile.TemporaryDirectory() as temporary:
        return proportion(Path(temporary) / "many", make_films(Path(temporary) / "films"))


if __name__ == "__main__":
    write_docs()
