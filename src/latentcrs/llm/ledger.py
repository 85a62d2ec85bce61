"""The token ledger: one line for every call of a chat model, and their sums."""

import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Column, DateTime, Float, Integer, MetaData, String, Table, case, func, insert, select
from sqlalchemy.exc import SQLAlchemyError

from latentcrs.base.errors import UserError
from latentcrs.base.files import cache_folder
from latentcrs.llm.completions import CachedModel, Completions
from latentcrs.llm.database import SharedFile, reason
from latentcrs.llm.model import Call, ChatModel, ChatRequest, Completion, ModelError

TABLES = MetaData()
CALLS = Table(
    "calls",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("at", DateTime, nullable=False),  # UTC
    Column("conversation", String, nullable=False, index=True),
    Column("turn", Integer, nullable=False),
    Column("purpose", String, nullable=False),
    Column("model", String, nullable=False),
    Column("input_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("milliseconds", Float, nullable=False),
    Column("outcome", String, nullable=False),  # ok, cached, or that of a ModelError
)
SUCCEEDED = ("ok", "cached")


def ledger_path() -> Path:
    """Where the ledger lies: `LATENTCRS_LEDGER`, else in the cache folder."""
    return Path(os.environ.get("LATENTCRS_LEDGER") or cache_folder() / "ledger.sqlite")


@dataclass(frozen=True)
class TokenSums:
    """The calls of one purpose and model together. milliseconds: the mean of those that asked the model."""

    purpose: str
    model: str
    calls: int
    cached: int
    input_tokens: int
    output_tokens: int
    milliseconds: float
    failures: int


class Ledger(SharedFile):
    """The SQLite file at `path`, made at the first call. Several threads and processes may write at once."""

    tables, name = TABLES, "token ledger"

    def __init__(self, path: Path | None = None) -> None:
        super().__init__(path or ledger_path())

    def write(
        self, call: Call, model: str, outcome: str, milliseconds: float, input_tokens: int = 0, output_tokens: int = 0
    ) -> None:
        """Add one call. Never raises: a ledger that cannot be written is warned of, once."""
        line = {
            "at": datetime.now(UTC).replace(tzinfo=None),
            "conversation": call.conversation,
            "turn": call.turn,
            "purpose": call.purpose,
            "model": model,
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "milliseconds": milliseconds,
            "outcome": outcome,
        }
        try:
            with self._opened().begin() as connection:
                connection.execute(insert(CALLS), line)
        except (SQLAlchemyError, OSError, ValueError) as error:
            self._warn(error)

    def spent(self, conversation: str | None = None) -> list[TokenSums]:
        """The calls (of one conversation, if it is given) summed by purpose and model; empty where there are none.

        Raises:
            UserError: the file is no ledger, or cannot be read.
        """
        if not self.path.exists():
            return []
        asked = case((CALLS.c.outcome != "cached", CALLS.c.milliseconds))
        sums = (
            select(
                CALLS.c.purpose,
                CALLS.c.model,
                func.count().label("calls"),
                func.sum(CALLS.c.outcome == "cached").label("cached"),
                func.sum(CALLS.c.input_tokens).label("input_tokens"),
                func.sum(CALLS.c.output_tokens).label("output_tokens"),
                func.coalesce(func.avg(asked), 0.0).label("milliseconds"),
                func.sum(CALLS.c.outcome.not_in(SUCCEEDED)).label("failures"),
            )
            .group_by(CALLS.c.purpose, CALLS.c.model)
            .order_by(CALLS.c.purpose, CALLS.c.model)
        )
        if conversation is not None:
            sums = sums.where(CALLS.c.conversation == conversation)
        try:
            with self._opened().connect() as connection:
                return [TokenSums(**row) for row in connection.execute(sums).mappings()]
        except (SQLAlchemyError, OSError) as error:
            raise UserError(f"The token ledger {self.path} cannot be read: {reason(error)}.") from None


class RecordedModel:
    """A chat model whose every call, failed ones too, is written to a ledger."""

    def __init__(self, model: ChatModel, ledger: Ledger) -> None:
        self.model, self.ledger = model, ledger

    @property
    def id(self) -> str:
        return self.model.id

    def complete(self, request: ChatRequest) -> Completion:
        """See `ChatModel.complete`."""
        began = time.perf_counter()
        try:
            completion = self.model.complete(request)
        except ModelError as error:
            spent = 1000 * (time.perf_counter() - began)
            self.ledger.write(request.call, self.id, error.outcome, spent, error.input_tokens, error.output_tokens)
            raise
        if completion.cached:
            self.ledger.write(request.call, self.id, "cached", 0.0)
        else:
            spent, cost = completion.milliseconds, (completion.input_tokens, completion.output_tokens)
            self.ledger.write(request.call, self.id, "ok", spent, *cost)
        return completion


def remembered(model: ChatModel, path: Path) -> ChatModel:
    """`model`, whose answers are kept in the file `path`; a ledger still sees every call."""
    if isinstance(model, RecordedModel):
        return RecordedModel(CachedModel(model.model, Completions(path)), model.ledger)
    return CachedModel(model, Completions(path))
