"""Ratings in whatever form people give them, and from which one on they say that an item was liked."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from latentcrs.data.numerals import MOSTLY, NumberForm, examples, learn_numbers, plain_numbers, read_numbers

SCALES = (1, 2, 3, 4, 5, 6, 7, 10, 20, 100)
"""Highest marks of the scales that are in use."""
LIKED = 0.8
"""The share of the highest mark from which on a rating counts: four of five stars, eight of ten points."""
HOLDS = 0.99
"""The share of ratings that a scale has to hold; what is above are slips."""
UP = ("up", "thumbs up", "thumb up", "like", "liked", "love", "yes", "y", "true", "t", "positive", "good", "👍", "+")
DOWN = "down|thumbs down|thumb down|dislike|disliked|no|n|false|f|negative|bad|👎|-".split("|")
THUMBS = {**dict.fromkeys(UP, 1.0), **dict.fromkeys(DOWN, 0.0)}
OUT_OF = r"^\s*(\d+(?:[.,]\d+)?)\s*(?:/|out of|of|von|sur|de|di|van)\s*(\d+)\b.*$"
WITH_UNIT = r"^\s*(\d+(?:[.,]\d+)?)\s*([^\d\s.,/%-][^\d/]*)$"
STARS = r"^[★⭐\*✭🌟]+[\ufe0f]*[☆✩]*(½)?$|^[☆✩]+$"


@dataclass(frozen=True)
class RatingForm:
    """How the ratings of a log are written.

    plain: numbers as programs write them. number: how other numbers are written. words: text in lower case -> rating.
    """

    plain: bool = True
    number: NumberForm = field(default_factory=NumberForm)
    words: Mapping[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def spoken(values: pl.Series) -> pl.Series:
    """Words for a rating in lower case, with single blanks."""
    return values.str.to_lowercase().str.replace_all(r"[_\-\s]+", " ").str.strip_chars()


def read_ratings(values: pl.Series, form: RatingForm) -> pl.Series:
    """Ratings as Float64; null where none can be read."""
    if values.dtype != pl.String:
        return values.cast(pl.Float64, strict=False)
    if form.words:
        text = values.str.to_lowercase().str.strip_chars()
        return text.replace_strict(form.words, default=None, return_dtype=pl.Float64).alias(values.name)
    if form.plain:
        return plain_numbers(values)
    text = values.str.strip_chars()
    halves = text.str.replace(r"(\d)\s*½", "${1}.5").str.replace("½", "0.5", literal=True)
    number = halves.str.replace(OUT_OF, "${1}").str.replace(WITH_UNIT, "${1}")
    read = read_numbers(number, form.number)
    stars = text.str.count_matches(r"[★⭐\*✭🌟]").cast(pl.Float64) + text.str.contains("½").cast(pl.Float64) / 2
    frame = pl.DataFrame({"read": read, "stars": stars, "is": text.str.contains(STARS)})
    return frame.select(pl.when("is").then("stars").otherwise("read")).to_series().alias(values.name)


def learn_ratings(sample: pl.Series, words: Mapping[str, float] | None = None) -> RatingForm | str:
    """How the ratings in `sample` are written, or why they cannot be read.

    Args:
        words: what a mapping says of words; it settles the matter.
    """
    if sample.dtype == pl.Boolean:
        return RatingForm(notes=["ratings are yes or no: yes counts as 1, no as 0"])
    if sample.dtype.is_numeric():
        return RatingForm()
    if sample.dtype != pl.String:
        return f"it holds {sample.dtype}"
    text = sample.drop_nulls().str.strip_chars()
    text = text.filter((text != "") & ~text.str.to_lowercase().is_in(["nan", "null", "none", "na", "n/a"]))
    if words:
        return RatingForm(False, words={word.strip().lower(): float(value) for word, value in words.items()})
    if plain_numbers(text).count() >= MOSTLY * len(text):
        return RatingForm()
    distinct = text.str.to_lowercase().unique()
    if len(distinct) <= len(THUMBS) and spoken(distinct).is_in(list(THUMBS)).all():
        known = {word: THUMBS[bare] for word, bare in zip(distinct, spoken(distinct), strict=True)}
        told = ", ".join(f"{word} is {value:g}" for word, value in sorted(known.items()))
        return RatingForm(False, words=known, notes=[f"ratings are words: {told}"])
    notes: list[str] = []
    scale = text.str.extract(OUT_OF, 2).drop_nulls().unique().to_list()
    if len(scale) > 1:
        return f"ratings are out of different numbers ({', '.join(sorted(scale)[:4])})"
    if scale:
        notes.append(f"ratings are written as out of {scale[0]}")
    units = text.str.extract(WITH_UNIT, 2).drop_nulls().str.strip_chars().str.to_lowercase().unique().to_list()
    if units and not scale:
        notes.append(f"what stands behind ratings is taken off ({', '.join(sorted(units)[:3])})")
    if text.str.contains(STARS).any():
        notes.append("stars are counted")
    number = learn_numbers(text.str.replace(r"\s*½", ".5").str.replace(OUT_OF, "${1}").str.replace(WITH_UNIT, "${1}"))
    form = RatingForm(False, number or NumberForm(), notes=[*notes, *(number.notes if number else [])])
    read = read_ratings(text, form)
    if read.null_count() > len(text) / 2:
        return f"most of it is no rating ({examples(text.filter(read.is_null()).unique().sort())})"
    return form


def threshold_of(counts: pl.DataFrame) -> tuple[float | None, str]:
    """The lowest rating that says "liked" on the scale that `counts` (rating, rows) shows, and a sentence about it.

    None where the numbers are no scale (how often something was played): every row counts.
    """
    rated = counts.drop_nulls("rating").sort("rating")
    if len(rated) == 0:
        return None, "no row has a rating: every row counts"
    ratings, rows = rated["rating"].to_list(), rated["rows"].to_list()
    low, high, total = ratings[0], ratings[-1], sum(rows)

    def held(scale: float) -> float:
        return sum(number for rating, number in zip(ratings, rows, strict=True) if rating <= scale) / total

    scale = next((scale for scale in SCALES if held(scale) >= HOLDS), None)
    span = f"ratings go from {low:g} to {high:g}" if low != high else f"every rating is {low:g}"
    if scale is None:
        return None, f"{span}: no scale that is known, so every row counts; say threshold = ... under [ratings]"
    if scale == 1 and all(float(rating).is_integer() for rating in ratings if rating <= 1):
        least = 1.0
    elif low < 0:
        least = 0.5 * scale
    else:
        least = LIKED * scale if scale == 1 else float(math.ceil(LIKED * scale))
    above = "" if high <= scale else f", but for {total - round(held(scale) * total):,} above it"
    return least, f"{span}: taken for a scale up to {scale}{above}; those of {least:g} and more count as liked"
