"""Temporal encoders: real time, absent steps, and no trace of how far a batch was padded."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from models.attention import Stream, observed
from models.encoders import Encoder, GatedRecurrence, MaskedConvolutions, TemporalConvolutionNetwork, averaged


def random_stream(seed: int, items: int, steps: int, features: int, absent: float = 0.3) -> Stream:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(items, steps, features, generator=generator, dtype=torch.float64)
    return observed(values, torch.rand(items, steps, generator=generator) >= absent)


@pytest.mark.parametrize(("stride", "steps"), [(1, 7), (2, 8), (3, 8), (4, 1)])
def test_a_step_is_the_mean_of_what_was_observed_in_its_block(stride, steps):
    stream = random_stream(0, 2, steps, 2)
    values, mask = averaged(stream, stride)
    assert values.shape == (2, -(-steps // stride), 2)
    for i in range(2):
        for k in range(values.shape[1]):
            block = slice(k * stride, (k + 1) * stride)
            seen = stream.mask[i, block]
            expected = stream.values[i, block][seen].mean(0) if seen.any() else torch.zeros(2, dtype=torch.float64)
            torch.testing.assert_close(values[i, k], expected, atol=1e-12, rtol=0)
            assert mask[i, k] == seen.any()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=12), st.integers(0, 10**6))
@pytest.mark.parametrize("way", ["by_steps", "by_library"])
def test_gru_is_that_of_observed_steps(way, mask, seed):
    torch.manual_seed(seed)
    module = GatedRecurrence(4).double()
    mask = torch.tensor([mask])
    x, mask = observed(torch.randn(1, mask.shape[1], 4, dtype=torch.float64), mask)
    outcome = getattr(module, way)(x, mask)
    if mask.any():
        expected, _ = module.gru(x[mask][None])  # the library's, on a sequence without gaps
        torch.testing.assert_close(outcome[mask][None], expected, atol=1e-12, rtol=0)


def test_both_ways_of_the_gru_have_the_same_gradients():
    stream = random_stream(1, 3, 9, 6)
    module = GatedRecurrence(6).double()
    gradients = []
    for run in (module.by_steps, module.by_library):
        values = stream.values.clone().requires_grad_()
        observed(run(values, stream.mask), stream.mask).values.square().sum().backward()
        gradients.append([values.grad, *(p.grad.clone() for p in module.parameters())])
        module.zero_grad()
    for one, other in zip(*gradients):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=0)


def test_gru_stays_in_float32_under_mixed_precision():
    module, stream = GatedRecurrence(6), random_stream(2, 3, 9, 6)
    values = stream.values.bfloat16()  # as a projection gives them there
    expected = module(Stream(values.float(), stream.mask)).values
    with torch.autocast("cpu", torch.bfloat16):
        found = module(Stream(values, stream.mask)).values
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_tcn_is_causal_and_sees_121_frames():
    network = TemporalConvolutionNetwork(3, [4] * 4).double().eval()
    x = torch.zeros(1, 3, 200, dtype=torch.float64, requires_grad=True)
    nn.init.normal_(x)
    network(x)[0, :, 150].sum().backward()
    reached = np.flatnonzero(x.grad[0].abs().sum(0).numpy())
    assert (reached.min(), reached.max()) == (150 - 120, 150)


def test_an_absent_frame_is_like_the_time_before_the_beginning():
    network = TemporalConvolutionNetwork(3, [4, 4]).double().eval()
    x = torch.randn(2, 3, 30, dtype=torch.float64)
    late = torch.cat([torch.full((2, 3, 8), 7.0, dtype=torch.float64), x], -1)
    mask = (torch.arange(38) >= 8).double().expand(2, 1, 38)
    torch.testing.assert_close(network(late * mask, mask)[..., 8:], network(x), atol=1e-12, rtol=0)


def test_normalisation_keeps_frames_and_items_apart():
    module = MaskedConvolutions(4, dropout=0.0).double().train()  # training mode: no statistics of the batch either
    stream = random_stream(3, 4, 15, 4)
    together = module(stream).values
    frames = together[stream.mask]
    torch.testing.assert_close(frames.mean(-1), torch.zeros(len(frames), dtype=torch.float64))
    assert frames.std(-1).min() > 0.9
    for i in range(4):
        alone = module(Stream(stream.values[i : i + 1], stream.mask[i : i + 1])).values
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-12, rtol=0)


@pytest.mark.parametrize("kind", ["gru", "tcn"])
@pytest.mark.parametrize("stride", [1, 3])
def test_padding_leaves_no_trace(kind, stride):
    encoder = Encoder(kind, 5, 8, stride, dropout=0.1).double().eval()
    stream = random_stream(4, 3, 10, 5)
    short, (long, mask) = (
        encoder(stream),
        encoder(Stream(nn.functional.pad(stream.values, (0, 0, 0, 7)), nn.functional.pad(stream.mask, (0, 7)))),
    )
    steps = short.mask.shape[1]
    assert torch.equal(mask[:, :steps], short.mask)
    assert not mask[:, steps:].any()
    torch.testing.assert_close(long[:, :steps], short.values, atol=1e-12, rtol=0)
    assert (long[:, steps:] == 0).all()
