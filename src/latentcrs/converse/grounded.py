"""What a language model may say of the items shown: no name, number or price that they and the request lack."""

import re
from collections.abc import Callable, Sequence

from latentcrs.base.words import place_by_use
from latentcrs.llm import ModelError

COMMON = 6000
"""The place by use of a word that may begin a sentence without being somebody's name."""
_END = re.compile(r"[.!?][\"”’')]*\s+(?=[\"“‘'(]?[A-Z0-9])")
_FORBIDDEN = re.compile(r"\w+://|\bwww\.|\w@\w|[<>{}\[\]|`]")
_NUMBER = re.compile(r"([$€£¥]\s?)?(\d+(?:[.,]\d+)*)(s\b)?")
_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
_QUOTED = re.compile(r"[\"“]([^\"“”]+)[\"”]")
_ALWAYS = frozenset("i i'm i'll i've i'd tv ok".split())


class SentenceCheck:
    """Passes on what a model writes, sentence by sentence, as long as it is true of its sources.

    items: a line each, the title first, up to its year or " |". besides: what else may be spoken of, as the request.
    A sentence that names items may say what these have, and nothing of others. on_text: has what passes.
    """

    def __init__(
        self, items: Sequence[str], besides: Sequence[str] = (), on_text: Callable[[str], None] | None = None
    ) -> None:
        self._items = [_folded(item) for item in items]
        self._titles = [re.split(r" \(\d{4}\)| \|", item)[0].strip() for item in self._items]
        self._besides, self._on_text = _folded(" \n ".join(besides)), on_text
        self._written, self._waiting = "", ""
        self.said: list[str] = []

    def write(self, piece: str) -> None:
        """Take the next piece of the model's text.

        Raises:
            ModelError: "invented": a sentence names what is not there; what passed before it stays `said`.
        """
        self._written += piece
        self._waiting += piece
        while ended := _END.search(self._waiting):
            sentence, self._waiting = self._waiting[: ended.end()], self._waiting[ended.end() :]
            self._pass(sentence, " ")

    def end(self, text: str, finished: bool) -> str:
        """All that may be said of the whole `text`, whether or not it came in pieces. What is not `finished` loses
        its last sentence where it has another.

        Raises:
            ModelError: nothing of it may be said.
        """
        self.write(text.removeprefix(self._written))
        if self._waiting.strip() and (finished or not self.said):
            self._pass(self._waiting)
        return " ".join(self.said)

    def _pass(self, sentence: str, between: str = "") -> None:
        sentence = " ".join(sentence.split())
        if reason := self.wrong(sentence):
            raise ModelError("invented", f"The model speaks of {reason}, which none of the items has.", sentence)
        if sentence and self._on_text is not None:
            self._on_text(sentence + between)
        self.said += [sentence] if sentence else []

    def wrong(self, sentence: str) -> str:
        """What `sentence` says that the sources do not; "" where there is nothing."""
        if found := _FORBIDDEN.search(sentence):
            return repr(found[0])
        said = _folded(sentence)
        named = [item for item, title in zip(self._items, self._titles, strict=True) if title in said]
        text = " \n ".join([*(named or self._items), self._besides])
        words = {part for word in _WORD.findall(text) for part in (word, *re.split(r"['\-]", word))}
        numbers = {_value(number) for _, number, _ in _NUMBER.findall(text)}
        for currency, number, decade in _NUMBER.findall(sentence):
            value = _value(number)
            counted = not currency and value.isdigit() and 0 < int(value) <= len(self._items)
            within = decade and any(value[:-1] == known[:-1] for known in numbers if len(known) >= 2)
            if value not in numbers and not counted and not within:
                return currency + number
        for quoted in _QUOTED.findall(sentence):
            if _folded(quoted).strip(" .,!?") not in text:
                return repr(quoted)
        first = True
        for match in _WORD.finditer(sentence):
            word = _folded(match[0]).removesuffix("'s").removesuffix("'")
            if match[0][0].isupper() and not _may_be_capital(word, words, first):
                return repr(match[0])
            first = sentence[match.end() :].lstrip()[:1] in (":", "—", "–")
        return ""


def _may_be_capital(word: str, known: set[str], first: bool) -> bool:
    parts = [part for part in re.split(r"['\-]", word) if part]
    if word in known or word in _ALWAYS or all(part in known for part in parts):
        return True
    return first and all(place_by_use(part) < COMMON for part in parts)


def _folded(text: str) -> str:
    return text.casefold().replace("’", "'").replace("‘", "'")


def _value(number: str) -> str:
    """A number without the commas of thousands and the noughts of cents."""
    return re.sub(r"[.,]00?$", "", re.sub(r",(?=\d{3}\b)", "", number))
