"""Which rows of a log make a data set, step by step: what `prepare` writes is what `check` reports."""

from pathlib import Path

import narwhals as nw
import polars as pl

from latentcrs.base.errors import UserError, first_line
from latentcrs.base.progress import step
from latentcrs.data.catalogue import Catalogue, build_catalogue, rows_with_ids
from latentcrs.data.core import k_core
from latentcrs.data.dropped import (
    BELOW_THRESHOLD,
    DROPPED_SCHEMA,
    DUPLICATE,
    ITEM_UNTITLED,
    NO_RATING,
    OUTSIDE_CORE,
    UNKNOWN_ITEM,
    WITHOUT_INTERACTIONS,
    DroppedRows,
)
from latentcrs.data.engine import Engine, number_of_rows, streaming, user_ranges
from latentcrs.data.events import NOT_COUNTED, TAKEN_AWAY, TAKES_AWAY, take_away
from latentcrs.data.ids import key, remedy, words
from latentcrs.data.ordering import ORDER, encode, mark_first, mark_weighted, name_duplicates
from latentcrs.data.raw import RAW_INTERACTIONS_SCHEMA, RawData
from latentcrs.data.scales import threshold_of

SHORTEST = 3
"""A history needs one item to learn from, one to validate on and one to test on."""
TOO_SHORT = f"history of fewer than {SHORTEST}"
UNJUDGED = (BELOW_THRESHOLD, NOT_COUNTED)
"""Reasons that are no mistakes of the row: counted, not listed."""
MANY_TIES = 0.1
"""The share of rows with the time of another row of the same user from which it is said."""
LOOKED_AT = 500_000
"""Rows whose order is looked at."""


class Selection:
    """The rows of `raw` that make a data set. The steps are `judge`, `number`, `mark` and `take_core`, in this order.

    items: the catalogue's rows with a distinct id. without_id: those dropped (line, item_id, reason).
    least: the lowest rating that counts; None where there are none, or every row counts.
    notes: what was found out, in sentences.
    """

    def __init__(
        self,
        raw: RawData,
        engine: Engine,
        dropped: DroppedRows,
        threshold: float | None = None,
        user_core: int | None = None,
        item_core: int | None = None,
    ) -> None:
        self.raw, self.engine, self.dropped = raw, engine, dropped
        self.user_core = raw.user_core if user_core is None else user_core
        self.item_core = raw.item_core if item_core is None else item_core
        self.least = raw.threshold if threshold is None else threshold
        self.notes: list[str] = []
        self.in_core = 0
        self.items, without_id = rows_with_ids(raw)
        self.without_id = without_id
        self.dropped.keep(without_id.with_columns(pl.lit(file_name(raw, "items")).alias("file")))

    @property
    def log_file(self) -> str:
        """The bare name of the log."""
        return file_name(self.raw, "interactions")

    def judge(self) -> None:
        """Read the log, and count and name the rows that cannot be used.

        It is read once, and kept as "judged": a reader may be slow (text, JSON, gzip), and rows are needed twice.
        """
        raw, engine = self.raw, self.engine
        known = pl.DataFrame({"known": self.items["item_id"]})
        known = known.with_columns(item_id=key(pl.col("known"), raw.same_ids))
        with step("Reading the log"):
            try:
                log = engine.keep(judged(engine.log(raw), engine.table(known), raw), "judged")
            except engine.failures as error:
                file = raw.files.get("interactions", raw.source)
                raise UserError(
                    f"{file} cannot be read to its end ({first_line(error)}); see 'latentcrs data check'."
                ) from None
            log = self._rated(log)
            counts = engine.collect(log.group_by("reason").agg(nw.len().alias("rows")))
            self.rows = int(counts["rows"].sum())
            found = {why: n for why, n in counts.sort("reason", nulls_last=True).iter_rows() if why is not None}
            for why, number in found.items():
                self.dropped.count(why, number)
            self.readable = self.rows - sum(number for why, number in found.items() if why not in UNJUDGED)
            if any(why not in UNJUDGED for why in found):
                faulty = log.filter(~nw.col("reason").is_null(), ~nw.col("reason").is_in(list(UNJUDGED)))
                faulty = faulty.with_columns(nw.lit(self.log_file).alias("file"))
                engine.save(faulty.select(*DROPPED_SCHEMA), self.dropped.next_part())
            self.advice = self._about_ids(log) if UNKNOWN_ITEM in found else ""
            if self.advice and found[UNKNOWN_ITEM] < self.rows:
                self.notes.append(f"{self.log_file}: {self.advice}")
        self._log = log.filter(nw.col("reason").is_null())

    def _rated(self, log: nw.LazyFrame) -> nw.LazyFrame:
        """`log` with low ratings among the reasons; where no threshold is known, it follows the ratings' scale."""
        if not self.raw.has_ratings:
            self.least = None
            return log
        if self.least is None:
            good = log.filter(nw.col("reason").is_null() | (nw.col("reason") == NO_RATING))
            rated = good.group_by("rating").agg(nw.len().cast(nw.Int64).alias("rows"))
            counts = self.engine.collect(rated)
            self.least, told = threshold_of(counts)
            if len(counts):
                self.notes.append(f"{self.log_file}: {told}")
        if self.least is None:
            forgiven = nw.when(nw.col("reason") != NO_RATING).then(nw.col("reason"))
            return log.with_columns(forgiven.alias("reason"))
        low = nw.when(nw.col("reason").is_null() & (nw.col("rating") < self.least) & ~self._takers())
        return log.with_columns(nw.coalesce(nw.col("reason"), low.then(nw.lit(BELOW_THRESHOLD))).alias("reason"))

    def _takers(self) -> nw.Expr:
        """Whether a row is an event that takes others away: its rating says nothing."""
        if self.raw.events is None or not self.raw.events.undoes:
            return nw.lit(False)
        return nw.col("event").is_in(list(self.raw.events.undoes)).fill_null(False)

    def _about_ids(self, log: nw.LazyFrame) -> str:
        """What would make the ids of the log match that are not in the catalogue, with an example."""
        strange = log.filter(nw.col("reason") == UNKNOWN_ITEM).group_by("item_id").agg(nw.len().alias("rows"))
        unknown = self.engine.collect(strange).sort("item_id")["item_id"].head(LOOKED_AT)
        known = self.items["item_id"]
        same, found = remedy(unknown, known)
        told = f"{len(unknown):,} item ids are not in {file_name(self.raw, 'items')}"
        if found < 0.5:
            return f"{told} (such as {unknown[0]!r}; the catalogue has {known[0]!r})"
        many = "all" if found == 1 else f"{found:.0%} of them"
        names = ", ".join(f'"{name}"' for name in same)
        return (
            f"{told} (such as {unknown[0]!r}; the catalogue has {known[0]!r}); {many} would be {words(same)}: "
            f"--same-ids {','.join(same)}, or [ids] same = [{names}] in a mapping"
        )

    def number(self) -> None:
        """Give the users and items of usable rows dense ids, and take away what later events undo.

        Raises:
            UserError: no row is usable.
        """
        with step("Numbering users and items"):
            self.encoded = encode(self._log, self.items["item_id"], self.engine, "encoded")
            self.engine.forget("judged")
        if self.encoded.rows == 0:
            raise UserError(self.nothing_left())
        self.log, self.kept_rows = self.encoded.log, self.encoded.rows
        events = self.raw.events
        if events is not None and events.undoes:
            with step("Taking away what later events undo", total=self.encoded.rows) as bar:
                marked = self.engine.keep_by_user(
                    self.encoded.log, self.encoded.rows_of_users, take_away(events), "events", bar.advance
                )
            for why, number in self.engine.collect(marked.group_by("why").agg(nw.len().alias("n"))).iter_rows():
                if why is not None:
                    self.dropped.count(why, number)
                    self.kept_rows -= number
            self.log = marked.filter(nw.col("why").is_null()).drop("why")
            if self.kept_rows == 0:
                raise UserError(self.nothing_left())

    def mark(self) -> None:
        """Find the rows that repeat a user and item; they are named unless they are to be kept."""
        encoded, engine, raw = self.encoded, self.engine, self.raw
        plan = mark_weighted if raw.events is not None and not raw.has_ratings and not raw.repeats else mark_first
        with step("Finding repeated rows", total=encoded.rows) as bar:
            self.marked = engine.keep_by_user(self.log, encoded.rows_of_users, plan, "marked", bar.advance)
            engine.forget("encoded")
        self.repeated = number_of_rows(self.marked.filter(~nw.col("first")))
        self._look_at_order()
        if self.repeated and raw.repeats:
            self.notes.append(f"{self.log_file}: {self.repeated:,} rows repeat a user and item, and are kept")
        elif self.repeated:
            self.dropped.count(DUPLICATE, self.repeated)
            with step("Naming repeated rows", total=encoded.rows) as bar:
                named = name_duplicates(encoded, self.log_file)
                engine.save_by_user(self.marked, encoded.rows_of_users, named, self.dropped.next_part(), bar.advance)
            if self.repeated > MANY_TIES * self.kept_rows:
                again = self.repeated / self.kept_rows
                self.notes.append(
                    f"{self.log_file}: {again:.0%} of the rows repeat a user and item; where people take the same "
                    "again (groceries), keep them: [interactions] repeats = true in a mapping"
                )

    def _look_at_order(self) -> None:
        """Say where times tell little about the order: shared by rows of a user, and the file sorted by item."""
        first, last = next(iter(user_ranges(self.encoded.rows_of_users)))
        while last > first + 1 and self.encoded.rows_of_users[first:last].sum() > LOOKED_AT:
            last = (first + last) // 2
        part = self.marked.filter(nw.col("user") >= first, nw.col("user") < last)
        rows = part.collect(**streaming(part)).to_polars().sort("user", *ORDER)
        if len(rows) < 2:
            return
        tied = rows.select("user", "timestamp", "order").is_duplicated() & (
            rows["timestamp"].is_not_null() | rows["order"].is_not_null()
        )
        share = float(tied.mean() or 0.0)  # type: ignore[arg-type]
        untimed = rows["timestamp"].is_null().all() and rows["order"].is_null().all()
        if share > MANY_TIES:
            self.notes.append(
                f"{self.log_file}: {share:.0%} of the rows have the same time as another row of their user; "
                "among those, the order of the file is taken"
            )
        if share > MANY_TIES or untimed:
            ids = self.items.select("item_id", pl.col("item_id").cast(pl.Int64, strict=False).alias("n"))
            rank = (ids["item_id"] if ids["n"].null_count() else ids["n"]).rank("dense").cast(pl.Int64)
            loose = rows if untimed else rows.filter(tied)
            steps = (
                loose.with_columns(rank=rank.gather(loose["item"]))
                .select(
                    (pl.col("rank").diff().over(["user"] if untimed else ["user", "timestamp"]) >= 0).alias("up")
                )["up"]
                .drop_nulls()
            )
            if len(steps) >= 10 and float(steps.mean() or 0.0) > 0.95:  # type: ignore[arg-type]
                self.notes.append(
                    f"{self.log_file}: the file is sorted by item, and so this order tells nothing of what came first"
                )

    def take_core(self) -> None:
        """Find the users and items that stay.

        Raises:
            UserError: none do.
        """
        with step("Taking the k-core"):
            rows = self.kept_rows - self.repeated
            self.users, self.kept_items, self.in_core = core_with_counts(
                self.marked.filter(nw.col("first")), rows, self.user_core, self.item_core, self.engine, self.dropped
            )
        if self.in_core == 0:
            raise UserError(
                f"Nothing is left of {rows:,} interactions in the core of {self.user_core} per user "
                f"and {self.item_core} per item; lower --user-core or --item-core."
            )

    def rows_left(self) -> int:
        """How many rows the users and items that stay have, those that repeat others among them."""
        users, items = (
            self.engine.table(self.users.to_frame("user")),
            self.engine.table(self.kept_items.to_frame("item")),
        )
        return number_of_rows(self.marked.join(users, on="user", how="inner").join(items, on="item", how="inner"))

    def catalogue(self) -> Catalogue:
        """The typed catalogue of the items that stay; of all of them where none is known to stay."""
        kept = self.items
        if self.in_core:
            kept = self.items[self.kept_items.cast(pl.Int32).sort()]
            self.dropped.count(WITHOUT_INTERACTIONS, len(self.items) - len(self.kept_items))
        catalogue = build_catalogue(kept, self.without_id, self.raw.kinds, self.raw.decimal)
        file = file_name(self.raw, "items")
        self.notes += [f"{file}: {note}" for note in catalogue.notes]
        self.notes += [f"{file}: column {column} is left out ({why})" for column, why in catalogue.left_out.items()]
        self.dropped.count(ITEM_UNTITLED, catalogue.untitled)
        for column, number in catalogue.unreadable.items():
            self.dropped.count(f"unreadable value in column {column}", number)
        return catalogue

    def nothing_left(self) -> str:
        """Why no row of the log is usable, in one sentence."""
        file, counts = self.raw.files.get("interactions", self.raw.source), self.dropped.counts
        if not counts:
            return f"The log {file} holds no interactions."
        most = max(sorted(counts), key=lambda reason: counts[reason])  # of two as common always the same
        advice = {
            UNKNOWN_ITEM: f"its item ids have to be those of the catalogue: {self.advice}",
            BELOW_THRESHOLD: f"--threshold {self.least or 0:g} is above its ratings; lower it",
            NO_RATING: "its rating column is empty",
            NOT_COUNTED: "say which kinds of events count: [events.weights] in a mapping",
            TAKES_AWAY: "every event takes others away; see [events] in a mapping",
            TAKEN_AWAY: "every event is taken away by a later one",
        }.get(most, "see 'latentcrs data check'")
        return f"No row of {file} is usable: {counts[most]:,} x {most}; {advice}."


def judged(log: nw.LazyFrame, known: nw.LazyFrame, raw: RawData) -> nw.LazyFrame:
    """`log` with `reason`: why a row cannot be used, null for a good one. known: (item_id, known)."""
    reasons = [nw.col("problem"), nw.when(nw.col("known").is_null()).then(nw.lit(UNKNOWN_ITEM))]
    events = raw.events
    if events is not None:
        meant = [*events.counted, *events.undoes]
        counts = nw.col("event").is_in(meant).fill_null(False)
        reasons.append(nw.when(~counts).then(nw.lit(NOT_COUNTED)))
    if raw.has_ratings:
        unrated = nw.col("rating").is_null()
        if events is not None and events.undoes:
            unrated = unrated & ~nw.col("event").is_in(list(events.undoes)).fill_null(False)
        reasons.append(nw.when(unrated).then(nw.lit(NO_RATING)))
    found = log.join(known, on="item_id", how="left").with_columns(nw.coalesce(*reasons).alias("reason"))
    if raw.same_ids:
        found = found.with_columns(nw.coalesce(nw.col("known"), nw.col("item_id")).alias("item_id"))
    return found.select(*RAW_INTERACTIONS_SCHEMA, "reason")


def text_problems(raw: RawData) -> pl.DataFrame:
    """What was wrong with the files as text (line, file, reason), in rows that were lost or only repaired."""
    return pl.DataFrame(
        {
            "line": [problem.line for problem in raw.problems],
            "file": [problem.path.name for problem in raw.problems],
            "reason": [
                f"{problem.kind} (the row is kept)" if problem.kept else problem.kind for problem in raw.problems
            ],
        },
        schema={"line": pl.Int64, "file": pl.String, "reason": pl.String},
    )


def file_name(raw: RawData, role: str) -> str:
    """The bare name of the file of a `role` (interactions, items), or the role where there is no single file."""
    return Path(raw.files[role]).name if role in raw.files else role


def core_with_counts(
    log: nw.LazyFrame, rows: int, user_core: int, item_core: int, engine: Engine, dropped: DroppedRows
) -> tuple[pl.Series, pl.Series, int]:
    """Users and items (old dense ids) that stay and how many interactions they have; the others are counted."""

    def stay(fewest: int) -> tuple[pl.DataFrame, pl.DataFrame, int]:
        users, items = k_core(log, fewest, item_core, engine)
        return users, items, int(users["rows"].sum())

    users, items, left = stay(user_core)
    dropped.count(OUTSIDE_CORE, rows - left)
    if user_core < SHORTEST:
        before = left
        users, items, left = stay(SHORTEST)
        dropped.count(TOO_SHORT, before - left)
    return users["user"], items["item"], left
