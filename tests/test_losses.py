"""Losses against numpy, scikit-learn, and what their definitions say of simple cases."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from models.losses import ccc_loss, concordance, inverse_frequencies


def lin(x: np.ndarray, y: np.ndarray) -> float:
    """Lin's coefficient from the population covariance matrix."""
    (s_xx, s_xy), (_, s_yy) = np.cov(x, y, bias=True)
    return 2 * s_xy / (s_xx + s_yy + (x.mean() - y.mean()) ** 2)


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 60), st.integers(0, 10**6), st.floats(0, 0.9), st.floats(-100, 100))
def test_concordance_is_lins_over_valid_frames(frames, seed, absent, offset):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, 3, frames, 2)) + offset
    valid = rng.random((3, frames)) >= absent
    valid[0, :2] = True
    spoilt = x.copy()
    spoilt[~valid] = np.nan
    frames_first = (torch.tensor(v.reshape(3 * frames, -1)) for v in (spoilt, y, valid))
    found = concordance(*frames_first)
    np.testing.assert_allclose(found, [lin(x[valid][:, k], y[valid][:, k]) for k in (0, 1)], atol=1e-9)


@pytest.mark.parametrize("over", ["batch", "window"])
def test_segments_are_of_no_window(over):
    x, y = torch.randn(20, 2, dtype=torch.float64), torch.randn(20, 2, dtype=torch.float64)
    expected = 1 - np.mean([lin(x[:, k].numpy(), y[:, k].numpy()) for k in (0, 1)])
    assert ccc_loss(x, y, torch.ones(20, dtype=torch.bool), over).item() == pytest.approx(expected, abs=1e-9)


def test_perfect_opposite_shifted():
    y = torch.linspace(-1, 1, 50)[:, None]
    valid = torch.ones(50, dtype=bool)
    variance = y.square().mean().item()
    assert ccc_loss(y, y, valid).item() == pytest.approx(0, abs=1e-6)
    assert ccc_loss(-y, y, valid).item() == pytest.approx(2, abs=1e-6)
    assert ccc_loss(y + 0.5, y, valid).item() == pytest.approx(1 - 2 * variance / (2 * variance + 0.25), abs=1e-6)


@pytest.mark.parametrize("predicted", [0.3, -0.7])
@pytest.mark.parametrize("target", ["constant", "varying"])
def test_constant_input_is_safe(predicted, target):
    x = torch.full((2, 10, 2), predicted, requires_grad=True)
    y = torch.full((2, 10, 2), 0.3) if target == "constant" else torch.randn(2, 10, 2)
    loss = ccc_loss(x, y, torch.ones(2, 10, dtype=bool))
    loss.backward()
    assert loss.item() == pytest.approx(1, abs=1e-5)
    assert torch.isfinite(x.grad).all()


def test_invalid_frames_get_no_gradient_and_do_not_count():
    x, y = torch.randn(2, 8, 2, requires_grad=True), torch.randn(2, 8, 2)
    valid = torch.rand(2, 8) > 0.4
    loss = ccc_loss(x, y, valid)
    each = [lin(*(v.detach()[valid][:, k].double().numpy() for v in (x, y))) for k in (0, 1)]
    assert loss.item() == pytest.approx(1 - np.mean(each), abs=1e-5)
    loss.backward()
    assert (x.grad[~valid] == 0).all()
    assert (x.grad[valid] != 0).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.integers(2, 30), st.integers(0, 10**6), st.floats(0, 0.9))
@pytest.mark.parametrize("over", ["window", "window_unbiased"])
def test_one_ccc_for_each_window_is_averaged_over_windows_then_targets(over, windows, frames, seed, absent):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, windows, frames, 2))
    valid = rng.random((windows, frames)) >= absent
    spoilt = np.where(valid[..., None], x, np.nan)
    found = ccc_loss(torch.tensor(spoilt), torch.tensor(y), torch.tensor(valid), over).item()
    each = []
    for k in range(2):
        of_windows = []
        for w in range(windows):
            a, b = x[w, valid[w], k], y[w, valid[w], k]
            if len(a):
                n = max(len(a) - 1, 1) if over == "window_unbiased" else len(a)
                spread = (((a - a.mean()) ** 2).sum() + ((b - b.mean()) ** 2).sum()) / n + (a.mean() - b.mean()) ** 2
                of_windows.append(1 - 2 * ((a - a.mean()) * (b - b.mean())).mean() / max(spread, 1e-8))
        each += [np.mean(of_windows)] if of_windows else []
    assert found == pytest.approx(np.mean(each) if each else 0, abs=1e-9)


@pytest.mark.parametrize("over", ["batch", "window", "window_unbiased"])
def test_a_batch_without_valid_frames(over):
    x = torch.randn(2, 4, 2, requires_grad=True)
    loss = ccc_loss(x, torch.full((2, 4, 2), torch.nan), torch.zeros(2, 4, dtype=bool), over)
    loss.backward()
    assert loss.item() == 0
    assert (x.grad == 0).all()


@pytest.mark.parametrize("over", ["batch", "window", "window_unbiased"])
def test_gradient_is_the_slope(over):
    x, y = torch.randn(1, 6, 2, dtype=torch.float64, requires_grad=True), torch.randn(1, 6, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: ccc_loss(x, y, torch.tensor([[True] * 5 + [False]]), over), x)


def test_low_precision_predictions_are_computed_in_float32():
    x, y = torch.randn(300, 1), torch.randn(300, 1)
    valid = torch.ones(300, dtype=bool)
    assert ccc_loss(x.bfloat16(), y, valid).dtype == torch.float32
    assert ccc_loss(x.bfloat16(), y, valid).item() == pytest.approx(ccc_loss(x, y, valid).item(), abs=0.01)


def test_class_weights_are_scikit_learns():
    labels = np.array([0] * 5 + [1] * 3 + [3] * 12)
    found = inverse_frequencies(torch.bincount(torch.tensor(labels), minlength=5)).numpy()
    present = [0, 1, 3]
    np.testing.assert_allclose(
        found[present], compute_class_weight("balanced", classes=np.array(present), y=labels), rtol=1e-6
    )
    assert found[[2, 4]].tolist() == [0, 0]
    assert found[labels].mean() == pytest.approx(1)
