"""What the report says of where its numbers come from, and the marks and files it takes that from."""

import pytest

from models.report.gather import Settings
from models.report.jobs import read_benchmarks
from tests.workflow_runs import small_config, snakemake, write_config


@pytest.mark.slow
@pytest.mark.parametrize("own", [False, True])
def test_labels_of_a_synthetic_corpus_are_marked_and_those_of_a_rehearsal_are_not(own, real_corpora, tmp_path):
    roots = {"iemocap": real_corpora / "IEMOCAP_full_release", "affwild2": real_corpora / "AffWild2"} if own else None
    write_config(tmp_path, small_config(roots))
    said = snakemake(tmp_path, "--dry-run", "--printshellcmds", "results/affwild2/features/log_mel.h5")
    index = next(line for line in said.splitlines() if "python -m pipeline index" in line)
    features = next(line for line in said.splitlines() if "python -m pipeline features" in line)
    assert ("--demonstration" in index) != own
    assert "--demonstration" in features  # real labels may meet them, see models.job


@pytest.mark.slow
def test_what_is_made_once_for_both_corpora_is_counted(tmp_path):
    write_config(tmp_path, small_config())
    snakemake(tmp_path, "results/weights/demo--bert", "results/iemocap/config.json")
    settings = Settings.from_json(tmp_path / "results/iemocap/config.json", "iemocap")
    assert settings.generated == "IEMOCAP_full_release"
    assert set(settings.weights) == {"demo--bert", "demo--vit", "demo--wav2vec2"}
    found = read_benchmarks([tmp_path / "results/benchmarks"], {"weights": set(settings.weights)})
    assert found[["rule", "job"]].values.tolist() == [["weights", "demo--bert"]]
