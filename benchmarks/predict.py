"""``affectflow predict``: the memory of one hour, what lies between its stages, and two recordings on two cores.

    python -m benchmarks predict

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


def figures() -> dict[str, float]:
    """Peak memory, the share of the stages in the whole, and how much two cores hasten two recordings."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_corpus("affwild2", folder / "AffWild2")
        _, _, model = make_model(folder, folder, "affwild2")
        films, media = make_films(folder / "films"), folder / "media"
        for name, seconds in (("long", LONG_S), ("a", PAIR_S), ("b", PAIR_S)):
            write_film(media / f"{name}.mp4", films / "video.mp4", seconds)
        python = [sys.executable, "-m"]
        hour = run([*python, "benchmarks.predict", model, media / "long.mp4", "--out", folder / "0"], folder)
        spent = json.loads(hour.text.splitlines()[-1])
        pair = [*python, "affectflow", "predict", model, media / "a.mp4", media / "b.mp4"]
        one, two = (run([*pair, "--out", folder / n, "--cores", n], folder).wall_s for n in ("1", "2"))
        return {
            "MB, predicting 60 minutes (under 2000)": hour.peak_mb,
            "seconds of the stages of a prediction over those of all of it (at least 0.9)": (
                spent["stages_s"] / spent["wall_s"]
            ),
            "times as fast as it plays, 60 minutes (over 1)": LONG_S / hour.wall_s,
            "times as fast, two recordings on two cores (at least 1.7)": one / two,
        }


if __name__ == "__main__":
    print(json.dumps(timed(sys.argv[1:])))
