"""The conformance check finds what is wrong, and the worked example of the docs works from outside the repository."""

import json
import re
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from pydantic import TypeAdapter

from pipeline import conformance
from pipeline.__main__ import main
from pipeline.audio_file import AudioWriter
from pipeline.features import registry
from pipeline.features.base import Cut, Extractor
from pipeline.features.check import CHECKS, check_extractor
from pipeline.features.command import build
from pipeline.records import InputError, Segment, write_table
from pipeline.store import FeatureStore, Rows
from pipeline.weights import seal
from pipeline.words.check import check_recogniser
from tests.task_corpora import invoke

REPOSITORY = Path(__file__).resolve().parent.parent


class Good(Extractor):
    modality = "audio"

    def extract(self, batch):
        return [p.rows(p.windows(0.05, 0.02).std(axis=1, keepdims=True), 0.05, 0.02) for p in batch]


class Good2(Extractor):
    modality = "video"

    def extract(self, batch):
        return [p.rows(p.crops.mean(axis=(1, 2))) for p in batch]


def verdicts(extractor):
    return {title: (good, said) for title, said, good in conformance.verdicts(CHECKS, extractor)}


@pytest.mark.parametrize("kind", ["mfcc", "log_mel", "vggish_log_mel", "face_geometry"])
def test_built_in_extractors_pass(kind):
    bad = {k: said for k, (good, said) in verdicts(registry.EXTRACTORS.load(kind)()).items() if not good}
    assert not bad


@pytest.mark.parametrize("kind", ["mfcc", "log_mel"])
def test_a_hop_that_is_no_whole_number_of_samples_passes(kind):
    extractor = build(kind, {"hop_s": 0.0333, "window_s": 0.02503}, None, "cpu")[0]
    bad = {k: said for k, (good, said) in verdicts(extractor).items() if not good}
    assert not bad


def wrong(base=Good, **methods):
    return type("Wrong", (base,), methods)()


def noisy(self, batch):
    rows = Good.extract(self, batch)
    return [replace(r, values=r.values + np.random.default_rng().random()) for r in rows]


def from_zero(self, batch):
    return [replace(r, time_s=r.time_s - p.start_s) for p, r in zip(batch, Good.extract(self, batch), strict=True)]


def of_the_batch(self, batch):
    return [replace(r, values=r.values / len(batch)) for r in Good.extract(self, batch)]


def too_few(self, batch):
    return Good.extract(self, batch[:1])


def loses_short_ones(self, batch):
    rows = Good.extract(self, batch)
    return [r if len(p) > 800 else Rows.empty(1) for p, r in zip(batch, rows, strict=True)]


def off_grid(self, batch):
    return [p.rows(p.windows(0.05, 0.03).std(axis=1, keepdims=True), 0.05, 0.03) for p in batch]


def overwrites(self, batch):
    for piece in batch:
        piece.samples[:] *= 0.5
    return Good.extract(self, batch)


def raises(self, batch):
    return [1 / 0]


def no_more_than_three(self, batch):
    return [Rows(r.values[:3], r.time_s[:3], r.valid[:3]) for r in Good.extract(self, batch)]


def no_more_than_three_faces(self, batch):
    return [Rows(r.values[:3], r.time_s[:3], r.valid[:3]) for r in Good2.extract(self, batch)]


def unmasked(self, batch):
    return [Rows(p.crops.mean(axis=(1, 2)), p.time_s, np.ones(len(p), bool)) for p in batch]


@pytest.mark.parametrize(
    ("extractor", "title", "said"),
    [
        (wrong(extract=noisy), "determinism", "other rows the second time"),
        (wrong(extract=from_zero), "times", "outside the clip"),
        (wrong(extract=no_more_than_three), "times", r"between 12.590 and 15.500 s .* to the end of the piece"),
        (wrong(Good2, extract=no_more_than_three_faces), "times", "no row lies between 12.620 and 15.500 s"),
        (wrong(extract=of_the_batch), "batches", "between a batch and each piece alone"),
        (wrong(extract=too_few), "batches", "rows of 1 pieces for a batch of 3"),
        (wrong(extract=loses_short_ones), "short pieces", "no row"),
        (wrong(extract=off_grid), "cutting", "set grid in cut"),
        (wrong(pool_s=0.0333, cut=Cut(30.0, 1.0, 0.0333)), "cutting", "pool_s is 0.0333 .* set both to 0.0333125, or"),
        (wrong(pool_s=0.1, cut=Cut(30.0, 1.0, 0.14)), "cutting", "pool_s is 0.1 and cut.grid 0.14; .* is a multiple"),
        (wrong(Good2, pool_s=0.1), "cutting", "only rows of sound are averaged"),
        (wrong(extract=overwrites), "input", "changes the piece's samples"),
        (wrong(extract=raises), "shapes", "ZeroDivisionError.*test_features_check.py, line"),
        (wrong(Good2, extract=unmasked), "masks", "without a face are marked valid"),
    ],
)
def test_what_is_wrong_is_said(extractor, title, said):
    good, text = verdicts(extractor)[title]
    assert not good
    assert re.search(said, text)


def drawn(self, batch):
    rows = Good.extract(self, batch)
    return [replace(r, values=np.random.default_rng(0).random((len(r), 1), np.float32)) for r in rows]


def test_what_cutting_changes_is_explained():
    """Numbers drawn with one seed are the same for the same piece, and have nothing to do with what is in it."""
    for made, meant in ((Good(), False), (wrong(extract=drawn), True)):
        good, said = verdicts(made)["cutting"]
        assert good
        assert re.search(r"values differ by up to \S+ of the largest one", said)
        assert ("of a network, which sees far around, this is normal" in said) == meant


def test_windows_laid_end_to_end_cover_a_clip_however_long_they_are():
    def long(self, batch):
        return [p.rows(p.windows(1.6, 1.6).std(axis=1, keepdims=True), 1.6, 1.6) for p in batch]

    assert verdicts(wrong(extract=long))["times"][0]


def test_good_ones_pass_everything():
    for made in (Good(), Good2(), wrong(pool_s=0.1, cut=Cut(30.0, 1.0, 0.2, 120.0))):
        assert all(good for good, _ in verdicts(made).values())
        assert set(verdicts(made)) == set(CHECKS)


def one_segment(results):
    """Results of a corpus of one segment, a second of a square wave."""
    with AudioWriter(results / "audio" / "u.h5", {"u_1": (3.0, 16_000)}) as writer:
        writer.write("u_1", 0, np.tile([0.1, -0.1], 8000).astype(np.float32))
        writer.describe("u_1", "video", (3.0, 4.0))
    write_table(results / "segments.tsv", [Segment("u_1", "u", "who", "1", None, 3.0, 4.0)], Segment)
    return results


CLASSES = """
from pathlib import Path
from affectflow import Extractor, Recogniser, options

@options
class MineOptions:
    lexicon: Path = Path("words.txt")

class Mine(Extractor):
    modality = "audio"
    Config = MineOptions

    def extract(self, batch):
        classes = (self.weights / "classes.txt").read_text() if self.weights else ""
        return [p.rows(p.windows(0.05, 0.02).std(axis=1, keepdims=True), 0.05, 0.02) for p in batch]

class Heard(Recogniser):
    def transcribe(self, samples, sample_rate_hz):
        return [((self.weights / "classes.txt").read_text(), 0.0, 0.1)][:0]
"""


def test_an_option_may_be_a_path(tmp_path):
    (tmp_path / "mine.py").write_text(CLASSES)
    results, out = one_segment(tmp_path / "results"), tmp_path / "mine.h5"
    call = ["--corpus", "c", "--name", "mine", "--extractor", f"{tmp_path}/mine.py:Mine", "--results", results]
    given = {"lexicon": "/data/mine.txt"}
    for options in ([], ["--options", json.dumps(given)], ["--options", json.dumps(given), "--previous", out]):
        invoke(main, "features", *call, *options, "--shard", "u", "--out", out)
    assert FeatureStore(out).attributes["config"] == given
    for kind in registry.BUILT_IN:
        config = registry.EXTRACTORS.options_for(kind, {})
        kept = TypeAdapter(type(config)).dump_python(config, mode="json")
        assert json.dumps(kept) == json.dumps(asdict(config)), "what is kept of others stays as it is"


@pytest.mark.parametrize(("command", "name"), [(check_extractor, "Mine"), (check_recogniser, "Heard")])
def test_a_check_sees_of_weights_what_a_run_is_given(tmp_path, command, name):
    """Of a folder of one's own as of one that was fetched, to which nothing is added."""
    (tmp_path / "mine.py").write_text(CLASSES)
    folder = tmp_path / "weights"
    folder.mkdir()
    for file in ("model.safetensors", "classes.txt"):
        (folder / file).write_bytes(b"x")
    call = [f"{tmp_path}/mine.py:{name}", "--weights", str(folder)]
    run = CliRunner().invoke(command, call)
    assert isinstance(run.exception, InputError)
    assert re.search(r"WRONG.*No such file or directory: '.*/weights/classes.txt'", run.output)
    seal(folder, "mine")
    assert CliRunner().invoke(command, call).exception is None
    (folder / "classes.txt").write_bytes(b"y")
    assert "classes.txt changed" in str(CliRunner().invoke(command, call).exception)


def test_a_check_reads_a_pickle_as_a_run_does_where_it_is_allowed(tmp_path):
    from pipeline.weights import as_fetched, pickled

    for name in ("config.json", "pytorch_model.bin"):
        (tmp_path / name).write_bytes(b"{}")
    with as_fetched(tmp_path) as given:
        assert pickled(given)


def test_worked_example_of_the_docs_from_a_folder_outside_the_repository(tmp_path, monkeypatch):
    """The class as printed in the docs, in a file elsewhere, run over a unit, its rows known beforehand."""
    text = (REPOSITORY / "docs" / "extractors.md").read_text()
    code = re.search(r"```python\n(.*?class Loudness.*?)```", text, re.DOTALL)[1]
    path = tmp_path / "mine" / "loudness.py"
    path.parent.mkdir()
    path.write_text(code)
    results = one_segment(tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    call = ["--corpus", "c", "--name", "loudness", "--extractor", f"{path}:Loudness", "--results", results]
    invoke(main, "features", *call, "--shard", "u", "--out", results / "l.h5")
    rows = FeatureStore(results / "l.h5")["u_1"]
    np.testing.assert_allclose(rows.values, np.log(0.1 + 1e-5), atol=1e-5)
    np.testing.assert_allclose(rows.time_s[:, 0], 3.0 + 0.02 * np.arange(48))


def test_command_line_fails_with_a_sentence(tmp_path):
    (tmp_path / "bad.py").write_text(
        "from pipeline.features.base import Extractor\n"
        "class Bad(Extractor):\n    modality = 'audio'\n    def extract(self, batch):\n        return []\n"
    )
    run = subprocess.run(
        [sys.executable, "-m", "pipeline", "check-extractor", f"{tmp_path}/bad.py:Bad"],
        capture_output=True, text=True, cwd=REPOSITORY,
    )  # fmt: skip
    assert run.returncode != 0
    assert "WRONG" in run.stdout
    assert run.stdout.count("gave rows of 0 pieces for a batch of 1;") == 1, "said once, then 'as above'"
    assert "checks failed" in run.stderr
    assert "Traceback" not in run.stderr
