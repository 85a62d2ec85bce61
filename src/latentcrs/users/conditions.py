"""What can truthfully be said of each item: its conditions, drawn from every column of the catalogue."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from latentcrs.base.words import word_list
from latentcrs.data.dataset import PreparedDataset
from latentcrs.data.roles import Role, roles_of
from latentcrs.users.draws import UInts, gumbel, mixed
from latentcrs.users.leak import stem, title_names, words_of
from latentcrs.users.nouns import NOUNS
from latentcrs.users.story_words import story_phrases

Operator = Literal["has", "says", "between", "below", "above"]

# How readily people speak of a column, before how much its values tell comes in.
_ROLE_WEIGHT: dict[Role, float] = {
    "genre": 1.0, "year": 0.7, "director": 0.45, "actor": 0.7, "writer": 0.12, "creator": 0.8, "platform": 1.0,
    "kind": 0.4, "publisher": 0.5, "developer": 0.35, "certificate": 0.15, "country": 0.4, "language": 0.4,
    "price": 0.5, "number": 0.2, "story": 1.1, "other": 0.4,
}  # fmt: skip
# Two conditions of one column are rarer than two columns; of a single-valued column two never make sense.
_SECOND_OF_COLUMN = 0.15
_ONE_ONLY: frozenset[Role] = frozenset({"year", "price", "number", "certificate", "language", "platform", "kind"})
_UNTELLING = [value.replace("-", " ") for value in sorted(word_list("latentcrs.users", "values", "untelling"))]
_NO_WISH = 0.95
_STEPS = np.array([1, 1.5, 2, 2.5, 3, 4, 5, 7.5])
_ROUND = np.sort(np.concatenate([_STEPS * 10.0**power for power in range(-3, 10)]))
_NARRATIVE = r"plot|synopsis|overview|storyline|summary"


@dataclass(frozen=True)
class Condition:
    """One thing that can be said of an item, as data: what the words of a request are made from, and checked against.

    `has`: the column is, or lists, `value`. `says`: the column's text has the words `value`. `between`: low <= number
    <= high. `below`: number < high. `above`: number > low.
    """

    column: str
    role: Role
    operator: Operator
    value: str = ""
    low: float = 0.0
    high: float = 0.0
    shown: str = ""  # how the value is written in a sentence: "a board game"
    plural: bool = False

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Whether it is true of an item, given as its row of the catalogue."""
        found = row[self.column]
        if found is None:
            return False
        if self.operator == "has":
            return self.value in found if isinstance(found, list) else self.value == found
        if self.operator == "says":
            # Compared with the punctuation gone, as it was found.
            return f" {' '.join(words_of(self.value))} " in f" {' '.join(words_of(found))} "
        if self.operator == "between":
            return self.low <= found <= self.high
        return found < self.high if self.operator == "below" else found > self.low

    def implies(self, other: Condition) -> bool:
        """Whether a range says all that another range of the column would: the 90s are before 2000."""
        ranges = ("between", "below", "above")
        if self.column != other.column or self.operator not in ranges or other.operator not in ranges:
            return False
        (low, high), (wide_low, wide_high) = self._range, other._range
        return wide_low <= low and high <= wide_high

    @property
    def _range(self) -> tuple[float, float]:
        if self.operator == "between":
            return self.low, self.high
        if self.operator == "below":
            return -np.inf, np.nextafter(self.high, -np.inf)
        return np.nextafter(self.low, np.inf), np.inf


@dataclass
class _Gathered:
    conditions: list[Condition] = field(default_factory=list)
    frames: list[pl.DataFrame] = field(default_factory=list)  # item, condition, weight, telling

    def add(self, conditions: list[Condition], pairs: pl.DataFrame) -> None:
        """Add the conditions of a column and their `pairs`: item, condition (its index in `conditions`),
        weight, and `share` (of the items it is true of) where that is not the number of its pairs.
        """
        # What nearly every item with a value in this column has, tells next to nothing.
        share = pl.col("share") if "share" in pairs.columns else pl.len().over("condition") / pairs["item"].n_unique()
        telling = (1 - share).clip(lower_bound=0.02)
        self.frames.append(
            pairs.with_columns(telling=telling).select(
                pl.col("item").cast(pl.Int64),
                condition=pl.col("condition").cast(pl.Int64) + len(self.conditions),
                weight=pl.col("weight").cast(pl.Float64),
                telling="telling",
            )
        )
        self.conditions += conditions


@dataclass
class ConditionTable:
    """Every true condition of every item, as one flat array: item i has `ids[offsets[i] : offsets[i + 1]]`."""

    conditions: list[Condition]
    offsets: NDArray[np.int64]  # (items + 1,)
    ids: NDArray[np.int64]  # (pairs,) index into conditions
    weights: NDArray[np.float64]  # (pairs,) within its column
    group_weights: NDArray[np.float64]  # (pairs,) of its column for this item
    groups: NDArray[np.int64]  # (conditions,) conditions of one group are about the same thing
    single: NDArray[np.bool_]  # (conditions,) at most one of its group may be said
    story: NDArray[np.bool_]  # (conditions,) words of free text

    def of(self, item: int) -> list[Condition]:
        """All conditions of one item."""
        return [self.conditions[i] for i in self.ids[self.offsets[item] : self.offsets[item + 1]]]

    def draw(self, items: NDArray[np.integer], keys: UInts, most: int, story: bool = True) -> NDArray[np.int64]:
        """Draw conditions for each of B rows, different columns first: (B, most) indices, -1 where there are no more.

        Weighted draws without replacement by the Gumbel-top-k trick (Kool et al., ICML 2019), in two steps: columns
        by their weight for the item, and conditions within a column. `story` False leaves out words of free text.
        """
        starts, lengths = self.offsets[items], self.offsets[np.asarray(items) + 1] - self.offsets[items]
        row = np.repeat(np.arange(len(items)), lengths)
        within = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        pair = np.repeat(starts, lengths) + within
        if not story:
            keep = ~self.story[self.ids[pair]]
            row, pair = row[keep], pair[keep]
        condition = self.ids[pair]
        group = self.groups[condition]
        key = keys[row]
        inner = np.log(self.weights[pair]) + gumbel(mixed(key, 1, condition))
        outer = np.log(self.group_weights[pair]) + gumbel(mixed(key, 2, group))
        order = np.lexsort((-inner, group, row))
        row, condition, group, outer = row[order], condition[order], group[order], outer[order]
        rank = _rank(row * (self.groups.max(initial=0) + 1) + group)
        keep = (rank == 0) | ~self.single[condition]
        row, condition, outer, rank = row[keep], condition[keep], outer[keep], rank[keep]
        order = np.lexsort((rank, -(outer + np.log(_SECOND_OF_COLUMN) * rank), row))
        row, condition = row[order], condition[order]
        rank = _rank(row)
        drawn = np.full((len(items), most), -1, np.int64)
        first = rank < most
        drawn[row[first], rank[first]] = condition[first]
        return drawn


def _rank(runs: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, 2 ... within each run of equal values."""
    if not len(runs):
        return np.zeros(0, np.int64)
    begins = np.flatnonzero(np.concatenate([[True], runs[1:] != runs[:-1]]))
    return np.arange(len(runs)) - np.repeat(begins, np.diff(np.append(begins, len(runs))))


def condition_table(dataset: PreparedDataset, roles: Mapping[str, Role] | None = None) -> ConditionTable:
    """All true conditions of all items of `dataset`, less those that say a word of the item's title.

    `roles` overrides what `data.roles.role_of` guesses. Values that tell nothing ("Misc", "Unknown") are left out,
    and those true of nearly every item are rarely drawn.

    Raises:
        UserError: `roles` names an unknown column or role.
    """
    items = dataset.items.with_row_index("item").with_columns(pl.col("item").cast(pl.Int64))
    known = roles_of(dataset.info.columns, roles)
    gathered = _Gathered()
    for column, role in known.items():
        if role == "story":
            continue
        kind = dataset.info.columns[column]
        if kind in ("category", "multi-category"):
            _add_values(gathered, items, column, role)
        elif kind == "year":
            _add_years(gathered, items, column)
        elif kind == "number":
            _add_numbers(gathered, items, column, role)
    _add_story(gathered, items, [column for column, role in known.items() if role == "story"])
    return _assembled(gathered, dataset)


def _add_values(gathered: _Gathered, items: pl.DataFrame, column: str, role: Role) -> None:
    """Conditions of a category or multi-category column."""
    values = items.select("item", value=column)
    if isinstance(values.schema["value"], pl.List):
        values = values.explode("value")
    lowered = pl.col("value").str.strip_chars().str.to_lowercase()
    values = values.filter(
        pl.col("value").is_not_null()
        & (lowered != "")
        & ~lowered.is_in(_UNTELLING)
        & (pl.col("value").str.len_chars() <= 60)
    ).unique()
    if role == "kind":  # a kind that is a noun is said by calling the item so
        values = values.filter(~lowered.is_in(list(NOUNS)))
    counts = values.group_by("value").agg(df=pl.len()).sort("value").with_row_index("condition")
    # People and makers: the known ones come to mind; sorts of item: each as likely as another, less the ubiquitous.
    weight = (1 - pl.col("df") / len(items)).clip(lower_bound=0.02)
    if role not in ("genre", "certificate", "kind", "other"):
        weight = pl.col("df").clip(upper_bound=50).sqrt()
    conditions = [Condition(column, role, "has", value, shown=value.strip()) for value in counts["value"]]
    gathered.add(conditions, values.join(counts, on="value").select("item", "condition", weight=weight))


def _add_ranges(gathered: _Gathered, frames: list[pl.DataFrame], column: str, role: Role, numbers: pl.Series) -> None:
    """Conditions from frames of (item, operator, low, high, weight); `numbers` are all the column has."""
    values = np.sort(numbers.to_numpy())
    pairs = pl.concat(frames)
    kinds = pairs.select("operator", "low", "high").unique().sort("operator", "low", "high")
    # Not every item that it is true of has it among its pairs: "before 1980" is offered to the seventies only.
    low, high = (np.searchsorted(values, kinds[bound]) for bound in ("low", "high"))
    above, upto = (np.searchsorted(values, kinds[bound], side="right") for bound in ("low", "high"))
    true = {"below": high, "above": len(values) - above, "between": upto - low}
    share = np.select([kinds["operator"].to_numpy() == name for name in true], list(true.values())) / max(
        len(values), 1
    )
    # "Before 2020", where everything is, is no wish.
    kinds = kinds.with_columns(share=share).filter(pl.col("share") <= _NO_WISH).with_row_index("condition")
    conditions = [
        Condition(column, role, operator, low=low, high=high)
        for operator, low, high in kinds.select("operator", "low", "high").iter_rows()
    ]
    gathered.add(conditions, pairs.join(kinds, on=["operator", "low", "high"]))


def _add_years(gathered: _Gathered, items: pl.DataFrame, column: str) -> None:
    """Conditions of a year column: the year, its decade, the early, middle or late part of it, before, after."""
    year = pl.col("year")
    years = items.select("item", year=pl.col(column).cast(pl.Int64)).drop_nulls().filter(year.is_between(1000, 2999))
    decade = year // 10 * 10
    part = pl.when(year % 10 <= 3).then(decade).when(year % 10 <= 6).then(decade + 4).otherwise(decade + 7)
    ends = pl.when(year % 10 <= 3).then(decade + 3).when(year % 10 <= 6).then(decade + 6).otherwise(decade + 9)
    said: list[tuple[Operator, pl.Expr, pl.Expr, float]] = [
        ("between", year, year, 0.28),
        ("between", decade, decade + 9, 0.36),
        ("between", part, ends, 0.2),
        ("below", pl.lit(0), decade + 10, 0.08),
        ("above", decade - 1, pl.lit(0), 0.08),
    ]
    frames = [
        years.select(
            "item",
            operator=pl.lit(operator),
            low=low.cast(pl.Float64),
            high=high.cast(pl.Float64),
            weight=pl.lit(weight),
        )
        for operator, low, high, weight in said
    ]
    _add_ranges(gathered, frames, column, "year", years["year"])


def _add_numbers(gathered: _Gathered, items: pl.DataFrame, column: str, role: Role) -> None:
    """Conditions of a number column: below the next round numbers; above one too, if it is not a price."""
    numbers = items.select("item", number=pl.col(column).cast(pl.Float64)).drop_nulls().filter(pl.col("number") > 0)
    value = numbers["number"].to_numpy()
    above = np.searchsorted(_ROUND, value, side="right")
    sides: list[tuple[Operator, int, float]] = [("below", 0, 0.5), ("below", 1, 0.3)]
    if role != "price":
        sides.append(("above", -2, 0.2))
    frames = []
    for operator, shift, weight in sides:
        bound = _ROUND[np.clip(above + shift, 0, len(_ROUND) - 1)]
        true = bound > value if operator == "below" else bound < value
        frames.append(
            numbers.select(
                "item",
                operator=pl.lit(operator),
                low=pl.Series(bound if operator == "above" else np.zeros(len(bound))),
                high=pl.Series(bound if operator == "below" else np.zeros(len(bound))),
                weight=pl.lit(weight),
            ).filter(pl.Series(true))
        )
    _add_ranges(gathered, frames, column, role, numbers["number"])


def _add_story(gathered: _Gathered, items: pl.DataFrame, columns: list[str]) -> None:
    """Conditions of the free-text columns. A plot is drawn on before a description, which speaks about the item more
    than about what happens in it; a description where there is no plot.
    """
    ordered = sorted(columns, key=lambda name: not re.search(_NARRATIVE, name.lower()))
    done = pl.Series("item", [], pl.Int64)
    for column in ordered:
        texts = items.select("item", story=column).filter(
            pl.col("story").is_not_null() & (pl.col("story").str.len_chars() > 20)
        )
        if not len(texts):
            continue
        phrases = story_phrases(texts, len(items)).filter(~pl.col("item").is_in(done.implode()))
        done = pl.concat([done, texts["item"]]).unique()
        kinds = (
            phrases.select("phrase", "shown", "plural").unique("phrase").sort("phrase").with_row_index("condition")
        )
        conditions = [
            Condition(column, "story", "says", phrase, shown=shown, plural=plural)
            for phrase, shown, plural in kinds.select("phrase", "shown", "plural").iter_rows()
        ]
        # Two words paint more than one.
        weight = pl.when(pl.col("phrase").str.contains(" ")).then(2.0).otherwise(1.0)
        gathered.add(
            conditions,
            phrases.join(kinds.select("phrase", "condition"), on="phrase").select("item", "condition", weight=weight),
        )


def _assembled(gathered: _Gathered, dataset: PreparedDataset) -> ConditionTable:
    """One table of all conditions, in order of item, less those that touch the item's title."""
    conditions = gathered.conditions
    count = len(dataset.items)
    names = {"item": pl.Int64, "condition": pl.Int64, "weight": pl.Float64, "telling": pl.Float64}
    pairs = pl.concat(gathered.frames) if gathered.frames else pl.DataFrame(schema=names)
    pairs = pairs.join(_title_touching(conditions, pairs, dataset), on=["item", "condition"], how="anti")
    group_names = ["story" if c.role == "story" else c.column for c in conditions]
    index = {name: i for i, name in enumerate(dict.fromkeys(group_names))}
    groups = np.array([index[name] for name in group_names], np.int64)
    role_weight = np.array([_ROLE_WEIGHT[c.role] for c in conditions])
    pairs = pairs.with_columns(
        group=pl.Series(groups[pairs["condition"].to_numpy()]),
        role_weight=pl.Series(role_weight[pairs["condition"].to_numpy()]),
    ).sort("item", "condition")
    # A column is worth saying as far as the best thing it says of this item tells anything.
    group_weight = pl.col("role_weight") * pl.col("telling").max().over("item", "group")
    counts = np.bincount(pairs["item"].to_numpy(), minlength=count)
    return ConditionTable(
        conditions=conditions,
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        ids=pairs["condition"].to_numpy(),
        weights=(pairs["weight"] * pairs["telling"]).to_numpy(),
        group_weights=pairs.select(group_weight)["role_weight"].to_numpy(),
        groups=groups,
        single=np.array([c.role in _ONE_ONLY for c in conditions], bool),
        story=np.array([c.role == "story" for c in conditions], bool),
    )


def _title_touching(conditions: list[Condition], pairs: pl.DataFrame, dataset: PreparedDataset) -> pl.DataFrame:
    """The pairs (item, condition) whose words share a telling word with the item's title: never to be said."""
    said = [(i, stem(word)) for i, c in enumerate(conditions) for word in words_of(c.value)]
    titles = dataset.items["title"].to_list()
    told = [(i, word) for i, title in enumerate(titles) if title for word in title_names(title).telling]
    schema = {"word": pl.String}
    words = pl.DataFrame(said, schema={"condition": pl.Int64, **schema}, orient="row")
    names = pl.DataFrame(told, schema={"item": pl.Int64, **schema}, orient="row")
    # Only words that some title has matter: the join stays small.
    words = words.join(names.select("word").unique(), on="word", how="semi")
    touching = (
        pairs.select("item", "condition").join(words, on="condition").join(names, on=["item", "word"], how="semi")
    )
    return touching.select("item", "condition").unique()
