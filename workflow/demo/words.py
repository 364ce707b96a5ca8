"""What the people of the demonstration corpora say: phrases that each emotion prefers, and phrases of everybody's.

The same words occur in the phrases of several emotions, so that words tell much about the emotion, but not all.
"""

import numpy as np

PHRASES = {
    "ang": (
        *("get out of here", "i told you already", "i hate this", "do not lie to me", "how dare you", "that is enough"),
        *("you never listen", "this is your fault", "leave me alone", "stop it right now", "i hate you", "shut up"),
    ),
    "exc": (
        *("oh my god", "this is amazing", "i can not wait", "we are going", "i got the job", "that is so great"),
        *("guess what happened", "we are getting married", "it is amazing", "i am so happy", "we won", "come on"),
    ),
    "fru": (
        *("this is ridiculous", "i do not understand", "i told you twice", "nobody can help me", "what is the problem"),
        *("i filled out the form", "you never listen", "this line is too long", "again and again", "that is enough"),
        "it does not work",
    ),
    "hap": (
        *("that is so great", "i love it here", "it was a lovely day", "thank you so much", "i am so happy"),
        *("that sounds nice", "good for you", "you look lovely", "i love you", "what a nice day", "it was fun"),
    ),
    "neu": (
        *("can i see the form", "what is your name", "i work at the office", "it is on the table", "at the next line"),
        *("i will call you", "we can go on monday", "he works at the bank", "that is fine", "i see", "at nine"),
    ),
    "sad": (
        *("i miss him so much", "she is gone", "i do not know what to do", "it is not the same", "i am sorry"),
        *("i feel so alone", "he left me", "there is nothing left", "i can not sleep", "leave me alone", "he is gone"),
    ),
    "sur": (
        *("oh my god", "are you serious", "no way", "what did you say", "you are kidding", "i can not believe it"),
        *("really", "since when", "you got married", "wait what", "how did that happen", "are you kidding"),
    ),
}
EVERYBODY = (
    *("you know", "i mean", "well", "i think so", "yeah", "okay", "all right", "i guess", "do you know", "so", "look"),
    *("let me see", "and then", "but you know", "it is just that", "i want to go", "what do you think", "listen"),
)
NEIGHBOUR = {"ang": "fru", "fru": "ang", "exc": "hap", "hap": "exc", "neu": "fru", "sad": "neu", "sur": "exc"}


def vocabulary() -> list[str]:
    """Every word that is ever said, sorted."""
    phrases = [*EVERYBODY, *(phrase for those in PHRASES.values() for phrase in those)]
    return sorted({word for phrase in phrases for word in phrase.split()})


def phrase(rng: np.random.Generator, emotion: str, own: float = 0.7, neighbour: float = 0.12) -> list[str]:
    """Draw one phrase: of ``emotion``, of the emotion it is taken for most easily, or of everybody's."""
    dice = rng.random()
    if dice < own:
        choice = PHRASES[emotion]
    elif dice < own + neighbour:
        choice = PHRASES[NEIGHBOUR[emotion]]
    else:
        choice = EVERYBODY
    return choice[rng.integers(len(choice))].split()


def utterance(rng: np.random.Generator, emotion: str, least: int = 5, most: int = 9) -> list[str]:
    """Draw phrases until there are ``least`` words, and stop at ``most``."""
    words: list[str] = []
    while len(words) < least:
        words += phrase(rng, emotion)
    return words[:most]
