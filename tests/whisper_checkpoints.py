"""A tiny Whisper of random weights, for the transformers library and as faster-whisper reads it."""

from pathlib import Path


def make_whisper(folder: Path, tokens: int = 0, max_length: int = 30, **size) -> Path:
    """A Whisper of random weights with a byte tokenizer that can only say small letters and blanks.

    It never ends by itself: ``max_length`` tokens are what it says of a piece. ``tokens``: how many it knows at least.
    """
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperTokenizer

    vocab = {c: i for i, c in enumerate(sorted(ByteLevel.alphabet()))}
    tokenizer = WhisperTokenizer(vocab=vocab, merges=[])
    special = [
        "startoftranscript",
        "en",
        "translate",
        "transcribe",
        "startoflm",
        "startofprev",
        "nospeech",
        "notimestamps",
    ]
    tokenizer.add_special_tokens({"additional_special_tokens": [f"<|{s}|>" for s in special]})
    tokenizer.add_tokens([f"<|{i * 0.02:.2f}|>" for i in range(1501)])
    tokenizer.add_tokens([f"<|unused {i}|>" for i in range(tokens - len(tokenizer))])
    ids = {s: tokenizer.convert_tokens_to_ids(f"<|{s}|>") for s in ["endoftext", *special]}
    speakable = {"Ġ", *"abcdefghijklmnopqrstuvwxyz"}
    small = {
        "d_model": 32, "encoder_layers": 1, "decoder_layers": 2, "encoder_attention_heads": 2,
        "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32,
    }  # fmt: skip
    config = WhisperConfig(
        **{**small, **size}, vocab_size=len(tokenizer), max_target_positions=448,
        decoder_start_token_id=ids["startoftranscript"], eos_token_id=ids["endoftext"], bos_token_id=ids["endoftext"],
        pad_token_id=ids["endoftext"], suppress_tokens=[i for c, i in vocab.items() if c not in speakable],
        begin_suppress_tokens=[],
    )  # fmt: skip
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(3)
    model = WhisperForConditionalGeneration(config)
    with torch.no_grad():  # what cannot be said scores 0, also where a library suppresses nothing
        said = torch.tensor([i in {vocab[c] for c in speakable} for i in range(len(tokenizer))])
        model.model.decoder.embed_tokens.weight.mul_(50 * said[:, None])
    generation = model.generation_config
    generation._from_model_config = False
    for key, value in {
        "alignment_heads": [[0, 0], [1, 1]], "no_timestamps_token_id": ids["notimestamps"], "is_multilingual": True,
        "lang_to_id": {"<|en|>": ids["en"]}, "prev_sot_token_id": ids["startofprev"], "max_length": max_length,
        "task_to_id": {"transcribe": ids["transcribe"], "translate": ids["translate"]},
        "max_initial_timestamp_index": 50,
    }.items():  # fmt: skip
        setattr(generation, key, value)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    WhisperFeatureExtractor().save_pretrained(folder)
    return folder


def convert(whisper: Path, folder: Path) -> Path:
    """The same model as CTranslate2 has it, with the files of a published one, such as Systran's."""
    from ctranslate2.converters import TransformersConverter

    TransformersConverter(str(whisper), copy_files=["tokenizer.json", "preprocessor_config.json"]).convert(str(folder))
    return folder
