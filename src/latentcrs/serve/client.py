"""A thin client of the native API for Python programs, over httpx2."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Literal
from urllib.parse import quote

import httpx2

from latentcrs.base.errors import UserError
from latentcrs.data.rules import Rule
from latentcrs.serve import PREFIX
from latentcrs.store.conversations import StoredConversation, Summary
from latentcrs.store.session import Turn, Variant


class ServerProblem(UserError):
    """The server refused or failed. status: of HTTP; problem: the document that says why; retry_after: seconds."""

    def __init__(self, status: int, problem: dict[str, Any], retry_after: int | None = None) -> None:
        faults = "; ".join(f"{'.'.join(map(str, e['where']))}: {e['message']}" for e in problem.get("errors", []))
        said = problem.get("detail") or problem.get("title") or "no reason given"
        super().__init__(f"{said} ({faults})" if faults else str(said))
        self.status, self.problem, self.retry_after = status, problem, retry_after


class Client:
    """One server, as one owner. Methods raise `ServerProblem`, and `httpx2.HTTPError` where no answer comes.

    >>> with Client("http://localhost:8000", key="lcrs_...") as client:
    ...     id = client.begin(user="5")
    ...     for item in client.say(id, "a comedy from the 90s").items:
    ...         print(item.title, item.why)
    """

    def __init__(self, url: str = "http://localhost:8000", key: str | None = None, timeout: float = 120.0) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx2.Client(base_url=url, headers=headers, timeout=timeout)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # Conversations.

    def begin(
        self,
        user: str | None = None,
        history: Sequence[str] = (),
        likes: Sequence[str] = (),
        variant: Variant | None = None,
        k: int | None = None,
    ) -> str:
        """Begin a conversation; its id. history: item ids. likes: titles, or parts of them."""
        body = {"user": user, "history": list(history), "likes": list(likes), "variant": variant, "k": k}
        return str(self._ask("POST", "/conversations", body)["id"])

    def say(
        self, id: str, utterance: str, on_text: Callable[[str], None] | None = None, number: int | None = None
    ) -> Turn:
        """The turn that answers an utterance. on_text: hears the reply piece by piece. number: the turn that this is
        to be; asked again with the same number, an utterance is not answered twice.
        """
        body, path = {"utterance": utterance, "number": number}, f"/conversations/{quote(id, '')}/turns"
        if on_text is None:
            return Turn.model_validate(self._ask("POST", path, body))
        with self._http.stream("POST", PREFIX + path, json=body, headers={"Accept": "text/event-stream"}) as answer:
            if answer.status_code >= 400:
                answer.read()
                raise _problem(answer)
            return _listened(answer.iter_lines(), on_text)

    def mark(self, id: str, kind: Literal["like", "refuse", "seen"], places: Sequence[int]) -> Turn:
        """Say of items of the last list (from 0) that they are liked, not wanted, or known."""
        return self._turn("POST", f"/conversations/{quote(id, '')}/marks", {"kind": kind, "places": list(places)})

    def add_rule(self, id: str, rule: Rule, soft: bool = False) -> Turn:
        """Put a rule in force (soft: a wish)."""
        return self._turn("POST", f"/conversations/{quote(id, '')}/rules", {"rule": rule.model_dump(), "soft": soft})

    def drop_rule(self, id: str, place: int) -> Turn:
        """Take a rule back: its place from 0, rules first, then wishes."""
        return self._turn("DELETE", f"/conversations/{quote(id, '')}/rules/{place}")

    def undo(self, id: str) -> Turn:
        """Put back what was in force before it was changed last."""
        return self._turn("POST", f"/conversations/{quote(id, '')}/undo")

    def use(self, id: str, variant: Variant) -> Turn:
        """Go on in another variant."""
        return self._turn("PUT", f"/conversations/{quote(id, '')}/variant", {"variant": variant})

    def conversation(self, id: str) -> StoredConversation:
        """A conversation with all its turns."""
        return StoredConversation.model_validate(self._ask("GET", f"/conversations/{quote(id, '')}"))

    def conversations(self, user: str | None = None) -> list[Summary]:
        """Your conversations, the one that went on last first."""
        found = self._ask("GET", "/conversations", params={"user": user} if user is not None else {})
        return [Summary.model_validate(one) for one in found]

    def forget(self, id: str) -> None:
        """Delete a conversation."""
        self._ask("DELETE", f"/conversations/{quote(id, '')}")

    # People.

    def history(self, user: str) -> list[str]:
        """The ids of what a user did, oldest first."""
        return [str(one["item_id"]) for one in self._ask("GET", f"/users/{quote(user, '')}/history")]

    def remember(self, user: str, item_id: str, kind: str = "like", at: datetime | None = None) -> None:
        """Report what a user did: like, purchase, click, seen or refuse."""
        body = {"item_id": item_id, "kind": kind, "at": at.isoformat() if at else None}
        self._ask("POST", f"/users/{quote(user, '')}/events", body)

    def export_user(self, user: str) -> dict[str, Any]:
        """All that is kept of a user."""
        found: dict[str, Any] = self._ask("GET", f"/users/{quote(user, '')}/export")
        return found

    def forget_user(self, user: str) -> int:
        """Delete a user's conversations and events; how many there were."""
        return int(self._ask("DELETE", f"/users/{quote(user, '')}")["forgotten"])

    # Without a conversation.

    def recommend(
        self,
        request: str = "",
        history: Sequence[str] = (),
        user: str | None = None,
        k: int = 5,
        where: Sequence[Rule] = (),
        exclude: Sequence[str] = (),
    ) -> list[dict[str, Any]]:
        """The best k items that pass `where`: item_id, title, score, why, and why in parts."""
        body = {"request": request, "history": list(history), "user": user, "k": k, "exclude": list(exclude)}
        return list(self._ask("POST", "/recommendations", body | {"where": [rule.model_dump() for rule in where]}))

    def search(self, words: str, where: Sequence[Rule] = (), k: int = 10) -> list[dict[str, Any]]:
        """Items by words of their titles and texts, that pass `where`."""
        rules = [rule.model_dump() for rule in where]
        return list(self._ask("POST", "/items/search", {"words": words, "where": rules, "k": k}))

    def similar(self, item_id: str, k: int = 5) -> list[dict[str, Any]]:
        """Items like one."""
        return list(self._ask("GET", f"/items/{quote(item_id, '')}/similar", params={"k": k}))

    def add_items(self, rows: Iterable[dict[str, Any]]) -> int:
        """Put new items into the catalogue; how many."""
        return int(self._ask("POST", "/items", {"items": list(rows)})["added"])

    def change_item(self, item_id: str, **changes: Any) -> None:
        """Change an item: column=value, None for nothing any more; hidden=True: it is not recommended."""
        self._ask("PATCH", f"/items/{quote(item_id, '')}", changes)

    def put_items(self, rows: Iterable[dict[str, Any]]) -> tuple[int, int]:
        """Change items, and add those that the catalogue does not have; how many were added and changed."""
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        said = self._ask("PUT", "/items", content=lines, headers={"Content-Type": "application/x-ndjson"})
        return said["added"], said["changed"]

    def _turn(self, method: str, path: str, body: dict[str, Any] | None = None) -> Turn:
        return Turn.model_validate(self._ask(method, path, body))

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None, **more: Any) -> Any:
        answer = self._http.request(method, PREFIX + path, json=body, **more)
        if answer.status_code >= 400:
            raise _problem(answer)
        return answer.json() if answer.content else None


def _listened(lines: Iterable[str], on_text: Callable[[str], None]) -> Turn:
    """The turn at the end of a stream of server-sent events."""
    event = ""
    for line in lines:
        if line.startswith("event: "):
            event = line.removeprefix("event: ")
        elif line.startswith("data: "):
            data = json.loads(line.removeprefix("data: "))
            if event == "turn":
                return Turn.model_validate(data)
            if event == "problem":
                raise ServerProblem(int(data.get("status", 500)), data)
            on_text(str(data["text"]))
    raise ServerProblem(502, {"detail": "The answer broke off; ask again with the same number."})


def _problem(answer: httpx2.Response) -> ServerProblem:
    try:
        said = answer.json()
    except ValueError:
        said = {"detail": f"The server answered {answer.status_code} {answer.reason_phrase}."}
    wait = answer.headers.get("Retry-After", "")
    problem = said if isinstance(said, dict) else {}
    return ServerProblem(answer.status_code, problem, int(wait) if wait.isdecimal() else None)
