"""Raters' votes as training targets: against counts by hand, on IEMOCAP's true dialogs, and by torch's loss."""

import json
import random
import shutil
from collections import defaultdict

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner

from models.__main__ import main
from models.apply.pack import _trained
from models.job import Job, load_examples
from models.losses import cross_entropy_of_shares, inverse_frequencies
from models.options import NetworkOptions, TrainingOptions, check_training
from models.protocols.labels import usable
from models.protocols.leaks import leaks
from models.protocols.split import assign
from models.protocols.targets import Target, counted, targets, votes
from models.task import Task
from models.truth import rated
from models.wording import sentences
from pipeline.records import OBSERVER, SELF, Assignment, InputError, Rating, Segment, read_fold, read_table, write_table
from tests.iemocap_turns import SEVEN, turns_and_labels
from tests.training_material import (
    CLASSES,
    NETWORKS,
    TRAINING,
    class_split,
    emotional_turns,
    labels_of,
    train_arguments,
    turn_rows,
    write_store,
)


def test_votes_are_those_of_a_count_by_hand():
    said = [("E1", "neu"), ("E2", "ang,exc,hap"), ("E4", "oth"), ("F1", "sad"), ("E5", "hap,oth")]
    found = votes(
        (Rating("a", rater, labels, SELF if rater == "F1" else OBSERVER) for rater, labels in said), {"exc": "hap"}
    )
    assert found == {"a": {"E1": ["neu"], "E2": ["ang", "hap"], "E4": ["oth"], "E5": ["hap", "oth"]}}
    assert counted(found["a"], ["ang", "hap", "neu", "sad"]) == {"neu": 1, "ang": 0.5, "hap": 1}
    assert counted({"E4": ["oth"]}, ["ang", "neu"]) == {}


def test_what_is_mostly_another_label_is_no_example():
    said = {"a": "ang", "b": "neu", "x": "ang neu sad", "y": "ang fea fea", "z": "neu fea", "w": "fea,ang neu fea"}
    segments = [Segment(name, name, name, None, None, 0.0, 1.0) for name in said]
    split = [Assignment("a", 0, "training", "ang"), Assignment("b", 0, "training", "neu")]
    ratings = [Rating(i, f"E{k}", one) for i, words in said.items() for k, one in enumerate(words.split())]
    rows = targets(split, segments, ratings, {})
    found = {(row.segment_id, row.label): row.share for row in rows}
    # Of x two of three votes count; of z half do, of w half of the first and the second; of y one of three.
    expected = {("a", "ang"): 1, ("b", "neu"): 1, ("x", "ang"): 0.5, ("x", "neu"): 0.5, ("z", "neu"): 1}
    assert found == pytest.approx({**expected, ("w", "ang"): 1 / 3, ("w", "neu"): 2 / 3})


@pytest.fixture(scope="module")
def corpus():
    """IEMOCAP's turns, each rated by three: two say its label and one another; of xxx each says something else."""
    segments, labels = turns_and_labels()
    ratings = []
    for row in labels:
        three = random.Random(row.segment_id).sample(SEVEN, 3)
        said = three if row.label == "xxx" else [row.label, row.label, three[0]]
        ratings += [Rating(row.segment_id, f"E{k}", one) for k, one in enumerate(said)]
    return segments, labels, ratings


@pytest.mark.parametrize("protocol", ["scenario", "utterance"])
def test_turns_without_a_majority_train_where_nothing_held_out_is_known_from_them(corpus, protocol):
    segments, labels, ratings = corpus
    label, _ = usable(Task("classes", "segment"), segments, labels, SEVEN)
    split = assign(segments, protocol, label, seed=337)
    rows = targets(split, segments, ratings, {})
    known = {row.segment_id: row.label for row in labels}
    of_fold = defaultdict(set)
    for row in rows:
        of_fold[row.fold].add(row.segment_id)
    with_them = []
    assert of_fold.keys() == {row.fold for row in split} != set()
    for fold, ids in of_fold.items():
        own = [row for row in split if row.fold == fold]
        held = {row.segment_id for row in own if row.part in ("development", "test")}
        trains = {row.segment_id for row in own if row.part == "training"}
        assert trains <= ids
        assert not ids & held
        assert {known[i] for i in ids - trains} == {"xxx"}  # of fea, oth and dis two of three votes are for no class
        dialogs = {i.rpartition("_")[0] for i in trains}  # of which no turn is held out, but for random turns
        assert {i for i in ids if known[i] == "xxx"} == {
            i for i in known if known[i] == "xxx" and (protocol == "utterance" or i.rpartition("_")[0] in dialogs)
        }
        with_them += own + [Assignment(i, fold, "training") for i in ids - trains]
    before, after = ({(r.fold, r.part, r.group): r.shared for r in leaks(one, segments)} for one in (split, with_them))
    assert after == before
    total = defaultdict(float)
    for row in rows:
        total[row.fold, row.segment_id] += row.share
    assert set(np.round(list(total.values()), 9)) == {1.0}


def test_official_parts_and_styles_are_kept_apart():
    def turn(name, part, style="improvised"):
        return Segment(name, name, name, None, part, 0.0, 1.0, style=style)

    parts = {"a": "training", "b": "training", "c": "development", "d": "test"}
    segments = [turn(name, part) for name, part in parts.items()]
    segments += [turn("x", "test"), turn("y", "training"), turn("z", "training", "scripted"), turn("w", None)]
    split = [Assignment(name, 0, part, "ang" if name in "ac" else "neu") for name, part in parts.items()]
    rows = targets(split, segments, [Rating(s.segment_id, "E1", "ang,neu") for s in segments], {})
    assert {row.segment_id for row in rows} == {"a", "b", "y"}


def test_a_labelled_turn_without_a_vote_is_left_out_and_counted(caplog):
    caplog.set_level("INFO")
    segments = emotional_turns()
    split = class_split(segments)
    training = [row.segment_id for row in split if row.fold == 0 and row.part == "training"]
    ratings = [Rating(s.segment_id, "E1", "oth" if s.segment_id == training[0] else "ang") for s in segments[1:]]
    rows = [row for row in targets(split, segments, ratings, {}) if row.fold == 0]
    assert {row.segment_id for row in rows} == set(training) - {training[0], segments[0].segment_id}
    assert f"1 of {len(training)} labelled ones are left out" in caplog.text
    assert f"such as {training[0]}" in caplog.text
    with pytest.raises(InputError, match=r"no single rater's vote is known for any of ang, neu, sad.*majority"):
        targets(split, segments, [Rating(segments[0].segment_id, "F1", "ang", SELF)], {})


def test_rows_that_train_are_those_with_votes():
    rows = [Assignment(i, 0, part, "ang") for i, part in zip("abcd", ("training", "training", "development", "test"))]
    rows += [Assignment("e", 0, "unlabelled")]
    found, counts = rated(rows, [Target("b", 0, "ang", 1.0), Target("e", 0, "neu", 1.0), Target("f", 0, "neu", 1.0)])
    assert [r.segment_id for r in found] == list("bcdeef")
    assert [r.part for r in found] == ["training", "development", "test", "training", "unlabelled", "training"]
    assert counts == {"added": 2, "left_out": 1}


@pytest.mark.parametrize("weighed", [False, True])
def test_the_loss_is_torchs(weighed):
    torch.manual_seed(0)
    logits, label = torch.randn(9, 4, dtype=torch.float64), torch.tensor([0, 1, 1, 3, 3, 3, 0, 1, 0])
    weights = inverse_frequencies(torch.bincount(label, minlength=4)).double() if weighed else None
    hard = cross_entropy_of_shares(logits, F.one_hot(label, 4).double(), weights)
    assert hard.item() == pytest.approx(F.cross_entropy(logits, label, weights).item(), rel=1e-12)
    soft = torch.rand(9, 4, dtype=torch.float64).softmax(-1)
    if not weighed:
        assert cross_entropy_of_shares(logits, soft).item() == pytest.approx(F.cross_entropy(logits, soft).item())
    some = torch.cat([soft, torch.zeros(3, 4)])
    more = torch.cat([logits, torch.randn(3, 4)])
    assert cross_entropy_of_shares(more, some, weights).item() == pytest.approx(
        cross_entropy_of_shares(logits, soft, weights).item()
    )


@pytest.fixture(scope="module")
def votes_of_turns(tmp_path_factory):
    """Split, sound and targets of a small corpus: turns of the third dialogs have votes and no label."""
    folder = tmp_path_factory.mktemp("votes")
    segments = emotional_turns()
    labels = labels_of(segments)
    known = [row for row in labels if "impro03" not in row.segment_id]
    write_table(folder / "segments.tsv", segments, Segment)
    write_table(folder / "split.tsv", class_split(segments, labels=known), Assignment)
    said = [Rating(r.segment_id, f"E{k}", one) for r in labels for k, one in enumerate((r.label, r.label, "ang,neu"))]
    write_table(folder / "raters.tsv", said, Rating)
    files = [x for name in ("segments", "raters", "split") for x in (f"--{name}", str(folder / f"{name}.tsv"))]
    done = CliRunner().invoke(main, ["targets", *files, "--out", str(folder / "targets.tsv")])
    assert done.exit_code == 0, done.output
    return folder, write_store(folder / "audio.h5", turn_rows(segments, "audio"), "audio")


def test_training_learns_the_votes_and_is_judged_by_the_labels(tmp_path, votes_of_turns):
    folder, audio = votes_of_turns
    split, table = folder / "split.tsv", read_table(folder / "targets.tsv", Target)
    options = TRAINING["segment"] | {"targets": "raters", "seeds": [1]}
    arguments = train_arguments(tmp_path, "segment", split, {"audio": audio}, "run", NETWORKS["segment"], options)
    done = CliRunner().invoke(main, ["train", *arguments, "--targets", str(folder / "targets.tsv")])
    assert done.exit_code == 0, done.output
    run = json.loads((tmp_path / "run/seed1/run.json").read_text())
    fold = read_fold(split, 0)
    training = {row.segment_id for row in fold if row.part == "training"}
    voted = {row.segment_id for row in table if row.fold == 0}
    assert run["rated"] == {"added": len(voted - training), "left_out": 0}
    assert run["items"]["training"] == len(voted) > len(training) > 0
    assert run["items"]["test"] == sum(row.part == "test" for row in fold)
    assert set(run["inputs"]) == {"split", "audio", "targets"}

    network, training = NetworkOptions(**NETWORKS["segment"]), TrainingOptions(**options)
    what = "self", Task("classes", "segment"), "A", 0, split, {"audio": audio}, None, network, training, tmp_path
    job = Job(*what, targets=folder / "targets.tsv")
    examples = load_examples(job, "cpu")
    items = examples.items("training")
    batch = examples.batch(items)
    share = {(row.segment_id, row.label): row.share for row in table if row.fold == 0}
    ids = [examples.segment_ids[examples.segment[i]] for i in items]
    wanted = [[share.get((i, name), 0.0) for name in CLASSES] for i in ids]
    np.testing.assert_allclose(batch.target.numpy(), wanted, rtol=1e-6)
    assert batch.target_mask.all()


def test_a_packed_model_knows_what_trained_it(tmp_path, votes_of_turns):
    folder, _ = votes_of_turns
    for name in ("splits", "targets"):
        (tmp_path / name).mkdir()
        shutil.copy(
            folder / f"{name.removesuffix('s') if name == 'splits' else name}.tsv", tmp_path / name / "session.tsv"
        )
    rows, votes = read_table(folder / "split.tsv", Assignment), read_table(folder / "targets.tsv", Target)
    for folds in ({0}, {0, 3}):
        labelled, voted = (
            {row.segment_id for row in made if row.part == "training"}
            for made in (_trained(tmp_path, "session.tsv", folds, by_votes) for by_votes in (False, True))
        )
        assert labelled == {row.segment_id for row in rows if row.fold in folds and row.part == "training"}
        assert voted == {row.segment_id for row in votes if row.fold in folds} > labelled


def test_what_makes_no_sense_is_refused(tmp_path, votes_of_turns):
    folder, audio = votes_of_turns
    given = (tmp_path, "segment", folder / "split.tsv", {"audio": audio}, "run", NETWORKS["segment"])
    arguments = train_arguments(*given, TRAINING["segment"] | {"targets": "raters"})
    with pytest.raises(InputError, match="give their votes as --targets"):
        CliRunner().invoke(main, ["train", *arguments], catch_exceptions=False, standalone_mode=False)
    raters = TrainingOptions(seeds=[1], targets="raters")
    for task in ("numbers/segment:valence", "classes/frame"):
        with pytest.raises(InputError, match="set it to majority"):
            check_training(raters, Task.parse(task))
    weighted = TrainingOptions(seeds=[1], class_weights=True)
    check_training(weighted, Task.parse("classes/frame"))
    with pytest.raises(InputError, match=r"class_weights true, task numbers/segment:valence: .*set it to false"):
        check_training(weighted, Task.parse("numbers/segment:valence"))
    faithful = NetworkOptions(fusion="self_attention", faithful=True)
    assert raters.for_network(faithful).targets == "majority"
    assert "votes of all raters" in sentences(NetworkOptions(fusion="self_attention", training={"targets": "raters"}))
    by_speaker = NetworkOptions(fusion="self_attention", training={"normalise": "speaker"})
    assert "For this model features were normalised by the moments of each speaker" in sentences(by_speaker)
