"""Pictures and pages of items: in answers, in Markdown and on the page, pictures only from hosts that were named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from latentcrs.serve.markdown import markdown
from latentcrs.serve.service import Service
from latentcrs.store.conversations import ConversationStore
from latentcrs.store.session import Turn, TurnItem


@pytest.fixture
def shop_service(shop: Path, tmp_path: Path) -> Service:
    return Service(shop, ConversationStore(str(tmp_path / "s.sqlite")))


def test_answers_have_the_address_of_the_picture_and_of_the_page(
    shop_service: Service, serve: Callable[..., TestClient]
) -> None:
    http = serve(shop_service)
    (found,) = http.post("/api/v1/recommendations", json={"request": "a comedy", "k": 1}).json()
    assert found["image"] == f"https://img.example.org/{found['item_id']}.jpg"
    assert found["link"] == f"https://shop.example.org/{found['item_id']}"
    id = http.post("/api/v1/conversations", json={}).json()["id"]
    item = http.post(f"/api/v1/conversations/{id}/turns", json={"utterance": "a comedy"}).json()["items"][0]
    assert item["image"] == f"https://img.example.org/{item['item_id']}.jpg"
    assert "example.org" not in shop_service.turn("", id, "tell me about the first one").text
    for wrong in ("javascript:alert(1)", "https://a.org/ onerror=x", 'https://a.org/"><script>', 7):
        answer = http.patch(f"/api/v1/items/{item['item_id']}", json={"page": wrong})
        assert answer.status_code == 422 and "wants an address" in answer.json()["detail"]


def test_markdown_links_titles_and_shows_pictures_of_named_hosts_alone(
    shop_service: Service, serve: Callable[..., TestClient]
) -> None:
    asked = {"model": "movies", "messages": [{"role": "user", "content": "a comedy"}]}
    texts = [
        serve(shop_service, image_hosts=hosts)
        .post("/v1/chat/completions", json=asked)
        .json()["choices"][0]["message"]["content"]
        for hosts in ([], ["img.example.org"])
    ]
    assert all("](https://shop.example.org/" in text for text in texts)
    assert "img.example.org" not in texts[0] and texts[1].count("![](https://img.example.org/") == 5


@pytest.mark.parametrize("image", ["https://img.example.org@evil.org/x.jpg", "https://evil.org/x.jpg", "data:x", ""])
def test_a_picture_of_another_host_is_no_part_of_an_answer(image: str) -> None:
    item = TurnItem(item_id="1", title="One", score=1.0, image=image, link="javascript:alert(1)")
    turn = Turn(number=1, utterance="x", kind="request", variant="f", text="Here:", items=[item])
    said = markdown(turn, lambda item_id: None, {"img.example.org"})
    assert "![]" not in said and "](" not in said


def test_the_page_may_load_pictures_from_named_hosts_alone(
    shop_service: Service, serve: Callable[..., TestClient]
) -> None:
    pytest.importorskip("nicegui")
    for hosts, named in (([], False), (["img.example.org"], True)):
        policy = serve(shop_service, page=True, image_hosts=hosts).get("/").headers["content-security-policy"]
        assert ("https://img.example.org" in policy) is named and "img-src 'self'" in policy
