"""Settings of one's own, laid over config.yaml."""

import re
from pathlib import Path

import pytest

from pipeline.records import InputError
from tests.conftest import REPOSITORY
from tests.workflow_runs import snakemake
from workflow import overlay
from workflow.check import configuration


def lay_over(folder: Path, text: str) -> None:
    (folder / "my.yaml").write_text(text)
    overlay.check_files([folder / "my.yaml"], REPOSITORY / "config.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "corpora: {affwild2: null}",
        "corpora: {iemocap: {extractors: {mfcc: null, bert: null}, root: null}}",
        "corpora: {mine: {reader: table, extractors: {bert: null}}}",
        "{}",
    ],
)
def test_settings_may_take_out_what_there_is(tmp_path, text):
    lay_over(tmp_path, text)


REFUSED = pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "corpora: {iemocap: {extractors: {mfc: null}}}",
            r"iemocap.extractors.mfc: null takes .* \(did you mean mfcc\?\)",
        ),
        ("corpora: {affwild: null}", r"corpora.affwild: null takes .* \(did you mean affwild2\?\)"),
        ("defaults: {segment: {extractors: {x: null}}}", "defaults.segment.extractors.x: null takes"),
        ("corpora:\n  mine: {root: a}\n  mine: {root: b}\n", "'mine' stands in line 3 and in line 2 of one table"),
        ("scale: demo\nscale: auto\n", "'scale' stands in line 2 and in line 1"),
        ("[scale]", "cannot be read as settings .it holds no keys with values"),
        ("scale: [", "cannot be read as settings"),
    ],
)


@REFUSED
def test_settings_that_take_out_nothing_or_say_a_thing_twice_are_refused(tmp_path, text, said):
    with pytest.raises(InputError, match=said):
        lay_over(tmp_path, text)


@REFUSED
def test_check_and_report_refuse_the_same_settings(tmp_path, text, said):
    (tmp_path / "my.yaml").write_text(text)
    with pytest.raises(InputError, match=said):
        configuration((str(tmp_path / "my.yaml"),))


def test_a_key_that_an_anchor_brings_may_be_said_again(tmp_path):
    lay_over(tmp_path, "models:\n  late: &one {fusion: late, width: 8}\n  later: {<<: *one, width: 16}\n")
    assert overlay.read(tmp_path / "my.yaml")["models"]["later"] == {"fusion": "late", "width": 16}


def test_keys_that_the_demonstration_says_otherwise_are_named(tmp_path):
    """Those of a corpus's own entry hold: it stands above the defaults."""
    (tmp_path / "my.yaml").write_text(
        "defaults: {segment: {training: {learning_rate: 0.5, batch_size: 8}}, frame: {training_job: run}}\n"
        "corpora: {iemocap: {protocol: speaker, training: {epochs: 3}}}\n"
    )
    settings = ["--configfile", str(tmp_path / "my.yaml")]
    said = snakemake(tmp_path, "--dry-run", "results/iemocap/config.json", *settings)
    named = re.findall(r"^(\S+) of your settings says nothing where the scale is demo; there demo.\1 rules", said, re.M)
    assert named == ["corpora.iemocap.protocol", "defaults.segment.training.learning_rate"]
