"""OpenAI's chat format, as much of it as a recommender has use for: requests, answers, chunks, models, errors."""

import re
import time
import uuid
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from latentcrs.serve.recognise import Exchange
from latentcrs.store.session import Turn, TurnItem

TOKEN = re.compile(r"\w+|[^\w\s]")
LONGEST_USER = 200
MOST_MESSAGES = 2000


class ContentPart(BaseModel):
    """A part of a message; only text is read."""

    type: str
    text: str = ""


class ChatMessage(BaseModel):
    """One message. What the roles user and assistant say is read; those of other roles are not for a recommender."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[ContentPart] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.type == "text")
        return self.content or ""


class StreamOptions(BaseModel):
    """include_usage: a last chunk says how many tokens it took."""

    include_usage: bool | None = None


class ChatRequest(BaseModel):
    """A request. Parameters that are not here (temperature, tools, response_format and so on) change nothing."""

    model: str = Field(description="A name out of GET /v1/models.")
    messages: list[ChatMessage] = Field(
        min_length=1,
        max_length=MOST_MESSAGES,
        description="All that was said so far, the newest last; each of the user's no longer than a server takes.",
    )
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Literal[1] | None = Field(default=None, description="One answer is all there is.")
    user: str | None = Field(default=None, max_length=LONGEST_USER, description="Whose history and events to use.")

    def path(self) -> list[Exchange]:
        """What was said and answered, oldest first; where no message is the user's, that nothing was said."""
        found: list[Exchange] = []
        for message in self.messages:
            if message.role == "user":
                found.append(Exchange(message.text))
            elif message.role == "assistant" and found:
                said = "\n".join(filter(None, (found[-1].answer, message.text)))
                found[-1] = Exchange(found[-1].utterance, said)
        return found or [Exchange("")]


class ListedItem(TurnItem):
    """A recommended item, with its year and the reason in one line."""

    year: int | None = None
    reason: str = ""


class AnswerDetails(BaseModel):
    """What a recommender knows of its answer, beside the text. See `Turn`."""

    conversation: str
    turn: int
    kind: str
    items: list[ListedItem]
    rules: list[str]
    wishes: list[str]
    relaxed: list[str]
    taken_back: list[str]
    unknown: list[str]
    nearest: bool


class Answer(BaseModel):
    """The message of an answer. latentcrs: not of OpenAI's format; clients that do not know it leave it."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None
    latentcrs: AnswerDetails


class Choice(BaseModel):
    index: Literal[0] = 0
    message: Answer
    logprobs: None = None
    finish_reason: Literal["stop"] = "stop"


class Usage(BaseModel):
    """Tokens: words, numbers and punctuation marks of the messages and of the answer, each one token. llm_*: what the
    language model took for this turn, as it counts; 0 without one.
    """

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    llm_prompt_tokens: int = 0
    llm_completion_tokens: int = 0


class ChatCompletion(BaseModel):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage


class Delta(BaseModel):
    role: Literal["assistant"] | None = None
    content: str | None = None
    latentcrs: AnswerDetails | None = None

    @model_serializer(mode="wrap")
    def _only_what_is_new(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in whole(self).items() if value is not None}


class ChunkChoice(BaseModel):
    index: Literal[0] = 0
    delta: Delta
    logprobs: None = None
    finish_reason: Literal["stop"] | None = None


class Chunk(BaseModel):
    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | None = None


class Model(BaseModel):
    """A bundle, as a model."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["latentcrs"] = "latentcrs"


class Models(BaseModel):
    object: Literal["list"] = "list"
    data: list[Model]


class ErrorBody(BaseModel):
    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(BaseModel):
    """An error in OpenAI's format."""

    model_config = ConfigDict(json_schema_extra={"description": "What went wrong, in OpenAI's format."})

    error: ErrorBody


def usage(request: ChatRequest, content: str, turn: Turn) -> Usage:
    """What a request took. A turn that is answered again counts the same again, as its client expects."""
    prompt, completion = sum(_tokens(message.text) for message in request.messages), _tokens(content)
    taken, given = turn.tokens
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        llm_prompt_tokens=taken,
        llm_completion_tokens=given,
    )


def recommended(conversation: str, turn: Turn, years: Sequence[int | None]) -> AnswerDetails:
    """A turn as data. `years`: of its items."""
    pairs = zip(turn.items, years, strict=True)
    return AnswerDetails(
        conversation=conversation,
        turn=turn.number,
        kind=turn.kind,
        items=[ListedItem(**item.model_dump(), year=year, reason=item.why) for item, year in pairs],
        rules=turn.rules,
        wishes=turn.wishes,
        relaxed=turn.relaxed,
        taken_back=turn.taken_back,
        unknown=turn.unknown,
        nearest=turn.nearest,
    )


def new_id() -> str:
    """An id for one answer."""
    return f"chatcmpl-{uuid.uuid4().hex}"


def now() -> int:
    """Seconds since 1970, as the format has times."""
    return int(time.time())


def _tokens(text: str) -> int:
    return len(TOKEN.findall(text))
