"""What stands where a language model or a grammar would: extractors and chat models that say what a test wants."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from latentcrs.converse.conversation import Conversation
from latentcrs.data.rules import Rule
from latentcrs.hear import Context, Heard, HeardRule
from latentcrs.llm import Call, ChatRequest, Completion

Talk = Callable[..., Conversation]
"""The fixture `talk`: begins a conversation."""


def rule(
    column: str, op: str, *value: Any, certainty: float = 1.0, insisted: bool = False, words: str = ""
) -> HeardRule:
    """`rule("year", "between", 1990, 1999)`; one value of a comparison stands alone."""
    values = value[0] if op in ("<", "<=", ">", ">=") else list(value)
    said = Rule.model_validate({"column": column, "op": op, "value": values})
    return HeardRule(rule=said, certainty=certainty, insisted=insisted, words=words)


def genre(name: str, **more: Any) -> HeardRule:
    return rule("genres", "has any", name, **{"words": name.lower(), **more})


def no_genre(name: str, **more: Any) -> HeardRule:
    return rule("genres", "not", name, **{"words": name.lower(), **more})


def years(low: int, high: int, **more: Any) -> HeardRule:
    return rule("year", "between", low, high, **more)


class RulesByHeart:
    """An extractor that hears what is written down for an utterance, and nothing in any other."""

    name = "by heart"

    def __init__(self, heard: Mapping[str, Heard | HeardRule]) -> None:
        self.heard = {
            words: found if isinstance(found, Heard) else Heard(rules=(found,)) for words, found in heard.items()
        }
        self.asked: list[str] = []

    def extract(self, utterance: str, context: Context | None = None, call: Call | None = None) -> Heard:
        self.asked.append(utterance)
        return self.heard.get(utterance, Heard())


class Failing:
    """Raises in the place of anything: an extractor, a text encoder, a chat model."""

    name = id = "failing"

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def extract(self, utterance: str, context: Context | None = None, call: Call | None = None) -> Heard:
        raise self.error

    def complete(self, request: ChatRequest) -> Completion:
        raise self.error


class Says:
    """A chat model that answers each call by a function of its prompt, for ten tokens in and two out."""

    id = "says"

    def __init__(self, says: Callable[[str], str]) -> None:
        self.says = says
        self.prompts: list[str] = []
        self.calls: list[Call] = []

    def complete(self, request: ChatRequest) -> Completion:
        self.prompts.append("\n".join(message.content for message in request.messages))
        self.calls.append(request.call)
        return Completion(self.says(self.prompts[-1]), 10, 2, 1.0, self.id)


def graded(grades: Sequence[object]) -> str:
    return json.dumps({"grades": list(grades)})


def items_in(prompt: str) -> int:
    """How many items a judging prompt lists."""
    return sum(line.split(".")[0].isdigit() for line in prompt.splitlines())
