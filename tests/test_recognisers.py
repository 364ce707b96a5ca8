"""Recognisers: on real speech, on what is none, and what becomes of a recording on which one fails."""

import json
import re
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest

from pipeline.audio_file import AudioFile
from pipeline.records import InputError, Unit
from pipeline.weights import seal
from pipeline.words.recognise import recognise
from pipeline.words.registry import make
from tests.whisper_checkpoints import make_whisper
from tests.word_material import RATE_HZ, run_words, speech, subject, write_audio


@pytest.fixture(scope="module")
def whisper(tmp_path_factory) -> Path:
    return make_whisper(tmp_path_factory.mktemp("whisper"))


def test_pocketsphinx_hears_real_speech(shared, tmp_path):
    """Four GRID sentences in a row; swwp2s.align holds the times of its words in 1/25000 s."""
    clips = ["brbk7n", "sbwe5n", "sbia1a", "swwp2s"]
    sounds = [speech(shared, name) for name in clips]
    begin_s = np.cumsum([0, *map(len, sounds)]) / RATE_HZ
    write_audio(tmp_path / "audio.h5", np.concatenate(sounds))
    unit, segment = Unit("clip", "videos/clip.mp4"), subject("clip", float(begin_s[-1]))
    words = run_words(tmp_path, tmp_path, unit, [segment], recogniser="pocketsphinx", options='{"piece_s": 5}')
    said = [{"bin", "red", "by", "k", "seven", "now"}, {"set", "blue", "with", "e", "five", "now"},
            {"set", "blue", "in", "a", "one", "again"}, {"set", "white", "with", "p", "two", "soon"}]  # fmt: skip
    right = 0
    for expected, first_s, last_s in zip(said, begin_s, begin_s[1:]):
        heard = {w.word for w in words if first_s <= (w.start_s + w.end_s) / 2 < last_s}
        right += len(heard & expected)
    assert right >= 5, "of 24 words; a wrong time or a lost end would leave fewer"
    lines = (shared / "media" / "grid" / "swwp2s.align").read_text().splitlines()
    soon_s = [int(t) / 25_000 + begin_s[3] for t in next(line for line in lines if "soon" in line).split()[:2]]
    assert words[-1].word == "soon", "the last word of the file is not lost"
    assert words[-1].start_s == pytest.approx(soon_s[0], abs=0.1)
    assert words[-1].end_s == pytest.approx(soon_s[1], abs=0.1)
    assert all(0 <= w.start_s < w.end_s <= begin_s[-1] for w in words)
    assert {(w.source, w.segment_id) for w in words} == {("recogniser", "clip")}


def test_pocketsphinx_does_not_lose_a_word_at_the_very_end(shared, tmp_path):
    sound = speech(shared, "swwp2s")[: int(55_250 / 25_000 * RATE_HZ)]  # ends with the last word
    write_audio(tmp_path / "audio.h5", sound)
    words = list(recognise(make("pocketsphinx", {}), AudioFile(tmp_path / "audio.h5")["clip"]))
    assert words[-1].word == "soon"
    assert words[-1].end_s <= len(sound) / RATE_HZ


@pytest.mark.parametrize("samples", [np.zeros(0), np.full(50, 0.5), np.zeros(RATE_HZ)])
def test_pocketsphinx_hears_nothing_in_nothing(samples, tmp_path):
    write_audio(tmp_path / "audio.h5", samples)
    assert list(recognise(make("pocketsphinx", {}), AudioFile(tmp_path / "audio.h5")["clip"])) == []


def test_whisper_gives_words_with_times_offline(whisper, tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("weights are local; nothing may ask the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    rng = np.random.default_rng(0)
    sound = rng.normal(0, 0.1, 33 * RATE_HZ)  # longer than the 30 s that Whisper hears at once
    write_audio(tmp_path / "audio.h5", sound, start_s=100.0)
    unit, segment = Unit("clip", "videos/clip.mp4"), subject("clip", 133.0)
    options = {"recogniser": "transformers", "options": '{"language": "en"}', "weights": whisper, "device": "cpu"}
    first = run_words(tmp_path, tmp_path, unit, [segment], **options)
    assert first
    assert all(re.fullmatch("[a-z]+", w.word) for w in first)
    assert all(100 <= w.start_s < w.end_s <= 133 for w in first)
    assert {(w.source, w.segment_id) for w in first} == {("recogniser", "clip")}
    assert run_words(tmp_path, tmp_path, unit, [segment], **options) == first


def test_whisper_whose_word_times_fail_gives_estimates(whisper, monkeypatch, caplog):
    recogniser = make("transformers", {}, whisper, "cpu")

    def failing(*given, **options):
        if options.get("return_timestamps") == "word":
            raise IndexError("index 0 is out of bounds for dimension 1 with size 0")
        return {"text": " One, two: three. Four"}

    monkeypatch.setattr(recogniser, "_pipeline", failing)
    heard = recogniser.hear(np.zeros(4 * RATE_HZ, np.float32), RATE_HZ)
    assert [w for w, *_ in heard] == ["one", "two", "three", "four"]
    assert (heard[0][1], heard[-1][2]) == (0.0, 4.0)
    assert "no word times for a piece of 4 s (index 0 is out of bounds" in caplog.text


def test_whisper_that_is_not_as_it_was_fetched_is_refused(whisper, tmp_path):
    for path in whisper.iterdir():
        shutil.copy(path, tmp_path / path.name)
    seal(tmp_path, "org/whisper@1f")
    (tmp_path / "vocab.json").write_text("{}")
    with pytest.raises(InputError, match=r"not as fetched from org/whisper@1f: .*vocab.json"):
        make("transformers", {}, tmp_path, "cpu")


def test_whisper_without_alignment_heads_is_refused(whisper, tmp_path):
    for path in whisper.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "generation_config.json").unlink()
    settings_ = json.loads((whisper / "generation_config.json").read_text())
    del settings_["alignment_heads"]
    (tmp_path / "generation_config.json").write_text(json.dumps(settings_))
    with pytest.raises(InputError, match="no alignment_heads"):
        make("transformers", {}, tmp_path, "cpu")


def test_ctc_models_give_words_too(tmp_path):
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

    torch.manual_seed(0)
    vocab = {c: i for i, c in enumerate(["<pad>", "<unk>", "|", *"abcdefgh"])}
    (tmp_path / "vocab.json").write_text(json.dumps(vocab))
    tokenizer = Wav2Vec2CTCTokenizer(str(tmp_path / "vocab.json"), bos_token=None, eos_token=None)
    config = Wav2Vec2Config(
        vocab_size=len(vocab), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        conv_dim=(16,) * 7, num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=2, pad_token_id=0,
    )  # fmt: skip
    Wav2Vec2ForCTC(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    recogniser = make("transformers", {}, tmp_path, "cpu")
    heard = recogniser.hear(np.random.default_rng(0).normal(0, 0.1, 2 * RATE_HZ).astype(np.float32), RATE_HZ)
    assert heard
    assert all(0 <= start_s <= end_s <= 2 for _, start_s, end_s in heard)


@pytest.mark.parametrize("weights", [None, "nowhere"])
def test_recogniser_without_weights_says_what_to_do(weights, tmp_path):
    with pytest.raises(InputError, match=r"is not a checkpoint folder.*fetch the weights first"):
        make("transformers", {}, weights and tmp_path / weights)
