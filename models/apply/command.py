"""``affectflow predict``: a packed model over the recordings that somebody names."""

import json
import time
import traceback
from pathlib import Path

import click

from models.apply.answer import Answer
from models.apply.folder import Listener, Model, Weights
from models.apply.recordings import Wish, find, transcript_of
from models.apply.turns import read_spans
from pipeline import weights as checkpoints
from pipeline.corpora.raw import content
from pipeline.log import log
from pipeline.names import safe_ids
from pipeline.records import InputError, replacing

JOINED = "recordings"  # name of the table of all
SECONDS = click.FloatRange(min=0, min_open=True)


@click.command(context_settings={"show_default": True})
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("recordings", nargs=-1, required=True, metavar="VIDEO...")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the answers.")
@click.option(
    "--segments", type=click.Path(path_type=Path),
    help="Of which stretches: a CSV with start_s and end_s (and video, person, side, picture, text), SRT, VTT or RTTM. "
    "Without it every frame, or, of models of turns, wherever somebody speaks.",
)  # fmt: skip
@click.option("--window", "window_s", type=SECONDS, help="Models of turns: windows of so many seconds instead.")
@click.option("--hop", "hop_s", type=SECONDS, help="Seconds from one window to the next; the window without it.")
@click.option(
    "--people", type=click.Choice(["one", "all"]), default="one",
    help="one: the most prominent face; all: everybody who is seen for a second. Voices are never told apart: "
    "everybody is given the same sound and words.",
)  # fmt: skip
@click.option("--side", type=click.Choice(["left", "right"]), help="Only the person on this side of the picture.")
@click.option("--fold", "folds", multiple=True, type=click.IntRange(0), help="Only the networks of these folds.")
@click.option("--recogniser", help="What hears words where the model's corpus came with transcripts: pocketsphinx, ...")
@click.option("--recogniser-weights", "heard_by", help="Its weights, ORG/NAME@COMMIT or a folder, where it needs some.")
@click.option("--weights", type=click.Path(path_type=Path), default="results/weights", help="Where encoders are kept.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", help="Where networks run.")
@click.option("--plugs", is_flag=True, help="Allow the model to run code that does not come with affectflow.")
@click.option("--overlay", is_flag=True, help="Also write a video with boxes and labels.")
@click.option("--again", is_flag=True, help="Also what was predicted before by the same model.")
@click.option("--watch", is_flag=True, help="Open the first page in a browser.")
def predict(
    model, recordings, out, segments, window_s, hop_s, people, side, folds, recogniser, heard_by, weights, device,
    plugs, overlay, again, watch,
):  # fmt: skip
    """Say of each recording what a packed MODEL makes of it; folders and patterns are taken as all recordings in them.

    Writes NAME.csv, .parquet, .vtt, .png and .html of each, and recordings.csv of all. A recording that cannot be used
    stops none of the others; a second run does only what is missing.
    """
    if side and people == "all":
        raise InputError("--people all and --side: everybody, or the person on one side; give one of them")
    if hop_s and not window_s:
        raise InputError("--hop: give --window, too")
    if window_s and segments:
        raise InputError("--window and --segments both say of which stretches; give one of them")
    from models.apply.outputs.write import check_apart, write_outputs
    from models.apply.predict import Predictor

    paths = find(recordings)
    spans = read_spans(segments, paths) if segments else {}
    _check_writable(out)
    for path in paths:
        check_apart(path, out)
    if recogniser:
        slug = checkpoints.slug(heard_by) if heard_by else None
        recogniser = Listener(kind=recogniser, weights=Weights(source=heard_by, slug=slug) if heard_by else None)
    opened, predictor = Model(model, plugs), None
    # "@" at the end is in no other name: a recording called like the table of all must not be lost to it.
    names = {path: f"{name}@" if name == JOINED else name for path, name in safe_ids(map(str, paths)).items()}
    failed = []
    for path in paths:
        wish = Wish(people, side or "whole", spans.get(path), window_s, hop_s)
        asked = {"wish": repr(wish), "folds": sorted(folds), "recogniser": repr(recogniser), "overlay": overlay}
        digests = [content(file) for file in (path, transcript_of(path)) if file]
        key = {"model": opened.digest, "recording": digests, "asked": asked}
        record = out / f"{names[str(path)]}.json"
        if not again and _is_done(record, key):
            log.info("%s: predicted before", path)
            continue
        predictor = predictor or Predictor(opened, weights, device, folds, recogniser)
        try:
            begin_s = time.monotonic()
            record.unlink(missing_ok=True)
            answer = predictor.answer(path, wish)
            written = write_outputs(answer, out, overlay=overlay, name=record.stem)
            _keep(record, key, answer, written)
            _say(path, answer, time.monotonic() - begin_s)
        except InputError as error:
            failed.append(path)
            log.error("%s failed: %s", path, error)
        except (OSError, MemoryError):  # of this machine, not of the recording
            raise
        except Exception:  # of any of the libraries that see the recording
            failed.append(path)
            log.error("%s failed in a way nobody foresaw:\n%s", path, traceback.format_exc())
    pages = _join(out, [out / f"{names[str(path)]}.json" for path in paths])
    if watch and pages:
        import webbrowser

        webbrowser.open(pages[0].absolute().as_uri())
    if failed:
        raise InputError(f"{len(failed)} of {len(paths)} recordings failed: {', '.join(map(str, failed))}")


def _check_writable(out: Path) -> None:
    """Raise InputError where nothing can be written, before any work."""
    try:
        with replacing(out / ".writable"):
            pass
        (out / ".writable").unlink()
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written to ({error.strerror}); give another folder") from None


def _is_done(record: Path, key: dict) -> bool:
    """Whether a recording has been predicted by the same model, in the same way, and all files are there."""
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
        return all(known[name] == value for name, value in key.items()) and all(
            (record.parent / name).is_file() for name in known["files"]
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _keep(record: Path, key: dict, answer: Answer, written: list[Path]) -> None:
    """Write down that a recording is done, with what a user must know, after everything else."""
    known = {**key, "source": str(answer.source), "notes": list(answer.notes), "files": [p.name for p in written]}
    with replacing(record) as temporary:
        temporary.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8", errors="backslashreplace")


def _say(path: Path, answer: Answer, took_s: float) -> None:
    rate = answer.duration_s / max(took_s, 1e-9)
    log.info("%s: %.1f s in %.1f s, %.1f times as fast as it plays", path, answer.duration_s, took_s, rate)
    for note in answer.notes:
        log.info("  %s", note)


def _join(out: Path, records: list[Path]) -> list[Path]:
    """Write one table of all recordings that are done; returns their pages."""
    from models.apply.outputs.table import join, write_csv

    files = [out / name for record in records if record.is_file() for name in json.loads(record.read_text())["files"]]
    tables = [path for path in files if path.suffix == ".parquet"]
    if tables:
        write_csv(join(tables), out / f"{JOINED}.csv")
    return [path for path in files if path.suffix == ".html"]
