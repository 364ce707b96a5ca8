"""Fusions by name, their options and words, and one of a user's own: nobody outside a plug knows its name."""

import ast
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from models.fusion.registry import FUSIONS, code_of
from models.network import build
from models.options import NetworkOptions
from models.wording import about, sentences, title
from pipeline.records import InputError
from tests.network_material import DIMS, FRAMES, MAX_STEPS, SEGMENTS, batch
from workflow.corpora import Corpora
from workflow.launch import configuration

REPOSITORY = Path(__file__).resolve().parent.parent
OWN = """
    from pathlib import Path
    import torch
    from models.attention import observed
    from models.fusion.base import Fusion
    from pipeline.registry import options

    @options
    class GateOptions:
        sharpness: float = 1.0

    class Gate(Fusion):
        Config = GateOptions
        title = "gated sum"
        one_grid = True

        def layers(self, modalities):
            return {m: torch.nn.Linear(self.width, self.width) for m in modalities}

        def fuse(self, layers, streams):
            gates = {m: torch.sigmoid(self.config.sharpness * layers[m](s.values)) for m, s in streams.items()}
            total = sum(gates[m] * s.values for m, s in streams.items())
            return [[observed(total, torch.stack([s.mask for s in streams.values()]).any(0))]]

    @options
    class Clash:
        width: int = 3

    class Clashing(Gate):
        Config = Clash

    class Twin(Gate):
        title = "twin gates"
        DETAILS = ["both open"]

        def details(self):
            return self.DETAILS

    @options
    class WordOptions:
        lexicon: Path = Path("words.txt")

    class Worded(Gate):
        Config = WordOptions

    class Half(Fusion):
        pass

    class Cited(Gate):
        citation = "@article{me2025, title = {Gates}}"

    class Miscited(Gate):
        citation = "nobody1999"
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own_fusions.py"
    path.write_text(textwrap.dedent(OWN))
    return path


def test_unknown_name_lists_what_there_is():
    with pytest.raises(ValueError, match=r"no fusion 'cross'; there are concatenation, .*rjcma.*file.py:Class"):
        NetworkOptions(fusion="cross")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"fusion": "late", "heads": 3}, "fusion 'late': unknown option 'heads'. Its options are: combine, faithful"),
        ({"fusion": "self_attention", "recursions": 3}, "'recursions'. Its options are: heads, block, combine,"),
        ({"fusion": "rcma", "recursions": 0}, r"recursions: .*greater than or equal to 1 \(given 0\)"),
        ({"fusion": "rcma", "correlate": "words"}, "correlate: .*'frames' or 'features'"),
        ({"fusion": "rcma", "width": 0}, "width"),
        ({"width": 3}, "fusion"),
        ({"fusion": 3}, "fusion"),
    ],
)
def test_unknown_or_wrong_option_names_key_and_what_is_allowed(given, said):
    with pytest.raises(ValueError, match=said):
        NetworkOptions(**given)


def test_what_is_left_open_is_filled_in_by_the_fusion():
    assert NetworkOptions(fusion="rcma") == NetworkOptions(fusion="rcma", encoder="tcn", combine=None, recursions=3)
    known = NetworkOptions(fusion="cross_attention", heads=4).model_dump()
    assert (known["combine"], known["encoder"], known["heads"], known["block"]) == ("statistics", "gru", 4, "bare")
    assert NetworkOptions.model_validate(known).model_dump() == known


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"fusion": "self_attention"}, "self-attention"),
        ({"fusion": "self_attention", "combine": "concatenation"}, "self-attention (no pooling)"),
        ({"fusion": "cross_attention", "block": "pre_norm"}, "cross-attention (pre-norm blocks)"),
        ({"fusion": "cross_attention", "faithful": True}, "cross-attention, as published"),
        (
            {
                "fusion": "cross_attention",
                "faithful": True,
                "training": {"learning_rate": 1e-4, "modality_dropout": 0.3},
            },
            "cross-attention in the published form (learning rate 0.0001)",  # it drops no modality, whatever is set
        ),
        (
            {"fusion": "self_attention", "faithful": True, "combine": "concatenation"},
            "self-attention in the published form (no pooling)",
        ),
        ({"fusion": "rjcma", "faithful": True, "recursions": 2, "correlate": "features"}, "RJCMA, as published"),
        ({"fusion": "rjcma", "faithful": True, "recursions": 4}, "RJCMA in the published form (4 recursions)"),
        ({"fusion": "rcma"}, "RCMA (3 recursions)"),
        ({"fusion": "rjcma", "recursions": 1, "correlate": "features"}, "RJCMA (1 recursion, features correlated)"),
        ({"fusion": "concatenation", "combine": "statistics"}, "early concatenation (statistical pooling)"),
        ({"fusion": "late"}, "late fusion"),
        ({"fusion": "late", "encoder": "tcn", "one_grid": True}, "late fusion (TCN, one grid)"),
        ({"fusion": "self_attention", "training": {"targets": "raters"}}, "self-attention (targets raters)"),
    ],
)
def test_words_for_the_report(given, words):
    assert title(NetworkOptions(**given)) == words


@pytest.mark.parametrize(
    ("given", "said", "not_said"),
    [
        ({"fusion": "cross_attention"}, "means over time and statistics across them.", "side by side"),
        (
            {"fusion": "cross_attention", "combine": "concatenation"},
            "means over time side by side in one linear layer.",
            "statistics",
        ),
        ({"fusion": "rjcma", "recursions": 2}, "Praveen and Alam 2024 in the published form: a window", "recursions"),
        (
            {"fusion": "rjcma", "recursions": 4},
            "in the published form, with 4 recursions where its code has 2: a window",
            "in the published form:",
        ),
        ({"fusion": "rjcma", "recursions": 1}, "with 1 recursion where its code has 2:", "as published"),
    ],
)
def test_a_published_model_is_described_as_it_is_built(given, said, not_said):
    text = sentences(NetworkOptions(**given, faithful=True))
    assert said in text
    assert not_said not in text


@pytest.mark.parametrize("name", FUSIONS.built_in)
def test_every_built_in_fusion_says_what_it_is(name):
    fusion = NetworkOptions(fusion=name).make_fusion(FRAMES)
    assert fusion.sentence().endswith(".")
    assert len(fusion.sentence()) > 40
    assert (
        fusion.citation
        == {"pairwise": "rajan2022", "recursive": "praveen2024", "baselines": None}[
            type(fusion).__module__.rpartition(".")[2]
        ]
    )


def test_ones_own_fusion_is_built_and_trained_from_its_file(own):
    given = NetworkOptions(fusion=f"{own}:Gate", sharpness=2, width=12, embedding=8)
    assert title(given) == "gated sum"
    assert given.make_fusion().config.sharpness == 2.0
    network = build(given, DIMS, SEGMENTS, 2, MAX_STEPS)
    assert network(*batch("rcma", SEGMENTS, DIMS)).shape == (4, 2)
    assert code_of(f"{own}:Gate") != code_of("rcma")


def test_an_option_may_be_a_path(own):
    given = NetworkOptions(fusion=f"{own}:Worded", lexicon="/data/mine.txt")
    assert given == NetworkOptions.model_validate_json(given.model_dump_json())
    assert json.loads(json.dumps(given.model_dump()))["lexicon"] == "/data/mine.txt"
    assert given.make_fusion().config.lexicon == Path("/data/mine.txt")


def test_the_words_of_ones_own_fusion_stay_as_they_are(own):
    given = NetworkOptions(fusion=f"{own}:Twin", combine="statistics", encoder="tcn")
    said = [title(given), title(given)]
    assert said == ["twin gates (both open, statistical pooling, TCN)"] * 2
    assert given.make_fusion().details() == ["both open"]


def test_ones_own_fusion_cites_by_an_entry_or_a_key_of_ours(own):
    cited, miscited = (NetworkOptions(fusion=f"{own}:{name}") for name in ("Cited", "Miscited"))
    assert about(cited, SEGMENTS)["citation"].startswith("@article{me2025,")
    with pytest.raises(InputError, match=r"citation 'nobody1999' is neither .* nor one of the keys .*rajan2022"):
        about(miscited, SEGMENTS)
    config = configuration(())[0]
    config["models"]["late"] = {"fusion": f"{own}:Miscited"}
    with pytest.raises(InputError, match=r"runs\.late: .*citation 'nobody1999' is neither"):
        Corpora(config)


def test_ones_own_fusion_that_cannot_be_used(own):
    with pytest.raises(ValueError, match="its option 'width' is one of every network; rename it"):
        NetworkOptions(fusion=f"{own}:Clashing")
    with pytest.raises(ValueError, match=r"Half in .* lacks fuse; define it"):
        NetworkOptions(fusion=f"{own}:Half")
    with pytest.raises(ValueError, match=r"GateOptions in .* is not a subclass of models.fusion.base.Fusion"):
        NetworkOptions(fusion=f"{own}:GateOptions")
    with pytest.raises(ValueError, match=r"unknown option 'heads'. Its options are: sharpness, combine"):
        NetworkOptions(fusion=f"{own}:Gate", heads=3)


def test_entry_points_of_installed_packages(own, tmp_path, monkeypatch):
    info = tmp_path / "site" / "theirs-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[affectflow.fusions]\ngate = own_fusions:Gate\n")
    monkeypatch.syspath_prepend(str(info.parent))
    monkeypatch.syspath_prepend(str(own.parent))
    assert "gate" in FUSIONS.names()
    assert title(NetworkOptions(fusion="gate")) == "gated sum"


def test_a_network_is_retrained_where_its_own_fusion_changes(own, tmp_path):
    """The digest of a training covers its fusion's file and no other fusion's."""
    assert len({code_of(name) for name in FUSIONS.built_in}) == len(FUSIONS.built_in)
    remarked, edited = tmp_path / "remarked.py", tmp_path / "edited.py"
    remarked.write_text("# a remark\n" + own.read_text())
    edited.write_text(own.read_text().replace("sharpness: float = 1.0", "sharpness: float = 1.5"))
    assert code_of(f"{own}:Gate") == code_of(f"{remarked}:Gate") != code_of(f"{edited}:Gate")


def test_options_and_words_load_no_heavy_library():
    code = """
        import sys
        from models.fusion.registry import FUSIONS, code_of
        from models.options import NetworkOptions, check_network
        from models.task import Task
        from models.wording import sentences, title
        for name in FUSIONS.built_in:
            network = NetworkOptions(fusion=name)
            check_network(network, ["audio", "video"], Task("classes", "segment"))
            title(network), sentences(network), code_of(name)
        heavy = {"torch", "scipy", "h5py", "pandas"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, cwd=REPOSITORY)


NAMES = {*FUSIONS.built_in} - {"concatenation"}  # the word is also a way to combine vectors
ELSEWHERE = [
    path
    for package in ("models", "pipeline", "workflow")
    for path in sorted((REPOSITORY / package).rglob("*.py"))
    if path.parent.name != "fusion" and not path.name.startswith(("reference", "figures"))
]


@pytest.mark.parametrize("path", ELSEWHERE, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_module_outside_a_plug_asks_for_a_fusion_by_name(path):
    tree = ast.parse(path.read_text())
    named = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert not named & NAMES
