"""How predictions are put into words, the same in every output."""

import math

import numpy as np

from models.apply.answer import Answer

MARK = "demonstration"
WARNING = "Demonstration: these predictions mean nothing"
WHY = (
    "The model was made to show that the path from a video to its predictions works, with small random or briefly "
    "trained weights. What you see does not tell what anybody feels."
)


def winner(values: np.ndarray) -> int | None:
    """Index of the most probable class; None where nothing is predicted."""
    return int(np.argmax(values)) if len(values) and np.isfinite(values).all() else None


def value_text(answer: Answer, output: int, value: float) -> str:
    """One probability as per cent, or one number in the unit of the corpus, with a sign where the corpus has signs."""
    if not math.isfinite(value):
        return "–"
    if not answer.numbers:
        return f"{100 * value:.0f} %"
    signed = "+" if has_signs(answer, output) else ""
    return f"{round(value, 2) + 0.0:{signed}.2f}".replace("-", "\u2212")  # + 0.0: nothing is below zero by less


def headlines(answer: Answer, values: np.ndarray) -> list[str]:
    """What is predicted, in a few words: the class and how probable it is, or each number."""
    if answer.numbers:
        shown = list(range(len(answer.outputs)))
    else:
        best = winner(values)
        shown = [] if best is None else [best]
    return [f"{answer.outputs[k]} {value_text(answer, k, values[k])}" for k in shown] or ["nothing predicted"]


def limits(answer: Answer, output: int) -> tuple[float, float]:
    """Lowest and highest value of an output: of probabilities, or of the corpus and what is predicted together."""
    if not answer.numbers:
        return 0.0, 1.0
    found = np.array([row.values[output] for row in answer.rows] + [*answer.ranges.get(answer.outputs[output], ())])
    found = found[np.isfinite(found)]
    low, high = (float(found.min()), float(found.max())) if len(found) else (0.0, 0.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def has_signs(answer: Answer, output: int) -> bool:
    """Whether a number is written with its sign: unless the corpus has none below zero."""
    return answer.numbers and answer.ranges.get(answer.outputs[output], (-1.0, 1.0))[0] < 0


def several_people(answer: Answer) -> bool:
    """Whether predictions must say whose they are."""
    return len({row.person for row in answer.rows}) > 1


def title(answer: Answer) -> str:
    """The name of the recording; bytes of it that are no text are shown as such."""
    return answer.source.name.encode("utf-8", "backslashreplace").decode()
