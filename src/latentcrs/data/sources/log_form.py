"""How the rows of a log of your own are written, and reads them so."""

from dataclasses import dataclass, field

import polars as pl

from latentcrs.data.events import Events
from latentcrs.data.ids import key
from latentcrs.data.raw import raw_interactions
from latentcrs.data.scales import RatingForm, read_ratings
from latentcrs.data.tables import LINE, PROBLEM
from latentcrs.data.times import TimeForm, read_times


@dataclass(frozen=True)
class LogForm:
    """How rows of the log are read: which column plays which role, and how it is written."""

    columns: dict[str, pl.Expr]  # role -> how its column is read
    kinds: dict[str, pl.DataType]  # role -> its type
    rating: RatingForm = field(default_factory=RatingForm)
    time: TimeForm = field(default_factory=TimeForm)
    events: Events | None = None
    same: tuple[str, ...] = ()

    def read(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Rows of the log (with `LINE` and `PROBLEM`) in the raw schema, row by row."""
        user, item = (identifier(self.columns[role], self.kinds[role]) for role in ("user", "item"))
        item = key(item, self.same)
        read: dict[str, pl.Expr] = {"user_id": user, "item_id": item}
        problems = [
            pl.col(PROBLEM),
            pl.when(user.is_null()).then(pl.lit("no user")),
            pl.when(item.is_null()).then(pl.lit("no item")),
        ]
        if "event" in self.columns and self.events is not None:
            codes = {kind: code for code, kind in enumerate(self.events.kinds)}
            read["event"] = kind_of_event(self.columns["event"]).replace_strict(
                codes, default=None, return_dtype=pl.Int64
            )
        if "rating" in self.columns:
            read["rating"] = self._rating()
            problems.append(unreadable("rating", self.columns["rating"], self.kinds["rating"], read["rating"]))
        elif self.events is not None:
            weights = dict(enumerate(self.events.weights))
            read["rating"] = read["event"].replace_strict(weights, default=None, return_dtype=pl.Float64)
        if "position" in self.columns:
            read["order"] = self.columns["position"].cast(pl.Float64, strict=False).fill_nan(None)
            problems.append(unreadable("position", self.columns["position"], self.kinds["position"], read["order"]))
        if "timestamp" in self.columns:
            given, form = self.columns["timestamp"], self.time

            def times(values: pl.Series) -> pl.Series:
                seconds, exact = read_times(values, form)
                return pl.DataFrame({"seconds": seconds, "exact": exact}).to_struct(values.name)

            both = pl.Struct({"seconds": pl.Int64, "exact": pl.Int64})
            rows = rows.with_columns(given.map_batches(times, both, is_elementwise=True).alias("__time__"))
            read["timestamp"] = pl.col("__time__").struct.field("seconds")
            # Within one second the finer unit decides, unless the log says the order itself.
            read.setdefault("order", pl.col("__time__").struct.field("exact"))
            problems.append(unreadable("timestamp", given, self.kinds["timestamp"], read["timestamp"]))
        if "order" in read:
            read["order"] = read["order"].cast(pl.Int64, strict=False)
        return raw_interactions(rows.select(**read, line=pl.col(LINE), problem=pl.coalesce(problems)))

    def _rating(self) -> pl.Expr:
        given, form = self.columns["rating"], self.rating
        if form.plain:
            number = given.cast(pl.Float64, strict=False)
            return pl.when(number.is_finite()).then(number)
        return given.map_batches(lambda values: read_ratings(values, form), pl.Float64, is_elementwise=True)


def unreadable(role: str, given: pl.Expr, kind: pl.DataType, value: pl.Expr) -> pl.Expr:
    """Names the problem where something is `given` and no `value` could be read from it; null elsewhere."""
    filled = given.is_not_null()
    if kind == pl.String:
        filled = filled & (given.str.strip_chars() != "")
    return pl.when(filled & value.is_null()).then(pl.lit(f"unreadable {role}"))


def identifier(column: pl.Expr, kind: pl.DataType) -> pl.Expr:
    """An id as a string without white space around it; null where nothing is left. 17.0, a number, is 17."""
    if kind.is_float():
        # Not through Int64 where that would change it.
        whole = column.cast(pl.Int64, strict=False)
        column = (
            pl.when(column.is_finite() & (whole.cast(pl.Float64) == column))
            .then(whole.cast(pl.String))
            .when(column.is_finite())
            .then(column.cast(pl.String))
        )
    text = column.cast(pl.String).str.strip_chars()
    return pl.when(text != "").then(text)


def kind_of_event(given: pl.Expr) -> pl.Expr:
    """The kind of an event as text; null where none is given."""
    text = given.cast(pl.String).str.strip_chars()
    return pl.when(text != "").then(text)
