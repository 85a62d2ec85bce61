"""What a language model's answers took when they were new, whether or not they come from the cache by now."""

from __future__ import annotations

import numpy as np

from latentcrs.llm import ChatModel, ChatRequest, Completion


class CostMeter:
    """Keeps the answers of a chat model, for what they cost."""

    def __init__(self, model: ChatModel) -> None:
        self.model, self.id, self.answers = model, model.id, list[Completion]()

    def complete(self, request: ChatRequest) -> Completion:
        """See `ChatModel.complete`."""
        self.answers.append(self.model.complete(request))
        return self.answers[-1]

    def cost(self) -> dict[str, float]:
        """How many answers, and the means of their tokens and milliseconds; unusable ones are not among them."""
        names = ("input_tokens", "output_tokens", "milliseconds")
        means = {name: float(np.mean([getattr(each, name) for each in self.answers] or [0])) for name in names}
        return {"answers": len(self.answers), **{name: round(mean, 1) for name, mean in means.items()}}
