"""A chat model whose replies were recorded, a JSON file each: what asks a model is tested without one, and fast.

`LATENTCRS_LIVE=local:qwen2.5-coder-1.5b pytest tests/llm/test_recorded.py` asks that model, and records anew.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path

import pytest

from latentcrs.llm import ChatModel, ChatRequest, Completion
from latentcrs.llm.completions import completion_key
from latentcrs.llm.model import checked

REPLIES = Path(__file__).parent / "replies"
LIVE = os.environ.get("LATENTCRS_LIVE", "")


@cache
def _live() -> ChatModel:
    from latentcrs.llm import open_chat_model

    model = open_chat_model(LIVE, timeout=600)
    assert model is not None
    return model


class RecordedReplies:
    """Answers as the model `id` has answered the very same prompt."""

    id = "qwen2.5-coder-1.5b"

    def complete(self, request: ChatRequest) -> Completion:
        file = REPLIES / f"{request.call.purpose}-{completion_key(self.id, request).hex()[:12]}.json"
        if LIVE:
            told = _live().complete(request)
            names = ("text", "input_tokens", "output_tokens", "milliseconds", "model", "finished")
            kept = {"asked": request.messages[-1].content, **{name: getattr(told, name) for name in names}}
            file.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
        if not file.is_file():
            pytest.fail(f"this prompt has no recorded reply {file.name}; {(__doc__ or '').splitlines()[2]}")
        reply = {name: value for name, value in json.loads(file.read_text()).items() if name != "asked"}
        if request.on_text is not None:
            request.on_text(reply["text"])
        return checked(Completion(**reply), request)
