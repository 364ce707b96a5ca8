"""Every protocol plans one training job per run and fold, and the tables that follow from them."""

import pytest
from models.splits import PROTOCOLS

from tests.workflow_runs import FEW_RUNS, planned, small_config, write_config

FOLDS = {"session": 5, "speaker": 10, "utterance": 5, "official": 1, "official_paper": 1, "sixfold": 6}
TRAIN = {"iemocap": ("train", "scores"), "affwild2": ("train_frames", "scores_frames")}


def test_every_protocol_is_here():
    assert set(FOLDS) == set(PROTOCOLS)


@pytest.mark.parametrize("protocol", FOLDS)
def test_a_protocol_plans_its_folds(tmp_path, protocol):
    corpus = PROTOCOLS[protocol].corpus
    write_config(tmp_path, small_config(changes={"corpora": {corpus: {"protocol": protocol}}}))
    jobs = planned(tmp_path, f"results/{corpus}_report.html")
    train, scores = TRAIN[corpus]
    runs = sum(len(sets) for sets in FEW_RUNS[corpus].values())
    assert jobs[train] == runs * FOLDS[protocol]
    assert jobs["split"] == jobs[scores] == jobs["significance"] == jobs["html_report"] == 1
    assert not jobs[TRAIN["affwild2" if corpus == "iemocap" else "iemocap"][0]]
