"""How much a trained network loses where sound, face or words are taken away at test."""

import numpy as np
from torch import nn

from models.evaluation.metrics import confusion_matrix, metric, moments, overall
from models.examples import Examples
from models.options import NOTHING
from models.predict import Answers, answers, outputs
from models.task import Task


def scores_without(
    network: nn.Module, examples: Examples, whole: Answers, batch_size: int, mixed: bool = False
) -> dict[str, dict[str, float | None]]:
    """Scores of the test part as it is (``nothing`` taken away; ``whole`` holds it) and without each modality.

    By what is taken away and by metric. Nothing where there is but one modality. A score that is undefined is None.
    """
    if len(examples.dims) == 1:
        return {}
    found, items = {NOTHING: scores_of(whole, examples.task, examples.names)}, examples.items("test")
    for modality in examples.dims:
        output = outputs(network, examples, items, batch_size, mixed, without=modality)
        found[modality] = scores_of(answers(examples, items, output), examples.task, examples.names)
    return found


def scores_of(found: Answers, task: Task, names: list[str]) -> dict[str, float | None]:
    """Every overall metric of the test part, as far as its truth is known."""
    tested = found.known & (found.part == found.parts.index("test"))
    truth, output = found.truth[tested], found.output[tested]
    if task.numbers:
        sums = np.stack([moments(truth[:, k], output[:, k]) for k in range(len(names))])
    else:
        sums = confusion_matrix(truth, output.argmax(1), len(names))
    values = {name: float(metric(task, name, names)(sums)) for name in overall(task)}
    return {name: None if np.isnan(value) else value for name, value in values.items()}
