"""The faithful modules against the published modules' own outputs, and their sizes against the published sizes."""

import numpy as np
import pytest
import torch

from models.fusion.pairwise import cross_pairs, self_pairs
from models.fusion.published import AttentionModel, RecursiveModel, co_attention
from models.network import build
from models.options import NetworkOptions
from models.reference import KINDS, from_published
from pipeline.records import InputError
from tests.network_material import FRAMES, SEGMENTS
from tests.published_numbers import reference, written_down

DIMS = {"text": 300, "video": 2048, "audio": 120}
STEPS = {"text": 128, "video": 32, "audio": 1000}


def part(file: dict, prefix: str) -> dict:
    return {name.removeprefix(prefix): value for name, value in file.items() if name.startswith(prefix)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prefix", ["param/", ""])
def test_published_outputs_are_met(kind, prefix):
    file = reference(kind)
    module = from_published(kind, {prefix + name: value for name, value in part(file, "param/").items()})
    found = module(**part(file, "input/"))
    assert all(value.dtype == torch.float64 for value in found.values())
    found, expected = written_down(found, time_axis=2 if kind == "tcn" else 1), part(file, "output/")
    assert set(found) == set(expected)
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name], atol=1e-9, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_reference_file_is_met_as_it_is(shared, kind):
    with np.load(shared / "reference" / f"{kind}.npz") as file:
        given = {key: file[key] for key in file.files}
    found, expected = from_published(kind, given)(**part(given, "input/")), part(given, "output/")
    assert set(found) == set(expected) != set()
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name], atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_matters_but_the_one_that_published_code_ignores(kind):
    file = reference(kind)
    module = from_published(kind, part(file, "param/")).requires_grad_()
    sum(output.square().sum() for output in module(**part(file, "input/")).values()).backward()
    idle = {name for name, p in module.named_parameters() if p.grad is None or not p.grad.any()}
    assert all("joint" in name for name in idle)
    assert len(idle) == (4 if kind == "rjcma_coattention" else 0)


@pytest.mark.parametrize(("fusion", "count"), [("self_attention", 1_645_892), ("cross_attention", 1_820_132)])
def test_published_sizes(fusion, count):
    for model in (
        AttentionModel(DIMS, STEPS, NetworkOptions(fusion=fusion).make_fusion().groups(list(DIMS)), 7),
        build(NetworkOptions(fusion=fusion, faithful=True), DIMS, SEGMENTS, 7, STEPS),
    ):
        assert sum(p.numel() for p in model.parameters()) == count


@pytest.mark.parametrize(
    ("fusion", "combine", "seen"),
    [
        ("self_attention", "statistics", 60),  # 240 -> 60 -> 7
        ("self_attention", "concatenation", 360),
        ("cross_attention", "concatenation", 720),
        ("cross_self_attention", "statistics", 480),
    ],
)
def test_widths_of_what_the_classifier_sees(fusion, combine, seen):
    model = build(NetworkOptions(fusion=fusion, combine=combine, faithful=True), DIMS, SEGMENTS, 7, STEPS)
    assert model.classifier.weight.shape == (7, seen)


def test_an_order_of_modalities_does_not_change_the_published_model():
    options = NetworkOptions(fusion="cross_attention", faithful=True, width=12, embedding=6)
    dims, steps = {"audio": 4, "video": 5, "text": 6}, {"audio": 20, "video": 32, "text": 10}
    torch.manual_seed(0)
    one = build(options, dims, SEGMENTS, 3, steps)
    torch.manual_seed(0)
    other = build(options, dict(reversed(dims.items())), SEGMENTS, 3, steps)
    for a, b in zip(one.parameters(), other.parameters()):
        assert torch.equal(a, b)


def test_the_published_model_pads_and_cuts():
    dims, steps = {"audio": 4, "video": 5, "text": 6}, {"audio": 20, "video": 32, "text": 10}
    options = NetworkOptions(fusion="self_attention", faithful=True, width=12, embedding=6)
    model = build(options, dims, SEGMENTS, 3, steps).eval()
    given = {"audio": 26, "video": 9, "text": 10}
    values = {m: torch.randn(2, given[m], dims[m]) for m in dims}
    masks = {m: torch.rand(2, given[m]) > 0.2 for m in dims}
    whole = {}
    for m in dims:
        whole[m] = torch.zeros(2, steps[m], dims[m], dtype=torch.float64)
        kept = min(steps[m], given[m])
        whole[m][:, :kept] = (values[m] * masks[m][..., None])[:, :kept]
    full = {m: torch.ones(2, steps[m], dtype=bool) for m in dims}
    torch.testing.assert_close(model(values, masks), model(whole, full), atol=1e-12, rtol=0)
    assert model(values, masks).dtype == torch.float64


@pytest.mark.parametrize("groups", [[self_pairs], [self_pairs, cross_pairs]])
def test_a_processor_takes_other_ways_to_the_same_numbers_and_gradients(groups):
    """Rows of zeros are left out, products come in another order, for narrow and wide features, and means early."""
    dims, steps = {"audio": 4, "video": 90, "text": 6}, {"audio": 20, "video": 32, "text": 10}
    torch.manual_seed(0)
    given = [pairs(list(dims)) for pairs in groups]
    model = AttentionModel(dims, steps, given, 3, width=24, embedding=6, dropout=0.0, input_dropout=0.0).double()
    values = {m: torch.randn(3, n, dims[m]).double() for m, n in (("audio", 7), ("video", 32), ("text", 4))}
    masks = {m: torch.rand(x.shape[:2]) > 0.2 for m, x in values.items()}

    def by_library() -> torch.Tensor:
        """Paper 1's model as its equations stand."""
        encoded = {}
        for m, x in values.items():
            whole = torch.zeros(3, steps[m], dims[m]).double()
            whole[:, : x.shape[1]] = x * masks[m].unsqueeze(-1)
            encoded[m], _ = model.encoder[m](model.conv[m](whole) if m in model.conv else whole)
        pooled = []
        for pairs in given:
            means = [model.attention[f"{t}_{s}"](encoded[t], *[encoded[s]] * 2)[0].mean(1) for t, s in pairs]
            pooled += [torch.stack(means).std(0), torch.stack(means).mean(0)]
        return model.classifier(model.embedding(torch.cat(pooled, -1)))

    found = []
    for outcome in (by_library(), model(values, masks)):
        outcome.square().sum().backward()
        found.append([outcome.detach(), *(p.grad.clone() for p in model.parameters())])
        model.zero_grad()
    for expected, value in zip(*found, strict=True):
        torch.testing.assert_close(value, expected, atol=1e-12, rtol=1e-9)


def test_one_modality_has_no_deviation():
    options = NetworkOptions(fusion="self_attention", faithful=True, width=12, embedding=6)
    model = build(options, {"text": 6}, SEGMENTS, 3, {"text": 10}).eval()
    values, masks = {"text": torch.randn(2, 10, 6).double()}, {"text": torch.ones(2, 10, dtype=bool)}
    before = model(values, masks)
    assert torch.isfinite(before).all()
    model.embedding.weight.data[:, :12] += 1  # what weighs the deviation
    assert torch.equal(before, model(values, masks))


def test_rjcma_has_its_published_widths_and_window():
    dims = {"video": 512, "audio": 128, "text": 768}
    options = NetworkOptions(fusion="rjcma", faithful=True, width=128, embedding=256, recursions=2)
    model = build(options, dims, FRAMES, 2, dict.fromkeys(dims, 300)).models[0]
    assert isinstance(model, RecursiveModel)
    assert model.embedding.weight.shape == (256, 512)
    assert [layer.key["video"].weight.shape for layer in model.attention] == [(300, 300)] * 2
    assert model.attention[0].value["video"].weight.shape == (256, 256)
    assert model.attention[0].update["text"].weight.shape == (128, 512)


def test_rjcma_pads_short_windows_and_refuses_long_ones():
    dims = {"video": 5, "audio": 4}
    options = NetworkOptions(fusion="rjcma", faithful=True, width=4, embedding=6)
    model = build(options, dims, FRAMES, 2, dict.fromkeys(dims, 20)).eval()

    def run(steps):
        return model(
            {m: torch.randn(3, steps, d) for m, d in dims.items()},
            {m: torch.ones(3, steps, dtype=bool) for m in dims},
        )

    assert run(20).shape == (3, 20, 2)
    assert run(13).shape == (3, 13, 2)
    assert run(13).abs().max() <= 1
    with pytest.raises(InputError, match="up to 20 frames, not 21"):
        run(21)


def test_unknown_kind_and_foreign_parameters_are_named():
    with pytest.raises(InputError, match="self_attention, cross_attention, tcn, rjcma_coattention"):
        from_published("transformer", {})
    with pytest.raises(InputError, match="not those of the published tcn"):
        from_published("tcn", part(reference("self_attention"), "param/"))
    lacking = part(reference("cross_attention"), "param/")
    del lacking["mha_v_t.in_proj_bias"]
    with pytest.raises(InputError, match=r"text_video\.in_proj_bias"):
        from_published("cross_attention", lacking)


def test_layers_of_co_attention_have_their_own_weights():
    layers = co_attention({"video": 4, "audio": 2, "text": 2}, 10, 3)
    assert len({id(p) for p in layers.parameters()}) == 3 * len(list(layers[0].parameters()))
