"""What can be configured of a model and its training: the one definition that config.yaml is checked against."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Fusion = Literal["self_attention", "cross_attention", "cross_self_attention", "rcma", "rjcma", "concatenation", "late"]
MODALITIES = {"A": "audio", "V": "video", "T": "text"}


class Options(BaseModel):
    """Base of all option tables: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NetworkOptions(Options):
    """One fusion model."""

    fusion: Fusion = Field(description="how the modalities meet")
    combine: Literal["statistics", "concatenation"] = Field(
        "statistics",
        description="attended vectors become std and mean across them, or are concatenated (noSP)",
    )
    faithful: bool = Field(False, description="the published model to the number, defects included")
    encoder: Literal["gru", "tcn"] = Field("gru", description="temporal encoder of each modality")
    width: int = Field(120, gt=0, description="width of each encoded sequence")
    heads: int = Field(6, gt=0, description="attention heads of self and cross attention")
    dropout: float = Field(0.1, ge=0, lt=1, description="dropout inside attention and encoders")
    input_dropout: float = Field(0.25, ge=0, lt=1, description="dropout on the text features")
    embedding: int = Field(60, gt=0, description="width of the first head layer")
    recursions: int = Field(3, ge=1, description="rcma and rjcma: how often the attended features attend again")
    share_recursions: bool = Field(False, description="rcma and rjcma: one set of weights for all recursions")
    separate_targets: bool = Field(False, description="valence and arousal by two models instead of one")


class TrainingOptions(Options):
    """How a network is trained."""

    seeds: list[int] = Field(min_length=1, description="one run each")
    epochs: int = Field(100, ge=1, description="at most so many")
    batch_size: int = Field(32, ge=1)
    learning_rate: float = Field(1e-3, gt=0, description="of Adam")
    weight_decay: float = Field(0.0, ge=0)
    warmup_epochs: int = Field(0, ge=0, description="epochs of linear warm-up of the learning rate")
    plateau_patience: int = Field(
        10,
        ge=0,
        description="epochs without a lower development loss (frame-wise task: a higher CCC) before the learning rate "
        "falls tenfold",
    )
    stop_patience: int = Field(
        10,
        ge=1,
        description="epochs without a better development score (accuracy; frame-wise task: CCC) before stopping",
    )
    reload_best: bool = Field(
        False, description="after an epoch without a better development score go on from the best weights"
    )
    class_weights: bool = Field(False, description="weight the cross-entropy by inverse class frequency")
    max_steps: dict[Literal["audio", "video", "text"], int] = Field(
        default_factory=dict,
        description="longest sequence per modality in rows; longer ones are cut at the end",
    )
    grid_hop_s: float = Field(
        0.1,
        gt=0,
        description="segment task: cells of the common time grid of rcma and rjcma; the frame-wise task uses the video "
        "frames",
    )
    window: int = Field(300, ge=1, description="frame-wise task: frames in a window")
    window_hop: int = Field(200, ge=1, description="frame-wise task: frames between windows")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    mixed_precision: bool = Field(
        False, description="bfloat16 on CUDA: faster, not bit-identical; faithful models stay exact"
    )
    threads: int = Field(1, ge=1, description="CPU threads of one training job; part of what makes a run repeatable")
    memory_budget_gb: float = Field(
        4.0, gt=0, description="features kept in memory; more than that are read from their files batch by batch"
    )
    resume_every_s: float = Field(
        10.0, ge=0, description="seconds between the states from which a killed job goes on; written after an epoch"
    )

    @model_validator(mode="after")
    def _check(self):
        if len(set(self.seeds)) != len(self.seeds) or min(self.seeds) < 0:
            raise ValueError(f"seeds {self.seeds}: give each once, none below 0")
        if any(steps < 1 for steps in self.max_steps.values()):
            raise ValueError(f"max_steps {self.max_steps}: each at least 1")
        if self.window_hop > self.window:
            raise ValueError(f"window_hop {self.window_hop} skips frames; at most window = {self.window}")
        return self


class Contrast(Options):
    """A planned comparison of two runs, each named model-modalities."""

    question: str
    a: str
    b: str | list[str] = Field(
        description="a run, or several of which the one with the best development score is taken"
    )


class SignificanceOptions(Options):
    """How differences are tested."""

    metric: str = Field(description="the metric all contrasts are tested on")
    bootstrap_samples: int = Field(2000, ge=100)
    practical_region: float = Field(
        0.01, gt=0, description="differences smaller than this do not matter: 0.01 is one point"
    )
    alpha: float = Field(0.05, gt=0, lt=1)
    seed: int = 0
