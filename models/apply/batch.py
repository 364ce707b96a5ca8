"""Many recordings by one model: what was done before is not done again, and what fails stops nothing else.

Of each recording ``NAME.json`` says by which model, of which contents and how it was predicted, and which files there
are. Where a recording is not finished, none of its files is left, unless of an earlier prediction.
"""

import json
import os
import signal
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from models.apply.answer import Answer
from models.apply.answers_folder import begin, end, read, record
from models.apply.model_folder import Model, RecogniserChoice
from models.apply.outputs.wording import WARNING
from models.apply.outputs.write import write_outputs
from models.apply.recordings import NO_WINDOWS, Wish, transcript_of
from models.fusion.registry import FUSIONS
from pipeline.cli import full_disk
from pipeline.container import MediaError
from pipeline.corpora.raw import content
from pipeline.digest import code
from pipeline.features.registry import EXTRACTORS
from pipeline.files import write_json
from pipeline.log import log, log_to_stderr
from pipeline.records import InputError
from pipeline.words.registry import NONE, RECOGNISERS

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
    recogniser: RecogniserChoice | None = None
    plugs: bool = False
    overlay: bool = False
    scratch: Path | None = None  # folder of temporary files


@dataclass(frozen=True)
class Request:
    """One recording, what is to be said of it, and under which name."""

    path: Path
    wish: Wish
    name: str


@dataclass(frozen=True)
class Failure:
    """That a recording failed, as the log says; ``full``: a disk was, ``last``: it is that of ``out``."""

    full: tuple[str, str] | None = None  # what the system says, and of which file
    last: bool = False  # whatever follows could not be written either


SHORT = 8  # hexadecimal digits of a setup
Pending = tuple[Request, dict]
"""A recording that is to be predicted, and on what its prediction depends."""


def predict_all(
    order: Order, requests: Sequence[Request], cores: int | None = None, again: bool = False
) -> dict[Path, Failure]:
    """Predict what is missing, ``cores`` recordings at once, else one by one on all cores; returns what failed.

    Raises InputError where the model cannot be used.
    """
    if cores:  # before any library that reads it, which somebody's own plug may load
        os.environ["OMP_NUM_THREADS"] = str(cores)
    model = Model(order.model, order.plugs)
    if any(request.wish.window_s for request in requests) and model.task.frames:
        raise InputError(NO_WINDOWS)
    todo: list[Pending] = []
    for request in requests:
        key = _key(model, order, request)
        if not again and _is_done(record(order.out, request.name), key):
            log.info("%s: predicted before", request.path)
        else:
            todo.append((request, key))
    if not todo:
        return {}
    count = min(cores or 1, len(todo))
    if cores:  # for the processes that are started
        os.environ["OMP_NUM_THREADS"] = str(cores // count)
    with TemporaryDirectory(prefix="affectflow-") as folder:  # also of what a process leaves that is ended
        order = replace(order, scratch=Path(folder))
        return _one_by_one(order, model, todo) if count == 1 else _at_once(order, todo, count)


def _one_by_one(order: Order, model: Model, todo: list[Pending]) -> dict[Path, Failure]:
    failures: dict[Path, Failure] = {}
    predictor = _open(order, model)
    for number, (request, key) in enumerate(todo, start=1):
        if failure := _do(predictor, order, request, key):
            failures[request.path] = failure
            left = todo[number:]
            if failure.full:  # HDF5 may crash in a process that met a full disk
                return failures | (_not_begun(left, failure) if failure.last else _at_once(order, left, count=1))
    return failures


def _not_begun(left: list[Pending], failure: Failure) -> dict[Path, Failure]:
    """Say once that what is left has failed, too."""
    if left:
        log.error("nothing more can be written; not begun: %s", ", ".join(str(request.path) for request, _ in left))
    return dict.fromkeys((request.path for request, _ in left), failure)


def _key(model: Model, order: Order, request: Request) -> dict:
    """All that a prediction depends on; ``setup`` is one for recordings that are predicted alike."""
    wish, path = request.wish, request.path
    digests = [content(file) for file in (path, transcript_of(path, wish.times)[0]) if file]
    how = {**vars(wish), "spans_given": wish.spans is not None, "folds": sorted(order.folds)}
    how["recogniser"] = order.recogniser and order.recogniser.model_dump(mode="json")
    del how["times"], how["spans"]  # what they hold counts, of each recording its own
    spans = None if wish.spans is None else [asdict(span) for span in wish.spans]
    alike = {"model": model.digest, "code": _code(model, order), "how": how}
    setup = sha256(json.dumps(alike, sort_keys=True).encode()).hexdigest()[:SHORT]
    return {**alike, "setup": setup, "recording": digests, "spans": spans, "overlay": order.overlay}


def _code(model: Model, order: Order) -> str:
    """Digest of the code that predicts: the stages, and the plugs that the model or the order names."""
    recogniser = (order.recogniser or model.about.recogniser).kind
    plugs = [EXTRACTORS.load(part.extractor) for feature in model.about.features.values() for part in feature.made]
    plugs += [FUSIONS.load(model.network.fusion), *([] if recogniser == NONE else [RECOGNISERS.load(recogniser)])]
    return code("models.apply.batch:_do", "models.apply.predict:Predictor", *plugs)


def _is_done(path: Path, key: dict) -> bool:
    """Whether a recording has been predicted by the same model, in the same way, and all files are there."""
    known = read(path)
    if known is None or not key.items() <= known.items():
        return False
    return all((path.parent / name).is_file() for name in known["files"])


def _open(order: Order, model: Model) -> "Predictor":
    from models.apply.predict import Predictor

    return Predictor(model, order.weights, order.device, order.folds, order.recogniser, scratch=order.scratch)


def _do(predictor: "Predictor", order: Order, request: Request, key: dict) -> Failure | None:
    """Predict one recording and write everything of it, or nothing; what was there stays until there is an answer."""
    answer = None
    try:
        begin_s = time.monotonic()
        try:
            answer = predictor.answer(request.path, request.wish)
            _write(answer, order, request, key)
        finally:
            end(order.out, request.name)
        rate = answer.duration_s / max(time.monotonic() - begin_s, 1e-9)
        log.info("%s: %.1f s, %.1f times as fast as it plays", request.path, answer.duration_s, rate)
        for note in [WARNING] * answer.demonstration + list(answer.notes):
            log.info("  %s", note)
    except InputError as error:
        said = error.text if isinstance(error, MediaError) and error.path == request.path else error
        log.error("%s failed: %s", request.path, said)
        return Failure()
    except Exception as error:
        full = full_disk(error)
        if full or isinstance(error, (OSError, MemoryError)):
            log.error("%s failed: %s", request.path, ": ".join(full) if full else error or "not enough memory")
        else:  # an error of any of the libraries that see the recording
            log.error("%s failed with an unexpected error:\n%s", request.path, traceback.format_exc())
        return Failure(full, last=bool(full and answer))
    return None


def _write(answer: Answer, order: Order, request: Request, key: dict) -> None:
    """Write what comes out in place of what there was, and at last that it is done, with what a user must know."""
    begin(order.out, request.name, order.overlay)
    written = write_outputs(answer, order.out, request.name, overlay=order.overlay)
    known = {**key, "source": os.path.abspath(answer.source), "demonstration": answer.demonstration}
    known |= {"notes": list(answer.notes), "files": [path.name for path in written]}
    write_json(record(order.out, request.name), known)


def _at_once(order: Order, todo: list[Pending], count: int) -> dict[Path, Failure]:
    """The same in ``count`` processes, which stop together; one that has met a full disk is followed by another."""
    waiting, failures = todo[::-1], {}
    workers: dict[Connection, BaseProcess] = {}
    at_work: dict[Connection, Pending] = {}
    try:
        while waiting or at_work:
            while waiting and len(at_work) < count:
                idle = next((each for each in workers if each not in at_work), None)
                pipe = idle or _start(order, workers)
                try:
                    pipe.send(waiting[-1])
                except ConnectionError:
                    if pipe is idle:  # it ended with nothing to do: another takes the recording
                        workers.pop(pipe).join()
                        continue
                at_work[pipe] = waiting.pop()  # one that ended as it started has its answer missed below
            ready = wait(list(at_work))
            for pipe in [each for each in at_work if each in ready]:
                request, _ = at_work.pop(pipe)
                try:
                    said = pipe.recv()
                except (EOFError, ConnectionError):
                    del workers[pipe]
                    end(order.out, request.name)
                    why = "its process was ended from outside, as where memory runs out; give fewer --cores"
                    log.error("%s failed: %s", request.path, why)
                    said = Failure()
                if isinstance(said, Exception):
                    raise said
                if said:
                    failures[request.path] = said
                if said and said.full:
                    del workers[pipe]
                if said and said.last:
                    failures |= _not_begun(waiting[::-1], said)
                    waiting = []
    finally:
        for pipe, process in workers.items():
            process.terminate()
            pipe.close()
        for process in workers.values():
            process.join()
    return failures


def _start(order: Order, workers: dict[Connection, BaseProcess]) -> Connection:
    """Add a process; Ctrl-C is left to this one, from the first moment on."""
    context = get_context("spawn")
    ours, its = context.Pipe()
    process = context.Process(target=_work, args=(order, its), daemon=True)
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process.start()
        workers[ours] = process
    finally:
        signal.signal(signal.SIGINT, handler)
    its.close()
    return ours


def _work(order: Order, pipe: Connection) -> None:
    """Predict recordings as they come, and say what failed, until the process that started this one has no more."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what is half done is removed
    log_to_stderr(bars=False)
    try:
        predictor, failure = _open(order, Model(order.model, order.plugs)), None
        while not (failure and failure.full):
            failure = _do(predictor, order, *pipe.recv())
            pipe.send(failure)
    except (EOFError, ConnectionError, KeyboardInterrupt):
        pass
    except Exception as error:  # the model cannot be used
        pipe.send(error)
    os._exit(1)  # after a full disk HDF5 would try again to write what did not fit, and crash
