"""Attention and pooling against plain numpy computations, item by item and without masks."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf, softmax

from models.attention import (
    LANES,
    MaskedAttention,
    MeanAttention,
    MeanWeights,
    Stream,
    TransformerBlock,
    concatenation,
    mean_over_time,
    observed,
    statistics,
)
from models.dropout import Dropout, factors
from tests.network_material import random_streams

WIDTH, HEADS = 6, 2


def streams(seed: int, *shapes: tuple[int, int], absent: float = 0.4) -> list[Stream]:
    return random_streams(seed, WIDTH, *shapes, absent=absent)


def plain_attention(module: MaskedAttention, target: np.ndarray, source: np.ndarray) -> np.ndarray:
    """Multi-head attention of one item (T, D) on (S, D), written out."""
    parameters = {name: p.detach().numpy() for name, p in module.attention.named_parameters()}
    query_w, key_w, value_w = np.split(parameters["in_proj_weight"], 3)
    query_b, key_b, value_b = np.split(parameters["in_proj_bias"], 3)
    q, k, v = target @ query_w.T + query_b, source @ key_w.T + key_b, source @ value_w.T + value_b
    heads = []
    for columns in np.split(np.arange(WIDTH), HEADS):
        weights = softmax(q[:, columns] @ k[:, columns].T / np.sqrt(len(columns)), axis=1)
        heads.append(weights @ v[:, columns])
    return np.concatenate(heads, 1) @ parameters["out_proj.weight"].T + parameters["out_proj.bias"]


@pytest.mark.parametrize("residual", [False, True])
def test_attention_sees_observed_steps_only(residual):
    module = MaskedAttention(WIDTH, HEADS, residual=residual).double()
    target, source = streams(1, (4, 5), (4, 9))
    outcome = module(target, source)
    for i in range(4):
        t, s = target.mask[i].numpy(), source.mask[i].numpy()
        expected = plain_attention(module, target.values[i].numpy()[t], source.values[i].numpy()[s])
        expected = expected + residual * target.values[i].numpy()[t]
        np.testing.assert_allclose(outcome.values[i].detach().numpy()[t], expected, atol=1e-12)
        assert (outcome.values[i].detach().numpy()[~t] == 0).all()


@pytest.mark.parametrize("steps", [9, LANES])
def test_both_ways_of_attention_have_the_same_outcome_and_gradients(steps):
    target, source = streams(7, (4, 5), (4, steps))
    source.mask[0] = False
    source = observed(*source)
    module, found = MaskedAttention(WIDTH, HEADS).double(), []
    for attend in (module.by_library, module.by_products):
        outcome = attend(target.values, source)
        outcome.square().sum().backward()
        found.append([outcome, *(p.grad.clone() for p in module.parameters())])
        module.zero_grad()
    for one, other in zip(*found):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=0)


@pytest.mark.parametrize("cached", [1, 2 * 3 * 7 * 40, 10**6], ids=["item by item", "by two items", "all at once"])
@pytest.mark.parametrize("dropout", [0.25, 0.0])
@pytest.mark.parametrize("steps", [40, LANES - 1])
def test_mean_weights_are_those_of_softmax_and_dropout(monkeypatch, cached, dropout, steps):
    monkeypatch.setattr(MeanWeights, "CACHED", cached)
    torch.manual_seed(0)
    query, key = (torch.randn(5, 3, n, 4, dtype=torch.float64, requires_grad=True) for n in (7, steps))
    begin, share = torch.randn(5, 1, 1, steps, dtype=torch.float64), torch.rand(5, 7, dtype=torch.float64)
    mean, bits = MeanWeights.apply(query, key, begin, share, dropout)
    kept = 1.0
    if dropout:
        kept = factors(bits, dropout, torch.float64)
        assert (kept == 0).double().mean() == pytest.approx(dropout, abs=0.03)
    expected = ((begin + query @ key.transpose(2, 3)).softmax(-1) * kept * share[:, None, :, None]).sum(2)
    torch.testing.assert_close(mean, expected, atol=1e-14, rtol=0)
    passed = torch.randn_like(mean)
    for value, other in zip(*(torch.autograd.grad(x, (query, key), passed) for x in (mean, expected))):
        torch.testing.assert_close(value, other, atol=1e-13, rtol=0)


def test_an_averaged_attention_is_the_mean_of_the_attention():
    whole, averaged = MaskedAttention(WIDTH, HEADS).double(), MeanAttention(WIDTH, HEADS).double()
    for p in whole.parameters():
        torch.nn.init.normal_(p, std=0.5)
    averaged.load_state_dict(whole.state_dict())
    target, source = streams(4, (6, 9), (6, 5))
    target = observed(target.values, target.mask & (torch.arange(6) != 1)[:, None])  # nothing attends
    source = observed(source.values, source.mask & (torch.arange(6) != 2)[:, None])  # to nothing
    found = []
    for module in (whole, averaged):
        given = [Stream(s.values.detach().requires_grad_(), s.mask) for s in (target, source)]
        outcome = mean_over_time(module(*given))
        outcome.values.square().sum().backward()
        assert outcome.mask.tolist() == [True, False, False, True, True, True]
        found.append([outcome.values, *(s.values.grad for s in given), *(p.grad for p in module.parameters())])
    for one, other in zip(*found):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=0)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_dropout_takes_its_share_and_keeps_the_mean(share):
    torch.manual_seed(1)
    dropout, given = Dropout(share), torch.ones(400, 501, requires_grad=True)
    made = dropout(given)
    made.sum().backward()
    assert torch.equal(given.grad, made.detach())
    values, counts = made.detach().unique(return_counts=True)
    assert values.tolist() == [0.0, pytest.approx(1 / (1 - share), rel=1e-7)]
    expected = given.numel() * share
    assert abs(counts[0] - expected) < 5 * (expected * (1 - share)) ** 0.5
    zeros = (made == 0).double()  # neighbours know nothing of each other
    for one, other in ((zeros[:, :-1], zeros[:, 1:]), (zeros[:-1], zeros[1:])):
        assert np.corrcoef(one.flatten(), other.flatten())[0, 1] == pytest.approx(0, abs=0.012)
    torch.manual_seed(1)
    assert torch.equal(Dropout(share)(given), made)
    assert torch.equal(dropout.eval()(given), given)
    assert torch.equal(Dropout(0.0)(given), given)
    assert not Dropout(1.0)(given).any()
    assert Dropout(1 - 1e-6)(given).count_nonzero() < 20  # of 200,400


@pytest.mark.parametrize("residual", [False, True])
def test_nothing_to_attend_to(residual):
    module = MaskedAttention(WIDTH, HEADS, residual=residual).double()
    target, source = streams(2, (2, 4), (2, 3), absent=0.0)
    source = observed(source.values, torch.tensor([[False] * 3, [True] * 3]))
    values, mask = module(target, source)
    assert torch.isfinite(values).all()
    assert mask.tolist() == [[residual] * 4, [True] * 4]
    assert torch.equal(values[0], target.values[0] if residual else torch.zeros(4, WIDTH, dtype=torch.float64))
    values.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in module.parameters())


def plain_block(module: TransformerBlock, target: np.ndarray, source: np.ndarray) -> np.ndarray:
    """A pre-norm transformer block of one item (T, D) on (S, D), written out."""

    def norm(name: str, x: np.ndarray) -> np.ndarray:
        layer = getattr(module, name)
        x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + layer.eps)
        return x * layer.weight.detach().numpy() + layer.bias.detach().numpy()

    if len(source):
        target = target + plain_attention(module.attention, norm("norm_target", target), norm("norm_source", source))
    first, _, _, last = module.feed_forward
    hidden = norm("norm", target) @ first.weight.detach().numpy().T + first.bias.detach().numpy()
    hidden = hidden * (1 + erf(hidden / np.sqrt(2))) / 2  # GELU
    return target + hidden @ last.weight.detach().numpy().T + last.bias.detach().numpy()


def test_a_transformer_block_sees_observed_steps_only():
    module = TransformerBlock(WIDTH, HEADS).double()
    for p in module.parameters():
        torch.nn.init.normal_(p, std=0.5)
    target, source = streams(3, (4, 5), (4, 9))
    source = observed(source.values, source.mask & (torch.arange(4) < 3)[:, None])  # the last has nothing to attend to
    outcome = module(target, source)
    for i in range(4):
        t, s = target.mask[i].numpy(), source.mask[i].numpy()
        expected = plain_block(module, target.values[i].numpy()[t], source.values[i].numpy()[s])
        np.testing.assert_allclose(outcome.values[i].detach().numpy()[t], expected, atol=1e-12)
        assert (outcome.values[i].detach().numpy()[~t] == 0).all()
    assert torch.equal(outcome.mask, target.mask)


def test_mean_over_time_is_of_observed_steps():
    (stream,) = streams(5, (4, 6))
    stream = observed(stream.values + 1, stream.mask & (torch.arange(4) < 3)[:, None])  # the last item is absent
    values, mask = mean_over_time(stream)
    for i in range(3):
        np.testing.assert_allclose(values[i], stream.values[i].numpy()[stream.mask[i].numpy()].mean(0))
    assert (values[3] == 0).all()
    assert mask.tolist() == [True, True, True, False]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=1, max_size=6), st.integers(0, 10**6))
def test_statistics_are_those_of_present_vectors(present, seed):
    vectors = np.random.default_rng(seed).normal(size=(len(present), 5, 3))
    mask = np.array(present)
    pooled = statistics([observed(torch.tensor(v), torch.tensor(m)) for v, m in zip(vectors, mask)]).numpy()
    for i in range(5):
        here = vectors[mask[:, i], i]
        deviation = here.std(0, ddof=1) if len(here) > 1 else np.zeros(3)
        mean = here.mean(0) if len(here) else np.zeros(3)
        np.testing.assert_allclose(pooled[i], np.concatenate([deviation, mean]), atol=1e-9)


def test_gradient_of_statistics_is_finite_for_one_vector_and_for_equal_ones():
    vector = torch.randn(2, 3, requires_grad=True)
    for count in (1, 3):
        statistics([Stream(vector, torch.ones(2, dtype=bool))] * count).sum().backward()
        assert torch.isfinite(vector.grad).all()


def test_concatenation_puts_side_by_side():
    a, b = torch.ones(2, 3), torch.full((2, 3), 2.0)
    pooled = concatenation([Stream(a, torch.ones(2, dtype=bool)), Stream(b, torch.ones(2, dtype=bool))])
    assert pooled.tolist() == [[1.0] * 3 + [2.0] * 3] * 2
