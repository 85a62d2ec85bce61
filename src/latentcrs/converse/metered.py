"""How many tokens a conversation's calls took."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from latentcrs.llm import ChatModel, Completion, ModelError


class Metered:
    """A chat model that counts the tokens of its calls, failed ones included. One conversation, one thread."""

    def __init__(self, model: ChatModel) -> None:
        self.model = model
        self.input_tokens = self.output_tokens = 0

    @property
    def id(self) -> str:
        return self.model.id

    def complete(self, *arguments: Any, **options: Any) -> Completion:
        try:
            found = self.model.complete(*arguments, **options)
        except ModelError as error:
            self.input_tokens += error.input_tokens
            self.output_tokens += error.output_tokens
            raise
        if not found.cached:
            self.input_tokens += found.input_tokens
            self.output_tokens += found.output_tokens
        return found

    def reading(self) -> Callable[[], tuple[int, int]]:
        """Begin to count: the function returned says (input, output) since."""
        before = self.input_tokens, self.output_tokens
        return lambda: (self.input_tokens - before[0], self.output_tokens - before[1])
