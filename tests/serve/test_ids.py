"""Ids as they are in the world: what is taken in by its id is found by it, whatever characters it has."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from listening import listening

from latentcrs.serve.app import create_app
from latentcrs.serve.service import Service
from latentcrs.serve.settings import Settings
from latentcrs.store.conversations import ConversationStore

IDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@pytest.fixture(scope="module")
def client(bundle: Path, tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    """Over the network: what a client makes of a path, and the server of that, is a part of the question."""
    service = Service(bundle, ConversationStore(str(tmp_path_factory.mktemp("ids") / "store.sqlite")))
    app = create_app(Settings(bundle=bundle, page=False), service)
    with listening(app) as port, httpx2.Client(base_url=f"http://localhost:{port}") as client:
        yield client


@given(id=IDS)
@example("../p19")
@example("..")
@example(".")
@example("a/b")
@example("a%2Fb")
@example("%2e%2e")
@example("p19/similar")
@example("a?b#c")
@example("  ")
@example("\u200b")
@example(" p ")
@example("a+b&c=d;e")
@example("\\")
@example("\n")
@example("👨\u200d👩\u200d👧")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_item_is_refused_in_a_sentence_or_found_by_its_id(client: httpx2.Client, id: str) -> None:
    added = client.post("/api/v1/items", json={"items": [{"item_id": id, "title": "A title", "year": 1999}]})
    at = quote(id, safe="")
    if added.status_code == 201:
        found = client.get(f"/api/v1/items/{at}")
        assert found.status_code == 200 and found.json()["item_id"] == id, found.text
        assert client.get(f"/api/v1/items/{at}/similar", params={"k": 1}).status_code == 200
        assert client.post("/api/v1/users/x/events", json={"item_id": id}).status_code == 204
        assert id in [one["item_id"] for one in client.get("/api/v1/users/x/history").json()]
        assert client.delete(f"/api/v1/users/x/events/{at}").status_code == 204
    else:
        assert added.status_code in (409, 422) and repr(id) in added.json()["detail"], added.text


@given(id=IDS)
@example("a/b")
@example("a%2Fb")
@example("..")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_user_is_refused_in_a_sentence_or_found_by_their_id(client: httpx2.Client, id: str) -> None:
    begun = client.post("/api/v1/conversations", json={"user": id})
    at = f"/api/v1/users/{quote(id, safe='')}"
    if begun.status_code == 201:
        assert client.get(f"{at}/export").json()["user"] == id
        assert client.delete(at).json() == {"forgotten": 1}
    else:
        assert begun.status_code == 422 and "A user's id" in begun.json()["detail"], begun.text


@pytest.mark.parametrize("title", [" ", "\t\n", "\u200b", "\u00a0", "\u2028"])
def test_a_title_of_blanks_is_refused(client: httpx2.Client, title: str) -> None:
    answer = client.post("/api/v1/items", json={"items": [{"item_id": "blank", "title": title}]})
    assert answer.status_code == 422 and "no title that can be read" in answer.json()["detail"]
    assert client.get("/api/v1/items/blank").status_code == 404
