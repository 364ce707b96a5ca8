"""The learning rate over epochs against a plain count, and going on from a state."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.fit import Optimiser
from models.options import TrainingOptions


def make(rate=1e-3, **changes):
    torch.manual_seed(0)
    layer = torch.nn.Linear(3, 2)
    return layer, Optimiser(layer.parameters(), TrainingOptions(seeds=[1], **changes), rate)


def step(layer, optimiser):
    optimiser.adam.zero_grad()
    layer(torch.ones(4, 3)).square().sum().backward()
    optimiser.adam.step()


def expected(losses, base, warmup, patience, threshold):
    """The learning rate of each epoch, counted by hand; warm-up epochs do not wear patience out, 1e-8 is the floor."""
    best, waited, tenths, rates = math.inf, 0, 0, []
    for epoch, loss in enumerate(losses):
        rates.append(base * (epoch + 1) / warmup if epoch < warmup else base * 0.1 ** min(tenths, 5))
        if loss < best * (1 - threshold):
            best, waited = loss, 0
        elif epoch >= warmup:
            waited += 1
        if waited > patience:
            waited, tenths = 0, tenths + 1
    return rates


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from([0.5, 0.49999, 0.7, 0.3, 0.1, 0.0999]), min_size=1, max_size=25),
    st.integers(0, 4),
    st.integers(1, 3),
    st.sampled_from([0.0, 1e-4, 0.5]),
)
@pytest.mark.filterwarnings("ignore:Detected call of")
def test_warm_up_and_plateaus(losses, warmup, patience, threshold):
    options = {"warmup_epochs": warmup, "plateau_patience": patience, "plateau_threshold": threshold}
    _, optimiser = make(**options)
    found = []
    for loss in losses:
        found.append(optimiser.learning_rate)
        optimiser.end_epoch(loss)
    np.testing.assert_allclose(found, expected(losses, 1e-3, warmup, patience, threshold), rtol=1e-9)


def test_any_fall_counts_where_the_threshold_is_zero():
    losses = [0.5 - 1e-6 * k for k in range(8)]
    for threshold, last in ((0.0, 1e-3), (1e-4, 1e-4)):
        _, optimiser = make(plateau_patience=3, plateau_threshold=threshold)
        for loss in losses[:5]:
            optimiser.end_epoch(loss)
        assert optimiser.learning_rate == pytest.approx(last)


def test_weight_decay_is_l2_as_in_kingma_and_ba():
    """The first step of Adam moves each weight by the learning rate, against the sign of gradient plus decay."""
    layer, optimiser = make(rate=0.01, weight_decay=0.5)
    before = {name: p.detach().clone() for name, p in layer.named_parameters()}
    step(layer, optimiser)
    for name, p in layer.named_parameters():
        towards = torch.sign(p.grad + 0.5 * before[name])
        torch.testing.assert_close(p.detach(), before[name] - 0.01 * towards, atol=1e-6, rtol=0)


def test_going_on_from_a_state_is_never_having_stopped(tmp_path):
    runs = []
    for stop in (None, 1, 4):
        layer, optimiser = make(warmup_epochs=3, plateau_patience=1, weight_decay=0.01)
        rates = []
        for epoch in range(9):
            if epoch == stop:
                torch.save({"optimiser": optimiser.state_dict(), "layer": layer.state_dict()}, tmp_path / "state.pt")
                state = torch.load(tmp_path / "state.pt", weights_only=True)
                layer, optimiser = make(warmup_epochs=3, plateau_patience=1, weight_decay=0.01)
                layer.load_state_dict(state["layer"])
                optimiser.load_state_dict(state["optimiser"])
            rates.append(optimiser.learning_rate)
            step(layer, optimiser)
            optimiser.end_epoch(1.0 if epoch > 3 else 2.0 - epoch)
        runs.append((rates, [p.detach() for p in layer.parameters()]))
    for rates, parameters in runs[1:]:
        assert rates == runs[0][0]
        assert all(torch.equal(a, b) for a, b in zip(parameters, runs[0][1]))
    assert len(set(runs[0][0])) > 4


def test_it_steps_as_torch_s_own_does():
    found = []
    for adam in (None, lambda p: torch.optim.Adam(p, 1e-2, weight_decay=0.1, fused=True)):
        layer, optimiser = make(rate=1e-2, weight_decay=0.1)
        own = adam(layer.parameters()) if adam else optimiser.adam
        for _ in range(5):
            own.zero_grad()
            layer(torch.ones(4, 3)).square().sum().backward()
            own.step()
        found.append([p.detach() for p in layer.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found))
