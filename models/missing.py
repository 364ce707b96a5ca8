"""How much a trained network loses where sound, face or words are taken away at test."""

import numpy as np
from torch import nn

from models.evaluation.metrics import confusion_matrix, metric, moments, overall
from models.examples import Examples
from models.options import NOTHING
from models.predict import Answers, answers, outputs
from models.task import Task


def scores_without(
    network: nn.Module, examples: Examples, batch_size: int, mixed: bool = False
) -> dict[str, dict[str, float | None]]:
    """Scores of the test part as it is (``nothing`` taken away) and without each modality, by metric.

    Nothing where there is but one modality. A score that is undefined is None.
    """
    if len(examples.dims) == 1:
        return {}
    items, found = examples.items("test"), {}
    for modality in (None, *examples.dims):
        output = outputs(network, examples, items, batch_size, mixed, without=modality)
        found[modality or NOTHING] = scores_of(answers(examples, items, output), examples.task, examples.names)
    return found


def scores_of(found: Answers, task: Task, names: list[str]) -> dict[str, float | None]:
    """Every overall metric of what is known."""
    truth, output = found.truth[found.known], found.output[found.known]
    if task.numbers:
        sums = np.stack([moments(truth[:, k], output[:, k]) for k in range(len(names))])
    else:
        sums = confusion_matrix(truth, output.argmax(1), len(names))
    values = {name: float(metric(task, name, names)(sums)) for name in overall(task)}
    return {name: None if np.isnan(value) else value for name, value in values.items()}
