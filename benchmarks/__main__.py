"""``make bench``: every figure, measured in one run on this machine, as a table and in results/bench.json.

Figures are ratios wherever they can be, so that they mean the same on another machine; a target stands in the name.
"""

import importlib
import json
import os
import platform
import sys
import time
from pathlib import Path

import click

PARTS = ("workflow", "store", "faces", "features", "words", "training", "costs", "hour", "predict", "gpu")


def machine() -> dict[str, str | int]:
    """What the figures were measured on."""
    cpu = next((x.split(":")[1].strip() for x in _lines("/proc/cpuinfo") if x.startswith("model name")), "unknown")
    memory = next((int(x.split()[1]) // 2**20 for x in _lines("/proc/meminfo") if x.startswith("MemTotal")), 0)
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    cores = len(os.sched_getaffinity(0))
    return {"cpu": cpu, "cores": cores, "memory_gib": memory, "gpu": gpu, "python": platform.python_version()}


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(PARTS))
@click.option("--out", type=click.Path(path_type=Path), default=Path("results/bench.json"), show_default=True)
def main(parts, out):
    """Measure PARTS (all, if none is named) one after another."""
    found = {"machine": machine(), "load_before": os.getloadavg()[0], "figures": {}}
    print(", ".join(f"{key} {value}" for key, value in found["machine"].items()))
    if found["load_before"] > 0.5:
        print(f"note: something else is running here (load {found['load_before']:.1f}); ratios suffer")
    for part in parts or PARTS:
        begin = time.monotonic()
        figures = importlib.import_module(f"benchmarks.{part}").figures()
        found["figures"][part] = figures
        print(f"\n{part} ({time.monotonic() - begin:.0f} s)")
        for name, value in figures.items():
            print(f"{value:10.2f}  {name}")
        sys.stdout.flush()
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(found, indent=1) + "\n")  # after each part: all of them take an hour
    print(f"\nwritten to {out}")


if __name__ == "__main__":
    main()
