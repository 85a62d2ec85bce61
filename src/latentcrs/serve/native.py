"""The native API: conversations, what users did, recommendations, the catalogue."""

import json
from collections.abc import Callable, Sequence
from enum import Enum
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from latentcrs.base.errors import UserError
from latentcrs.base.waiting import still_wanted
from latentcrs.converse.statistics import Statistics, statistics
from latentcrs.recommend import Recommendation
from latentcrs.recommend.catalogue_text import is_printable
from latentcrs.serve import PREFIX, schemas
from latentcrs.serve.bounds import LONGEST_SEARCH, PathId
from latentcrs.serve.caller import Callers, Owner
from latentcrs.serve.errors import NotFound
from latentcrs.serve.problems import documented, problem_of
from latentcrs.serve.served import BelievedIntent
from latentcrs.serve.service import Service
from latentcrs.serve.settings import Settings
from latentcrs.serve.streams import event, streamed
from latentcrs.serve.threads import Threads
from latentcrs.store.conversations import StoredConversation, Summary
from latentcrs.store.session import Turn

MOVED = ("conversations", "items", "recommendations", "users")
"""What the paths began with that are now below `PREFIX`."""

STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The turn; as server-sent events (text, then turn or problem) where you accept them.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


LINES = {"application/x-ndjson": {"schema": {"type": "string"}}}


def _lines(body: bytes) -> list[dict[str, Any]]:
    """Items as JSON lines."""
    rows = []
    for number, line in enumerate(body.splitlines(), 1):
        if line.strip():
            try:
                rows.append(schemas.ChangedItem.model_validate_json(line).model_dump(exclude_unset=True))
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False)[0]
                where = ".".join(map(str, first["loc"]))
                raise UserError(f"Line {number} is no item: {f'{where}: ' if where else ''}{first['msg']}.") from None
    if not rows:
        raise UserError("There is no item: a line of JSON for each is wanted.")
    return rows


async def conversation_id(id: PathId) -> str:
    """The id in the path, if it can be one. (Asynchronous, for FastAPI takes what is not to a thread.)"""
    if not is_printable(id):
        raise NotFound("There is no such conversation.")
    return id


Conversation = Annotated[str, Depends(conversation_id)]


def router(service: Service, settings: Settings, callers: Callers, threads: Threads) -> APIRouter:
    """The native endpoints over one service."""
    api = APIRouter(prefix=PREFIX, responses=documented(400, 401, 403, 404, 408, 413, 422, 429, 503, 504))
    _conversations(api, service, threads)
    _turns(api, service, settings, callers, threads)
    _users(api, service)
    _catalogue(api, service, callers, threads)
    _statistics(api, service, threads)
    return api


def moved() -> APIRouter:
    """The paths of before `PREFIX`: each says where its endpoint is now, for one release."""
    old = APIRouter(include_in_schema=False)

    async def answer(request: Request) -> RedirectResponse:
        # As it was written: an id may have a slash in it, percent-encoded.
        path = request.scope.get("raw_path", b"").decode("latin-1") or request.url.path
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{PREFIX}{path}{query}", status_code=308)

    for first in MOVED:
        for path in (f"/{first}", f"/{first}/{{rest:path}}"):
            old.add_api_route(path, answer, methods=["GET", "POST", "PUT", "DELETE"])
    return old


def _conversations(api: APIRouter, service: Service, threads: Threads) -> None:
    tags: list[str | Enum] = ["conversations"]

    @api.post("/conversations", tags=tags, status_code=201)
    async def begin(
        owner: Owner, wanted: schemas.NewConversation, request: Request, response: Response
    ) -> schemas.ConversationStart:
        """Begin a conversation."""

        def work() -> str:
            liked = []
            for title in wanted.likes:
                still_wanted()
                liked.append(service.recommender.find_item(title))
            history = [*wanted.history, *liked]
            return service.begin(
                owner,
                user=wanted.user,
                history=history,
                variant=wanted.variant,
                k=wanted.k,
                always=[one.rule for one in wanted.always],
            )

        id = await threads.answer(request, work)
        response.headers["Location"] = f"{PREFIX}/conversations/{id}"
        return schemas.ConversationStart(id=id)

    @api.get("/conversations", tags=tags)
    def conversations(owner: Owner, user: Annotated[schemas.Id | None, Query()] = None) -> list[Summary]:
        """Your conversations, the one that went on last first; only those of `user` where it is given."""
        return service.conversations(owner, user)

    @api.get("/conversations/{id}", tags=tags)
    def conversation(owner: Owner, id: Conversation) -> StoredConversation:
        """A conversation with all its turns."""
        return service.conversation(owner, id)

    @api.delete("/conversations/{id}", tags=tags, status_code=204)
    def forget(owner: Owner, id: Conversation) -> None:
        """Delete a conversation and every word of it."""
        service.forget(owner, id)

    @api.post("/conversations/{id}/again", tags=tags, status_code=201, responses=documented(409))
    def begin_again(owner: Owner, id: Conversation, response: Response) -> schemas.ConversationStart:
        """Begin a new conversation of the same person; the old one stays."""
        new = service.begin_again(owner, id)
        response.headers["Location"] = f"{PREFIX}/conversations/{new}"
        return schemas.ConversationStart(id=new)

    @api.get("/conversations/{id}/intents", tags=tags, responses=documented(409))
    async def intents(owner: Owner, id: Conversation, request: Request) -> list[BelievedIntent]:
        """The intents believed in most now, strongest first."""
        return await threads.answer(request, lambda: service.intents(owner, id), id)


def _statistics(api: APIRouter, service: Service, threads: Threads) -> None:
    @api.get("/stats", tags=["server"])
    async def stats(owner: Owner, request: Request, days: Annotated[int, Query(ge=1, le=366)] = 14) -> Statistics:
        """What came of your conversations: counts by day, and shares by bundle. There are no words in it."""
        work = partial(statistics, service.store, days, owner)
        return await threads.answer(request, work)


def _turns(api: APIRouter, service: Service, settings: Settings, callers: Callers, threads: Threads) -> None:
    common: dict[str, Any] = {
        "tags": ["turns"],
        "dependencies": [Depends(callers.turn)],
        "responses": documented(409),
    }

    @api.post("/conversations/{id}/turns", response_model=Turn, **common | {"responses": documented(409) | STREAM})
    async def turn(owner: Owner, id: Conversation, said: schemas.Utterance, request: Request) -> Turn | Response:
        """Say something; the turn that answers it. It is stored before it is answered."""
        if len(said.utterance) > settings.utterance_characters:
            raise UserError(f"An utterance has at most {settings.utterance_characters} characters here.")

        async def take(say: Callable[[str], None] | None) -> Turn:
            return await threads.run(
                request.state.caller,
                lambda: service.turn(owner, id, said.utterance, on_text=say, number=said.number),
                id,
                None if say else request,  # a stream knows by itself whether it is read
            )

        def written(what: str | Turn | Exception) -> list[str]:
            if isinstance(what, str):
                return [event(json.dumps({"text": what}), "text")]
            if isinstance(what, Turn):
                return [event(what.model_dump_json(), "turn")]
            return [event(problem_of(what, request.state.request_id)[0].model_dump_json(), "problem")]

        if "text/event-stream" in request.headers.get("accept", ""):
            return await streamed(take, written, settings.heartbeat, settings.heartbeat)
        return await take(None)

    @api.post("/conversations/{id}/marks", **common)
    async def mark(owner: Owner, id: Conversation, marks: schemas.Marks, request: Request) -> Turn:
        """Say of items of the last list that they are liked, not wanted, or known."""
        return await threads.answer(request, lambda: service.mark(owner, id, marks.kind, marks.places), id)

    @api.post("/conversations/{id}/rules", **common)
    async def add_rule(owner: Owner, id: Conversation, new: schemas.NewRule, request: Request) -> Turn:
        """Put a rule in force, as if it had been insisted on; it replaces what it contradicts."""
        return await threads.answer(request, lambda: service.add_rule(owner, id, new.rule.rule, new.soft), id)

    @api.delete("/conversations/{id}/rules/{place}", **common)
    async def drop_rule(
        owner: Owner, id: Conversation, place: Annotated[int, Path(ge=0, le=9999)], request: Request
    ) -> Turn:
        """Take a rule back: its place from 0, rules first, then wishes."""
        return await threads.answer(request, lambda: service.drop_rule(owner, id, place), id)

    @api.post("/conversations/{id}/undo", **common)
    async def undo(owner: Owner, id: Conversation, request: Request) -> Turn:
        """Put back what was in force before it was changed last."""
        return await threads.answer(request, lambda: service.undo(owner, id), id)

    @api.put("/conversations/{id}/variant", **common)
    async def use(owner: Owner, id: Conversation, chosen: schemas.ChosenVariant, request: Request) -> Turn:
        """Go on in another variant."""
        return await threads.answer(request, lambda: service.use(owner, id, chosen.variant), id)


def _users(api: APIRouter, service: Service) -> None:
    tags: list[str | Enum] = ["users"]

    @api.get("/users/{user}/history", tags=tags)
    def history(owner: Owner, user: PathId) -> list[schemas.HistoryItem]:
        """What a user did, oldest first: in the data set that was trained on, and since."""
        ids = service.history(owner, user)
        return [schemas.HistoryItem(item_id=item_id, title=str(service.item(item_id)["title"])) for item_id in ids]

    @api.post("/users/{user}/events", tags=tags, status_code=204)
    def remember(owner: Owner, user: PathId, event: schemas.NewEvent) -> None:
        """Report what a user did with an item; conversations know it from their next turn on."""
        service.remember(owner, user, event.item_id, event.kind, event.at)

    @api.delete("/users/{user}/events/{item_id}", tags=tags, status_code=204)
    def forget_event(owner: Owner, user: PathId, item_id: PathId) -> None:
        """Take an item out of a user's history, wherever it is known from."""
        service.forget_event(owner, user, item_id)

    @api.get("/users/{user}/export", tags=tags)
    def export(owner: Owner, user: PathId) -> dict[str, Any]:
        """All that is kept of a user."""
        return service.export_user(owner, user)

    @api.delete("/users/{user}", tags=tags)
    def forget_user(owner: Owner, user: PathId) -> schemas.Deletion:
        """Delete a user's conversations and events. The data set that was trained on stays as it is."""
        return schemas.Deletion(forgotten=service.forget_user(owner, user))


def _catalogue(api: APIRouter, service: Service, callers: Callers, threads: Threads) -> None:
    tags: list[str | Enum] = ["catalogue"]

    def shown(found: Sequence[Recommendation]) -> list[schemas.RecommendedItem]:
        bundle = service.recommender.bundle
        return [schemas.RecommendedItem.of(one, bundle, service.catalogue.row(one.item_id)) for one in found]

    computed: dict[str, Any] = {"tags": tags, "dependencies": [Depends(callers.turn)]}

    @api.post("/recommendations", **computed)
    async def recommend(
        owner: Owner, wanted: schemas.RecommendationRequest, request: Request
    ) -> list[schemas.RecommendedItem]:
        """Recommend without a conversation; nothing is kept."""

        def work() -> list[schemas.RecommendedItem]:
            found = service.recommend(
                history=wanted.history,
                user=wanted.user,
                owner=owner,
                request=wanted.request,
                k=wanted.k,
                where=[one.rule for one in wanted.where],
                exclude=wanted.exclude,
                policy=wanted.policy,
                sort=None if wanted.sort is None else (wanted.sort.column, wanted.sort.descending),
            )
            return shown(found)

        return await threads.answer(request, work)

    @api.get("/items", **computed)
    async def find(
        owner: Owner,
        request: Request,
        words: Annotated[str, Query(max_length=LONGEST_SEARCH)] = "",
        k: schemas.Few = 10,
    ) -> list[dict[str, Any]]:
        """Items by words of their titles and texts; without words the most chosen ones."""
        return await threads.answer(request, lambda: service.search(words, k=k, owner=owner))

    @api.post("/items/search", **computed)
    async def search(owner: Owner, wanted: schemas.Search, request: Request) -> list[dict[str, Any]]:
        """Items by words and rules."""
        where = [one.rule for one in wanted.where]
        return await threads.answer(request, lambda: service.search(wanted.words, where, wanted.k, owner))

    @api.post("/items", status_code=201, responses=documented(409), **computed)
    async def add_items(new: schemas.NewItems, request: Request) -> schemas.ItemsAdded:
        """Put new items into the catalogue, for everyone, recommendable at once by their text: all, or none."""
        rows = [item.model_dump() for item in new.items]
        added = await threads.answer(request, lambda: service.add_items(rows))
        return schemas.ItemsAdded(added=added)

    @api.put(
        "/items",
        responses=documented(409),
        openapi_extra={"requestBody": {"required": True, "content": LINES}},
        **computed,
    )
    async def put_items(request: Request) -> schemas.ItemsAdded:
        """Change items, and add those that the catalogue does not have: JSON lines, each with an `item_id`."""
        rows = _lines(await request.body())
        added, changed = await threads.answer(request, lambda: service.put_items(rows))
        return schemas.ItemsAdded(added=added, changed=changed)

    @api.patch("/items/{item_id}", tags=tags, status_code=204)
    async def change_item(item_id: PathId, change: schemas.Change, request: Request) -> None:
        """Change an item for everyone (price, text, availability), or hide it: it is kept when this is answered, and
        in force at once here and with the next request elsewhere.
        """
        rows = [change.model_dump(exclude_unset=True) | {"item_id": item_id}]
        await threads.answer(request, lambda: service.change_items(rows))

    @api.delete("/items/{item_id}", tags=tags, status_code=204)
    async def hide_item(item_id: PathId, request: Request) -> None:
        """Hide an item: it is never recommended or found, until a change says `"hidden": false`."""
        rows = [{"item_id": item_id, "hidden": True}]
        await threads.answer(request, lambda: service.change_items(rows))

    @api.get("/items/{item_id}", tags=tags)
    def item(item_id: PathId) -> dict[str, Any]:
        """All that the catalogue says of an item."""
        return service.item(item_id)

    @api.get("/items/{item_id}/similar", **computed)
    async def similar(
        owner: Owner, item_id: PathId, request: Request, k: schemas.Few = 5
    ) -> list[schemas.RecommendedItem]:
        """Items like one, by who chose them and by their content."""
        found = await threads.answer(request, lambda: service.similar(item_id, k, owner))
        return shown(found)
