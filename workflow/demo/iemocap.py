"""A demonstration corpus in the layout of IEMOCAP: two people in conversation, side by side, in five sessions."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from workflow.demo.affect import EMOTIONS, draw_emotion, draw_manner, utterance
from workflow.demo.face import ACTIONS, Actor, Framing, perform, side_by_side, weights_of
from workflow.demo.film import write_film, write_text, write_wav
from workflow.demo.plan import dialogs, random
from workflow.demo.voice import FRAME_S, Prosody, draw_voice, mixed, place, speak

FRAME_RATE = Fraction(30_000, 1001)
HALF = Framing(x=125, y=5, width=205, height=273, picture_width=360, picture_height=480)
DECK = {"ang": 4, "exc": 4, "fru": 4, "hap": 4, "neu": 5, "sad": 4, "sur": 4, "xxx": 1}
"""Turns of each label in a session; xxx: the raters did not agree. Session 2 has one of oth more."""
FACE_STEP = 3  # frames for which a face stays as it is: faces are tracked at 10 Hz
ATTACK_S, RELEASE_S = 0.25, 0.40  # an expression begins before the words and fades after them


@dataclass(frozen=True)
class Turn:
    """One turn of a dialog; words are in 10 ms frames from the turn's start."""

    turn_id: str
    letter: str
    label: str
    start_s: float
    frames: int
    words: list[tuple[str, int, int]]
    prosody: Prosody
    expression: dict[str, float]
    dimensions: tuple[float, ...]  # valence, activation, dominance

    @property
    def end_s(self) -> float:
        """End of the turn in seconds of the dialog."""
        return round(self.start_s + self.frames * FRAME_S, 4)

    @property
    def text(self) -> str:
        """The words as a sentence."""
        return " ".join("I" if w == "i" else w for w, _, _ in self.words).capitalize().replace(" i ", " I ") + "."


def plan_dialog(seed: int, dialog: str) -> list[Turn]:
    """Draw the turns of a dialog: who speaks when, which words, and how."""
    rng = random(seed, dialog)
    session, leader = int(dialog[3:5]), dialog[5]
    partner = "M" if leader == "F" else "F"
    deck = [label for label, count in DECK.items() for _ in range(count)] + ["oth"] * (session == 2)
    names = dialogs(session)
    dealt = random(seed, "deck", session).permutation(deck).tolist()[names.index(dialog) :: len(names)]
    turns, counts, letter, clock_s = [], {"F": 0, "M": 0}, leader, 0.6
    for label in dealt:
        emotion = label if label in EMOTIONS else draw_emotion(rng)
        prosody, expression = draw_manner(rng, emotion)
        words, frames = place(utterance(rng, emotion), prosody.tempo, rng)
        turn_id = f"{dialog}_{letter}{counts[letter]:03d}"
        counts[letter] += 1
        usual = EMOTIONS[label].dimensions if label in EMOTIONS else (2.8, 3.0, 3.0)
        ratings = np.clip(np.round(usual + rng.normal(0, 0.6, (2, 3))), 1, 5)  # two raters in whole numbers
        marks = tuple(ratings.mean(0).tolist())
        turns.append(Turn(turn_id, letter, label, round(clock_s, 4), frames, words, prosody, expression, marks))
        change = rng.random() < 0.8
        overlap = change and rng.random() < 0.2
        clock_s = turns[-1].end_s + (-rng.uniform(0.2, 0.4) if overlap else rng.uniform(0.1, 0.4))
        if change:
            letter = partner if letter == leader else leader
    return turns


def _performance(seed: int, dialog: str, letter: str, turns: list[Turn], track: np.ndarray, time_s: np.ndarray):
    """Weights of a person's face at each time, (N, actions)."""
    expression = np.zeros((len(time_s), len(ACTIONS)))
    for turn in (t for t in turns if t.letter == letter):
        edges_s = (turn.start_s - ATTACK_S, turn.start_s, turn.end_s, turn.end_s + RELEASE_S)
        expression += np.interp(time_s, edges_s, (0, 1, 1, 0))[:, None] * weights_of(turn.expression)
    return perform(random(seed, "motion", dialog, letter), time_s, expression, track)


def _evaluation(turns: list[Turn], rng: np.random.Generator) -> str:
    lines = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""]
    for turn in turns:
        v, a, d = turn.dimensions
        lines.append(
            f"[{turn.start_s:.4f} - {turn.end_s:.4f}]\t{turn.turn_id}\t{turn.label}\t[{v:.4f}, {a:.4f}, {d:.4f}]"
        )
        first, second = (EMOTIONS[str(e)].name for e in rng.choice(list(EMOTIONS), 2, replace=False))
        own = EMOTIONS[turn.label].name if turn.label in EMOTIONS else "Other"
        named = (first, f"{own}; {second}", second) if turn.label == "xxx" else (own, f"{own}; {second}", own)
        lines += [f"C-{rater}:\t{names};\t()" for rater, names in zip(("E1", "E2", "E4"), named)]
        lines += [f"C-{turn.letter}1:\t{own};\t()"]
        for rater in ("E1", "E2", f"{turn.letter}1"):
            marks = np.clip(np.round(np.array(turn.dimensions) + rng.uniform(-0.6, 0.6, 3)), 1, 5).astype(int)
            lines.append(f"A-{rater}:\tval {marks[0]}; act {marks[1]}; dom  {marks[2]};\t()")
        lines.append("")
    return "\n".join(lines) + "\n"


def _transcription(turns: list[Turn]) -> str:
    return "".join(f"{t.turn_id} [{t.start_s:08.4f}-{t.end_s:08.4f}]: {t.text}\n" for t in turns)


def _alignment(turn: Turn) -> str:
    """The .wdseg of a turn: 10 ms frames, both ends included, silences named, a total in the last line."""
    rows: list[tuple[int, int, str]] = []
    at = 0
    for word, start, end in turn.words:
        if start > at:
            rows.append((at, start - 1, "<sil>" if rows else "<s>"))
        rows.append((start, end - 1, word.upper()))
        at = end
    rows.append((at, turn.frames - 1, "</s>"))
    scores = [-20_000 - 4_100 * (last - first + 1) for first, last, _ in rows]
    lines = ["    SFrm  EFrm    SegAScr Word"]
    lines += [f"{first:8d} {last:5d} {score:10d} {word}" for (first, last, word), score in zip(rows, scores)]
    return "\n".join([*lines, f" Total score:  {sum(scores)}"]) + "\n"


def write_dialog(root: Path, seed: int, dialog: str) -> None:
    """Write everything that IEMOCAP has of one dialog under ``root``."""
    session = int(dialog[3:5])
    base = root / f"Session{session}"
    turns = plan_dialog(seed, dialog)
    frame_count = int(np.ceil((max(t.end_s for t in turns) + 0.6) * FRAME_RATE))
    time_s = np.arange(frame_count) / float(FRAME_RATE)
    voices = {letter: draw_voice(random(seed, "voice", session, letter), letter) for letter in "FM"}
    tracks = {}
    for letter in "MF" if dialog[5] == "M" else "FM":  # whom the dialog's name names is left
        spoken = []
        for turn in (t for t in turns if t.letter == letter):
            sound = speak(turn.words, turn.frames, voices[letter], turn.prosody, random(seed, "sound", turn.turn_id))
            spoken.append((turn.start_s, sound))
            write_wav(base / "sentences" / "wav" / dialog / f"{turn.turn_id}.wav", sound)
            write_text(base / "sentences" / "ForcedAlignment" / dialog / f"{turn.turn_id}.wdseg", _alignment(turn))
        tracks[letter] = mixed(float(frame_count / FRAME_RATE), spoken)
    write_text(base / "dialog" / "EmoEvaluation" / f"{dialog}.txt", _evaluation(turns, random(seed, "raters", dialog)))
    write_text(base / "dialog" / "transcriptions" / f"{dialog}.txt", _transcription(turns))
    both = tracks["F"] + tracks["M"]
    write_wav(base / "dialog" / "wav" / f"{dialog}.wav", both)
    actors = [Actor(random(seed, "face", session, letter), HALF, letter) for letter in tracks]
    performances = [_performance(seed, dialog, letter, turns, track, time_s) for letter, track in tracks.items()]
    pictures = side_by_side(actors, performances, FACE_STEP)
    write_film(base / "dialog" / "avi" / "DivX" / f"{dialog}.avi", pictures, np.arange(frame_count), FRAME_RATE, both)
