"""What people did while a bundle was served, as a log for the next training, which `data prepare own` reads."""

import polars as pl

from latentcrs.base.errors import UserError
from latentcrs.data import PreparedDataset
from latentcrs.store.conversations import ConversationStore

TIME = pl.Datetime("us", "UTC")
SCHEMA: dict[str, pl.DataType | type[pl.String]] = {
    "user_id": pl.String,
    "item_id": pl.String,
    "event": pl.String,
    "timestamp": TIME,
}


def event_log(
    store: ConversationStore, catalogue: str = "", owner: str | None = None, before: PreparedDataset | None = None
) -> pl.DataFrame:
    """One row for each user and item (`SCHEMA`), oldest first: the last event on it, by its kind.

    catalogue: the data set whose items they are; the only one by default. owner: whose events, everybody's by
    default; an id that several owners use is taken for one person then. before: a data set whose interactions come
    first, as the kind "like", without those that are events too.

    Raises:
        UserError: no events, or those of several data sets and none is named.
    """
    found = store.every_event(owner)
    there = sorted({name for name, *_ in found})
    if not catalogue and len(there) > 1:
        raise UserError(f"The store has events of several data sets; name one with --catalogue: {', '.join(there)}.")
    catalogue = catalogue or next(iter(there), "")
    rows = [row for name, _, *row in found if name == catalogue and row[2] != "seen"]  # which tells of no liking
    if not rows and before is None:
        has = f"; it has those of {', '.join(there)}" if there else ""
        raise UserError(f"The store has no events{f' of {catalogue!r}' if catalogue else ''}{has}.")
    since = pl.DataFrame(rows, SCHEMA, orient="row")
    if before is None:
        return since
    same = [pl.col("user_id"), pl.col("item_id"), pl.col("timestamp").dt.truncate("1s")]
    trained = _interactions(before)
    return pl.concat([trained.join(since, on=same, how="anti", nulls_equal=True), since])


def _interactions(dataset: PreparedDataset) -> pl.DataFrame:
    """A prepared data set's interactions, oldest first for each user."""
    log = pl.read_parquet(dataset.file("interactions.parquet"))
    ids = dataset.items["item_id"].cast(pl.String)
    return log.select(
        user_id=dataset.user_ids.cast(pl.String).gather(log["user"]),
        item_id=ids.gather(log["item"]),
        event=pl.lit("like"),
        timestamp=pl.from_epoch("timestamp", "s").dt.replace_time_zone("UTC").cast(TIME),
    )
