"""The learned mix of layers: from an extractor that keeps them apart to weights in the report."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from models.__main__ import main
from models.attention import observed
from models.encoders import LayerMix
from models.inference import load_network
from models.network import build
from models.options import NetworkOptions
from models.report.runs import RunNames
from models.report.sections.training import layers_table
from models.settings import Run
from models.task import Task
from pipeline.features.command import build as build_extractor
from pipeline.features.provenance import attributes
from pipeline.features.synthetic import clip
from pipeline.records import Assignment, write_table
from pipeline.store import FeatureStore, Rows
from tests.checkpoint_families import make_checkpoint
from tests.training_material import (
    NETWORKS,
    TRAINING,
    class_split,
    emotional_turns,
    train_arguments,
    turn_rows,
    write_store,
)  # fmt: skip

LAYERS, WIDTH = 3, 4


def test_layers_are_kept_apart_and_the_store_says_which(tmp_path):
    folder = make_checkpoint("transformers_text", "bert", tmp_path)
    piece = clip("text", 2.0)

    def make(**options):
        return build_extractor("transformers_text", options, folder, "cpu")[0]

    made = make(layers="all", combine="keep", dtype="float16")
    each = [make(layers=[n]).extract([piece])[0].values for n in range(3)]
    np.testing.assert_allclose(made.extract([piece])[0].values, np.concatenate(each, axis=1), atol=1e-5)
    assert attributes("c", "n", "transformers_text", made, {}, [], tmp_path, True)["layers"] == [0, 1, 2]
    for options in ({"layers": "all", "combine": "mean"}, {"layers": "last", "combine": "keep"}):
        assert attributes("c", "n", "transformers_text", make(**options), {}, [], tmp_path, True)["layers"] == []
    rows = {"a": Rows(np.ones((2, 6), np.float32), np.zeros((2, 2)), np.ones(2, bool))}
    assert FeatureStore(write_store(tmp_path / "x.h5", rows, "text", layers=[4, 7])).layers == [4, 7]
    assert FeatureStore(write_store(tmp_path / "y.h5", rows, "text")).layers == []


def test_the_mix_is_a_softmax_times_a_scale():
    rng = np.random.default_rng(0)
    logits, scale, values = rng.normal(size=LAYERS), 1.7, rng.normal(size=(2, 5, LAYERS, WIDTH))
    mix = LayerMix(LAYERS).double()
    mix.load_state_dict({"logits": torch.from_numpy(logits), "scale": torch.tensor(scale)})
    mask = torch.from_numpy(rng.random((2, 5)) < 0.6)
    given = observed(torch.from_numpy(values.reshape(2, 5, -1)), mask)
    share = np.exp(logits) / np.exp(logits).sum()
    expected = scale * sum(share[k] * values[:, :, k] for k in range(LAYERS)) * mask.numpy()[..., None]
    np.testing.assert_allclose(mix(given).values.detach(), expected, atol=1e-12)


def test_the_encoder_has_the_width_of_one_layer():
    options = NetworkOptions(fusion="late", width=8, embedding=4)
    dims, steps = {"audio": LAYERS * WIDTH, "text": 6}, {"audio": 5, "text": 3}
    network = build(options, dims, Task("classes", "segment"), 2, steps, layers={"audio": LAYERS})
    found = {name: tuple(p.shape) for name, p in network.named_parameters() if "projection.weight" in name}
    assert sorted(shape[1] for shape in found.values()) == [WIDTH, 6]
    values = {"audio": torch.randn(4, 5, LAYERS * WIDTH), "text": torch.randn(4, 3, 6)}
    network(values, {m: torch.ones(x.shape[:2], dtype=torch.bool) for m, x in values.items()}).square().sum().backward()
    mixes = [p for name, p in network.named_parameters() if "mixes.audio" in name]
    assert [bool(p.grad.any()) for p in mixes] == [True, True]


def test_training_learns_which_layer_tells(tmp_path):
    """Of three layers of noise the second tells the class."""
    segments, rng = emotional_turns(), np.random.default_rng(0)
    write_table(tmp_path / "split.tsv", class_split(segments), Assignment)
    told = turn_rows(segments, "audio", signal=0.5)  # weak, or the first epoch is right in all and selected
    rows = {}
    for name, one in told.items():
        noise = [rng.normal(size=one.values.shape).astype(np.float32) for _ in range(2)]
        rows[name] = Rows(np.concatenate([noise[0], one.values, noise[1]], axis=1), one.time_s, one.valid)
    store = write_store(tmp_path / "audio.h5", rows, "audio", dtype="float16", layers=[2, 5, 8])
    training = TRAINING["segment"] | {"seeds": [1], "epochs": 16, "learning_rate": 0.02}
    arguments = train_arguments(tmp_path, "segment", tmp_path / "split.tsv", {"audio": store}, "run",
                                NETWORKS["segment"], training)  # fmt: skip
    done = CliRunner().invoke(main, ["train", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    folder = tmp_path / "run" / "seed1"
    info = json.loads((folder / "run.json").read_text())
    share = info["layer_weights"]["audio"]
    assert info["model"]["layers"] == {"audio": [2, 5, 8]}
    assert abs(sum(share) - 1) < 1e-6
    assert share[1] > 1.2 * max(share[0], share[2])
    network, normalisers, _ = load_network(folder)
    np.testing.assert_allclose(network.mixes["audio"].weights.detach(), share, atol=1e-6)
    assert len(normalisers["audio"].mean) == 3 * told[segments[0].segment_id].values.shape[1]


def test_the_report_shows_the_mean_over_folds_and_seeds():
    about = {"model": {"layers": {"audio": [3, 11]}}, "training": {"normalise": True}}
    infos = [{"layer_weights": {"audio": share}, **about} for share in ([0.5, 0.5], [0.7, 0.3])]
    results = SimpleNamespace(run_infos={"self-A": infos, "other-A": []})
    runs = {name: Run(name, "self", "A", {"audio": "wavlm"}) for name in ("self-A", "other-A")}
    names = RunNames(runs, {}, {"self": {"title": "self-attention"}}, {})
    table = layers_table(results, list(runs), names)
    (row,) = table.rows
    assert [column.head for column in table.columns] == ["Model", "Features", "3", "11"]
    assert [column.text(row) for column in table.columns][1:] == ["wavlm", "0.600", "0.400"]
    assert layers_table(results, ["other-A"], names) is None


@pytest.mark.parametrize(
    ("normalise", "said"),
    [
        ({"self-A": True, "other-A": "speaker"}, "row; layers are normalised before they are mixed, so that none is"),
        ({"self-A": False, "other-A": False}, "row; layers are mixed as they were extracted: a layer of large numbers"),
        ({"self-A": True, "other-A": False}, "before they are mixed, but not those of other A, where a layer of large"),
    ],
)
def test_the_note_says_whether_layers_were_normalised(normalise, said):
    about = {"layer_weights": {"audio": [1.0]}, "model": {"layers": {"audio": [3]}}}
    infos = {run: [{**about, "training": {"normalise": one}}] for run, one in normalise.items()}
    results = SimpleNamespace(run_infos=infos)
    runs = {run: Run(run, run.removesuffix("-A"), "A", {"audio": "wavlm"}) for run in normalise}
    names = RunNames(runs, {}, {run.model: {"title": run.model} for run in runs.values()}, {})
    assert said in layers_table(results, list(runs), names).note
