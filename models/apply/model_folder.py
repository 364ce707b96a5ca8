"""A model folder: all that a prediction needs, as safetensors and JSON, and nothing of the corpus.

::

    model.json   what the model reads, says and scored; digests of every other file (ModelFile)
    README.md    the same for people: the model card
    members/fold0/seed1/checkpoint.safetensors, run.json    a network with its normalisers, as training left them
    weights/<slug>/                                         checkpoints of encoders that cannot be fetched again

It travels by copying. Encoders that can be fetched again are named by source and digests, and looked up or fetched.
"""

import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, ValidationError

from models.fusion.registry import FUSIONS
from models.options import NetworkOptions, Options, TrainingOptions
from models.predictions import RUN, fold_and_seed, read_run
from models.task import Task
from pipeline import weights as checkpoints
from pipeline.records import InputError
from pipeline.registry import message_of

if TYPE_CHECKING:
    from torch import nn

    from models.normaliser import Normaliser

FORMAT = 3
FILE, CARD, MEMBERS, WEIGHTS = "model.json", "README.md", "members", "weights"


class Weights(Options):
    """A checkpoint of an encoder or a recogniser, by where it comes from and the SHA-256 of each of its files."""

    source: str
    slug: str = Field(pattern=r"^\w[\w.-]*$")
    allow_pickle: bool = False
    sha256: dict[str, str] = Field(default_factory=dict, description="empty: whichever is there")

    @classmethod
    def of(cls, source: str, **known: Any) -> "Weights":
        """The checkpoint of a source, with what else is known of it."""
        return cls(source=source, slug=checkpoints.slug(source), **known)


class Feature(Options):
    """How one modality becomes features: an extractor with its options."""

    name: str
    extractor: str
    version: str
    options: dict[str, Any]
    weights: Weights | None = None
    parts: list["Feature"] = Field(default_factory=list, description="of joined features: what stands side by side")

    @property
    def made(self) -> "list[Feature]":
        """What extractors make: the feature itself, or its parts."""
        return self.parts or [self]


class RecogniserChoice(Options):
    """What recognises speech where a recording has no words of its own."""

    kind: str
    options: dict[str, Any] = Field(default_factory=dict)
    weights: Weights | None = None
    code: str = Field("", description="digest of its code when the model was packed; empty: whichever is there")


class ModelFile(Options):
    """What model.json holds."""

    format: int
    corpus: str
    title: str
    run: str
    task: str
    outputs: list[str]
    demonstration: bool
    faces: dict[str, Any]  # how they are tracked: sample_rate_hz, and what is taken of the picture
    supplied_crops: bool = False  # training saw face crops that came with the corpus
    recogniser: RecogniserChoice
    features: dict[str, Feature]  # by modality
    temperature: float  # temperature of each network, before they are averaged
    ranges: dict[str, tuple[float, float]]  # lowest and highest number in the corpus
    card: dict[str, Any]
    files: dict[str, dict[str, Any]]  # digests of the files of members


class Model:
    """An open model folder; raises InputError for one of another format, and for files that are not as packed."""

    def __init__(self, folder: str | Path, plugs: bool = False):
        """Read and verify ``folder``; ``plugs`` allows it to name code that does not come with affectflow."""
        self.folder = Path(folder)
        self.about, self.digest = _read(self.folder)
        problems = checkpoints.compare(self.about.files, checkpoints.digest_files(self.folder / MEMBERS))
        if problems:
            raise InputError(f"{self.folder}: not as it was packed: {'; '.join(problems)}; copy or pack it again")
        self.names = sorted(Path(name).parent.as_posix() for name in self.about.files if name.endswith(RUN))
        if not self.names:
            raise InputError(f"{self.folder}: holds no network; pack it again")
        runs = [read_run(self.folder / MEMBERS / name) for name in self.names]
        if not plugs:
            self._refuse_plugs({run["network"]["fusion"] for run in runs})
        self.task = Task.parse(self.about.task)
        self.network = _network(self.folder, runs[0]["network"])
        self.rows_per_step: dict[str, int] = runs[0]["model"]["rows_per_step"]
        self.training = TrainingOptions.model_validate({**runs[0]["training"], "seeds": [0]})
        fusion = self.network.fusion
        others = {run.get("fusion_code") for run in runs} - {FUSIONS.code_of(fusion), None}  # None: not known
        self.notes = [changed(fusion, "answers")] if others else []  # what a user must know of it

    def _refuse_plugs(self, fusions: set[str]) -> None:
        """Raise InputError where opening the model would run code that does not come with affectflow."""
        from pipeline.features.registry import EXTRACTORS
        from pipeline.words.registry import NONE, RECOGNISERS

        named = [(EXTRACTORS, part.extractor) for each in self.about.features.values() for part in each.made]
        named += [(RECOGNISERS, self.about.recogniser.kind), *((FUSIONS, fusion) for fusion in fusions)]
        strange = [name for registry, name in named if name not in (*registry.names(), NONE)]
        if strange:
            raise InputError(
                f"{self.folder}: it runs code of its author's own ({', '.join(strange)}); "
                "where you have that code and trust it, add --plugs"
            )

    def members(self, folds: Sequence[int] = ()) -> "list[tuple[nn.Module, dict[str, Normaliser]]]":
        """The networks with their normalisers, of some folds or of all; raises InputError for a fold it has not."""
        from models.inference import load_network

        fold_of = {name: fold_and_seed(Path(name))[0] for name in self.names}
        if unknown := sorted(set(folds) - set(fold_of.values())):
            known = ", ".join(map(str, sorted(set(fold_of.values()))))
            raise InputError(f"{self.folder}: has no fold {unknown[0]}; it has {known}")
        wanted = [name for name, fold in fold_of.items() if not folds or fold in folds]
        return [load_network(self.folder / MEMBERS / name)[:2] for name in wanted]

    def weights(self, wanted: Weights | None, kept: Path) -> Path | None:
        """The folder of a checkpoint: in the model, in ``kept``, or fetched to there; None where none is wanted.

        Raises InputError where it cannot be had, or is not the one that the model was trained with.
        """
        if wanted is None:
            return None
        pinned = {name: {"sha256": digest} for name, digest in wanted.sha256.items()}

        def differs(folder: Path) -> list[str]:
            return checkpoints.compare(pinned, checkpoints.digest_files(folder)) if pinned else []

        source, found = checkpoints.parse(wanted.source), self.folder / WEIGHTS / wanted.slug
        again = "copy the whole model folder again"
        at_path = source.kind == "path" and Path(source.location).exists()
        problems = differs(found) if found.is_dir() else None
        if problems is None or (problems and at_path):  # other weights of a path may be asked for than were packed
            found = kept / wanted.slug
            if source.remote:
                again = f"delete the folder, and {wanted.source} is fetched again"
            elif not at_path and not found.is_dir():
                raise InputError(f"{self.folder}: its {WEIGHTS}/{wanted.slug} is missing; {again}")
            if at_path or not found.is_dir():  # what lies at a path may have changed
                from pipeline.features.fetch import fetch

                fetch(wanted.source, found, wanted.allow_pickle)
            problems = differs(found)
        if problems:
            said = "; ".join(problems)
            raise InputError(f"{found}: not the weights that {self.folder} was trained with: {said}; {again}")
        return found


def changed(kind: str, what: str) -> str:
    """What a user must know where the code of a plug is another than when the model was trained."""
    return f"The code of {kind} has changed since training: {what} may differ from then."


def _network(folder: Path, table: dict[str, Any]) -> NetworkOptions:
    """The options of the network; raises InputError where its fusion is not there, or does not take them."""
    try:
        return NetworkOptions.model_validate(table)
    except ValidationError as error:
        raise InputError(f"{folder}: {message_of(error.errors()[0])}") from None


def _read(folder: Path) -> tuple[ModelFile, str]:
    """What model.json says, and its digest."""
    path = folder / FILE
    try:
        data = path.read_bytes()
        table = json.loads(data)
        version = int(table["format"])
    except FileNotFoundError:
        raise InputError(
            f"{folder}: no model folder, it has no {FILE}; make one with "
            "`affectflow pack --results results/CORPUS --run RUN --out DIR`"
        ) from None
    except (ValueError, TypeError, KeyError):
        raise InputError(f"{path}: is not what describes a model; copy or pack the folder again") from None
    if version != FORMAT:
        raise InputError(
            f"{folder}: a model of format {version}, and this version of affectflow reads format {FORMAT}; "
            f"{'install a newer affectflow' if version > FORMAT else 'pack it again'}"
        )
    try:
        return ModelFile.model_validate(table), sha256(data).hexdigest()
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise InputError(f"{path}: {where}: {error.errors()[0]['msg']}; copy or pack the folder again") from None
