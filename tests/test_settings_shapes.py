"""Settings of any shape end in what they mean or in a sentence that names the key, never in an error of Python's."""

import json
import re
from contextlib import suppress
from copy import deepcopy

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.records import InputError
from workflow.check import plan_of
from workflow.corpora import Corpora
from workflow.launch import configuration
from workflow.overlay import patch

WORDS = [
    "", " ", "x", "0", "self", "A+V", "A+X", "bert", "audio", "all", "~nobody/x", "~no one/x.py:Plug", "demo:bert",
    "no.py:Plug", ":", "\0",
]  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers(-2, 9) | st.floats() | st.sampled_from(WORDS)
KEYS = st.sampled_from([*WORDS, "extractor", "stores", "modality", "inputs", "model", "weights", 5, None])
JUNK = st.recursive(SCALARS, lambda any_: st.lists(any_, max_size=3) | st.dictionaries(KEYS, any_, max_size=3))
OWN = """
reader: table
segments: labels.csv
columns: {label: label}
media_units: 2
merge: {z: x}
labels: [x, y]
recogniser: {kind: pocketsphinx, piece_s: 20.0}
extractors:
  pitch: {extractor: prosody}
  mfcc: {extractor: mfcc, dtype: float16}
  both: {extractor: join, stores: [pitch, mfcc], modality: audio}
inputs: {audio: mfcc}
runs: {self: [A, A+T], cross: null, low: {model: self, modalities: [A], inputs: {audio: both}}}
contrasts: [{question: "which?", a: low-A, b: [self-A, self-A+T]}]
"""
DEMO = """
models: {self: {width: 24}}
defaults: {segment: {training: {epochs: 2}, runs: {self: [A+T]}}}
corpora: {mine: {extractors: {pitch: {dtype: float16}}, training_job: run}}
"""


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """A configuration with one corpus, by a table, that says every key of the defaults itself, and some more."""
    root = tmp_path_factory.mktemp("mine")
    rows = [f"{k}.wav,text,{'xy'[k % 2]},s{k % 4}" for k in range(12)]
    (root / "labels.csv").write_text("\n".join(["audio,text,label,speaker", *rows]))
    for name in [*(f"{k}.wav" for k in range(12)), "mine.npz"]:
        (root / name).touch()
    config, own = configuration(())[0], yaml.safe_load(OWN)
    own["extractors"]["theirs"] = {"extractor": "import", "path": str(root / "mine.npz"), "modality": "text"}
    defaults = config["defaults"]["segment"]
    config["corpora"] = {"mine": {**patch(defaults, own), "root": str(root), "runs": own["runs"]}}
    defaults |= {"runs": {"self": ["A"], "low": own["runs"]["low"]}, "contrasts": []}
    config["models"] = {name: config["models"][name] for name in ("self", "cross", "rcma")}
    config["models"]["self"]["training"] = {"epochs": 3}
    config["demo"] = yaml.safe_load(DEMO)
    assert everything(Corpora(config))[0] == ["mine"]
    assert not Corpora(config).unreadable
    return config


def everything(corpora):
    """Ask for all that the workflow asks for before it plans a job, and what ``check`` says."""
    found = [corpora.active, corpora.training_jobs, corpora.weight_sources, corpora.stores_by("join")]
    for known in corpora.values():
        found += [known.configuration, known.parts, known.prepared_for_runs, *plan_of(known)]
    return found


def places(node, path=()):
    """Every place below a table or a list, with what is there."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield (*path, key), value
        yield from places(value, (*path, key))


def changes(config):
    """Junk in place of what is somewhere, or under a key that is not there; also where the demonstration says it."""
    every = dict(places(config))
    areas = [("corpora",), ("corpora", "mine"), ("defaults", "segment"), ("models",), ("demo",), ()]
    old = [st.sampled_from([path for path in every if path[: len(area)] == area]) for area in areas]
    new = st.builds(lambda path, key: (*path, key), st.sampled_from([p for p in every if type(every[p]) is dict]), KEYS)
    path = st.one_of(*old, new)
    under_demo = path.filter(lambda one: one[0] != "demo" and one in every and 0 not in one).map(
        lambda one: ("demo", *one)
    )
    return st.tuples(path | under_demo, JUNK, st.sampled_from(["auto", "demo"]))


def put(config, path, value):
    """A copy of a configuration with another value at a place; its tables are made where they are not there."""
    out = deepcopy(config)
    node, (*parents, last) = out, path
    for key in parents:
        node = node.setdefault(key, {}) if isinstance(node, dict) else node[key]
    node[last] = value
    return out


def test_junk_at_any_place_means_something_or_is_refused(full):
    @settings(max_examples=150)
    @given(changes(full))
    def holds(change):
        path, value, scale = change
        with suppress(InputError):
            everything(Corpora(put(full | {"scale": scale}, path, value)))

    holds()


@pytest.mark.parametrize("above", ["", "demo."])
@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("corpora.mine.extractors.voice", "prosody", None),
        ("corpora.mine.extractors.voice", {"extractor": "join", "stores": 5}, None),
        ("corpora.mine.runs", ["self"], None),
        ("corpora.mine.runs.self", 5, None),
        ("corpora.mine.inputs", ["bert"], None),
        ("corpora.mine.inputs", "bert", None),
        ("corpora.mine.merge", ["a"], None),
        ("corpora.mine.media_units", "x", None),
        ("corpora.mine.reader", 5, None),
        ("corpora.mine.root", 5, None),
        ("corpora.mine.recogniser", "pocketsphinx", None),
        ("corpora.mine", "table", None),
        ("defaults.segment.extractors", ["bert"], None),
        ("defaults.segment.contrasts", ["x"], "defaults.segment.contrasts.0"),
        ("defaults", ["x"], None),
        ("models.self.training", "long", None),
    ],
)
def test_a_value_of_the_wrong_shape_is_named_with_what_was_given(full, above, path, value, named):
    config = deepcopy(full)
    for key in ("extractors", "contrasts", "runs", "inputs"):  # else the defaults' are replaced, or mistaken in turn
        del config["corpora"]["mine"][key]
    config["demo"] = {}
    given = json.dumps(value["stores"] if isinstance(value, dict) else value[0] if named else value)
    with pytest.raises(InputError, match=rf"(?m)^{above}{re.escape(named or path)}: .*{re.escape(given)}"):
        Corpora(put(config, (above + path).split("."), value))
