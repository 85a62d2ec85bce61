"""Chat models behind an OpenAI-compatible endpoint: OpenAI, Gemini, vLLM, Ollama, llama.cpp."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx2
import openai
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionChunk

from latentcrs.base.waiting import model_seconds_left
from latentcrs.llm.model import ChatRequest, Completion, ModelError, checked, longest_text
from latentcrs.llm.schema import strict_schema

AT_ONCE = 8
CONNECT_SECONDS = 5.0
NO_KEY = "none"  # the client wants one, and would look for another service's in the environment
LARGEST_ANSWER = 8 << 20
"""Bytes: far more than any answer that is asked for, and nothing that a process would miss."""
SchemaMode = Literal["json_schema", "json_object", "prompt"]
WEAKER: dict[SchemaMode, SchemaMode] = {"json_schema": "json_object", "json_object": "prompt"}


@dataclass(frozen=True)
class Dialect:
    """How requests to one endpoint are written.

    schema: how it is told the JSON schema of an answer. limit: its name for the most tokens of an answer (OpenAI's
    reasoning models take only the newer one). omitted: parameters it refuses. lengths: whether schemas bound these.
    """

    schema: SchemaMode = "json_schema"
    lengths: bool = True
    limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    omitted: frozenset[str] = frozenset()

    def body(self, request: ChatRequest) -> dict[str, Any]:
        """The body of a chat completion request, without the model's name."""
        said, schema = [message.as_json() for message in request.messages], request.schema
        body: dict[str, Any] = {"messages": said, self.limit: request.max_tokens}
        body |= {"temperature": request.temperature, "seed": request.seed}
        if request.on_text is not None:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        if schema is not None:
            wanted = strict_schema(schema, self.lengths)
            if self.schema == "json_schema":
                named = {"name": schema.__name__, "strict": True, "schema": wanted}
                body["response_format"] = {"type": "json_schema", "json_schema": named}
            else:
                _tell(said, f"Answer with one JSON object that fits this JSON schema: {json.dumps(wanted)}")
                if self.schema == "json_object":
                    body["response_format"] = {"type": "json_object"}
        return {name: value for name, value in body.items() if name not in self.omitted}

    def without(self, refused: str) -> Dialect | None:
        """The dialect without what an endpoint refused, by its words; None where these name nothing to leave out."""
        named = set(re.findall(r"\w+", refused.lower()))
        if "max_completion_tokens" in named and self.limit == "max_tokens":
            return replace(self, limit="max_completion_tokens")
        if self.lengths and {"maxlength", "minlength"} & named:
            return replace(self, lengths=False)
        for name in ("stream_options", "temperature", "seed"):
            if name in named and name not in self.omitted:
                return replace(self, omitted=self.omitted | {name})
        return None

    def with_weaker_schema(self) -> Dialect | None:
        """The dialect that asks less where an answer must fit a schema; None where nothing is less."""
        return replace(self, schema=WEAKER[self.schema]) if self.schema in WEAKER else None


def _tell(said: list[dict[str, str]], words: str) -> None:
    """Add `words` to the system message, or put them first as one."""
    if said and said[0]["role"] == "system":
        said[0] = {"role": "system", "content": f"{said[0]['content']}\n\n{words}"}
    else:
        said.insert(0, {"role": "system", "content": words})


class OutOfTime(BaseException):
    """No time is left for another attempt. No `Exception`: the client tries again, and waits, after any of those."""


def wait_at_most(request: httpx2.Request) -> None:
    """A request hook, for each attempt: bounds its time-outs by what whoever waits has left for a language model.

    Raises:
        OutOfTime: nothing is left.
    """
    left = model_seconds_left()
    if left <= 0:
        raise OutOfTime
    if math.isfinite(left):
        given = request.extensions.get("timeout", {})
        kinds = ("connect", "read", "write", "pool")
        request.extensions["timeout"] = {k: left if given.get(k) is None else min(given[k], left) for k in kinds}


def wait_no_longer(response: httpx2.Response) -> None:
    """A response hook: bounds what the client's own time-outs leave open.

    A read time-out begins anew with every byte, so an endpoint that dribbles (or sends keep-alive comments) is never
    given up. Here an answer's body has the read time-out and `LARGEST_ANSWER` bytes in all. And an endpoint that asks
    for a longer pause (Retry-After) than the time-out is not asked again: somebody waits for the answer.
    """
    seconds = response.request.extensions.get("timeout", {}).get("read")
    if seconds is None:
        return
    try:
        if float(response.headers.get("retry-after", 0)) > seconds:
            response.headers["x-should-retry"] = "false"  # understood by the openai client
    except ValueError:  # a date: the client bounds it
        pass
    if isinstance(response.stream, httpx2.SyncByteStream):
        response.stream = _Bounded(response.stream, seconds)


class _Bounded(httpx2.SyncByteStream):
    """A stream of bytes that raises `ReadTimeout` once `seconds` have passed, `ModelError` where it is too long."""

    def __init__(self, stream: httpx2.SyncByteStream, seconds: float) -> None:
        self._stream, self._until = stream, time.monotonic() + seconds

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for piece in self._stream:
            if time.monotonic() > self._until:
                raise httpx2.ReadTimeout("the answer took too long")
            size += len(piece)
            if size > LARGEST_ANSWER:
                raise ModelError(
                    "answer too long", f"The language model's answer has more than {LARGEST_ANSWER:,} bytes."
                )
            yield piece

    def close(self) -> None:
        self._stream.close()


class OpenAIModel:
    """A model at `url` (its base, which ends in /v1 as a rule), through the `openai` client.

    timeout: seconds that one attempt may be silent, and that the body of its answer may take. max_retries: attempts
    after the first, with the client's own backoff; Retry-After is heeded up to `timeout`. at_once: requests under way
    at the same time; more wait.
    """

    def __init__(
        self, url: str, model: str, key: str = "", timeout: float = 60.0, max_retries: int = 2, at_once: int = AT_ONCE
    ) -> None:
        self.url, self.model = url, model
        self._where = urlsplit(url).netloc.rpartition("@")[2]  # never a password
        self._key, self._timeout = key, timeout
        self._dialect = Dialect()
        self._client = openai.OpenAI(
            base_url=url,
            api_key=key or NO_KEY,
            max_retries=max_retries,
            http_client=openai.DefaultHttpxClient(
                timeout=httpx2.Timeout(timeout, connect=min(timeout, CONNECT_SECONDS), pool=None),
                limits=httpx2.Limits(max_connections=at_once),
                event_hooks={"request": [wait_at_most], "response": [wait_no_longer]},
            ),
        )

    @property
    def id(self) -> str:
        return f"{self.model}@{self._where}"

    def __repr__(self) -> str:
        return f"OpenAIModel({self.id})"

    def complete(self, request: ChatRequest) -> Completion:
        """See `ChatModel.complete`."""
        began, dialect = time.perf_counter(), self._dialect
        while True:  # ends: a dialect only ever does without more
            body = dialect.body(request)
            try:
                received = self._whole(body) if request.on_text is None else self._streamed(body, request)
                break
            except OutOfTime:
                raise ModelError("timeout", f"{self.id} did not answer in time.") from None
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                failure = self._explained(error)
                weaker = dialect.without(f"{error.param} {error.message}")
                if weaker is None and request.schema is not None:
                    weaker = dialect.with_weaker_schema()
                if weaker is None or failure.outcome != "bad request":
                    raise failure from None
                dialect = weaker
            except openai.OpenAIError as error:
                raise self._explained(error) from None
        self._dialect = dialect
        text, cost = received.text, (received.input_tokens, received.output_tokens)
        if received.refusal or received.reason == "content_filter":
            why = self._one_line(received.refusal) or "its content filter stopped it"
            raise ModelError("refused", f"{self.id} refused to answer: {why}", text, *cost)
        if received.reason is None:
            raise ModelError("cut short", f"{self.id} broke off its answer.", text, *cost)
        milliseconds = 1000 * (time.perf_counter() - began)
        finished = received.reason != "length"
        return checked(Completion(text, *cost, milliseconds, received.model, finished=finished), request)

    def _whole(self, body: dict[str, Any]) -> _Received:
        """The answer in one piece."""
        with self._read():
            answered = self._client.chat.completions.create(model=self.model, **body)
            choice = answered.choices[0]
            received = _Received(
                model=_text(answered.model) or self.model,
                text=_text(choice.message.content),
                refusal=_text(choice.message.refusal),
                reason=choice.finish_reason or "stop",  # some leave it out; a body that broke off is no JSON
            )
            received.count(answered.usage)
            return received

    def _streamed(self, body: dict[str, Any], request: ChatRequest) -> _Received:
        """The answer as it comes, until it is done or longer than `max_tokens` can be."""
        received = _Received(self.model)
        assert request.on_text is not None
        with self._client.chat.completions.create(model=self.model, **body) as stream:
            longest = longest_text(request.max_tokens)
            for piece in self._pieces(stream, received):
                request.on_text(piece[: longest - len(received.text)])
                received.text = (received.text + piece)[: longest + 1]  # too long is all that counts
                if len(received.text) > longest:
                    received.reason = "length"
                    break
        return received

    def _pieces(self, stream: openai.Stream[ChatCompletionChunk], received: _Received) -> Iterator[str]:
        """The pieces of text in a stream; everything else in it goes to `received`."""
        try:
            with self._read():
                for chunk in stream:
                    received.model = _text(chunk.model) or received.model
                    received.count(chunk.usage)
                    for choice in chunk.choices or []:
                        received.reason = choice.finish_reason or received.reason
                        received.refusal += _text(choice.delta.refusal)
                        if piece := _text(choice.delta.content):
                            yield piece
        except openai.APITimeoutError:
            raise
        except openai.APIConnectionError:
            if not received.text:
                raise
            received.reason = None  # the connection ended, the answer had not

    @contextmanager
    def _read(self) -> Iterator[None]:
        """Turns what reading a malformed answer raises into a ModelError."""
        try:
            yield
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
            raise ModelError(
                "invalid", f"{self.id} answered something that is no chat completion ({type(error).__name__})."
            ) from None

    def _explained(self, error: openai.OpenAIError) -> ModelError:
        """The client's error as ours. Never with a key in it."""
        if isinstance(error.__cause__, ModelError):  # of `patience`
            return error.__cause__
        if isinstance(error, openai.APITimeoutError):
            return ModelError("timeout", f"{self.id} did not answer in time ({self._timeout:g} s at most).")
        if isinstance(error, openai.APIConnectionError):
            return ModelError("unreachable", f"{self.id} cannot be reached.")
        if isinstance(error, openai.RateLimitError):
            return ModelError("rate limited", f"{self.id} takes no more requests for now (429).")
        words = re.sub(r"^Error code: \d+( - )?", "", self._one_line(getattr(error, "message", "")))
        if not words and isinstance(error, openai.APIStatusError):  # Gemini puts its errors into a list
            found = re.search(r'"message":\s*"([^"]*)"', error.response.text)
            words = self._one_line(found[1] if found else "")
        words = words or type(error).__name__
        refused = isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError)
        if refused or (isinstance(error, openai.BadRequestError) and re.search("(?i)api.key", words)):  # as Gemini's
            given = "does not accept the key in" if self._key else "wants a key in"
            return ModelError("bad key", f"{self.id} {given} LATENTCRS_LLM_KEY.")
        if isinstance(error, openai.APIStatusError) and error.status_code < 500:
            if re.search("(?i)context.(length|size|window)|exceed_context", f"{error.code} {error.type} {words}"):
                return ModelError("prompt too long", f"The prompt is too long for {self.id}: {words}")
            return ModelError("bad request", f"{self.id} refused the request ({error.status_code}): {words}")
        return ModelError("server error", f"{self.id} failed: {words}")

    def _one_line(self, words: object) -> str:
        line = " ".join(str(words).split())
        return (line.replace(self._key, "[key]") if self._key else line)[:200]


@dataclass
class _Received:
    """What came back; `reason` is why the text ended, None where it broke off."""

    model: str
    text: str = ""
    refusal: str = ""
    reason: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0

    def count(self, usage: CompletionUsage | None) -> None:
        """Take the tokens counted; endpoints that do not count send none, or null."""
        if usage is not None:
            self.input_tokens, self.output_tokens = usage.prompt_tokens or 0, usage.completion_tokens or 0


def _text(value: object) -> str:
    """`value` if it is text, nothing for None. TypeError for anything else: the client checks no types."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    raise TypeError("text wanted")
