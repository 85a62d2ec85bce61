"""What people say and what items say about themselves, as vectors: text encoders and the cache of their work."""

from latentcrs.text.cache import embed, missing_texts
from latentcrs.text.encoders import LocalEncoder, PromptEOL, SentenceEncoder, TextEncoder, open_encoder, same_model
from latentcrs.text.shards import warm

__all__ = [
    "LocalEncoder",
    "PromptEOL",
    "SentenceEncoder",
    "TextEncoder",
    "embed",
    "missing_texts",
    "open_encoder",
    "same_model",
    "warm",
]
