"""The prepared data set: the one folder that every later step reads, and its schema."""

import json
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.datatypes import DataType, DataTypeClass
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from latentcrs.base.errors import UserError, first_line
from latentcrs.base.files import atomic_file, refuse_other_format, sha256_of
from latentcrs.data.histories import Histories

ColumnKind = Literal["category", "multi-category", "number", "year", "text", "link"]
Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")
MANIFEST = "dataset.json"
MACHINE_WRITTEN = "machine_written"
"""The column in which a language model describes items (`latentcrs describe`)."""
FORMAT = 1
"""Of a prepared data set: counted up when what is in its folder changes so that older ones cannot be read."""

REQUESTS_SCHEMA: dict[str, DataType | DataTypeClass] = {
    "user": pl.Int32,  # null for a visitor, who is not in the log
    "cut": pl.Int32,  # the history is the user's first `cut` items; null for a visitor
    "history": pl.List(pl.Int32),  # a visitor's history, oldest first; null for a user of the log
    "target": pl.Int32,  # the item that the words are about
    "split": pl.String,  # train | valid | test
    "text": pl.String,  # what was said
    "source": pl.String,  # who said it: attributes, llm, imported
}
MENTIONS_SCHEMA: dict[str, DataType | DataTypeClass] = {
    "conversation": pl.Int32,
    "item": pl.Int32,  # row of items.parquet; behind those, the rows of outside.parquet
    "by_seeker": pl.Boolean,
    "stance": pl.String,  # liked | disliked; null: neither
    "split": pl.String,  # train | valid, of the whole conversation
    "suggested": pl.Boolean,  # an item of the catalogue that the one who recommends named first
}
OUTSIDE_SCHEMA: dict[str, DataType | DataTypeClass] = {
    "title": pl.String,
    "year": pl.Int32,  # null where it is not known
    "conversations": pl.Int32,  # how many name it
}
SPOKEN_SCHEMA: dict[str, DataType | DataTypeClass] = {
    "conversation": pl.Int32,
    "history": pl.List(pl.Int32),  # what the seeker had named and not disliked, outside items among it
    "disliked": pl.List(pl.Int32),  # what the seeker had named and disliked
    "target": pl.Int32,  # what was suggested then
    "split": pl.String,  # train | valid
    "text": pl.String,  # what the seeker had said
}


class DatasetInfo(BaseModel):
    """`dataset.json`: what this data set is, how it was made, and checksums of its files."""

    model_config = ConfigDict(extra="forbid")

    format: int = FORMAT
    name: str
    source: str  # the files it was made from, in words
    terms: str  # the terms of use, in words
    command: str  # the command that made it
    threshold: float | None  # ratings below it were left out; None: every interaction counts
    core: int  # fewest interactions a user keeps
    item_core: int = 1  # fewest interactions an item keeps
    users: int
    items: int
    interactions: int
    repeats: bool = False  # items come again in a history, and those in it stay recommendable
    events: dict[str, float] = Field(default_factory=dict)  # kind of event that counts -> its weight, kept as rating
    columns: dict[str, ColumnKind]  # the catalogue's attribute columns, in order (title and text are not among them)
    dropped: dict[str, int] = Field(default_factory=dict)  # reason -> rows
    conversations: dict[str, int] = Field(default_factory=dict)  # what was counted in those that were imported
    notes: list[str] = Field(default_factory=list)  # what was guessed about the files, and done to their values
    checksums: dict[str, str] = Field(default_factory=dict)  # file -> SHA-256


class PreparedDataset:
    """A prepared data set, read lazily from its folder.

    Files: `interactions.parquet` (user, item, position, timestamp in seconds, rating, the last two maybe null; sorted
    by user, position), `users.parquet` (user_id), `items.parquet` (item_id, title, one column per entry of
    `info.columns`, text), `requests.parquet` (may be absent), `dropped.parquet` (file,
    line, user_id, item_id, reason: rows that could not be used), `dataset.json`.
    Users and items are dense indices everywhere inside; ids appear only at the border.

    Column types in items.parquet: category String, multi-category List(String), number Float64, year Int32,
    text and link (an address) String; any of them may be null.

    Raises:
        UserError: the folder is not a prepared data set, or a file does not match its checksum.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        manifest = self.path / MANIFEST
        if not manifest.is_file():
            raise UserError(
                f"{self.path} is not a prepared data set (no {MANIFEST}); make one with 'latentcrs data prepare'."
            )
        try:
            text = manifest.read_text("utf-8")
            refuse_other_format(manifest, json.loads(text), FORMAT)
            self.info = DatasetInfo.model_validate_json(text)
        except ValueError as error:  # no UTF-8, no JSON, no manifest
            why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else first_line(error)
            raise UserError(f"{manifest} cannot be read: {why}; prepare the data set again.") from None

    def file(self, name: str) -> Path:
        """Where a file of the data set is, for those who read it piece by piece.

        Raises:
            UserError: it is missing, or has changed since it was written.
        """
        path = self.path / name
        if not path.is_file():
            raise UserError(f"{path} is missing; prepare the data set again.")
        expected = self.info.checksums.get(name)
        if expected is not None and sha256_of(path) != expected:
            raise UserError(f"{path} has changed since it was written (checksum); prepare the data set again.")
        return path

    def _read(self, name: str) -> pl.DataFrame:
        return pl.read_parquet(self.file(name))

    @property
    def repeats(self) -> bool:
        """Whether people take items again (groceries): what is in a history must not be left out of a ranking."""
        return self.info.repeats

    @cached_property
    def interactions(self) -> pl.DataFrame:
        return self._read("interactions.parquet")

    @cached_property
    def items(self) -> pl.DataFrame:
        return self._read("items.parquet")

    @cached_property
    def user_ids(self) -> pl.Series:
        """The id of each user, by dense index."""
        return self._read("users.parquet")["user_id"]

    @property
    def has_requests(self) -> bool:
        # A file that the manifest does not know is what a killed run left: its checksum is written last.
        return "requests.parquet" in self.info.checksums and (self.path / "requests.parquet").is_file()

    @cached_property
    def mentions(self) -> pl.DataFrame:
        """What imported conversations name (`MENTIONS_SCHEMA`); empty without any."""
        return self._read_if_there("mentions.parquet", MENTIONS_SCHEMA)

    @cached_property
    def outside(self) -> pl.DataFrame:
        """What conversations talk of that the catalogue does not have (`OUTSIDE_SCHEMA`)."""
        return self._read_if_there("outside.parquet", OUTSIDE_SCHEMA)

    @cached_property
    def spoken(self) -> pl.DataFrame:
        """The requests of people in imported conversations (`SPOKEN_SCHEMA`)."""
        return self._read_if_there("spoken.parquet", SPOKEN_SCHEMA)

    @property
    def named_histories(self) -> Histories:
        """What each training conversation names and nobody dislikes of the catalogue: histories of two or more."""
        rows = self.mentions.filter(
            (pl.col("split") == "train")
            & (pl.col("stance").fill_null("") != "disliked")
            & (pl.col("item") < self.info.items)
        )
        named = rows.group_by("conversation", maintain_order=True).agg("item").filter(pl.col("item").list.len() > 1)
        return Histories.from_lists(named["item"].to_list())

    def _read_if_there(self, name: str, schema: dict[str, DataType | DataTypeClass]) -> pl.DataFrame:
        return self._read(name) if name in self.info.checksums else pl.DataFrame(schema=schema)

    @property
    def missing_splits(self) -> list[Split]:
        """The splits that have no requests yet."""
        present = set(self.requests["split"].unique()) if self.has_requests else set()
        return [split for split in SPLITS if split not in present]

    @cached_property
    def requests(self) -> pl.DataFrame:
        if not self.has_requests:
            raise UserError(f"{self.path} has no requests; write some with 'latentcrs simulate {self.path}'.")
        return self._read("requests.parquet")

    def write_requests(self, requests: pl.DataFrame) -> None:
        """Write `requests` (columns of `REQUESTS_SCHEMA`) into the folder, replacing what was there."""
        self._write("requests", requests.select([pl.col(name).cast(kind) for name, kind in REQUESTS_SCHEMA.items()]))

    def write_items(self, items: pl.DataFrame, columns: dict[str, ColumnKind], notes: list[str]) -> None:
        """Write the catalogue anew, the same items with more told of them, and what `dataset.json` says of it."""
        self._write("items", items, columns=columns, notes=notes)

    def _write(self, name: str, table: pl.DataFrame, **told: object) -> None:
        target, others = self.path / f"{name}.parquet", dict(self.info.checksums)
        if others.pop(target.name, None) is not None:
            # Killed before the end, the folder has no requests, or a table without a checksum.
            write_manifest(self.path, self.info.model_copy(update={"checksums": others}))
        with atomic_file(target) as temporary:
            table.write_parquet(temporary)
        checksums = {**others, target.name: sha256_of(target)}
        self.info = self.info.model_copy(update={**told, "checksums": checksums})
        write_manifest(self.path, self.info)
        self.__dict__.pop(name, None)

    @cached_property
    def sequence(self) -> NDArray[np.int32]:
        """Every user's items in order, one user after the other: (interactions,)."""
        return self.interactions["item"].to_numpy().astype(np.int32, copy=False)

    @cached_property
    def weights(self) -> NDArray[np.float32] | None:
        """How much each event of `sequence` tells, 1 on average: (interactions,). None where all count alike."""
        kinds = np.array(list(self.info.events.values()), np.float32)
        given = self.interactions["rating"].to_numpy().astype(np.float32) if len(set(kinds)) > 1 else kinds[:0]
        if len(given) == 0 or not np.isin(given, kinds).all() or given.min() == given.max():
            return None
        return given / given.mean()

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Where each user's items begin in `sequence`: (users + 1,)."""
        counts = np.bincount(self.interactions["user"].to_numpy(), minlength=self.info.users)
        return np.concatenate([[0], np.cumsum(counts)])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """How many interactions each user has: (users,)."""
        return np.diff(self.offsets)

    def histories(self, users: NDArray[np.integer], cuts: NDArray[np.integer]) -> Histories:
        """The first `cuts[b]` items of user `users[b]`, for every b."""
        return Histories(self.sequence, self.offsets[:-1][users], np.asarray(cuts, np.int64), self.weights)

    def request_histories(self, requests: pl.DataFrame) -> Histories:
        """The history behind every row of `requests` (users of the log and visitors alike)."""
        visitor = requests["user"].is_null().to_numpy()
        visitors = requests.filter(pl.col("user").is_null())["history"]
        visitor_lengths = visitors.list.len().fill_null(0).to_numpy().astype(np.int64)
        visitor_items = visitors.explode().drop_nulls().to_numpy().astype(np.int32)
        users = requests["user"].fill_null(0).to_numpy()
        offsets = self.offsets[:-1][users].copy()
        lengths = requests["cut"].fill_null(0).to_numpy().astype(np.int64)
        offsets[visitor] = len(self.sequence) + np.cumsum(visitor_lengths) - visitor_lengths
        lengths[visitor] = visitor_lengths
        return Histories(np.concatenate([self.sequence, visitor_items]), offsets, lengths)

    @cached_property
    def training_counts(self) -> NDArray[np.int64]:
        """How often each item occurs in the training part (all but each user's last two): (items,)."""
        keep = np.ones(len(self.sequence), bool)
        keep[self.offsets[1:] - 1] = False
        keep[self.offsets[1:] - 2] = False
        return np.bincount(self.sequence[keep], minlength=self.info.items)


def write_manifest(folder: Path, info: DatasetInfo) -> None:
    """Write `dataset.json` into `folder`, atomically."""
    with atomic_file(folder / MANIFEST) as temporary:
        temporary.write_text(info.model_dump_json(indent=2), "utf-8")
