"""What the report says of where its numbers come from, and the marks and files it takes that from."""

import pytest
from click.testing import CliRunner

from models.report.gather import read_benchmarks
from models.settings import Settings
from pipeline.__main__ import main
from pipeline.corpora.prepare import read
from pipeline.corpora.raw import Fingerprints, RawFiles, files_read
from pipeline.corpora.registry import make
from pipeline.records import Unit, read_table
from tests.workflow_runs import small_config, snakemake, write_config


@pytest.mark.slow
@pytest.mark.parametrize("own", [False, True])
def test_labels_of_a_synthetic_corpus_are_marked_and_those_of_a_rehearsal_are_not(own, real_corpora, tmp_path):
    roots = {"iemocap": real_corpora / "IEMOCAP_full_release", "affwild2": real_corpora / "AffWild2"} if own else None
    write_config(tmp_path, small_config(roots))
    targets = ["results/affwild2/features/log_mel.h5", "results/affwild2/labels.h5"]
    said = snakemake(tmp_path, "--dry-run", "--printshellcmds", *targets)
    labels = next(line for line in said.splitlines() if "python -m pipeline frame-labels" in line)
    features = next(line for line in said.splitlines() if "python -m pipeline features" in line)
    assert ("--demonstration" in labels) != own
    assert " --fingerprints .snakemake/fingerprints/affwild2.json " in labels
    assert "--demonstration" in features  # real labels may meet them, see models.job


@pytest.mark.slow
def test_what_is_made_once_for_both_corpora_is_counted(tmp_path):
    write_config(tmp_path, small_config())
    snakemake(tmp_path, "results/weights/demo--bert", "results/iemocap/config.json")
    settings = Settings.from_json(tmp_path / "results/iemocap/config.json")
    assert settings.generated == "IEMOCAP_full_release"
    assert set(settings.weights) == {"demo--bert", "demo--onnx", "demo--wav2vec2"}
    found = read_benchmarks([tmp_path / "results/benchmarks"], {"weights": {"demo"}})
    assert found[["rule", "job"]].values.tolist() == [["weights", "demo"]]


def test_every_file_is_known_by_what_it_holds(tmp_path):
    root = tmp_path / "corpus"

    def write(name, text):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
        corpus = make("affwild2", "affwild2", root)
        found = read(corpus)
        return {row.what: row for row in files_read(corpus, found.units, found.segments, Fingerprints(root))}

    annotation = "annotations/VA_Estimation_Challenge/Train_Set/a.txt"
    write("videos/batch1/a.mp4", "picture")
    first = write(annotation, "valence,arousal")
    notes = first["supplied annotations"]
    assert first["videos"] == RawFiles("videos", 1, 7, first["videos"].sha256)
    assert notes == RawFiles("supplied annotations", 1, 15, notes.sha256)
    assert set(first) == {"videos", "supplied annotations"}
    assert write("videos/batch1/._a.txt", "litter") == first
    other = [write("videos/batch1/a.mp4", text)["videos"].sha256 for text in ("PICTURE", "pictures")]
    assert len({*other, first["videos"].sha256}) == 3
    assert write("videos/batch1/a.mp4", "picture") == first, "not the time of a file counts, but what is in it"
    assert write(annotation, "arousal,valence")["supplied annotations"].sha256 != notes.sha256
    assert write("videos/batch1/a.srt", "1")["supplied transcripts"].files == 1
    assert "supplied transcripts" not in write("videos/batch1/a.vtt", "2"), "of two transcripts none is used"


def test_the_raw_files_are_noted(real_corpora, tmp_path):
    root = real_corpora / "IEMOCAP_full_release"
    corpus = ["--corpus", "iemocap", "--reader", "iemocap", "--root", str(root)]
    CliRunner().invoke(main, ["index", *corpus, "--out", str(tmp_path)], catch_exceptions=False, standalone_mode=False)
    arguments = ["raw-files", *corpus, "--tables", str(tmp_path), "--out", str(tmp_path / "raw_files.tsv")]
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    rows = {row.what: row for row in read_table(tmp_path / "raw_files.tsv", RawFiles)}
    patterns = {"videos": "*.avi", "sound": "sentences/**/*.wav", "forced alignments": "*.wdseg"}
    for what, pattern in patterns.items():
        files = [p for p in root.rglob(pattern) if not p.name.startswith(".")]
        assert (rows[what].files, rows[what].bytes) == (len(files), sum(p.stat().st_size for p in files))
    assert rows["emotion labels"].files == len(read_table(tmp_path / "units.tsv", Unit))
