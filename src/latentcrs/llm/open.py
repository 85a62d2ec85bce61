"""Opens a chat model by the name that commands and the environment give it."""

import os
from urllib.parse import urlsplit, urlunsplit

from latentcrs.base.addresses import http_parts
from latentcrs.base.errors import UserError
from latentcrs.base.progress import say
from latentcrs.llm.model import ChatModel


def open_chat_model(spec: str | None = None, timeout: float = 60.0, max_retries: int = 2) -> ChatModel | None:
    """The chat model that `spec` names, each of its calls written to the token ledger; None for no model.

    spec: "local" for the best model of one file that was fetched (`latentcrs models fetch`), "local:NAME" or
    "local:PATH.gguf" for another; the http(s) address of an OpenAI-compatible endpoint, asked for the model
    `LATENTCRS_LLM_MODEL` with the key `LATENTCRS_LLM_KEY`; "none" for no model; None for what `LATENTCRS_LLM_URL`
    says, and no model where it says nothing. With `LATENTCRS_COMPLETIONS=1` answers are kept and never paid for
    twice. timeout: seconds per attempt.

    Raises:
        UserError: there is no such model, or something that it needs is missing.
    """
    wanted = (spec if spec is not None else os.environ.get("LATENTCRS_LLM_URL", "")).strip()
    check_model_name(wanted)
    if wanted in ("", "none"):
        return None
    if wanted == "local" or wanted.startswith("local:"):
        from latentcrs.llm.embedded import named_model
        from latentcrs.llm.local_model import LocalModel

        name, path = named_model(wanted.partition(":")[2]) if ":" in wanted else ("", None)
        model: ChatModel = LocalModel(path, timeout=timeout, name=name)
        say(f"language model in this process: {model.id}")
    else:
        model = _endpoint(wanted, timeout, max_retries)
    from latentcrs.llm.completions import CachedModel, Completions
    from latentcrs.llm.ledger import Ledger, RecordedModel

    if os.environ.get("LATENTCRS_COMPLETIONS", "") not in ("", "0"):
        model = CachedModel(model, Completions())
    return RecordedModel(model, Ledger())


def check_model_name(spec: str) -> None:
    """Refuse what names no language model, whether or not one answers there.

    Raises:
        UserError: it is neither "local", "none" nor an address that can be asked.
    """
    if spec.startswith(("http://", "https://")):
        if http_parts(spec) is None:
            raise UserError(
                f"The address of the language model, {spec!r}, is none that can be asked; it looks like "
                "http://host:8080/v1."
            )
    elif spec not in ("", "none", "local") and not (spec.startswith("local:") and spec[6:].strip()):
        raise UserError(
            f"There is no language model {spec!r}; give 'local' or 'local:NAME' for one in this process, the "
            "address of an OpenAI-compatible endpoint (https://host/v1), or 'none'."
        )


def _endpoint(address: str, timeout: float, max_retries: int) -> ChatModel:
    name = os.environ.get("LATENTCRS_LLM_MODEL", "").strip()
    if not name:
        raise UserError(
            "Which model is wanted of the endpoint? Set LATENTCRS_LLM_MODEL to its name, e.g. "
            "LATENTCRS_LLM_MODEL=gpt-5-mini."
        )
    from latentcrs.llm.openai_model import OpenAIModel

    parts = urlsplit(address)
    path = parts.path.rstrip("/").removesuffix("/chat/completions") or "/v1"
    base = urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))
    return OpenAIModel(base, name, os.environ.get("LATENTCRS_LLM_KEY", "").strip(), timeout, max_retries)
