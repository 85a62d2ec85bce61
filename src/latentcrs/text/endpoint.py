"""A text encoder behind any OpenAI-compatible embeddings endpoint: OpenAI, vLLM, TEI, Ollama, llama.cpp."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import numpy as np
from numpy.typing import NDArray
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from latentcrs.base.addresses import http_parts
from latentcrs.base.errors import UserError

if TYPE_CHECKING:
    import openai

KEY = "LATENTCRS_EMBEDDINGS_KEY"
AT_ONCE = "LATENTCRS_EMBEDDINGS_AT_ONCE"
BATCH = 64
"""Texts in one request; fewer where an endpoint takes no more."""
RETRIES = 6
SHORTEST_CUT = 64  # characters: an endpoint that takes fewer is broken
NO_KEY = "none"  # the client wants one, and would look for another service's in the environment
REFUSED = (400, 413, 422)  # what endpoints answer to too many texts, or to one that is too long
TOO_LONG = re.compile("(?i)too (long|large|many tokens)|context|length|maximum|tokens|batch size")


class EndpointEncoder:
    """The model called `model` at `url` (the base, which ends in /v1 as a rule), through the `openai` client.

    Vectors are scaled to length 1. At most `at_once` requests are under way; the next leaves when one is answered, so
    a slow endpoint slows the sender and no queue grows. What fails (429, 5xx, no answer) is asked again by the
    client, with backoff, heeding Retry-After. A batch that is refused is halved; a text that is too long for the
    model is cut in half until it fits, as models in a folder truncate, too.

    Safe to share between threads. timeout: seconds that one attempt may be silent.
    """

    def __init__(
        self, url: str, model: str, key: str = "", at_once: int = 8, timeout: float = 60.0, retries: int = RETRIES
    ) -> None:
        self.url, self.model, self.at_once = url, model, at_once
        self._key, self._timeout, self._retries = key, timeout, retries
        self._most = BATCH
        self._again = Retrying(
            retry=retry_if_exception_type(_NoEmbeddings),
            stop=stop_after_attempt(retries + 1),
            wait=wait_random_exponential(0.2, 8),
            reraise=True,
        )

    @cached_property
    def id(self) -> str:
        """The model's name, and a digest of where it is: a name does not say that two serve the same weights."""
        digest = hashlib.sha256(f"embeddings, L2\n{self.url}\n{self.model}".encode()).hexdigest()[:16]
        return f"{re.sub(r'[^A-Za-z0-9._-]+', '--', self.model).strip('.-')[:80]}-{digest}"

    @cached_property
    def width(self) -> int:
        """How many numbers a vector has: the endpoint is asked for one."""
        return int(self.encode(["width"]).shape[1])

    @cached_property
    def _client(self) -> openai.OpenAI:
        import httpx2
        import openai

        return openai.OpenAI(
            base_url=self.url,
            api_key=self._key or NO_KEY,
            max_retries=self._retries,
            http_client=openai.DefaultHttpxClient(
                timeout=httpx2.Timeout(self._timeout, connect=min(self._timeout, 5.0), pool=None),
                limits=httpx2.Limits(max_connections=self.at_once),
            ),
        )

    def encode(self, texts: Sequence[str], progress: Callable[[int], None] | None = None) -> NDArray[np.float32]:
        """The vectors of `texts`, in their order: (len(texts), width) float32. `progress` hears of every request.

        Raises:
            UserError: the endpoint cannot be reached, refuses, or answers something else.
        """
        if not len(texts):
            return np.empty((0, self.width), np.float32)
        # An empty text is refused by most; half a surrogate pair is no JSON.
        clean = [text.encode("utf-8", "replace").decode("utf-8") if text.strip() else " " for text in texts]
        batches = [slice(start, start + self._most) for start in range(0, len(clean), self._most)]
        found: dict[int, NDArray[np.float32]] = {}
        pool = ThreadPoolExecutor(min(self.at_once, len(batches)), "embeddings")
        try:
            under_way = {pool.submit(self._batch, clean[rows]): rows.start for rows in batches}
            for done in as_completed(under_way):
                vectors, _ = done.result()
                found[under_way[done]] = vectors
                if progress is not None:
                    progress(len(vectors))
        finally:
            pool.shutdown(cancel_futures=True)
        return np.concatenate([found[rows.start] for rows in batches])

    def _batch(self, texts: list[str]) -> tuple[NDArray[np.float32], bool]:
        """One request's vectors, and whether a text was cut; in several requests where these are too many."""
        import openai

        half = len(texts) // 2
        if len(texts) <= self._most:
            try:
                return self._asked(texts), False
            except openai.APIStatusError as error:
                refused = error.status_code in REFUSED
                if half == 0 and refused and len(texts[0]) > SHORTEST_CUT and TOO_LONG.search(error.message):
                    return self._batch([texts[0][: len(texts[0]) // 2]])[0], True
                if half == 0 or not refused:
                    raise self._explained(error) from None
            except openai.OpenAIError as error:
                raise self._explained(error) from None
        first, first_cut = self._batch(texts[:half])
        second, second_cut = self._batch(texts[half:])
        if not (first_cut or second_cut):  # none was too long, so they were too many
            self._most = min(self._most, len(texts) - half)
        return np.concatenate([first, second]), first_cut or second_cut

    def _asked(self, texts: list[str]) -> NDArray[np.float32]:
        """One request, sent again where what comes back is no embeddings."""
        try:
            return self._again(self._answered, texts)
        except _NoEmbeddings as error:
            raise UserError(f"{self._called} answers something that is no list of embeddings ({error}).") from None

    def _answered(self, texts: list[str]) -> NDArray[np.float32]:
        try:
            data = self._client.embeddings.create(model=self.model, input=texts).data
            order = np.array([one.index for one in data])
            vectors = np.array([one.embedding for one in data], np.float32)
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            raise _NoEmbeddings(type(error).__name__) from None
        if not np.array_equal(np.sort(order), np.arange(len(texts))) or vectors.ndim != 2:
            raise _NoEmbeddings(f"{len(data)} for {len(texts)} texts")
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not (np.isfinite(lengths).all() and lengths.all()):
            raise _NoEmbeddings("a vector without a direction")
        return (vectors / lengths)[np.argsort(order)]

    @property
    def _called(self) -> str:
        return f"The embeddings endpoint {urlsplit(self.url).netloc} ({self.model})"

    def _explained(self, error: openai.OpenAIError) -> UserError:
        """The client's error in one sentence. Never with a key in it."""
        import openai

        if isinstance(error, openai.APITimeoutError):
            return UserError(f"{self._called} did not answer within {self._timeout:g} s.")
        if isinstance(error, openai.APIConnectionError):
            return UserError(f"{self._called} cannot be reached.")
        if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            return UserError(f"{self._called} {'does not accept' if self._key else 'wants'} a key in {KEY}.")
        if isinstance(error, openai.RateLimitError):
            return UserError(f"{self._called} takes no more requests for now (429); what is encoded is kept.")
        words = " ".join(str(getattr(error, "message", "") or type(error).__name__).split())
        return UserError(f"{self._called} failed: {words.replace(self._key, '[key]') if self._key else words}"[:300])


class _NoEmbeddings(Exception):
    """An answer that is no embeddings of what was asked."""


def open_endpoint(spec: str) -> EndpointEncoder:
    """The encoder that `https://host/v1#MODEL` names. Its key is in LATENTCRS_EMBEDDINGS_KEY; how many requests may
    be under way, in LATENTCRS_EMBEDDINGS_AT_ONCE (8).

    Raises:
        UserError: no address, no model, or a password in the address (it would be written into bundles).
    """
    parts = http_parts(spec)
    if parts is None or not parts.fragment:
        raise UserError(f"{spec!r} is no embeddings endpoint; write https://host/v1#MODEL, the model behind the #.")
    if parts.username or parts.password:
        raise UserError(f"The address of an embeddings endpoint holds no password; put the key into {KEY}.")
    path = parts.path.rstrip("/").removesuffix("/embeddings") or "/v1"
    url = urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))
    at_once = os.environ.get(AT_ONCE, "").strip() or "8"
    if not at_once.isdigit() or int(at_once) < 1:
        raise UserError(f"{AT_ONCE} must be a number of requests, not {at_once!r}.")
    return EndpointEncoder(url, parts.fragment, os.environ.get(KEY, "").strip(), int(at_once))
