"""Which column of a user's own files means what, and what to make of it: by usual names, or as a TOML says."""

import re
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from latentcrs.base.errors import UserError
from latentcrs.data.columns import KINDS
from latentcrs.data.ids import refuse_unknown

USUAL_NAMES: dict[str, tuple[str, ...]] = {
    "user": (
        *("user_id", "user", "uid", "customer_id", "customer", "reviewer_id", "visitor_id", "visitor", "member_id"),
        *("account_id", "client_id", "buyer_id", "shopper_id", "person_id", "reader_id", "session_id", "session"),
    ),
    "item": (
        *("item_id", "item", "iid", "parent_asin", "asin", "product_id", "product", "sku", "article_id", "article"),
        *("movie_id", "movie", "book_id", "book", "isbn", "track_id", "track", "song_id", "song", "game_id", "game"),
        *("goods_id", "content_id", "video_id", "recipe_id", "business_id", "offer_id", "product_code", "stock_code"),
    ),
    "rating": (
        *("rating", "ratings", "overall", "stars", "score", "user_rating", "review_rating", "rating_value"),
        *("rating_score", "review_score", "star_rating", "grade", "vote", "thumbs", "thumb", "feedback"),
    ),
    "timestamp": (
        *("timestamp", "time", "datetime", "date", "ts", "unixreviewtime", "unix_time", "created_at", "timestamp_ms"),
        *("event_time", "event_timestamp", "event_date", "date_time", "time_stamp", "created", "order_date", "epoch"),
        *("purchase_date", "order_time", "review_time", "review_date", "rated_at", "viewed_at", "purchased_at"),
        *("occurred_at", "logged_at", "invoice_date", "transaction_date", "updated_at"),
    ),
    "position": ("position", "pos", "order", "rank", "seq", "sequence", "index"),
    "event": (
        *("event", "event_type", "event_name", "action", "action_type", "behavior", "behaviour", "behavior_type"),
        *("behaviour_type", "interaction_type", "interaction", "activity", "activity_type", "type"),
    ),
    "quantity": ("quantity", "qty", "units", "pieces", "count"),
    "title": ("title", "name", "item_title", "movie_title", "product_name", "product_title", "item_name"),
}
CATALOGUE_IDS = (*USUAL_NAMES["item"], "id", "_id", "code", "identifier")
"""Names of the id in a catalogue: a column `id` of a log numbers its rows."""
REQUIRED = {"interactions": ("user", "item"), "items": ("item",)}
NO_COLUMN = ""
"""What a mapping names as the column of a role that no column shall have."""


class TextFile(BaseModel):
    """What there is to say of a text file that cannot be seen from it."""

    model_config = ConfigDict(extra="forbid")

    separator: str | None = Field(None, min_length=1, max_length=1)
    encoding: str | None = None
    header: list[str] | None = None  # the names of its columns, where its first line has none


class LogColumns(TextFile):
    """`[interactions]`: the columns of the log. What is not named is looked for by its usual names."""

    user: str | None = None
    item: str | None = None
    rating: str | None = None
    timestamp: str | None = None
    position: str | None = None
    event: str | None = None
    quantity: str | None = None  # below zero: a refund, where no column has kinds of events
    format: str | None = None  # of the timestamp, as strptime has it
    repeats: bool = False  # an item may come again, and is recommended again


class CatalogueColumns(TextFile):
    """`[items]`: the columns of the catalogue, and kinds of attribute columns where inspection guesses wrong."""

    item: str | None = None
    title: str | None = None
    kinds: dict[str, str] = Field(default_factory=dict)
    decimal: Literal[".", ","] | None = None  # what stands before decimals in all its numbers


class EventKinds(BaseModel):
    """`[events]`: kind -> weight, and kind -> the kinds of earlier events that it takes away, or "all"."""

    model_config = ConfigDict(extra="forbid")

    weights: dict[str, float] = Field(default_factory=dict)
    takes_away: dict[str, list[str] | str] = Field(default_factory=dict)


class Ratings(BaseModel):
    """`[ratings]`: the lowest that counts as liked, and what words for a rating are worth."""

    model_config = ConfigDict(extra="forbid")

    threshold: float | None = None
    words: dict[str, float] = Field(default_factory=dict)


class Ids(BaseModel):
    """`[ids]`: what is ignored when ids of the log are looked for in the catalogue."""

    model_config = ConfigDict(extra="forbid")

    same: list[str] = Field(default_factory=list)


class Mapping(BaseModel):
    """The whole mapping file."""

    model_config = ConfigDict(extra="forbid")

    interactions: LogColumns = Field(default_factory=LogColumns)
    items: CatalogueColumns = Field(default_factory=CatalogueColumns)
    events: EventKinds = Field(default_factory=EventKinds)
    ratings: Ratings = Field(default_factory=Ratings)
    ids: Ids = Field(default_factory=Ids)


ROLES: dict[str, tuple[str, ...]] = {
    "interactions": ("user", "item", "rating", "timestamp", "position", "event", "quantity"),
    "items": ("item", "title"),
}


def read_mapping(path: Path | None) -> Mapping:
    """The mapping in the TOML file at `path`; without one, everything goes by usual names.

    Raises:
        UserError: the file is not there, not TOML, or says something that a mapping does not have.
    """
    if path is None:
        return Mapping()
    try:
        values = tomllib.loads(path.read_text("utf-8-sig"))
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"{path} does not exist; --mapping wants a TOML file.") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not TOML: {error}.") from None
    return mapping_of(values, path)


def mapping_of(values: dict[str, Any], where: Path | str) -> Mapping:
    """The mapping that these values say; `where` names them in messages.

    Raises:
        UserError: they say something that a mapping does not have.
    """
    try:
        mapping = Mapping.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UserError(
            f"{where}: {place}: {first['msg']}; a mapping has "
            f"[interactions] with {', '.join(LogColumns.model_fields)}, "
            f"[items] with {', '.join(CatalogueColumns.model_fields)}, [events] with weights, takes_away, "
            "[ratings] with threshold, words, and [ids] with same."
        ) from None
    for column, kind in mapping.items.kinds.items():
        if kind not in (*KINDS, "skip"):
            raise UserError(f"{where}: items.kinds.{column}: no kind {kind!r}; use {', '.join(KINDS)} or skip.")
    refuse_unknown(mapping.ids.same, f"{where}: ids.same")
    return mapping


def bare(name: str) -> str:
    """A column's name as it is compared: in lower case, letters and digits alone."""
    return re.sub(r"[\W_]+", "", name).lower()


def find_columns(
    file: Path | str,
    table: str,
    named: LogColumns | CatalogueColumns,
    columns: list[str],
    hint: Callable[[], str] = str,
) -> dict[str, list[str]]:
    """role (user, item, ...) -> columns of `file` that may have it, the likeliest first: one where it is named.

    Args:
        hint: what else to say where a required column cannot be found.

    Raises:
        UserError: a named column is not there, or a required one cannot be found.
    """
    by_name = {bare(column): column for column in reversed(columns)}
    found: dict[str, list[str]] = {}
    for role in ROLES[table]:
        wanted = getattr(named, role)
        if wanted is not None and wanted != NO_COLUMN:
            if wanted not in columns:
                raise UserError(f"{file} has no column {wanted!r} for {role}; it has {', '.join(columns)}.{hint()}")
            found[role] = [wanted]
        elif wanted is None:
            names: Sequence[str] = CATALOGUE_IDS if (table, role) == ("items", "item") else USUAL_NAMES[role]
            usual = [by_name[bare(name)] for name in names if bare(name) in by_name]
            if usual:
                found[role] = list(dict.fromkeys(usual))
    for role in REQUIRED[table]:
        if role not in found:
            raise UserError(
                f"{file} has no column for the {role} ({', '.join(USUAL_NAMES[role][:4])}, ...): it has "
                f'{", ".join(columns)}; name it in a mapping: [{table}] {role} = "COLUMN".{hint()}'
            )
    return found
