"""Chat models: what they are asked, what they answer, what it cost, and what is kept of it."""

from latentcrs.llm.model import (
    Call,
    ChatModel,
    Completion,
    Message,
    ModelError,
    answer,
)
from latentcrs.llm.open import open_chat_model

__all__ = [
    "Call",
    "ChatModel",
    "Completion",
    "Message",
    "ModelError",
    "answer",
    "open_chat_model",
]
