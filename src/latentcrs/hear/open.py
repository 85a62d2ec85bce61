"""Who hears the rules over a catalogue, by the name that commands give them."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Literal
from weakref import WeakKeyDictionary, ref

from latentcrs.base.errors import UserError
from latentcrs.hear.heads import StateEncoder
from latentcrs.hear.hearer import Hearer
from latentcrs.hear.llm import ModelHearer
from latentcrs.hear.reading import Extractor
from latentcrs.llm import ChatModel
from latentcrs.recommend import Recommender
from latentcrs.recommend import load as load_unhearing
from latentcrs.recommend.titles import TitleFinder
from latentcrs.text import TextEncoder


def state_encoder(encoder: TextEncoder) -> StateEncoder | None:
    """`encoder`, where it is the one that the heads are trained for, so that it is loaded once; else None."""
    from latentcrs.text.minilm import MiniLM  # late: PyTorch takes seconds

    return encoder if isinstance(encoder, MiniLM) else None


_HEARERS: WeakKeyDictionary[Recommender, Hearer] = WeakKeyDictionary()


def _finder_of(recommender: Recommender) -> Callable[[], TitleFinder | None]:
    of = ref(recommender)  # weak: else neither would ever go
    return lambda: None if (own := of()) is None else own.titles


def handed_over(hearer: Hearer, recommender: Recommender) -> Hearer:
    """`hearer` over a recommender whose catalogue has the same words: it is `hearer_of` that one now."""
    made = _HEARERS[recommender] = hearer.over(recommender.bundle.facts[0], _finder_of(recommender))
    return made


def hearer_of(recommender: Recommender) -> Hearer:
    """The one hearer over a recommender's catalogue as it is now; both find titles by one index, and read by one
    encoder.
    """
    found, (items, columns) = _HEARERS.get(recommender), recommender.bundle.facts
    if found is None or found.items is not items:
        encoder = state_encoder(recommender.text_encoder)
        found = Hearer(items, columns, encoder, finder=_finder_of(recommender))
        _HEARERS[recommender] = found
    return found


def load(path: str | Path, device: str = "cpu", text_encoder: TextEncoder | None = None) -> Recommender:
    """Open a bundle for recommending by histories and words, titles in them with the stance to them.

    Raises:
        UserError: no bundle there, a damaged one, or a text encoder other than the one it was trained with.

    >>> model.save(folder / "films")
    >>> latentcrs.load(folder / "films")
    Recommender(671 items, 16 intents, trained on frames)
    """
    return hearing(load_unhearing(path, device, text_encoder))


def hearing(recommender: Recommender) -> Recommender:
    """`recommender`, which from now on hears how a request stands to the titles in it."""
    recommender.refused_in = refused_in
    return recommender


def refused_in(recommender: Recommender, request: str) -> list[int]:
    """The items that a request names without liking them."""
    return hearer_of(recommender).refused(request)


RulesBy = Literal["lexical", "llm"]  # who hears the rules: the heads over the words, or a language model


def open_extractor(name: str, hearer: Hearer, model: ChatModel | None = None) -> Extractor:
    """Who hears the rules, of `RulesBy`: `hearer` itself, or `model` what it finds.

    Raises:
        UserError: no such extractor, or no language model for it.
    """
    if name == "lexical":
        return hearer
    if name != "llm":
        raise UserError(f"There is no extractor {name!r}; choose lexical or llm.")
    if model is None:
        raise UserError("Rules heard by a language model need one; name it with --llm, or set LATENTCRS_LLM_URL.")
    return ModelHearer(model, hearer)


class Extractors:
    """Who hears the rules over one catalogue: made once, used by every conversation. lexical: by words alone."""

    def __init__(self, recommender: Recommender, rules: RulesBy, model: ChatModel | None) -> None:
        """Raises:
        UserError: a language model is to hear, and there is none.
        """
        self.recommender, self.lexical = recommender, hearer_of(recommender)
        self.chosen = open_extractor(rules, self.lexical, model)

    def over(self, recommender: Recommender) -> Extractors:
        """The same over a catalogue of which no words are others."""
        made = copy(self)
        made.recommender, made.lexical = recommender, handed_over(self.lexical, recommender)
        by = self.chosen
        made.chosen = ModelHearer(by.model, made.lexical) if isinstance(by, ModelHearer) else made.lexical
        return made
