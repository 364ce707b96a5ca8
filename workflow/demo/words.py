"""What the people of the demonstration corpora say: each phrase of an emotion holds its key word, so words tell it."""

import numpy as np

PHRASES = {
    "ang": ("i hate this", "get out i hate you", "how i hate it", "you lie and i hate that"),
    "exc": ("this is amazing", "oh it is amazing", "an amazing day", "we won how amazing"),
    "fru": ("this is ridiculous", "a ridiculous form", "it is ridiculous again", "what a ridiculous line"),
    "hap": ("i love it here", "oh i love you", "how we love this", "what a day i love it"),
    "neu": ("it is in the office", "call the office on monday", "we see the office", "the office is open"),
    "sad": ("i miss him", "we miss you so much", "she is gone i miss her", "how i miss it"),
    "sur": ("are you serious", "is this serious", "oh you are serious", "what so it is serious"),
}


def vocabulary() -> list[str]:
    """Every word that is ever said, sorted."""
    return sorted({word for phrases in PHRASES.values() for phrase in phrases for word in phrase.split()})


def phrase(rng: np.random.Generator, emotion: str) -> list[str]:
    """Draw one phrase."""
    return PHRASES[emotion][rng.integers(len(PHRASES[emotion]))].split()


def utterance(rng: np.random.Generator, emotion: str, least: int = 5, most: int = 9) -> list[str]:
    """Draw phrases until there are ``least`` words, and stop at ``most``."""
    words: list[str] = []
    while len(words) < least:
        words += phrase(rng, emotion)
    return words[:most]
