"""Recognisers: on real speech, on what is none, and what becomes of a recording on which one fails."""

import json
import re
import shutil
import socket
import textwrap
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.audio_file import AudioFile, AudioWriter
from pipeline.conformance import verdicts
from pipeline.records import Finding, InputError, Segment, Unit, read_table
from pipeline.weights import seal
from pipeline.words.base import Recogniser
from pipeline.words.check import check_recogniser, checks, murmur, nobody
from pipeline.words.pieces import PieceRecogniser
from pipeline.words.place import recognise, transcriber
from pipeline.words.registry import NONE, RECOGNISERS, code_of, make
from pipeline.words.voice import voiced
from tests.digest_table import closure
from tests.plug_options import described
from tests.whisper_checkpoints import convert, make_whisper
from tests.word_material import RATE_HZ, run_words, speech, subject, write_audio

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def whisper(tmp_path_factory) -> Path:
    return make_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def converted(whisper, tmp_path_factory) -> Path:
    return convert(whisper, tmp_path_factory.mktemp("converted") / "whisper")


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
        found_words = {w.word for w in words if first_s <= (w.start_s + w.end_s) / 2 < last_s}
        right += len(found_words & expected)
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


def voice(duration_s: float) -> np.ndarray:
    """A voice that says no words, with a pause after each six seconds."""
    one = np.concatenate([murmur(), np.zeros(RATE_HZ)])
    return np.resize(one, round(duration_s * RATE_HZ)).astype(np.float32)


@pytest.mark.parametrize("kind", ["transformers", "faster_whisper"])
def test_whisper_gives_words_with_times_offline(kind, whisper, converted, tmp_path, monkeypatch):
    folder, asked = converted if kind == "faster_whisper" else whisper, []

    def refuse(*arguments, **options):
        asked.append(arguments)  # what it raises, a library might catch
        raise AssertionError("weights are local; nothing may ask the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    write_audio(tmp_path / "audio.h5", voice(33.0), start_s=100.0)  # longer than the 30 s that Whisper hears at once
    unit, segment = Unit("clip", "videos/clip.mp4"), subject("clip", 133.0)
    options = {"recogniser": kind, "options": '{"language": "en"}', "weights": folder, "device": "cpu"}
    first = run_words(tmp_path, tmp_path, unit, [segment], **options)
    assert first
    assert all(re.fullmatch("[a-z]+", w.word) for w in first)
    assert all(100 <= w.start_s < w.end_s <= 133 for w in first)
    assert {(w.source, w.segment_id) for w in first} == {("recogniser", "clip")}
    assert run_words(tmp_path, tmp_path, unit, [segment], **options) == first
    assert not asked


def test_whisper_whose_word_times_fail_gives_estimates(whisper, monkeypatch, caplog):
    recogniser = make("transformers", {}, whisper, "cpu")

    def failing(*given, **options):
        if options.get("return_timestamps") == "word":
            raise IndexError("index 0 is out of bounds for dimension 1 with size 0")
        return {"text": " One, two: three. Four"}

    monkeypatch.setattr(recogniser, "_pipeline", failing)
    found_words = recogniser.transcribe(np.zeros(4 * RATE_HZ, np.float32), RATE_HZ)
    assert [w for w, *_ in found_words] == ["One,", "two:", "three.", "Four"]
    assert (found_words[0][1], found_words[-1][2]) == (0.0, 4.0)
    assert "no word times for a piece of 4 s (index 0 is out of bounds" in caplog.text


def test_weights_that_are_not_as_they_were_fetched_are_refused(whisper, own, tmp_path):
    folder = shutil.copytree(whisper, tmp_path / "weights")
    seal(folder, "org/whisper@1f")
    make(f"{own}:Picky", {}, folder)
    (folder / "vocab.json").write_text("{}")
    for kind in ("transformers", f"{own}:Picky"):
        with pytest.raises(InputError, match=r"not as fetched from org/whisper@1f: .*vocab.json"):
            make(kind, {}, folder, "cpu")


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
    found_words = recogniser.transcribe(
        np.random.default_rng(0).normal(0, 0.1, 2 * RATE_HZ).astype(np.float32), RATE_HZ
    )
    assert found_words
    assert all(0 <= start_s <= end_s <= 2 for _, start_s, end_s in found_words)
    torch.save(recogniser._pipeline.model.state_dict(), tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(InputError, match="only where they were fetched with allow_pickle: true"):
        make("transformers", {}, tmp_path, "cpu")
    seal(tmp_path, "mine", allow_pickle=True)
    again = make("transformers", {}, tmp_path, "cpu")
    assert again.transcribe(np.ones(RATE_HZ, np.float32), RATE_HZ) == recogniser.transcribe(
        np.ones(RATE_HZ, np.float32), RATE_HZ
    )


@pytest.mark.parametrize("weights", [None, "nowhere"])
def test_recogniser_without_weights_says_what_to_do(weights, tmp_path):
    with pytest.raises(InputError, match=r"is not a checkpoint folder.*fetch the weights first"):
        make("transformers", {}, weights and tmp_path / weights)


def test_a_converted_whisper_that_cannot_be_used_is_refused(converted, tmp_path):
    shutil.copytree(converted, tmp_path / "whisper")
    with pytest.raises(InputError, match=r"\(did you mean batch_size\?\)"):
        make("faster_whisper", {"batchsize": 4}, tmp_path / "whisper")
    with pytest.raises(InputError, match=r"knows no language 'de'; it knows en"):
        make("faster_whisper", {"language": "de"}, tmp_path / "whisper")
    whole = (tmp_path / "whisper" / "model.bin").read_bytes()
    (tmp_path / "whisper" / "model.bin").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cannot be read"):
        make("faster_whisper", {}, tmp_path / "whisper")
    (tmp_path / "whisper" / "tokenizer.json").unlink()
    with pytest.raises(InputError, match=r"holds no tokenizer.json; take a Whisper converted to CTranslate2"):
        make("faster_whisper", {}, tmp_path / "whisper")


# --- what is no speech -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["pocketsphinx", "faster_whisper"])  # each by its own search for speech
def test_no_word_is_found_in_silence_noise_and_music(kind, converted):
    recogniser = make(kind, {}, converted if kind == "faster_whisper" else None, "cpu")
    for what, samples in nobody():
        assert recogniser.transcribe_speech(samples.astype(np.float32), RATE_HZ) == [], what


def test_the_filter_is_what_keeps_words_out_of_music_and_not_out_of_speech(shared):
    """PocketSphinx alone finds a word in a chord; Silero says where the speech of a GRID clip is."""
    chord, recogniser = dict(nobody())["a chord"].astype(np.float32), make("pocketsphinx", {})
    assert recogniser.transcribe(chord, RATE_HZ)
    ((begin_s, end_s),) = voiced(speech(shared, "swwp2s"), RATE_HZ)
    lines = (shared / "media" / "grid" / "swwp2s.align").read_text().split("\n")
    words_s = [[int(t) / 25_000 for t in line.split()[:2]] for line in lines if line and "sil" not in line]
    assert begin_s <= words_s[0][0]
    assert end_s >= words_s[-1][1]
    sound = np.concatenate([chord, speech(shared, "swwp2s"), chord[: 2 * RATE_HZ]])
    found_words = recogniser.transcribe_speech(sound, RATE_HZ)
    assert found_words
    assert all(6 <= (start_s + end_s) / 2 < 9 for _, start_s, end_s in found_words)


# --- plugs of one's own --------------------------------------------------------------------------------------------

OWN = """
    from affectflow import Recogniser, options

    @options
    class Limit:
        loudest: float = 0.5

    class Picky(Recogniser):
        Config = Limit
        finds_speech = True

        def transcribe(self, samples, sample_rate_hz):
            if abs(samples).max() > self.config.loudest:
                raise ZeroDivisionError("too loud\\nfor me")
            return [("fine", 0.1, 0.4)]

    class Hungry(Recogniser):
        finds_speech = True

        def transcribe(self, samples, sample_rate_hz):
            raise RuntimeError("CUDA out of memory")

    class Eager(Recogniser):
        finds_speech = True
        count = 0

        def transcribe(self, samples, sample_rate_hz):
            Eager.count += 1
            samples *= 2
            return [("um", 20.0, 21.0), (f"number {Eager.count}", 0.2, 0.3)][: len(samples)]
"""


@pytest.fixture
def own(tmp_path) -> Path:
    path = tmp_path / "own.py"
    path.write_text(textwrap.dedent(OWN))
    return path


def two_recordings(folder: Path) -> tuple[Unit, list[Segment]]:
    """A quiet one and, after it, a loud one that two people share."""
    quiet, loud = np.full(RATE_HZ, 0.2), np.full(RATE_HZ, 0.9)
    with AudioWriter(folder / "audio.h5", {"a": (0.0, RATE_HZ), "b": (1.0, RATE_HZ), "c": (1.0, RATE_HZ)}) as writer:
        for name, start_s, samples in (("a", 0.0, quiet), ("b", 1.0, loud), ("c", 1.0, loud)):
            writer.write(name, 0, samples.astype(np.float32))
            writer.describe(name, "video", (start_s, start_s + 1))
    segments = [Segment(n, "clip", n, None, None, s, s + 1.0) for n, s in (("a", 0.0), ("b", 1.0), ("c", 1.0))]
    return Unit("clip", "videos/clip.mp4"), segments


def test_a_recogniser_that_fails_on_one_recording_costs_its_words_and_says_so(own, tmp_path, caplog):
    failures = tmp_path / "failures.tsv"
    words = run_words(tmp_path, tmp_path, *two_recordings(tmp_path), recogniser=f"{own}:Picky", failures=failures)
    assert [(w.word, w.start_s, w.end_s, w.segment_id) for w in words] == [("fine", 0.1, 0.4, "a")]
    found = read_table(failures, Finding)
    assert [(f.segment, f.modality, f.status) for f in found] == [(name, "text", "absent") for name in "bc"]
    assert {f.reason for f in found} == {"Picky failed: ZeroDivisionError: too loud for me"}
    assert "b: Picky failed" in caplog.text
    options = '{"loudest": 1.0}'
    run_words(
        tmp_path, tmp_path, *two_recordings(tmp_path), recogniser=f"{own}:Picky", options=options, failures=failures
    )
    assert read_table(failures, Finding) == []


def test_memory_that_gives_out_is_no_fault_of_the_recording(own, tmp_path):
    with pytest.raises(RuntimeError, match="out of memory"):
        run_words(tmp_path, tmp_path, *two_recordings(tmp_path), recogniser=f"{own}:Hungry")


class Unsure(Recogniser):
    """Says when its words begin, and not when they end."""

    finds_speech = True

    def transcribe(self, samples, sample_rate_hz):
        return [("um", 0.5, np.nan)]


class UnsureOfSpeech(Unsure):
    finds_speech = False


class UnsureInPieces(Unsure, PieceRecogniser):
    pass


class UnsureOfAll(Unsure):
    def transcribe_track(self, track):
        return self.transcribe(track.samples(), track.sample_rate_hz)


@pytest.mark.parametrize("kind", [Unsure, UnsureOfSpeech, UnsureInPieces, UnsureOfAll])
def test_a_time_that_is_no_number_costs_the_words_of_its_recording_and_is_said(tmp_path, kind):
    file, failed = AudioFile(write_audio(tmp_path / "audio.h5", murmur())), []
    assert transcriber(kind(), file.__getitem__, failed)([subject("clip", 6.0)]) == []
    (found,) = failed
    assert found.reason.endswith("failed: ValueError: 'um' is said from 0.5 to nan s; give its times in seconds")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{own}:Picky", "--options", '{"loud": 1}'], "unknown option 'loud'.*Its options are: loudest"),
        (["{own}:Limit"], "is not a subclass of pipeline.words.base.Recogniser"),
        (["sphinx"], "there is no recogniser 'sphinx'; there are faster_whisper, pocketsphinx, transformers, and your"),
        (["transformers"], "is not a checkpoint folder"),
        (["{own}:Eager"], "5 checks failed"),
    ],
)
def test_check_recogniser_says_what_is_wrong(own, arguments, said):
    with pytest.raises(InputError, match=said):
        CliRunner().invoke(check_recogniser, [a.format(own=own) if "own" in a else a for a in arguments],
                           catch_exceptions=False)  # fmt: skip


def test_each_check_finds_its_fault(own):
    found = {title: (good, said) for title, said, good in verdicts(checks(murmur()), make(f"{own}:Eager", {}))}
    assert "finds 2 words: um number" in found["nobody speaks"][1]
    assert "'um' is said from 20.0 to 21.0 s of 6.00 s" in found["words and times"][1]
    assert "other words the second time" in found["determinism"][1]
    assert found["input"] == (False, "transcribe changes the samples; work on a copy")


def test_worked_example_of_the_docs_from_a_folder_outside_the_repository(tmp_path):
    """The class as printed in the docs, run over two loud stretches of a voice between silence."""
    text = (REPOSITORY / "docs" / "recognisers.md").read_text()
    code = re.search(r"```python\n(.*?class \w+\(Recogniser\).*?)```", text, re.DOTALL)[1]
    path = tmp_path / "mine" / "own.py"
    path.parent.mkdir()
    path.write_text(code)
    name = f"{path}:{re.search(r'class (.+)[(]Recogniser', code)[1]}"
    loud = murmur()[: 2 * RATE_HZ]
    pause = np.zeros(RATE_HZ)
    write_audio(tmp_path / "audio.h5", np.concatenate([pause, loud, pause, loud, pause]), start_s=3.0)
    words = run_words(tmp_path, tmp_path, Unit("clip", "clip.mp4"), [subject("clip", 10.0)], recogniser=name)
    assert {w.word for w in words} == {"la"}
    for word in words:
        assert 3.95 <= word.start_s < word.end_s <= 6.05 or 6.95 <= word.start_s < word.end_s <= 9.05
    assert len(words) == 20, "five syllables a second"


def test_the_tables_of_the_docs_are_what_there_is():
    text = (REPOSITORY / "docs" / "recognisers.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", text.split("## What there is")[1].split("## ")[0], re.MULTILINE))
    assert set(rows) == set(RECOGNISERS.built_in)
    for name, cells in rows.items():
        recogniser = RECOGNISERS.load(name)
        *_, runs_on, weights = cells.split(" | ")
        assert ("GPU" in runs_on, weights.strip() == "yes") == (recogniser.uses_gpu, recogniser.needs_weights)
        section = text.split(f"### `{name}`")[1].split("\n#")[0]
        listed = re.findall(r"^\| `(\w+)` \| `(.*?)` \| (.*) \|$", section, re.MULTILINE)
        assert set(listed) == set(described(RECOGNISERS, name))


def test_a_recogniser_s_digest_is_its_own(own, tmp_path):
    names = [NONE, *RECOGNISERS.built_in, f"{own}:Picky"]
    before = {name: code_of(name) for name in names}
    assert len(set(before.values())) == len(names)
    edited = tmp_path / "edited.py"
    edited.write_text(own.read_text().replace("loudest: float = 0.5", "loudest: float = 0.6"))
    assert code_of(f"{edited}:Picky") != before[f"{own}:Picky"]
    assert "pipeline.words.pieces" not in closure("pipeline.words.command:words", RECOGNISERS.load("faster_whisper"))
    plugs = {target.partition(":")[0] for target in RECOGNISERS.built_in.values()}
    assert not plugs & closure("pipeline.words.command:words"), "a new recogniser reruns nothing that is there"
