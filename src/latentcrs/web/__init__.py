"""The web page: a chat with item cards, the rules in force, the intents believed in and the user's history."""

from latentcrs.web.mount import mount

__all__ = ["mount"]
