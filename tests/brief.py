"""Settings of a brief training, for tests and for processes that they start."""

SETTINGS = [
    "behaviour.network.width=16",
    "behaviour.network.length=30",
    "behaviour.training.epochs=4",
    "behaviour.training.min_steps=0",
    "behaviour.training.batch=32",
    "behaviour.training.learning_rate=0.005",
    "model.intents=16",
    "model.hidden=64",
    "model.text_hidden=64",
    "em.epochs=8",
    "em.min_steps=0",
    "em.batch=256",
]
"""Laid over the default preset: the same model as it is, small and brief."""
