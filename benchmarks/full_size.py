"""Trees of the right names and numbers for both full corpora, to time what scales with their size.

    python -m benchmarks.full_size OUT                   151 dialogs with 10,039 turns, 594 videos; empty media
    python -m benchmarks.full_size OUT --sample 0.05     every twentieth of them, with media of full length

OUT/config.yaml has both as roots: ``snakemake --directory OUT ...`` runs on them.
The media of a sample are one generated dialog and one generated video, played again and again: as long and as large as
real ones, with faces and voices in them, but all alike. Aff-Wild2's come with transcripts.
"""

import subprocess
from pathlib import Path

import click
import numpy as np
import yaml

from benchmarks.measure import ROOT
from workflow.demo.command import write_unit
from workflow.overlay import patch, read

TURNS_PER_SESSION = (1819, 1811, 2136, 2103, 2170)
DIALOGS_PER_SESSION = (28, 30, 32, 30, 31)
SCENES = [*(f"impro{k:02d}" for k in range(1, 9)), *(f"script0{a}_{b}" for a in (1, 2, 3) for b in (1, 2))]
LABELS = ("xxx", "fru", "neu", "ang", "sad", "exc", "hap", "sur", "fea", "oth", "dis")
VIDEOS = {"Train_Set": 356, "Validation_Set": 76, None: 162}
FRAMES_PER_VIDEO = 4_700  # 2.8 million frames in 594 videos
FRAMES_PER_SECOND = 30


def make_iemocap(root: Path, sample: float | None = None, films: Path | None = None) -> int:
    """Write IEMOCAP's dialogs and turns, or an even sample of them with media; returns how many dialogs."""
    rng = np.random.default_rng(0)
    number = written = 0
    for session, (turns, count) in enumerate(zip(TURNS_PER_SESSION, DIALOGS_PER_SESSION), start=1):
        names = [f"Ses{session:02d}{letter}_{scene}" for scene in SCENES for letter in "FM"]
        names += [f"Ses{session:02d}{letter}_impro05{part}" for part in "ab" for letter in "FM"]
        for k, dialog in enumerate(sorted(names[:count])):
            number += 1
            if _chosen(number, sample):
                folder = root / f"Session{session}" / "dialog"
                end_s = write_dialog(folder, dialog, turns // count + (k < turns % count), rng)
                write_film(folder / "avi" / "DivX" / f"{dialog}.avi", films and films / "dialog.avi", end_s + 1)
                written += 1
    return written


def write_dialog(folder: Path, dialog: str, turns: int, rng) -> float:
    """Write the texts of one dialog and return when its last turn ends."""
    evaluation, script, clock_s = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""], [], 1.0
    for k in range(turns):
        letter, length_s = "FM"[k % 2], float(rng.uniform(0.6, 8.3))
        name = f"{dialog}_{letter}{k // 2:03d}"
        times = f"{clock_s:.4f} - {clock_s + length_s:.4f}"
        evaluation += [f"[{times}]\t{name}\t{rng.choice(LABELS)}\t[2.5000, 2.5000, 2.5000]", "C-E1:\tNeutral;\t()", ""]
        script.append(f"{name} [{clock_s:08.4f}-{clock_s + length_s:08.4f}]: Something was said here.")
        clock_s += length_s + 0.2
    _write(folder / "EmoEvaluation" / f"{dialog}.txt", evaluation)
    _write(folder / "transcriptions" / f"{dialog}.txt", script)
    return clock_s


def make_affwild2(root: Path, sample: float | None = None, films: Path | None = None) -> int:
    """Write Aff-Wild2's videos, or an even sample of them with media; returns how many."""
    rng = np.random.default_rng(0)
    k = written = 0
    for part, count in VIDEOS.items():
        for _ in range(count):
            k += 1
            if not _chosen(k, sample):
                continue
            name, suffix = f"video{k}", "mp4" if k % 3 else "avi"
            frames = round(FRAMES_PER_VIDEO * rng.uniform(0.4, 1.6)) if films else 5
            film = root / "videos" / f"batch{k % 2 + 1}" / f"{name}.{suffix}"
            write_film(film, films and films / "video.mp4", frames / FRAMES_PER_SECOND)
            if films:
                write_transcript(film.with_suffix(".tsv"), frames / FRAMES_PER_SECOND)
            for side in ("_left", "_right") if k % 20 == 0 else ("",):
                if part:
                    path = root / "annotations" / "VA_Estimation_Challenge" / part / f"{name}{side}.txt"
                    course = 0.5 * np.sin(np.arange(frames) / 200 + k)
                    _write(path, ["valence,arousal", *(f"{x:.3f},{0.3 - x:.3f}" for x in course)])
            written += 1
    return written


def make_clips(folder: Path, count: int = 100_000) -> None:
    """Write a corpus of so many clips of 500 speakers with a text, empty media, its table and its settings."""
    names = [f"{k % 1000:03d}/clip{k:06d}.mp4" for k in range(count)]
    for name in names:
        write_film(folder / "clips" / name, None, 0)
    rows = (f"{name},speaker{k % 500},{LABELS[k % 5]},Something was said." for k, name in enumerate(names))
    _write(folder / "clips" / "labels.csv", ["video,speaker,label,text", *rows])
    table = {"reader": "table", "root": str((folder / "clips").absolute()), "segments": "labels.csv"}
    _write_settings(folder, "demo", {"clips": table})


def write_transcript(path: Path, seconds: float) -> None:
    """Write two and a half words a second beside a video, so that nothing depends on how fast a recogniser is."""
    words = ["this", "was", "said", "because", "nobody", "knew", "what", "else", "there", "could", "be"]
    lines = [f"{words[k % len(words)]}\t{0.4 * k:.1f}\t{0.4 * k + 0.3:.1f}" for k in range(int(seconds / 0.4))]
    _write(path, ["word\tstart\tend", *lines])


def make_films(folder: Path) -> Path:
    """Generate the two films that the media of a sample repeat; returns ``folder``."""
    write_unit("iemocap", folder / "iemocap", 0, "Ses01F_impro01")
    write_unit("affwild2", folder / "affwild2", 0, "211")
    (dialog,), (video,) = folder.glob("iemocap/**/*.avi"), folder.glob("affwild2/**/*.avi")
    dialog.rename(folder / "dialog.avi")
    shape = f"fps={FRAMES_PER_SECOND},scale=640:480"
    _ffmpeg("-i", video, "-vf", shape, "-c:v", "libx264", "-g", 60, "-c:a", "aac", folder / "video.mp4")
    return folder


def write_config(folder: Path, scale: str = "auto") -> None:
    """Write the repository's config.yaml into ``folder``, with the trees beside it as roots."""
    roots = {"iemocap": "IEMOCAP_full_release", "affwild2": "AffWild2"}
    _write_settings(folder, scale, {key: {"root": str((folder / name).absolute())} for key, name in roots.items()})


def _write_settings(folder: Path, scale: str, corpora: dict[str, dict]) -> None:
    config = patch(read(ROOT / "config.yaml"), {"scale": scale, "corpora": corpora})
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))


def _chosen(number: int, sample: float | None) -> bool:
    return sample is None or number % round(1 / sample) == round(1 / sample) // 2


def write_film(path: Path, played: Path | None, seconds: float) -> None:
    """Write an empty file, or a film that is played again and again for so many seconds, without coding it anew."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if played is None:
        path.touch()
    else:
        _ffmpeg("-stream_loop", -1, "-i", played, "-t", f"{seconds:.3f}", "-c", "copy", path)


def _ffmpeg(*arguments) -> None:
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def _write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--sample", type=click.FloatRange(0, 0.5, min_open=True), help="Part of the units, with media.")
@click.option("--scale", default="demo", type=click.Choice(["demo", "research", "auto"]), help="In OUT/config.yaml.")
def main(out, sample, scale):
    """Write OUT/IEMOCAP_full_release, OUT/AffWild2 and OUT/config.yaml."""
    films = make_films(out / "films") if sample else None
    dialogs = make_iemocap(out / "IEMOCAP_full_release", sample, films)
    videos = make_affwild2(out / "AffWild2", sample, films)
    write_config(out, scale)
    click.echo(f"{dialogs} dialogs and {videos} videos under {out}")


if __name__ == "__main__":
    main()
