"""OpenAI's chat endpoints: any chat client talks with a bundle as if it were a model."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import JSONResponse, Response

from latentcrs.serve import openai_format as wire
from latentcrs.serve.bounds import PathId
from latentcrs.serve.caller import Callers, owner_of
from latentcrs.serve.markdown import EscapedWords, listed, markdown
from latentcrs.serve.recognise import MessagePath, SpokenPaths, reply
from latentcrs.serve.refusals import OPENAI, OpenAIError, error_answer
from latentcrs.serve.service import Service
from latentcrs.serve.streams import event, streamed
from latentcrs.serve.threads import Threads
from latentcrs.store.session import Turn

LONGEST_UTTERANCE = 4000
LONGEST_NAME = 200
HEARTBEAT = 15.0
"""Seconds of silence after which a stream says that it lives."""


@dataclass(frozen=True)
class TurnAnswer:
    """A turn, ready to be sent. content: the whole text as Markdown; listed: the part of it with the items."""

    conversation: str
    turn: Turn
    content: str
    listed: str
    extra: wire.AnswerDetails


def router(
    service: Service,
    callers: Callers,
    threads: Threads,
    longest: int = LONGEST_UTTERANCE,
    image_hosts: frozenset[str] = frozenset(),
) -> APIRouter:
    """Routes below /v1, behind `Callers.known`. longest: characters of one utterance. image_hosts: of pictures."""
    api = APIRouter(prefix=OPENAI, tags=["OpenAI"])
    chat = ChatAnswers(service, callers, threads, image_hosts)
    model_id = service.bundle_name

    def model() -> wire.Model:
        return wire.Model(id=model_id, created=int(service.served.written))

    @api.get("/models", responses=_documented(401, 429))
    def models(asking: str = Depends(owner_of)) -> wire.Models:
        """The one model of this server: its bundle."""
        return wire.Models(data=[model()])

    @api.get("/models/{id}", responses=_documented(401, 404, 429))
    def one_model(id: PathId, asking: str = Depends(owner_of)) -> wire.Model:
        """The bundle, by its name."""
        _check_model(id, model_id)
        return model()

    @api.post(
        "/chat/completions",
        response_model=wire.ChatCompletion,
        responses=_documented(400, 401, 404, 408, 409, 413, 429, 500, 503, 504)
        | {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
    )
    async def complete(
        request: wire.ChatRequest,
        http: Request,
        asking: str = Depends(owner_of),
        name: Annotated[str, Header(alias="X-Conversation-Id", max_length=LONGEST_NAME)] = "",
        retries: Annotated[str, Header(alias="X-Stainless-Retry-Count", include_in_schema=False)] = "",
    ) -> Response:
        """Answer the last message of the user. The conversation is recognised by all messages before it, or by the
        header `X-Conversation-Id`; the same messages again are answered the same again.
        """
        _check_model(request.model, model_id)
        path = request.path()
        if any(len(said.utterance) > longest for said in path):
            message = f"A message has at most {longest} characters here, an earlier one too."
            raise OpenAIError(400, message, "messages", "string_above_max_length")
        asked = MessagePath(asking, request.user or None, path, name.strip(), retries not in ("", "0"))
        if request.stream:
            return await chat.streamed(request, asked, http)
        return await chat.whole(request, asked, http)

    return api


class ChatAnswers:
    """Answers requests in OpenAI's format, whole or in pieces, with what one service says."""

    def __init__(
        self, service: Service, callers: Callers, threads: Threads, image_hosts: frozenset[str] = frozenset()
    ) -> None:
        self.service, self._image_hosts = service, image_hosts
        self.paths = SpokenPaths(service, self._told)
        self._callers, self._threads = callers, threads

    async def whole(self, request: wire.ChatRequest, asked: MessagePath, http: Request) -> Response:
        """One answer, when it is complete."""
        found = await self._taken(asked, http, lambda text: None, http)
        completion = wire.ChatCompletion(
            id=wire.new_id(),
            created=wire.now(),
            model=request.model,
            choices=[wire.Choice(message=wire.Answer(content=found.content, latentcrs=found.extra))],
            usage=wire.usage(request, found.content, found.turn),
        )
        return JSONResponse(
            completion.model_dump(mode="json"), headers={"X-Conversation-Id": quote(found.conversation)}
        )

    async def streamed(self, request: wire.ChatRequest, asked: MessagePath, http: Request) -> Response:
        """The answer as server-sent events while it is made. What fails before the first word fails with a status."""
        return await streamed(partial(self._taken, asked, http), _Stream(request).events, HEARTBEAT)

    async def _taken(
        self, asked: MessagePath, http: Request, on_text: Callable[[str], None], watched: Request | None = None
    ) -> TurnAnswer:
        """The turn, made as those of the other doors are; each earlier one that is held again counts as one, too."""
        caller, rates = http.state.caller, self._callers.rates

        def work() -> TurnAnswer:
            spend = partial(rates.spend, "turns", caller)
            conversation, turn = reply(self.service, asked, self.paths, on_text, spend)
            year = self.service.catalogue.year
            extra = wire.recommended(conversation, turn, [year(item.item_id) for item in turn.items])
            items = listed(turn, year, self._image_hosts)
            return TurnAnswer(conversation, turn, self._told(turn), items, extra)

        # What is said next in a conversation has its first words in common with what was said before.
        return await self._threads.run(caller, work, asked.id(self.service.path, 1), watched)

    def _told(self, turn: Turn) -> str:
        return markdown(turn, self.service.catalogue.year, self._image_hosts)


class _Stream:
    """Puts what comes from a turn into chunks, as server-sent events."""

    def __init__(self, request: wire.ChatRequest) -> None:
        self.request = request
        self.id, self.created = wire.new_id(), wire.now()
        self.words, self.begun = EscapedWords(), False

    def events(self, what: str | TurnAnswer | Exception) -> list[str]:
        """The events for a piece of text, for the whole turn behind it, or for an error."""
        if isinstance(what, str):
            return self._text(self.words.write(what))
        if isinstance(what, Exception):
            return [event(error_answer(what)[0].model_dump_json()), DONE]
        found = self._text(self.words.end() + what.listed)
        found.append(self._chunk([wire.ChunkChoice(delta=wire.Delta(latentcrs=what.extra), finish_reason="stop")]))
        if self.request.stream_options is not None and self.request.stream_options.include_usage:
            found.append(self._chunk([], wire.usage(self.request, what.content, what.turn)))
        return [*found, DONE]

    def _text(self, text: str) -> list[str]:
        if not text:
            return []
        role, self.begun = None if self.begun else "assistant", True
        return [self._chunk([wire.ChunkChoice(delta=wire.Delta(role=role, content=text))])]

    def _chunk(self, choices: list[wire.ChunkChoice], taken: wire.Usage | None = None) -> str:
        chunk = wire.Chunk(id=self.id, created=self.created, model=self.request.model, choices=choices, usage=taken)
        return event(chunk.model_dump_json())


DONE = event("[DONE]")


def _check_model(given: str, known: str) -> None:
    if given != known:
        message = f"There is no model {given[:LONGEST_NAME]!r}; this server has {known!r}."
        raise OpenAIError(404, message, "model", "model_not_found")


def _documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route; what FastAPI says of 422 on its own is not what is sent."""
    told: dict[int | str, dict[str, Any]] = {"4XX": {"model": wire.ErrorAnswer, "description": "Another error."}}
    for status in statuses:
        told[status] = {"model": wire.ErrorAnswer, "description": HTTPStatus(status).phrase}
    return told
