"""Stages that make what a fresh clone lacks: a corpus and weights."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from pipeline.log import log, progress
from pipeline.records import InputError
from workflow.demo.plan import UNITS


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Give an empty folder beside ``target`` and move it there when the block ends well.

    Raises InputError where something is there already.
    """
    if target.is_file() or (target.is_dir() and any(target.iterdir())):
        raise InputError(f"{target} is there already; name a folder that does not exist yet, or remove it yourself")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        temporary.replace(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_unit(corpus: str, root: Path, seed: int, unit_id: str) -> None:
    """Write one unit of a demonstration corpus with one thread."""
    import cv2

    from workflow.demo import affwild2, iemocap

    cv2.setNumThreads(1)
    {"iemocap": iemocap.write_dialog, "affwild2": affwild2.write_video}[corpus](root, seed, unit_id)


def write_corpus(corpus: str, root: Path, seed: int = 0, workers: int = 1) -> None:
    """Write a whole demonstration corpus at ``root``; the same seed gives the same corpus, whatever ``workers`` is."""
    from joblib import Parallel, delayed

    units = UNITS[corpus]
    with new_folder(root) as folder:
        jobs = (delayed(write_unit)(corpus, folder, seed, unit_id) for unit_id in units)
        done = Parallel(min(workers, len(units)), return_as="generator_unordered")(jobs)
        for _ in progress(done, f"{corpus} demonstration corpus, videos", total=len(units)):
            pass


@click.command()
@click.option("--corpus", required=True, type=click.Choice(list(UNITS)), help="Layout to generate.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder that becomes the corpus root.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Another seed, another corpus.")
@click.option(
    "--workers", default=os.cpu_count() or 1, type=click.IntRange(min=1), help="Processes; default: all cores."
)
def demo_corpus(corpus: str, out: Path, seed: int, workers: int) -> None:
    """Generate a synthetic demonstration corpus in the exact layout of IEMOCAP or Aff-Wild2."""
    write_corpus(corpus, out, seed, workers)
    log.info("wrote the %s demonstration corpus (seed %d) to %s", corpus, seed, out)


@click.command()
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Where folders demo--KIND are made.")
def demo_weights(out: Path) -> None:
    """Generate a small checkpoint of each of the real architectures, and small word vectors."""
    from workflow.demo.checkpoints import KINDS, write_checkpoint

    for kind in KINDS:
        with new_folder(out / f"demo--{kind}") as folder:
            write_checkpoint(kind, folder)
        log.info("wrote the %s demonstration checkpoint to %s", kind, out / f"demo--{kind}")
