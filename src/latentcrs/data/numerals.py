"""Numbers as people write them: currencies, decimal commas, thousands, dashes for none, ranges."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import polars as pl
from price_parser import Price

TOKEN = r"(?:\d[\d.,'’\u00a0\u202f\u2009 _]*\d|\d|[.,]\d+)(?:[eE][-+]?\d+)?"
VALUE = rf"^([^\d]*?)({TOKEN})([^\d]*)(?:({TOKEN})([^\d]*))?$"
RANGE = re.compile(r"^\s*(-|–|—|−|~|\.\.|…|to|till|until|bis|à|al|hasta)\s*$", re.IGNORECASE)
SIGNS = re.compile(r"[-−–+]")
GROUPED = {mark: rf"^[1-9]\d{{0,2}}(?:\{mark}\d{{3}})+$" for mark in ",."}
MOSTLY = 0.95
CURRENCIES = {"€": "EUR", "£": "GBP", "$": "USD", "¥": "JPY", "US$": "USD"}
"""The share of values that has to fit a kind before the rest counts as unreadable."""


@dataclass(frozen=True)
class NumberForm:
    """How the numbers of one column are written: "." or "," before decimals. notes: what was guessed or taken off."""

    decimal: str = "."
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Affixes:
    """What stands around numbers, by text: whether it belongs to a number, whether it makes it negative."""

    fits: dict[str, bool]
    negative: dict[str, bool]
    money: set[str]


def plain_numbers(values: pl.Series) -> pl.Series:
    """Strings as Float64 where they are numbers as programs write them; null elsewhere."""
    numbers = values.str.strip_chars().cast(pl.Float64, strict=False)
    return numbers.to_frame("n").select(pl.when(pl.col("n").is_finite()).then("n"))["n"].alias(values.name)


def read_numbers(values: pl.Series, form: NumberForm) -> pl.Series:
    """Strings as Float64; null where no number can be read. A range is its low end. (values,)"""
    name = values.name
    if form.decimal == ".":
        plain = plain_numbers(values)
        rest = plain.is_null() & values.is_not_null()
        if not rest.any():
            return plain.alias(name)
    else:
        plain = pl.Series(name, [None], dtype=pl.Float64).new_from_index(0, len(values))
        rest = values.is_not_null()
    parts = take_apart(values.filter(rest))
    before, behind = affixes(parts["before"], True), affixes(parts["behind"], False)
    second = affixes(parts["last"].drop_nulls(), False)
    number = convert(parts["number"], form.decimal)
    is_range = parts["other"].is_not_null()
    ranged = range_marks(parts.filter(is_range)["behind"])
    fits = parts.select(
        pl.col("before").replace_strict(before.fits, default=False, return_dtype=pl.Boolean)
        & pl.when(is_range)
        .then(
            pl.col("behind").replace_strict(ranged, default=False, return_dtype=pl.Boolean)
            & pl.col("last").replace_strict(second.fits, default=False, return_dtype=pl.Boolean)
            & (number <= convert(parts["other"], form.decimal))
        )
        .otherwise(pl.col("behind").replace_strict(behind.fits, default=False, return_dtype=pl.Boolean))
    ).to_series()
    negative = parts.select(
        pl.col("before").replace_strict(before.negative, default=False, return_dtype=pl.Boolean)
        | (
            pl.col("behind").replace_strict(behind.negative, default=False, return_dtype=pl.Boolean)
            & pl.col("other").is_null()
        )
    ).to_series()
    read = pl.DataFrame({"n": number, "f": fits, "m": negative}).select(
        pl.when(pl.col("f") & pl.col("n").is_finite()).then(pl.when("m").then(-pl.col("n")).otherwise("n"))
    )
    rows = rest.arg_true()
    return plain.scatter(rows, read.to_series()).alias(name) if len(rows) else plain.alias(name)


def take_apart(values: pl.Series) -> pl.DataFrame:
    """(before, number, behind, other, last) of each string: a number, or a range's two, and what is around."""
    groups = values.str.strip_chars().str.extract_groups(VALUE)
    return groups.struct.rename_fields(["before", "number", "behind", "other", "last"]).struct.unnest()


def convert(tokens: pl.Series, decimal: str) -> pl.Series:
    """Digits with separators as Float64; `decimal` is what a single separator of three digits is."""
    frame = tokens.str.replace_all(r"['’\u00a0\u202f\u2009 _]", "").to_frame("t")
    t = pl.col("t")
    points, commas = t.str.count_matches(".", literal=True), t.str.count_matches(",", literal=True)

    def splits(mark: str, marks: pl.Expr, others: pl.Expr) -> pl.Expr:
        other = "," if mark == "." else "."
        behind = t.str.contains(rf"\{other}[^\{mark}]*\{mark}[^\{other}]*$")
        alone = pl.lit(True) if decimal == mark else ~t.str.contains(GROUPED[mark])
        return (marks == 1) & (((others > 0) & behind) | ((others == 0) & alone))

    text = (
        pl.when(splits(",", commas, points))
        .then(t.str.replace_all(".", "", literal=True).str.replace(",", ".", literal=True))
        .when(splits(".", points, commas))
        .then(t.str.replace_all(",", "", literal=True))
        .otherwise(t.str.replace_all(r"[.,]", ""))
    )
    return frame.select(text.cast(pl.Float64, strict=False)).to_series()


def affixes(texts: pl.Series, front: bool) -> _Affixes:
    """What each distinct text before (`front`) or behind a number is."""
    fits, negative, money = {}, {}, set()
    for text in texts.drop_nulls().unique():
        bare = re.sub(r"[\s()]", "", text)
        minus = bool(re.search(r"[-−–]", bare)) if front else bare in ("-", "−")
        bare = SIGNS.sub("", bare.replace("—", "")).strip(",.") if not front else SIGNS.sub("", bare)
        bare = bare.strip("<>≤≥≈~") if front else bare
        is_money = bool(bare) and _is_currency(re.sub(r"[-−–+]", "", text).strip(" (),"), front)
        fits[text] = not bare or is_money or (not front and bare == "%")
        negative[text] = minus or (front and "(" in text)
        if is_money:
            money.add(text)
    return _Affixes(fits, negative, money)


def _is_currency(text: str, front: bool) -> bool:
    price = Price.fromstring(f"{text} 1" if front else f"1 {text}")
    return price.currency is not None and price.currency.strip(".").lower() == text.strip(".").lower()


def range_marks(texts: pl.Series) -> dict[str, bool]:
    """Whether each distinct text between two numbers makes them a range: a dash or "to", maybe with currencies."""
    found = {}
    for text in texts.drop_nulls().unique():
        inner = text.strip()
        words = [word for word in re.split(r"\s+|(?<=[^\w.])(?=\w)|(?<=\w)(?=[^\w.])|(?<=[-–—])", inner) if word]
        marks = [word for word in words if RANGE.match(word)]
        found[text] = len(marks) == 1 and all(
            RANGE.match(word) or _is_currency(word, False) or _is_currency(word, True) for word in words
        )
    return found


def learn_numbers(values: pl.Series, decimal: str | None = None) -> NumberForm | None:
    """How the numbers in `values` (strings, nulls for what says nothing) are written; None where they are no numbers.

    A value without a digit counts for nothing where such values are few and of two sorts at most ("on request").
    """
    present = values.drop_nulls()
    worded = ~present.str.contains(r"\d")
    words = present.filter(worded)
    candidates = present.filter(~worded)
    # Short words are rather sizes (S, M, XL) than a remark.
    few = 1 / 3 if len(words) and (words.str.len_chars() > 3).all() else 0.2
    if len(candidates) == 0 or len(words) > few * len(present) or words.n_unique() > 2:
        return None
    if float(candidates.str.contains(r"^0\d+$").mean() or 0.0) > 0.05:  # type: ignore[arg-type]
        return None  # leading zeros: a code
    if plain_numbers(candidates).is_not_null().all() and decimal in (None, ".") and not _all_thousands(candidates):
        return NumberForm()
    parts = take_apart(candidates).drop_nulls("number")
    tokens = pl.concat([parts["number"], parts["other"].drop_nulls()])
    money = affixes(parts["before"], True).money | affixes(parts["behind"], False).money
    priced = parts["before"].is_in(list(money)).any() or parts["behind"].is_in(list(money)).any()
    notes: list[str] = []
    if decimal is None:
        decimal, why = guess_decimal(tokens, bool(priced))
        notes += why
    form = NumberForm(decimal, notes)
    numbers = read_numbers(candidates, form)
    if float(numbers.is_not_null().mean() or 0.0) < MOSTLY:  # type: ignore[arg-type]
        return None
    ranges = take_apart(candidates)["other"].is_not_null() & numbers.is_not_null()
    if ranges.sum() > 0.5 * len(candidates) and not priced:
        return None  # rather sizes, ages, telephone numbers
    if money:
        shown = sorted({re.sub(r"[-−–+()\s]", "", text) for text in money})
        notes.append(f"currencies are taken off ({', '.join(shown[:5])})")
        if len({CURRENCIES.get(text, text.upper()) for text in shown}) > 1:
            notes.append("there is more than one currency, and amounts are not converted")
    if ranges.any():
        example = candidates.filter(ranges)[0]
        notes.append(f"{ranges.sum():,} ranges are read as their low end ({example!r})")
    signs = parts["behind"].str.contains("%").any() if len(parts) else False
    if signs:
        notes.append("per cent signs are taken off")
    return form


def _all_thousands(candidates: pl.Series) -> bool:
    """Whether points may separate thousands: there are some, each before three digits, and whole numbers beside."""
    pointed = candidates.filter(candidates.str.contains(".", literal=True))
    return len(pointed) > 0 and bool(pointed.str.strip_chars().str.contains(r"^-?[1-9]\d{0,2}(\.\d{3})+$").all())


def guess_decimal(tokens: pl.Series, priced: bool) -> tuple[str, list[str]]:
    """Whether "," or "." stands before decimals in `tokens`, and what is to be said of the guess."""
    t = tokens.str.replace_all(r"['’\u00a0\u202f\u2009 _]", "")

    def how_many(pattern: str) -> int:
        return t.filter(t.str.contains(pattern)).len()

    open_comma, open_point = how_many(r"^[1-9]\d{0,2},\d{3}$"), how_many(r"^[1-9]\d{0,2}\.\d{3}$")
    comma, point = how_many(r"^[\d.]*,\d*$") - open_comma, how_many(r"^[\d,]*\.\d*$") - open_point
    if comma > point:
        notes = ["commas stand before decimals"]
        if point:
            notes.append(f"but points do in {point:,} values")
        return ",", notes
    if point:
        return ".", [f"commas stand before decimals in {comma:,} values"] if comma else []
    if open_point and not open_comma:
        whole = how_many(r"^\d+$")
        grouped = priced or whole > 0
        reading = "thousands" if grouped else "decimals"
        return "," if grouped else ".", [
            f"points before three digits are read as before {reading}; if that is wrong, say so: "
            f'decimal = "{"." if grouped else ","}"'
        ]
    if open_comma:
        return ".", [
            'commas before three digits are read as before thousands; if that is wrong, say so: decimal = ","'
        ]
    return ".", []


def examples(texts: Iterable[str]) -> str:
    """A few of `texts`, quoted, as a message shows them."""
    return ", ".join(repr(text[:40]) for text in list(texts)[:3])
