"""``show`` draws what is known of one segment on one time axis: frames, face crops, sound, words and features."""

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from pipeline.audio_file import AudioFile
from pipeline.cli import EXISTING_FOLDER
from pipeline.crops import FaceFile
from pipeline.records import InputError, Label, Segment, Unit, Word, read_labels, read_table
from pipeline.store import FeatureStore

PICTURES = 12
INK, SOFT = "#1b1b1b", "#8a8a8a"


def find_segment(results: Path, segment_id: str) -> Segment:
    """The segment of that id; raises InputError that names close ones."""
    import difflib

    segments = {s.segment_id: s for s in read_table(results / "segments.tsv", Segment)}
    if segment_id not in segments:
        close = difflib.get_close_matches(segment_id, segments, 3) or sorted(segments)[:3]
        raise InputError(f"{results}: there is no segment {segment_id!r}; did you mean {', '.join(close)}?")
    return segments[segment_id]


def source_frames(root: Path, results: Path, segment: Segment, times_s: np.ndarray) -> list[np.ndarray | None]:
    """The picture shown at each of the given ascending times, from the source video; None where it does not decode."""
    from pipeline.media import Video

    unit = next(u for u in read_table(results / "units.tsv", Unit) if u.unit_id == segment.unit_id)
    if not unit.video:
        return []
    video = Video(root / unit.video)
    wanted = np.clip(np.searchsorted(video.time_s, times_s + 1e-6) - 1, 0, len(video.time_s) - 1)
    found = {picture.index: picture.rgb() for picture in video.pictures(sorted({int(i) for i in wanted}))}
    return [found.get(int(i)) for i in wanted]


def draw(segment: Segment, results: Path, features: list[Path], root: Path | None = None):
    """Draw one segment; returns a matplotlib figure."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    stores = [FeatureStore(path) for path in features]
    stores = [store for store in stores if segment.segment_id in store]
    rows = ([1.1] if root else []) + [1.3, 1, 1.6, 0.5] + [1.1] * len(stores)
    figure, axes = plt.subplots(
        len(rows), 1, figsize=(14, 1.15 * sum(rows) + 1), height_ratios=rows, sharex=True, layout="constrained"
    )
    axes = list(axes)
    grid_s = np.linspace(segment.start_s, segment.end_s, PICTURES, endpoint=False) + segment.duration_s / PICTURES / 2
    if root:
        _pictures(axes.pop(0), source_frames(root, results, segment, grid_s), grid_s, segment, "video")
    _faces(axes.pop(0), results, segment, grid_s)
    _sound(axes.pop(0), axes.pop(0), results, segment)
    _words(axes.pop(0), results, segment)
    for axis, store in zip(axes, stores):
        _features(axis, store, segment.segment_id)
    (axes[-1] if stores else figure.axes[-1]).set_xlabel("seconds from the first video frame")
    figure.axes[0].set_xlim(segment.start_s, segment.end_s)
    label = read_labels(results / "labels.tsv").get(segment.segment_id, Label(segment.segment_id))
    figure.suptitle(
        f"{segment.segment_id}   {segment.speaker}   {label.label or ''}   "
        f"{segment.start_s:.2f} to {segment.end_s:.2f} s   {(segment.text or '')[:90]}",
        x=0.01, ha="left", fontsize=11, color=INK,
    )  # fmt: skip
    return figure


def _name(axis, name: str) -> None:
    axis.set_ylabel(name, rotation=0, ha="right", va="center", color=INK)
    axis.set_yticks([])
    for side in ("top", "right", "left"):
        axis.spines[side].set_visible(False)


def _pictures(axis, pictures: Sequence[np.ndarray | None], times_s: np.ndarray, segment: Segment, name: str) -> None:
    width_s = segment.duration_s / PICTURES
    for picture, time_s in zip(pictures, times_s):
        if picture is None:
            continue
        inner = axis.inset_axes([time_s - width_s * 0.48, 0, width_s * 0.96, 1], transform=axis.get_xaxis_transform())
        inner.imshow(picture)
        inner.axis("off")
    _name(axis, name)


def _faces(axis, results: Path, segment: Segment, grid_s: np.ndarray) -> None:
    path = segment.prepared(results, "video")
    track = FaceFile(path).get(segment.segment_id) if path.exists() else None
    if track is None or not len(track):
        axis.text(
            0.5, 0.5, f"no face: {track.reason if track is not None else 'no file holds it'}", transform=axis.transAxes
        )
        _name(axis, "face")
        return
    middle_s = track.time_s.mean(1)
    chosen = [int(np.abs(middle_s - time_s).argmin()) for time_s in grid_s]
    pictures = [track.crops(k, k + 1)[0] for k in chosen]
    _pictures(axis, pictures, grid_s, segment, "face")
    for (start_s, end_s), valid in zip(track.time_s, track.valid):
        axis.axvspan(start_s, end_s, 0, 0.04, color="#2a7f62" if valid else "#c0392b", lw=0)


def _sound(wave_axis, spectrum_axis, results: Path, segment: Segment) -> None:
    path = segment.prepared(results, "audio")
    _name(wave_axis, "sound")
    _name(spectrum_axis, "spectrum\nto 8 kHz")
    if not path.exists():
        return
    track = AudioFile(path).get(segment.segment_id)
    if track is None or not len(samples := track.samples()):
        why = track.reason if track is not None else f"{path.name} does not hold it"
        wave_axis.text(0.5, 0.5, f"no sound: {why}", transform=wave_axis.transAxes)
        return
    time_s = track.start_s + np.arange(len(samples)) / track.sample_rate_hz
    wave_axis.plot(time_s, samples, lw=0.4, color=INK)
    if len(samples) > 400:
        # Times of specgram count from the first sample; xextent puts them on the common axis.
        power, _, _, picture = spectrum_axis.specgram(
            samples + 1e-8, NFFT=400, Fs=track.sample_rate_hz, noverlap=240, cmap="magma",
            xextent=(track.start_s + 0.0125, time_s[-1] - 0.0125),
        )  # fmt: skip
        loudest_db = 10 * np.log10(power.max())
        picture.set_clim(loudest_db - 80, loudest_db)  # digital silence must not take the colours of speech


def _words(axis, results: Path, segment: Segment) -> None:
    _name(axis, "words")
    path = segment.prepared(results, "text")
    for k, word in enumerate(read_table(path, Word) if path.exists() else ()):
        if word.belongs_to(segment):
            axis.axvspan(word.start_s, word.end_s, 0.1, 0.9, color="#dfe7ef" if k % 2 else "#c9d6e3", lw=0)
            middle_s = (word.start_s + word.end_s) / 2
            axis.text(middle_s, 0.5, word.word, ha="center", va="center", fontsize=8, color=INK, clip_on=True)
    axis.set_ylim(0, 1)


def _features(axis, store: FeatureStore, segment_id: str) -> None:
    rows = store[segment_id]
    _name(axis, f"{store.attributes['name']}\n{len(rows)} x {store.dim}")
    if not rows.valid.any():
        axis.text(0.5, 0.5, "nothing observed", transform=axis.transAxes, color=SOFT)
        return
    scaled = (rows.values - rows.values[rows.valid].mean(0)) / (rows.values[rows.valid].std(0) + 1e-6)
    for (start_s, end_s), column, valid in zip(rows.time_s, scaled, rows.valid):
        if valid:
            # Columns of one row stand above each other, each row at its own time.
            axis.imshow(
                column[:, None], extent=(start_s, end_s, 0, 1), aspect="auto", cmap="RdBu", vmin=-2.5, vmax=2.5,
                interpolation="nearest",
            )  # fmt: skip
    axis.set_ylim(0, 1)


@click.command()
@click.argument("segment_id")
@click.option("--results", type=EXISTING_FOLDER, required=True, help="Folder results/<corpus>.")
@click.option("--root", type=EXISTING_FOLDER, help="Corpus root; with it, video frames are drawn.")
@click.option("--features", multiple=True, help="Names of feature stores; all, if none is given.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="PNG, SVG or PDF to write.")
def show(segment_id, results, root, features, out):
    """Draw SEGMENT_ID: frames, crops, sound, words and features on one time axis."""
    stores = [results / "features" / f"{name}.h5" for name in features] or sorted((results / "features").glob("*.h5"))
    draw(find_segment(results, segment_id), results, stores, root).savefig(out, dpi=110)
