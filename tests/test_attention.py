"""Attention and pooling against plain numpy computations, item by item and without masks."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from models.attention import (
    JointAttention,
    MaskedAttention,
    Stream,
    concatenation,
    mean_over_time,
    observed,
    statistics,
)

torch.set_num_threads(1)
WIDTH, HEADS = 6, 2


def streams(seed: int, *shapes: tuple[int, int], absent: float = 0.4) -> list[Stream]:
    generator = torch.Generator().manual_seed(seed)
    return [
        observed(
            torch.randn(items, steps, WIDTH, generator=generator, dtype=torch.float64),
            torch.rand(items, steps, generator=generator) >= absent,
        )
        for items, steps in shapes
    ]


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


def plain_joint_attention(module: JointAttention, values: dict, masks: dict) -> dict:
    """One recursion for one item, frame by frame."""
    p = {name: value.detach().numpy() for name, value in module.named_parameters()}

    def linear(name, x):
        return p[f"{name}.weight"] @ x + p[f"{name}.bias"]

    outcome = {}
    for m in values:
        parts = module.parts[m]
        total, count = 0.0, 0
        for t in range(len(masks[m])):
            if masks[m][t] and any(masks[n][t] for n in parts):
                joint = linear(f"joint.{'+'.join(parts)}", np.concatenate([values[n][t] for n in parts]))
                total, count = total + np.outer(linear(f"key.{m}", values[m][t]), joint), count + 1
        scores = np.tanh(total / count) if count else np.zeros((WIDTH, WIDTH * len(parts)))
        outcome[m] = np.zeros_like(values[m])
        for t in np.flatnonzero(masks[m]):
            heard = np.maximum(linear(f"value.{m}", values[m][t]) @ scores, 0)
            outcome[m][t] = values[m][t] + linear(f"update.{m}", heard)
    return outcome


@pytest.mark.parametrize("others", [True, False])
@pytest.mark.parametrize("modalities", [["audio", "video"], ["audio", "video", "text"]])
def test_joint_attention_follows_its_equations(others, modalities):
    module = JointAttention(modalities, WIDTH, others).double()
    given_streams = dict(zip(modalities, streams(3, *[(3, 7)] * len(modalities))))
    given_streams["audio"].mask[2] = False  # one item without sound
    given_streams["audio"] = observed(*given_streams["audio"])
    outcome = module(given_streams)
    for i in range(3):
        expected = plain_joint_attention(
            module,
            {m: s.values[i].numpy() for m, s in given_streams.items()},
            {m: s.mask[i].numpy() for m, s in given_streams.items()},
        )
        for m in modalities:
            np.testing.assert_allclose(outcome[m].values[i].detach().numpy(), expected[m], atol=1e-12)


def test_the_joint_of_others_leaves_out_oneself():
    both, alone = JointAttention(["audio", "video"], WIDTH, True), JointAttention(["audio", "video"], WIDTH, False)
    assert both.parts == {"audio": ["video"], "video": ["audio"]}
    assert set(both.joint) == {"audio", "video"}
    assert alone.parts == {"audio": ["audio", "video"], "video": ["audio", "video"]}
    assert set(alone.joint) == {"audio+video"}


def test_a_window_twice_as_long_means_the_same():
    module = JointAttention(["audio", "video"], WIDTH, others=False).double()
    once = dict(zip(["audio", "video"], streams(4, (2, 11), (2, 11))))
    twice = {m: Stream(s.values.repeat(1, 2, 1), s.mask.repeat(1, 2)) for m, s in once.items()}
    for m, stream in module(twice).items():
        torch.testing.assert_close(stream.values, module(once)[m].values.repeat(1, 2, 1))


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
