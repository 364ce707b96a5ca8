"""Which layers of the networks behind the features were listened to, where models learned that."""

import numpy as np

from models.report.gather import Results, run_infos
from models.report.runs import RunNames
from models.report.tables import Column, Table


def layers_table(results: Results, runs: list[str], names: RunNames) -> Table | None:
    """The learned weight of each layer by run, a mean over folds and seeds; None where no run mixes layers."""
    rows = []
    for run in runs:
        infos = [info for info in run_infos(results, [run]) if info.get("layer_weights")]
        for modality in infos[0]["layer_weights"] if infos else ():
            shares = np.mean([info["layer_weights"][modality] for info in infos], axis=0)
            numbers = infos[0]["model"]["layers"][modality]
            row = {"model": names.run(run), "run": run, "input": names.get(run).inputs.get(modality, modality)}
            rows.append(row | {f"layer_{n}": float(share) for n, share in zip(numbers, shares)})
    if not rows:
        return None
    seen = sorted({int(key.removeprefix("layer_")) for row in rows for key in row if key.startswith("layer_")})
    columns = [
        Column("model", "Model", number=False),
        Column("input", "Features", number=False),
        *(Column(f"layer_{n}", str(n), _share, over="Layer, 0 the embedding") for n in seen),
    ]
    note = "Shares sum to 1 in each row; layers are normalised before they are mixed, so that none is large by itself."
    return Table.of("layers", "Learned mix of layers", columns, rows, note=note)


def _share(value) -> str:
    return "–" if value is None or value != value else f"{value:.3f}"
