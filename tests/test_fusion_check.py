"""The conformance check finds what is wrong with a fusion, and the worked example of the docs works from its file."""

import json
import re
import textwrap
from pathlib import Path

import pytest
from click.testing import CliRunner

from models.check import CHECKS, check_fusion
from models.dialog import DialogRecurrence
from models.options import NetworkOptions
from pipeline.conformance import verdicts
from pipeline.records import InputError
from tests.network_material import VARIANTS, small
from tests.plug_options import described

REPOSITORY = Path(__file__).resolve().parent.parent
HEAD = """
import torch
from torch import nn
from models.attention import Stream, observed
from models.fusion.base import Fusion

def joined(streams):
    return torch.stack([s.mask for s in streams.values()]).any(0)
"""
WRONG = {
    "Unmasked": """
        def layers(self, modalities):
            return {m: nn.MultiheadAttention(self.width, 2, batch_first=True) for m in modalities}
        def fuse(self, layers, streams):
            return [[observed(layers[m](v, v, v)[0], mask) for m, (v, mask) in streams.items()]]
    """,
    "Largest": """
        def fuse(self, layers, streams):
            return [[observed(v + v.amax(1, keepdim=True), mask) for v, mask in streams.values()]]
    """,
    "Everywhere": """
        def fuse(self, layers, streams):
            return [[Stream(v, torch.ones_like(mask)) for v, mask in streams.values()]]
    """,
    "Biased": """
        def layers(self, modalities):
            return {m: nn.Linear(self.width, self.width) for m in modalities}
        def fuse(self, layers, streams):
            return [[Stream(layers[m](v), mask) for m, (v, mask) in streams.items()]]
    """,
    "Overwrites": """
        def fuse(self, layers, streams):
            return [[Stream(v.mul_(2), mask) for v, mask in streams.values()]]
    """,
    "Crowded": """
        def fuse(self, layers, streams):
            return [[observed(v - v.mean(0), mask) for v, mask in streams.values()]]
    """,
    "Divides": """
        def fuse(self, layers, streams):
            return [[Stream(v / mask.sum(1)[:, None, None], mask) for v, mask in streams.values()]]
    """,
    "Deaf": """
        def fuse(self, layers, streams):
            return [[next(iter(streams.values()))]]
    """,
    "Idle": """
        def layers(self, modalities):
            return {"unused": nn.Linear(self.width, self.width)}
        def fuse(self, layers, streams):
            return [list(streams.values())]
    """,
    "Noisy": """
        def fuse(self, layers, streams):
            return [[observed(v + torch.rand(()), mask) for v, mask in streams.values()]]
    """,
    "Sums": """
        def fuse(self, layers, streams):
            return [[observed(sum(v for v, _ in streams.values()), joined(streams))]]
    """,
    "Flat": """
        def fuse(self, layers, streams):
            return list(streams.values())
    """,
}
OTHER = {
    "Wide": """
        def layers(self, modalities):
            return {m: nn.Linear(self.width + 1, self.width, bias=False) for m in modalities}
        def fuse(self, layers, streams):
            return [[Stream(layers[m](v), mask) for m, (v, mask) in streams.items()]]
    """,
    "Short": """
        def fuse(self, streams):
            return [list(streams.values())]
    """,
}
RIGHT = {
    "Weighs": """
        one_grid = True
        def layers(self, modalities):
            return nn.ModuleDict({m: nn.Linear(self.width, 1, bias=False) for m in modalities})
        def fuse(self, layers, streams):
            share = torch.stack([layers[m](v) for m, (v, _) in streams.items()]).softmax(0)
            return [[observed(sum(w * v for w, (v, _) in zip(share, streams.values())), joined(streams))]]
    """,
}
SAID = {
    "Unmasked": ("padding", r"seven absent steps at the end change the outcome .*must not be attended to"),
    "Largest": ("padding", r"seven absent steps at the end change the outcome"),
    "Everywhere": ("padding", r"seven absent steps at the end change the outcome"),
    "Biased": ("streams", r"not zero where the mask is False.*return observed.*from affectflow import observed"),
    "Overwrites": ("streams", "changes the streams that it is given"),
    "Crowded": ("batches", "between a batch and alone"),
    "Divides": ("nothing observed", "an item of which nothing, or only audio, was observed gives NaN"),
    "Deaf": ("modalities", "A.V, task classes/segment: video has no say"),
    "Idle": ("gradients", r"no gradient reaches .*unused.weight"),
    "Noisy": ("determinism", "another outcome the second time"),
    "Sums": ("builds", r"RuntimeError: The size of tensor a .*wrong.py, line"),
    "Flat": ("streams", r"fuse gives a list of groups"),
}


@pytest.fixture(scope="module")
def wrong(tmp_path_factory):
    """A file of fusions that each do one thing wrong, and one that only looks so."""
    path = tmp_path_factory.mktemp("own") / "wrong.py"
    bodies = {**WRONG, **OTHER, **RIGHT}
    methods = {name: textwrap.indent(textwrap.dedent(body), "    ") for name, body in bodies.items()}
    path.write_text(HEAD + "\n".join(f"class {name}(Fusion):\n{body}" for name, body in methods.items()))
    return path


@pytest.mark.parametrize("variant", VARIANTS)
def test_built_in_fusions_pass(variant):
    assert not [(title, said) for title, said, good in verdicts(CHECKS, small(variant)) if not good]


@pytest.mark.parametrize("options", [{"fusion": "cross_attention", "heads": 2}, {"fusion": "rjcma"}])
def test_published_models_pass_what_can_be_asked_of_them(options):
    found = verdicts(CHECKS, NetworkOptions(**options, faithful=True, width=12, embedding=8))
    assert not [(title, said) for title, said, good in found if not good]


@pytest.mark.parametrize(
    ("options", "left_out"),
    [
        ({"context": 2}, ["numbers/frame:one,other", "classes/frame"]),
        ({"separate_targets": True}, ["classes/segment", "classes/frame"]),
        ({"context": 2, "separate_targets": True}, ["classes/segment", "numbers/frame:one,other", "classes/frame"]),
        ({}, []),
    ],
)
def test_a_task_that_a_network_is_not_for_is_left_out_and_said(wrong, options, left_out):
    given = ["self_attention", "--options", json.dumps({**options, "width": 12, "embedding": 8, "heads": 2})]
    done = CliRunner().invoke(check_fusion, given, catch_exceptions=False)
    assert re.findall(r"not tried: network .*, task (\S+): ", done.output) == left_out
    assert done.output.count("ok   ") == len(CHECKS)
    network = NetworkOptions(fusion=f"{wrong}:Idle", width=12, embedding=8, **options)
    ((_, said, _),) = verdicts({"gradients": CHECKS["gradients"]}, network)
    idle = re.fullmatch("no gradient reaches (.*): it would never learn; use it or leave it out", said)[1].split(", ")
    assert all(name.endswith((".unused.bias", ".unused.weight")) for name in idle)


def test_a_network_that_cannot_be_built_fails_every_check():
    with pytest.raises(InputError, match="9 of 9 checks failed"):
        CliRunner().invoke(check_fusion, ["self_attention", "--options", '{"width": 7}'], catch_exceptions=False)


def test_what_dialog_context_would_never_learn_is_said(monkeypatch):
    """A recurrence that is given no turn before has no state from which it could learn."""
    network, asked = NetworkOptions(fusion="concatenation", width=12, context=2), {"gradients": CHECKS["gradients"]}
    ((_, said, good),) = verdicts(asked, network)
    assert (said, good) == ("reach every parameter", True)
    forward = DialogRecurrence.forward
    monkeypatch.setattr(DialogRecurrence, "forward", lambda module, vectors, before: forward(module, vectors, None))
    ((_, said, good),) = verdicts(asked, network)
    assert "no gradient reaches dialog.recurrence.weight_hh: " in said
    assert not good


def test_what_learns_only_beside_others_is_said_and_not_wrong(wrong):
    """A weight of a modality among others, from modules in a ModuleDict: alone it has nothing to weigh."""
    options = NetworkOptions(fusion=f"{wrong}:Weighs", width=12, embedding=8)
    found = list(verdicts(CHECKS, options))
    assert all(good for *_, good in found), found
    said = next(said for title, said, _ in found if title == "gradients")
    assert said.startswith("reach every parameter, if not in every network: ")
    assert "fusion.layers.video.weight not of V, task classes/segment" in said


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(wrong, name):
    options = NetworkOptions(fusion=f"{wrong}:{name}", width=12, embedding=8)
    title, words = SAID[name]
    ((_, said, good),) = verdicts({title: CHECKS[title]}, options)
    assert not good
    assert re.search(words, said), said


def test_an_error_is_said_in_full_once_and_by_the_file_of_the_plug(wrong):
    """Where no line of it is reached, by what calls it: its ``fuse`` may not take what it is given."""
    at = r"\(network.py, line \d+, where wrong.py is called or its outcome is used\)"
    run = CliRunner().invoke(check_fusion, [f"{wrong}:Short"])
    first, *others = [line for line in run.output.splitlines() if line.startswith("WRONG")]
    assert re.fullmatch(rf"WRONG  builds: TypeError: Short.fuse\(\) takes 2 .* {at}", first)
    assert all(line.endswith(": as above, under builds") for line in others)
    assert f"{len(CHECKS)} of {len(CHECKS)} checks failed" in str(run.exception)
    run = CliRunner().invoke(check_fusion, [f"{wrong}:Wide"])
    assert re.search(r"WRONG  builds: RuntimeError: .* \(wrong.py, line \d+\)\n", run.output), "not torch's own line"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["Noisy"], "fusion .*:Noisy': [2-9] of 9 checks failed; see the lines marked WRONG"),
        (["Nothing"], "Nothing in .* is missing"),
        (["Biased", "--options", '{"widht": 3}'], "unknown option 'widht'.* Its options are: combine"),
        (["Biased", "--options", "[1]"], "expected an object of names and values"),
    ],
)
def test_command_line_fails_with_a_sentence(wrong, arguments, said):
    with pytest.raises(InputError, match=said):
        CliRunner().invoke(check_fusion, [f"{wrong}:{arguments[0]}", *arguments[1:]], catch_exceptions=False)


def test_the_table_of_the_docs_is_what_there_is():
    """Every built-in fusion with its options, defaults and descriptions, and whether it has a published form."""
    from models.fusion.registry import FUSIONS

    text = (REPOSITORY / "docs" / "fusions.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", text.split("## What there is")[1].split("## ")[0], re.MULTILINE))
    assert set(rows) == set(FUSIONS.built_in)
    for name, cells in rows.items():
        fusion = FUSIONS.load(name)
        called, modalities, grid, encoder, combine, published = cells.split(" | ")
        assert fusion.title in called
        assert modalities == ("1 to 3" if fusion.min_modalities == 1 else "2 or 3")
        assert (grid == "yes", encoder, combine) == (fusion.one_grid, fusion.encoder, fusion.combine)
        assert bool(published.strip()) == (fusion.published is not None)
        options = set(described(FUSIONS, name))
        listed = set(re.findall(r"^\| `(\w+)` \| `(.*?)` \| (.*) \|$", text.split("## Options")[1], re.MULTILINE))
        assert options <= listed
