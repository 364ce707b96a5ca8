"""Many recordings by one model: what was done before is not done again, and what fails stops nothing else.

Of each recording ``NAME.json`` is written last: it says by which model, of which contents and how it was predicted, and
which files there are. Where a recording is not finished, none of its files is left.
"""

import atexit
import json
import os
import signal
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import TYPE_CHECKING

from models.apply.answer import Answer
from models.apply.folder import Listener, Model
from models.apply.recordings import Wish, transcript_of
from pipeline.cli import full_disk
from pipeline.corpora.raw import content
from pipeline.log import log, log_to_stderr
from pipeline.records import InputError, replacing

if TYPE_CHECKING:
    from models.apply.predict import Predictor


@dataclass(frozen=True)
class Order:
    """What is the same for all recordings."""

    model: Path
    out: Path
    weights: Path
    device: str = "auto"
    folds: tuple[int, ...] = ()
    recogniser: Listener | None = None
    plugs: bool = False
    overlay: bool = False


@dataclass(frozen=True)
class Request:
    """One recording, what is to be said of it, and under which name."""

    path: Path
    wish: Wish
    name: str


@dataclass(frozen=True)
class Failure:
    """That a recording failed, which has been said; ``full`` where a disk was."""

    full: tuple[str, str] | None = None  # what the system says, and of which file


Pending = tuple[Order, Request, dict]
"""A recording that is to be predicted, and on what its prediction depends."""


def predict_all(order: Order, requests: Sequence[Request], cores: int = 1, again: bool = False) -> dict[Path, Failure]:
    """Predict what is missing, ``cores`` recordings at once; returns what failed.

    Raises InputError where the model cannot be used.
    """
    model = Model(order.model, order.plugs)
    todo: list[Pending] = []
    for request in requests:
        key = _key(model, order, request)
        if not again and _is_done(record(order.out, request.name), key):
            log.info("%s: predicted before", request.path)
        else:
            todo.append((order, request, key))
    if min(cores, len(todo)) > 1:
        return _at_once(todo, cores)
    failures: dict[Path, Failure] = {}
    predictor = _open(order, model) if todo else None
    for number, (order, request, key) in enumerate(todo, start=1):
        if failure := _do(predictor, order, request, key):
            failures[request.path] = failure
            if failure.full:  # HDF5 may crash in a process that met a full disk
                return failures | _at_once(todo[number:], cores=1)
    return failures


def record(out: Path, name: str) -> Path:
    """The file that says that a recording is done."""
    return out / f"{name}.json"


def _key(model: Model, order: Order, request: Request) -> dict:
    """All that a prediction depends on."""
    how = {"folds": sorted(order.folds), "recogniser": repr(order.recogniser), "overlay": order.overlay}
    digests = [content(file) for file in (request.path, transcript_of(request.path)) if file]
    return {"model": model.digest, "recording": digests, "settings": {"wish": repr(request.wish), **how}}


def _is_done(path: Path, key: dict) -> bool:
    """Whether a recording has been predicted by the same model, in the same way, and all files are there."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return all(known[name] == value for name, value in key.items()) and all(
            (path.parent / name).is_file() for name in known["files"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _open(order: Order, model: Model) -> "Predictor":
    from models.apply.predict import Predictor

    return Predictor(model, order.weights, order.device, order.folds, order.recogniser)


def _do(predictor: "Predictor", order: Order, request: Request, key: dict) -> Failure | None:
    """Predict one recording and write everything of it."""
    from models.apply.outputs.write import write_outputs

    path = record(order.out, request.name)
    try:
        begin_s = time.monotonic()
        _clear(path)
        answer = predictor.answer(request.path, request.wish)
        written = write_outputs(answer, order.out, overlay=order.overlay, name=request.name)
        try:
            _keep(path, key, answer, written)
        except BaseException:
            for file in written:
                file.unlink(missing_ok=True)
            raise
        _say(request.path, answer, time.monotonic() - begin_s)
    except InputError as error:
        log.error("%s failed: %s", request.path, error)
        return Failure()
    except Exception as error:
        full = full_disk(error)
        if full or isinstance(error, (OSError, MemoryError)):
            log.error("%s failed: %s", request.path, ": ".join(full) if full else error or "not enough memory")
        else:  # of any of the libraries that see the recording
            log.error("%s failed in a way nobody foresaw:\n%s", request.path, traceback.format_exc())
        return Failure(full)
    return None


def _clear(path: Path) -> None:
    """Remove what an earlier run has written of a recording; that it is done goes first."""
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        files = []
    path.unlink(missing_ok=True)
    for name in files:
        (path.parent / Path(name).name).unlink(missing_ok=True)


def _keep(path: Path, key: dict, answer: Answer, written: list[Path]) -> None:
    """Write down that a recording is done, with what a user must know."""
    known = {**key, "source": str(answer.source), "notes": list(answer.notes), "files": [p.name for p in written]}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8", errors="backslashreplace")


def _say(path: Path, answer: Answer, took_s: float) -> None:
    rate = answer.duration_s / max(took_s, 1e-9)
    log.info("%s: %.1f s in %.1f s, %.1f times as fast as it plays", path, answer.duration_s, took_s, rate)
    for note in answer.notes:
        log.info("  %s", note)


def _at_once(todo: list[Pending], cores: int) -> dict[Path, Failure]:
    """The same in several processes, which stop together."""
    failures: dict[Path, Failure] = {}
    while todo:
        found, left = _in_processes(todo, cores)
        failures |= found
        if left and not any(failure.full for failure in found.values()):
            raise InputError(
                "one of the processes was ended from outside, as where memory runs out; give fewer --cores, and run "
                "the same command again for what is missing"
            )
        todo = left
    return failures


def _in_processes(todo: list[Pending], cores: int) -> tuple[dict[Path, Failure], list[Pending]]:
    """What failed, and what is left because a process ended before."""
    failures, left = {}, []
    count = min(cores, len(todo))
    threads = max(1, (os.cpu_count() or 1) // count)
    with ProcessPoolExecutor(count, get_context("spawn"), _begin, (threads,)) as pool:
        pending = {pool.submit(_do_apart, *one): one for one in todo}
        try:
            for future in as_completed(pending):
                try:
                    failure = future.result()
                except BrokenProcessPool:
                    left.append(pending[future])
                    continue
                if failure:
                    failures[pending[future][1].path] = failure
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            children = active_children()
            for child in children:
                child.terminate()
            for child in children:
                child.join()
            raise
    return failures, left


_busy = False  # whether this process is at work on a recording
_full = False  # whether it has met a full disk
_own: "Predictor | None" = None  # its model


def _begin(threads: int) -> None:
    """Set up a process: its share of the cores, lines but no bars, and Ctrl-C left to the process that started it."""
    os.environ["OMP_NUM_THREADS"] = str(threads)  # before any library that reads it
    log_to_stderr(bars=False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)


def _stop(number, frame) -> None:
    if _busy:
        raise KeyboardInterrupt  # so that what is half done is removed
    os._exit(1)


def _do_apart(order: Order, request: Request, key: dict) -> Failure | None:
    global _busy, _own, _full
    if _full:
        os._exit(1)  # another process takes this recording
    _busy = True
    try:
        _own = _own or _open(order, Model(order.model, order.plugs))
        failure = _do(_own, order, request, key)
    except KeyboardInterrupt:
        os._exit(1)
    finally:
        _busy = False
    if failure and failure.full:
        _full = True
        atexit.register(os._exit, 1)  # HDF5 would try again to write what did not fit, and crash
    return failure
