"""Small networks of every fusion, task and modality set, and batches for them; for the tests on CPU and on GPU."""

from itertools import combinations

import pytest
import torch

from models.attention import observed
from models.fusion.registry import FUSIONS
from models.network import build
from models.options import NetworkOptions
from models.task import Task

DIMS = {"audio": 4, "video": 5, "text": 3}
LENGTHS = {"audio": 24, "video": 9, "text": 6}
MAX_STEPS = {"audio": 24, "video": 9, "text": 6}
# Every fusion in every variant of its own.
VARIANTS = {
    "self_attention": {},
    "self_attention, pre-norm": {"fusion": "self_attention", "block": "pre_norm"},
    "cross_attention": {},
    "cross_attention, pre-norm": {"fusion": "cross_attention", "block": "pre_norm"},
    "cross_self_attention": {},
    "rcma": {},
    "rjcma": {},
    "rcma, features": {"fusion": "rcma", "correlate": "features"},
    "rjcma, features": {"fusion": "rjcma", "correlate": "features"},
    "concatenation": {},
    "late": {},
}


def plug(variant):
    """The class of the fusion behind a variant."""
    return FUSIONS.load(VARIANTS[variant].get("fusion", variant))


SEGMENTS, FRAMES = Task("classes", "segment"), Task("numbers", "frame", ("valence", "arousal"))
TASKS = [SEGMENTS, Task("numbers", "segment", ("valence", "arousal")), Task("classes", "frame"), FRAMES]
CASES = [
    pytest.param(fusion, task, modalities, id=f"{fusion}-{task.what}-{'+'.join(modalities)}")
    for fusion in VARIANTS
    for task in TASKS
    for count in (1, 2, 3)
    for modalities in combinations(DIMS, count)
    if count >= plug(fusion).min_modalities
]
THREE = [case for case in CASES if len(case.values[2]) == 3]


def small(fusion, **options):
    """Options of a small network of a variant, without dropout unless asked for."""
    heads = {"heads": 2} if "heads" in plug(fusion).Config.__dataclass_fields__ else {}
    sizes = {"width": 12, "embedding": 8, "encoder_steps": 8, "frames_per_step": 1, "dropout": 0, "input_dropout": 0}
    return NetworkOptions(**({"fusion": fusion} | sizes | heads | VARIANTS[fusion] | options))


def make(fusion, task, modalities, outputs=2, **options):
    """Build a small network in float64."""
    torch.manual_seed(0)
    return build(small(fusion, **options), {m: DIMS[m] for m in modalities}, task, outputs, MAX_STEPS).double()


def random_streams(seed, width, *shapes, absent=0.4):
    """Streams of (items, steps) each, some steps absent."""
    generator = torch.Generator().manual_seed(seed)
    return [
        observed(
            torch.randn(items, steps, width, generator=generator, dtype=torch.float64),
            torch.rand(items, steps, generator=generator) >= absent,
        )
        for items, steps in shapes
    ]


def batch(fusion, task, modalities, items=4, absent=0.3, seed=1):
    """Draw values and masks, each modality with its own length where the model allows it."""
    generator = torch.Generator().manual_seed(seed)
    one_grid = task.frames or plug(fusion).one_grid
    values, masks = {}, {}
    for m in modalities:
        shape = items, 10 if one_grid else LENGTHS[m]
        values[m] = torch.randn(*shape, DIMS[m], generator=generator, dtype=torch.float64)
        masks[m] = torch.rand(*shape, generator=generator) >= absent
    return values, masks


def check_device(fusion, task, device):
    """A device gives in float32 what the CPU gives in float64, in bfloat16 nearly so, and finite gradients."""
    expected = make(fusion, task, DIMS)(*batch(fusion, task, DIMS)).detach().float()
    network = make(fusion, task, DIMS).float().to(device)
    values, masks = ({m: v.to(device) for m, v in part.items()} for part in batch(fusion, task, DIMS))
    outcome = network(values, masks)
    with torch.autocast(torch.device(device).type, torch.bfloat16):
        mixed = network(values, masks)
    mixed.float().square().sum().backward()
    torch.testing.assert_close(outcome.detach().cpu(), expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(mixed.detach().float().cpu(), expected, atol=0.1, rtol=0)
    assert all(torch.isfinite(p.grad).all() for p in network.parameters())
