"""Conversations about the small bundle, heard by a stub that says what a test wants, or by the lexical extractor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from converse_stubs import RulesByHeart, Talk

from latentcrs.converse.conversation import Conversation
from latentcrs.converse.session import Session
from latentcrs.language.extract import Extractor
from latentcrs.recommend import Recommender


@pytest.fixture(scope="session")
def small_bundle(bundle: Path) -> Path:
    """The small bundle of real people, under the name by which processes of their own are handed it."""
    return bundle


@pytest.fixture(scope="session")
def lexical(recommender: Recommender) -> Extractor:
    """The extractor that needs no language model."""
    from latentcrs.language.extract.lexical import LexicalExtractor

    return LexicalExtractor(recommender.bundle.items, recommender.bundle.columns)


@pytest.fixture
def talk(recommender: Recommender) -> Talk:
    """Begins a conversation: `talk(heard={"words": Heard(...)}, k=3, history=[...], model=...)`; judgements have no
    control items unless `controls` says how many.
    """

    def begin(
        heard: dict[str, Any] | None = None, *, extractor: Extractor | None = None, **given: Any
    ) -> Conversation:
        names = ("model", "fallback", "store", "talks", "controls", "id")
        options = {"controls": 0} | {name: given.pop(name) for name in names if name in given}
        return Conversation(recommender, extractor or RulesByHeart(heard or {}), Session(**given), **options)

    return begin
