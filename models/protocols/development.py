"""The development part, by one rule for every corpus: whole groups, so that epochs are not chosen by memory.

1. Three or more blocks (sessions; where there are none speakers, or videos) may train: whole blocks are held out. Of
   few blocks one, in turn from fold to fold; of many about 15 %. Nobody of the development part trains.
2. Else scenarios are held out, else dialogs, else videos: what is then shared is said in the log and in leaks.csv.

The protocol ``scenario`` also keeps scenarios apart: a quarter of the blocks, in turn, and of these a third of the
scenarios select the model; what else shares blocks or scenarios with them is in no part.
"""

from collections.abc import Sequence

import numpy as np

from models.protocols.groups import Labelled, blocks, group_of, groups_of, hold_out, missing_classes, share_out
from pipeline.records import Segment

SHARE = 0.15
ENOUGH_BLOCKS, FEW_BLOCKS = 3, 10
BLOCK_SETS = 4
SCENARIO_SETS = 3

Parts = tuple[list[Segment], list[Segment]]  # training and development


def develop(pool: Sequence[Segment], labelled: Labelled, fold: int, scenarios_apart: bool, seed: int) -> Parts:
    """Take the development part out of what may train; raises InputError where there is only one video."""
    rng = np.random.default_rng([seed, fold])
    block = blocks(pool)
    count = len(set(block))
    if count >= ENOUGH_BLOCKS and scenarios_apart and len(groups_of(pool, "scenario")) >= 2:
        return _apart(pool, np.array(block), labelled, fold, rng)
    if count >= ENOUGH_BLOCKS:
        names, table = labelled.table(pool, block)
        held_out = _in_turn(names, table, fold) if count <= FEW_BLOCKS else hold_out(names, table, SHARE, rng)
        groups = block
    else:
        groups = _finer(pool)
        held_out = hold_out(*labelled.table(pool, groups), SHARE, rng)
    training = [s for s, group in zip(pool, groups) if group not in held_out]
    return training, [s for s, group in zip(pool, groups) if group in held_out]


def _in_turn(names: np.ndarray, table: np.ndarray, fold: int) -> set:
    """One group, a different one in each fold, among those without which the fewest classes are missing."""
    lacking = [missing_classes(row, table.sum(0) - row) for row in table]
    return {names[min(range(len(names)), key=lambda k: (lacking[k], (k - fold) % len(names)))]}


def _finer(pool: Sequence[Segment]) -> list:
    """The group of each segment where blocks are too few: its scenario, else its dialog, else its video."""
    choices = [[s.scenario for s in pool]] if all(s.scenario is not None for s in pool) else []
    choices.append([group_of(s, "dialog") for s in pool])
    return next((groups for groups in choices if len(set(groups)) >= 2), [s.unit_id for s in pool])


def _apart(
    pool: Sequence[Segment], block: np.ndarray, labelled: Labelled, fold: int, rng: np.random.Generator
) -> Parts:
    """Of all pairs of a set of blocks and a set of their scenarios, the one whose parts lack least and look alike."""
    scenario = np.array([s.scenario for s in pool])
    classes = labelled.table(pool, range(len(pool)))[1]  # (segments, classes)
    usual = classes.sum(0) / classes.sum()
    sets = share_out(*labelled.table(pool, block), min(BLOCK_SETS, len(set(block.tolist()))), rng)
    best, best_cost = None, None
    for number, blocks_out in enumerate(sets):
        inside = np.isin(block, blocks_out)
        own = [s for s, here in zip(pool, inside) if here]
        names, table = labelled.table(own, scenario[inside])
        for held_out in share_out(names, table, min(SCENARIO_SETS, len(names)), rng):
            in_scenario = np.isin(scenario, held_out)
            masks = ~inside & ~in_scenario, inside & in_scenario
            training, development = (classes[mask].sum(0) for mask in masks)
            mix = sum(np.abs(part / max(1e-9, part.sum()) - usual).sum() for part in (training, development))
            cost = (missing_classes(development, training), (number - fold) % len(sets), float(mix))
            if best_cost is None or cost < best_cost:
                best, best_cost = masks, cost
    training, development = ([s for s, here in zip(pool, mask) if here] for mask in best)
    return training, development
