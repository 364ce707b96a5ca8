"""What is trained with: learning rates to choose from, modalities withheld, and the loss that the options name."""

import csv
import json
import math

import pytest
import torch
from click.testing import CliRunner

from models import fit as fitting
from models.__main__ import main
from models.data import Batch
from models.losses import ccc_loss
from models.options import NetworkOptions, TrainingOptions
from models.task import Task
from pipeline.records import Assignment, InputError, write_table
from tests.network_material import TASKS
from tests.training_material import (
    NETWORKS,
    TRAINING,
    class_split,
    contents,
    emotional_turns,
    task_job,
    train_arguments,
    turn_rows,
    write_material,
    write_store,
)

RATES = [0.0001, 0.01, 0.003]


@pytest.fixture(scope="module")
def turns(tmp_path_factory):
    """Split and feature stores of the segment task."""
    folder = tmp_path_factory.mktemp("turns")
    segments = emotional_turns()
    write_table(folder / "split.tsv", class_split(segments), Assignment)
    return folder / "split.tsv", {
        m: write_store(folder / f"{m}.h5", turn_rows(segments, m, 0.3), m) for m in ("audio", "text")
    }


def train(tmp_path, turns, out, network=NETWORKS["segment"], fold=0, **changes):
    """Train one seed; returns its folder and run.json."""
    options = TRAINING["segment"] | {"seeds": [1]} | changes
    arguments = train_arguments(tmp_path, "segment", *turns, out, network, options, fold=fold)
    CliRunner().invoke(main, ["train", *arguments], catch_exceptions=False)
    folder = tmp_path / out / "seed1"
    return folder, json.loads((folder / "run.json").read_text())


def test_each_fold_of_a_seed_draws_for_itself(tmp_path, turns, monkeypatch):
    """Weights, order and dropout: the bootstrap adds the seeds' variances of the folds, as if each were drawn anew."""
    drawn = []
    build, batches, learn = fitting.build, fitting.training_batches, fitting.Run.learn

    def noting(what, function):
        def noted(*given, **options):
            state = given[-1].bit_generator.state["state"]["state"] if what == "order" else torch.initial_seed()
            drawn.append((what, state))
            return function(*given, **options)

        return noted

    monkeypatch.setattr(fitting, "build", noting("weights", build))
    monkeypatch.setattr(fitting, "training_batches", noting("order", batches))
    monkeypatch.setattr(fitting.Run, "learn", noting("dropout", learn))
    for fold in (0, 1, 2):
        train(tmp_path, turns, f"fold{fold}", fold=fold, seeds=[1, 2], epochs=2)
    assert len(set(drawn)) == len(drawn) == 3 * 2 * (1 + 2 + 2)
    assert len({state for _, state in drawn}) == len(drawn)
    before = list(drawn)
    train(tmp_path, turns, "again", fold=0, seeds=[1, 2], epochs=2)
    assert drawn[len(before) :] == before[:10]


def history(folder):
    with open(folder / "history.csv", newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_learning_rate_is_chosen_on_the_development_part(tmp_path, turns):
    alone = {rate: train(tmp_path, turns, f"one{rate}", learning_rate=rate) for rate in RATES}
    folder, facts = train(tmp_path, turns, "all", learning_rate=RATES)
    scores = {rate: known["selected"]["development_accuracy"] for rate, (_, known) in alone.items()}
    assert len(set(scores.values())) > 1
    best = max(RATES, key=scores.get)  # the first of equals
    assert facts["chosen"] == {"learning_rate": best}
    assert {one["learning_rate"]: one["development_score"] for one in facts["tried"]} == scores
    assert [one["epochs"] for one in facts["tried"]] == [known["epochs"] for _, known in alone.values()]
    for name in ("history.csv", "predictions.parquet", "checkpoint.safetensors"):  # as if it had been the only one
        assert (folder / name).read_bytes() == (alone[best][0] / name).read_bytes()
    assert history(folder)[0]["learning_rate"] == str(best)
    assert not list(folder.glob("resume*"))
    assert alone[best][1]["chosen"] == {"learning_rate": best}
    assert len(alone[best][1]["tried"]) == 1


def test_a_rate_that_leads_nowhere_is_named_and_the_others_go_on(tmp_path, turns, caplog):
    caplog.set_level("INFO")
    _, facts = train(tmp_path, turns, "some", learning_rate=[1e30, 0.01])
    assert facts["chosen"] == {"learning_rate": 0.01}
    assert [one["development_score"] is None for one in facts["tried"]] == [True, False]
    assert "learning rate 1e+30: leads nowhere: seed 1: the loss is nan" in caplog.text
    assert [one["epochs"] for one in facts["tried"]] == [1, 3]
    assert all(one["seconds"] > 0 for one in facts["tried"])  # of what led nowhere, too
    with pytest.raises(InputError, match="lower training"):
        train(tmp_path, turns, "none", learning_rate=[1e30, 1e29])


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_a_network_that_its_last_step_has_spoilt_is_not_selected(tmp_path, task):
    """The only step of the only epoch: the loss of training was a number before it."""
    material, once = write_material(tmp_path, task), {"seeds": [1], "epochs": 1, "batch_size": 999}
    arguments = task_job(tmp_path, task, *material, "some", learning_rate=[1e30, 0.01], **once)
    CliRunner().invoke(main, ["train", *arguments], catch_exceptions=False)
    facts = json.loads((tmp_path / "some" / "seed1" / "run.json").read_text())
    assert facts["chosen"] == {"learning_rate": 0.01}
    assert [one["development_score"] is None for one in facts["tried"]] == [True, False]
    arguments = task_job(tmp_path, task, *material, "none", learning_rate=1e30, **once)
    with pytest.raises(InputError, match="seed 1: the development loss is nan in epoch 1; lower training"):
        CliRunner().invoke(main, ["train", *arguments], catch_exceptions=False)


def test_options_that_change_no_result_are_in_no_digest_wherever_they_stand(tmp_path, turns):
    idle = {"memory_budget_gb": 1.0, "resume_every_s": 3.0, "device": "cpu"}
    said = [{}, idle, {"weight_decay": 0.1}, {"weight_decay": 0.1, **idle}]
    networks = [NETWORKS["segment"] | {"training": own} for own in said]
    facts = [train(tmp_path, turns, f"own{k}", one, epochs=1)[1] for k, one in enumerate(networks)]
    plain, also_plain, decay, also_decay = (one["digest"] for one in facts)
    assert (plain, decay) == (also_plain, also_decay)
    assert plain != decay
    for k in (0, 2):  # without such options everything is in it
        assert facts[k]["network"] == NetworkOptions(**networks[k]).model_dump()


def test_a_folder_that_somebody_has_left_with_a_seed_stops_no_training(tmp_path, turns):
    left = tmp_path / "left" / "seed1" / ".ipynb_checkpoints"
    left.mkdir(parents=True)
    (left / "history-checkpoint.csv").write_text("")
    folder, _ = train(tmp_path, turns, "left", epochs=1)
    assert contents(folder) == contents(train(tmp_path, turns, "clean", epochs=1)[0])


class Killed(BaseException):
    """Stands for a signal: nothing may catch it."""


def test_a_choice_stopped_after_every_epoch_ends_in_the_same_bytes(tmp_path, turns, monkeypatch):
    train(tmp_path, turns, "whole", learning_rate=RATES)
    original, left, epochs = fitting.Run.epoch, [0], [0]

    def epoch(self):
        if not left[0]:
            raise Killed
        left[0] -= 1
        epochs[0] += 1
        return original(self)

    monkeypatch.setattr(fitting.Run, "epoch", epoch)
    for life in range(99):
        left[0] = 1 + life % 2
        try:
            train(tmp_path, turns, "stopped", learning_rate=RATES, resume_every_s=0)
            break
        except Killed:
            pass
    assert life > 3
    assert epochs[0] == 3 * len(RATES)  # none was trained twice
    assert contents(tmp_path / "stopped") == contents(tmp_path / "whole")


@pytest.mark.parametrize(
    ("rates", "said"), [([], "give one, or several"), ([0.1, 0.1], "each once"), ([0.1, -1], "greater than 0")]
)
def test_rates_that_cannot_be_tried_are_refused(tmp_path, turns, rates, said):
    with pytest.raises(InputError, match=said):
        train(tmp_path, turns, "bad", learning_rate=rates)


def batch(items, lengths, absent=0.3):
    generator = torch.Generator().manual_seed(3)
    masks = {m: torch.rand(items, n, generator=generator) >= absent for m, n in lengths.items()}
    values = {m: torch.randn(items, n, 2, generator=generator) * masks[m][..., None] for m, n in lengths.items()}
    return Batch(values, masks, None, None, torch.arange(items).numpy())


def test_modalities_are_withheld_whole_at_the_asked_rate_and_one_always_stays():
    torch.manual_seed(0)
    given = batch(4000, {"audio": 5, "video": 3, "text": 2}, absent=0.0)
    made = fitting.withhold(given, 0.4)
    seen = torch.stack([made.masks[m].any(1) for m in made.masks])
    assert seen.any(0).all()
    assert all(torch.equal(mask.all(1), mask.any(1)) for mask in made.masks.values())
    # Independent draws withhold each with 0.4; where all three would go (0.4^3) one stays, each as often.
    for stays in seen:
        assert stays.double().mean() == pytest.approx(0.6 + 0.4**3 / 3, abs=0.03)
    for m, mask in made.masks.items():
        assert torch.equal(made.values[m], given.values[m] * mask[..., None])
    assert given.masks["audio"].all()  # the batch itself is left as it was


def test_what_alone_was_observed_is_never_withheld():
    torch.manual_seed(0)
    given = batch(500, {"audio": 4, "text": 3}, absent=0.0)
    given.masks["text"][:250] = False
    made = fitting.withhold(given, 0.9)
    assert made.masks["audio"][:250].all()
    assert not made.masks["text"][:250].any()
    assert not made.masks["audio"][250:].all()


def test_withholding_changes_training_alone_and_repeats(tmp_path, turns):
    plain, _ = train(tmp_path, turns, "plain")
    first, facts = train(tmp_path, turns, "first", modality_dropout=0.5)
    assert contents(first) == contents(train(tmp_path, turns, "second", modality_dropout=0.5)[0])
    assert facts["training"]["modality_dropout"] == 0.5
    assert history(first)[0]["training_loss"] != history(plain)[0]["training_loss"]
    alone = turns[0], {"audio": turns[1]["audio"]}  # of one modality there is nothing to withhold
    left = [train(tmp_path, alone, f"alone{p}", modality_dropout=p)[0] for p in (0.0, 0.5)]
    assert history(left[0]) == history(left[1])


@pytest.mark.parametrize("over", ["batch", "window", "window_unbiased"])
def test_the_loss_is_the_one_that_the_options_name(over):
    class Frames:
        task = Task("numbers", "frame", ("valence", "arousal"))

    torch.manual_seed(0)
    said, target, valid = torch.randn(3, 8, 2), torch.randn(3, 8, 2), torch.rand(3, 8) > 0.2
    objective = fitting.Objective(Frames, TrainingOptions(seeds=[1], ccc_over=over))
    found = objective.loss(said, Batch({}, {}, target, valid, None))
    assert math.isclose(found.item(), ccc_loss(said, target, valid, over).item())
