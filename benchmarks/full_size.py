"""Trees of the right names and numbers for both full corpora, with empty media: to time what scales with their size.

    python -m benchmarks.full_size OUT

151 dialogs with 10,039 turns, and 594 videos with 432 annotation files of a few rows each.
"""

from pathlib import Path

import click
import numpy as np
import yaml

TURNS_PER_SESSION = (1819, 1811, 2136, 2103, 2170)
DIALOGS_PER_SESSION = (28, 30, 32, 30, 31)
SCENES = [*(f"impro{k:02d}" for k in range(1, 9)), *(f"script0{a}_{b}" for a in (1, 2, 3) for b in (1, 2))]
LABELS = ("xxx", "fru", "neu", "ang", "sad", "exc", "hap", "sur", "fea", "oth", "dis")
VIDEOS = {"Train_Set": 356, "Validation_Set": 76, None: 162}


def make_iemocap(root: Path) -> None:
    """Write a tree with IEMOCAP's dialogs and turns; pictures and sound are empty files."""
    rng = np.random.default_rng(0)
    for session, (turns, count) in enumerate(zip(TURNS_PER_SESSION, DIALOGS_PER_SESSION), start=1):
        names = [f"Ses{session:02d}{letter}_{scene}" for scene in SCENES for letter in "FM"]
        names += [f"Ses{session:02d}{letter}_impro05{part}" for part in "ab" for letter in "FM"]
        for k, dialog in enumerate(sorted(names[:count])):
            _dialog(root / f"Session{session}" / "dialog", dialog, turns // count + (k < turns % count), rng)


def _dialog(folder: Path, dialog: str, turns: int, rng) -> None:
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
    _write(folder / "avi" / "DivX" / f"{dialog}.avi", [])


def make_affwild2(root: Path) -> None:
    """Write a tree with Aff-Wild2's numbers of videos; pictures and sound are empty files."""
    k = 0
    for part, count in VIDEOS.items():
        for _ in range(count):
            k += 1
            name, suffix = f"video{k}", "mp4" if k % 3 else "avi"
            _write(root / "videos" / f"batch{k % 2 + 1}" / f"{name}.{suffix}", [])
            for side in ("_left", "_right") if k % 20 == 0 else ("",):
                if part:
                    path = root / "annotations" / "VA_Estimation_Challenge" / part / f"{name}{side}.txt"
                    _write(path, ["valence,arousal", *["0.100,-0.200"] * 5])


def write_config(folder: Path, scale: str = "auto") -> None:
    """Write the repository's config.yaml into ``folder``, with the trees beside it as roots."""
    config = yaml.safe_load((Path(__file__).resolve().parent.parent / "config.yaml").read_text())
    config["scale"] = scale
    config["corpora"]["iemocap"]["root"] = str(folder / "IEMOCAP_full_release")
    config["corpora"]["affwild2"]["root"] = str(folder / "AffWild2")
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))


def _write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
def main(out):
    """Write OUT/IEMOCAP_full_release and OUT/AffWild2."""
    make_iemocap(out / "IEMOCAP_full_release")
    make_affwild2(out / "AffWild2")
    click.echo(f"151 dialogs and 594 videos under {out}")


if __name__ == "__main__":
    main()
