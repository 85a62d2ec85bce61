"""Conversations: what was said so far, what was shown, and the next answer."""
