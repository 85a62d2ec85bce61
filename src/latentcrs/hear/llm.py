"""How what was found in an utterance is meant, by a language model: it can name nothing that the words do not say."""

import json
from functools import partial
from typing import Any, Literal

from pydantic import ConfigDict, Field, create_model

from latentcrs.hear.assembly import ValueMention
from latentcrs.hear.hearer import Hearer
from latentcrs.hear.language import Line
from latentcrs.hear.reading import Context, HeardTitle, Reading
from latentcrs.llm import Call, ChatModel, Message, answer
from latentcrs.llm.prompts import prompt

VALUES = {"wanted": "rule", "liked": "wish", "unwanted": "refused", "dropped": "dropped", "other": "mentioned"}
TITLES = {
    "liked": "liked", "disliked": "disliked", "seen": "seen", "similar": "wants_similar", "accepted": "accepted",
    "other": "named",
}  # fmt: skip
"""What the model answers of a phrase -> the stance that it is."""
MOST, LONGEST, LONGEST_SAID, LONGEST_REPLY = 12, 60, 600, 240
"""Phrases that it is asked about; characters of one, of the utterance, and of what the recommender said."""
SURE = 0.9
_EXAMPLES: tuple[tuple[str, str, dict[str, str], dict[str, str]], ...] = (
    ("", "Can you suggest a comedy? I loved Groundhog Day", {"Groundhog Day": "liked"}, {"comedy": "wanted"}),
    ("What do you usually watch?", "I'm a big fan of westerns and war films", {},
     {"westerns": "liked", "war": "liked"}),
    ("What are you in the mood for?", "a thriller from the 80s, and nothing with zombies", {},
     {"thriller": "wanted", "from the 80s": "wanted", "zombies": "unwanted"}),
    ("Have you seen Alien? It is a horror film.", "I saw Alien last year. Anything like The Thing, but not horror?",
     {"Alien": "seen", "The Thing": "similar"}, {"horror": "unwanted"}),
    ("How about Casablanca?", "Isn't that a romance? Ok, I'll watch Casablanca", {"Casablanca": "accepted"},
     {"romance": "other"}),
    ("", "Forget the dramas. And I hated Big.", {"Big": "disliked"}, {"dramas": "dropped"}),
)  # fmt: skip


class ModelHearer:
    """Reads as `hearer` does, and asks a chat model how the values and titles that it found are meant."""

    name = "llm"

    def __init__(self, model: ChatModel, hearer: Hearer) -> None:
        self.model, self.hearer = model, hearer
        self._opening = [Message("system", prompt("rules"))]
        for reply, said, titles, values in _EXAMPLES:
            self._opening += [
                Message("user", prompt("said", reply=reply, now=said, titles=list(titles), values=list(values))),
                Message("assistant", json.dumps({**titles, **values})),
            ]

    def extract(self, utterance: str, context: Context | None = None, call: Call | None = None) -> Reading:
        """See `Extractor.extract`. Raises `ModelError` where the model had no usable answer: the hearer has to do."""
        return self.hearer.read(utterance, context, partial(self._second, call or Call("rules")))

    def _second(
        self, call: Call, line: Line, context: Context, titles: list[HeardTitle], spoken: list[ValueMention]
    ) -> list[HeardTitle]:
        """The titles as the model takes them; the mentions are changed."""
        named = {title.words[:LONGEST]: title for title in titles if not title.pointed}
        unsaid = [one for one in spoken if one.whole or one.pointed or one.wished]
        meant = {line.said(one.first, one.last)[:LONGEST]: one for one in spoken if one not in unsaid}
        meant = {words: one for words, one in meant.items() if words not in named}
        asked = [*((words, TITLES) for words in named), *((words, VALUES) for words in meant)][:MOST]
        if not asked:
            return titles
        fields: dict[str, Any] = {
            f"phrase_{n}": (Literal[tuple(stances)], Field(alias=words)) for n, (words, stances) in enumerate(asked)
        }
        schema = create_model("Meant", __config__=ConfigDict(extra="forbid"), **fields)
        values = [words for words, _ in asked if words not in named]
        reply, now = context.reply[-LONGEST_REPLY:], line.text[-LONGEST_SAID:]
        shown = prompt("said", reply=reply, now=now, titles=list(named), values=values)
        messages = [*self._opening, Message("user", shown)]
        told = answer(self.model, messages, call, schema, max_tokens=32 * len(asked)).model_dump(by_alias=True)
        for words, one in meant.items():
            if words in told:
                one.stance, one.p = self.taken(one, VALUES[told[words]])
                one.insisted = one.insisted and one.stance in ("rule", "refused")
        return [
            title.model_copy(update={"stance": TITLES[told[words]], "certainty": SURE})
            if (words := title.words[:LONGEST]) in told and not title.pointed
            else title
            for title in titles
        ]

    def taken(self, one: ValueMention, told: str) -> tuple[str, float]:
        """A mention's stance and how likely it is, where the model says `told`."""
        return told, SURE
