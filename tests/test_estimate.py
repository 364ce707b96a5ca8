"""What a run would cost: amounts counted by hand, from rates that are round numbers."""

import re
import subprocess

import imageio_ffmpeg
import pytest

from benchmarks.costs import share_that_trains
from benchmarks.full_size import make_affwild2, make_iemocap
from models.fusion.registry import FUSIONS
from pipeline.corpora.base import Index
from pipeline.records import Assignment
from tests.iemocap_turns import turns_and_labels
from workflow import estimate
from workflow.check import costs_of, plan_of, split_of, together
from workflow.corpora import Corpora
from workflow.estimate import Cost, Volume, costs, total, volume
from workflow.home import HOME
from workflow.launch import configuration
from workflow.overlay import patch

RATES = {
    "core": {
        "machine": "a slow core",
        "seconds": {
            "decoding": 0.1, "faces": 0.01, "audio": 0.001, "mfcc": 0.02, "transformers_text": 0.3,
            "segment, self_attention": 0.002, "segment, rcma": 0.004,
        },
    },
    "gpu": {"machine": "a GPU", "seconds": {"segment, self_attention": 0.001, "segment, rcma": 0.001}},
    "bytes": {"faces": 100, "audio": 10, "mfcc": 1000, "transformers_text": 3000, "training": 5},
    "memory_mb": {"faces": 200, "training": 700},
}  # fmt: skip
SMALL = {
    "protocol": "session",
    "inputs": {"audio": "mfcc"},
    "runs": {"self": ["A"], "rcma": ["A+T"]},
    "contrasts": [],
    "training": {"seeds": [1, 2], "epochs": 50, "stop_patience": 5, "learning_rate": [0.001, 0.01]},
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("corpus") / "IEMOCAP_full_release"
    make_iemocap(root, sample=0.05)
    return root


@pytest.fixture(scope="module")
def trees(tree, tmp_path_factory):
    videos = tmp_path_factory.mktemp("corpus") / "AffWild2"
    make_affwild2(videos, sample=0.05)
    return {"corpora": {"iemocap": {"root": str(tree)}, "affwild2": {"root": str(videos)}}}


@pytest.fixture
def known(tree, monkeypatch):
    def make(**changes):
        config = configuration(())[0]
        config["corpora"] = {"iemocap": {"reader": "iemocap", "root": str(tree), **SMALL, **changes}}
        config["defaults"]["segment"]["extractors"] |= {"mfcc": {"extractor": "mfcc"}}
        return Corpora(config)["iemocap"]

    monkeypatch.setattr(estimate, "rates", lambda: RATES)
    return make


def test_every_stage_is_priced_by_how_much_of_it_there_is(known):
    found = {cost.stage: cost for cost in costs(known(), Volume(10_000, 8000, 4000))}
    assert list(found) == ["audio", "bert", "mfcc", "training"]
    assert found["audio"].core_s == pytest.approx(8000 * 0.001)
    assert found["audio"].disk_b == 8000 * 10
    assert found["mfcc"].core_s == pytest.approx(8000 * 0.02)
    assert found["bert"].core_s == pytest.approx(8000 * 2.5 * 0.3)
    assert found["bert"].disk_b == 8000 * 2.5 * 3000
    once_s = 5 * 2 * 2 * 15 * 4000  # folds, seeds, learning rates, epochs
    assert found["training"].core_s == pytest.approx(once_s * (0.002 / 3 + 0.004 * 2 / 3))
    assert found["training"].gpu_s == pytest.approx(once_s * (0.001 / 3 + 0.001 * 2 / 3))
    assert found["training"].disk_b == 2 * 5 * 2 * 5  # runs, folds, seeds: of the learning rates one network is kept
    assert found["training"].memory_mb == pytest.approx(700 + (8000 * 1000 + 8000 * 2.5 * 3000) / 1e6)


def test_every_learning_rate_is_a_training(known):
    (line,) = [line for line in plan_of(known()) if line.startswith("trainings")]
    assert line.split(maxsplit=1)[1] == (
        "40: 2 runs (self-A, rcma-A+T), 5 folds, 2 seeds, 2 learning rates, of which one is kept"
    )


def test_faces_are_priced_by_what_is_decoded_and_what_is_looked_at(known):
    own = known(
        extractors={"geometry": {"extractor": "face_geometry"}},
        inputs={"video": "geometry"},
        faces={"sample_rate_hz": 5},
        runs={"self": ["V"]},
    )
    found = {cost.stage: cost for cost in costs(own, Volume(10_000, 8000, 4000))}
    assert list(found) == ["faces", "geometry", "training"]
    assert found["faces"].core_s == pytest.approx(10_000 * 0.1 + 8000 * 5 * 0.01)
    assert (found["faces"].disk_b, found["faces"].memory_mb) == (8000 * 5 * 100, 200)
    assert found["geometry"].core_s is None  # no rate is known


@pytest.mark.parametrize(
    ("options", "rows"),
    [
        ({}, 1),  # the sum of four layers
        ({"combine": "concat"}, 4),
        ({"combine": "keep", "layers": "all"}, 13),
        ({"combine": "concat", "layers": "last"}, 1),
        ({"combine": "concat", "layers": [1, -1]}, 2),
        ({"combine": "mean", "layers": "all"}, 1),
        ({"combine": "concat", "dtype": "float16"}, 2),
    ],
)
def test_a_store_is_as_wide_as_the_layers_that_stand_side_by_side(known, options, rows):
    weights = "google-bert/bert-base-uncased@" + "0" * 40
    own = known(extractors={"bert": {"extractor": "transformers_text", "weights": weights, **options}})
    found = {cost.stage: cost for cost in costs(own, Volume(10_000, 8000, 4000))}
    assert found["bert"].disk_b == 8000 * 2.5 * 3000 * rows
    assert found["training"].memory_mb == pytest.approx(700 + (8000 * 1000 + found["bert"].disk_b) / 1e6)


def test_turns_before_cost_as_many_times_the_training(known):
    """Five of them are encoded with each turn."""
    alone, hears = (
        costs(known(runs={name: ["A"]}), Volume(10_000, 8000, 4000))[-1].core_s for name in ("self", "self_context")
    )
    assert hears == pytest.approx(6 * alone)


def test_more_seeds_cost_more_and_a_gpu_beside_the_cores_takes_what_it_can(known):
    two, four = (
        costs(known(training={**SMALL["training"], "seeds": list(range(n))}), Volume(10_000, 8000, 4000))[-1]
        for n in (2, 4)
    )
    assert four.core_s == pytest.approx(2 * two.core_s)
    stages = [Cost("audio", 80.0, None, 0, 0), Cost("training", 8000.0, 100.0, 0, 0)]
    assert total(stages, 8, gpu=False) == 80 / 8 + 8000 / 8
    assert total(stages, 8, gpu=True) == 80 / 8 + 100
    assert total(stages[:1], 8, gpu=True) is None
    own = [*stages, Cost("own", None, None, 0, 0)]
    assert total(own, 8, gpu=True) == 80 / 8 + 100
    apart = "own and the start of each job (some seconds) apart"
    assert [line.endswith(apart) for line in together(own)] == [True, True]


def test_what_there_is_of_a_corpus_is_what_its_files_say(known, tree):
    found = volume(known(), split_of(known()))
    turns = [line for file in tree.rglob("EmoEvaluation/*.txt") for line in file.read_text().splitlines()]
    turns = [line for line in turns if re.match(r"\[\d", line)]
    spans = [tuple(map(float, re.match(r"\[(\S+) - (\S+)\]", line).groups())) for line in turns]
    lasts_s = [end - start for start, end in spans]
    kept = {"ang", "exc", "hap", "sad", "fru", "sur", "neu"}
    labelled_s = sum(s for s, line in zip(lasts_s, turns) if line.split("\t")[2] in kept)
    assert found.segments_s == pytest.approx(sum(lasts_s))
    assert found.trained_s == pytest.approx(labelled_s * 4 / 5)  # a session of five is left out
    assert found.recordings_s > found.segments_s  # pauses


def test_recordings_that_no_segment_measures_are_opened(tmp_path):
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", "sine=duration=2.5", tmp_path / "a.wav"],
        check=True,
    )
    (tmp_path / "b.wav").write_bytes(b"no sound")
    assert estimate.length_s(tmp_path, "a.wav") == pytest.approx(2.5)
    assert estimate.length_s(tmp_path, "b.wav") is estimate.length_s(tmp_path, None) is None
    (tmp_path / "labels.csv").write_text("audio,label\na.wav,x\nb.wav,y\n")
    config = configuration(())[0]
    config["corpora"] = {"mine": {"reader": "table", "root": str(tmp_path), "segments": "labels.csv"}}
    mine, both = Corpora(config)["mine"], ("training", "development")
    split = [Assignment(s.segment_id, 0, part) for s, part in zip(mine.index.segments, both)]
    assert volume(mine, split[:1]) == Volume(*[pytest.approx(5.0)] * 2, pytest.approx(2.5 / mine.folds))
    assert volume(mine, split) == Volume(*[pytest.approx(5.0)] * 2, pytest.approx(5.0 / mine.folds))


def test_what_a_fold_does_not_train_on_is_not_paid_for(known):
    """Of IEMOCAP two thirds, where people and scenario are left out together."""
    iemocap = known(protocol="scenario")
    iemocap.index = Index([], *turns_and_labels())
    of_page = (2208 + 395) / (20 * 374)  # docs/statistics.md
    assert "| `scenario` | 20 | 2,208 | 395 | 374 |" in (HOME / "docs/statistics.md").read_text()
    assert share_that_trains(iemocap) == pytest.approx(of_page, rel=0.002)


def test_check_prints_the_costs_and_where_they_were_measured(known):
    lines = list(costs_of(known(), split_of(known())))
    assert "an estimate" in lines[0]
    assert "one a slow core core and one a GPU gpu" in lines[0]
    assert [line.split()[0] for line in lines[2:6]] == ["audio", "bert", "mfcc", "training"]
    assert "15 epochs" in lines[6]
    assert lines[7].startswith("  all, on 8 cores: ")
    assert lines[8].startswith("  all, on 8 cores and one GPU: ")


@pytest.mark.parametrize("name", ["iemocap", "affwild2"])
def test_the_quick_settings_are_a_part_of_the_whole_and_cost_less(trees, name):
    """Seeds are kept by all but the seeds themselves, so that the whole table goes on from the quick one."""
    whole, quick = (
        Corpora(patch(configuration(given)[0], trees))[name] for given in ((), (str(HOME / "configs/quick.yaml"),))
    )
    assert set(quick.options.training.seeds) <= set(whole.options.training.seeds)
    assert [c for c in quick.options.contrasts if c in whole.options.contrasts] == quick.options.contrasts != []
    for run, what in quick.options.planned_runs.items():
        assert whole.options.planned_runs[run] == what
    of_both = {}
    for known in (whole, quick):
        kept = known.options.model_dump(exclude={"runs", "contrasts", "training"})
        training = known.options.training.model_dump(exclude={"seeds"})
        of_both[known] = kept, training, known.settings.models, known.folds, known.settings.labels
    assert of_both[whole] == of_both[quick]
    much = Volume(10_000, 8000, 4000)
    assert costs(quick, much)[-1].core_s < costs(whole, much)[-1].core_s / 3


def test_every_part_of_the_configuration_has_a_rate():
    seconds = estimate.rates()["core"]["seconds"]
    assert {f"{level}, {fusion}" for level in ("segment", "frame") for fusion in FUSIONS.built_in} <= set(seconds)
    config = configuration(())[0]
    used = {entry["extractor"] for kind in config["defaults"].values() for entry in kind["extractors"].values()}
    assert used <= set(seconds)


def test_the_table_of_the_docs_is_what_the_rates_say():
    from benchmarks.costs import DOCS, table

    assert table() in DOCS.read_text()
