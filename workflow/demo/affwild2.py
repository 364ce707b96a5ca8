"""A demonstration corpus in the layout of Aff-Wild2: people who talk, annotated frame by frame.

Valence shows in the face, arousal sounds in the voice, the words tell some of both; the face tells a little of arousal.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from workflow.demo.affect import draw_prosody, phrase
from workflow.demo.face import Actor, Framing, perform, side_by_side, weights_of
from workflow.demo.film import write_film, write_text
from workflow.demo.plan import FILMS, Film, random
from workflow.demo.voice import FRAME_S, SAMPLE_RATE_HZ, Prosody, draw_voice, mixed, place, speak

ALONE = Framing(x=86, y=10, width=280, height=210, picture_width=320, picture_height=240, step=4)
BESIDE = Framing(x=121, y=10, width=210, height=210, picture_width=240, picture_height=240, step=4)
TICKS_HZ = 1000  # time base of films with variable frame rate
QUADRANTS = {  # phrases by whether valence and arousal are positive
    (True, True): ("exc", "sur"),
    (True, False): ("hap", "neu"),
    (False, True): ("ang", "fru"),
    (False, False): ("sad", "neu"),
}
UNLABELLED = ("-5,-5", "-5.0,-5.0", "-5,0.25", "0.1,-5.0")
PLEASANT = {"smile": 1.0, "cheek": 0.7, "stretch": 0.6, "part": 0.35}
UNPLEASANT = {"smile": -0.9, "brow_lower": 0.6, "brow_inner": 0.4, "stretch": -0.3}
AROUSED = {"lid_raise": 0.25, "brow_raise": 0.15}


@dataclass(frozen=True)
class Subject:
    """A person of a film: valence and arousal at every 10 ms of it, each within -1 to 1."""

    name: str  # as the annotation file is named
    letter: str
    valence: np.ndarray
    arousal: np.ndarray


@dataclass(frozen=True)
class Line:
    """Something said: words in 10 ms frames from its start, and how."""

    person: int
    start_s: float
    frames: int
    words: list[tuple[str, int, int]]
    prosody: Prosody


def _drift(rng: np.random.Generator, steps: int, spread: float, period_s: tuple[float, float]) -> np.ndarray:
    """A smooth random course of so many 10 ms steps: a few slow waves and an offset."""
    time_s = np.arange(steps) * FRAME_S
    waves = [np.sin(2 * np.pi * (time_s / rng.uniform(*period_s) + rng.random())) for _ in range(3)]
    return spread * (0.8 * np.sum(waves, 0) + 0.5 * rng.normal())


def plan_people(seed: int, film: Film) -> list[Subject]:
    """Draw the course of valence and arousal of each person; two people share most of their arousal."""
    steps = film.seconds * 100 + 100
    shared = _drift(random(seed, film.name, "arousal"), steps, 0.4, (7.0, 20.0))
    people = []
    for n, (name, letter) in enumerate(zip(film.subjects, film.people)):
        rng = random(seed, film.name, n)
        valence = np.clip(_drift(rng, steps, 0.45, (5.0, 16.0)), -0.95, 0.95)
        own = _drift(rng, steps, 0.15, (7.0, 20.0)) if len(film.people) == 2 else 0.0
        people.append(Subject(name, letter, valence, np.clip(shared + own, -0.95, 0.95)))
    return people


def plan_lines(seed: int, film: Film, people: list[Subject]) -> list[Line]:
    """Draw what is said: words and prosody follow the speaker's valence and arousal of that moment, with noise."""
    rng = random(seed, film.name, "lines")
    lines: list[Line] = []
    clock_s, person = max(0.3, film.sound_from_s + 0.2), 0
    while True:
        at = int((clock_s + 0.6) / FRAME_S)
        if at >= film.seconds * 100:
            return lines
        valence, arousal = (float(course[at]) for course in (people[person].valence, people[person].arousal))
        roused = Prosody(3 * arousal, 2.5 + 2 * arousal, 5.5 * arousal, 0.6 * arousal, 1 + 0.2 * arousal, 1.5 * valence)
        prosody = draw_prosody(rng, roused)
        felt = (valence + 0.2 * rng.normal() > 0, arousal + 0.2 * rng.normal() > 0)
        words, frames = place(phrase(rng, QUADRANTS[felt][rng.integers(2)]), prosody.tempo, rng)
        if clock_s + frames * FRAME_S > film.seconds - 0.1:
            return lines
        lines.append(Line(person, round(clock_s, 2), frames, words, prosody))
        clock_s += frames * FRAME_S + rng.uniform(0.05, 0.45)
        if len(people) == 2 and rng.random() < 0.6:
            person = 1 - person


def frame_ticks(seed: int, film: Film) -> tuple[np.ndarray, Fraction]:
    """Time stamps of the frames in ticks, and ticks per second; every few frames one is skipped at variable rate."""
    ticks = np.arange(film.seconds * film.frame_rate)
    if not film.variable_rate:
        return ticks, Fraction(film.frame_rate)
    kept = random(seed, film.name, "rate").random(len(ticks)) > 0.15
    kept[[0, -1]] = True
    return np.round(ticks[kept] * TICKS_HZ / film.frame_rate).astype(int), Fraction(TICKS_HZ)


def voice_tracks(seed: int, film: Film, people: list[Subject], lines: list[Line]) -> list[np.ndarray]:
    """Each person's own voice from the first frame on."""
    voices = [draw_voice(random(seed, film.name, "voice", n), person.letter) for n, person in enumerate(people)]
    spoken: list[list] = [[] for _ in people]
    for n, line in enumerate(lines):
        sound = speak(line.words, line.frames, voices[line.person], line.prosody, random(seed, film.name, "sound", n))
        spoken[line.person].append((line.start_s, sound))
    return [mixed(film.seconds, own) for own in spoken]


def performance(seed: int, film: Film, n: int, subject: Subject, voice: np.ndarray, time_s: np.ndarray) -> np.ndarray:
    """Weights of a person's face at each time, (N, actions)."""
    at_s = np.arange(len(subject.valence)) * FRAME_S
    valence, arousal = (np.interp(time_s, at_s, course)[:, None] for course in (subject.valence, subject.arousal))
    felt = np.maximum(valence, 0) * weights_of(PLEASANT) + np.maximum(-valence, 0) * weights_of(UNPLEASANT)
    return perform(random(seed, film.name, "motion", n), time_s, felt + arousal * weights_of(AROUSED), voice)


def pictures(seed: int, film: Film, people: list[Subject], voices: list[np.ndarray], time_s: np.ndarray):
    """Yield the frames at the given times: the people from left to right, or a picture without anybody."""
    import cv2
    from skimage import data

    framing = ALONE if len(people) == 1 else BESIDE
    actors = [Actor(random(seed, film.name, "face", n), framing, p.letter) for n, p in enumerate(people)]
    performances = [performance(seed, film, n, p, voices[n], time_s) for n, p in enumerate(people)]
    size = (framing.picture_width * len(people), framing.picture_height)
    empty = cv2.resize(data.coffee()[..., ::-1], size, interpolation=cv2.INTER_AREA)
    for now_s, picture in zip(time_s, side_by_side(actors, performances)):
        yield empty if is_away(film, now_s) else picture


def is_away(film: Film, time_s: float) -> bool:
    """Whether the picture shows nobody."""
    return film.away_s is not None and film.away_s[0] <= time_s < film.away_s[1]


def unlabelled_rows(seed: int, film: Film, subject: Subject, time_s: np.ndarray) -> np.ndarray:
    """(N,) bool: frames without annotation, where nobody is to be seen and in a few stretches more."""
    bad = np.array([is_away(film, t) for t in time_s])
    rng = random(seed, subject.name, "unlabelled")
    for _ in range(int(rng.integers(0, 3))):
        begin = int(rng.integers(0, len(time_s) - 40))
        bad[begin : begin + int(rng.integers(5, 40))] = True
    bad[-1] |= rng.random() < 0.3
    return bad


def _annotation(seed: int, film: Film, subject: Subject, time_s: np.ndarray) -> str:
    at = np.minimum((time_s / FRAME_S).round().astype(int), len(subject.valence) - 1)
    bad = unlabelled_rows(seed, film, subject, time_s)
    spelling = random(seed, subject.name, "spelling").integers(0, len(UNLABELLED), len(time_s))
    rows = [
        UNLABELLED[spelling[n]] if bad[n] else f"{subject.valence[i]:.3f},{subject.arousal[i]:.3f}"
        for n, i in enumerate(at)
    ]
    return "\n".join(["valence,arousal", *rows[: len(rows) - film.rows_short]]) + "\n"


def transcript(film: Film, people: list[Subject], lines: list[Line]) -> str:
    """What is said, in the film's format: words with their person, or subtitles."""
    import pandas as pd

    if film.transcript == ".tsv":
        rows = [
            (word, line.start_s + first * FRAME_S, line.start_s + end * FRAME_S, people[line.person].name)
            for line in lines
            for word, first, end in line.words
        ]
        columns = ["word", "start", "end", "segment_id"]
        return pd.DataFrame(rows, columns=columns).to_csv(sep="\t", index=False, float_format="%.2f")
    web, cues = film.transcript == ".vtt", []
    for n, line in enumerate(lines, start=1):
        frames = line.words[0][1], line.words[-1][2]
        start, end = (clock(line.start_s + frame * FRAME_S, "." if web else ",") for frame in frames)
        text = " ".join(word for word, _, _ in line.words).capitalize()
        cues.append(f"{n}\n{start} --> {end}\n{text}\n")
    return "\n".join((["WEBVTT\n"] if web else []) + cues)


def clock(time_s: float, mark: str) -> str:
    """A time as subtitles have it, with what stands before the milliseconds."""
    seconds, ms = divmod(round(1000 * time_s), 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{mark}{ms:03d}"


def write_video(root: Path, seed: int, name: str) -> None:
    """Write one video with its annotations and its transcript under ``root``."""
    film = FILMS[name]
    people = plan_people(seed, film)
    lines = plan_lines(seed, film, people)
    ticks, ticks_hz = frame_ticks(seed, film)
    time_s = ticks / float(ticks_hz)
    video = root / "videos" / film.folder / f"{name}{film.suffix}"
    if film.part:
        for subject in people:
            path = root / "annotations" / "VA_Estimation_Challenge" / film.part / f"{subject.name}.txt"
            write_text(path, _annotation(seed, film, subject, time_s))
    if film.transcript:
        write_text(video.with_name(name + film.transcript), transcript(film, people, lines))
    voices = voice_tracks(seed, film, people, lines)
    late = round(film.sound_from_s * SAMPLE_RATE_HZ)
    sound = np.pad(sum(voices), (max(0, -late), 0))[max(0, late) :]
    frames = pictures(seed, film, people, voices, time_s)
    write_film(video, frames, ticks, ticks_hz, sound, film.sound_from_s, bit_rate=500_000)
