"""Conversations about the small bundle, heard by a stub that says what a test wants, or by the lexical extractor; and
stores of every kind.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from converse_stubs import RulesByHeart, Talk

from latentcrs.converse.conversation import Conversation
from latentcrs.hear import Extractor
from latentcrs.recommend import Recommender
from latentcrs.store.conversations import ConversationStore
from latentcrs.store.session import Session
from postgres_server import new_database


@pytest.fixture(scope="session")
def small_bundle(bundle: Path) -> Path:
    """The small bundle of real people, under the name by which processes of their own are handed it."""
    return bundle


@pytest.fixture(scope="session")
def lexical(recommender: Recommender) -> Extractor:
    """The extractor that needs no language model."""
    from latentcrs.hear import Hearer

    return Hearer(recommender.bundle.items, recommender.bundle.columns)


@pytest.fixture
def talk(recommender: Recommender) -> Talk:
    """Begins a conversation: `talk(heard={"words": Heard(...)}, k=3, history=[...], model=...)`; judgements have no
    control items unless `controls` says how many.
    """

    def begin(
        heard: dict[str, Any] | None = None, *, extractor: Extractor | None = None, **given: Any
    ) -> Conversation:
        names = ("model", "store", "talks", "controls", "id")
        options = {"controls": 0} | {name: given.pop(name) for name in names if name in given}
        return Conversation(recommender, extractor or RulesByHeart(heard or {}), Session(**given), **options)

    return begin


@pytest.fixture
def postgresql() -> Iterator[str]:
    """The URL of an empty database on a real server."""
    with new_database() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def new_address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Addresses of stores that are yet to be made: SQLite files, then PostgreSQL databases."""
    files = (str(tmp_path / f"{number}" / "conversations.sqlite") for number in itertools.count(1))
    with ExitStack() as databases:
        yield lambda: next(files) if request.param == "sqlite" else databases.enter_context(new_database())


@pytest.fixture
def database(new_address: Callable[[], str]) -> str:
    """The address of a store that is yet to be made, of each kind."""
    return new_address()


@pytest.fixture
def store(database: str) -> Iterator[ConversationStore]:
    """A store of each kind."""
    opened = ConversationStore(database)
    yield opened
    opened.close()
