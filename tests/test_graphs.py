"""Steps as CUDA graphs: what of it needs no GPU. The graphs themselves are tested in test_gpu.py."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from models.examples import Examples, training_batches
from models.graphs import shapes, tensors, with_tensors
from models.seeds import alternate
from models.task import Task
from tests.network_material import TASKS
from tests.training_material import NETWORKS, job_of, run_of


def of_lengths(audio, text) -> Examples:
    """Examples that are nothing but lengths."""
    count = {"audio": np.array(audio), "text": np.array(text)}
    return Examples(TASKS[0], [], [], {}, {}, np.array(["training"] * len(audio)), None, None, count, {}, None)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 40)), min_size=3, max_size=120), st.integers(2, 9))
def test_every_batch_has_a_shape_that_was_made(rows, size):
    examples, items = of_lengths(*zip(*rows)), np.arange(len(rows))
    epochs = [training_batches(items, examples.length, size, np.random.default_rng(k)) for k in range(4)]
    made = [
        (len(group), *examples.rounded_steps(group).values())
        for group in examples.of_each_shape({len(group) for group in epochs[0]}, items)
    ]
    assert len(set(made)) == len(made) <= 16
    assert all(x <= y for shape in made for x, y in zip(shape, made[0], strict=True))  # the first has room for all
    for group in (group for groups in epochs for group in groups):
        steps = examples.rounded_steps(group)
        assert (len(group), *steps.values()) in made
        assert all(steps[m] >= examples.count[m][group].max() for m in steps)


@pytest.mark.parametrize("task", TASKS, ids=str)
def test_a_rounded_batch_is_the_same_with_more_padding(tmp_path, task):
    run = run_of(job_of(tmp_path, task))
    examples, network = run.examples, run.network.eval()
    groups = training_batches(run.items, examples.length, 8, np.random.default_rng(0))
    count = next(iter(examples.count.values()))
    for plain, rounded in zip(examples.batches(groups), examples.batches(groups, rounded=True), strict=True):
        with torch.no_grad():
            one, other = (network(batch.values, batch.masks) for batch in (plain, rounded))
        if not task.frames:
            torch.testing.assert_close(other, one, atol=1e-5, rtol=0)
            continue
        for k, n in enumerate(count[plain.items]):
            torch.testing.assert_close(other[k, :n], one[k, :n], atol=1e-5, rtol=0)
        assert not rounded.target_mask[:, plain.target.shape[1] :].any()
    assert len({shapes(batch) for batch in examples.batches(groups, rounded=True)}) <= 16


def test_a_rounded_batch_with_dialog_context_is_the_same_with_more_rows(tmp_path):
    task = TASKS[0]
    run = run_of(job_of(tmp_path, task, NETWORKS[task.level] | {"context": 2}))
    examples, network = run.examples, run.network.eval()
    groups = training_batches(run.items, examples.length, 8, np.random.default_rng(0))
    sizes = set()
    for plain, rounded in zip(examples.batches(groups), examples.batches(groups, rounded=True), strict=True):
        with torch.no_grad():
            one, other = network(*plain.given), network(*rounded.given)
        torch.testing.assert_close(other, one, atol=1e-5, rtol=0)
        rows = {len(values) for values in rounded.values.values()}
        assert rows == {3 * len(rounded)}
        sizes.add(shapes(rounded))
    made = {shapes(b) for b in examples.batches(examples.of_each_shape({len(g) for g in groups}, run.items), True)}
    assert sizes <= made


@pytest.mark.parametrize("task", TASKS, ids=str)
@pytest.mark.parametrize("dropped", [True, False])
def test_a_step_asks_the_device_for_no_number(tmp_path, task, dropped, monkeypatch):
    other = {"loss": "mse"} if task.numbers else {"class_weights": True}
    changes = {"modality_dropout": 0.5} if dropped else other
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # knows no device without numbers
    run = run_of(job_of(tmp_path, task, **changes))
    batch = next(run.examples.batches([np.arange(4)]))
    run.network.to("meta")  # whoever wants to know a number of it is refused
    run.total = run.total.to("meta")
    loss = run.loss(with_tensors(batch, [tensor.to("meta") for tensor in tensors(batch)]))
    loss.backward()
    assert (loss.shape, loss.device.type) == ((), "meta")


def test_a_batch_is_put_together_again(tmp_path):
    run = run_of(job_of(tmp_path, Task("classes", "segment")))
    batch = run.examples.batch(np.arange(3))
    again = with_tensors(batch, tensors(batch))
    assert all(again.values[m] is batch.values[m] and again.masks[m] is batch.masks[m] for m in batch.values)
    assert (again.target is batch.target, again.target_mask is batch.target_mask, len(again)) == (True, True, 3)


@pytest.mark.parametrize(
    ("room", "order"),
    [
        (lambda steps: False, "a0 a1 a2 b0 b1 b2 c0 c1 c2"),
        (lambda steps: True, "a0 a1 b0 a2 b1 c0 b2 c1 c2"),
        (lambda steps: "a1" in steps and "b2" not in steps, "a0 a1 a2 b0 b1 c0 b2 c1 c2"),
    ],
)
def test_trainings_take_turns_as_far_as_there_is_room(room, order):
    steps = []

    def training(name):
        for k in range(3):
            steps.append(f"{name}{k}")
            yield

    alternate(map(training, "abc"), lambda: room(steps))
    assert " ".join(steps) == order
