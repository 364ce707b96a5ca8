"""Settings of one's own, laid over config.yaml."""

import re
from pathlib import Path

import pytest

from pipeline.records import InputError
from tests.conftest import REPOSITORY
from tests.workflow_runs import snakemake
from workflow import overlay
from workflow.corpora import Corpora
from workflow.launch import configuration
from workflow.remarks import remarks


def lay_over(folder: Path, text: str) -> None:
    (folder / "my.yaml").write_text(text)
    overlay.read_layers([REPOSITORY / "config.yaml", folder / "my.yaml"])


@pytest.mark.parametrize(
    "text",
    [
        "corpora: {affwild2: null}",
        "corpora: {iemocap: {extractors: {mfcc: null, bert: null}, root: null}}",
        "corpora: {mine: {reader: table, extractors: {bert: null}}}",
        "corpora: {mine: {reader: table, root: null, labels: null, runs: {self: [T], cross: null}}}",
        "defaults: {segment: {runs: {early: null}, extractors: {bert: null}, significance: {metric: null}}}",
        "demo: {models: {late: null}, defaults: {segment: {runs: {self: null}}}}\nmodels: {late: null}",
        "{}",
    ],
)
def test_settings_may_take_out_what_there_is(tmp_path, text):
    lay_over(tmp_path, text)


EMPTY = {
    "defaults": "defaults:",
    "demo": "demo:",
    "defaults.segment.runs": "defaults:\n  segment:\n    runs:\n    # self: [A]",
    "models.self_raters.training": "models: {self_raters: {training: null}}",
    "corpora.iemocap.extractors": "corpora:\n  iemocap:\n    extractors:\n    # bert: null",
    "corpora.mine.extractors": "corpora: {mine: {reader: table, root: ., extractors: null}}",
    "corpora.mine.runs": "corpora: {mine: {reader: table, root: ., runs: null}}",
    "demo.defaults.frame.training": "demo: {defaults: {frame: {training: null}}}",
    "demo.corpora.iemocap.inputs": "demo: {corpora: {iemocap: {inputs: null}}}",
}

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
        *(
            (text, rf"my\.yaml: {key}: nothing stands under it; remove the line, or give entries")
            for key, text in EMPTY.items()
        ),
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


def test_settings_may_take_out_what_a_file_before_them_brings(tmp_path):
    strong, own = REPOSITORY / "configs/strong.yaml", tmp_path / "my.yaml"
    own.write_text("corpora: {iemocap: {extractors: {wavlm: null}}}")
    overlay.read_layers([REPOSITORY / "config.yaml", strong, own])
    with pytest.raises(InputError, match="wavlm: null takes an entry out, and there is none"):
        overlay.read_layers([REPOSITORY / "config.yaml", own, strong])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("corpora: {iemocap: {training: {epoch: 3}}}", "corpora.iemocap.training.epoch: unknown key"),
        ("corpora: {iemocap: {rooot: x}}", "corpora.iemocap.rooot: reader 'iemocap': unknown option 'rooot'"),
        ("corpora: {iemocap: {reader: iemocp}}", "corpora.iemocap.reader: there is no reader 'iemocp'"),
        ("corpora: {iemocap: {protocol: random}}", "corpora.iemocap.protocol: 'random' does not fit"),
        ("corpora: {iemocap: {task: classes/word}}", "corpora.iemocap.task: reader 'iemocap'"),
        ("corpora: {mine: {root: .}}", "corpora.mine.reader: missing"),
        ("corpora: {mine: {reader: table, root: 5}}", "corpora.mine.root: Input should be a valid string"),
        ("scale: research", "scale: it is research, but"),
        ("defaults: {segment: {root: .}}", "defaults.segment.root: only corpora.iemocap says its root"),
        ("defaults: {segment: {protocl: x}}", "defaults.segment.protocl: reader 'iemocap': unknown option"),
        ("corpora: {iemocap: {extractors: {mfcc: {hopp_s: 1}}}}", "corpora.iemocap.extractors.mfcc.hopp_s: extractor"),
        ("corpora: {affwild2: {recogniser: {beam: 2}}}", "corpora.affwild2.recogniser.beam: recogniser"),
        ("models: {self: {widht: 3}}", "models.self.widht: fusion 'self_attention': unknown option 'widht'"),
        ("demo: {models: {selv: {width: 8}}}", "demo.models.selv: there is no models.selv that demo could change"),
        ("demo: {corpora: {iemocap: null}}", "demo.corpora.iemocap: null is no settings"),
        ("model: {}", "model: unknown key"),
    ],
)
def test_a_mistake_is_said_of_the_file_in_which_it_stands(tmp_path, text, said):
    """With a file before it and one after it that say something else of the same tables, and config.yaml below."""
    for name, told in (("first", "split_seed: 3"), ("my", ""), ("last", "turns: all")):
        (tmp_path / f"{name}.yaml").write_text(text if name == "my" else f"corpora: {{iemocap: {{{told}}}}}")
    files = tuple(str(tmp_path / f"{name}.yaml") for name in ("first", "my", "last"))
    with pytest.raises(InputError, match=f"(?m)^{re.escape(f'{files[1]}: {said}')}"):
        Corpora(*configuration(files))


def test_a_mistake_below_is_said_of_config_yaml_and_that_of_a_single_key_of_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (REPOSITORY / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(text.replace("split_seed: 337", "split_seed: many"))
    (tmp_path / "my.yaml").write_text("corpora: {iemocap: {turns: all}}")
    with pytest.raises(InputError, match=r"^config\.yaml: defaults\.segment\.split_seed: .*given: .many"):
        Corpora(*configuration(("my.yaml",)))
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(InputError, match=r"^--config scale=reserch: scale: Input should be 'auto', "):
        Corpora(*configuration(("scale=reserch", "my.yaml")))


def test_a_run_says_in_which_file_a_mistake_stands(tmp_path):
    (tmp_path / "my.yaml").write_text("corpora: {iemocap: {training: {epoch: 3}}}")
    asked = ("--dry-run", "results/iemocap/config.json", "--configfile", str(tmp_path / "my.yaml"))
    said = snakemake(tmp_path, *asked, fails=True)
    assert f"{tmp_path}/my.yaml: corpora.iemocap.training.epoch: unknown key (did you mean epochs?)" in said
    (tmp_path / "my.yaml").write_text("corpora: {iemocap: {training: {epochs: 3}}}")
    said = snakemake(tmp_path, *asked, "--config", "scale=reserch", fails=True)
    assert "--config: scale: Input should be" in said


def test_what_is_not_on_this_machine_is_said_of_the_file_that_names_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels.csv").write_text("text,label,speaker\nOh well,happy,ann\nOh no,sad,bob\n")
    mine = "reader: table, root: ., segments: labels.csv, extractors: {bert: {weights: ./gone}}"
    (tmp_path / "my.yaml").write_text(f"corpora: {{mine: {{{mine}}}}}")
    found = Corpora(*configuration(("my.yaml",)))
    assert found.unreadable["mine"].startswith("my.yaml: corpora.mine.extractors.bert: weights './gone': there is no")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("corpora={iemocap: {root: null}}", "corpora.iemocap.root: null does not exist"),
        ("corpora={iemocap: {labels: null}}", "corpora.iemocap.labels: "),
    ],
)
def test_check_reads_a_single_key_as_snakemake_does(tmp_path, monkeypatch, given, named):
    """Which knows no null there, but a word of four letters."""
    monkeypatch.chdir(tmp_path)
    asked = ("--dry-run", "results/iemocap/config.json", "--config", given)
    assert named in snakemake(tmp_path, *asked, fails=True)
    with pytest.raises(InputError, match=re.escape(named)):
        Corpora(*configuration((given,))).usable("iemocap")


@pytest.mark.parametrize("given", ["s=1", "a.b=1", "scale= "])
def test_what_is_no_key_with_a_value_to_snakemake_is_none_to_check(given):
    with pytest.raises(InputError, match=f"^{given}: cannot be read as settings"):
        configuration((given,))


def test_a_key_that_an_anchor_brings_may_be_said_again(tmp_path):
    lay_over(tmp_path, "models:\n  late: &one {fusion: late, width: 8}\n  later: {<<: *one, width: 16}\n")
    assert overlay.read(tmp_path / "my.yaml")["models"]["later"] == {"fusion": "late", "width": 16}


def test_keys_that_the_demonstration_says_otherwise_are_named(tmp_path):
    """Those of a corpus's own entry hold: it stands above the defaults."""
    (tmp_path / "my.yaml").write_text(
        "defaults: {segment: {training: {learning_rate: 0.5, batch_size: 8}}, frame: {training_job: run}}\n"
        "corpora: {iemocap: {protocol: speaker, training: {epochs: 3}}, affwild2: null}\n"  # null: gone from demo, too
    )
    settings = ["--configfile", str(tmp_path / "my.yaml")]
    said = snakemake(tmp_path, "--dry-run", "results/iemocap/config.json", *settings)
    named = re.findall(r"^your (\S+) has no effect at scale demo, where demo.\1 overrides it", said, re.M)
    assert named == ["corpora.iemocap.protocol", "defaults.segment.training.learning_rate"]


@pytest.fixture
def told(tmp_path, monkeypatch):
    """What is warned of at the start, where some corpora are asked for or, by default, those with a root."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels.csv").write_text("text,label,speaker\nOh well,happy,ann\nOh no,sad,bob\n")

    def told(own: dict, *asked: str) -> list[str]:
        config = overlay.patch(overlay.read(REPOSITORY / "config.yaml"), own)
        return [text for level, text in remarks(Corpora(config), asked, own, config) if level == "warning"]

    return told


def test_of_the_demonstration_is_told_where_one_is_asked_for(told):
    mine = {"reader": "table", "root": ".", "segments": "labels.csv", "runs": {"self": ["T"]}, "contrasts": []}
    own = {"corpora": {"mine": mine, "iemocap": {"protocol": "speaker"}}}
    assert told(own) == []
    assert [text.split()[1] for text in told(own, "iemocap")] == ["corpora.iemocap.protocol"]


def test_runs_on_what_no_segment_has_are_told(told):
    mine = {"reader": "table", "root": ".", "segments": "labels.csv", "runs": {"self": ["T", "A+T"]}, "contrasts": []}
    (warning,) = told({"corpora": {"mine": mine}})
    assert warning.startswith("corpora.mine.runs: no segment has audio, which self-A+T would read: leave it out")


def test_what_null_takes_out_is_out_of_the_demonstration_too_but_a_run_that_it_has_is_not(told):
    own = {"models": {"self_context": None}, "corpora": {"affwild2": None}}
    assert told(own) == []
    own["defaults"] = {"segment": {"runs": {"self_concat": None}}}
    assert [text.split()[1] for text in told(own)] == ["defaults.segment.runs.self_concat"]


def test_of_features_that_lie_there_it_is_told_that_no_run_reads_them(told, tmp_path):
    (tmp_path / "results/iemocap/features").mkdir(parents=True)
    for name in ("bert", "mfcc", "wav2vec2"):
        (tmp_path / f"results/iemocap/features/{name}.h5").touch()
    assert told({"corpora": {"iemocap": {"runs": {"self": ["A"]}, "contrasts": []}}}) == [
        "results/iemocap/features/bert.h5 is read by no run, nor named by corpora.iemocap: it is left as it is",
    ]


def test_the_demonstration_may_take_out_a_model():
    config = overlay.patch(overlay.read(REPOSITORY / "config.yaml"), {"demo": {"models": {"late": None}}})
    assert "late" not in Corpora(config)["iemocap"].settings.models
