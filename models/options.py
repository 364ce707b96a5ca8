"""What can be configured of a model and its training: the one definition that config.yaml is checked against."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

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
    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    warmup_epochs: int = Field(0, ge=0, description="epochs of linear warm-up of the learning rate")
    plateau_patience: int = Field(
        10, ge=0, description="epochs without progress before the learning rate falls tenfold"
    )
    stop_patience: int = Field(10, ge=1, description="epochs without a better development score before stopping")
    class_weights: bool = Field(False, description="weight the cross-entropy by inverse class frequency")
    max_steps: dict[str, int] = Field(
        default_factory=dict,
        description="longest sequence per modality in rows; longer ones are cut at the end",
    )
    grid_hop_s: float | None = Field(
        None, gt=0, description="common time grid where a fusion needs one; null: the video frames"
    )
    window: int = Field(300, ge=1, description="frame-wise task: frames in a window")
    window_hop: int = Field(200, ge=1, description="frame-wise task: frames between windows")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    mixed_precision: bool = Field(False, description="bfloat16 on CUDA: faster, not bit-identical")
    threads: int = Field(1, ge=1, description="CPU threads of one training job; part of what makes a run repeatable")


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
