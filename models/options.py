"""What can be configured of a model and its training, by which config.yaml is checked."""

from collections.abc import Iterator
from itertools import combinations
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from models.fusion.base import CLASSES, Combination, EncoderKind, Fusion, Published
from models.fusion.registry import FUSIONS
from models.task import Task
from pipeline.records import InputError
from pipeline.registry import message_of

Rate = Annotated[float, Field(gt=0)]
CccOver = Literal["batch", "window", "window_unbiased"]
MODALITIES = {"A": "audio", "V": "video", "T": "text"}
MODALITY_SETS = {"+".join(k): [MODALITIES[x] for x in k] for n in (1, 2, 3) for k in combinations(MODALITIES, n)}
"""What a model can be trained on: A, V, T, A+V, A+T, V+T or A+V+T, and the modalities of each in that order."""
NOTHING = "nothing"  # taken away at test, in tables of missing modalities
ALONE = "each entry alone"  # how options are checked that stand beside others which are not known yet


class Options(BaseModel):
    """Base of all option tables: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Kind = TypeVar("Kind")


def options_from_json(kind: type[Kind], text: str, flag: str) -> Kind:
    """Options from a command line; raises InputError naming each wrong key, what was given and what is allowed."""
    try:
        return TypeAdapter(kind).validate_json(text)
    except ValidationError as error:
        problems = [(".".join(map(str, e["loc"])), message_of(e)) for e in error.errors()]
        lines = [f"{where}: {message}" if where else message for where, message in problems]
        if any(e["type"] != "value_error" for e in error.errors()):  # the others say themselves what is allowed
            lines.append(f"its keys are {', '.join(getattr(kind, 'model_fields', ())) or 'those of config.yaml'}")
        raise InputError(f"{flag} {text}: {'; '.join(lines)}") from None


class NetworkOptions(Options):
    """One network: how its modalities meet, and what is common to all of them.

    A fusion's own options (``heads``, ``recursions``, ...) stand in the same table and are checked by the fusion. What
    is left to the fusion is filled in at once, so that equal options are equal networks.
    """

    model_config = ConfigDict(extra="allow", json_schema_extra=lambda schema: _list_fusions(schema))

    fusion: str = Field(description="how the modalities meet: a name, module:Class or file.py:Class")
    combine: Combination | None = Field(
        None,
        description="fused vectors become std and mean across them, or are concatenated (noSP); null: the fusion's",
    )
    faithful: bool = Field(False, description="the published model to the number, defects included")
    encoder: EncoderKind | None = Field(
        None, description="temporal encoder of each modality; null: as the fusion has it"
    )
    one_grid: bool | None = Field(
        None,
        description="tasks of segments: all modalities on one time grid of training.grid_hop_s, not each at its own "
        "rate; null: where the fusion needs it",
    )
    width: int = Field(120, gt=0, description="width of each encoded sequence (published rjcma: 128, video twice that)")
    dropout: float = Field(0.1, ge=0, lt=1, description="in fusion, tcn (a gru has none) and head (faithful: none)")
    input_dropout: float = Field(0.25, ge=0, lt=1, description="dropout on the text features")
    embedding: int = Field(60, gt=0, description="width of the first head layer (published rjcma: 256)")
    encoder_steps: int = Field(
        250,
        gt=0,
        description="tasks of segments: as many neighbouring steps of a modality are averaged, in all segments the "
        "same number, as leave the longest training segment at most this many",
    )
    frames_per_step: int = Field(
        5,
        gt=0,
        description="tasks of frames: this many become one encoded step; answers are interpolated between steps",
    )
    context: int = Field(
        0,
        ge=0,
        description="tasks of segments: this many earlier turns of the same dialog are given with each; 0: none",
    )
    separate_targets: bool = Field(
        False, description="each number, such as valence and arousal, by a model of its own (published rjcma: always)"
    )
    training: dict[str, Any] = Field(
        default_factory=dict, description="training options of this model, over those of the corpus; not its seeds"
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given):
        if not isinstance(given, dict) or not isinstance(given.get("fusion"), str):
            return given
        kind, common = FUSIONS.load(given["fusion"]), cls.model_fields
        own = {key: value for key, value in given.items() if key not in common}
        config = FUSIONS.options_for(given["fusion"], own, beside=(key for key in common if key != "fusion"))
        own = TypeAdapter(type(config)).dump_python(config, mode="json")
        if twice := sorted(set(own) & set(common)):
            raise ValueError(f"fusion {given['fusion']!r}: its option {twice[0]!r} is one of every network; rename it")
        left = {key: getattr(kind, key) for key in ("combine", "encoder", "one_grid") if given.get(key) is None}
        return {**given, **own, **left}

    @field_validator("training")
    @classmethod
    def _are_of_training(cls, given: dict[str, Any]):
        if "seeds" in given:
            raise ValueError("training.seeds: runs are compared seed by seed; all models of a corpus have the same")
        TrainingOptions.model_validate({"seeds": [0], **given}, context=ALONE)
        return given

    def make_fusion(self, task: Task = CLASSES) -> Fusion:
        """The fusion with its options, as layers and as words."""
        config = FUSIONS.options_for(self.fusion, self.model_extra)
        return FUSIONS.load(self.fusion)(config, self.width, self.dropout, task)

    @property
    def published(self) -> Published | None:
        """What the published form is bound to, where this network has it."""
        return FUSIONS.load(self.fusion).published if self.faithful else None


def _list_fusions(schema: dict) -> None:
    """Add the built-in fusions' own options to the JSON schema, so that editors know them."""
    schema["properties"]["fusion"]["examples"] = list(FUSIONS.built_in)
    for name in FUSIONS.built_in:
        schema["properties"] |= TypeAdapter(FUSIONS.load(name).Config).json_schema().get("properties", {})


def check_network(options: NetworkOptions, modalities: list[str], task: Task) -> None:
    """Refuse what cannot be built or would not mean anything; needs no data, so it can be asked before any work.

    ``modalities`` by name (audio, video, text). Raises InputError that names what is allowed.
    """
    if problem := next(_problems(options, modalities, task), None):
        raise InputError(f"network {options.fusion!r} on {'+'.join(modalities) or 'nothing'}, task {task}: {problem}")


def _problems(options: NetworkOptions, modalities: list[str], task: Task) -> Iterator[str]:
    known, built_in = list(MODALITIES.values()), {name: FUSIONS.load(name) for name in FUSIONS.built_in}
    if not modalities or len(set(modalities)) < len(modalities) or not set(modalities) <= set(known):
        yield f"modalities are one or more of {known}, each once"
    fusion = options.make_fusion(task)
    if len(modalities) < (least := fusion.min_modalities):
        alone = ", ".join(name for name, kind in built_in.items() if kind.min_modalities == 1)
        yield f"it relates modalities to each other and needs at least {least}; one alone goes with {alone}"
    if fusion.one_grid and not options.one_grid:
        yield "it needs all modalities on one time grid; leave one_grid out"
    if options.encoder != "tcn" and options.width % 2:
        yield f"width {options.width} must be even, half for each direction of the gru"
    if options.context and (task.frames or options.faithful or fusion.apart):
        yield "dialog context is for segments, of one network; set context to 0"
    if options.separate_targets and not task.numbers:
        yield "separate_targets is for numbers such as valence and arousal; set it to false"
    if options.faithful:
        published = fusion.published
        if published is None:
            having = ", ".join(name for name, kind in built_in.items() if kind.published)
            yield f"faithful is there for {having}; set it to false"
        elif (task.what, options.encoder) != (published.task, published.encoder):
            yield (
                f"the published model is for task {published.task} with encoder {published.encoder!r}; "
                "choose these or set faithful to false"
            )
        if options.one_grid != fusion.one_grid:
            yield "the published model takes each modality at its own rate; leave one_grid out"
    yield from fusion.problems(options)


def check_training(options: "TrainingOptions", task: Task) -> None:
    """Refuse training options that mean nothing for a task; raises InputError that names what is allowed."""
    if options.targets == "raters" and str(task) != "classes/segment":
        raise InputError(
            f"training.targets raters, task {task}: single raters vote for classes of segments; set it to majority"
        )
    if options.class_weights and task.numbers:
        raise InputError(f"training.class_weights true, task {task}: numbers are of no class; set it to false")


def takes_segments(network: NetworkOptions, training: "TrainingOptions") -> bool:
    """Whether training asks who speaks in a segment, or which turns come before it."""
    return network.context > 0 or training.normalise == "speaker"


class TrainingOptions(Options):
    """How a network is trained."""

    seeds: list[int] = Field(min_length=1, description="one run each")
    epochs: int = Field(100, ge=1, description="at most this many")
    batch_size: int = Field(32, ge=1)
    learning_rate: Rate | list[Rate] = Field(
        1e-3,
        description="of Adam; of several each is tried for each seed, and that with the best development score taken",
    )
    weight_decay: float = Field(0.0, ge=0)
    warmup_epochs: int = Field(0, ge=0, description="epochs of linear warm-up of the learning rate")
    plateau_patience: int = Field(
        10,
        ge=0,
        description="epochs without a lower development loss (classes: the cross-entropy; numbers: what loss says) "
        "before the learning rate falls tenfold",
    )
    plateau_threshold: float = Field(
        1e-4, ge=0, lt=1, description="share by which that loss must fall to count (faithful rjcma: any fall counts)"
    )
    stop_patience: int = Field(
        10,
        ge=1,
        description="epochs without a better development score (classes: accuracy; numbers: CCC) before stopping",
    )
    reload_best: bool = Field(
        False, description="after an epoch without a better development score go on from the best weights"
    )
    loss: Literal["ccc", "mse"] = Field(
        "ccc",
        description="of numbers: 1 - CCC, or the mean squared error, each number by its deviation in the training part "
        "(classes: always cross-entropy)",
    )
    ccc_over: CccOver = Field(
        "batch",
        description="numbers of frames: the loss is one CCC over all frames of a batch, or one per window, averaged "
        "(window_unbiased: as in paper 2's code, with a variance of n - 1; faithful rjcma always)",
    )
    modality_dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the training items from which a modality is taken, whole and at random; one always "
        "stays, so that it does nothing where a run has but one",
    )
    normalise: bool | Literal["speaker"] = Field(
        True,
        description="features by mean and deviation of the training part; speaker: first by those of all that is there "
        "of the speaker, test included, labels unseen; false: as extracted, as in papers' code",
    )
    targets: Literal["majority", "raters"] = Field(
        "majority",
        description="classes of segments: the label on which most raters agree, or the share of each class in all "
        "votes; what raters disagree on then trains, too",
    )
    class_weights: bool = Field(
        False, description="weight the cross-entropy by inverse class frequency (numbers: false)"
    )
    max_s: float = Field(
        170.0,
        gt=0,
        description="tasks of segments: seconds from the first row of any modality; rows that begin later are left out "
        "(faithful models: in place of that always the first rows, text 128, video 32, audio 1000)",
    )
    grid_hop_s: float = Field(
        0.3,
        gt=0,
        description="tasks of segments: rows that follow each other faster are averaged to steps of this length, five "
        "at most, and rcma and rjcma have their common time grid of it (faithful models: rows as they are)",
    )
    grid_rows: Literal["mean", "nearest"] = Field(
        "mean",
        description="what a cell of a time grid takes of the rows that it overlaps: their mean, weighted by overlap, "
        "or the one whose centre is nearest, for rows much longer than a cell",
    )
    window: int = Field(300, ge=1, description="tasks of frames: frames in a window")
    window_hop: int = Field(200, ge=1, description="tasks of frames: frames between windows")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    mixed_precision: bool = Field(
        False, description="bfloat16 on CUDA, but for GRUs: faster, not bit-identical; faithful models stay exact"
    )
    threads: int = Field(1, ge=1, description="CPU threads of one training job; part of what makes a run repeatable")
    memory_budget_gb: float = Field(
        4.0, gt=0, description="features kept in memory; more than that are read from their files batch by batch"
    )
    resume_every_s: float = Field(
        10.0, ge=0, description="seconds between the states from which a killed job goes on; written after an epoch"
    )

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo):
        if len(set(self.seeds)) != len(self.seeds) or min(self.seeds) < 0:
            raise ValueError(f"seeds {self.seeds}: give each once, none below 0")
        if len(set(self.learning_rates)) != len(self.learning_rates) or not self.learning_rates:
            raise ValueError(f"learning_rate {self.learning_rate}: give one, or several, each once")
        if info.context != ALONE and self.window_hop > self.window:
            raise ValueError(f"window_hop {self.window_hop} skips frames; at most window = {self.window}")
        return self

    @property
    def learning_rates(self) -> list[float]:
        """Every learning rate that is tried."""
        return self.learning_rate if isinstance(self.learning_rate, list) else [self.learning_rate]

    def for_network(self, network: NetworkOptions) -> "TrainingOptions":
        """These options for one network, with its own; a published model brings what belongs to its training.

        Raises InputError where each may be right and both together are not.
        """
        try:
            own = TrainingOptions(**{**self.model_dump(), **network.training})
        except ValidationError as error:
            changed, problem = ", ".join(network.training), message_of(error.errors()[0])
            raise InputError(f"the model changes {changed} of the training, and then {problem}") from None
        return own.model_copy(update=dict(network.published.training)) if network.published else own


def runs_named(a: str, b: str | list[str]) -> list[str]:
    """Every run that a contrast names, ``a`` first."""
    return [a, *([b] if isinstance(b, str) else b)]


class Contrast(Options):
    """A planned comparison of two runs, each named model-modalities."""

    question: str = Field(min_length=1, description="what is asked, as the report prints it")
    a: str = Field(description="a run")
    b: str | list[str] = Field(
        description="a run, or several, of which in each fold the one with the best development score is taken"
    )

    @model_validator(mode="after")
    def _check(self):
        _, *others = runs_named(self.a, self.b)
        if not others or self.a in others:
            raise ValueError(f"contrast {self.question!r}: b names one or more runs other than a = {self.a!r}")
        return self


class SignificanceOptions(Options):
    """How differences are tested."""

    metric: str = Field(description="the metric all contrasts are tested on")
    bootstrap_samples: int = Field(2000, ge=100, description="resampled test sets")
    practical_region: float = Field(
        0.01, gt=0, description="differences smaller than this do not matter: 0.01 is one point"
    )
    alpha: float = Field(0.05, gt=0, lt=0.5, description="level of the tests; intervals cover 1 - alpha")
    seed: int = Field(0, ge=0, description="of the resampling")
