"""Every fusion on both tasks and all modality sets: shapes, gradients, masks, neighbours, and that it learns."""

from itertools import combinations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models.losses import ccc_loss, concordance
from models.network import Late, Separate, build
from models.options import NetworkOptions, check_network
from pipeline.records import InputError
from tests.network_material import (
    CASES,
    DIMS,
    FRAMES,
    MAX_STEPS,
    SEGMENTS,
    TASKS,
    THREE,
    VARIANTS,
    batch,
    check_device,
    make,
    plug,
    small,
)


@pytest.mark.parametrize(("fusion", "task", "modalities"), CASES)
def test_shapes_gradients_and_absent_content(fusion, task, modalities):
    """Whatever absent rows hold, NaN included, changes nothing, and all parameters learn."""
    network = make(fusion, task, modalities)
    values, masks = batch(fusion, task, modalities)
    outcome = network(values, masks)
    assert outcome.shape == ((4, 10, 2) if task.frames else (4, 2))
    if task.numbers:
        assert outcome.abs().max() <= 1

    (outcome * torch.randn_like(outcome)).sum().backward()
    without = {name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()}
    assert not without
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())

    for spoil in (torch.nan, 1e6):
        spoilt = {m: torch.where(masks[m][..., None], values[m], spoil) for m in modalities}
        assert torch.equal(network(spoilt, masks), outcome)


@pytest.mark.parametrize(("fusion", "task", "modalities"), THREE)
@pytest.mark.parametrize("encoder", ["gru", "tcn"])
@torch.no_grad()
def test_an_item_depends_on_neither_padding_nor_neighbours(fusion, task, modalities, encoder):
    """Checked in training mode too (without dropout): no statistics of the batch are used anywhere."""
    network = make(fusion, task, modalities, encoder=encoder, frames_per_step=3)
    values, masks = batch(fusion, task, modalities)
    for mode in (True, False):
        network.train(mode)
        together = network(values, masks)
        for i in range(4):
            alone = network({m: v[i : i + 1] for m, v in values.items()}, {m: v[i : i + 1] for m, v in masks.items()})
            torch.testing.assert_close(together[i : i + 1], alone, atol=1e-10, rtol=0)
        padded = network(
            {m: F.pad(v, (0, 0, 0, 7), value=3.0) for m, v in values.items()},
            {m: F.pad(v, (0, 7)) for m, v in masks.items()},
        )
        padded = padded[:, :10] if task.frames else padded
        torch.testing.assert_close(padded, together, atol=1e-10, rtol=0)


@pytest.mark.parametrize(("fusion", "task", "modalities"), THREE)
@torch.no_grad()
def test_observed_content_matters(fusion, task, modalities):
    """Each modality of each item moves that item's output, and no other's."""
    network = make(fusion, task, modalities)
    values, masks = batch(fusion, task, modalities)
    before = network(values, masks)
    for m in modalities:
        moved = values | {m: torch.cat([values[m][:1] + 1, values[m][1:]])}
        after = network(moved, masks)
        assert not torch.allclose(after[0], before[0], atol=1e-8)
        torch.testing.assert_close(after[1:], before[1:], atol=1e-12, rtol=0)


@pytest.mark.parametrize(("fusion", "task", "modalities"), THREE)
def test_absent_modalities_and_empty_items_are_survived(fusion, task, modalities):
    network = make(fusion, task, modalities)
    values, masks = batch(fusion, task, modalities)
    for m in modalities:
        masks[m][0] = False  # nothing at all
    masks["text"][1] = False  # no words
    masks["video"][2] = masks["text"][2] = False  # sound only
    outcome = network(values, masks)
    assert torch.isfinite(outcome).all()
    outcome.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())
    if not task.frames:
        empty = {"text": values["text"][:, :0]}, {"text": masks["text"][:, :0]}
        if not plug(fusion).one_grid:  # a batch in which nobody has any row
            silent = masks | {"text": torch.zeros_like(masks["text"])}
            torch.testing.assert_close(network(values | empty[0], masks | empty[1]), network(values, silent))


@pytest.mark.parametrize("fusion", ["rcma", "rjcma", "rjcma, features"])
@pytest.mark.parametrize("task", TASKS, ids=str)
@pytest.mark.parametrize("share", [False, True])
def test_recursions(fusion, task, share):
    """More recursions compute something else; shared ones need no more parameters."""
    values, masks = batch(fusion, task, DIMS)
    counts, outcomes = [], []
    for recursions in (1, 2, 3, 4):
        network = make(fusion, task, DIMS, recursions=recursions, share_recursions=share)
        counts.append(sum(p.numel() for p in network.fusion.parameters()))
        outcomes.append(network(values, masks))
        outcomes[-1].sum().backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())
    assert counts == [counts[0] * (1 if share else n) for n in (1, 2, 3, 4)]
    assert not any(torch.allclose(a, b, atol=1e-6) for a, b in combinations(outcomes, 2))


@pytest.mark.parametrize("fusion", ["rcma", "rjcma", "rcma, features"])
@pytest.mark.parametrize("window", [1, 7, 300, 411])
@torch.no_grad()
def test_any_window_length(fusion, window):
    network = make(fusion, FRAMES, DIMS).eval()
    values = {m: torch.randn(2, window, d) for m, d in DIMS.items()}
    masks = {m: torch.ones(2, window, dtype=bool) for m in DIMS}
    assert network(values, masks).shape == (2, window, 2)


def test_pooling_sizes_of_the_head():
    """Statistics are two vectors for each group, concatenation all of them; cross+self pools each of the two."""
    sizes = {
        ("self_attention", "statistics"): 2,
        ("self_attention", "concatenation"): 3,
        ("cross_attention", "statistics"): 2,
        ("cross_attention", "concatenation"): 6,
        ("cross_self_attention", "statistics"): 4,
        ("cross_self_attention", "concatenation"): 9,
        ("rjcma", None): 3,
        ("concatenation", None): 3,
    }
    for (fusion, combine), size in sizes.items():
        assert make(fusion, SEGMENTS, DIMS, combine=combine).head[0].in_features == 12 * size


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_late_fusion_is_the_mean_of_those_who_observed(task):
    network, (values, masks) = make("late", task, DIMS), batch("late", task, DIMS, absent=0.0)
    assert isinstance(network, Late)
    masks["text"][1] = False
    said = torch.stack([network.models[m](values, masks) for m in DIMS])
    said = said if task.numbers else said.log_softmax(-1)
    outcome = network(values, masks)
    torch.testing.assert_close(outcome[0], said[:, 0].mean(0))
    torch.testing.assert_close(outcome[1], said[:2, 1].mean(0))


@pytest.mark.parametrize("task", [task for task in TASKS if task.numbers], ids=str)
@pytest.mark.parametrize(("fusion", "options"), [("rcma", {}), ("late", {}), ("rcma", {"separate_targets": True})])
def test_numbers_beyond_1_come_in_their_own_unit(task, fusion, options):
    """The same weights say without tanh how many spreads they are from the centre."""
    centre, spread = [3.0, -2.0], [0.5, 4.0]
    networks = []
    for scale in (None, {"centre": centre, "spread": spread}):
        torch.manual_seed(0)
        networks.append(build(small(fusion, **options), DIMS, task, 2, MAX_STEPS, scale).eval())
    values, masks = batch(fusion, task, DIMS)
    bounded, own = (network({m: v.float() for m, v in values.items()}, masks) for network in networks)
    assert set(networks[1].state_dict()) == {f"model.{name}" for name in networks[0].state_dict()}
    if fusion != "late":  # of which the tanh is of each modality
        torch.testing.assert_close(torch.tanh((own - torch.tensor(centre)) / torch.tensor(spread)), bounded)
    assert (own.abs() > 1).any()


@pytest.mark.parametrize("task", [task for task in TASKS if task.numbers], ids=str)
def test_separate_targets_share_nothing(task):
    network = make("rjcma", task, DIMS, separate_targets=True)
    assert isinstance(network, Separate)
    values, masks = batch("rjcma", task, DIMS)
    network(values, masks)[..., 0].sum().backward()
    assert all(p.grad.any() for p in network.models[0].parameters())
    assert not any(p.grad.any() for p in network.models[1].parameters())


def test_long_segments_and_fast_frames_are_averaged():
    def stride(task, fusion="self_attention", **options):
        return make(fusion, task, DIMS, **options).encoders["audio"].stride

    assert stride(SEGMENTS) == 3  # 24 rows to at most 8
    assert stride(SEGMENTS, "rcma") == stride(SEGMENTS, one_grid=True) == 3
    assert make("rcma", SEGMENTS, DIMS).encoders["text"].stride == 3  # one grid stays one
    assert make("self_attention", SEGMENTS, DIMS).encoders["text"].stride == 1
    assert stride(FRAMES) == 1
    assert stride(FRAMES, frames_per_step=4) == 4


@pytest.mark.parametrize("fusion", ["self_attention", "rcma"])
def test_frames_lie_between_the_steps_of_their_averages(fusion):
    """As numpy interpolates what a network of single frames says of the averages; a window of ten frames ends early."""
    values, masks = batch(fusion, FRAMES, DIMS, absent=0.0)
    coarse, fine = (make(fusion, FRAMES, DIMS, frames_per_step=n) for n in (4, 1))
    outcome = coarse(values, masks).detach()
    means = {m: torch.stack([v[:, a : a + 4].mean(1) for a in (0, 4, 8)], 1) for m, v in values.items()}
    said = torch.atanh(fine(means, {m: mask[:, :3] for m, mask in masks.items()})).detach()
    middles, frames = [2.0, 6.0, 10.0], np.arange(10) + 0.5
    for b, k in np.ndindex(4, 2):
        expected = np.interp(frames, middles, said[b, :, k])
        np.testing.assert_allclose(np.arctanh(outcome[b, :, k]), expected, atol=1e-10)


def test_the_order_of_modalities_changes_nothing():
    values, masks = batch("cross_attention", SEGMENTS, DIMS)
    one, other = make("cross_attention", SEGMENTS, DIMS), make("cross_attention", SEGMENTS, list(DIMS)[::-1])
    assert torch.equal(one(values, masks), other(values, masks))


def test_lengths_that_differ_are_refused_where_one_grid_is_needed():
    values, masks = batch("self_attention", SEGMENTS, DIMS)
    for fusion, task in [("rcma", SEGMENTS), ("self_attention", FRAMES), ("late", FRAMES)]:
        with pytest.raises(InputError, match=r"one time grid.*'audio': 24"):
            make(fusion, task, DIMS)(values, masks)
    with pytest.raises(InputError, match="one time grid"):
        make("self_attention", SEGMENTS, DIMS, one_grid=True)(values, masks)


@pytest.mark.parametrize(
    ("options", "modalities", "task", "message"),
    [
        ({"fusion": "cross_attention"}, ["text"], SEGMENTS, "at least 2; one alone goes with self_attention, conc"),
        ({"fusion": "rcma"}, ["video"], FRAMES, "at least 2"),
        ({"fusion": "rjcma"}, ["video"], SEGMENTS, "at least 2"),
        ({"fusion": "cross_self_attention"}, ["audio"], SEGMENTS, "at least 2"),
        ({"fusion": "self_attention"}, [], SEGMENTS, "one or more of"),
        ({"fusion": "self_attention"}, ["audio", "smell"], SEGMENTS, "audio.*video.*text"),
        ({"fusion": "self_attention", "width": 15, "heads": 5}, ["audio"], SEGMENTS, "must be even"),
        ({"fusion": "self_attention", "width": 16, "heads": 6}, ["audio"], SEGMENTS, "multiple of heads 6"),
        ({"fusion": "late", "combine": "statistics"}, ["audio", "text"], SEGMENTS, "leave 'combine' out"),
        ({"fusion": "rcma", "separate_targets": True}, ["audio", "text"], SEGMENTS, "is for numbers such as"),
        ({"fusion": "late", "faithful": True}, ["audio", "text"], SEGMENTS, "self_attention, cross_attention"),
        ({"fusion": "rcma", "faithful": True}, ["audio", "text"], FRAMES, "rjcma; set it to false"),
        ({"fusion": "self_attention", "faithful": True}, ["audio"], FRAMES, "task classes/segment with encoder 'gru'"),
        ({"fusion": "rjcma", "faithful": True}, ["audio", "text"], SEGMENTS, "task numbers/frame with encoder 'tcn'"),
        ({"fusion": "self_attention", "faithful": True, "block": "pre_norm"}, ["audio"], SEGMENTS, "bare attention"),
        ({"fusion": "self_attention", "faithful": True, "one_grid": True}, ["audio"], SEGMENTS, "at its own rate"),
        ({"fusion": "rcma", "one_grid": False}, ["audio", "text"], SEGMENTS, "leave one_grid out"),
        ({"fusion": "rjcma", "faithful": True, "share_recursions": True}, ["audio", "text"], FRAMES, "shares no"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(options, modalities, task, message):
    options = NetworkOptions(**options)
    with pytest.raises(InputError, match=message):
        check_network(options, modalities, task)
    with pytest.raises(InputError, match=message):
        build(options, dict.fromkeys(modalities, 4), task, 2, MAX_STEPS)


def test_faithful_models_need_their_lengths():
    with pytest.raises(InputError, match=r"none is given for text; give them as max_steps"):
        build(NetworkOptions(fusion="self_attention", faithful=True), {"text": 4}, SEGMENTS, 2, {"audio": 10})
    with pytest.raises(InputError, match="share one window"):
        build(NetworkOptions(fusion="rjcma", faithful=True), DIMS, FRAMES, 2, MAX_STEPS)


def learn(network, values, masks, loss_of, steps=40):
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01, fused=True)
    for _ in range(steps):
        optimiser.zero_grad()
        loss_of(network(values, masks)).backward()
        optimiser.step()
    return network.eval()(values, masks)


@pytest.mark.parametrize("fusion", VARIANTS)
def test_learns_a_handful_of_segments(fusion):
    values, masks = batch(fusion, SEGMENTS, DIMS, items=8)
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    network = make(fusion, SEGMENTS, DIMS, outputs=3, dropout=0.1)
    predicted = learn(network, values, masks, lambda x: F.cross_entropy(x, labels))
    assert predicted.argmax(-1).tolist() == labels.tolist()


@pytest.mark.parametrize("fusion", VARIANTS)
def test_learns_a_handful_of_frames(fusion):
    """Valence is in the picture, arousal in the sound, shortly before; nobody can know it where that is absent."""
    values, masks = batch(fusion, FRAMES, DIMS, items=4, absent=0.1)
    target = torch.stack([torch.tanh(values["video"][..., 0]), torch.tanh(values["audio"][..., 1])], -1)
    network, both = make(fusion, FRAMES, DIMS), masks["video"] & masks["audio"]
    predicted = learn(network, values, masks, lambda x: ccc_loss(x, target, both), steps=50)
    valid = torch.stack([masks["video"], masks["audio"]], -1)
    assert concordance(*(x.flatten(0, 1) for x in (predicted, target, valid))).min() > 0.9


@pytest.mark.parametrize("fusion", ["self_attention", "cross_attention", "cross_self_attention"])
def test_published_models_learn(fusion):
    values, masks = batch(fusion, SEGMENTS, DIMS, items=8)
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    network = make(fusion, SEGMENTS, DIMS, outputs=3, faithful=True)
    predicted = learn(network, values, masks, lambda x: F.cross_entropy(x, labels))
    assert predicted.argmax(-1).tolist() == labels.tolist()


def test_published_rjcma_learns():
    values, masks = batch("rjcma", FRAMES, DIMS, items=4, absent=0.0)
    target = torch.stack([torch.tanh(values["video"][..., 0]), torch.tanh(values["audio"][..., 1])], -1)
    options = NetworkOptions(fusion="rjcma", faithful=True, width=12, embedding=8, recursions=2)
    network = build(options, DIMS, FRAMES, 2, dict.fromkeys(DIMS, 10))
    predicted = learn(network, values, masks, lambda x: ccc_loss(x, target, masks["video"]), steps=40)
    valid = masks["video"].unsqueeze(-1)
    assert concordance(*(x.flatten(0, 1) for x in (predicted, target, valid))).min() > 0.7


@pytest.mark.parametrize(("fusion", "task", "modalities"), THREE)
def test_precisions_agree(fusion, task, modalities):
    check_device(fusion, task, "cpu")
