"""Dialog context: which turns come before, by a slow search; and that nothing later, absent or elsewhere counts."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from models.__main__ import main
from models.data import Batch
from models.dialog import Before, DialogRecurrence, turns_before
from models.items import segment_items
from models.network import build
from models.options import NetworkOptions, TrainingOptions, check_network
from models.task import Task
from models.truth import Truth
from models.wording import sentences, title
from pipeline.records import Assignment, InputError, Segment, write_table
from pipeline.store import FeatureStore, Rows
from tests.training_material import (
    CLASSES,
    NETWORKS,
    TRAINING,
    check_said_again,
    class_split,
    emotional_turns,
    train_arguments,
    turn_rows,
    write_store,
)

TASK = Task("classes", "segment")
CONTEXT = NETWORKS["segment"] | {"context": 2}


def turn(name, start_s, end_s, speaker="a", dialog="d"):
    return Segment(name, dialog, speaker, None, None, start_s, end_s, dialog=dialog)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 5), st.sampled_from("de")), max_size=12), st.integers(0, 4))
def test_turns_before_are_those_of_a_slow_search(drawn, most):
    turns = [turn(f"t{k:02d}", s, s + length, dialog=d) for k, (s, length, d) in enumerate(drawn)]
    found = turns_before(turns, most)
    assert set(found) == {t.segment_id for t in turns}
    for one in turns:
        known = [t for t in turns if t.dialog == one.dialog and t.start_s < one.start_s and t.end_s <= one.end_s]
        known.sort(key=lambda t: (t.start_s, t.segment_id), reverse=True)
        assert found[one.segment_id] == known[:most]


def test_times_of_two_recordings_do_not_tell_what_came_first():
    """File b was recorded after file a, and both count from their own first frame."""
    spans = {"a1": (0, 4), "a2": (4, 9), "b1": (0, 3), "b2": (3, 8)}
    turns = [Segment(name, name[0], "x", start_s=s, end_s=e, dialog="d") for name, (s, e) in spans.items()]
    names = lambda found: {name: [t.segment_id for t in before] for name, before in found.items()}  # noqa: E731
    assert names(turns_before(turns, 5)) == {"a1": [], "a2": ["a1"], "b1": [], "b2": ["b1"]}
    numbered = [replace(t, turn=number) for t, number in zip(turns, (1, 2, 10, 11), strict=True)]
    assert names(turns_before(numbered, 2)) == {"a1": [], "a2": ["a1"], "b1": ["a2", "a1"], "b2": ["b1", "a2"]}


def test_the_recurrence_equals_torchs_gru_on_the_turns_in_their_order():
    torch.manual_seed(0)
    module = DialogRecurrence(5, 3).double()
    gru = nn.GRU(3, 3, batch_first=True).double()
    gru.load_state_dict({f"{name}_l0": weight for name, weight in module.recurrence.state_dict().items()})
    vectors = torch.randn(4, 5, dtype=torch.float64)  # items 0 and 1; 2 and 3 are before them
    before = Before(torch.tensor([[3, 2], [-1, -1]]), torch.tensor([[True, False], [False, False]]))
    out = module(vectors, before)
    speaker, x = module.speaker.weight, module.projection(vectors)
    first = torch.stack([x[2] + speaker[0], x[3] + speaker[1], x[0] + speaker[1]])
    alone = (x[1] + speaker[1])[None]
    torch.testing.assert_close(out[0], torch.cat([vectors[0], gru(first[None])[0][0, -1]]))
    torch.testing.assert_close(out[1], torch.cat([vectors[1], gru(alone[None])[0][0, -1]]))
    torch.testing.assert_close(module(vectors[1:2], None)[0], out[1])  # a first turn is one without context


def test_all_of_the_context_hears_the_turns_before_and_all_of_it_learns():
    torch.manual_seed(0)
    module = DialogRecurrence(5, 4).double()
    vectors = torch.randn(3, 5, dtype=torch.float64, requires_grad=True)
    before = Before(torch.tensor([[2, 1]]), torch.tensor([[True, False]]))
    out = module(vectors, before)[0]
    assert len(out) == 5 + module.added == 5 + 4
    for unit in out[5:]:
        (grad,) = torch.autograd.grad(unit, vectors, retain_graph=True)
        assert grad.any(1).all()  # by the turn and by both before it
    out.square().sum().backward()
    assert all(p.grad.any() for p in module.parameters())


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    """Two dialogs of six turns each, the fourth turn of the first without any row, and a network that hears them."""
    folder = tmp_path_factory.mktemp("dialog")
    turns = emotional_turns(sessions=1, dialogs=2, turns=6)
    rows = {m: turn_rows(turns, m, missing=[turns[3].segment_id]) for m in ("audio", "text")}
    torch.manual_seed(1)
    network = build(NetworkOptions(**CONTEXT), {"audio": 12, "text": 8}, TASK, len(CLASSES), {}).eval()
    return folder, turns, rows, network


def batch_of(folder, turns, rows, asked, name="x", changed=()) -> Batch:
    """The batch of some turns; features of the ``changed`` ones are others."""
    stores = {}
    for m, of_turns in rows.items():
        other = {t: Rows(r.values + 3 * (t in changed), r.time_s, r.valid) for t, r in of_turns.items()}
        stores[m] = FeatureStore(write_store(folder / f"{name}-{m}.h5", other, m))
    options = NetworkOptions(**CONTEXT), TrainingOptions(seeds=[1])
    assignments = [Assignment(t, 0, "test", CLASSES[0]) for t in asked]
    truth = Truth(list(CLASSES), np.zeros(len(asked), np.int64))
    examples = segment_items(stores, assignments, TASK, truth, *options, segments=turns)
    one = lambda values, mask: values.float().masked_fill(~mask.unsqueeze(-1), 0)  # noqa: E731
    examples.normalisers = dict.fromkeys(stores, one)
    return examples.batch(np.arange(len(asked)))


@torch.no_grad()
def test_what_comes_later_or_is_out_of_reach_changes_nothing(material):
    folder, turns, rows, network = material
    names = [t.segment_id for t in turns[:6]]
    before = network(*batch_of(folder, turns, rows, names, "before").given)
    for k, name in enumerate(names):
        after = network(*batch_of(folder, turns, rows, names, f"after{k}", [name]).given)
        same = [torch.equal(a, b) for a, b in zip(before, after)]
        # Turn k is heard by itself and by the two after it; one without rows is heard by nobody.
        assert same == [not (k <= i <= k + 2) or k == 3 for i in range(6)]


@torch.no_grad()
def test_a_turn_is_heard_alike_in_every_batch_and_the_first_as_one_without_context(material):
    folder, turns, rows, network = material
    names = [t.segment_id for t in turns]
    together = batch_of(folder, turns, rows, names, "together")
    assert len(together.before.row) == len(names) == len(together)
    assert (together.before.row[0] == -1).all()
    assert together.before.same[2].tolist() == [False, True]  # two people take turns
    outcome = network(*together.given)
    for k in (0, 3, 5, 6, 11):
        alone = batch_of(folder, turns, rows, [names[k]], f"alone{k}")
        assert len(alone.values["audio"]) == 1 + min(k % 6, 2)
        torch.testing.assert_close(network(*alone.given)[0], outcome[k], rtol=1e-5, atol=1e-6)
    first = batch_of(folder, turns, rows, [names[0]], "first")
    torch.testing.assert_close(network(first.values, first.masks)[0], outcome[0], rtol=1e-5, atol=1e-6)


def test_a_run_with_context_is_trained_and_says_what_it_read(tmp_path):
    turns = emotional_turns()
    write_table(tmp_path / "segments.tsv", turns, Segment)
    write_table(tmp_path / "split.tsv", class_split(turns), Assignment)
    audio = write_store(tmp_path / "audio.h5", turn_rows(turns, "audio"), "audio")
    given = (tmp_path, "segment", tmp_path / "split.tsv", {"audio": audio}, "run", CONTEXT)
    arguments = train_arguments(*given, TRAINING["segment"] | {"seeds": [1], "epochs": 2, "normalise": "speaker"})
    with pytest.raises(InputError, match="give who speaks, and in which order, as --segments"):
        CliRunner().invoke(main, ["train", *arguments], catch_exceptions=False, standalone_mode=False)
    done = CliRunner().invoke(main, ["train", *arguments, "--segments", str(tmp_path / "segments.tsv")])
    assert done.exit_code == 0, done.output
    run = json.loads((tmp_path / "run/seed1/run.json").read_text())
    assert set(run["inputs"]) == {"split", "audio", "segments"}
    assert run["network"]["context"] == 2
    check_said_again(tmp_path / "run/seed1", tmp_path / "split.tsv", {"audio": audio}, turns)
    single = [Segment(t.segment_id, t.segment_id, t.speaker, t.session, None, 0.0, 1.0) for t in turns]
    write_table(tmp_path / "segments.tsv", single, Segment)
    with pytest.raises(InputError, match="has no turn before another in its dialog or recording; set it to 0"):
        CliRunner().invoke(
            main,
            ["train", *arguments, "--segments", str(tmp_path / "segments.tsv")],
            catch_exceptions=False,
            standalone_mode=False,
        )


def test_context_is_refused_where_it_means_nothing_and_named_where_it_is():
    both = ["audio", "text"]
    for wrong in ({"fusion": "late"}, {"fusion": "self_attention", "faithful": True}):
        with pytest.raises(InputError, match="dialog context is for segments"):
            check_network(NetworkOptions(context=3, **wrong), both, TASK)
    with pytest.raises(InputError, match="dialog context is for segments"):
        check_network(NetworkOptions(fusion="rcma", context=3), both, Task("numbers", "frame", ("valence",)))
    heard = NetworkOptions(fusion="self_attention", context=3)
    check_network(heard, both, TASK)
    check_network(NetworkOptions(fusion="rcma", width=15, context=3), both, TASK)
    assert title(heard) == "self-attention (3 turns before)"
    assert "up to 3 turns before, by either speaker" in sentences(heard)
