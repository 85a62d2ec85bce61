"""Typing of catalogue columns by inspection: category, multi-category, number, year, text or link; clean values."""

import html
from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl
from ftfy import fix_encoding

from latentcrs.base.errors import UserError
from latentcrs.data.dataset import ColumnKind
from latentcrs.data.numerals import MOSTLY, NumberForm, examples, learn_numbers, read_numbers

KINDS: tuple[ColumnKind, ...] = ("category", "multi-category", "number", "year", "text", "link")
MISSING = ("", "n/a", "#n/a", "n.a.", "<na>", "nan", "null", "none", "unknown", "(no genres listed)", "\\n")
"""Strings (in lower case) that stand for an absent value; so do dashes, points and question marks alone."""
NOTHING = r"^[\p{Pd}\u2212.?_~*\s]*$"
YES_NO = {"true": "yes", "false": "no", "yes": "yes", "no": "no", "y": "yes", "n": "no", "t": "yes", "f": "no"}

TAG = r"</?[a-zA-Z][^<>]*>|<!--.*?-->"
YEAR = r"\b(1[5-9]\d\d|20\d\d)\b"
DATE = (
    r"^(\d{4}-\d{1,2}(-\d{1,2})?([T ].*)?|\d{1,2}[./-]\d{1,2}[./-]\d{4}"
    r"|\d{1,2} [A-Za-z]{3,9}\.? \d{4}|[A-Za-z]{3,9}\.? (\d{1,2}, )?\d{4})$"
)
TWICE = r"[ÂÃÄÅÎÏÐÑâã][\u0080-\u00bf\u0152-\u2122]"  # in UTF-8 that was read as Western, hardly in words
LINK = r"^https?://[^\s<>\"'()\[\]\\|`]+$"  # can stand in HTML and Markdown as it is
YEAR_NAME = r"(?i)(^|_|\b)(year|date|released?|published)($|_|\b)"
LONG = 60  # characters on average; longer strings are text even where some repeat


@dataclass
class TypedCatalogue:
    """A catalogue whose attribute columns have their types.

    items: the columns it came with, values cleaned: category and text String, multi-category List(String), number
        Float64, year Int32.
    kinds: attribute column -> kind, in order (item_id and title are not among them).
    left_out: attribute column -> why it is not in `items`.
    unreadable: attribute column -> how many of its values were none of its kind and became null.
    notes: what was made of values other than taking them as they are, a sentence for each.
    """

    items: pl.DataFrame
    kinds: dict[str, ColumnKind] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def type_columns(
    items: pl.DataFrame, kinds: Mapping[str, str] | None = None, decimal: str | None = None
) -> TypedCatalogue:
    """Find the kind of every column but `item_id` and `title`, and convert its values.

    `kinds` overrides the inspection by column name; "skip" leaves a column out. `decimal` is what stands before
    decimals in all numbers, where inspection is not to find out.

    Raises:
        UserError: `kinds` names a column that is not there, or a kind that does not exist.
    """
    kinds = dict(kinds or {})
    refuse_unknown_kinds(kinds, items.columns)
    notes: list[str] = []
    items = items.with_columns(encoded_once(items[name], notes) for name in items.columns if name != "item_id")
    typed = TypedCatalogue(items.select("item_id", clean_strings(items["title"].cast(pl.String))), notes=notes)
    converted: list[pl.Series] = []
    for column in items.columns:
        if column in ("item_id", "title"):
            continue
        values = clean(items[column])
        wanted = kinds.get(column)
        reason = "as the mapping says" if wanted == "skip" else why_left_out(values)
        if reason:
            typed.left_out[column] = reason
            continue
        typed.notes += absent(items[column], values)
        if values.dtype == pl.String and wanted in (None, "category"):
            values = yes_or_no(values, typed.notes)
        # These types say by themselves what they are, however few values there are to look at.
        declared = items[column].dtype in (pl.Boolean, pl.Categorical, pl.Enum)
        form = learn_numbers(values, decimal) if values.dtype == pl.String and wanted in (None, "number") else None
        kind = wanted or ("category" if declared else inspect(values, form))
        if kind in ("number", "year") and form is not None:
            typed.notes += [f"column {column}: {note}" for note in form.notes]
        read = convert(values, kind, form or NumberForm(decimal or "."))  # type: ignore[arg-type]
        lost = values.count() - read.count()
        if lost:
            typed.unreadable[column] = lost
            shown = examples(values.filter(read.is_null() & values.is_not_null()).cast(pl.String).unique().sort())
            typed.notes.append(f"column {column}: {lost:,} values are no {kind} and are left empty ({shown})")
        converted.append(read.alias(column))
        typed.kinds[column] = kind  # type: ignore[assignment]
    typed.items = typed.items.with_columns(converted)
    return typed


def encoded_once(values: pl.Series, notes: list[str]) -> pl.Series:
    """Strings that were encoded twice ("AmÃ©lie") as they were meant; any other column as it is."""
    if values.dtype != pl.String:
        return values
    odd = values.filter(values.str.contains(TWICE).fill_null(False)).unique()
    meant = {value: mended for value in odd.to_list() if (mended := fix_encoding(value)) != value}
    if not meant:
        return values
    count, read = int(values.is_in(list(meant)).sum()), meant[min(meant)]
    notes.append(f"column {values.name}: {count:,} values were encoded twice, and are read as meant ({read!r})")
    return values.replace(list(meant), list(meant.values()))


def absent(raw: pl.Series, values: pl.Series) -> list[str]:
    """What to say of a column where some strings only stand for an absent value: `raw` as given, `values` cleaned."""
    if raw.dtype != pl.String:
        return []
    given = raw.str.strip_chars()
    stand_ins = given.filter(values.is_null() & (given != ""))
    if len(stand_ins) == 0:
        return []
    return [
        f"column {raw.name}: {len(stand_ins):,} of {len(raw):,} values only stand for none "
        f"({examples(stand_ins.unique().sort())})"
    ]


def yes_or_no(values: pl.Series, notes: list[str]) -> pl.Series:
    """A column of true and false in words (both occur) as yes and no; any other as it is."""
    words = values.drop_nulls().str.to_lowercase().unique()
    if len(words) != 2 or not words.is_in(list(YES_NO)).all() or len({YES_NO[word] for word in words}) != 2:
        return values
    shown = " and ".join(sorted(values.drop_nulls().unique().to_list())[:4])
    if shown not in ("no and yes",):
        notes.append(f"column {values.name}: {shown} are read as yes and no")
    return values.str.to_lowercase().replace_strict(YES_NO, default=None, return_dtype=pl.String).alias(values.name)


def refuse_unknown_kinds(kinds: Mapping[str, str], columns: list[str]) -> None:
    """Raise `UserError` for a kind that does not exist or a column that the catalogue does not have."""
    for column, kind in kinds.items():
        if kind not in (*KINDS, "skip"):
            raise UserError(
                f"The kind {kind!r} of column {column!r} does not exist; use one of {', '.join(KINDS)} or skip."
            )
        if column not in columns:
            raise UserError(f"The catalogue has no column {column!r}; it has {', '.join(columns)}.")


def clean(values: pl.Series) -> pl.Series:
    """`values` with strings (in lists too) stripped, unescaped, free of tags, and null where they say nothing."""
    if isinstance(values.dtype, pl.List):
        parts = values.list.eval(pl.element().cast(pl.String)).explode(keep_nulls=True, empty_as_null=True)
        rows = pl.Series("row", range(len(values)), dtype=pl.UInt32)
        lengths = values.list.len().fill_null(1).clip(1)
        flat = pl.DataFrame(
            {"row": rows.to_frame().select(pl.col("row").repeat_by(lengths).explode())["row"], "part": parts}
        )
        return gather_lists(flat.with_columns(clean_strings(flat["part"])), len(values)).alias(values.name)
    if values.dtype in (pl.String, pl.Categorical, pl.Enum):
        return clean_strings(values.cast(pl.String))
    if values.dtype == pl.Boolean:
        return values.replace_strict({True: "yes", False: "no"}, default=None, return_dtype=pl.String)
    if values.dtype.is_float():
        return values.to_frame("v").select(pl.when(pl.col("v").is_finite()).then("v"))["v"].alias(values.name)
    return values


def clean_strings(values: pl.Series) -> pl.Series:
    """Strings with HTML entities and tags taken out and white space made single; null where nothing is said."""
    # Unescaping is Python's own, so it runs once per distinct value that needs it.
    escaped = values.filter(values.str.contains("&", literal=True).fill_null(False)).unique()
    if len(escaped):
        values = values.replace(escaped, pl.Series([html.unescape(value) for value in escaped], dtype=pl.String))
    values = (
        values.str.replace(r"^https?://schema\.org/", "")
        .str.replace_all(TAG, " ")
        .str.replace_all(r"\s+", " ")
        .str.strip_chars()
    )
    value = pl.col("value")
    says_nothing = value.str.to_lowercase().is_in(MISSING) | value.str.contains(NOTHING)
    return values.to_frame("value").select(pl.when(~says_nothing).then("value"))["value"].alias(values.name)


def gather_lists(flat: pl.DataFrame, rows: int) -> pl.Series:
    """Lists from `flat` (row, part): distinct parts in order, null for a row without any. (rows,)"""
    lists = (
        flat.drop_nulls("part")
        .unique(["row", "part"], keep="first", maintain_order=True)
        .group_by("row", maintain_order=True)
        .agg("part")
    )
    every = pl.DataFrame({"row": pl.Series(range(rows), dtype=pl.UInt32)})
    return every.join(lists, on="row", how="left", maintain_order="left")["part"]


def why_left_out(values: pl.Series) -> str | None:
    """Why a column says nothing about items, or None: it is empty."""
    return "empty" if values.null_count() == len(values) else None


def inspect(values: pl.Series, form: NumberForm | None) -> ColumnKind:
    """The kind of a cleaned column (at least one value) by what its values look like.

    form: how its numbers are written, where its strings are numbers.
    """
    present = values.drop_nulls()
    if isinstance(present.dtype, pl.List):
        return "multi-category"
    if present.dtype.is_temporal():
        return "year"
    if present.dtype.is_numeric():
        return "year" if looks_like_years(present, values.name) else "number"
    if form is not None:
        return "year" if looks_like_years(read_numbers(present, form).drop_nulls(), values.name) else "number"
    if share(present.str.contains(LINK)) >= MOSTLY:
        return "link"
    if share(present.str.contains(DATE)) >= MOSTLY:
        return "year"
    if separator_of(present) is not None:
        return "multi-category"
    repeated = present.n_unique() <= 0.5 * len(present)
    return "category" if repeated and mean_length(present) <= LONG else "text"


def looks_like_years(numbers: pl.Series, name: str) -> bool:
    """Whole numbers of four digits: from 1500 on in a column that says it holds years, else from 1870 on."""
    first = 1500 if pl.Series([name]).str.contains(YEAR_NAME)[0] else 1870
    whole = numbers.cast(pl.Float64)
    return len(whole) > 0 and share((whole % 1 == 0) & whole.is_between(first, 2099)) >= MOSTLY


def separator_of(present: pl.Series) -> str | None:
    """What separates several values in one string: '|', ';' or ', ', or None where they are single values.

    A comma also stands in sentences, names and titles: it separates only where parts are short and come back.
    """
    for separator, least_share, most_distinct in (("|", 0.02, 1.0), (";", 0.1, 0.7), (", ", 0.2, 0.5)):
        if share(present.str.contains(separator, literal=True)) < least_share:
            continue
        parts = present.str.split(separator).explode(keep_nulls=False, empty_as_null=False)
        parts = parts.str.strip_chars()
        short = share(parts.str.len_chars() <= 40) >= MOSTLY
        if short and parts.n_unique() <= most_distinct * len(parts):
            return separator
    return None


def convert(values: pl.Series, kind: ColumnKind, form: NumberForm) -> pl.Series:
    """A cleaned column as the type of `kind`; values that are none of it become null."""
    name, is_list = values.name, isinstance(values.dtype, pl.List)
    if kind == "multi-category":
        if is_list:
            return values
        strings = values.cast(pl.String)
        present = strings.drop_nulls()
        # Named multi-category by the mapping: then the separator that occurs most is the one, evidence or not.
        occurs = {mark: share(present.str.contains(mark, literal=True)) for mark in ("|", ";", ",")}
        separator = separator_of(present) or max(occurs, key=lambda mark: occurs[mark])
        return clean(strings.str.split(separator)).alias(name)
    if is_list:
        values = values.list.join(", ")
    if kind == "year":
        if values.dtype.is_temporal():
            return values.dt.year().cast(pl.Int32).alias(name)
        if values.dtype.is_numeric():
            values = values.cast(pl.Int64, strict=False)
        return values.cast(pl.String).str.extract(YEAR).cast(pl.Int32).alias(name)
    if kind == "number":
        if values.dtype.is_numeric():
            return values.cast(pl.Float64).alias(name)
        return read_numbers(values.cast(pl.String), form).alias(name)
    strings = values.cast(pl.String).alias(name)
    return strings.set(~strings.str.contains(LINK).fill_null(True), None) if kind == "link" else strings


def share(fits: pl.Series) -> float:
    """The share of true values, 0 for an empty series."""
    return float(fits.mean() or 0.0)  # type: ignore[arg-type]


def mean_length(present: pl.Series) -> float:
    """Characters per value on average."""
    return float(present.str.len_chars().mean() or 0.0)  # type: ignore[arg-type]
