"""What is learned: classes and numbers of segments and of frames, in batches, losses and data sets; what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.utils.class_weight import compute_sample_weight

from models.data import Batch, SegmentDataset, collate
from models.fit import Objective
from models.inference import answers
from models.losses import concordance
from models.options import NetworkOptions, TrainingOptions
from models.task import Task
from models.truth import UNKNOWN, Truth, frame_names, segment_truth
from pipeline.records import Assignment, InputError, Label, read_fold, write_labels, write_table
from pipeline.store import FeatureStore
from tests.training_material import (
    class_split,
    classes_of_frames,
    emotional_turns,
    frame_examples,
    frame_labels,
    frame_rows,
    frame_split,
    segment_examples,
    turn_rows,
    videos,
    write_store,
)

NUMBERS, CLASSES = Task.parse("numbers/segment:arousal,dominance"), Task("classes", "segment")
FRAME_NUMBERS, FRAME_CLASSES = Task.parse("numbers/frame:valence,arousal"), Task("classes", "frame")
NAMES = ["calm", "cross", "merry"]
SELF = NetworkOptions(fusion="self_attention")


def options(**changes):
    return TrainingOptions(seeds=[1], **{"window": 20, "window_hop": 15} | changes)


@pytest.fixture(scope="module")
def turns(tmp_path_factory):
    """labels.tsv from 0.5 to 5.5, a split in which some segments are predicted only, and a feature store."""
    folder, segments = tmp_path_factory.mktemp("turns"), emotional_turns()
    rng = np.random.default_rng(0)
    values = rng.uniform(0.5, 5.5, (len(segments), 2)).round(2)
    labels = [Label(s.segment_id, None, dict(zip(NUMBERS.targets, row.tolist()))) for s, row in zip(segments, values)]
    del labels[7].numbers["dominance"]
    write_labels(folder / "labels.tsv", labels)
    split = [replace(a, label=None) for a in class_split(segments)]
    split = [replace(a, part="unlabelled") if a.segment_id == labels[7].segment_id else a for a in split]
    write_table(folder / "split.tsv", split, Assignment)
    store = write_store(folder / "audio.h5", turn_rows(segments, "audio"), "audio")
    known = {row.segment_id: tuple(map(row.numbers.get, NUMBERS.targets)) for row in labels}
    return folder, known, {"audio": FeatureStore(store)}


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Stores of classes and of numbers of frames, features, and a split."""
    folder, segments = tmp_path_factory.mktemp("frames"), videos()
    numbers = frame_labels(segments)
    named = classes_of_frames(numbers)
    of = {"corpus": "affwild2"}
    classes = write_store(folder / "c.h5", named, "label", config={"columns": ["label"], "classes": NAMES}, **of)
    stores = {"audio": FeatureStore(write_store(folder / "a.h5", frame_rows(numbers, "audio"), "audio", **of))}
    wide = {k: replace(r, values=r.values * 4 + 5) for k, r in numbers.items()}
    written = {
        FRAME_CLASSES: FeatureStore(classes),
        FRAME_NUMBERS: FeatureStore(write_store(folder / "n.h5", numbers, "label", **of)),
        "wide": FeatureStore(write_store(folder / "w.h5", wide, "label", **of)),
    }
    return stores, written, {FRAME_CLASSES: named, FRAME_NUMBERS: numbers, "wide": wide}, frame_split(segments)


def numbers_of(turns, **changes):
    folder, _, stores = turns
    rows = read_fold(folder / "split.tsv", 0)
    truth = segment_truth(NUMBERS, folder / "split.tsv", rows, folder / "labels.tsv")
    return rows, segment_examples(stores, rows, NUMBERS, truth, SELF, options(**changes))


def test_numbers_of_segments_come_in_their_order(turns):
    rows, examples = numbers_of(turns)
    batch = examples.batch(np.arange(len(rows)))
    for row, target, known in zip(rows, batch.target, batch.target_mask):
        value = turns[1][row.segment_id]
        assert known == (None not in value) == (row.part != "unlabelled")
        np.testing.assert_allclose(target[0], value[0], rtol=1e-6)
    data = SegmentDataset.from_split(
        {m: store.path for m, store in turns[2].items()}, turns[0] / "split.tsv", 0, "test",
        task=str(NUMBERS), labels=turns[0] / "labels.tsv",
    )  # fmt: skip
    same = collate([data[k] for k in range(5)])
    np.testing.assert_allclose(same.target, [turns[1][name] for name in data.segment_ids[:5]], rtol=1e-6)
    assert same.target_mask.all()
    with pytest.raises(InputError, match=r"take labels.h5 for frames"):
        SegmentDataset.from_split({}, turns[0] / "split.tsv", 0, "test", task="classes/frame")


def test_scale_is_that_of_the_training_part_alone(turns, frames):
    rows, examples = numbers_of(turns)
    training = np.array([turns[1][row.segment_id] for row in rows if row.part == "training"])
    np.testing.assert_allclose(examples.scale["centre"], training.mean(0))
    np.testing.assert_allclose(examples.scale["spread"], training.std(0))
    stores, written, known, split = frames
    assert frame_examples(stores, written[FRAME_NUMBERS], split, FRAME_NUMBERS, SELF, options()).scale is None
    ids = [row.segment_id for row in split if row.part == "training"]
    values = np.concatenate([known["wide"][i].values[known["wide"][i].valid] for i in ids]).astype(np.float64)
    found = frame_examples(stores, written["wide"], split, FRAME_NUMBERS, SELF, options()).scale
    np.testing.assert_allclose(found["centre"], values.mean(0))
    np.testing.assert_allclose(found["spread"], values.std(0))
    published = NetworkOptions(fusion="rjcma", faithful=True)  # its tanh reaches the ends of the range
    found = frame_examples(stores, written["wide"], split, FRAME_NUMBERS, published, options()).scale
    low, high = (np.array(found["centre"]) + sign * np.array(found["spread"]) for sign in (-1, 1))
    np.testing.assert_allclose([low, high], [values.min(0), values.max(0)])


def test_frames_have_the_class_that_their_label_says(frames):
    stores, written, known, split = frames
    examples = frame_examples(stores, written[FRAME_CLASSES], split, FRAME_CLASSES, SELF, options())
    assert examples.names == NAMES
    for item in range(0, len(examples.part), 5):
        batch = examples.batch(np.array([item]))
        rows = known[FRAME_CLASSES][examples.segment_ids[examples.segment[item]]]
        part = slice(examples.first[item], examples.first[item] + examples.count["audio"][item])
        expected = np.where(rows.valid[part], rows.values[part, 0], UNKNOWN)
        assert batch.target[0].tolist() == expected.tolist()
        assert np.array_equal(batch.target_mask[0], rows.valid[part])
    trained = {row.segment_id for row in split if row.part == "training"}
    counted = np.concatenate([r.values[r.valid, 0] for i, r in sorted(known[FRAME_CLASSES].items()) if i in trained])
    assert examples.known("training").tolist() == counted.tolist()


def test_windows_that_overlap_say_the_mean_of_their_probabilities(frames):
    stores, written, _, split = frames
    examples = frame_examples(stores, written[FRAME_CLASSES], split, FRAME_CLASSES, SELF, options())
    items = examples.items("test")
    rng = np.random.default_rng(0)
    said = [rng.normal(size=(n, 3)).astype(np.float32) * 3 for n in examples.count["audio"][items]]
    found = answers(examples, items, said)
    for row in range(0, len(found.segment), 7):
        own = []
        for item, logits in zip(items, said):
            at = found.frame[row] - examples.first[item]
            if examples.segment[item] == found.segment[row] and 0 <= at < len(logits):
                own.append(np.exp(logits[at]) / np.exp(logits[at]).sum())
        np.testing.assert_allclose(np.exp(found.output[row]), np.mean(own, axis=0), rtol=1e-5)


@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_is_over_labelled_frames(frames, weighted):
    stores, written, _, split = frames
    examples = frame_examples(stores, written[FRAME_CLASSES], split, FRAME_CLASSES, SELF, options())
    objective = Objective(examples, options(class_weights=weighted))
    batch = examples.batch(examples.items("training")[:6])
    said = torch.randn(*batch.target.shape, 3, generator=torch.Generator().manual_seed(0))
    truth, p = batch.target[batch.target_mask], said[batch.target_mask].double().softmax(-1)
    weights = None
    if weighted:
        every = examples.known("training")
        weights = compute_sample_weight("balanced", every)
        weights = [weights[np.flatnonzero(every == label)[0]] for label in truth.numpy()]
    expected = log_loss(truth, p, sample_weight=weights, labels=[0, 1, 2])
    assert objective.loss(said, batch).item() == pytest.approx(expected, rel=1e-5)


def test_losses_of_numbers_of_segments(turns):
    _, examples = numbers_of(turns)
    batch = examples.batch(np.arange(40))
    assert not batch.target_mask.all()  # one is predicted only
    said, known = batch.target.nan_to_num(3) + torch.randn(40, 2), batch.target_mask
    expected = 1 - concordance(said[known], batch.target[known], known[known, None]).mean()
    assert Objective(examples, options()).loss(said, batch).item() == pytest.approx(expected.item(), rel=1e-5)
    spread = np.array(examples.scale["spread"])
    expected = mean_squared_error(batch.target[known].numpy() / spread, said[known].numpy() / spread)
    assert Objective(examples, options(loss="mse")).loss(said, batch).item() == pytest.approx(expected, rel=1e-5)


def test_squared_error_where_asked_for():
    """Of each number in units of its deviation in the training part, though none leaves [-1, 1]."""
    trained = np.random.default_rng(0).normal(size=(40, 2)) * [0.2, 0.01]
    known = {"task": NUMBERS, "scale": None, "known": {"training": trained}.get}
    examples = type("Examples", (), known | {"dtype": torch.float32, "device": "cpu"})
    objective = Objective(examples, options(loss="mse"))
    said, target = torch.randn(2, 5, 2), torch.randn(2, 5, 2)
    mask = torch.tensor([[True] * 5, [False] * 5])
    found = objective.loss(said, Batch({}, {}, target, mask, np.arange(2)))
    expected = mean_squared_error(*(x[0].numpy() / trained.std(0) for x in (target, said)))
    assert found.item() == pytest.approx(expected, rel=1e-5)
    assert (objective.score, Objective(type("E", (), {"task": CLASSES}), options()).score) == ("ccc_mean", "accuracy")


def test_what_cannot_be_learned_is_refused(turns, frames, tmp_path):
    folder, _, stores = turns
    rows = read_fold(folder / "split.tsv", 0)

    def ask(task, labels=folder / "labels.tsv", rows=rows):
        return segment_truth(Task.parse(task), folder / "split.tsv", rows, labels)

    with pytest.raises(InputError, match=r"needs labels.tsv"):
        ask("numbers/segment:arousal", None)
    with pytest.raises(InputError, match=r"labels.tsv: .*_F000 \(\w+\) has no pain, which task numbers/segment:pain"):
        ask("numbers/segment:pain")
    with pytest.raises(InputError, match=r"_F000 \(\w+\) has no valence, which task numbers/segment:valence needs"):
        ask("numbers/segment:valence")
    with pytest.raises(InputError, match=r"holds only the label \[\]"):
        ask("classes/segment")
    same = Truth(["arousal"], np.ones((len(rows), 1)))
    with pytest.raises(InputError, match="arousal is 1 in the whole training part"):
        segment_examples(stores, rows, Task.parse("numbers/segment:arousal"), same, SELF, options())
    stores, written, known, split = frames
    for task, store, says in (
        ("numbers/frame:arousal,valence", FRAME_NUMBERS, "labels are valence, arousal, 2 wide, and task"),
        ("classes/frame", FRAME_NUMBERS, "not the number of one of at least two classes"),
        ("numbers/frame:valence,arousal", FRAME_CLASSES, "labels are label, 1 wide"),
    ):
        with pytest.raises(InputError, match=says):
            frame_names(Task.parse(task), written[store])
    strange = {k: replace(r, values=r.values + 1) for k, r in known[FRAME_CLASSES].items()}
    config = {"columns": ["label"], "classes": NAMES}
    path = write_store(tmp_path / "l.h5", strange, "label", corpus="affwild2", config=config)
    with pytest.raises(InputError, match=r"a frame has class 3; the classes are numbered from 0 to 2 \(calm, cross"):
        frame_examples(stores, FeatureStore(path), split, FRAME_CLASSES, SELF, options())
