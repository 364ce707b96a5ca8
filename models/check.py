"""Try a fusion on made-up streams and say what is wrong with it: shapes, masks, padding, batches, gradients."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product

import click
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.attention import Stream, observed
from models.dialog import Before
from models.fusion.registry import FUSIONS
from models.network import Fused, build
from models.options import MODALITIES, NetworkOptions, check_network, options_from_json
from models.task import Task
from models.wording import about
from pipeline.cli import parse_options
from pipeline.conformance import Wrong, say
from pipeline.records import InputError

DIMS = {"audio": 4, "video": 5, "text": 3}
STEPS = {"audio": 24, "video": 9, "text": 6}
ITEMS, GRID, OUTPUTS = 4, 10, 2
TOLERANCE = 1e-6  # in float64: what the order of sums may change
TRIED = [Task("classes", "segment"), Task("numbers", "frame", ("one", "other"))]
TASKS = [*TRIED, Task("numbers", "segment", ("one", "other")), Task("classes", "frame")]
Given = tuple[dict[str, Tensor], dict[str, Tensor]]  # values and masks by modality


@click.command()
@click.argument("name")
@click.option("--options", default="{}", help="The network's options as JSON, the fusion's own among them.")
def check_fusion(name, options):
    """Try fusion NAME (a name, module:Class or file.py:Class) on made-up streams and say what is wrong with it."""
    table = {**parse_options(options), "fusion": name}
    network = options_from_json(NetworkOptions, json.dumps(table), "--options")
    said = about(network, TRIED[0])
    click.echo(f"       {said['title']}. {said['description']}")
    for why in _refused(network).values():
        click.echo(f"       not tried: {why}")
    torch.set_num_threads(1)  # on a busy machine, threads wait for each other far longer than they compute
    say(CHECKS, network, f"fusion {name!r}", FUSIONS.load(name))


@dataclass(frozen=True)
class _Case:
    """One network on made-up streams."""

    options: NetworkOptions
    task: Task
    modalities: tuple[str, ...]

    def __str__(self) -> str:
        letters = {name: letter for letter, name in MODALITIES.items()}
        return f"{'+'.join(letters[m] for m in self.modalities)}, task {self.task}"

    @property
    def steps(self) -> dict[str, int]:
        return dict.fromkeys(DIMS, GRID) if self.task.frames or self.options.one_grid else STEPS

    def network(self) -> nn.Module:
        torch.manual_seed(0)
        dims = {m: DIMS[m] for m in self.modalities}
        return build(self.options, dims, self.task, OUTPUTS, self.steps).double().eval()

    def given(self) -> Given:
        generator, kind = torch.Generator().manual_seed(1), torch.float64
        shapes = {m: (ITEMS, self.steps[m]) for m in self.modalities}
        values = {m: torch.randn(*shape, DIMS[m], generator=generator, dtype=kind) for m, shape in shapes.items()}
        return values, {m: torch.rand(*shape, generator=generator) >= 0.3 for m, shape in shapes.items()}


def _refused(options: NetworkOptions) -> dict[Task, str]:
    """The tasks for which no such network can be configured, and why not."""
    found = {}
    for task in TASKS:
        try:
            check_network(options, list(DIMS), task)
        except InputError as error:
            found[task] = str(error)
    return found


def _cases(options: NetworkOptions, tasks: list[Task] = TRIED) -> Iterator[_Case]:
    """Every task with every set of modalities that the fusion takes."""
    refused = _refused(options)
    if len(refused) == len(TASKS):
        raise InputError(next(iter(refused.values())))
    for task in [t for t in tasks if t not in refused] or [t for t in TASKS if t not in refused]:
        for count in range(options.make_fusion().min_modalities, len(DIMS) + 1):
            yield from (_Case(options, task, modalities) for modalities in combinations(DIMS, count))


def _largest(options: NetworkOptions) -> Iterator[tuple[_Case, nn.Module, Given]]:
    """Each task with all modalities."""
    for case in _cases(options):
        if len(case.modalities) == len(DIMS):
            yield case, case.network(), case.given()


def _apart(one: Tensor, other: Tensor) -> float:
    """Largest difference as a share of the largest value."""
    return float(((one - other).abs().max() / one.abs().max().clamp(min=1e-12)).detach())


@torch.no_grad()
def _builds(options: NetworkOptions) -> str:
    sizes = []
    for case in _cases(options, TASKS):
        network = case.network()
        outcome = network(*case.given())
        wanted = (ITEMS, GRID, OUTPUTS) if case.task.frames else (ITEMS, OUTPUTS)
        if outcome.shape != wanted or not torch.isfinite(outcome).all():
            raise Wrong(f"{case}: gives {tuple(outcome.shape)}, finite and {wanted} expected")
        sizes.append(sum(p.numel() for p in network.parameters()))
    tried = "each task tried" if _refused(options) else "every task"
    return f"{len(sizes)} networks of {min(sizes)} to {max(sizes)} parameters, every set of modalities on {tried}"


def _streams(options: NetworkOptions) -> str:
    """What ``fuse`` gives, and that it leaves what it is given as it was."""
    count = 0
    for case in _cases(options):
        fused = Fused(options.make_fusion(case.task), list(case.modalities)).double().eval()
        _, masks = case.given()
        streams = {m: observed(torch.randn(*mask.shape, options.width).double(), mask) for m, mask in masks.items()}
        kept = {m: Stream(s.values.clone(), s.mask.clone()) for m, s in streams.items()}
        groups = fused(dict(streams))
        if not (isinstance(groups, list) and groups and all(isinstance(group, list) and group for group in groups)):
            raise Wrong("fuse gives a list of groups, each a list of streams: [[Stream(values, mask), ...], ...]")
        for values, mask in (stream for group in groups for stream in group):
            dims = (3,) if case.task.frames else (3, 2)  # or averaged over time
            if values.dim() not in dims or mask.dtype != torch.bool or values.shape[:-1] != mask.shape:
                raise Wrong(
                    f"a stream has values {tuple(values.shape)} and a {mask.dtype} mask {tuple(mask.shape)}; "
                    "give (B, T, D) and bool (B, T)"
                )
            if values[~mask].any():
                raise Wrong(
                    "values are not zero where the mask is False, so absent steps leak into means; "
                    "return observed(values, mask) (from affectflow import observed)"
                )
            count += 1
        if any(not torch.equal(a, b) for m in streams for a, b in zip(streams[m], kept[m])):
            raise Wrong("fuse changes the streams that it is given; work on a copy")
    return f"{count} streams, zero where nothing was observed"


@torch.no_grad()
def _absent(options: NetworkOptions) -> str:
    for case, network, (values, masks) in _largest(options):
        before = network(values, masks)
        for spoil in (torch.nan, 1e6):
            spoilt = {m: torch.where(masks[m][..., None], values[m], spoil) for m in masks}
            if not torch.equal(network(spoilt, masks), before):
                raise Wrong(f"{case}: what absent rows hold ({spoil}) changes the outcome")
    return "absent rows may hold anything, NaN included"


@torch.no_grad()
def _padding(options: NetworkOptions) -> str:
    if options.faithful:
        return "not asked of a published model, to which padding is data"
    worst = 0.0
    for (case, network, (values, masks)), full in product(_largest(options), (False, True)):
        masks = {m: mask | full for m, mask in masks.items()}
        longer = {m: F.pad(v, (0, 0, 0, 7)) for m, v in values.items()}, {m: F.pad(v, (0, 7)) for m, v in masks.items()}
        after = network(*longer)[:, :GRID] if case.task.frames else network(*longer)
        worst = max(worst, _apart(network(values, masks), after))
        if worst > TOLERANCE:
            raise Wrong(
                f"{case}: seven absent steps at the end change the outcome by {worst:.2g} of the "
                "largest value; absent steps must not be attended to, counted or averaged (stream.mask says which)"
            )
    return f"absent steps at the end change nothing (to {worst:.1g})"


@torch.no_grad()
def _batches(options: NetworkOptions) -> str:
    worst = 0.0
    for case, network, (values, masks) in _largest(options):
        together = network(values, masks)
        for i in range(ITEMS):
            alone = network({m: v[i : i + 1] for m, v in values.items()}, {m: v[i : i + 1] for m, v in masks.items()})
            worst = max(worst, _apart(together[i : i + 1], alone))
        if worst > TOLERANCE:
            raise Wrong(f"{case}: an item differs by {worst:.2g} between a batch and alone")
    return f"an item says the same in any batch (to {worst:.1g})"


def _nothing(options: NetworkOptions) -> str:
    for case, network, (values, masks) in _largest(options):
        for m in masks:
            masks[m][0] = False  # an item of which nothing was observed
            masks[m][1] = m == case.modalities[0]  # one modality only
        outcome = network(values, masks)
        outcome.sum().backward()
        if not torch.isfinite(outcome).all() or not all(
            p.grad is None or torch.isfinite(p.grad).all() for p in network.parameters()
        ):
            raise Wrong(
                f"{case}: an item of which nothing, or only {case.modalities[0]}, was observed gives "
                "NaN; a softmax or a mean over nothing is none"
            )
    return "items of which nothing or one modality was observed are survived"


@torch.no_grad()
def _counts(options: NetworkOptions) -> str:
    for case in _cases(options):
        network, (values, masks) = case.network(), case.given()
        before = network(values, masks)
        for m in masks:
            if _apart(before, network(values | {m: values[m] + 1}, masks)) < TOLERANCE:
                raise Wrong(f"{case}: {m} has no say in the outcome")
    return "each modality has its say"


def _gradients(options: NetworkOptions) -> str:
    idle: dict[str, _Case] = {}  # by parameter, the first case in which it is not reached
    reached, following = set(), torch.arange(1, ITEMS + 1)[:, None] % ITEMS
    before = [Before(following, torch.zeros_like(following, dtype=torch.bool))] if options.context else []
    for case in _cases(options):
        network = case.network()
        outcome = network(*case.given(), *before)  # with dialog context each item hears another
        (outcome * torch.linspace(-1, 2, outcome.numel()).view_as(outcome)).sum().backward()
        for name, p in network.named_parameters():
            if p.grad is not None and not torch.isfinite(p.grad).all():
                raise Wrong(f"{case}: the gradient of {name} is not finite")
            if p.grad is not None and p.grad.any():
                reached.add(name)
            else:
                idle.setdefault(name, case)
    never = sorted(set(idle) - reached)
    if never and not options.faithful:
        raise Wrong(f"no gradient reaches {', '.join(never)}: it would never learn; use it or leave it out")
    if never:
        return f"reach all but {len(never)} parameters that published code ignores"
    somewhere = "; ".join(f"{name} not of {case}" for name, case in sorted(idle.items()))
    return f"reach every parameter{f', if not in every network: {somewhere}' if somewhere else ''}"


@torch.no_grad()
def _repeats(options: NetworkOptions) -> str:
    for case, network, given in _largest(options):
        if not torch.equal(network(*given), network(*given)):
            raise Wrong(f"{case}: the same input gives another outcome the second time; is dropout on?")
    return "the same input gives the same outcome"


CHECKS = {
    "builds": _builds,
    "streams": _streams,
    "absent rows": _absent,
    "padding": _padding,
    "batches": _batches,
    "nothing observed": _nothing,
    "modalities": _counts,
    "gradients": _gradients,
    "determinism": _repeats,
}
