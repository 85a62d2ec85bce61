"""Chat models: what they are asked, what they answer, what it cost, and what is kept of it."""

from latentcrs.llm.model import Call, ChatModel, ChatRequest, Completion, Message, Meter, ModelError, answer, complete
from latentcrs.llm.open import open_chat_model

__all__ = [
    "Call",
    "ChatModel",
    "ChatRequest",
    "Completion",
    "Message",
    "Meter",
    "ModelError",
    "answer",
    "complete",
    "open_chat_model",
]
