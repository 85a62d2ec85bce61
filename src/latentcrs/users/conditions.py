"""What can truthfully be said of each item: its conditions, drawn from every column of the catalogue."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from latentcrs.base.draws import UInts, gumbel, mixed
from latentcrs.base.words import word_list
from latentcrs.data.dataset import PreparedDataset
from latentcrs.data.nouns import NOUNS
from latentcrs.data.roles import Role, roles_of
from latentcrs.hear.language import stem
from latentcrs.users.leak import telling_words, words_of

Operator = Literal["has", "says", "between", "below", "above"]
Range = tuple[Operator, float, float, float]  # operator, low, high, weight

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
_ROUND = [step * 10.0**power for power in range(-3, 10) for step in (1, 1.5, 2, 2.5, 3, 4, 5, 7.5)]
NARRATIVE = re.compile(r"plot|synopsis|overview|storyline|summary", re.IGNORECASE)
"""Names of columns that tell what happens; another text speaks about the item."""
# "A board game" before what cannot go on with it: not "a board game player".
_PHRASE = re.compile(
    r"\b([Aa]n?|[Hh]is|[Hh]er|[Tt]heir) ((?:(?!\w+ly )[a-z]{3,}[ -])?[a-z]{3,}(?<!ing)(?<!ed)(?<![^sui]s))"
    r"(?=[.,;:!?)]| (?:who|whose|that|which|is|was|in|at|on|from|to|of|with|called|when|where|while|during|until"
    r"|after|before|and (?:an?|the|his|her|their))\b)"
)
_EMPTY = word_list("latentcrs.users", "story", "empty")


@dataclass(frozen=True)
class Condition:
    """One thing that can be said of an item, as data: what the words of a request are made from, and checked against.

    `has`: the column is, or lists, `value`. `says`: the column's text has the words `value`. `between`: low <= number
    <= high. `below`: number < high. `above`: number > low. shown: how the value is written in a sentence.
    """

    column: str
    role: Role
    operator: Operator
    value: str = ""
    low: float = 0.0
    high: float = 0.0
    shown: str = ""

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Whether it is true of an item, given as its row of the catalogue."""
        found = row[self.column]
        if found is None:
            return False
        if self.operator == "has":
            return self.value in found if isinstance(found, list) else self.value == found
        if self.operator == "says":
            return f" {' '.join(words_of(self.value))} " in f" {' '.join(words_of(found))} "
        return bool(self.covers(np.array(found)))

    def covers(self, numbers: NDArray[Any]) -> NDArray[np.bool_]:
        """Of which `numbers` a range is true."""
        if self.operator == "between":
            return (self.low <= numbers) & (numbers <= self.high)
        return numbers < self.high if self.operator == "below" else numbers > self.low


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

    def of(self, item: int) -> list[int]:
        """The numbers of all conditions of one item."""
        found: list[int] = self.ids[self.offsets[item] : self.offsets[item + 1]].tolist()
        return found

    def draw(self, items: NDArray[np.integer], keys: UInts, most: int, story: bool = True) -> NDArray[np.int64]:
        """Draw conditions for each of B rows, different columns first: (B, most) indices, -1 where there are no more.

        Weighted draws without replacement by the Gumbel-top-k trick (Kool et al., ICML 2019), in two steps: columns
        by their weight for the item, and conditions within a column. `story` False leaves out words of free text.
        """
        starts, lengths = self.offsets[items], self.offsets[np.asarray(items) + 1] - self.offsets[items]
        row = np.repeat(np.arange(len(items)), lengths)
        pair = np.repeat(starts, lengths) + np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        if not story:
            keep = ~self.story[self.ids[pair]]
            row, pair = row[keep], pair[keep]
        condition = self.ids[pair]
        group, key = self.groups[condition], keys[row]
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
    begins = np.flatnonzero(np.concatenate([[True], runs[1:] != runs[:-1]])) if len(runs) else np.zeros(0, np.int64)
    return np.arange(len(runs)) - np.repeat(begins, np.diff(np.append(begins, len(runs))))


def condition_table(dataset: PreparedDataset) -> ConditionTable:
    """All true conditions of all items of `dataset`, less those that say a word of the item's title.

    Values that tell nothing ("Misc", "Unknown") are left out, and those true of nearly every item are rarely drawn.
    """
    items = dataset.items.with_row_index("item").with_columns(pl.col("item").cast(pl.Int64))
    known = roles_of(dataset.info.columns)
    conditions: list[Condition] = []
    frames = [
        pl.DataFrame(schema={"item": pl.Int64, "condition": pl.Int64, "weight": pl.Float64, "share": pl.Float64})
    ]

    def add(found: list[Condition], pairs: pl.DataFrame) -> None:
        """`pairs`: item, condition (its place in `found`), weight, share of the column's items that it is true of."""
        casts = [pl.col(name).cast(kind) for name, kind in frames[0].schema.items()]
        frames.append(pairs.select(casts).with_columns(pl.col("condition") + len(conditions)))
        conditions.extend(found)

    for column, role in known.items():
        kind, values = dataset.info.columns[column], items.select("item", value=column).drop_nulls()
        if kind in ("category", "multi-category"):
            add(*_values(values, column, role, len(items)))
        elif kind in ("year", "number"):
            add(*_ranges(values.with_columns(pl.col("value").cast(pl.Float64)), column, role))
    told = pl.Series([], dtype=pl.Int64)
    # A plot is drawn on before a description; a description where there is no plot.
    for column in sorted(known, key=lambda name: not NARRATIVE.search(name)):
        if known[column] == "story":
            texts = items.select("item", value=column).drop_nulls().filter(~pl.col("item").is_in(told.implode()))
            told = pl.concat([told, texts["item"]])
            add(*_phrases(texts, column, len(items)))
    return _assembled(conditions, pl.concat(frames), dataset.items["title"].to_list())


def _values(values: pl.DataFrame, column: str, role: Role, items: int) -> tuple[list[Condition], pl.DataFrame]:
    """Conditions of a category or multi-category column."""
    values = values.explode("value") if isinstance(values.schema["value"], pl.List) else values
    lowered = pl.col("value").str.strip_chars().str.to_lowercase()
    # A kind that is a noun is said by calling the item so.
    silent = [*_UNTELLING, "", *(NOUNS if role == "kind" else ())]
    values = values.filter(~lowered.is_in(silent) & (pl.col("value").str.len_chars() <= 60)).unique()
    counts = values.group_by("value").agg(df=pl.len()).sort("value").with_row_index("condition")
    # People and makers: the known ones come to mind; sorts of item: each as likely as another, less the ubiquitous.
    weight = (1 - pl.col("df") / items).clip(lower_bound=0.02)
    if role not in ("genre", "certificate", "kind", "other"):
        weight = pl.col("df").clip(upper_bound=50).sqrt()
    conditions = [Condition(column, role, "has", value, shown=value.strip()) for value in counts["value"]]
    share = pl.col("df") / max(values["item"].n_unique(), 1)
    return conditions, values.join(counts, on="value").with_columns(weight=weight, share=share)


def _ranges(values: pl.DataFrame, column: str, role: Role) -> tuple[list[Condition], pl.DataFrame]:
    """Conditions of a column of years or numbers."""
    numbers, known, rows = values["value"].to_numpy(), dict[Condition, int](), []
    for value in np.unique(numbers).tolist():
        for operator, low, high, weight in _years(value) if role == "year" else _bounds(value, role):
            condition = Condition(column, role, operator, low=low, high=high)
            rows.append((value, known.setdefault(condition, len(known)), weight))
    share = [float(condition.covers(numbers).mean()) for condition in known]
    schema = {"value": pl.Float64, "condition": pl.Int64, "weight": pl.Float64}
    pairs = pl.DataFrame(rows, schema, orient="row").with_columns(
        share=pl.col("condition").replace_strict(dict(enumerate(share)), return_dtype=pl.Float64)
    )
    # "Before 2020", where everything is, is no wish.
    return list(known), values.join(pairs.filter(pl.col("share") <= _NO_WISH), on="value")


def _years(year: float) -> list[Range]:
    """The year, its decade, the early, middle or late part of it, before, after."""
    decade, place = year // 10 * 10, year % 10
    first, last = (0, 3) if place <= 3 else (4, 6) if place <= 6 else (7, 9)
    whole: Range = ("between", decade, decade + 9, 0.36)
    part: Range = ("between", decade + first, decade + last, 0.2)
    sides: list[Range] = [("below", 0, decade + 10, 0.08), ("above", decade - 1, 0, 0.08)]
    return [("between", year, year, 0.28), whole, part, *sides] if 1000 <= year < 3000 else []


def _bounds(number: float, role: Role) -> list[Range]:
    """Below the next round numbers; above one too, if it is not a price."""
    at = int(np.searchsorted(_ROUND, number, side="right"))
    if number <= 0 or not 2 <= at < len(_ROUND) - 1:
        return []
    found: list[Range] = [("below", 0, _ROUND[at], 0.5), ("below", 0, _ROUND[at + 1], 0.3)]
    return found if role == "price" else [*found, ("above", _ROUND[at - 2], 0, 0.2)]


def _phrases(texts: pl.DataFrame, column: str, items: int) -> tuple[list[Condition], pl.DataFrame]:
    """Conditions of a free-text column: things that few of the texts have, two words before one."""
    found = {
        (item, determiner.lower(), phrase)
        for item, text in texts.iter_rows()
        for determiner, phrase in _PHRASE.findall(re.sub(r'["“][^"”]{0,200}["”]', " . ", text))
        if _EMPTY.isdisjoint(re.split(r"[ -]", phrase))
    }
    countable = {
        phrase for _, determiner, phrase in found if determiner in ("a", "an")
    }  # "his wife", not "his courage"
    said = {(item, phrase) for item, _, phrase in found if phrase in countable}
    counts, least, most = Counter(phrase for _, phrase in said), 1 if items < 300 else 2, max(3, items // 40)
    kept = {phrase: n for n, phrase in enumerate(sorted(p for p, df in counts.items() if least <= df <= most))}
    shown = [f"{'an' if phrase[0] in 'aeio' else 'a'} {phrase}" for phrase in kept]
    conditions = [Condition(column, "story", "says", p, shown=s) for p, s in zip(kept, shown, strict=True)]
    rows = sorted((item, phrase) for item, phrase in said if phrase in kept)
    pairs = [(item, kept[p], 2.0 if " " in p else 1.0, counts[p] / len(texts)) for item, p in rows]
    schema = {"item": pl.Int64, "condition": pl.Int64, "weight": pl.Float64, "share": pl.Float64}
    return conditions, pl.DataFrame(pairs, schema, orient="row")


def _assembled(conditions: list[Condition], pairs: pl.DataFrame, titles: list[str | None]) -> ConditionTable:
    """One table of all conditions, in order of item, less those that touch the item's title."""
    by = {"condition": pl.Int64, "item": pl.Int64, "word": pl.String}
    words = [(number, None, stem(word)) for number, c in enumerate(conditions) for word in words_of(c.value)]
    told = [(None, item, word) for item, title in enumerate(titles) for word in telling_words(title or "")]
    said, names = (pl.DataFrame(rows, by, orient="row") for rows in (words, told))
    said = said.drop("item").join(names.select("word").unique(), on="word", how="semi")
    touching = pairs.join(said, on="condition").join(names, on=["item", "word"], how="semi")
    columns = ["story" if c.role == "story" else c.column for c in conditions]
    index = {name: number for number, name in enumerate(dict.fromkeys(columns))}
    groups = np.array([index[name] for name in columns], np.int64)
    role_weights = np.array([_ROLE_WEIGHT[c.role] for c in conditions])
    pairs = pairs.join(touching, on=["item", "condition"], how="anti").sort("item", "condition")
    ids = pairs["condition"].to_numpy()
    # What nearly every item with a value in this column has, tells next to nothing; a column is worth saying as far
    # as the best thing it says of this item tells anything.
    telling = (1 - pl.col("share")).clip(lower_bound=0.02)
    pairs = pairs.with_columns(group=pl.Series(groups[ids]), telling=telling)
    best = pairs.select(pl.col("telling").max().over("item", "group")).to_series().to_numpy()
    counts = np.bincount(pairs["item"].to_numpy(), minlength=len(titles))
    return ConditionTable(
        conditions=conditions,
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        ids=ids,
        weights=(pairs["weight"] * pairs["telling"]).to_numpy(),
        group_weights=role_weights[ids] * best,
        groups=groups,
        single=np.array([c.role in _ONE_ONLY for c in conditions], bool),
        story=np.array([c.role == "story" for c in conditions], bool),
    )
