"""Published models in training: every dropout rate, the loss and the schedule, against what the papers' code does."""

import copy
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from models.examples import training_batches
from models.fusion.published import AttentionModel, JointCoAttention, RecursiveModel
from models.fusion.registry import FUSIONS
from models.losses import ccc_loss
from models.network import build
from models.options import NetworkOptions, TrainingOptions
from models.task import Task
from pipeline.corpora.readers.affwild2 import figures
from tests.network_material import FRAMES, SEGMENTS
from tests.published_numbers import reference
from tests.training_material import TASKS, job_of, run_of

ROOT = Path(__file__).resolve().parent.parent
DIMS = {"audio": 4, "video": 5, "text": 6}
STEPS = {"audio": 20, "video": 32, "text": 10}


def dropouts(module):
    """Every dropout rate in a module, with how many there are of it."""
    rates = Counter(m.p for m in module.modules() if isinstance(m, nn.Dropout))
    return rates + Counter(m.dropout for m in module.modules() if isinstance(m, nn.MultiheadAttention))


@pytest.mark.parametrize(
    ("fusion", "attentions"), [("self_attention", 3), ("cross_attention", 6), ("cross_self_attention", 9)]
)
def test_dropout_of_paper_1(fusion, attentions):
    """0.25 on the text features, 0.1 in each attention, and nowhere else."""
    model = build(NetworkOptions(fusion=fusion, faithful=True), DIMS, SEGMENTS, 7, STEPS)
    assert isinstance(model, AttentionModel)
    assert dropouts(model) == {0.25: 1, 0.1: attentions}


def test_dropout_of_paper_2():
    """0.6 in both places of both fusion layers, 0.1 in the four levels of each TCN, none in the head."""
    options = NetworkOptions(fusion="rjcma", faithful=True, width=4, embedding=6, recursions=2)
    (model,) = build(options, DIMS, FRAMES, 1, dict.fromkeys(DIMS, 20)).models
    assert isinstance(model, RecursiveModel)
    assert dropouts(model.encoder) == {0.1: 4 * 3}
    assert dropouts(model.attention) == {0.6: 2}
    assert sum(dropouts(model).values()) == 4 * 3 + 2
    layer, places = model.attention[0], []
    assert isinstance(layer, JointCoAttention)
    layer.dropout.register_forward_hook(lambda module, given, made: places.append(tuple(made.shape)))
    layer({m: torch.randn(2, 20, 8 if m == "video" else 4).double() for m in layer.key})
    assert places == [(2, 8, 16), (2, 20, 8), (2, 4, 16), (2, 20, 4), (2, 4, 16), (2, 20, 4)]


def test_dropout_takes_what_it_says_from_correlation_and_update():
    """In training mode 0.6 of the update's entries are missing and the others are 2.5 times as large."""
    torch.manual_seed(0)
    layer = JointCoAttention({"video": 4, "audio": 2, "text": 2}, 300).double()
    streams = {m: torch.randn(4, 300, d, dtype=torch.float64) for m, d in {"video": 4, "audio": 2, "text": 2}.items()}
    seen = []
    layer.dropout.register_forward_hook(lambda module, given, made: seen.append((given[0], made)))
    layer.train()(streams)
    assert len(seen) == 6, "of each modality a correlation and an update"
    for given, made in seen[1::2]:
        kept = made[given > 0] != 0
        assert abs(kept.double().mean() - 0.4) < 0.06
        torch.testing.assert_close(made[given > 0][kept], given[given > 0][kept] / 0.4)


def published_loss(gold, predicted):
    """The loss of paper 2's code for (windows, frames) of one target: variance of n - 1, covariance of n."""
    total = 0.0
    for y, x in zip(gold, predicted):
        n = len(y)
        covariance = sum((a - y.mean()) * (b - x.mean()) for a, b in zip(y, x)) / n
        variances = [sum((a - v.mean()) ** 2 for a in v) / (n - 1) for v in (y, x)]
        total += 1 - 2 * covariance / (sum(variances) + (y.mean() - x.mean()) ** 2)
    return total / len(gold)


def test_loss_of_paper_2_is_one_ccc_for_each_window():
    rng = np.random.default_rng(0)
    gold, predicted = rng.normal(size=(2, 5, 40, 1)) * 0.3 + rng.normal(size=(1, 5, 1, 1))
    valid = torch.ones(5, 40, dtype=torch.bool)
    found = ccc_loss(torch.tensor(predicted), torch.tensor(gold), valid, "window_unbiased").item()
    assert found == pytest.approx(published_loss(gold[..., 0], predicted[..., 0]), abs=1e-12)
    assert found != pytest.approx(ccc_loss(torch.tensor(predicted), torch.tensor(gold), valid).item(), abs=0.05)


def test_the_published_loss_is_met():
    """Numbers that paper 2's own loss gave."""
    file = reference("ccc_loss")
    gold = torch.tensor(file["input/gold"]).double() * 0.3
    predicted = torch.tensor(file["input/predicted"]).double() * 0.3 * 0.7 + gold * 0.5 + 0.1
    found = ccc_loss(predicted, gold, torch.ones(5, 300, dtype=torch.bool), "window_unbiased")
    assert found.item() == pytest.approx(float(file["output/loss"]), abs=1e-10)


def test_a_published_model_brings_its_own_training():
    given = TrainingOptions(seeds=[1], plateau_threshold=0.01, class_weights=True, modality_dropout=0.2)
    ours = given.for_network(NetworkOptions(fusion="rjcma"))
    assert ours == given
    theirs = given.for_network(NetworkOptions(fusion="rjcma", faithful=True))
    assert (theirs.ccc_over, theirs.plateau_threshold, theirs.modality_dropout) == ("window_unbiased", 0.0, 0.0)
    first = given.for_network(NetworkOptions(fusion="self_attention", faithful=True))
    assert (first.plateau_threshold, first.class_weights, first.modality_dropout) == (1e-4, False, 0.0)
    for name in FUSIONS.built_in:
        published = FUSIONS.load(name).published
        assert set(published.training if published else {}) <= set(TrainingOptions.model_fields)
        assert json.dumps(dict(published.training if published else {}))  # part of a run's digest


@pytest.mark.parametrize("name", [name for name in FUSIONS.built_in if FUSIONS.load(name).published])
def test_the_manual_names_every_departure(name):
    text = (ROOT / "docs" / "fusions.md").read_text().split("## As published")[1]
    assert f"`{name}`" in text
    assert all(f"| {departure} |" in text for departure in FUSIONS.load(name).published.departures)


def test_where_windows_of_partly_labelled_videos_lie_is_a_departure():
    (said,) = [text for text in FUSIONS.load("rjcma").published.departures if text.startswith("windows")]
    assert "after frames without a label are removed" in said
    assert "where windows lie" in (ROOT / "configs" / "praveen2024.yaml").read_text()


@pytest.mark.parametrize(
    ("said", "in_settings"),
    [
        ("mirrored at random", "mirrored at random in training"),
        ("each of three parts of a backbone", "docs/fusions.md lists"),
        ("twice as wide as audio and text", "256 of video, 128 of audio and"),
    ],
)
def test_what_paper_2_s_code_does_otherwise_is_said_with_its_model_and_in_its_settings(said, in_settings):
    assert any(said in text for text in FUSIONS.load("rjcma").published.departures)
    assert in_settings in (ROOT / "configs" / "praveen2024.yaml").read_text()


def test_that_folds_of_a_seed_begin_alike_in_published_code_is_said_of_all_published_models():
    published = [FUSIONS.load(name).published for name in FUSIONS.built_in]
    assert all(any("begin alike" in text for text in one.departures) for one in published if one)


def test_the_1x1_convolution_of_a_tcn_begins_as_published():
    """Xavier uniform with gain sqrt(2): within its bound, and filling it."""
    options = NetworkOptions(fusion="rjcma", faithful=True, width=64, embedding=6, recursions=1)
    (model,) = build(options, {"video": 300, "audio": 200}, FRAMES, 1, {"video": 20, "audio": 20}).models
    for m, inputs, outputs in (("video", 300, 128), ("audio", 200, 64)):
        weight = model.encoder[m][0].network[0].downsample.weight
        bound = np.sqrt(2) * np.sqrt(6 / (inputs + outputs))
        assert weight.shape == (outputs, inputs, 1)
        assert 0.97 * bound < weight.abs().max() <= bound


def test_separate_networks_learn_as_if_alone(tmp_path):
    """Paper 2's code trains one network for valence and one for arousal, each with weight decay of its own."""
    network = {
        "fusion": "rcma",
        "width": 12,
        "embedding": 8,
        "dropout": 0,
        "input_dropout": 0,
        "separate_targets": True,
    }
    job = job_of(tmp_path, Task.parse(TASKS["frame"]), network, weight_decay=0.1)
    run = run_of(job)
    run.network.train()
    apart = [copy.deepcopy(model) for model in run.network.models]
    adams = [torch.optim.Adam(model.parameters(), run.learning_rate, weight_decay=0.1) for model in apart]
    for batch in run.examples.batches([run.items[k : k + 6] for k in (0, 6, 12)]):
        run.step(batch)
        for k, (model, adam) in enumerate(zip(apart, adams)):
            adam.zero_grad()
            ccc_loss(model(*batch.given), batch.target[..., k : k + 1], batch.target_mask).backward()
            adam.step()
    for together, alone in zip(run.network.models, apart):
        for ours, expected in zip(together.parameters(), alone.parameters(), strict=True):
            torch.testing.assert_close(ours, expected, atol=2e-5, rtol=0)


def test_the_report_is_right_about_how_recursive_networks_differ():
    (text,) = [one["text"] for one in figures.DEPARTURES if one["title"] == "Network and training"]
    dims = {"video": 3, "audio": 2}
    for faithful, norm, kernel in ((True, nn.BatchNorm1d, 5), (False, nn.LayerNorm, 3)):
        options = NetworkOptions(fusion="rjcma", faithful=faithful)
        network = build(options, dims, FRAMES, 2, dict.fromkeys(dims, 20))
        assert {type(m) for m in network.modules()} & {nn.BatchNorm1d, nn.LayerNorm} == {norm}
        assert {m.kernel_size[0] for m in network.modules() if isinstance(m, nn.Conv1d)} - {1} == {kernel}
        assert f"kernel {kernel}" in text
    assert set(dropouts(network.fusion)) == {0.1}
    assert {encoder.projection.out_features for encoder in network.encoders.values()} == {120}
    assert (network.head[0].out_features, dropouts(network.head)) == (60, {0.1: 1})
    assert "every modality is 120 wide and the head 60" in text
    assert "dropout in fusion and head is 0.1" in text
    published = yaml.safe_load((ROOT / "config.yaml").read_text())["models"]["rjcma_published"]
    model = build(NetworkOptions(**published), {**dims, "text": 4}, FRAMES, 2, dict.fromkeys(DIMS, 20)).models[0]
    widths = {m: encoder[1].num_features for m, encoder in model.encoder.items()}
    assert (widths, model.embedding.out_features) == ({"video": 256, "audio": 128, "text": 128}, 256)
    assert dropouts(model) == dropouts(model.encoder) + dropouts(model.attention), "there is none in the head"
    assert "video is 256 wide, audio and text 128;" in text
    assert "the head is 256 wide, without dropout" in text
    length = np.arange(1, 129)
    batches = training_batches(length - 1, length, 12, np.random.default_rng(0))
    assert max(length[batch].std() for batch in batches) < length.std() / 2
    assert "batches hold windows of similar length" in text
    training = yaml.safe_load((ROOT / "config.yaml").read_text())["defaults"]["frame"]["training"]
    assert (options.frames_per_step, training["ccc_over"], len(training["seeds"])) == (5, "batch", 3)
