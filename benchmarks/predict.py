"""``affectflow predict``: the memory of one hour, what lies between its stages, and two recordings on two cores.

    python -m benchmarks.predict
    python -m benchmarks.predict 120 30    # seconds of the long recording and of the pair: whether it runs to its end

The model is a small one, trained on the demonstration of Aff-Wild2; the recording is the demonstration's, again and
again. An encoder adds its own time and memory, whatever the length of the recording. Two recordings on two cores are
held against one after the other on one: ``--cores`` limits the threads of either.
"""

import importlib
import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.full_size import make_films, write_film
from benchmarks.measure import run
from tests.packed_models import make_model
from workflow.demo.command import write_corpus

LONG_S, PAIR_S = 3600, 300
FIGURES = (  # name, target, and whether a value meets it
    ("MB, predicting 60 minutes", "under 2000", lambda mb: mb < 2000),
    ("seconds of the stages of a prediction over those of all of it", "at least 0.9", lambda share: share >= 0.9),
    ("times as fast as it plays, 60 minutes", "over 1", lambda rate: rate > 1),
    ("times as fast, two recordings on two cores", "at least 1.7", lambda gain: gain >= 1.7),
)
STAGES = {  # what predicting a recording consists of, by the module where it is called
    "models.apply.predict": ("open_recording",),
    "models.apply.stages": ("write_faces", "write_audio", "place_words", "write_store"),
    "models.apply.predict:Predictor": ("examples", "predictions"),
    "models.apply.batch": ("write_outputs",),
}


def timed(arguments: list[str]) -> dict[str, float]:
    """Run the command in this process: seconds of all of it, and of its stages together."""
    from models.apply.command import predict

    spent: list[float] = []

    def with_time(function):
        def call(*given, **named):
            begin_s = time.perf_counter()
            try:
                return function(*given, **named)
            finally:
                spent.append(time.perf_counter() - begin_s)

        return call

    for where, names in STAGES.items():
        module, _, of_class = where.partition(":")
        owner = importlib.import_module(module)
        owner = getattr(owner, of_class) if of_class else owner
        for name in names:
            setattr(owner, name, with_time(getattr(owner, name)))
    begin_s = time.perf_counter()
    predict.main(arguments, standalone_mode=False)
    return {"wall_s": time.perf_counter() - begin_s, "stages_s": sum(spent)}


def figures(long_s: int = LONG_S, pair_s: int = PAIR_S) -> dict[str, float]:
    """Peak memory, the share of the stages in the whole, and how much two cores hasten two recordings."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_corpus("affwild2", folder / "AffWild2")
        _, _, model = make_model(folder, folder, "affwild2")
        films, media = make_films(folder / "films"), folder / "media"
        for name, seconds in (("long", long_s), ("a", pair_s), ("b", pair_s)):
            write_film(media / f"{name}.mp4", films / "video.mp4", seconds)
        command = [
            sys.executable,
            "-m",
            "benchmarks.predict",
            "timed",
            model,
            media / "long.mp4",
            "--out",
            folder / "1",
        ]
        hour = run(command, folder)
        spent = json.loads(hour.text.splitlines()[-1])
        command = [sys.executable, "-m", "affectflow", "predict", model, media / "a.mp4", media / "b.mp4"]
        one, two = (run([*command, "--out", folder / n, "--cores", n], folder).wall_s for n in ("1", "2"))
        found = hour.peak_mb, spent["stages_s"] / spent["wall_s"], long_s / hour.wall_s, one / two
        return {f"{name} ({target})": value for (name, target, _), value in zip(FIGURES, found, strict=True)}


def main(lengths_s: list[int]) -> None:
    """Print every figure, and whether it holds on this machine."""
    for (_, _, holds), (name, value) in zip(FIGURES, figures(*lengths_s).items(), strict=True):
        print(f"{value:10.2f}  {name}: {'holds' if holds(value) else 'DOES NOT HOLD'}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["timed"]:
        print(json.dumps(timed(sys.argv[2:])))
    else:
        main([int(seconds) for seconds in sys.argv[1:]])
