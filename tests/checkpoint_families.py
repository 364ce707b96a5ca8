"""Checkpoints of every family that the extractors take, tiny and random, made from their configs."""

from pathlib import Path

from pipeline import weights
from pipeline.features.synthetic import clip

CONVOLUTIONS = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48, "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2, "vocab_size": 12,
}  # fmt: skip
VISION = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
ENCODER = {**VISION, "vocab_size": 400, "max_position_embeddings": 66}
WORDS = ("the", "of", "and", "to", "in", "is", "it", "you", "that", "he", "was", "for", "on", "are", "with", "hello")

RARE = "don't 😂"
SPLIT = {  # how tokenizers of CLIP and Llama 3 cut a text
    "clip": r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
    "llama": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
}


def audio(family):
    import transformers as t

    if family == "whisper":
        config = t.WhisperConfig(
            d_model=32, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
            encoder_ffn_dim=48, decoder_ffn_dim=48, vocab_size=100, num_mel_bins=80, pad_token_id=0, bos_token_id=1,
            eos_token_id=2, decoder_start_token_id=1, suppress_tokens=None, begin_suppress_tokens=None,
        )  # fmt: skip
        return t.WhisperModel(config), t.WhisperFeatureExtractor()
    layer = family.endswith("-layer")
    extra = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True} if layer else {}
    config, model = {
        "wav2vec2": (t.Wav2Vec2Config, t.Wav2Vec2ForPreTraining),
        "wav2vec2-layer": (t.Wav2Vec2Config, t.Wav2Vec2Model),
        "hubert": (t.HubertConfig, t.HubertModel),
        "hubert-layer": (t.HubertConfig, t.HubertModel),
        "wavlm": (t.WavLMConfig, t.WavLMModel),
        "wavlm-layer": (t.WavLMConfig, t.WavLMModel),
        "data2vec": (t.Data2VecAudioConfig, t.Data2VecAudioModel),
    }[family]
    if family == "data2vec":
        extra = {"conv_pos_kernel_size": 3, "num_conv_pos_embeddings": 5}
    made = model(config(**{**CONVOLUTIONS, **extra}))
    return made, t.Wav2Vec2FeatureExtractor(do_normalize=layer, return_attention_mask=layer)


def image(family):
    import transformers as t

    square = {"height": 32, "width": 32}
    if family == "vit":
        config = t.ViTConfig(**VISION, image_size=32, patch_size=8, num_labels=7)
        return t.ViTForImageClassification(config), t.ViTImageProcessor(size=square)
    if family == "resnet":
        config = t.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
        return t.ResNetForImageClassification(config), t.ConvNextImageProcessor(size={"shortest_edge": 32})
    if family == "convnext":
        config = t.ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2)
        return t.ConvNextModel(config), t.ConvNextImageProcessor(size={"shortest_edge": 32})
    if family == "clip":
        text = {**VISION, "vocab_size": 100, "bos_token_id": 1, "eos_token_id": 2}
        config = t.CLIPConfig(text_config=text, vision_config={**VISION, "image_size": 32, "patch_size": 8})
        return t.CLIPModel(config), t.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=square)
    if family == "siglip":
        text = {**VISION, "vocab_size": 100, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
        config = t.SiglipConfig(text_config=text, vision_config={**VISION, "image_size": 32, "patch_size": 8})
        return t.SiglipModel(config), t.SiglipImageProcessor(size=square)
    if family == "swin":
        sizes = {"embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4}
        return t.SwinModel(t.SwinConfig(image_size=32, patch_size=4, **sizes)), t.ViTImageProcessor(size=square)
    patches = {**VISION, "image_size": 32, "patch_size": 8, "num_labels": 7}
    stages = {"image_size": [32, 32], "embed_dim": 8, "depths": [1, 1, 1], "num_heads": [1, 2, 4]}
    hiera = {**stages, "num_query_pool": 2, "masked_unit_size": [4, 4], "masked_unit_attention": [True, True, False]}
    further = {
        "beit": lambda: t.BeitForImageClassification(t.BeitConfig(**patches)),
        "beit-pretrained": lambda: t.BeitModel(t.BeitConfig(**patches), add_pooling_layer=False),
        "data2vec-vision": lambda: t.Data2VecVisionForImageClassification(t.Data2VecVisionConfig(**patches)),
        "hiera": lambda: t.HieraForImageClassification(t.HieraConfig(**hiera, num_labels=7)),
        "deit": lambda: t.DeiTForImageClassificationWithTeacher(t.DeiTConfig(**patches)),
        "dinov2-registers": lambda: t.Dinov2WithRegistersModel(t.Dinov2WithRegistersConfig(**patches)),
        "dinov3": lambda: t.DINOv3ViTModel(t.DINOv3ViTConfig(**patches, num_register_tokens=3)),
        "vit-mae": lambda: t.ViTMAEForPreTraining(t.ViTMAEConfig(**patches, decoder_num_hidden_layers=1)),
        "swin-stages": lambda: t.SwinModel(t.SwinConfig(patch_size=2, window_size=4, **stages)),
    }
    if family in further:
        return further[family](), t.ViTImageProcessor(size=square)
    config = t.Dinov2Config(**VISION, image_size=28, patch_size=14)
    processor = t.BitImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 28, "width": 28})
    return t.Dinov2Model(config), processor


def tokenizer(kind, folder):
    """Save a tokenizer of the family's algorithm, its vocabulary learned from a few words."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    special = {
        "wordpiece": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
        "bytes": ["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        "unigram": ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"],
    }.get(kind, ["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    made = {
        "wordpiece": lambda: Tokenizer(models.WordPiece(unk_token="[UNK]")),
        "bytes": lambda: Tokenizer(models.BPE()),
        "unigram": lambda: Tokenizer(models.Unigram()),
        "clip": lambda: Tokenizer(models.BPE(end_of_word_suffix="</w>")),
        "llama": lambda: Tokenizer(models.BPE()),
        "gemma": lambda: Tokenizer(models.BPE(unk_token="[UNK]")),
    }[kind]()
    words = [" ".join(WORDS)] * 3
    if kind == "wordpiece":
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=150, special_tokens=special)
    elif kind == "bytes":
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=330, special_tokens=special, initial_alphabet=alphabet)
        made.decoder = decoders.ByteLevel()
    elif kind in SPLIT:  # as CLIP and Llama 3 do it: cut first, then into bytes
        how = {"behavior": "removed", "invert": True} if kind == "clip" else {"behavior": "isolated"}
        pieces = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=kind == "clip")
        made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(SPLIT[kind]), **how), pieces])
        suffix = {"end_of_word_suffix": "</w>"} if kind == "clip" else {}
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=390, special_tokens=special, initial_alphabet=alphabet, **suffix)
        words = [f"{' '.join(WORDS)} {RARE}"] * 3
    elif kind == "gemma":  # spaces are signs as any other
        made.normalizer = normalizers.Replace(" ", "▁")
        trainer = trainers.BpeTrainer(vocab_size=390, special_tokens=special)
        words = [f"{space}{word}" for word in (*WORDS, *RARE.split()) for space in ("", " ")] * 3
    else:
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=60, special_tokens=special, unk_token="[UNK]")
    made.train_from_iterator(words, trainer)
    cls, sep = ("<s>", "</s>") if kind == "bytes" else ("[CLS]", "[SEP]")
    ids = [(token, made.token_to_id(token)) for token in (cls, sep)]
    made.post_processor = processors.TemplateProcessing(single=f"{cls} $A {sep}", special_tokens=ids)
    from transformers import PreTrainedTokenizerFast

    names = dict(zip(["pad_token", "unk_token"], ["<pad>", "<unk>"] if kind == "bytes" else ["[PAD]", "[UNK]"]))
    fast = PreTrainedTokenizerFast(tokenizer_object=made, cls_token=cls, sep_token=sep, model_max_length=64, **names)
    fast.save_pretrained(folder)


def text(family, folder):
    import transformers as t

    if family.startswith("bert"):  # also with the tokenizer of another family, as in bert+clip
        tokenizer(family.partition("+")[2] or "wordpiece", folder)
        return t.BertForMaskedLM(t.BertConfig(**ENCODER))
    if family == "roberta":
        tokenizer("bytes", folder)
        return t.RobertaModel(t.RobertaConfig(**ENCODER, pad_token_id=1))
    if family == "deberta-v2":
        tokenizer("unigram", folder)
        relative = {"relative_attention": True, "position_buckets": 8, "pos_att_type": ["p2c", "c2p"]}
        return t.DebertaV2Model(t.DebertaV2Config(**ENCODER, **relative))
    if family == "mpnet":  # sentence encoders: MPNet here, BERT as MiniLM
        tokenizer("wordpiece", folder)
        return t.MPNetModel(t.MPNetConfig(**ENCODER, pad_token_id=1))
    tokenizer("unigram", folder)
    return t.T5Model(t.T5Config(d_model=32, d_kv=16, d_ff=48, num_layers=2, num_heads=2, vocab_size=400))


FAMILIES = {
    "transformers_audio": [
        "wav2vec2", "wav2vec2-layer", "hubert", "hubert-layer", "wavlm", "wavlm-layer", "data2vec", "whisper"
    ],
    "transformers_image": ["vit", "resnet", "convnext", "clip", "dinov2", "siglip", "swin"],
    "transformers_text": ["bert", "roberta", "deberta-v2", "mpnet", "t5"],
}  # fmt: skip
ALL = [(kind, family) for kind, families in FAMILIES.items() for family in families]


def make_checkpoint(kind: str, family: str, folder: Path) -> Path:
    """Save a family's checkpoint into an empty folder, sealed as a fetched one is."""
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(0)
    if kind == "transformers_text":
        model = text(family, folder)
    else:
        model, processor = (audio if kind == "transformers_audio" else image)(family)
        processor.save_pretrained(folder)
    model.save_pretrained(folder)
    weights.seal(folder, f"test {family}")
    return folder


def pieces_of(modality: str, lengths=(1.0, 0.4, 2.3)) -> list:
    """Pieces of one modality, lengths in seconds."""
    return [clip(modality, n, start_s=5.0 + i, segment_id=f"s{i}") for i, n in enumerate(lengths)]


def onnx_mean_of_channels(path, batch=None, channels_last=False):
    """An ONNX file whose output is the mean of each colour over the picture (ReduceMean)."""
    import onnx
    from onnx import helper

    axes, size = ((1, 2), [16, 16, 3]) if channels_last else ((2, 3), [3, 16, 16])
    ends = {"picture": [batch or "n", *size], "colour": [batch or "n", 3]}
    given, found = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, dims) for name, dims in ends.items())
    node = helper.make_node("ReduceMean", ["picture"], ["colour"], axes=axes, keepdims=0)
    graph = helper.make_graph([node], "g", [given], [found])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
