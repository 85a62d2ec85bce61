"""What an utterance tells beside values and titles: words that rank, and those that are denied."""

from collections.abc import Sequence
from typing import NamedTuple

from latentcrs.hear.language import Line, stem, word_set
from latentcrs.recommend.explain import OF_REQUESTS

NEAR = 3
"""Words between one that denies and what it denies."""


class Telling(NamedTuple):
    """needs: what is wanted ("feel-good"). denied: what is not, in phrases from the word that denies it on ("not too
    violent", "no gore and violence"). unwanted: the words of those ("violent", "gore", "violence").
    """

    needs: tuple[str, ...]
    denied: tuple[str, ...]
    unwanted: tuple[str, ...]


def telling_words(line: Line, taken: Sequence[bool], language: str) -> Telling:
    """Runs of words that tell something and are neither a value nor a title."""
    said = [token.word for token in line.tokens]
    negate = set[str]().union(*(word_set(language, name) for name in ("refuse", "dislike", "negate", "excess")))
    unsure = [word in word_set(language, "unsure") for word in said]
    denies = [
        (word in negate or stem(word) in negate) and not any(unsure[n + 1 : n + 3]) for n, word in enumerate(said)
    ]
    idle = word_set(language, "talk") | word_set(language, "function") | word_set("en", "talk")
    idle |= word_set(language, "deny") | OF_REQUESTS
    ends = set(",.;:!?") | word_set(language, "contrast")
    links = {"and"} | word_set(language, "also") | word_set(language, "either")

    def telling(place: int) -> bool:
        if place >= len(said) or taken[place] or denies[place] or not said[place].isalpha():
            return False
        hyphen = "-" in said[max(place - 1, 0) : place] + said[place + 1 : place + 2]
        return hyphen or (len(said[place]) > 2 and said[place] not in idle)

    needs, phrases, unwanted, run, denied, near = list[str](), dict[int, str](), list[str](), list[int](), -1, 0
    for place, word in enumerate([*said, "."]):
        if telling(place) or (word == "-" and run and run[-1] == place - 1):
            run.append(place)
            continue
        if run and denied < 0:
            needs.append(line.said(run[0], run[-1] + 1).strip("- "))
        elif run:
            phrases[denied] = line.said(denied, run[-1] + 1).strip("- ")
            unwanted.append(line.said(run[0], run[-1] + 1).strip("- "))
        near = NEAR if run or taken[place : place + 1] == [True] else near - 1
        goes_on = telling(place + 1) and word in links
        if place < len(said) and denies[place]:
            denied, near = place, NEAR
        elif not goes_on and (run or word in ends or near < 0):
            denied = -1
        run = []
    return Telling(tuple(dict.fromkeys(needs)), tuple(phrases.values()), tuple(dict.fromkeys(unwanted)))
