"""LatentCRS: a conversational recommender that knows what people did and hears what they say.

import latentcrs
latentcrs.train("data/ml-1m", "models/ml-1m")
latentcrs.load("models/ml-1m").recommend(history=["1", "260"], request="a comedy from the nineties", k=5)
latentcrs.conversation("models/ml-1m", likes=["Toy Story"]).reply("a comedy from the nineties").items
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "conversation", "load", "train"]

if TYPE_CHECKING:
    from latentcrs.converse.open import open_conversation as conversation
    from latentcrs.fit.training import train
    from latentcrs.hear.open import load


def __getattr__(name: str) -> Any:
    """What is in `__all__`, imported when it is first asked for: PyTorch takes seconds, `--help` must not."""
    if name == "conversation":
        from latentcrs.converse.open import open_conversation

        return open_conversation
    if name == "load":
        from latentcrs.hear.open import load

        return load
    if name == "train":
        from latentcrs.fit.training import train

        return train
    raise AttributeError(f"module 'latentcrs' has no attribute {name!r}")
