"""The completion cache: an answer is paid for once, and an experiment that runs again asks no model."""

import hashlib
import json
from pathlib import Path

from sqlalchemy import Boolean, Column, Float, Integer, LargeBinary, MetaData, String, Table, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import SQLAlchemyError

from latentcrs.base.files import cache_folder
from latentcrs.llm.database import SharedFile
from latentcrs.llm.model import ChatModel, ChatRequest, Completion

TABLES = MetaData()
COMPLETIONS = Table(
    "completions",
    TABLES,
    Column("key", LargeBinary, primary_key=True),  # SHA-256 of model, prompt and parameters
    Column("text", String, nullable=False),
    Column("input_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("milliseconds", Float, nullable=False),
    Column("model", String, nullable=False),
    Column("finished", Boolean, nullable=False),
)


class Completions(SharedFile):
    """The SQLite file of answers at `path`, by default in the cache folder. Safe for several threads and processes.

    A file that cannot be used is warned of once; then every answer is as if it were new.
    """

    tables, name = TABLES, "completion cache"

    def __init__(self, path: Path | None = None) -> None:
        super().__init__(path or cache_folder() / "completions.sqlite")

    def lookup(self, key: bytes) -> Completion | None:
        """The answer kept under `key`."""
        try:
            with self._opened().connect() as connection:
                row = connection.execute(select(COMPLETIONS).where(COMPLETIONS.c.key == key)).mappings().first()
        except (SQLAlchemyError, OSError) as error:
            self._warn(error)
            return None
        return Completion(**{name: row[name] for name in row if name != "key"}, cached=True) if row else None

    def store(self, key: bytes, completion: Completion) -> None:
        """Keep an answer; the first under a key stays."""
        row = {column.name: getattr(completion, column.name) for column in COMPLETIONS.c if column.name != "key"}
        try:
            with self._opened().begin() as connection:
                connection.execute(insert(COMPLETIONS).on_conflict_do_nothing(), {"key": key, **row})
        except (SQLAlchemyError, OSError) as error:
            self._warn(error)


class CachedModel:
    """A chat model whose answers are kept: the same prompt with the same parameters is asked once.

    Failures are not kept. What is kept stays on disk in plain text: this is for experiments, not for people's chats.
    """

    def __init__(self, model: ChatModel, completions: Completions) -> None:
        self.model, self.completions = model, completions

    @property
    def id(self) -> str:
        return self.model.id

    def complete(self, request: ChatRequest) -> Completion:
        """See `ChatModel.complete`. An answer from the cache is passed to `on_text` in one piece."""
        key = completion_key(self.id, request)
        kept = self.completions.lookup(key)
        if kept is not None:
            if request.on_text is not None:
                request.on_text(kept.text)
            return kept
        completion = self.model.complete(request)
        self.completions.store(key, completion)
        return completion


def completion_key(model: str, request: ChatRequest) -> bytes:
    """SHA-256 of everything that an answer depends on."""
    said = [[message.role, message.content] for message in request.messages]
    fits = request.schema.model_json_schema() if request.schema is not None else None
    parts = [model, said, fits, request.max_tokens, float(request.temperature), request.seed]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).digest()
