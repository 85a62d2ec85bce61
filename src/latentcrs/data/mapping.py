"""Which column of a user's own files means what: by the usual names, or as a small TOML says."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from latentcrs.data.columns import KINDS
from latentcrs.errors import UserError

USUAL_NAMES: dict[str, tuple[str, ...]] = {
    "user": (
        "user_id",
        "user",
        "userid",
        "uid",
        "customer_id",
        "customer",
        "reviewer_id",
        "reviewerid",
        "visitor_id",
    ),
    "item": (
        *("item_id", "item", "itemid", "iid", "parent_asin", "asin", "product_id", "product", "productid", "sku"),
        *("movie_id", "movieid", "movie", "book_id", "bookid", "track_id", "song_id", "game_id", "article_id"),
    ),
    "rating": ("rating", "ratings", "overall", "stars", "score"),
    "timestamp": (
        "timestamp",
        "time",
        "datetime",
        "date",
        "unixreviewtime",
        "unix_time",
        "created_at",
        "timestamp_ms",
    ),
    "position": ("position", "pos", "order", "rank", "seq", "sequence", "index"),
    "title": ("title", "name", "item_title", "movie_title", "product_name", "product_title", "item_name"),
}
REQUIRED = {"interactions": ("user", "item"), "items": ("item",)}


class LogColumns(BaseModel):
    """`[interactions]`: the columns of the log. What is not named is looked for by its usual names."""

    model_config = ConfigDict(extra="forbid")

    user: str | None = None
    item: str | None = None
    rating: str | None = None
    timestamp: str | None = None
    position: str | None = None


class CatalogueColumns(BaseModel):
    """`[items]`: the columns of the catalogue, and kinds of attribute columns where inspection guesses wrong."""

    model_config = ConfigDict(extra="forbid")

    item: str | None = None
    title: str | None = None
    kinds: dict[str, str] = Field(default_factory=dict)


class Mapping(BaseModel):
    """The whole mapping file."""

    model_config = ConfigDict(extra="forbid")

    interactions: LogColumns = Field(default_factory=LogColumns)
    items: CatalogueColumns = Field(default_factory=CatalogueColumns)


def read_mapping(path: Path | None) -> Mapping:
    """The mapping in the TOML file at `path`; without one, everything goes by usual names.

    Raises:
        UserError: the file is not there, not TOML, or says something that a mapping does not have.
    """
    if path is None:
        return Mapping()
    try:
        mapping = Mapping.model_validate(tomllib.loads(path.read_text("utf-8")))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist; --mapping wants a TOML file.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not TOML: {error}.") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(
            f"{path}: {where}: {first['msg']}; a mapping has [interactions] with user, item, rating, timestamp, "
            "position, and [items] with item, title, kinds."
        ) from None
    for column, kind in mapping.items.kinds.items():
        if kind not in (*KINDS, "skip"):
            raise UserError(f"{path}: items.kinds.{column}: no kind {kind!r}; use {', '.join(KINDS)} or skip.")
    return mapping


def find_columns(
    file: Path | str, table: str, named: LogColumns | CatalogueColumns, columns: list[str]
) -> dict[str, str]:
    """role (user, item, ...) -> column of `file`, for every role that is named or found.

    Raises:
        UserError: a named column is not there, or a required one cannot be found.
    """
    found: dict[str, str] = {}
    by_lower_case = {column.lower().strip(): column for column in reversed(columns)}
    for role in type(named).model_fields:
        if role == "kinds":
            continue
        wanted = getattr(named, role)
        if wanted is not None and wanted not in columns:
            raise UserError(f"{file} has no column {wanted!r} for {role}; it has {', '.join(columns)}.")
        usual = next((by_lower_case[name] for name in USUAL_NAMES[role] if name in by_lower_case), None)
        if wanted or usual:
            found[role] = wanted or str(usual)
    for role in REQUIRED[table]:
        if role not in found:
            raise UserError(
                f"{file} has no column for the {role} ({', '.join(USUAL_NAMES[role][:4])}, ...): it has "
                f'{", ".join(columns)}; name it in a mapping: [{table}] {role} = "COLUMN".'
            )
    return found
