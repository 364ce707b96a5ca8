import json
import re
from pathlib import Path

import pytest
import yaml

from models.evaluation.contrast import also_differs
from models.fusion.registry import FUSIONS
from models.options import NetworkOptions
from pipeline.corpora.base import Index
from pipeline.corpora.prepare import read
from pipeline.records import InputError, Segment, Unit
from pipeline.weights import slug
from pipeline.words.registry import RECOGNISERS
from tests.plug_options import described
from workflow import settings
from workflow.check import between
from workflow.corpora import Corpora
from workflow.overlay import patch
from workflow.planned import Planned
from workflow.settings import Unreadable, schema

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def config():
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def resolve(config, name, read=None):
    return settings.resolve(settings.check(config), name, read)


def change(config, path, value):
    *parents, last = path.split(".")
    table = config
    for key in parents:
        table = table.setdefault(key, {})
    table[last] = value
    return config


KEPT = {"extractor": "transformers_audio", "weights": "demo:wav2vec2", "layers": "all", "combine": "keep"}


def test_the_configuration_of_the_repository_is_valid(config):
    for corpus in ("iemocap", "affwild2"):
        settings = resolve(config, corpus)
        assert settings.demonstration
        assert settings.synthetic


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "corpora.iemocap.rooot",
            "x",
            r"^corpora.iemocap.rooot: reader 'iemocap': unknown option 'rooot' "
            r"\(did you mean root\?\). Its options are: ",
        ),
        ("corpora.iemocap.training.epoch", 3, r"training.epoch: unknown key \(did you mean epochs\?\). Allowed: "),
        (
            "models.self.head",
            3,
            r"^models.self.head: fusion 'self_attention': unknown option 'head' \(did you mean heads\?\)",
        ),
        ("corpora.iemocap.training.epochs", "many", r"training.epochs: Input should be a valid integer.*many"),
        ("corpora.iemocap.training.seeds", [], "training.seeds: .*at least 1 item"),
        (
            "corpora.iemocap.protocol",
            "random",
            "protocol: 'random' does not fit; choose one of scenario, session",
        ),
        ("corpora.iemocap.inputs.audio", "hubert", "no extractor 'hubert'; there are .*wav2vec2"),
        ("corpora.iemocap.runs", {"self": ["V+A"]}, r"runs.self: 'V\+A' does not fit; choose one of A, V, T, A\+V,"),
        ("corpora.iemocap.runs", {"selv": ["A"]}, r"^corpora\.iemocap\.runs\.selv: no model 'selv'; there are"),
        (
            "corpora.iemocap.contrasts",
            [{"question": "q", "a": "self-A", "b": "self-X"}],
            "'q' names 'self-X'; there are",
        ),
        ("corpora.iemocap.extractors.mfcc", {"extractor": "mfccs"}, "extractors.mfcc: there is no extractor 'mfccs'"),
        ("corpora.iemocap.extractors.mfcc", {"extractor": "mfcc", "hopp_s": 1}, "unknown option 'hopp_s'"),
        (
            "corpora.iemocap.extractors.bert.weigths",
            "x",
            r"^corpora.iemocap.extractors.bert.weigths: extractor 'transformers_text': "
            r"unknown option 'weigths' \(did you mean weights\?\)",
        ),
        ("corpora.iemocap.extractors.bert.allow_pikle", True, r"'allow_pikle' \(did you mean allow_pickle\?\)"),
        (
            "defaults.segment.protocl",
            "speaker",
            r"^defaults.segment.protocl: reader 'iemocap': unknown option 'protocl' \(did you mean protocol\?\)",
        ),
        ("demo.defaults.segment.protocl", "speaker", "^demo.defaults.segment.protocl: reader 'iemocap': unknown"),
        ("demo.corpora.iemocap.audioo", "video", "^demo.corpora.iemocap.audioo: reader 'iemocap': unknown option"),
        ("demo.corpora.iemocap.audio", "loud", "^demo.corpora.iemocap.audio: reader .*given 'loud'"),
        ("defaults.segment.root", "/data", "^defaults.segment.root: only corpora.iemocap says its root"),
        ("defaults.segment.reader", "table", "^defaults.segment.reader: only corpora.iemocap says its reader"),
        ("demo.corpora.iemocap.root", "/data", "^demo.corpora.iemocap.root: only corpora.iemocap says its root"),
        ("corpora.iemocap.inputs.text", "mfcc", "mfcc is made from audio; use one from text"),
        (
            "corpora.iemocap.runs",
            {"low": {"model": "self", "modalities": ["A"], "inputs": {"audio": "mfc"}}},
            "runs.low.inputs.audio: no extractor 'mfc'; there are .*mfcc",
        ),
        (
            "corpora.iemocap.runs",
            {"low": {"model": "self", "modalities": ["T"], "inputs": {"text": "mfcc"}}},
            r"corpora\.iemocap\.runs\.low\.inputs\.text: mfcc is made from audio; use one from text",
        ),
        (
            "corpora.iemocap.extractors.both",
            {"extractor": "join", "stores": ["mfcc", "mel"], "modality": "audio"},
            "extractors.both.stores: 'mel' cannot be joined; there are .*mfcc",
        ),
        (
            "corpora.iemocap.extractors.both",
            {"extractor": "join", "stores": ["mfcc"]},
            "'join' takes stores, two or more",
        ),
        (
            "corpora.iemocap.runs",
            {"low": {"model": "selv", "modalities": ["A"], "inputs": {"audio": "mfcc"}}},
            "no model 'selv'; there are",
        ),
        (
            "corpora.iemocap.extractors.both",
            {"extractor": "join", "stores": ["mfcc", "wav2vec2"], "modality": "tekst"},
            r"extractors.both: extractor 'join' takes .* modality \(audio, video or text\), not .*'tekst'",
        ),
        (
            "corpora.iemocap.extractors.both",
            {"extractor": "join", "stores": ["mfcc", "bert"], "modality": "audio"},
            "extractors.both.stores: bert is made from text; use one from audio",
        ),
        (
            "corpora.iemocap.extractors",
            {"kept": KEPT, "both": {"extractor": "join", "stores": ["wav2vec2", "kept"], "modality": "audio"}},
            "extractors.both.stores: 'kept' keeps layers apart, which cannot be joined; take combine: mean or concat",
        ),
        (
            "models.self.training",
            {"epoch": 3},
            r"self.training.epoch: unknown key \(did you .*\). Allowed: batch_size,",
        ),
        ("models.self.training", {"seeds": [1]}, "training.seeds: runs are compared seed by seed"),
        ("corpora.iemocap.contrasts", [{"qestion": "q"}], r"qestion: unknown key .* Allowed: a, b, question$"),
        (
            "corpora.iemocap.runs",
            {"low": {"modle": "self"}},
            r"low.modle: unknown key .* Allowed: inputs, modalities, mod",
        ),
        ("corpora.iemocap.runs", {"self": 5}, r"iemocap.runs.self: write a list .*, or \{model: .*given: 5"),
        ("corpora.iemocap.faces", 5, r"iemocap.faces: write a table .*given: 5.*Its keys: picture, sample_rate_hz"),
        ("corpora.iemocap.inputs", ["bert"], r"iemocap.inputs: write a table, \{NAME: VALUE\} \(given: ..bert"),
        ("scale", "research", "^scale: it is research, but corpora.iemocap.root is null"),
        (
            "defaults.segment.runs.cross",
            ["A", "A+V", "A+T", "V+T", "A+V+T"],
            "relates modalities to each other and needs at least 2",
        ),
    ],
)
def test_a_mistake_is_named_with_what_is_allowed(config, path, value, message):
    with pytest.raises(InputError, match=message):
        resolve(change(config, path, value), "iemocap")


@pytest.mark.parametrize("changes", [{"layers": "last"}, {"layers": [-1]}, {"combine": "concat"}])
def test_a_row_that_keeps_no_layers_apart_is_joined(config, changes):
    both = {"extractor": "join", "stores": ["wav2vec2", "one"], "modality": "audio"}
    config["corpora"]["iemocap"]["extractors"] = {"one": KEPT | changes, "both": both}
    assert resolve(config, "iemocap").options.extractors["both"].joined == ["wav2vec2", "one"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"labels": ["ang", "happy"]},
            "labels: 'happy', into which none is merged, is no label of IEMOCAP; there are xxx",
        ),
        ({"labels": ["ang", "hap", "ang"]}, "labels: 'ang' is there more than once; list each label once"),
        ({"labels": ["exc", "hap"], "merge": {"exc": "hap"}}, "merge: 'exc' counts as 'hap'; remove 'exc' from labels"),
        ({"labels": ["ang", "hap"], "merge": {"joy": "hap"}}, "merge: 'joy' is no label of IEMOCAP; there are xxx"),
        ({"labels": ["ang", "hap"], "merge": {"exc": "joy"}}, "merge: 'exc' counts as 'joy', which is not in labels"),
        ({"labels": ["ang", "a b"], "merge": {"exc": "a b"}}, "a label is made of letters, digits, _ .*rename it"),
    ],
)
def test_labels_that_cannot_be_trained_are_refused(config, changes, message):
    config["corpora"]["iemocap"].update(changes)
    with pytest.raises(InputError, match=message):
        resolve(config, "iemocap")


def test_labels_may_be_merged_into_an_old_or_a_new_one(config):
    config["corpora"]["iemocap"].update(labels=["neg", "hap"], merge={"ang": "neg", "sad": "neg", "exc": "hap"})
    assert resolve(config, "iemocap").options.labels == ["neg", "hap"]


DEMO_WEIGHTS = "there is no such demonstration checkpoint; there are demo:wav2vec2, demo:bert, demo:vit"


@pytest.mark.parametrize(
    ("corpus", "path", "value", "message"),
    [
        ("iemocap", "root", "", "corpora.iemocap.root: write the folder of the corpus, or null for the synthetic one"),
        ("affwild2", "root", " ", "corpora.affwild2.root: write the folder"),
        ("iemocap", "significance.metric", "ccc_mean", "metric: 'ccc_mean' does not fit; choose one of accuracy"),
        ("affwild2", "significance.metric", "accuracy", "metric: 'accuracy' .* choose one of ccc_valence"),
        ("affwild2", "significance.metric", "rmse_mean", "metric: 'rmse_mean' does not fit"),
        ("affwild2", "recogniser.weights", None, "'faster_whisper' needs a checkpoint: add weights: ORG/"),
        ("affwild2", "recogniser.weights", "demo:whisper", f"affwild2.recogniser.*{DEMO_WEIGHTS}"),
        ("affwild2", "recogniser.weights", "openai/whisper", "affwild2.recogniser: .*no pinned revision"),
        ("iemocap", "crops", "organisers", "reader 'iemocap': unknown option 'crops'"),
        ("affwild2", "crops", "theirs", "crops: Input should be 'own' or 'organisers' .given 'theirs'"),
        ("iemocap", "reader", "iemocp", "there is no reader 'iemocp'; there are affwild2, cremad, iemocap"),
        ("iemocap", "reader", "table", "root: it is missing, and this reader has no synthetic corpus"),
        ("iemocap", "extractors.bert.weights", "demo:gpt", f"corpora.iemocap.extractors.bert: .*{DEMO_WEIGHTS}"),
    ],
)
def test_what_would_fail_later_is_refused_at_once(config, corpus, path, value, message):
    with pytest.raises(InputError, match=message):
        resolve(change(config, f"corpora.{corpus}.{path}", value), corpus)


@pytest.mark.parametrize("name", ["a/b", ".hidden", "", "a b"])
def test_a_feature_store_needs_a_name_that_a_file_can_have(config, name):
    config["corpora"]["iemocap"]["extractors"][name] = {"extractor": "mfcc"}
    with pytest.raises(
        InputError, match=f"extractors.{name}: the name of a feature store is made of letters, digits, _"
    ):
        resolve(config, "iemocap")


@pytest.mark.parametrize("name", ["self-2", "a/b", "", "-x", "a b"])
def test_a_model_needs_a_name_that_files_and_runs_can_have(config, name):
    config["models"][name] = {"fusion": "late"}
    with pytest.raises(InputError, match=f"models.{name}: the name of a model is made of letters, digits, _, . "):
        resolve(config, "iemocap")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modles": {}}, r"demo.modles: unknown key \(did you mean models\?\). Allowed: "),
        (
            {"models": {"self": {"widht": 8}}},
            r"^demo.models.self.widht: fusion 'self_attention': unknown option 'widht' \(did you mean width\?\)",
        ),
        ({"models": {"selv": {"width": 8}}}, "demo.models.selv: there is no models.selv that demo could change"),
        ({"corpora": {"iemocap": {"training": {"epoch": 3}}}}, "demo.corpora.iemocap.training.epoch: unknown key"),
        ({"corpora": {"iemocap": {"training": {"epochs": "few"}}}}, "demo.corpora.iemocap.training.epochs: .*few"),
        (
            {"corpora": {"iemocap": {"extractors": {"bert": {"layer": [1]}}}}},
            "^demo.corpora.iemocap.extractors.bert.layer: .*unknown option 'layer'",
        ),
        (
            {"corpora": {"iemocap": {"extractors": {"bert": {"weights": "demo:gpt"}}}}},
            f"demo.corpora.iemocap.extractors.bert: .*{DEMO_WEIGHTS}",
        ),
    ],
)
def test_a_mistake_under_demo_is_found_at_research_scale_too(config, changes, message):
    config = patch(change(config, "corpora.iemocap.root", "/somewhere"), {"demo": changes})
    with pytest.raises(InputError, match=message):
        resolve(config, "iemocap")


def test_a_corpus_is_read_with_what_defaults_and_demo_say_to_its_reader(config, mine, tmp_path):
    del config["corpora"]["iemocap"]["audio"]
    change(config, "demo.corpora.iemocap.audio", "video")
    assert resolve(config, "iemocap").corpus.config.audio == "video"
    research = change(config, "corpora.iemocap.root", "/somewhere")
    assert resolve(research, "iemocap").corpus.config.audio == "sentences"
    found = resolve(change(research, "defaults.segment.audio", "video"), "iemocap")
    assert found.corpus.config.audio == found.options.reader_options["audio"] == "video"
    change(config, "corpora.mine", mine)["defaults"]["segment"].pop("audio")
    with pytest.raises(InputError, match=r"corpora\.mine: by .* the task is classes/frame, for which .* classes/seg"):
        resolve(change(config, "demo.corpora.mine.task", "classes/frame"), "mine")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"extractor": "import", "path": "~/theirs.npz", "modality": "audio"}, "/theirs.npz: there is no such file to"),
        ({"extractor": "transformers_audio", "weights": "~/theirs"}, "weights '~/theirs': there is no such file"),
    ],
)
def test_what_is_not_on_this_machine_stops_the_corpus_that_needs_it(config, mine, tmp_path, monkeypatch, entry, said):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "labels.csv").write_text("audio,label\na.wav,glad\nb.wav,sad\n")
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).touch()
    config = change(config, "corpora.mine", {**mine, "extractors": {"theirs": entry}})
    found = Corpora(config)
    assert set(found) == {"iemocap", "affwild2"}
    assert found.unreadable["mine"].startswith("corpora.mine.extractors.theirs: ")
    assert said in found.unreadable["mine"]
    assert found.active == ["mine"]
    given = tmp_path / ("theirs.npz" if "path" in entry else "theirs")
    given.touch()
    assert "mine" in Corpora(config)
    given.unlink()
    made = Path("results/mine/features/theirs.h5" if "path" in entry else f"results/weights/{slug('~/theirs')}")
    made.parent.mkdir(parents=True)
    made.touch()
    assert "mine" in Corpora(config)


def test_a_model_left_out_takes_its_contrasts_with_it(config):
    everything = resolve(change(config, "corpora.iemocap.root", "/somewhere"), "iemocap").options
    fewer = resolve(change(config, "defaults.segment.runs.early", None), "iemocap").options
    gone = [contrast.question for contrast in everything.contrasts if contrast not in fewer.contrasts]
    assert gone == ["attention or early concatenation"]


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("none", {}),
        ("pocketsphinx", {"piece_s": 20.0, "context_s": 1.0}),
        ("transformers", {"piece_s": 20.0, "context_s": 1.0, "language": "en", "beams": 4}),
        ("faster_whisper", {"language": "en", "beams": 4, "batch_size": 2, "compute_type": "int8", "speech": 0.4}),
    ],
)
def test_every_option_of_a_recogniser_can_be_set(config, tmp_path, kind, given):
    if kind != "none":
        assert set(given) == {name for name, *_ in described(RECOGNISERS, kind)}
    weights = str(tmp_path) if kind in ("transformers", "faster_whisper") else None
    config["corpora"]["affwild2"]["recogniser"] = {"kind": kind, "weights": weights, **given}
    found = resolve(config, "affwild2").options.recogniser
    assert (found.kind, found.weights, found.options) == (kind, weights, given)
    assert (found.enabled, found.uses_gpu) == (kind != "none", kind == "transformers")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"beam": 2}, r"\.beam: .*unknown option 'beam' \(did you mean beams\?\). Its options are: language, beams, "),
        (
            {"beams": "many"},
            r"\.beams: .*beams: Input should be a valid integer.*given 'many'.*, speech, kind, weights",
        ),
        ({"piece_s": 20}, r"\.piece_s: recogniser 'faster_whisper': unknown option 'piece_s'"),
        ({"kind": "sphinx"}, r": .*no recogniser 'sphinx'; there are faster_whisper, pocketsphinx, transformers, and"),
        ({"kind": "pocketsphinx"}, r": .*'pocketsphinx' uses no weights; say weights: null in place of Systran/"),
    ],
)
def test_what_is_wrong_with_a_recogniser_is_said(config, given, said):
    config["corpora"]["affwild2"]["recogniser"].update(given)
    with pytest.raises(InputError, match=f"corpora.affwild2.recogniser{said}"):
        resolve(config, "affwild2")


def test_a_recogniser_s_weights_may_be_a_pickle(config, tmp_path):
    own = {"kind": "transformers", "weights": str(tmp_path), "allow_pickle": True}
    config["corpora"]["affwild2"]["recogniser"].update(own)
    options = resolve(config, "affwild2").options
    assert options.weight_sources[str(tmp_path)]
    assert "allow_pickle" not in options.recogniser.options


def test_another_recogniser_by_two_words_of_an_overlay(config):
    config["corpora"]["affwild2"]["recogniser"].update({"language": "en"})
    config["corpora"]["affwild2"]["recogniser"].update({"kind": "pocketsphinx", "weights": None, "language": None})
    assert resolve(config, "affwild2").options.recogniser.options == {}


def test_the_recogniser_says_what_stands_in_for_it_in_a_trial(config, tmp_path):
    recogniser = {"kind": "faster_whisper", "weights": "acme/whisper@" + "0" * 40}
    config["corpora"]["affwild2"]["recogniser"] = recogniser
    assert resolve(config, "affwild2").options.recogniser.kind == "pocketsphinx"
    config["corpora"]["affwild2"]["recogniser"] = {**recogniser, "weights": str(tmp_path)}
    assert resolve(config, "affwild2").options.recogniser.kind == "faster_whisper"


def test_only_networks_ask_for_a_gpu(config):
    config["corpora"]["iemocap"]["extractors"]["glove"] = {"extractor": "static_vectors", "weights": "demo:glove"}
    asking = {name for name, entry in resolve(config, "iemocap").options.extractors.items() if entry.uses_gpu}
    assert asking == {"wav2vec2", "bert"}


@pytest.mark.parametrize(
    ("layers", "small"), [([4, 5], "all"), ([0], "all"), ([-2, -1], [-2, -1]), ("last", "last"), (None, None)]
)
def test_layers_counted_from_below_are_all_those_of_a_small_network(config, layers, small):
    wavlm = {"extractor": "transformers_audio", "weights": "microsoft/wavlm-large@" + "0" * 40}
    config["corpora"]["iemocap"]["extractors"]["wavlm"] = wavlm | ({"layers": layers} if layers else {})
    found = resolve(config, "iemocap").options.extractors["wavlm"]
    assert (found.weights, found.options.get("layers")) == ("demo:wav2vec2", small)


@pytest.mark.parametrize(
    ("table", "plain", "same", "other"),
    [
        (
            "extractors.mfcc",
            {"extractor": "mfcc", "coefficients": 13, "hop_s": 0.02},
            {"hop_s": 0.02, "coefficients": 13, "deltas": True, "weights": None, "extractor": "mfcc"},
            {"extractor": "mfcc", "coefficients": 13, "hop_s": 0.02, "deltas": False},
        ),
        (
            "extractors.mfcc",
            {"extractor": "join", "stores": ["one", "two"], "modality": "audio"},
            {"modality": "audio", "stores": ["one", "two"], "extractor": "join"},
            {"extractor": "join", "stores": ["two", "one"], "modality": "audio"},
        ),
        (
            "recogniser",
            {"kind": "pocketsphinx", "piece_s": 30.0},
            {"context_s": 1.5, "allow_pickle": False, "piece_s": 30, "weights": None, "kind": "pocketsphinx"},
            {"kind": "pocketsphinx", "piece_s": 30.0, "context_s": 2.0},
        ),
    ],
)
def test_equal_options_are_equal_texts_in_any_order_and_with_any_defaults(config, table, plain, same, other):
    """By which a job is told from one that was done."""
    config["corpora"]["iemocap"]["extractors"] |= {name: {"extractor": "mfcc"} for name in ("one", "two")}

    def texts(given):
        options = resolve(change(config, f"corpora.iemocap.{table}", given), "iemocap").options
        entry = options.recogniser if table == "recogniser" else options.extractors["mfcc"]
        return entry.options_json, None if table == "recogniser" else entry.as_json

    assert texts(plain) == texts(same)
    assert texts(plain)[0] != texts(other)[0]
    assert json.loads(texts(plain)[0]) == {key: plain[key] for key in plain if key not in ("extractor", "kind")}


def test_a_reader_s_default_written_out_is_no_other_reading(config):
    assert config["corpora"]["iemocap"]["audio"] == "sentences"
    written = Planned(resolve(config, "iemocap")).reading
    del config["corpora"]["iemocap"]["audio"]
    assert Planned(resolve(config, "iemocap")).reading == written
    assert Planned(resolve(change(config, "corpora.iemocap.audio", "video"), "iemocap")).reading != written


@pytest.fixture
def mine(tmp_path):
    """Three lines: a corpus by a table."""
    (tmp_path / "labels.csv").write_text("audio,label\na.wav,glad\nb.wav,sad\n")
    return {"reader": "table", "root": str(tmp_path), "segments": "labels.csv"}


def tables(video="a.mp4", audio=None, text=None):
    """What a reader might find: one recording with one segment."""
    return lambda corpus, size: Index(
        [Unit("a", video, audio)], [Segment("a", "a", "a", None, None, 0.0, 1.0, text=text)]
    )


def test_three_lines_are_a_corpus_and_the_rest_comes_from_the_defaults_of_its_task(config, mine):
    found = resolve(change(config, "corpora.mine", mine), "mine", tables(text="hello"))
    assert (found.scale, str(found.task)) == ("research", "classes/segment")
    assert found.options.inputs == config["defaults"]["segment"]["inputs"]
    assert set(found.options.extractors) == {"wav2vec2", "expression", "bert"}
    assert found.options.reader_options == {"segments": "labels.csv"}


@pytest.mark.parametrize(
    ("task", "metric", "without"),
    [
        ("classes/segment", "balanced_accuracy", set()),
        ("numbers/segment:valence,dominance", "ccc_mean", {"self_published", "cross_published"}),
        ("classes/frame", "balanced_accuracy", {"rjcma_published"}),
        ("numbers/frame:pain", "ccc_mean", set()),
    ],
)
def test_defaults_fit_the_task(config, mine, task, metric, without):
    config["scale"] = "research"
    for level, published in (("segment", ["self_published", "cross_published"]), ("frame", ["rjcma_published"])):
        config["defaults"][level]["runs"] |= {name: ["A+V+T"] for name in published}
        contrast = {"question": "as published", "a": f"{published[0]}-A+V+T", "b": "rcma-A+V+T"}
        config["defaults"][level]["contrasts"].append(contrast)
    found = resolve(change(config, "corpora.mine", {**mine, "task": task}), "mine", tables(text="hello"))
    runs = config["defaults"][found.task.level]["runs"]
    assert found.options.significance.metric == metric
    assert set(runs) - set(found.options.runs) == without
    named = [run for contrast in found.options.contrasts for run in [contrast.a, *contrast.b]]
    assert not any(model in run for run in named for model in without)
    if task != "classes/segment":
        with pytest.raises(InputError, match=f"classes of segments are chosen and merged, and the task is {task}"):
            resolve(change(config, "corpora.mine.labels", ["glad", "sad"]), "mine", tables(text="hello"))
    if without:
        asked = change(config, "corpora.mine", {**mine, "task": task, "runs": {without.pop(): ["A+V"]}})
        with pytest.raises(InputError, match="the published model is for task"):
            resolve(asked, "mine", tables(text="hello"))


def test_numbers_of_iemocap_on_request(config):
    numbers = resolve(change(config, "corpora.iemocap.task", "numbers/segment:valence,arousal,dominance"), "iemocap")
    assert numbers.task.targets == ("valence", "arousal", "dominance")
    assert numbers.labels == []
    assert resolve(change(config, "corpora.iemocap.task", "classes/segment"), "iemocap").labels[:2] == ["ang", "exc"]
    with pytest.raises(InputError, match=r"corpora.iemocap.*task.*numbers/segment"):
        resolve(change(config, "corpora.iemocap.task", "numbers/segment:anger"), "iemocap")


def test_a_corpus_of_sound_alone_keeps_the_runs_on_sound_and_what_they_read(config, mine):
    found = resolve(change(config, "corpora.mine", mine), "mine", tables(video=None, audio="a.wav")).options
    assert list(found.planned_runs) == ["self-A"]
    assert list(found.extractors) == ["wav2vec2"]
    assert found.contrasts == []
    asked = {**mine, "runs": {"self": ["A+V"]}}
    same = resolve(change(config, "corpora.mine", asked), "mine", tables(video=None, audio="a.wav")).options
    assert list(same.planned_runs) == ["self-A+V"]


def test_of_the_defaults_what_no_run_reads_is_neither_made_nor_fetched(config, mine):
    """Every run names another store than the default input: where the own entry names that, it is made all the same."""
    low = {name: {"extractor": name} for name in ("mfcc", "prosody")}
    runs = {f"self_{name}": {"model": "self", "modalities": ["A"], "inputs": {"audio": name}} for name in low}
    own = {**mine, "extractors": low, "runs": runs}
    sound = tables(video=None, audio="a.wav")
    found = resolve(change(config, "corpora.mine", own), "mine", sound).options
    assert (set(found.extractors), found.unread, found.weight_sources) == ({"mfcc", "prosody"}, [], {})
    for named in ({"extractors": {**low, "wav2vec2": {"pool_s": 0.1}}}, {"inputs": {"audio": "wav2vec2"}}):
        found = resolve(change(config, "corpora.mine", {**own, **named}), "mine", sound).options
        assert found.unread == ["wav2vec2"]
        assert len(found.weight_sources) == 1


def test_what_default_runs_read_of_a_modality_that_a_corpus_lacks_is_not_made(config, mine):
    config["defaults"]["segment"]["extractors"]["faces"] = {"extractor": "face_geometry"}
    other = {"model": "self", "modalities": ["A", "A+V"], "inputs": {"video": "faces"}}
    config["defaults"]["segment"]["runs"]["other"] = other
    found = resolve(change(config, "corpora.mine", mine), "mine", tables(video=None, audio="a.wav")).options
    assert list(found.planned_runs) == ["self-A", "other-A"]
    assert list(found.extractors) == ["wav2vec2"]


def test_own_extractors_come_on_top_and_null_takes_one_out(config, mine):
    own = {"mfcc": {"extractor": "mfcc"}, "wav2vec2": None}
    changed = {**mine, "extractors": own, "inputs": {"audio": "mfcc"}}
    found = resolve(change(config, "corpora.mine", changed), "mine", tables(text="hello")).options
    assert set(found.extractors) == {"mfcc", "expression", "bert"}
    assert found.inputs["audio"] == "mfcc"


def test_a_corpus_that_cannot_be_read_is_told_from_a_mistake_in_the_configuration(config):
    def read(corpus, size):
        raise InputError("nothing there")

    with pytest.raises(Unreadable, match="nothing there"):
        resolve(change(config, "corpora.iemocap.root", "/somewhere"), "iemocap", read)


def test_a_root_that_may_not_be_read_stops_no_other_corpus(config, mine, monkeypatch):
    is_dir = Path.is_dir

    def look(path):
        if str(path) == mine["root"]:
            raise PermissionError(13, "Permission denied", str(path))
        return is_dir(path)

    monkeypatch.setattr(Path, "is_dir", look)
    found = Corpora(change(config, "corpora.mine", mine))
    assert set(found) == {"iemocap", "affwild2"}
    assert f"corpora.mine.root: {mine['root']} cannot be read (Permission denied); see that" in found.unreadable["mine"]


def test_the_number_of_recordings_in_a_file_may_come_from_the_defaults(config, mine):
    sizes = []
    for default in (None, 3):
        change(config, "defaults.segment.media_units", default)
        resolve(change(config, "corpora.mine", mine), "mine", lambda _, size: sizes.append(size) or tables()(_, size))
    assert sizes == [None, 3]


def test_a_model_s_training_and_that_of_the_corpus_must_fit_each_other(config):
    config["models"]["self"]["training"] = {"window": 150}
    change(config, "defaults.segment.training.window_hop", 100)
    assert resolve(config, "iemocap")  # whatever the hop of no configuration is
    config["models"]["self"]["training"] = {"window_hop": 350}
    change(config, "defaults.segment.training.window", 400)
    assert resolve(config, "iemocap")
    config["models"]["self"]["training"] = {"window": 250}
    change(config, "defaults.segment.training.window_hop", 300)
    with pytest.raises(
        InputError, match=r"runs.self: .* changes window of the training, and then window_hop 300 skips"
    ):
        resolve(config, "iemocap")


@pytest.mark.parametrize("corpus", ["iemocap", "affwild2"])
def test_the_demonstration_has_both_attentions_and_recursion_and_asks_clean_questions(config, corpus):
    demo = resolve(change(config, "scale", "demo"), corpus)
    trained = {run.model for run in demo.options.planned_runs.values()}
    assert {"self_attention", "cross_attention", "rcma"} <= {demo.models[model].fusion for model in trained}
    assert not any(demo.models[model].faithful for model in trained), "too slow for it"
    assert len(demo.options.contrasts) >= 5
    for contrast in demo.options.contrasts:
        assert not also_differs(between(demo, contrast.a, contrast.b)), contrast.question


def test_a_mistake_is_said_of_the_key_that_was_written(config, tmp_path):
    """Which lies over one of the defaults, or is missing below it."""
    (tmp_path / "labels.csv").write_text("text,label,speaker\nOh,a,x\nNo,b,y\n")
    mine = {"reader": "table", "root": str(tmp_path), "segments": "labels.csv"}
    for own, message in (
        ({"runs": {"self": {"modalities": ["T"]}}}, "corpora.mine.runs.self.model: missing"),
        ({"training": {"targets": "raters"}}, "corpora.mine.training.targets: training.targets is raters"),
    ):
        with pytest.raises(InputError, match="(?m)^" + re.escape(message)):
            resolve(change(config, "corpora.mine", mine | own), "mine", read)


def test_a_root_makes_it_research_unless_demo_is_asked_for(config):
    config = change(config, "corpora.iemocap.root", "/somewhere")
    research = resolve(config, "iemocap")
    assert (research.scale, research.synthetic) == ("research", False)
    assert research.options.extractors["bert"].weights.startswith("google-bert/bert-base-uncased@")
    assert len(research.options.training.seeds) == 5
    demo = resolve(change(config, "scale", "demo"), "iemocap")
    assert (demo.scale, demo.synthetic) == ("demo", False)
    assert demo.options.extractors["bert"].weights == "demo:bert"
    assert demo.options.extractors["bert"].options == research.options.extractors["bert"].options
    assert resolve(config, "affwild2").synthetic


def test_a_patch_replaces_leaves_and_leaves_the_rest():
    assert patch({"a": {"b": 1, "c": [1]}, "d": 2}, {"a": {"c": [3], "e": 4}}) == {
        "a": {"b": 1, "c": [3], "e": 4},
        "d": 2,
    }


def test_the_schema_on_disk_is_that_of_the_models():
    found = json.loads((ROOT / "workflow" / "schemas" / "config.schema.json").read_text())
    assert found == json.loads(json.dumps(schema())), "run: python -m workflow.settings"


SEGMENT_ONLY = {"max_s", "grid_hop_s"}
FRAME_ONLY = {"window", "window_hop", "ccc_over"}
NOT_THERE = {"segment": FRAME_ONLY, "frame": SEGMENT_ONLY}
OF_A_CORPUS = {"reader", "root", "protocol"}
"""Keys that no default can know."""


def block(name, indent):
    """The lines of one table of config.yaml, each with the one above."""
    lines = (ROOT / "config.yaml").read_text().splitlines()
    first = lines.index(f"{' ' * indent}{name}:")
    last = next(k for k in range(first + 1, len(lines)) if re.match(rf" {{0,{indent}}}\w", lines[k]))
    return [(lines[k - 1], lines[k]) for k in range(first + 1, last)]


@pytest.mark.parametrize(("level", "corpus"), [("segment", "iemocap"), ("frame", "affwild2")])
def test_every_key_of_a_corpus_is_in_the_file(config, level, corpus):
    given, known = config["defaults"][level], resolve(config, corpus).options
    labels = {"labels", "merge", "turns"} if level == "frame" else set()
    assert set(given) == set(type(known).model_fields) - OF_A_CORPUS - labels
    for table in ("faces", "training", "significance"):
        every = set(type(getattr(known, table)).model_fields)
        assert set(given[table]) == every - (NOT_THERE[level] if table == "training" else set()), table


@pytest.mark.parametrize(("name", "indent"), [("corpora", 0), ("defaults", 0)])
def test_every_key_of_a_corpus_is_explained(config, name, indent):
    text = (ROOT / "config.yaml").read_text()
    listed = set(re.findall(r"^ *#   (\w+)  ", text, re.M))
    assert {"extractor", "weights", "allow_pickle", "fusion", "reader", "root"} <= listed
    unexplained, explained, seen = [], 0, set()
    for above, line in block(name, indent):
        key = re.match(r"( +)(\w+):", line)
        known = key and (key[2] in config["models"] or key[2] in listed or key[2] in ("segment", "frame", "iemocap"))
        if not key or known or key[2] in seen or key[2] == "affwild2":
            continue
        if "  # " in line or above.lstrip().startswith("#"):
            explained += 1
            seen.add(key[2])
        else:
            unexplained.append(line)
    assert not unexplained
    assert explained > {"corpora": 7, "defaults": 30}[name]


def test_every_option_of_a_model_is_explained():
    remarks = re.findall(r"^# .*$", (ROOT / "config.yaml").read_text(), re.M)
    own = {key for name in FUSIONS.built_in for key, *_ in described(FUSIONS, name)}
    for key in {*NetworkOptions.model_fields, *own}:
        assert any(re.search(rf"\b{key}\b", remark) for remark in remarks), key


@pytest.mark.parametrize("preset", sorted(path.name for path in (ROOT / "configs").glob("*.yaml")))
def test_every_preset_lies_over_the_configuration_and_says_how(config, preset):
    text = (ROOT / "configs" / preset).read_text()
    assert f"--configfile configs/{preset}" in text
    own = yaml.safe_load(text)
    for corpus in own["corpora"]:
        assert f"results/{corpus}_report.html" in text
        assert resolve(patch(config, own), corpus).options != resolve(config, corpus).options


def test_runs_may_name_their_inputs(config):
    """A feature set is compared by a run that reads it and a contrast, in the defaults or in a corpus's own entry."""
    low = {"model": "self", "modalities": ["A+V", "A+V+T"], "inputs": {"audio": "pitch"}}
    changes = {
        "extractors": {"pitch": {"extractor": "prosody"}, "spare": {"extractor": "log_mel"}},
        "runs": {"low": low},
        "contrasts": [{"question": "wav2vec2 or prosody", "a": "self-A+V", "b": "low-A+V"}],
    }
    found = resolve(patch(config, {"defaults": {"segment": changes}}), "iemocap")
    runs = found.options.planned_runs
    assert runs["low-A+V+T"].inputs == {"audio": "pitch", "video": "expression", "text": "bert"}
    assert (runs["low-A+V"].model, runs["self-A+V"].inputs["audio"]) == ("self", "wav2vec2")
    assert "spare" not in found.options.extractors, "of the defaults only what a run reads is made"
    assert found.options.unread == ["mfcc"], "of the corpus's own everything is"
    assert between(found, "self-A+V", "low-A+V") == ["inputs.audio"]
    rows = {row["run"]: row for row in Planned(found).configuration["runs"]}
    inputs = {"audio": "pitch", "video": "expression"}
    assert rows["low-A+V"] == {"run": "low-A+V", "model": "self", "modalities": "A+V", "inputs": inputs}
    assert "low" not in Planned(found).configuration["models"]


def test_weights_of_one_s_own_that_are_not_there_are_told_before_any_work(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = patch(config, yaml.safe_load((ROOT / "configs" / "rajan2022.yaml").read_text()))
    assert resolve(own, "iemocap").options.extractors["glove"].weights == "demo:glove"
    own = change(own, "corpora.iemocap.root", "/somewhere")
    with pytest.raises(InputError, match=r"iemocap.extractors.glove: weights './glove.*': there is no such file"):
        resolve(own, "iemocap")
    (tmp_path / "glove.840B.300d.txt").write_text("hello 1 2\n")
    assert resolve(own, "iemocap").options.extractors["glove"].weights == "./glove.840B.300d.txt"
    own = change(own, "corpora.iemocap.recogniser", {"kind": "faster_whisper", "weights": "/nowhere/x"})
    with pytest.raises(InputError, match=r"iemocap.recogniser: weights '/nowhere/x': there is no such file or folder"):
        resolve(own, "iemocap")


@pytest.mark.parametrize("preset", ["config.yaml", *sorted(f"configs/{p.name}" for p in (ROOT / "configs").glob("*"))])
def test_planned_contrasts_differ_in_one_thing(config, preset):
    own = yaml.safe_load((ROOT / preset).read_text())
    for corpus in own["corpora"]:
        settings = change(patch(config, own), f"corpora.{corpus}.root", "/somewhere")
        if preset == "configs/rajan2022.yaml":
            settings = change(settings, "corpora.iemocap.extractors.glove.weights", "demo:glove")
        found = resolve(settings, corpus)
        assert found.options.contrasts
        for contrast in found.options.contrasts:
            for b in [contrast.b] if isinstance(contrast.b, str) else contrast.b:
                assert not also_differs(between(found, contrast.a, b)), contrast.question
