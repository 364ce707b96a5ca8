"""What the workflow itself costs: the first report, and on both full corpora parsing, a dry run, a run without work.

    python -m benchmarks workflow

The first report is the demonstration's, from nothing, on two cores. The full trees have the corpora's dialogs, turns
and videos with empty media (benchmarks/full_size.py), and a table names 100,000 clips; of them nothing is computed.
Seconds are given twice: as on a clock on the wall, and as the processor's, which other people's work does not stretch.
"""

import re
import sys
import tempfile
from pathlib import Path

from benchmarks.full_size import make_affwild2, make_clips, make_iemocap, write_config
from benchmarks.measure import ROOT, Cost, run

REPORTS = ["results/iemocap_report.html", "results/affwild2_report.html"]
IMPORTS = "import snakemake.cli, snakemake.api, snakemake.workflow"


def snakemake(folder: Path, *arguments: str, reports: list[str] = REPORTS, cores: int = 8) -> Cost:
    """Run Snakemake on reports in a folder."""
    fixed = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder), "--cores", str(cores)]
    return run([sys.executable, "-m", "snakemake", *reports, *fixed, *arguments], folder)


def first_report(folder: Path) -> dict[str, float]:
    """The demonstration: one report, the second, and both again with nothing to do."""
    first = snakemake(folder, reports=REPORTS[:1], cores=2)
    second, again = snakemake(folder, cores=2), snakemake(folder, cores=2)
    return {
        "s, the first report on 2 cores (under 170)": first.wall_s,
        "s of the processor, the first report": first.processor_s,
        "s, both reports on 2 cores (under 300)": first.wall_s + second.wall_s,
        "s of the processor, both reports": first.processor_s + second.processor_s,
        "s, both again, with nothing to do (under 5)": again.wall_s,
    }


def parsing(folder: Path) -> dict[str, float]:
    """Reading the Snakefile with the units of both corpora, beyond what importing Snakemake costs anyway.

    The least of five runs of each, for they differ by as much as is wanted to be known.
    """
    plain = [run([sys.executable, "-c", IMPORTS], folder) for _ in range(5)]
    whole = [snakemake(folder, "--list-rules") for _ in range(5)]
    return {
        "s, parsing the Snakefile (under 1)": min(w.wall_s for w in whole) - min(p.wall_s for p in plain),
        "s of the processor, parsing": min(w.processor_s for w in whole) - min(p.processor_s for p in plain),
    }


def dry_run(folder: Path, what: str, under_s: int, under_mb: int, reports: list[str] = REPORTS) -> dict[str, float]:
    """Working out every job from nothing."""
    cost = snakemake(folder, "--dry-run", reports=reports)
    jobs = re.search(r"^total +(\d+)$", cost.text, re.M)[1]
    return {
        f"s, dry run of {what}, {jobs} jobs (under {under_s})": cost.wall_s,
        f"s of the processor, dry run of {what}": cost.processor_s,
        f"MB, dry run of {what} (under {under_mb})": cost.peak_mb,
    }


def no_op(folder: Path) -> dict[str, float]:
    """Finding that everything is there: empty files and folders stand in, which Snakemake is told that it has made."""
    for line in re.findall(r"^    output: (.+)$", snakemake(folder, "--dry-run").text, re.M):
        for name in line.split(", "):
            path = folder / name
            if name.startswith("results/weights/") or not path.suffix:  # folders
                path.mkdir(parents=True, exist_ok=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text('{"demonstration": true}' if name.endswith("/config.json") else "")
    snakemake(folder, "--touch", "--forceall")
    cost = snakemake(folder)
    if "Nothing to be done" not in cost.text:
        raise RuntimeError(f"there was to be nothing left to do, but Snakemake said:\n{cost.text[-3000:]}")
    return {"s, no-op run (under 15)": cost.wall_s, "s of the processor, no-op run": cost.processor_s}


def start_up() -> dict[str, float]:
    """The first thing anybody types; the shortest of five, since the first one fills the disk cache."""
    seconds = [run([sys.executable, "-m", "pipeline", "--help"], ROOT).wall_s for _ in range(5)]
    return {"s, python -m pipeline --help (under 0.3)": min(seconds)}


def figures() -> dict[str, float]:
    """All figures of one run."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "full"
        demonstration = first_report(Path(temporary))
        make_iemocap(folder / "IEMOCAP_full_release")
        make_affwild2(folder / "AffWild2")
        write_config(folder, scale="demo")
        make_clips(Path(temporary) / "table")
        table = dry_run(Path(temporary) / "table", "a table of 100,000 clips", 60, 1000, ["results/clips_report.html"])
        both = dry_run(folder, "both corpora", 8, 400)
        return demonstration | start_up() | parsing(folder) | both | table | no_op(folder)
