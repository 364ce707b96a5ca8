"""Small checkpoints of real architectures, so that everything runs without a download.

Nothing is trained. Purely random weights would blur most of what a face or a voice shows, so the first layer is what
training tends to arrive at: band-pass filters for sound, wavelets for faces (of the ONNX network), one random vector
for each word. All later weights are random and small.
"""

import string
from functools import partial
from pathlib import Path

import numpy as np

from pipeline.weights import seal

KINDS = ("wav2vec2", "bert", "vit", "onnx", "glove")
SEED = 20_220
SAMPLE_RATE_HZ = 16_000
AUDIO_WIDTH, AUDIO_BANDS = 48, 40
AUDIO_KERNELS = (400, 8, 4)  # 25 ms, then averages; together one row every 20 ms, as the real one
AUDIO_STRIDES = (10, 8, 4)
IMAGE_WIDTH, IMAGE_PX = 96, 36
WAVELETS, EXPRESSIONS = 48, 8  # filters and classes of the ONNX network: with more filters a face told too much
TEXT_WIDTH = 64


def write_checkpoint(kind: str, folder: Path) -> None:
    """Write all files of one of `KINDS`, the same bytes every time, with a manifest as fetched weights have it."""
    {"glove": _vectors, "onnx": _onnx}.get(kind, partial(_network, kind))(folder)
    seal(folder, f"demo:{kind}")


def _vectors(folder: Path) -> None:
    from workflow.demo.affect import vocabulary

    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    lines = [" ".join([word, *map("{:.4f}".format, rng.standard_normal(TEXT_WIDTH))]) for word in vocabulary()]
    (folder / f"vectors.{TEXT_WIDTH}d.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _network(kind: str, folder: Path) -> None:
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model, processor = {"wav2vec2": _wav2vec2, "bert": _bert, "vit": _vit}[kind]()
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    for path in folder.iterdir():
        path.chmod(0o644)


def band_filters() -> np.ndarray:
    """(AUDIO_BANDS, 400) gammatone filters of 80 to 7500 Hz, evenly spaced in mel, as long as they last."""
    from scipy.signal import gammatone

    low, high = 2595 * np.log10(1 + np.array([80.0, 7500.0]) / 700)
    centre_hz = 700 * (10 ** (np.linspace(low, high, AUDIO_BANDS) / 2595) - 1)
    bank = np.stack([gammatone(hz, "fir", numtaps=AUDIO_KERNELS[0], fs=SAMPLE_RATE_HZ)[0] for hz in centre_hz])
    return bank / np.linalg.norm(bank, axis=1, keepdims=True)


def _wav2vec2():
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

    config = Wav2Vec2Config(
        vocab_size=32, hidden_size=AUDIO_WIDTH, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        conv_dim=(AUDIO_WIDTH,) * 3, conv_kernel=AUDIO_KERNELS, conv_stride=AUDIO_STRIDES, conv_bias=True,
        feat_extract_norm="layer", do_stable_layer_norm=True, num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4, apply_spec_augment=False,
    )  # fmt: skip
    model = Wav2Vec2Model(config)
    layers = model.feature_extractor.conv_layers
    with torch.no_grad():
        filters = torch.from_numpy(band_filters()).float()
        for layer in layers:
            layer.conv.bias.zero_()
        layers[0].conv.weight.zero_()
        layers[0].conv.weight[:AUDIO_BANDS, 0] = filters
        # Layer norm divides by how loud all bands are together; against constants loudness itself is kept.
        layers[0].conv.bias[AUDIO_BANDS:] = 0.2 * torch.tensor([1.0, -1.0]).repeat((AUDIO_WIDTH - AUDIO_BANDS) // 2)
        for layer in layers[1:]:
            kernel = layer.conv.weight.shape[-1]
            layer.conv.weight.copy_((torch.eye(AUDIO_WIDTH)[..., None] / kernel).expand_as(layer.conv.weight))
        projection = model.feature_projection.projection
        projection.weight.copy_(torch.nn.init.orthogonal_(torch.empty(AUDIO_WIDTH, AUDIO_WIDTH)))
        projection.bias.zero_()
    return model, Wav2Vec2FeatureExtractor(
        feature_size=1, sampling_rate=SAMPLE_RATE_HZ, padding_value=0.0, do_normalize=False, return_attention_mask=True
    )


def wavelets(rng: np.random.Generator) -> np.ndarray:
    """(WAVELETS, IMAGE_PX, IMAGE_PX) Gabor wavelets of random place, scale, direction and phase; each sums to 0."""
    y, x = np.mgrid[0:IMAGE_PX, 0:IMAGE_PX] / IMAGE_PX
    bank = []
    for _ in range(WAVELETS):
        across, down = x - rng.uniform(0.25, 0.75), y - rng.uniform(0.3, 0.95)  # brows to chin
        scale, angle, phase = np.exp(rng.uniform(-3.35, -2.4)), *rng.uniform(0, 2 * np.pi, 2)
        bell = np.exp(-(across**2 + down**2) / (2 * scale**2))
        along = (across * np.cos(angle) + down * np.sin(angle)) / (scale * rng.uniform(1.5, 4))
        wave = bell * np.cos(2 * np.pi * along + phase)
        wave -= bell * wave.sum() / bell.sum()
        bank.append(wave / np.linalg.norm(wave))
    return np.stack(bank)


def _vit():
    from transformers import ViTConfig, ViTImageProcessor, ViTModel

    size = {"height": IMAGE_PX, "width": IMAGE_PX}
    config = ViTConfig(
        hidden_size=IMAGE_WIDTH, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, image_size=IMAGE_PX,
        patch_size=IMAGE_PX,  # the aligned face is one patch: where the mouth is in it tells as much as how it looks
    )  # fmt: skip
    return ViTModel(config), ViTImageProcessor(size=size, image_mean=[0.5] * 3, image_std=[0.5] * 3)


def _onnx(folder: Path) -> None:
    """The wavelets alone, and a classifier of their responses, as of a network of expressions."""
    import onnx
    from onnx import helper, numpy_helper

    rng = np.random.default_rng(SEED)
    filters = wavelets(rng)[:, None] * np.array([0.299, 0.587, 0.114])[:, None, None]
    weights = {"filters": filters, "classifier": rng.standard_normal((EXPRESSIONS, WAVELETS))}
    nodes = [
        helper.make_node("Conv", ["picture", "filters"], ["places"]),
        helper.make_node("Flatten", ["places"], ["responses"]),
        helper.make_node("Gemm", ["responses", "classifier"], ["scores"], transB=1),
    ]
    picture = helper.make_tensor_value_info("picture", onnx.TensorProto.FLOAT, ["batch", 3, IMAGE_PX, IMAGE_PX])
    scores = helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, ["batch", EXPRESSIONS])
    constants = [numpy_helper.from_array(values.astype(np.float32), name) for name, values in weights.items()]
    graph = helper.make_graph(nodes, "demonstration", [picture], [scores], constants)
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(network, folder / "expressions.onnx")


def _bert():
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    from workflow.demo.affect import vocabulary

    single = [*string.digits, *string.ascii_lowercase]  # characters of which all other words are spelled
    words = [word for word in vocabulary() if word not in single]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *string.punctuation, *single, *words]
    pieces += [f"##{character}" for character in single]
    tokenizer = BertTokenizer({piece: n for n, piece in enumerate(pieces)}, do_lower_case=True, model_max_length=512)
    sizes = {"hidden_size": TEXT_WIDTH, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 64}
    model = BertModel(BertConfig(vocab_size=len(pieces), **sizes))
    with torch.no_grad():
        vectors = model.embeddings.word_embeddings.weight
        vectors[1:] = torch.randn(len(pieces) - 1, TEXT_WIDTH)  # all but the padding
    return model, tokenizer
