"""Every protocol plans one training job per run and fold, and the tables that follow from them."""

import pytest

from models.protocols.folds import PROTOCOLS
from tests.workflow_runs import FEW_RUNS, planned, small_config, write_config
from workflow.corpora import Corpora
from workflow.launch import configuration

FOLDS = {  # of the demonstration corpora: five sessions of two dialogs, 14 and 8 videos
    "iemocap": {"session": 5, "speaker": 10, "scenario": 10, "utterance": 5},
    "affwild2": {"official": 1, "official_paper": 1, "sixfold": 6},
}


def test_every_protocol_of_these_corpora_is_known():
    assert {protocol for folds in FOLDS.values() for protocol in folds} <= set(PROTOCOLS)


def with_protocol(corpus: str, protocol: str) -> dict:
    """The demonstration by a protocol, each fold a job of its own."""
    at_either_scale = {"corpora": {corpus: {"protocol": protocol}}}
    each_fold_a_job = {"defaults": {level: {"training_job": "fold"} for level in FEW_RUNS}}
    return small_config(changes=at_either_scale | {"demo": at_either_scale | each_fold_a_job})


@pytest.mark.parametrize(("corpus", "protocol"), [(c, protocol) for c, folds in FOLDS.items() for protocol in folds])
def test_a_protocol_has_its_folds(corpus, protocol):
    assert Corpora(with_protocol(corpus, protocol))[corpus].folds == FOLDS[corpus][protocol]


def test_a_protocol_plans_its_folds(tmp_path):
    write_config(tmp_path, with_protocol("affwild2", "sixfold"))
    jobs = planned(tmp_path, "results/affwild2_report.html")
    assert jobs["train"] == sum(len(sets) for sets in FEW_RUNS["frame"].values()) * 6
    assert jobs["split"] == jobs["scores"] == jobs["significance"] == jobs["leaks"] == jobs["html_report"] == 1


@pytest.mark.parametrize(
    ("speakers", "protocol", "folds", "description", "caveat"),
    [
        (4, "speaker", 4, "leave one speaker out", ""),
        (12, "speaker", 10, "leave one of 10 sets of speakers out", ""),
        (4, "group", 4, "grouped folds", ""),
        (1, "group", 5, "grouped folds", "nearly all recordings share people"),
        (4, "utterance", 5, "random utterance folds", "people and recordings of the test part also train"),
    ],
)
def test_what_a_report_says_of_a_protocol_is_so_on_the_corpus(tmp_path, speakers, protocol, folds, description, caveat):
    rows = [f"{k}.wav,s{k % speakers},{'xy'[k // speakers % 2]}" for k in range(8 * speakers)]
    for row in rows:
        (tmp_path / row.split(",")[0]).write_bytes(b"no media is opened")
    (tmp_path / "labels.csv").write_text("\n".join(["audio,speaker,label", *rows]))
    entry = {"reader": "table", "root": str(tmp_path), "segments": "labels.csv", "protocol": protocol}
    config = configuration(())[0]
    config["corpora"] = {"mine": {**entry, "runs": {"self": ["A"]}, "contrasts": []}}
    said = Corpora(config)["mine"].configuration
    assert (said["folds"], said["protocol"]["description"]) == (folds, description)
    assert said["protocol"]["caveat"].startswith(caveat)
    assert bool(said["protocol"]["caveat"]) == bool(caveat)


def test_turns_of_one_style_alone(tmp_path):
    write_config(tmp_path, small_config(changes={"corpora": {"iemocap": {"protocol": "session", "turns": "scripted"}}}))
    jobs = planned(tmp_path, "results/iemocap_report.html")
    assert jobs["train_5_folds"] == sum(len(sets) for sets in FEW_RUNS["segment"].values())
