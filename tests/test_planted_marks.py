"""Marks planted in the picture and the sound of chosen frames arrive at exactly those frames' labels.

The annotation of each chosen frame says 0.9, of every other -0.5; the chosen pictures are reddened and a tone sounds
while they are shown. After all stages the red and the loud rows of the frame grid must be the frames labelled 0.9.
"""

from fractions import Fraction

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline import timebase
from pipeline.__main__ import main
from pipeline.store import FeatureStore
from tests.clips import grid_face, paste, to_and_fro, write_clip

EXTRACTORS = """
import numpy as np
from pipeline.features.base import Extractor

class Redness(Extractor):
    modality = "video"
    def extract(self, batch):
        red = [p.crops[..., 0].astype(float) - p.crops[..., 2] for p in batch]
        return [p.rows(r.reshape(len(p), -1).mean(1, keepdims=True)) for p, r in zip(batch, red)]

class Level(Extractor):
    modality = "audio"
    def extract(self, batch):
        return [p.rows(p.windows(0.005, 0.005).std(axis=1, keepdims=True), 0.005, 0.005) for p in batch]
"""
FRAMES = 126
MARKED = {20, 21, 47, 48, 49, 90, 118, 119}
RATE_HZ = 48_000


def stage(*arguments):
    done = CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output


def frame_times(kind: str) -> list[Fraction]:
    if kind == "constant":
        return [Fraction(k, 25) for k in range(FRAMES)]
    times, now = [], Fraction(0)  # variable: every third frame lasts twice as long
    for k in range(FRAMES):
        times.append(now)
        now += Fraction(80 if k % 3 == 0 else 40, 1000)
    return times


def corpus(root, shared, kind: str, sound_start_s: float) -> None:
    """Two people side by side; marks for the right one only in her picture, the sound is shared."""
    times = frame_times(kind)
    ends = [*times[1:], times[-1] + Fraction(1, 25)]
    people = [grid_face(shared, "bbaf2n"), grid_face(shared, "lrwp9a")]
    frames = []
    for k in range(FRAMES):
        canvas = np.full((288, 480, 3), 90, np.uint8)
        for centre, person in zip((120, 360), people):
            paste(canvas, to_and_fro(person, k), centre)
        if k in MARKED:
            canvas[:, 240:, 0] = np.minimum(canvas[:, 240:, 0].astype(int) + 70, 255)
        frames.append(canvas)
    time_s = np.arange(int(float(ends[-1]) * RATE_HZ)) / RATE_HZ
    loud = np.zeros(len(time_s), bool)
    for k in MARKED:
        loud |= (time_s >= float(times[k])) & (time_s < float(ends[k]))
    samples = (0.5 * np.sin(2 * np.pi * 997 * time_s) * loud).astype(np.float32)
    first = int(max(sound_start_s, 0) * RATE_HZ)
    if sound_start_s < 0:
        samples = np.concatenate([np.zeros(int(-sound_start_s * RATE_HZ), np.float32), samples])
    (root / "videos" / "batch1").mkdir(parents=True)
    path = root / "videos" / "batch1" / "pair.mov"  # which takes uncompressed sound, unlike mp4
    write_clip(path, frames, times, sound=(samples[first:], RATE_HZ, sound_start_s, "pcm_s16le"))
    path.rename(path.with_suffix(".mp4"))
    notes = root / "annotations" / "VA_Estimation_Challenge" / "Train_Set"
    notes.mkdir(parents=True)
    rows = [f"{0.9 if k in MARKED else -0.5},{0.9 if k in MARKED else -0.5}" for k in range(FRAMES)]
    rows[5], rows[60] = "-5,-5.0", "0.2,-5"  # neither may shift what follows
    for side in ("left", "right"):
        (notes / f"pair_{side}.txt").write_text("\n".join(["valence,arousal", *rows]) + "\n")


@pytest.mark.parametrize(("kind", "sound_start_s"), [("constant", 0.0), ("constant", 0.4), ("variable", 0.3)])
def test_marks_arrive_at_their_own_frames(shared, tmp_path, kind, sound_start_s):
    corpus(tmp_path / "corpus", shared, kind, sound_start_s)
    (tmp_path / "marks.py").write_text(EXTRACTORS)
    results = tmp_path / "results"
    root, tables = ["--root", tmp_path / "corpus"], ["--tables", results]
    read = ["--corpus", "affwild2", "--reader", "affwild2", *root]
    labels = ["--columns", "valence,arousal", "--findings", results / "label_findings.tsv"]
    stage("index", *read, "--out", results)
    stage("frame-labels", *read, *tables, *labels, "--out", results / "labels.h5")
    for name in ("faces", "audio"):
        stage(name, *root, *tables, "--shard", "pair", "--out", results / name / "pair.h5")
    for name in ("Redness", "Level"):
        given = ["--name", name, "--extractor", f"{tmp_path}/marks.py:{name}", "--results", results, "--shard", "pair"]
        stage("features", "--corpus", "affwild2", *given, "--out", results / f"{name}.h5")

    truth = FeatureStore(results / "labels.h5")
    for subject in ("pair_left", "pair_right"):
        rows = truth[subject]
        assert rows.time_s[:, 0] == pytest.approx([float(t) for t in frame_times(kind)], abs=1e-3)
        assert np.flatnonzero(~rows.valid).tolist() == [5, 60]
        labelled = {int(k) for k in np.flatnonzero(rows.values[:, 0] > 0.5)}
        assert labelled == MARKED
        for name, threshold in (("Redness", 35.0), ("Level", 0.15)):
            found = FeatureStore(results / f"{name}.h5")[subject]
            values, seen = timebase.to_grid(found.values, found.time_s, found.valid, rows.time_s)
            usual = np.median(values[seen])
            marked = {int(k) for k in np.flatnonzero(values[:, 0] > usual + threshold)}
            heard = {k for k in labelled if rows.time_s[k, 0] >= sound_start_s} if name == "Level" else labelled
            assert marked == (heard if (name == "Level" or subject == "pair_right") else set()), (subject, name)
