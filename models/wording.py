"""A network, and how it was trained, in words: for the report, and for the methods part of a paper."""

from models.fusion.base import CLASSES, Fusion
from models.options import NetworkOptions
from models.report.bibliography import bibliography, entries
from models.task import Task
from pipeline.records import InputError

POOLING = {"statistics": "statistical pooling", "concatenation": "no pooling"}
ENCODERS = {"gru": "bidirectional GRU", "tcn": "temporal convolution network"}
COMBINED = {"statistics": "as standard deviation and mean across them", "concatenation": "side by side"}
NORMALISED = {
    True: "features were normalised by the moments of the training part alone",
    False: "features were not normalised",
    "speaker": "features were normalised by the moments of each speaker, over all that there is of them, test included "
    "(labels play no part), then by those of the training part",
}
VOTED = "Its targets are the shares of each class in the votes of all raters."


def about(options: NetworkOptions, task: Task) -> dict:
    """What a report says of a network, as its fusion has it; raises InputError for a citation that nobody knows."""
    published = options.published
    return {
        "title": title(options, task),
        "description": sentences(options, task),
        "citation": _citation(options.make_fusion(task)),
        "notes": [{"title": "departs from what was published", "text": text} for text in published.departures]
        if published
        else [],
        "training": dict(published.training) if published else {},
    }


def _citation(fusion: Fusion) -> str | None:
    given = fusion.citation
    if given and given not in bibliography() and not entries([given]):
        raise InputError(
            f"fusion {fusion.title!r}: its citation {given!r} is neither an entry of BibTeX nor one of the keys "
            f"here ({', '.join(bibliography())}); give the whole entry, @article{{KEY, ...}}"
        )
    return given


def title(options: NetworkOptions, task: Task = CLASSES) -> str:
    """Name a network in the report's words, with whatever tells it from others of its fusion."""
    fusion = options.make_fusion(task)
    details = [*(fusion.published_details() if options.faithful else fusion.details())]
    details += [POOLING[options.combine]] if options.combine != fusion.combine else []
    brought = options.published.training if options.published else {}
    training = [f"{key.replace('_', ' ')} {value}" for key, value in options.training.items() if key not in brought]
    if options.faithful:
        details += training
        form = f" in the published form ({', '.join(details)})" if details else ", as published"
        return f"{fusion.title}{form}"
    details += [options.encoder.upper()] if options.encoder != fusion.encoder else []
    details += ["one grid"] if options.one_grid and not (fusion.one_grid or task.frames) else []
    details += [f"{options.context} turns before"] if options.context else []
    details += training
    return f"{fusion.title} ({', '.join(details)})" if details else fusion.title


def sentences(options: NetworkOptions, task: Task = CLASSES) -> str:
    """Say how the modalities of a network meet, what comes before and after, for the methods part of a paper."""
    if options.faithful:
        text = options.make_fusion(task).published_sentence(options.combine)
    else:
        grid = ""
        if not task.frames:
            grid = ", all on one time grid" if options.one_grid else ", each at its own rate"
        over = "at each frame" if task.frames else "averaged over time"
        text = (
            f"{options.make_fusion(task).sentence()} Before it a {ENCODERS[options.encoder]} of width {options.width} "
            f"encodes each modality{grid}; after it the fused vectors, {over}, go {COMBINED[options.combine]} to a "
            "head of two layers."
        )
    if options.context:
        text += f" A GRU over them and those of up to {options.context} turns before, by either speaker, adds to these."
    if "normalise" in options.training:
        text += f" For this model {NORMALISED[options.training['normalise']]}."
    brought = options.published.training if options.published else {}
    return f"{text} {VOTED}" if {**options.training, **brought}.get("targets") == "raters" else text
