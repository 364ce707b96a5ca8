"""Load a transformers checkpoint from a local folder: offline, safetensors, no remote code, no weights left random."""

import inspect
import os
from pathlib import Path

from pipeline.features.openable import check_openable
from pipeline.records import InputError, Modality
from pipeline.weights import pickled

_INPUTS = {"audio": {"input_values", "input_features"}, "video": {"pixel_values"}, "text": {"input_ids"}}
_KINDS = {
    "audio": "an audio model such as wav2vec2, hubert, wavlm or whisper",
    "video": "an image model such as vit, resnet, convnext, clip or dinov2",
    "text": "a text model such as bert, roberta, deberta-v2 or a sentence encoder",
}
_EXTRACTORS = {"audio": "transformers_audio", "video": "transformers_image", "text": "transformers_text"}
_TOWERS = {"audio": "audio_config", "video": "vision_config", "text": "text_config"}
COMMON_WORDS = (
    "the of and to in is it you that was for on are with as be have from hello time people good",
    "的 一 是 不 了 人 我 在 有 他", "の に は を た が で て と し", "그 이 는 을 의 에 가 하다 있다 사람",
    "и в не на что он быть как это человек", "في من على أن إلى هذا كان مع هو ما", "של את על לא זה הוא עם כי אל גם",
    "και το να είναι στο με που δεν για ένα", "और है में की से यह को एक पर नहीं",
    "এবং এই না করে থেকে একটি হয় তার জন্য কি", "மற்றும் ஒரு இந்த அது என்று இல்லை அவர் நான் உள்ள என",
    "ที่ และ ใน ของ ไม่ เป็น มี ได้ ว่า ให้",
)  # fmt: skip
MIN_KNOWN = 0.5  # share of the common words of at least one language
_UNUSED_IN_EXTRACTION = ("masked_spec_embed", "mask_token")  # parameters of pre-training alone


def go_offline() -> None:
    """Keep the hub client from asking the network, also where it is imported already."""
    os.environ["HF_HUB_OFFLINE"] = os.environ["TRANSFORMERS_OFFLINE"] = "1"
    import huggingface_hub.constants

    huggingface_hub.constants.HF_HUB_OFFLINE = True


def load_model(folder: Path, modality: Modality, device: str, pooled: bool = False):
    """The encoder of a checkpoint in float32 and evaluation mode; of a model of several modalities, the one asked for.

    ``pooled`` keeps the layer by which some image models pool what their own head looks at.
    Raises InputError where the folder holds no model, one of another modality, or not all of the encoder's weights.
    """
    go_offline()
    check_openable(folder, str(folder))
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    # The same sums on a GPU as on a CPU: no shortened mantissas.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    config = _config(folder, modality)
    model_class = _model_class(folder, config, modality)
    # The head of BEiT, Data2Vec-Vision and Hiera reads a normalised mean; what others pool by, their heads pass over.
    reads = getattr(config, "use_mean_pooling", False) or config.model_type == "hiera"
    has = "add_pooling_layer" in inspect.signature(model_class).parameters
    extra = {"add_pooling_layer": pooled and reads} if has else {}
    try:
        model, report = transformers.AutoModel.from_pretrained(
            folder,
            config=config,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=not pickled(folder),
            dtype=torch.float32,
            output_loading_info=True,
            **extra,
        )
    except Exception as error:  # any kind: transformers, torch, safetensors and each model raise their own
        raise InputError(f"{folder}: the model cannot be loaded: {_first_line(error)}") from None
    _check_complete(folder, report)
    if config.model_type == "vit_mae":  # hides most patches by chance, also where it is not trained: it is to see all
        model.embeddings.random_masking = lambda patches, noise=None: (patches, None, None)
    if getattr(config, "is_encoder_decoder", False):
        model = model.get_encoder()
    for module in model.modules():
        for name in list(getattr(module, "parametrizations", ())):  # weights normalised anew for each batch
            torch.nn.utils.parametrize.remove_parametrizations(module, name)
    return model.to(device).eval().requires_grad_(False)


def load_processor(folder: Path, modality: Modality):
    """The checkpoint's own tokenizer, image processor or feature extractor; raises InputError where it has none."""
    go_offline()
    import transformers

    auto = {
        "audio": transformers.AutoFeatureExtractor,
        "video": transformers.AutoImageProcessor,
        "text": transformers.AutoTokenizer,
    }[modality]
    how = {"backend": "pil"} if modality == "video" else {}  # the same pixels whether torchvision is there or not
    try:
        processor = auto.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **how)
    except Exception as error:  # any kind: each processor reads files of its own
        what = "tokenizer files" if modality == "text" else "preprocessor_config.json"
        raise InputError(
            f"{folder}: the checkpoint's {what} cannot be used ({_first_line(error)}); fetch a revision that has them"
        ) from None
    if modality == "text":
        _check_knows_words(folder, processor)
    return processor


def _check_knows_words(folder: Path, tokenizer) -> None:
    """Raise InputError where a tokenizer cannot tell most words apart, as without its files, or is another model's."""
    nothing = {*tokenizer.all_special_ids, tokenizer.unk_token_id}

    def known(words: list[str]) -> float:
        tokens = [tuple(tokenizer(word, add_special_tokens=False)["input_ids"]) for word in words]
        return len({t for t in tokens if set(t) - nothing}) / len(words)

    try:
        most = max(known(words.split()) for words in COMMON_WORDS)
    except Exception:  # a tokenizer without vocabulary may not even run
        most = 0.0
    if most < MIN_KNOWN:
        raise InputError(
            f"{folder}: its tokenizer cannot tell words apart (it knows {len(tokenizer)} tokens): the files of the "
            "tokenizer are missing, or of another model; fetch a revision with tokenizer.json, vocab.txt or the like"
        )
    size = getattr(_config(folder, "text"), "vocab_size", None)
    if size is not None and tokenizer.vocab_size > size:
        raise InputError(
            f"{folder}: its tokenizer knows {tokenizer.vocab_size} tokens, its model {size}: they are of different "
            "models; fetch a revision whose files belong together"
        )


def _config(folder: Path, modality: Modality):
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{folder}: not a transformers checkpoint: {_first_line(error)}") from None
    return getattr(config, _TOWERS[modality], config)


def _model_class(folder: Path, config, modality: Modality) -> type:
    from transformers import AutoModel

    try:
        model_class = AutoModel._model_mapping[type(config)]
    except KeyError:
        raise InputError(
            f"{folder}: transformers has no encoder for model type {config.model_type!r}; choose {_KINDS[modality]}"
        ) from None
    takes = getattr(model_class, "main_input_name", "input_ids")
    if takes not in _INPUTS[modality]:
        fits = next((_EXTRACTORS[m] for m, names in _INPUTS.items() if takes in names), "no extractor here")
        raise InputError(
            f"{folder}: {config.model_type} takes {takes} and fits {fits}; "
            f"{_EXTRACTORS[modality]} needs {_KINDS[modality]}"
        )
    return model_class


def _check_complete(folder: Path, report: dict) -> None:
    missing = sorted(k for k in report["missing_keys"] if not k.endswith(_UNUSED_IN_EXTRACTION))
    wrong = missing + sorted(str(k) for k in report["mismatched_keys"])
    if wrong:
        without = all(name.startswith("pooler.") for name in wrong)
        raise InputError(
            f"{folder}: {len(wrong)} weights of the model are not in the checkpoint or have another shape "
            f"({', '.join(wrong[:5])}{', ...' if len(wrong) > 5 else ''}); features would be made of random numbers"
            f"{'; pooling: mean does without them' if without else ''}"
        )


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]
