"""Every family of checkpoints through the real path: made tiny and random from its config, saved, sealed, loaded."""

from itertools import chain

import numpy as np
import pytest

from pipeline import weights
from pipeline.conformance import verdicts
from pipeline.features import registry
from pipeline.features.check import CHECKS
from pipeline.features.checkpoint import load_model
from pipeline.features.command import build
from pipeline.features.piece import AudioPiece, FacePiece, TextPiece
from pipeline.features.pieces import Job
from pipeline.features.provenance import software
from pipeline.features.run import extract_all
from pipeline.features.synthetic import clip
from pipeline.records import InputError
from tests.checkpoint_families import ALL, FAMILIES, WORDS, make_checkpoint, pieces_of

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Make a family's checkpoint once and give its folder."""
    made = {}

    def make(kind, family):
        if family not in made:
            made[family] = make_checkpoint(kind, family, tmp_path_factory.mktemp(family))
        return made[family]

    return make


@pytest.fixture
def extractor(checkpoint):
    def make(kind, family, **options):
        found, known = build(kind, options, checkpoint(kind, family), "cpu")
        assert "model.safetensors" in known["sha256"]
        return found

    return make


@pytest.mark.parametrize(("kind", "family"), ALL)
def test_family_gives_rows_that_do_not_depend_on_the_batch(extractor, kind, family):
    options = {"layers": [1, 2]} if kind == "transformers_text" else {}
    made = extractor(kind, family, **options)
    pieces = pieces_of(made.modality)
    together = made.extract(pieces)
    for piece, rows in zip(pieces, together, strict=True):
        alone = made.extract([piece])[0]
        np.testing.assert_allclose(rows.values, alone.values, atol=2e-4 * np.abs(alone.values).max())
        assert np.array_equal(rows.time_s, alone.time_s)
        assert rows.values.shape[1] == made.dim
        assert rows.values[rows.valid].std() > 1e-3
        if not isinstance(piece, AudioPiece):
            assert np.array_equal(rows.time_s, piece.time_s)
        if isinstance(piece, FacePiece):
            assert np.array_equal(rows.valid, piece.valid)
            assert not rows.values[~piece.valid].any()


@pytest.mark.parametrize("family", ["wav2vec2", "hubert-layer", "whisper", "clip", "roberta"])
def test_family_passes_the_conformance_check(extractor, family):
    kind = next(k for k, families in FAMILIES.items() if family in families)
    bad = [(title, said) for title, said, good in verdicts(CHECKS, extractor(kind, family, layers=[1])) if not good]
    assert not bad


@pytest.mark.parametrize(("kind", "family"), ALL)
def test_layers_are_those_of_the_model_itself(extractor, kind, family):
    """Hidden states asked of the model directly, on inputs that its own processor made, equal our layers."""
    base = extractor(kind, family, layers=[-1])
    piece = pieces_of(base.modality, [1.0])[0]
    hidden = hidden_states(base, piece)
    if family in ("resnet", "convnext"):
        hidden = [state.mean(axis=(2, 3)) for state in hidden]
    elif family in ("siglip", "swin"):
        hidden = [state.mean(axis=1) for state in hidden]
    elif kind == "transformers_image":
        hidden = [state[:, 0] for state in hidden]
    else:
        hidden = [state[0] for state in hidden]
    keep = {"transformers_text": to_words}.get(kind, lambda made, piece, state: state)
    assert len(hidden) == 3
    steps = 3e-3 if kind == "transformers_image" else 1e-4  # pictures are rounded to 8 bits a little differently
    for layer in (0, 1):
        made = extractor(kind, family, layers=[layer])
        rows = made.extract([piece])[0]
        expected = keep(made, piece, hidden[layer])
        got = rows.values[rows.valid]
        if kind == "transformers_audio":
            expected = expected[: len(got)]
        np.testing.assert_allclose(got, expected, atol=steps * np.abs(expected).max())


BESIDE = {"vit": 1, "clip": 1, "siglip": 0, "swin": 0, "deit": 2, "dinov2-registers": 1 + 4, "dinov3": 1 + 3}


@pytest.mark.parametrize(("family", "beside"), BESIDE.items())
def test_places_are_pooled_with_the_class_token_where_there_is_one(extractor, family, beside):
    """The first token stands for the picture in some networks, and is its corner in others.

    Behind it may come what is no place of the picture either, for distillation or as registers.
    """
    piece = pieces_of("video", [1.0])[0]
    layer = {"layers": [1], "combine": "concat"}
    state = hidden_states(extractor("transformers_image", family, **layer), piece)[1]

    def pooled(how):
        return extractor("transformers_image", family, pooling=how, **layer).extract([piece])[0].values[piece.valid]

    if beside:
        expected = {"auto": state[:, 0], "cls": state[:, 0], "mean": state[:, beside:].mean(axis=1)}
    else:
        expected = dict.fromkeys(("auto", "mean"), state.mean(axis=1))
        with pytest.raises(InputError, match=f"{family}.* has no class token; allowed are auto and mean"):
            pooled("cls")
    assert state.shape[1] == beside + 16
    for how, values in expected.items():
        np.testing.assert_allclose(pooled(how), values, atol=3e-3 * np.abs(values).max())


@pytest.mark.parametrize("family", ["vit", "resnet", "beit", "data2vec-vision", "hiera"])
def test_pictures_are_pooled_as_the_models_own_head_does(extractor, checkpoint, family):
    """Its classifier makes the model's own scores of our rows."""
    import torch
    from transformers import AutoModelForImageClassification

    piece = pieces_of("video", [1.0])[0]
    made = extractor("transformers_image", family)
    head = AutoModelForImageClassification.from_pretrained(checkpoint("transformers_image", family))
    rows = torch.from_numpy(made.extract([piece])[0].values[piece.valid])
    with torch.inference_mode():
        expected = head.eval()(made.prepare(piece.crops[piece.valid])).logits
        np.testing.assert_allclose(head.classifier(rows), expected, atol=1e-5)


def test_a_checkpoint_without_what_its_head_would_look_at(extractor):
    with pytest.raises(InputError, match=r"2 weights.*\(pooler\.layernorm.*random numbers; pooling: mean does without"):
        extractor("transformers_image", "beit-pretrained")
    assert extractor("transformers_image", "beit-pretrained", pooling="mean").dim == 32


def test_a_masked_autoencoder_sees_the_whole_picture(extractor, checkpoint):
    """As the model itself does where it is told to hide nothing, and to leave the patches in their order."""
    import torch
    from transformers import ViTMAEModel

    piece = pieces_of("video", [1.0])[0]
    made = extractor("transformers_image", "vit-mae", layers="all", combine="concat", pooling="mean")
    whole = ViTMAEModel.from_pretrained(checkpoint("transformers_image", "vit-mae"), mask_ratio=0.0).eval()
    pixels = made.prepare(piece.crops[piece.valid])
    with torch.inference_mode():
        noise = torch.arange(16.0).expand(len(pixels), -1)
        output = whole(pixels, noise=noise, output_hidden_states=True)
    states = [*output.hidden_states[:-1], output.last_hidden_state]
    expected = torch.cat([state[:, 1:].mean(dim=1) for state in states], dim=1)
    np.testing.assert_allclose(made.extract([piece])[0].values[piece.valid], expected, atol=1e-5)


def test_layers_of_different_widths_are_those_of_the_model_itself(extractor):
    piece = pieces_of("video", [1.0])[0]
    hidden = hidden_states(extractor("transformers_image", "swin-stages"), piece)
    assert [state.shape[-1] for state in hidden] == [8, 16, 32, 32]
    for layer in (0, 1, 2):
        got = extractor("transformers_image", "swin-stages", layers=[layer]).extract([piece])[0].values[piece.valid]
        expected = hidden[layer].mean(axis=1)
        np.testing.assert_allclose(got, expected, atol=3e-3 * np.abs(expected).max())


def test_layers_that_nobody_asks_for_are_not_computed(extractor):
    counts = {
        tuple(layers): len(extractor("transformers_audio", "wav2vec2", layers=layers).model.encoder.layers)
        for layers in ([0], [1], [-1], [0, -1])
    }
    assert counts == {(0,): 1, (1,): 2, (-1,): 2, (0, -1): 2}


def hidden_states(made, piece):
    import torch

    if isinstance(piece, AudioPiece):
        inputs = made.processor(piece.samples, sampling_rate=16_000, return_tensors="pt")
        inputs.pop("attention_mask", None)
    elif isinstance(piece, FacePiece):
        from transformers import AutoImageProcessor

        processor = AutoImageProcessor.from_pretrained(made.weights, local_files_only=True)
        inputs = processor(list(piece.crops[piece.valid]), return_tensors="pt")
    else:
        inputs = one_by_one(made)(piece.words, is_split_into_words=True, return_tensors="pt")
        inputs.pop("token_type_ids", None)
    with torch.inference_mode():
        whole = load_model(made.weights, made.modality, "cpu")
        return [h.numpy() for h in whole(**inputs, output_hidden_states=True).hidden_states]


def one_by_one(made):
    """The checkpoint's tokenizer, for words that come one by one: a byte-level one puts a space before each."""
    from transformers import AutoTokenizer

    found = AutoTokenizer.from_pretrained(made.weights, local_files_only=True)
    if made.name == "roberta":
        found.backend_tokenizer.pre_tokenizer.add_prefix_space = True
    return found


def to_words(made, piece, state):
    ids = one_by_one(made)(piece.words, is_split_into_words=True).word_ids()
    return np.stack([state[[k for k, w in enumerate(ids) if w == i]].mean(axis=0) for i in range(len(piece))])


@pytest.mark.parametrize("family", ["wav2vec2", "wavlm-layer"])
def test_sound_rows_are_placed_by_stride_and_field(extractor, family):
    """Public figures of these front ends: 320 samples from row to row, each row sees 400."""
    made = extractor("transformers_audio", family)
    for samples, count in ((400, 1), (719, 1), (720, 2), (16_000, 49), (100, 1)):
        piece = AudioPiece("s", np.random.default_rng(0).normal(size=samples).astype(np.float32), 16_000, 3.0)
        rows = made.extract([piece])[0]
        assert len(rows) == count
        np.testing.assert_allclose(rows.time_s[:, 0], 3.0 + np.arange(count) * 0.02)
        np.testing.assert_allclose(np.diff(rows.time_s), 0.025)


@pytest.mark.parametrize("family", ["wav2vec2-layer", "whisper"])
def test_what_a_row_hears_lies_in_its_time(extractor, family):
    """Change one sample: the embedding layer changes in the rows whose time holds it and in no other."""
    made = extractor("transformers_audio", family, layers=[0])
    if family != "whisper":  # the positions are added by a convolution over rows: look at what is below it
        made.processor.do_normalize = False
        made.model.encoder.pos_conv_embed.forward = lambda x: x * 0
    piece = clip("audio", 1.0, start_s=0.0)
    rows = made.extract([piece])[0]
    at = 8_000
    changed = piece.samples.copy()
    changed[at] += 0.01
    other = made.extract([AudioPiece("s", changed, 16_000, 0.0)])[0]
    moved = np.abs(rows.values - other.values).max(axis=1) > 1e-7
    holds = (rows.time_s[:, 0] <= at / 16_000) & (at / 16_000 < rows.time_s[:, 1])
    assert moved.any()
    assert not moved[~holds].any()


def test_whisper_rows(extractor):
    made = extractor("transformers_audio", "whisper")
    rows = made.extract([clip("audio", 1.0, start_s=2.0)])[0]
    np.testing.assert_allclose(rows.time_s.mean(axis=1), 2.0 + 0.02 * np.arange(50))
    assert made.cut.length + 2 * made.cut.context <= 30
    with pytest.raises(InputError, match=r"segment s: whisper hears 1500 rows at once, a piece of 31 s has 1550"):
        made.extract([AudioPiece("s", np.zeros(31 * RATE_HZ, np.float32), RATE_HZ, 0.0)])


@pytest.mark.parametrize(
    ("pool_s", "context_s", "piece_s"), [(0.1, 2, 29.8), (9, 2, 27), (10, 2, 30), (29.98, 0, 29.98)]
)
def test_whisper_hears_the_whole_of_each_piece(extractor, pool_s, context_s, piece_s):
    core, context = extractor("transformers_audio", "whisper", pool_s=pool_s, context_s=context_s).cut.samples(RATE_HZ)
    assert (core + 2 * context) / RATE_HZ == pytest.approx(piece_s)


@pytest.mark.parametrize(("pool_s", "context_s", "takes_s"), [(12, 2, 36), (29, 2, 87), (31, 0, 31)])
def test_rows_longer_than_whisper_hears_are_refused(extractor, pool_s, context_s, takes_s):
    with pytest.raises(InputError, match=rf"hears 30 s at once, .* takes {takes_s} s; choose a smaller pool_s"):
        extractor("transformers_audio", "whisper", pool_s=pool_s, context_s=context_s)


def test_pooling_is_the_mean_of_the_rows_centred_in_each_tenth(extractor):
    """Of what was recorded alone, which the last 0.45 s were not; pieces of the sound keep to the same tenths."""
    sound, heard_s = clip("audio", 3.0, start_s=7.0), np.array([[7.0, 9.55]])
    every = extractor("transformers_audio", "wav2vec2").extract([sound])[0]
    made = extractor("transformers_audio", "wav2vec2", pool_s=0.1)
    jobs = [Job("s", sound, observed_s=heard_s, span_s=(7.0, 10.0))]
    ((_, pooled),) = extract_all(made, jobs)
    centre_s = 0.0125 + 0.02 * np.arange(len(every))
    tenth = (centre_s * 10).astype(int)
    assert np.array_equal(pooled.time_s[:, 0].round(9), (7 + 0.1 * np.arange(30)).round(9))
    assert np.array_equal(pooled.time_s[:, 1].round(9), (7.1 + 0.1 * np.arange(30)).round(9))
    for k in range(30):
        mine = every.values[(tenth == k) & (centre_s <= 2.55)]  # at least half of a row is heard
        assert pooled.valid[k] == bool(len(mine))
        np.testing.assert_allclose(pooled.values[k], mine.mean(axis=0) if len(mine) else 0, atol=1e-5)
    assert made.cut.grid == pytest.approx(0.1)
    left = Job("s", AudioPiece("s", sound.samples[:24_000], RATE_HZ, 7.0), (-np.inf, 8.0), heard_s, (7.0, 10.0))
    right = Job("s", AudioPiece("s", sound.samples[8_000:], RATE_HZ, 7.5), (8.0, np.inf), heard_s, (7.0, 10.0))
    parts = [rows for _, rows in extract_all(made, [left, right])]
    np.testing.assert_allclose(np.concatenate([rows.time_s for rows in parts]), pooled.time_s, atol=1e-9)
    assert np.array_equal(np.concatenate([rows.valid for rows in parts]), pooled.valid)


@pytest.mark.parametrize("combine", ["mean", "sum", "concat"])
def test_layers_are_combined(extractor, combine):
    piece = clip("text", 2.0)
    first, second = (extractor("transformers_text", "bert", layers=[n]).extract([piece])[0].values for n in (1, 2))
    got = extractor("transformers_text", "bert", layers=[1, 2], combine=combine).extract([piece])[0].values
    expected = {"mean": (first + second) / 2, "sum": first + second, "concat": np.hstack([first, second])}[combine]
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("family", ["bert", "bert+llama", "bert+gemma"])
def test_long_texts_are_read_in_windows(extractor, family):
    """A text of many windows: every word once, those in the middle of the first window as if it stood alone."""
    made = extractor("transformers_text", family, layers=[2])
    words = [WORDS[i % len(WORDS)] for i in range(300)]
    time_s = np.stack([np.arange(300), np.arange(300) + 0.5], axis=1)
    rows = made.extract([TextPiece("s", words, time_s)])[0]
    assert rows.valid.all()
    assert np.array_equal(rows.time_s, time_s)
    fits = made.extract([TextPiece("s", words[:62], time_s[:62])])[0]  # 64 positions, two of them special tokens
    np.testing.assert_allclose(rows.values[:40], fits.values[:40], atol=1e-5)


def test_positions_behind_the_padding_index_are_not_used_up(extractor):
    """RoBERTa numbers positions from 2: of 66 position embeddings a text can fill 64."""
    made = extractor("transformers_text", "roberta", layers=[2])
    assert made.limit == 64
    made.processor.model_max_length = 10**30
    again = type(made)(made.config, made.weights)
    assert min(again.limit, again._positions()) == 64
    words = [WORDS[i % len(WORDS)] for i in range(300)]
    assert made.extract([TextPiece("s", words, np.stack([np.arange(300.0)] * 2, axis=1))])[0].valid.all()


def test_words_the_tokenizer_drops_are_invalid(extractor):
    made = extractor("transformers_text", "bert", layers=[2])
    rows = made.extract([TextPiece("s", ["hello", " ", "you"], np.array([[0, 1], [1, 2], [2, 3]], float))])[0]
    assert rows.valid.tolist() == [True, False, True]


READ = {  # hello, don't 😂 you: the comma is read, too, where the vocabulary has it
    "bert+clip": [["hello</w>"], ["don</w>", "'t</w>"], ["ðŁĺĤ</w>"], ["you</w>"]],
    "bert+llama": [["Ġhello", ","], ["Ġdon", "'t"], ["ĠðŁĺĤ"], ["Ġyou"]],
    "bert+gemma": [["hello", "[UNK]"], ["▁don't"], ["▁😂"], ["▁you"]],
    "roberta": [["Ġhello", ","], ["Ġ", "d", "o", "n", "'", "t"], ["Ġ", "ð", "Ł", "ĺ", "Ĥ"], ["Ġyou"]],
}


@pytest.mark.parametrize(("family", "read"), READ.items())
def test_words_are_read_as_running_text(extractor, family, read):
    """However a vocabulary marks where a word begins; what each word is cut into was told by hand."""
    import torch

    made = extractor("transformers_text", family, layers=[1])
    cls, sep = (["<s>"], ["</s>"]) if family == "roberta" else (["[CLS]"], ["[SEP]"])
    ids = torch.tensor([made.processor.convert_tokens_to_ids([*cls, *chain(*read), *sep])])
    with torch.inference_mode():
        state = iter(made.model(input_ids=ids, output_hidden_states=True).hidden_states[1][0, 1:].numpy())
    expected = []
    for tokens in read:
        states = [(next(state), token) for token in tokens]
        expected.append(np.mean([values for values, token in states if token not in (",", "'", "[UNK]")], axis=0))
    time_s = np.stack([np.arange(4.0), np.arange(4.0) + 1], axis=1)
    rows = made.extract([TextPiece("s", ["hello,", "don't", "😂", "you"], time_s)])[0]
    assert rows.valid.all()
    np.testing.assert_allclose(rows.values, expected, atol=1e-5)


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_the_written_form_is_read_and_its_punctuation_has_no_row(extractor, family):
    """Asked of the model itself: what words with their commas look like, and of each its own sub-words alone."""
    import torch

    written, time_s = ["Hello,", "you --", "THAT!"], np.array([[0, 1], [1, 2], [2, 3]], float)
    piece = TextPiece("s", ["hello", "you", "that"], time_s, written)
    made = extractor("transformers_text", family, layers=[2])
    inputs = one_by_one(made)(written, is_split_into_words=True, return_tensors="pt", return_offsets_mapping=True)
    lengths = [len("hello"), len("you"), len("that")]
    own = [
        [k for k, w in enumerate(inputs.word_ids()) if w == i and inputs["offset_mapping"][0, k, 0] < lengths[i]]
        for i in range(3)
    ]
    given = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    with torch.inference_mode():
        state = made.model(**given, output_hidden_states=True).hidden_states[2][0].numpy()
    rows = made.extract([piece])[0]
    np.testing.assert_allclose(rows.values, np.stack([state[k].mean(axis=0) for k in own]), atol=1e-5)
    assert np.array_equal(rows.time_s, time_s)
    spoken = extractor("transformers_text", family, layers=[2], form="spoken").extract([piece])[0].values
    plain = made.extract([TextPiece("s", piece.words, time_s)])[0].values
    assert np.array_equal(spoken, plain)
    assert np.abs(spoken - rows.values).max() > 1e-3


def test_whole_texts(extractor):
    piece = clip("text", 2.0)
    made = extractor("transformers_text", "mpnet", layers=[2], pooling="mean")
    rows = made.extract([piece])[0]
    assert np.allclose(rows.time_s, [[piece.time_s[0, 0], piece.time_s[-1, 1]]])
    np.testing.assert_allclose(rows.values[0], hidden_states(made, piece)[2][0].mean(axis=0), atol=1e-5)


@pytest.mark.parametrize(("modality", "family"), [("audio", "wav2vec2"), ("image", "vit"), ("text", "bert")])
def test_bfloat16_gives_nearly_the_same_and_the_store_says_how_nearly(extractor, modality, family):
    kind = f"transformers_{modality}"
    made, exact = (extractor(kind, family, layers="all", precision=each) for each in ("bfloat16", "float32"))
    piece = clip(made.modality, 1.0)
    values, expected = (each.extract([piece])[0].values for each in (made, exact))
    seen = np.abs(expected).sum(axis=1) > 0
    cosines = [float(a @ b / np.sqrt((a @ a) * (b @ b))) for a, b in zip(values[seen], expected[seen], strict=True)]
    assert not np.array_equal(values, expected)
    assert min(cosines) > 0.999
    assert software(made)["arithmetic"] == "bfloat16"
    assert 0 <= min(cosines) - float(software(made)["least cosine to float32"]) < 0.001
    assert made.config.precision == "bfloat16"
    assert not {"arithmetic", "least cosine to float32"} & set(software(exact))


@pytest.mark.parametrize(("kind", "family"), ALL)
def test_weights_kept_in_bfloat16_change_no_number(extractor, kind, family):
    """Of any family: they are what autocast makes of weights in float32."""
    options = {"layers": "last", "combine": "mean"}
    made, exact = (extractor(kind, family, precision=each, **options) for each in ("bfloat16", "float32"))
    exact.config = made.config
    for halved, whole in zip(
        made.extract(pieces_of(made.modality)), exact.extract(pieces_of(made.modality)), strict=True
    ):
        np.testing.assert_array_equal(halved.values, whole.values)


@pytest.mark.parametrize("family", FAMILIES["transformers_image"])
def test_crops_are_prepared_as_the_checkpoint_asks(checkpoint, family):
    """Within two of 255 steps of what the checkpoint's own processor makes of each crop."""
    from pipeline.features.checkpoint import load_processor
    from pipeline.features.image_preparation import ImagePreparation, preparation_of

    processor = load_processor(checkpoint("transformers_image", family), "video")
    crops = np.random.default_rng(0).integers(0, 256, (3, 28, 28, 3), np.uint8).repeat(4, axis=1).repeat(4, axis=2)
    expected = processor(list(crops), return_tensors="pt")["pixel_values"]
    prepare = preparation_of(processor, family)
    assert isinstance(prepare, ImagePreparation)
    got = prepare(crops)
    assert got.shape == expected.shape
    assert (got - expected).abs().max() < 2 / 255 / min(processor.image_std) + 1e-5


@pytest.mark.parametrize("kind", ["EfficientNet", "MobileViT", "Levit", "Perceiver", "GLPN"])
def test_crops_are_prepared_by_a_processor_that_does_more_than_its_settings_say(tmp_path, kind):
    """A second normalisation, colours turned round, a larger edge, the cut before the resizing, whole multiples."""
    import transformers

    from pipeline.features.checkpoint import load_processor
    from pipeline.features.image_preparation import preparation_of

    getattr(transformers, f"{kind}ImageProcessor")().save_pretrained(tmp_path)
    processor = load_processor(tmp_path, "video")
    crops = np.random.default_rng(1).integers(0, 256, (3, 112, 112, 3), np.uint8)
    expected = processor(list(crops), return_tensors="pt")["pixel_values"]
    got = preparation_of(processor, tmp_path)(crops)
    assert got.shape == expected.shape
    assert (got - expected).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("kind", "said"), [("VideoMAE", r"the shape \(1, 1, 3, 224, 224\)"), ("Pix2Struct", "KeyError: 'pixel_values'")]
)
def test_a_processor_of_films_or_pages_is_refused(kind, said):
    import transformers

    from pipeline.features.image_preparation import preparation_of

    processor = getattr(transformers, f"{kind}ImageProcessor")()
    with pytest.raises(InputError, match=f"vit: the checkpoint's {kind}.* single pictures .*{said}.*; choose a"):
        preparation_of(processor, "vit")


def test_a_picture_as_large_as_what_the_network_sees_loses_no_edge():
    from pipeline.features.image_preparation import ImagePreparation

    prepare = ImagePreparation(size=(256, 256), crop=(224, 224))
    picture = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), np.uint8)
    assert np.array_equal(prepare(picture).numpy(), picture.transpose(0, 3, 1, 2))
    assert prepare(picture[:, :112, :112]).shape == (1, 3, 224, 224)


@pytest.mark.parametrize("size", [(36, 36), (224, 224), (48, 64)])
@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_pictures_are_resized_as_by_pil(size, mode):
    from PIL import Image

    from pipeline.features.image_preparation import ImagePreparation

    pixels = np.random.default_rng(0).integers(0, 256, (8, 112, 112, 3), np.uint8)
    how = Image.Resampling[mode.upper()]
    expected = np.stack([np.asarray(Image.fromarray(one).resize(size[::-1], how)) for one in pixels])
    made = ImagePreparation(size=size, mode=mode)(pixels).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(made, expected)


def test_wrong_modality(checkpoint):
    for kind, family, said in (
        ("transformers_text", "wav2vec2", "fits transformers_audio; transformers_text needs a text model"),
        ("transformers_audio", "vit", "fits transformers_image; transformers_audio needs an audio model"),
        ("transformers_image", "bert", "fits transformers_text; transformers_image needs an image model"),
    ):
        own = next(k for k, families in FAMILIES.items() if family in families)
        with pytest.raises(InputError, match=said):
            build(kind, {}, checkpoint(own, family), "cpu")


def test_layer_out_of_range(extractor):
    with pytest.raises(InputError, match=r"layers 0 \(embedding\) to 2.*\[3\] is out of range"):
        extractor("transformers_audio", "wav2vec2", layers=[3]).dim  # noqa: B018 - where a run asks first
    with pytest.raises(InputError, match="layers of one width"):
        extractor("transformers_image", "resnet", layers="all").dim  # noqa: B018
    assert extractor("transformers_image", "resnet", layers="all", combine="concat").dim == 8 + 8 + 16


def test_weights_that_are_missing_from_the_file(checkpoint, tmp_path):
    import shutil

    from safetensors.torch import load_file, save_file

    folder = shutil.copytree(checkpoint("transformers_text", "bert"), tmp_path / "w")
    tensors = load_file(folder / "model.safetensors")
    name = next(k for k in tensors if "layer.1.attention.self.query.weight" in k)
    del tensors[name]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    weights.seal(folder, "broken")
    with pytest.raises(InputError, match=r"1 weights .* not in the checkpoint.*layer\.1\.attention\.self\.query"):
        build("transformers_text", {}, folder, "cpu")


def test_pickle_is_not_read_unless_fetched_so(checkpoint, tmp_path):
    import shutil

    import torch
    from safetensors.torch import load_file

    folder = shutil.copytree(checkpoint("transformers_text", "bert"), tmp_path / "w")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    weights.seal(folder, "pickled")
    with pytest.raises(InputError, match="allow_pickle"):
        build("transformers_text", {"layers": [2]}, folder, "cpu")
    weights.seal(folder, "pickled", allow_pickle=True)
    made, _ = build("transformers_text", {"layers": [2]}, folder, "cpu")
    whole, _ = build("transformers_text", {"layers": [2]}, checkpoint("transformers_text", "bert"), "cpu")
    piece = clip("text")
    assert np.array_equal(made.extract([piece])[0].values, whole.extract([piece])[0].values)


@pytest.mark.parametrize(("kind", "family"), [(k, f[0]) for k, f in FAMILIES.items()])
def test_extraction_asks_no_network(checkpoint, kind, family, monkeypatch):
    import socket

    def refuse(*args):
        raise AssertionError(f"somebody connects to {args[1:]}")

    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    made, _ = build(kind, {"layers": [1]}, checkpoint(kind, family), "cpu")
    assert made.dim == 32


def test_weights_are_asked_for():
    for kind in FAMILIES:
        with pytest.raises(InputError, match="needs a checkpoint"):
            registry.EXTRACTORS.load(kind)(registry.EXTRACTORS.options_for(kind), None)


def test_words_of_another_language_are_said(extractor, caplog):
    made = extractor("transformers_text", "bert", layers=[2])
    time_s = np.stack([np.arange(300.0), np.arange(300.0) + 1], axis=1)
    made.extract([TextPiece("s", ["hello", "you", "that"] * 100, time_s)])
    assert caplog.text == ""
    for _ in range(2):
        made.extract([TextPiece("s", ["नमस्ते", "दुनिया", "hello"] * 100, time_s)])
    assert caplog.text.count("words are unknown to its tokenizer") == 1
