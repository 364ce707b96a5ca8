"""``affectflow predict``: a packed model over the recordings that somebody names."""

import errno
from collections import Counter
from pathlib import Path
from tempfile import TemporaryFile

import click

from models.apply.answers_folder import JOINED, check_free, names, read_all, tables
from models.apply.batch import Order, Request, predict_all
from models.apply.model_folder import RecogniserChoice, Weights
from models.apply.outputs.table import join
from models.apply.outputs.write import check_apart
from models.apply.recordings import Wish, find
from models.apply.turns import read_spans
from pipeline import weights as checkpoints
from pipeline.cli import parse_options
from pipeline.files import digest_file
from pipeline.log import log
from pipeline.records import InputError

SECONDS = click.FloatRange(min=0, min_open=True)


@click.command(context_settings={"show_default": True})
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("recordings", nargs=-1, required=True, metavar="VIDEO...")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for what is predicted.")
@click.option(
    "--segments", type=click.Path(path_type=Path),
    help="Which stretches: a table with start_s and end_s (and video, person or speaker, side, picture, text), SRT, "
    "VTT or RTTM. Without it every frame; for models of turns, wherever somebody speaks.",
)  # fmt: skip
@click.option("--window", "window_s", type=SECONDS, help="Models of turns: windows of this many seconds instead.")
@click.option("--hop", "hop_s", type=SECONDS, help="Seconds from one window to the next; by default a window's length.")
@click.option(
    "--people", type=click.Choice(["one", "all"]), default="one",
    help="one: the most prominent face; all: everybody who is seen for a second. Voices are never told apart: "
    "everybody is given the same sound and words.",
)  # fmt: skip
@click.option("--side", type=click.Choice(["left", "right"]), help="Only the person on this side of the picture.")
@click.option("--fold", "folds", multiple=True, type=click.IntRange(0), help="Only the networks of these folds.")
@click.option(
    "--recogniser",
    help="Recogniser of speech where the model's corpus came with transcripts.",
)
@click.option("--recogniser-weights", help="Its weights, ORG/NAME@COMMIT or a folder, where it needs some.")
@click.option("--recogniser-options", default="{}", help="""Its options as JSON, such as '{"language": "de"}'.""")
@click.option("--weights", type=click.Path(path_type=Path), default="results/weights", help="Where encoders are kept.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", help="Where networks run.")
@click.option("--plugs", is_flag=True, help="Allow the model to run code that does not come with affectflow.")
@click.option(
    "--cores", type=click.IntRange(1),
    help="Processor cores to use, for as many recordings at once, each with its own model in memory. Without it one "
    "recording after another, each on all cores.",
)  # fmt: skip
@click.option("--overlay", is_flag=True, help="Also write a video with boxes and labels.")
@click.option("--again", is_flag=True, help="Predict again what this model has already predicted.")
@click.option("--watch", is_flag=True, help="Open the first page in a browser.")
def predict(
    model, recordings, out, segments, window_s, hop_s, people, side, folds, recogniser, recogniser_weights,
    recogniser_options, weights, device, plugs, cores, overlay, again, watch,
):  # fmt: skip
    """Predict each recording with a packed MODEL; a folder or a pattern stands for all recordings in it.

    Writes NAME.csv, .parquet, .vtt, .TextGrid, .png and .html of each, and recordings.csv of all in the
    folder. A recording that cannot be used stops none of the others; a second run does only what is missing.
    """
    known = parse_options(recogniser_options, "--recogniser-options")
    if not recogniser and (recogniser_weights or known):
        raise InputError("--recogniser-weights and --recogniser-options are of a --recogniser; give it, too")
    paths = find(recordings)
    spans = read_spans(segments, paths) if segments else {}
    wishes = {path: Wish(people, side or "whole", spans.get(path), window_s, hop_s, segments) for path in paths}
    _check_writable(out)
    for path in paths:
        check_apart(path, out)
    if recogniser:
        found = _weights(recogniser_weights) if recogniser_weights else None
        recogniser = RecogniserChoice(kind=recogniser, options=known, weights=found)
    order = Order(model, out, weights, device, tuple(folds), recogniser, plugs, overlay)
    name_of, before = names(paths, out), read_all(out)
    check_free(out, name_of.values(), overlay, segments)
    try:
        failed = predict_all(order, [Request(path, wishes[path], name_of[path]) for path in paths], cores, again)
    except InputError:  # the model is refused, before anything was done as a rule
        if read_all(out) != before:
            _join(out)
        raise
    except BaseException:  # Ctrl-C, or any other: the table has what was done before
        _join(out)
        raise
    joined = _join(out)
    named = ", ".join(str(path) for path in paths if path in failed)
    said = f"{len(failed)} of {len(paths)} recordings failed: {named}"
    full = next((failure.full for failure in failed.values() if failure.full), None)
    if full:
        log.error("%s", said)
    if watch and (done := next((path for path in paths if path not in failed), None)):
        import webbrowser

        webbrowser.open((out / f"{name_of[done]}.html").absolute().as_uri())
    if full:
        raise OSError(errno.ENOSPC, *full)
    if failed:
        raise InputError(said)
    if not joined:
        raise InputError(f"{out / JOINED}.csv was not written; run the same command again")


def _weights(text: str) -> Weights:
    """The checkpoint of a source, with the digests of its files where others may lie there tomorrow."""
    source = checkpoints.parse(text)
    files = checkpoints.local_files(source, allow_pickle=False) if source.kind == "path" else []
    return Weights.of(text, sha256={file.name: digest_file(file) for file in files})


def _join(out: Path) -> bool:
    """Write the table of all recordings that are done; log where it cannot be, or they were not all predicted alike."""
    if not (found := tables(out)):
        return True
    try:
        join(found, out / f"{JOINED}.csv")
    except OSError as error:  # which must not hide why there is no more
        log.error("%s.csv cannot be written (%s)", out / JOINED, error.strerror or error)
        return False
    setups = Counter(about["setup"] for about in found.values()).most_common()
    if len(setups) > 1:
        listed = ", ".join(f"{count} by {setup}" for setup, count in setups)
        message = "%s: holds recordings predicted by several models, options or versions; by its column setup: %s"
        log.warning(message, out / f"{JOINED}.csv", listed)
    return True


def _check_writable(out: Path) -> None:
    """Raise InputError where nothing can be written, before any work."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=out).close()
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written to ({error.strerror}); give another folder") from None
