"""Language models of one file, run by llama.cpp inside this process."""

import os
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from latentcrs.base.waiting import model_seconds_left
from latentcrs.llm.embedded import CONTEXT, KNOWN, best_at_hand, fetch_model, require_runtime
from latentcrs.llm.model import ChatRequest, Completion, ModelError, checked
from latentcrs.llm.schema import strict_schema

# Half of the processors (hyperthreads add nothing), and not many: its threads wait for each other at every layer, so
# that on a busy machine two are several times slower than one.
THREADS = max(1, min((os.cpu_count() or 1) // 2, 8))
# Free white space lets a small model write nothing but new lines.
SLOWER = 3.0
"""How many times its measured seconds an answer may take."""
SPACING = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class LocalModel:
    """A GGUF file in process: no network, no server, no key.

    path: the file, else the best that was fetched, else SmolLM2-135M-Instruct, which is fetched here: a language
    model, and a weak one. It is loaded at the first call, once for all threads; calls of several wait for each other.
    timeout: seconds after which an answer being written is given up, more where the model was measured to be slow;
    the reading of a prompt, some ten milliseconds a token at worst, is not interrupted.

    Raises:
        UserError: the extra `local` is not installed, or the model cannot be fetched.
    """

    def __init__(
        self, path: Path | None = None, context: int = CONTEXT, timeout: float = 60.0, name: str = ""
    ) -> None:
        require_runtime()
        found = ("", path) if path is not None else best_at_hand() or ("", fetch_model())
        self.path = found[1]
        self._name = name or found[0] or next((m.name for m in KNOWN if m.file == self.path.name), self.path.name)
        self._per_second = 0.0  # tokens written, as measured at the last answer
        self.context, self.timeout = context, timeout
        self._lock, self._one = threading.Lock(), threading.Lock()
        self._server: Any = None

    @property
    def id(self) -> str:
        return self._name

    def complete(self, request: ChatRequest) -> Completion:
        """See `ChatModel.complete`. A prompt that does not fit the context is refused, never cut."""
        began = time.perf_counter()
        patience = (
            max(self.timeout, SLOWER * request.max_tokens / self._per_second) if self._per_second else self.timeout
        )
        seconds = min(patience if self.timeout else 0.0, model_seconds_left())
        if not self._one.acquire(timeout=max(seconds, 0)):
            raise ModelError("timeout", f"{self.id} was busy for too long.")
        try:
            return self._complete(request, began + seconds)
        finally:
            self._one.release()

    def _complete(self, request: ChatRequest, until: float) -> Completion:
        server, began = self._loaded(), time.perf_counter()
        body: dict[str, Any] = {
            "messages": [message.as_json() for message in request.messages],
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "seed": request.seed,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if request.schema is not None:
            body["grammar"] = _grammar(request.schema)
        written = _Written(request.on_text, until)
        server.handle_chat_completions(body, written.take)
        if written.raised is not None:
            raise written.raised
        if written.error:
            kind = written.error.get("type")
            words = str(written.error.get("message", "no reason given"))
            if kind == "exceed_context_size_error":
                raise ModelError("prompt too long", f"The prompt is too long for {self.id}: {words}.")
            raise ModelError("server error", f"{self.id} failed: {words}.")
        cost = (written.input_tokens, written.output_tokens)
        if written.late:
            raise ModelError("timeout", f"{self.id} was not done within {self.timeout:g} s.", written.text, *cost)
        milliseconds = 1000 * (time.perf_counter() - began)
        if written.output_tokens > 1:
            self._per_second = 1000 * written.output_tokens / milliseconds
        finished = written.reason != "length"
        return checked(Completion(written.text, *cost, milliseconds, self.id, finished=finished), request)

    def _loaded(self) -> Any:
        with self._lock:
            if self._server is None:
                try:
                    # It always listens; a key that nobody knows keeps others out.
                    self._server = start_server(self.path, self.context, key=secrets.token_urlsafe())
                except RuntimeError:
                    raise ModelError("unreachable", f"llama.cpp cannot load {self.path}.") from None
            return self._server


class _Written:
    """Collects what the model writes, piece by piece, until the deadline or an exception of `on_text`."""

    def __init__(self, on_text: Callable[[str], None] | None, until: float) -> None:
        self.on_text, self.until = on_text, until
        self.text, self.reason = "", ""
        self.input_tokens = self.output_tokens = 0
        self.error: dict[str, Any] = {}
        self.late = False
        self.raised: BaseException | None = None

    def take(self, chunk: dict[str, Any]) -> bool:
        """Take one chunk; True ends the answer. Never raises: what does is lost in the runtime."""
        try:
            self._take(chunk)
        except BaseException as error:  # Ctrl-C too
            self.raised = error
        self.late = time.perf_counter() > self.until and not self.reason
        return self.late or self.raised is not None

    def _take(self, chunk: dict[str, Any]) -> None:
        self.error = chunk.get("error") or self.error
        if usage := chunk.get("usage"):
            self.input_tokens, self.output_tokens = usage["prompt_tokens"], usage["completion_tokens"]
        for choice in chunk.get("choices", []):
            self.reason = choice.get("finish_reason") or self.reason
            if piece := choice["delta"].get("content"):
                self.text += piece
                if self.on_text is not None:
                    self.on_text(piece)


def start_server(path: Path, context: int = CONTEXT, host: str = "127.0.0.1", port: int = 0, key: str = "") -> Any:
    """llama.cpp with the model in `path`, answering one request at a time.

    Raises:
        RuntimeError: it cannot load the model, or cannot listen.
    """
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = str(path)
    settings.model_alias = {next((m.name for m in KNOWN if m.file == path.name), path.name)}
    settings.n_ctx = context
    settings.n_parallel = 1  # more would share the context
    settings.cache_ram_mib = 0  # keeps whole prompts by default, up to 8 GiB of them
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = THREADS
    settings.fit_params = settings.warmup = settings.ui = False
    settings.verbosity = -1
    settings.hostnames = [host]
    settings.port = port
    settings.api_keys = [key] if key else []
    return xllamacpp.Server(settings)


def _grammar(schema: type[BaseModel]) -> str:
    """A grammar of nothing but JSON that fits `schema`."""
    import xllamacpp

    grammar: str = xllamacpp.json_schema_to_grammar(strict_schema(schema) | {"x-guidance": SPACING})
    return grammar
