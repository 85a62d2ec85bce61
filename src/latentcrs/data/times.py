"""Dates and times as logs write them, as microseconds since 1970 in UTC."""

import calendar
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_tz
from functools import cache
from itertools import product
from typing import Literal
from zoneinfo import ZoneInfo

import polars as pl
from babel.dates import get_day_names, get_month_names

ACCEPTED = (
    "ISO 8601 (2020-09-13T12:26:40Z, 2020-09-13 12:26), 13.09.2020 or 13/09/2020 or 09/13/2020, with a time or not, "
    "13 Sep 2020, Sep 13, 2020 12:26 PM, 13 septembre 2020, 20200913, 20200913122640, and seconds, milliseconds, "
    'microseconds or nanoseconds since 1970; any other is told by a mapping: [interactions] format = "%d/%m/%Y %H:%M"'
)
Order = Literal["year first", "day first", "month first"]

# A number tells by its size whether it counts seconds, milliseconds, microseconds or nanoseconds since 1970.
UNITS = ((1e17, 1_000_000_000, "nanoseconds"), (1e14, 1_000_000, "microseconds"), (1e11, 1_000, "milliseconds"))
DIGITS = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S", 17: "%Y%m%d%H%M%S%3f"}
MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}
FORMS: tuple[Literal["format", "stand-alone"], ...] = ("format", "stand-alone")
WIDTHS: tuple[Literal["abbreviated", "wide"], ...] = ("abbreviated", "wide")
LANGUAGES = "en da de el es et fi fr hu id it lt lv nb nl pl pt ro ru sk sl sv tr uk cs bg ca".split()
ZONES = {"cest": 2, "eest": 3, "west": 1, "bst": 1, "msk": 3, "jst": 9, "kst": 9, "ist": 5.5}
"""Abbreviations that neither the zone database nor the rules of e-mail know, in hours east of Greenwich."""

_DAY = r"(?:[A-Za-z]{2,9}\.?,?\s+)?"  # the name of a weekday
_TIME = r"(\d{1,2})[:.h](\d{2})(?:[:.m](\d{2})(?:[.,](\d{1,9}))?)?\s*([AaPp]\.?[Mm]\.?)?"
_OFFSET = r"[+-]\d{2}:?\d{2}|[+-]\d{1,2}|(?:UTC|GMT)[+-]\d{1,2}(?::?\d{2})?"
_ZONE = rf"([Zz]|{_OFFSET}|[A-Za-z]{{2,5}}|[A-Z][A-Za-z]+/[A-Za-z_/]+)?(?:\s*\[[^\]]*\]|\s*\([^)]*\))?"
_CLOCK = rf"(?:(?:[Tt]|\s+|,\s*|\s+at\s+|_|-|:)\s*{_TIME}\s*{_ZONE})?"
_MARK = r"(?:[-/.\s]\s*|,\s*|(?:st|nd|rd|th|er|º|°)[,\s]\s*)"
PATTERN = rf"^{_DAY}(\d{{1,4}}|[A-Za-z]{{3,9}}\.?){_MARK}(\d{{1,2}}|[A-Za-z]{{3,9}})\.?{_MARK}(\d{{1,4}}){_CLOCK}$"
COMPACT = r"^(\d{4})(\d{2})(\d{2})[T\s]?(\d{2})(\d{2})(\d{2})?(?:[.,](\d{1,9}))?()\s*" + _ZONE + "$"
UNIX = rf"^(?:[A-Za-z]{{3}},?\s+)?([A-Za-z]{{3}})\s+(\d{{1,2}})\s+{_TIME}\s*{_ZONE}\s+(\d{{4}})$"
PARTS = ["one", "two", "three", "hour", "minute", "second", "fraction", "half", "zone"]


@dataclass(frozen=True)
class TimeForm:
    """How the times of one column are written.

    format: of strptime, as the mapping gives it; None for whatever `PATTERN` and numbers can tell.
    order: what the first of three numbers is where the year is last.
    digits: the numbers are dates without separators (20200913), not counted from 1970.
    fast: a strptime format that most of them have, which Polars reads ten times faster than patterns do.
    notes: what was guessed.
    """

    format: str | None = None
    order: Order | None = None
    digits: bool = False
    fast: str | None = None
    notes: list[str] = field(default_factory=list)


def read_times(values: pl.Series, form: TimeForm) -> tuple[pl.Series, pl.Series]:
    """Seconds since 1970, and the same time as exactly as it is given; Int64 both, null where it cannot be read.

    values: strings, numbers, dates or times.
    """
    kind = values.dtype
    if kind == pl.Date or kind == pl.Datetime:
        exact = values.cast(pl.Datetime("us", getattr(kind, "time_zone", None))).dt.epoch("us")
        return exact // 1_000_000, exact
    if form.format is not None:
        exact = with_format(values.cast(pl.String).str.strip_chars(), form.format)
        return exact // 1_000_000, exact
    given = values if kind.is_numeric() else values.cast(pl.String).str.strip_chars()
    if form.digits:
        exact = from_digits(as_whole_text(given))
        return exact // 1_000_000, exact
    if kind.is_numeric():
        return from_numbers(values)
    text = given
    # Row by row: some logs have numbers in some rows and dates in others.
    seconds, exact = from_numbers(text)
    rest = (seconds.is_null() & text.is_not_null()).arg_true()
    if len(rest):
        others = from_text(text.gather(rest), form)
        seconds, exact = seconds.scatter(rest, others // 1_000_000), exact.scatter(rest, others)
    if 0 < len(rest) < text.count():
        # Units differ, so that only seconds tell the order.
        exact = seconds * 1_000_000
    return seconds, exact


def as_whole_text(values: pl.Series) -> pl.Series:
    """Numbers (or numbers in strings) as digits, without what floating point puts behind them."""
    if values.dtype.is_float():
        values = values.cast(pl.Int64, strict=False)
    return values.cast(pl.String).str.replace(r"\.0+$", "")


def from_numbers(values: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Numbers (or strings of them) counted from 1970, in a unit that the size tells."""
    frame = values.to_frame("v")
    number = pl.col("v").cast(pl.Float64, strict=False)
    number = pl.when(number.is_finite()).then(number).otherwise(None)
    seconds = number
    for size, per_second, _ in reversed(UNITS):
        seconds = pl.when(number.abs() >= size).then(number / per_second).otherwise(seconds)
    whole = pl.col("v").cast(pl.Int64, strict=False)
    read = frame.select(
        seconds.floor().cast(pl.Int64, strict=False).alias("s"),
        pl.coalesce(whole, (number * 1e6).cast(pl.Int64, strict=False)).alias("e"),
    )
    return read["s"], read["e"]


def from_digits(text: pl.Series) -> pl.Series:
    """Dates written as 8, 12, 14 or 17 digits, as microseconds since 1970."""
    frame = text.to_frame("t")
    length = pl.col("t").str.len_chars()
    read = [
        pl.when(length == digits).then(
            pl.col("t").str.to_date(form, strict=False).cast(pl.Datetime("us"))
            if digits == 8
            else pl.col("t").str.to_datetime(form, strict=False, time_unit="us")
        )
        for digits, form in DIGITS.items()
    ]
    return frame.select(pl.coalesce(read).dt.epoch("us")).to_series()


def with_format(text: pl.Series, form: str) -> pl.Series:
    """Times in a strptime format, as microseconds since 1970."""
    if re.search(r"%[HIpsTRcX+]", form):
        has_zone = "z" in form.lower().replace("%%", "")
        zone = "UTC" if has_zone else None
        read = text.str.to_datetime(form, strict=False, time_unit="us", time_zone=zone)
    else:
        read = text.str.to_date(form, strict=False).cast(pl.Datetime("us"))
    return read.dt.epoch("us")


def from_text(text: pl.Series, form: TimeForm) -> pl.Series:
    """Dates and times in words and digits, as microseconds since 1970; null where the day cannot be told."""
    if form.fast is None:
        return by_pattern(text, form)
    exact = with_format(text, form.fast)
    rest = exact.is_null() & text.is_not_null()
    return exact.scatter(rest.arg_true(), by_pattern(text.filter(rest), form)) if rest.any() else exact


def fast_format(text: pl.Series, form: TimeForm) -> str | None:
    """The strptime format that reads all of `text` as `by_pattern` does, where there is one."""
    found = re.match(
        r"(\d+)([-/.])(\d+)\2(\d+)(?:([Tt ])\d+:\d+(:\d+)?([.,]\d+)?([Zz]| ?[+-]\d\d:?\d\d)?)?$",
        text[0] if len(text) else "",
    )
    if not found:
        return None
    mark = found[2]
    days = ("%m", "%d") if form.order == "month first" else ("%d", "%m")
    date = mark.join(("%Y", "%m", "%d") if len(found[1]) == 4 else (*days, "%Y"))
    clock = f"{found[5]}%H:%M{':%S' if found[6] else ''}{'%.f' if found[6] else ''}" if found[5] else ""
    zone = (" " if found[8] and found[8].startswith(" ") else "") + "%#z" if found[8] else ""
    wanted = by_pattern(text, form)
    return date + clock + zone if with_format(text, date + clock + zone).equals(wanted) else None


def by_pattern(text: pl.Series, form: TimeForm) -> pl.Series:
    """Dates and times whose parts are found by pattern and put together, as microseconds since 1970."""
    parts = take_apart(text)
    one, three = pl.col("one"), pl.col("three")
    number = {name: pl.col(name).cast(pl.Int32, strict=False) for name in PARTS if name not in ("half", "zone")}
    named = {name: month_number(pl.col(name)) for name in ("one", "two")}
    year_first = one.str.len_chars() >= 3
    year_first = year_first & number["one"].is_not_null()
    day_first = pl.lit(form.order != "month first")
    year = pl.when(year_first).then(number["one"]).otherwise(number["three"])
    century = pl.when(year < 70).then(2000).otherwise(1900)
    year = year + pl.when((~year_first) & (three.str.len_chars() == 2)).then(century).otherwise(0)
    in_numbers = pl.when(year_first | day_first).then(number["two"]).otherwise(number["one"])
    month = pl.coalesce(named["one"], named["two"], in_numbers)
    day = (
        pl.when(year_first)
        .then(number["three"])
        .when(named["one"].is_not_null())
        .then(number["two"])
        .when(named["two"].is_not_null() | day_first)
        .then(number["one"])
        .otherwise(number["two"])
    )
    half = pl.col("half").str.to_lowercase().str.slice(0, 1)
    hour = number["hour"].fill_null(0)
    hour = pl.when(half.is_not_null() & (hour <= 12)).then(hour % 12).otherwise(hour)
    hour = hour + pl.when((half == "p") & (hour < 12)).then(12).otherwise(0)
    fraction = (pl.lit("0.") + pl.col("fraction")).cast(pl.Float64, strict=False).fill_null(0.0)
    # A month or day that does not exist makes the whole expression fail: such rows are none of ours.
    exists = month.is_between(1, 12) & (day >= 1) & year.is_between(1, 9999) & hour.is_between(0, 23)
    exists = exists & (year_first | three.str.len_chars().is_in([2, 4]))
    if form.order is None:  # nothing said which is the day
        exists = exists & (year_first | named["one"].is_not_null() | named["two"].is_not_null())
    parts = parts.with_columns(
        (pl.when(exists).then(value)).alias(name)
        for name, value in (("y", year), ("mo", month), ("d", day), ("h", hour))
    )
    date = pl.format("{}-{}-{}", "y", "mo", "d").str.to_date("%Y-%m-%d", strict=False)
    exact = (
        date.cast(pl.Datetime("us")).dt.epoch("us")
        + pl.col("h").cast(pl.Int64) * 3_600_000_000
        + number["minute"].fill_null(0).cast(pl.Int64) * 60_000_000
        + number["second"].fill_null(0).cast(pl.Int64) * 1_000_000
        + (fraction * 1e6).round().cast(pl.Int64)
    )
    local = parts.select(exact).to_series()
    return local - offsets(local, parts["zone"])


def take_apart(text: pl.Series) -> pl.DataFrame:
    """The `PARTS` of each time, null where it is none."""
    clean = text.str.replace_all(r"[\u00a0\u202f]", " ")
    worded = clean.str.contains(r"\p{L}{3}|[年년]").fill_null(False).arg_true()
    if len(worded):
        clean = clean.scatter(worded, in_english(clean.gather(worded)))
    parts = groups(clean, PATTERN, PARTS)
    for pattern, names in ((COMPACT, PARTS), (UNIX, [*PARTS[:2], *PARTS[3:], "three"])):
        rest = (parts["two"].is_null() & clean.is_not_null()).arg_true()
        if len(rest):
            others = groups(clean.gather(rest), pattern, names)
            parts = pl.DataFrame([parts[name].scatter(rest, others[name]) for name in PARTS])
    return parts.with_columns(
        pl.when(pl.col(name).str.len_chars() > 0).then(pl.col(name)).alias(name) for name in PARTS
    )


def in_english(text: pl.Series) -> pl.Series:
    """Dates with the names of months as English abbreviates them, less weekdays and "de"."""
    text = text.str.replace_all("[年月년월]", "-").str.replace_all("[日일]", " ").str.strip_chars()
    known = names_of_dates()
    for word in text.str.to_lowercase().str.extract_all(r"[\p{L}\p{M}]+").explode().drop_nulls().unique():
        if known.get(word, word) != word:
            behind = "" if known[word] else r"\.?,?"
            text = text.str.replace_all(rf"(?i)\b{word}\b{behind}", known[word])
    return text.str.strip_chars()


@cache
def names_of_dates() -> dict[str, str]:
    """Words of dates in lower case -> the month in English, or nothing; without what languages disagree on."""
    meant: dict[str, set[str]] = {}
    for language in LANGUAGES:
        for form, width in product(FORMS, WIDTHS):
            months = get_month_names(width, form, language)
            named = zip((months[number] for number in range(1, 13)), MONTHS, strict=True)
            for name, english in [*named, *((name, "") for name in get_day_names(width, form, language).values())]:
                meant.setdefault(name.lower().rstrip("."), set()).add(english)
    meant |= {word: {""} for word in ("de", "del", "di", "of", "г", "р")}
    return {word: next(iter(english)) for word, english in meant.items() if len(english) == 1}


def groups(text: pl.Series, pattern: str, names: list[str]) -> pl.DataFrame:
    """What the groups of `pattern` catch in each string, as columns `names`."""
    return text.str.extract_groups(pattern).struct.rename_fields(names).struct.unnest()


def month_number(name: pl.Expr) -> pl.Expr:
    """1 to 12 by an English abbreviation; null for anything else."""
    return name.str.to_lowercase().str.strip_chars(".").replace_strict(MONTHS, default=None, return_dtype=pl.Int32)


def offsets(local: pl.Series, zones: pl.Series) -> pl.Series:
    """How far each local time (microseconds) is ahead of UTC, 0 where no zone is given, null for an unknown one."""
    found = pl.Series([0], dtype=pl.Int64).new_from_index(0, len(local))
    for zone in zones.drop_nulls().unique():
        at = (zones == zone).fill_null(False)
        fixed = offset_of(zone)
        if fixed is not None:
            found = found.scatter(at.arg_true(), fixed * 1_000_000)
            continue
        place = place_of(zone)
        times = local.filter(at)
        if place is None:
            found = found.cast(pl.Int64).scatter(at.arg_true(), pl.Series([None] * len(times), dtype=pl.Int64))
            continue
        there = times.cast(pl.Datetime("us")).dt.replace_time_zone(place, ambiguous="earliest", non_existent="null")
        found = found.scatter(at.arg_true(), times - there.dt.epoch("us"))
    return found


def offset_of(zone: str) -> int | None:
    """Seconds ahead of UTC of "Z", "+02:00", "UTC+2" or an abbreviation; None where only a place can tell."""
    name = zone.lower()
    if name in ("z", "utc", "gmt"):
        return 0
    digits = re.fullmatch(r"(?:utc|gmt)?([+-])(\d{1,2}):?(\d{2})?", name)
    if digits:
        seconds = int(digits[2]) * 3600 + int(digits[3] or 0) * 60
        return -seconds if digits[1] == "-" else seconds
    if name in ZONES:
        return int(3600 * ZONES[name])
    parsed = parsedate_tz(f"1 Jan 2020 00:00:00 {zone.upper()}")
    return parsed[9] if parsed and parsed[9] else None


def place_of(zone: str) -> str | None:
    """`zone` where the zone database knows it."""
    try:
        return ZoneInfo(zone).key
    except (KeyError, ValueError, OSError):
        return None


def learn_times(sample: pl.Series, widest: pl.Series | None = None) -> TimeForm | str:
    """How the times in `sample` (no nulls) are written, or why that cannot be told.

    Args:
        widest: the largest first and second of three numbers in the whole column, where the sample leaves open which
            is the day; see `day_and_month`.
    """
    if sample.dtype.is_temporal():
        if sample.dtype in (pl.Date, pl.Datetime):
            return TimeForm()
        return "it holds times of day or durations"
    if not (sample.dtype.is_numeric() or sample.dtype == pl.String):
        return f"it holds {sample.dtype}"
    text = as_whole_text(sample) if sample.dtype.is_numeric() else sample.str.strip_chars()
    text = text.filter(text != "")
    if len(text) == 0:
        return TimeForm()
    numbers = text.cast(pl.Float64, strict=False)
    if numbers.null_count() <= len(text) / 2:
        digits = as_whole_text(text)
        dates = from_digits(digits)
        # 1900 to 2099: as seconds, 20200913 would be a day in August 1970.
        likely = dates.is_not_null() & digits.str.contains(r"^(19|20)")
        if float(likely.mean() or 0.0) > 0.95:  # type: ignore[arg-type]
            return TimeForm(digits=True, notes=["digits are read as a date (year, month, day)"])
        largest = float(numbers.abs().max() or 0.0)  # type: ignore[arg-type]
        unit = next((name for size, _, name in UNITS if largest >= size), "seconds")
        if largest < 86_400 * 366:
            return TimeForm(notes=["the numbers are too small for times since 1970; they only tell an order"])
        return TimeForm(notes=[f"numbers are read as {unit} since 1970"])
    return learn_order(text, widest)


def day_and_month(text: pl.Series) -> pl.DataFrame:
    """(first, second, mark) of dates such as 13/09/2020: the numbers before the year, and what stands between."""
    pattern = rf"^{_DAY}(\d{{1,2}})([-/.\s])\s*(\d{{1,2}})[-/.\s]\s*\d{{2,4}}(?:\D|$)"
    groups = text.str.strip_chars().str.extract_groups(pattern).struct.rename_fields(["first", "mark", "second"])
    return groups.struct.unnest().drop_nulls().with_columns(pl.col("first", "second").cast(pl.Int32))


def learn_order(text: pl.Series, widest: pl.Series | None) -> TimeForm | str:
    """The form of dates in words and digits, with what the first number is where the year is last."""
    pairs = day_and_month(text)
    notes: list[str] = []
    order: Order | None = None
    if len(pairs):
        first, second = (int(pairs[name].max()) for name in ("first", "second"))  # type: ignore[arg-type]
        if widest is not None:
            first, second = max(first, int(widest[0])), max(second, int(widest[1]))
        example = text.filter(text.str.contains(r"^\D*\d{1,2}[-/.\s]"))[0]
        if first > 12 and second > 12:
            return (
                f"some dates have the day first and others the month ({example!r}); "
                'say which in a mapping: [interactions] format = "%d/%m/%Y"'
            )
        if first > 12:
            order = "day first"
            notes.append(f"dates are read day first ({example!r}): the first number goes up to {first}")
        elif second > 12:
            order = "month first"
            notes.append(f"dates are read month first ({example!r}): the second number goes up to {second}")
        elif (pairs["mark"] == ".").all():
            order = "day first"
            notes.append(f"dates are read day first ({example!r}), as points between numbers mean")
        else:
            return (
                f"whether the day or the month is first in {example!r} cannot be told, as no number is above 12; "
                'say so in a mapping: [interactions] format = "%d/%m/%Y %H:%M" (or "%m/%d/%Y %H:%M")'
            )
    form = TimeForm(order=order, notes=notes)
    read = by_pattern(text, form)
    if read.null_count() > len(text) / 2:
        return f"most of it cannot be read as a time ({text.filter(read.is_null())[0]!r}); it may be {ACCEPTED}"
    zones = by_zone(text)
    form = replace(form, fast=fast_format(text, form))
    if zones:
        notes.append(f"zones are taken into account ({', '.join(zones[:4])}); times without one are UTC")
    return form


def by_zone(text: pl.Series) -> list[str]:
    """The zones other than UTC that stand in these times."""
    zones = take_apart(text)["zone"].drop_nulls().unique().sort().to_list()
    return [zone for zone in zones if offset_of(zone) != 0]


def is_open(text: pl.Series) -> bool:
    """Whether day or month is first is left open by this much of a column."""
    pairs = day_and_month(text)
    if len(pairs) == 0 or (pairs["mark"] == ".").all():
        return False
    return int(pairs["first"].max()) <= 12 and int(pairs["second"].max()) <= 12  # type: ignore[arg-type]


def words(seconds: int) -> str:
    """A time in seconds since 1970 as a date."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
