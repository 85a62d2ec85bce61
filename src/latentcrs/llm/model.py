"""What a chat model is: messages in, one completion out, and one error for everything that can go wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

Role = Literal["system", "user", "assistant"]
Outcome = Literal[
    "timeout",
    "rate limited",
    "server error",
    "unreachable",
    "bad key",
    "bad request",
    "prompt too long",
    "answer too long",
    "cut short",
    "refused",
    "empty",
    "invalid",
    "invented",
]
"""Why a call failed. `bad key`, `bad request` and `prompt too long` fail again however often they are tried."""
UNAVAILABLE = frozenset[Outcome](("timeout", "rate limited", "server error", "unreachable", "bad key", "bad request"))
Schema = TypeVar("Schema", bound=BaseModel)
CHARACTERS_PER_TOKEN = 32  # far above what any tokenizer does: an answer beyond this ignored max_tokens
SHOWN_ERRORS = 5


@dataclass(frozen=True)
class Message:
    """One message of a prompt."""

    role: Role
    content: str

    def as_json(self) -> dict[str, str]:
        """The message as chat APIs take it. Characters that no encoding has (half a surrogate pair) become "?"."""
        return {"role": self.role, "content": encodable(self.content)}


@dataclass
class Meter:
    """Counts the tokens of calls, failed ones included; what comes from the cache is free."""

    input_tokens: int = 0
    output_tokens: int = 0

    def book(self, cost: Completion | ModelError) -> None:
        """Count what a call took."""
        if not (isinstance(cost, Completion) and cost.cached):
            self.input_tokens += cost.input_tokens
            self.output_tokens += cost.output_tokens

    @property
    def tokens(self) -> tuple[int, int]:
        """Input and output so far."""
        return self.input_tokens, self.output_tokens


@dataclass(frozen=True)
class Call:
    """What a call is for ("rules", "judge", "reply", "role-play"), its turn, and what counts its tokens."""

    purpose: str
    conversation: str = ""
    turn: int = 0
    meter: Meter = field(default_factory=Meter, compare=False)


@dataclass(frozen=True)
class ChatRequest:
    """What a model is asked.

    schema: the answer is JSON that this model accepts. on_text: called with each piece of the answer as it arrives.
    """

    messages: Sequence[Message]
    call: Call
    schema: type[BaseModel] | None = None
    max_tokens: int = 512
    temperature: float = 0.0
    seed: int = 0
    on_text: Callable[[str], None] | None = None


@dataclass(frozen=True)
class Completion:
    """What a model answered.

    input_tokens, output_tokens: as the model counted them, 0 where it does not say. milliseconds: retries included.
    model: the name under which the model answered. cached: nothing was asked, the answer comes from the cache and the
    figures are those of the first time. finished: False where max_tokens ended the text.
    """

    text: str
    input_tokens: int
    output_tokens: int
    milliseconds: float
    model: str
    cached: bool = False
    finished: bool = True


class ModelError(Exception):
    """A model gave no usable answer: `outcome` says which way it failed, the message says it in one sentence.

    text: the unusable answer, where there was one. input_tokens, output_tokens: what it cost.
    """

    def __init__(
        self, outcome: Outcome, message: str, text: str = "", input_tokens: int = 0, output_tokens: int = 0
    ) -> None:
        super().__init__(message)
        self.outcome: Outcome = outcome
        self.text, self.input_tokens, self.output_tokens = text, input_tokens, output_tokens

    @property
    def kind(self) -> str:
        """What strangers may know of it: nothing of where the model is, and none of its words."""
        if self.outcome in UNAVAILABLE:
            return "language model unavailable"
        if self.outcome == "answer too long":
            return "language model cut short, for its answer was too long"
        if self.outcome == "invented":
            return "language model spoke of what is not there"
        return "no usable answer of the language model"


class ChatModel(Protocol):
    """A model that completes a list of messages. May be called by several threads at once."""

    @property
    def id(self) -> str:
        """Names the model in the ledger and in the cache: equal ids give equal answers."""

    def complete(self, request: ChatRequest) -> Completion:
        """The model's answer; where `request.schema` is given, its text has been validated.

        Raises:
            ModelError: no usable answer, after all retries.
        """


def complete(model: ChatModel, request: ChatRequest) -> Completion:
    """The model's answer, whatever it costs booked on `request.call.meter`.

    Raises:
        ModelError: see `ChatModel.complete`.
    """
    try:
        completion = model.complete(request)
    except ModelError as error:
        request.call.meter.book(error)
        raise
    request.call.meter.book(completion)
    return completion


def answer(
    model: ChatModel, messages: Sequence[Message], call: Call, schema: type[Schema], max_tokens: int = 512
) -> Schema:
    """The model's answer as an instance of `schema`. An invalid one is asked for once more, with what was wrong.

    Raises:
        ModelError: no usable answer; "invalid" when the second was invalid too.
    """
    asked = list(messages)
    for last in (False, True):
        try:
            return parse(complete(model, ChatRequest(asked, call, schema, max_tokens)).text, schema)
        except ModelError as error:
            if last or error.outcome != "invalid":
                raise
            asked += [
                Message("assistant", error.text[: CHARACTERS_PER_TOKEN * max_tokens]),
                Message("user", f"{error} Answer again, with nothing but JSON that fits the schema."),
            ]
    raise AssertionError("unreachable")


def parse(text: str, schema: type[Schema]) -> Schema:
    """The JSON object in `text` (a code fence or words around it are passed over) as an instance of `schema`.

    Raises:
        ModelError: "invalid": it is no JSON, or the schema does not accept it.
    """
    bare = text.strip()
    if not bare.startswith("{"):
        bare = bare[max(bare.find("{"), 0) : bare.rfind("}") + 1] or bare
    try:
        return schema.model_validate_json(bare)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        wrong = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}".removeprefix(": ") for one in found[:SHOWN_ERRORS]]
        raise ModelError("invalid", f"The answer does not fit the schema ({'; '.join(wrong)}).", text) from None


def checked(completion: Completion, request: ChatRequest) -> Completion:
    """`completion`, if `request` can use it.

    Raises:
        ModelError: it is empty, far longer than its `max_tokens`, or not what its `schema` accepts.
    """
    completion, schema, max_tokens = (
        replace(completion, text=encodable(completion.text)),
        request.schema,
        request.max_tokens,
    )
    cost = (completion.text, completion.input_tokens, completion.output_tokens)
    if not completion.text.strip():
        raise ModelError("empty", f"{completion.model} answered nothing.", *cost)
    if len(completion.text) > longest_text(max_tokens):
        raise ModelError(
            "answer too long", f"{completion.model} went on far beyond the {max_tokens} tokens asked for.", *cost
        )
    if schema is not None:
        try:
            parse(completion.text, schema)
        except ModelError as error:
            if not completion.finished:
                raise ModelError(
                    "cut short", f"{completion.model} was not done within {max_tokens} tokens.", *cost
                ) from None
            raise ModelError("invalid", str(error), *cost) from None
    return completion


def longest_text(max_tokens: int) -> int:
    """Characters that an answer of `max_tokens` tokens cannot exceed."""
    return CHARACTERS_PER_TOKEN * max_tokens + 1000


def encodable(text: str) -> str:
    """`text` with "?" for what UTF-8 cannot say."""
    return text.encode("utf-8", "replace").decode("utf-8")
