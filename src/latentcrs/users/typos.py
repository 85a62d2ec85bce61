"""What haste does to a sentence: lower case throughout, and single typing slips."""

from __future__ import annotations

import re

from latentcrs.users.draws import Dice

LOWER_CASE_SHARE = 0.25
TYPO_SHARE = 0.12

_WORD = re.compile(r"[A-Za-z]{4,}")


def hurried(text: str, dice: Dice, lower: float = LOWER_CASE_SHARE, slips: float = TYPO_SHARE) -> str:
    """`text` as somebody in a hurry types it: this share of sentences comes in lower case (a quarter), and this with
    one slip (an eighth; every fourth of them with two).
    """
    if dice.chance(lower):
        text = text.lower()
        if dice.chance(0.5):
            text = text.rstrip(".")
    if dice.chance(slips):
        text = slipped(text, dice)
        if dice.chance(0.25):
            text = slipped(text, dice)
    return text


def slipped(text: str, dice: Dice) -> str:
    """`text` with two neighbouring letters swapped, one dropped, or one doubled, in a word of four letters or more,
    never its first letter. Unchanged when there is no such word.
    """
    words = list(_WORD.finditer(text))
    if not words:
        return text
    word = words[dice.below(len(words))]
    # Positions after the first letter; a swap needs a different neighbour on its right.
    at = word.start() + 1 + dice.below(len(word.group()) - 2)
    slip = dice.below(3)
    if slip == 0 and text[at] != text[at + 1]:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    if slip == 1:
        return text[:at] + text[at + 1 :]
    return text[:at] + text[at] + text[at:]
