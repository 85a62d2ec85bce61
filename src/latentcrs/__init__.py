"""LatentCRS: a conversational recommender that knows what people did and hears what they say.

>>> import latentcrs
>>> data = latentcrs.Dataset.from_frames(interactions, items)  # pandas, Polars, Arrow
>>> model = latentcrs.LatentCRS(em={"epochs": 4}).fit(data)  # settings as in a preset
>>> titles = [found.title for found in model.recommend(["Toy Story"], "a comedy from the nineties", k=5)]
>>> model.save(folder / "model")
>>> talk = latentcrs.conversation(folder / "model", likes=["Toy Story"])
>>> len(talk.reply("a comedy from the nineties").items)
5

The same on files: `prepare`, `train`, `load`, and the commands `latentcrs data prepare` and `latentcrs train`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "Dataset",
    "LatentCRS",
    "Recommendation",
    "Recommender",
    "Rule",
    "UserError",
    "__version__",
    "conversation",
    "load",
    "prepare",
    "train",
]

if TYPE_CHECKING:
    from latentcrs.base.errors import UserError
    from latentcrs.converse.open import open_conversation as conversation
    from latentcrs.data.frames import Dataset
    from latentcrs.data.frames import prepare_files as prepare
    from latentcrs.data.rules import Rule
    from latentcrs.estimator import LatentCRS, train
    from latentcrs.hear.open import load
    from latentcrs.recommend import Recommendation, Recommender

_FROM = {
    "Dataset": "data.frames:Dataset",
    "LatentCRS": "estimator:LatentCRS",
    "Recommendation": "recommend:Recommendation",
    "Recommender": "recommend:Recommender",
    "Rule": "data.rules:Rule",
    "UserError": "base.errors:UserError",
    "conversation": "converse.open:open_conversation",
    "load": "hear.open:load",
    "prepare": "data.frames:prepare_files",
    "train": "estimator:train",
}


def __getattr__(name: str) -> Any:
    """What is in `__all__`, imported when it is first asked for: PyTorch takes seconds, `--help` must not."""
    if name not in _FROM:
        raise AttributeError(f"module 'latentcrs' has no attribute {name!r}")
    module, attribute = _FROM[name].split(":")
    found = globals()[name] = getattr(import_module(f"latentcrs.{module}"), attribute)
    return found


def __dir__() -> list[str]:
    return __all__
