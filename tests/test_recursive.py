"""Recursive attention against its equations, written out frame by frame: both correlations, masks, any length."""

import numpy as np
import pytest
import torch
from torch import nn

from models.attention import Stream, observed
from models.fusion.recursive import Rcma, RecursionOptions, Rjcma
from tests.network_material import random_streams

WIDTH = 6
THREE = ["audio", "video", "text"]


def make(kind, modalities, **options):
    """A fusion and the weights of its only recursion."""
    torch.manual_seed(0)
    fusion = kind(RecursionOptions(recursions=1, **options), width=WIDTH, dropout=0.0)
    return fusion, nn.ModuleList(fusion.layers(modalities)).double()[0]


def given(modalities, steps, absent=0.4):
    """Streams of three items; the second has no sound, the third nothing but sound."""
    streams = dict(zip(modalities, random_streams(3, WIDTH, *[(3, steps)] * len(modalities), absent=absent)))
    for m, stream in streams.items():
        stream.mask[1 if m == "audio" else 2] = False
        streams[m] = observed(*stream)
    return streams


def matrices(weights):
    """Every weight and bias as numpy, x -> W x + b."""
    found = {name: p.detach().numpy() for name, p in weights.named_parameters()}
    return lambda name, x: found[f"{name}.weight"] @ x + found.get(f"{name}.bias", 0)


def joint_of(linear, parts, values, masks, t):
    """J at frame t, None where none of its parts was observed."""
    if not any(masks[n][t] for n in parts):
        return None
    return linear(f"fc.{'+'.join(parts)}", np.concatenate([values[n][t] for n in parts]))


def by_frames(linear, parts, m, values, masks):
    """X_m of one item after one recursion: the equations of paper 2, a sum over pairs of frames."""
    seen = np.flatnonzero(masks[m])
    outcome = np.zeros_like(values[m])
    for j in seen:
        joint, total = joint_of(linear, parts, values, masks, j), np.zeros(WIDTH)
        if joint is not None:
            for i in seen:
                correlation = np.tanh(np.dot(linear(f"w_j.{m}", values[m][i]), joint) / np.sqrt(len(joint)))
                total += correlation * linear(f"w_c.{m}", values[m][i]) / len(seen)
        outcome[j] = values[m][j] + linear(f"w_h.{m}", np.maximum(total, 0))
    return outcome


def by_features(linear, parts, m, values, masks):
    """X_m of one item after one recursion: feature pairs, a sum over frames."""
    total, count = np.zeros((WIDTH, WIDTH * len(parts))), 0
    for t in np.flatnonzero(masks[m]):
        joint = joint_of(linear, parts, values, masks, t)
        if joint is not None:
            total, count = total + np.outer(linear(f"w_j.{m}", values[m][t]), joint), count + 1
    scores = np.tanh(total / max(count, 1))
    outcome = np.zeros_like(values[m])
    for t in np.flatnonzero(masks[m]):
        heard = np.maximum(linear(f"w_c.{m}", values[m][t]) @ scores, 0)
        outcome[t] = values[m][t] + linear(f"w_h.{m}", heard)
    return outcome


@pytest.mark.parametrize("kind", [Rcma, Rjcma])
@pytest.mark.parametrize("modalities", [THREE[:2], THREE])
@pytest.mark.parametrize("steps", [1, 7, 40])
@pytest.mark.parametrize(("correlate", "equations"), [("frames", by_frames), ("features", by_features)])
def test_one_recursion_follows_its_equations(kind, modalities, steps, correlate, equations):
    fusion, weights = make(kind, modalities, correlate=correlate)
    streams = given(modalities, steps)
    found = fusion.attend(weights, streams)
    for i in range(3):
        values = {m: s.values[i].numpy() for m, s in streams.items()}
        masks = {m: s.mask[i].numpy() for m, s in streams.items()}
        for m in modalities:
            expected = equations(matrices(weights), fusion.parts(m, modalities), m, values, masks)
            np.testing.assert_allclose(found[m].values[i].detach().numpy(), expected, atol=1e-12)


def test_frames_of_a_fixed_window_are_the_papers_matrices():
    """Nothing absent, features as rows: C = tanh(X^T W J / sqrt d) is K x K, H = ReLU(X W C), X + H W."""
    fusion, weights = make(Rjcma, THREE)
    streams = given(THREE, 9, absent=0.0)
    x = {m: s.values[0].numpy().T for m, s in streams.items()}  # d_m x K
    w = {name: p.detach().numpy() for name, p in weights.named_parameters()}
    stacked = np.concatenate([x[m] for m in THREE])
    joint = w["fc.audio+video+text.weight"] @ stacked + w["fc.audio+video+text.bias"][:, None]
    found = fusion.attend(weights, streams)
    for m in THREE:
        correlation = np.tanh(x[m].T @ w[f"w_j.{m}.weight"].T @ joint / np.sqrt(len(joint)))
        assert correlation.shape == (9, 9)
        w_c = w[f"w_c.{m}.weight"] / 9
        heard = np.maximum(w_c @ x[m] @ correlation, 0)
        np.testing.assert_allclose(
            found[m].values[0].detach().numpy().T, x[m] + w[f"w_h.{m}.weight"] @ heard, atol=1e-12
        )


def test_the_joint_of_others_leaves_out_oneself():
    assert set(make(Rcma, ["audio", "video"])[1]["fc"]) == {"audio", "video"}
    assert set(make(Rjcma, ["audio", "video"])[1]["fc"]) == {"audio+video"}
    assert Rcma().parts("audio", THREE) == ["video", "text"]
    assert Rjcma().parts("audio", THREE) == THREE


@pytest.mark.parametrize("correlate", ["frames", "features"])
def test_a_window_twice_as_long_means_the_same(correlate):
    fusion, weights = make(Rjcma, ["audio", "video"], correlate=correlate)
    once = dict(zip(["audio", "video"], random_streams(4, WIDTH, (2, 11), (2, 11))))
    twice = {m: Stream(s.values.repeat(1, 2, 1), s.mask.repeat(1, 2)) for m, s in once.items()}
    for m, stream in fusion.attend(weights, twice).items():
        torch.testing.assert_close(stream.values, fusion.attend(weights, once)[m].values.repeat(1, 2, 1))


@pytest.mark.parametrize("correlate", ["frames", "features"])
def test_dropout_acts_on_the_correlation_and_on_the_update(correlate):
    fusion, weights = make(Rcma, THREE, correlate=correlate)
    calls = []
    weights["dropout"] = nn.Dropout(0.5)
    weights["dropout"].register_forward_hook(lambda module, inputs, output: calls.append(tuple(output.shape)))
    fusion.attend(weights, given(THREE, 8))
    correlation = (3, 8, 8) if correlate == "frames" else (3, WIDTH, 2 * WIDTH)
    assert calls == [correlation, (3, 8, WIDTH)] * 3
