"""ONNX networks as PyTorch exports them: inner tensors as features, against what PyTorch itself computes."""

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from pipeline import weights
from pipeline.features.command import build
from pipeline.features.synthetic import clip
from pipeline.records import InputError

SIZE = 112  # of the crops: what resizing makes of them is tested elsewhere
OPTIONS = {"mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375], "height": SIZE, "width": SIZE}


def export(network: nn.Module, folder, opset: int = 11):
    """An ONNX file of a network in evaluation mode, exported as EmotiEffLib exports its own."""
    torch.onnx.export(
        network.eval(), torch.zeros(1, 3, SIZE, SIZE), folder / "net.onnx", opset_version=opset, dynamo=False,
        input_names=["input"], output_names=["output"],
        dynamic_axes={"input": {0: "batch_size"}, "output": {0: "batch_size"}},
    )  # fmt: skip
    weights.seal(folder, "mine")


def seen_by_torch(network, crops):
    """What a network makes of crops that PyTorch normalises."""
    pixels = torch.from_numpy(crops).permute(0, 3, 1, 2).float()
    mean, std = (torch.tensor(OPTIONS[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
    with torch.inference_mode():
        return network((pixels - mean) / std).flatten(1).numpy()


def features(folder, **options):
    face = clip("video", 0.5)
    made, _ = build("onnx_image", {**OPTIONS, **options}, folder, "cpu")
    rows = made.extract([face])[0]
    return rows.values[rows.valid], face.crops[face.valid], made


class EfficientNet(nn.Module):
    """The architecture of the default face encoder, with random weights and its dropout before the classifier."""

    def __init__(self):
        super().__init__()
        from transformers import EfficientNetConfig, EfficientNetForImageClassification

        torch.manual_seed(0)
        config = EfficientNetConfig(
            width_coefficient=1.0,
            depth_coefficient=1.0,
            image_size=SIZE,
            hidden_dim=1280,
            num_labels=8,
            dropout_rate=0.2,
        )
        whole = EfficientNetForImageClassification(config)
        for module in whole.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.8, 1.2)
                nn.init.normal_(module.bias, std=0.1)
                module.momentum = None  # statistics are those of all batches
        self.encoder, self.dropout, self.classifier = whole.efficientnet, whole.dropout, whole.classifier
        self.train()
        with torch.no_grad():
            self(torch.randn(16, 3, SIZE, SIZE))
        self.eval()

    def penultimate(self, pixels):
        return self.encoder(pixels).pooler_output.flatten(1)

    def forward(self, pixels):
        return self.classifier(self.dropout(self.penultimate(pixels)))


@pytest.mark.parametrize("opset", [11, 17])
def test_an_efficientnet_of_expressions_gives_its_penultimate_features(tmp_path, opset):
    network = EfficientNet()
    export(network, tmp_path, opset)
    values, crops, made = features(tmp_path, output="penultimate")
    expected = seen_by_torch(network.penultimate, crops)
    assert values.shape == expected.shape == (len(crops), 1280)
    assert expected.std(axis=0).mean() > 0.01, "crops look different to it"
    np.testing.assert_allclose(values, expected, atol=1e-4 * np.abs(expected).max())
    scores = seen_by_torch(network, crops)
    for output in (None, "output"):
        np.testing.assert_allclose(features(tmp_path, output=output)[0], scores, atol=1e-4 * np.abs(scores).max())
    by_hand = nn.functional.linear(torch.from_numpy(values), network.classifier.weight, network.classifier.bias)
    np.testing.assert_allclose(by_hand.detach().numpy(), scores, atol=1e-4 * np.abs(scores).max())
    named, _, _ = features(tmp_path, output=made.output)
    assert np.array_equal(named, values)


class Head(nn.Module):
    """A convolution, what stands between it and the classifier, the classifier, and what comes after."""

    def __init__(self, between, classifier, after):
        super().__init__()
        self.convolution, self.between = nn.Conv2d(3, 5, SIZE // 2, stride=SIZE // 2), between
        self.classifier, self.after = classifier, after

    def penultimate(self, pixels):
        return self.between(self.convolution(pixels))

    def forward(self, pixels):
        return self.after(self.classifier(self.penultimate(pixels)))


class Product(nn.Module):
    """x W + b, which is exported as MatMul and Add."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(inputs, outputs)), nn.Parameter(torch.randn(outputs))

    def forward(self, x):
        return x @ self.weight + self.bias


HEADS = {
    "flatten": (nn.Flatten(), nn.Linear(20, 8), nn.Identity(), "Gemm"),
    "dropout, flatten": (nn.Sequential(nn.Dropout(0.5), nn.Flatten()), nn.Linear(20, 8), nn.Identity(), "Gemm"),
    "a softmax after it": (nn.Sequential(nn.Flatten(), nn.ReLU()), nn.Linear(20, 8), nn.Softmax(dim=1), "Gemm"),
    "a product and a sum": (nn.Flatten(), Product(20, 8), nn.Identity(), "MatMul"),
    "two layers": (nn.Sequential(nn.Flatten(), nn.Linear(20, 6), nn.ReLU()), nn.Linear(6, 8), nn.Identity(), "Gemm"),
}


@pytest.mark.parametrize("kind", HEADS)
def test_the_penultimate_layer_is_what_the_classifier_takes(tmp_path, kind):
    *parts, classifier = HEADS[kind]
    torch.manual_seed(0)
    network = Head(*parts)
    export(network, tmp_path)
    assert classifier in {node.op_type for node in onnx.load(tmp_path / "net.onnx").graph.node}
    values, crops, _ = features(tmp_path, output="penultimate")
    expected = seen_by_torch(network.penultimate, crops)
    np.testing.assert_allclose(values, expected, atol=1e-4 * np.abs(expected).max())


def test_a_network_without_a_classifier_and_a_tensor_that_is_not_there(tmp_path):
    export(nn.Sequential(nn.Conv2d(3, 5, 4), nn.ReLU(), nn.Conv2d(5, 8, 4)), tmp_path)
    with pytest.raises(
        InputError, match=r"net\.onnx: has no Gemm or MatMul after another layer; its outputs are output"
    ):
        features(tmp_path, output="penultimate")
    inner = [node.output[0] for node in onnx.load(tmp_path / "net.onnx").graph.node][:-1]
    with pytest.raises(InputError, match="has no tensor 'embedding'") as caught:
        features(tmp_path, output="embedding")
    assert all(name in str(caught.value) for name in inner)
    values, crops, _ = features(tmp_path, output=inner[0])  # a feature map, averaged over its places
    assert values.shape == (len(crops), 5)


class Turned(nn.Module):
    """A convolution whose places or channels come last, behind and before others that know the other order."""

    def __init__(self, takes_last, gives_last):
        super().__init__()
        self.convolution, self.scale = nn.Conv2d(3, 5, 9, stride=(9, 14)), nn.Parameter(torch.rand(5))
        self.takes_last, self.gives_last = takes_last, gives_last

    def maps(self, pixels):
        return self.convolution(pixels).permute(0, 2, 3, 1) * self.scale + 1

    def forward(self, pixels):
        maps = self.maps(pixels.permute(0, 3, 1, 2) if self.takes_last else pixels).sigmoid()
        return maps if self.gives_last else maps.permute(0, 3, 1, 2)


@pytest.mark.parametrize("takes_last", [False, True])
@pytest.mark.parametrize("gives_last", [False, True])
def test_places_of_a_feature_map_are_averaged_wherever_its_channels_are(tmp_path, takes_last, gives_last):
    torch.manual_seed(0)
    network = Turned(takes_last, gives_last)
    torch.onnx.export(
        network.eval(), torch.zeros(1, *((SIZE, SIZE, 3) if takes_last else (3, SIZE, SIZE))), tmp_path / "net.onnx",
        opset_version=17, dynamo=False, dynamic_axes={"input": {0: "n"}}, input_names=["input"],
    )  # fmt: skip
    weights.seal(tmp_path, "mine")
    values, crops, _ = features(tmp_path)
    expected = seen_by_torch(lambda pixels: network.maps(pixels).sigmoid().mean((1, 2)), crops)
    np.testing.assert_allclose(values, expected, atol=1e-5)


def test_a_classifier_of_the_pixels_themselves_has_no_penultimate_layer(tmp_path):
    class Pixels(nn.Module):
        def forward(self, pixels):
            return pixels @ torch.ones(SIZE, 2)

    export(Pixels(), tmp_path)
    with pytest.raises(InputError, match="no Gemm or MatMul after another layer"):
        features(tmp_path, output="penultimate")


def test_weights_in_a_file_beside_the_network(tmp_path):
    network = Head(nn.Flatten(), nn.Linear(20, 8), nn.Identity())
    export(network, tmp_path)
    whole, _, _ = features(tmp_path, output="penultimate")
    apart = tmp_path / "apart"
    apart.mkdir()
    onnx.save(
        onnx.load(tmp_path / "net.onnx"),
        apart / "net.onnx",
        save_as_external_data=True,
        location="net.onnx_data",
        size_threshold=0,
    )
    weights.seal(apart, "mine")
    assert (apart / "net.onnx_data").stat().st_size > (apart / "net.onnx").stat().st_size
    assert np.array_equal(features(apart, output="penultimate")[0], whole)
