"""Which fusions there are, by name; :mod:`pipeline.registry` finds them."""

from pipeline.registry import Registry

BUILT_IN = {
    "self_attention": "models.fusion.pairwise:SelfAttention",
    "cross_attention": "models.fusion.pairwise:CrossAttention",
    "cross_self_attention": "models.fusion.pairwise:CrossSelfAttention",
    "rcma": "models.fusion.recursive:Rcma",
    "rjcma": "models.fusion.recursive:Rjcma",
    "concatenation": "models.fusion.baselines:Concatenation",
    "late": "models.fusion.baselines:Late",
}
FUSIONS = Registry(
    "fusion",
    "models.fusion.base:Fusion",
    "affectflow.fusions",
    BUILT_IN,
)


def code_of(name: str) -> str:
    """Digest of the sources that decide what is trained with a fusion: its own and those of training."""
    return FUSIONS.code_of(name, "models.train:train")
