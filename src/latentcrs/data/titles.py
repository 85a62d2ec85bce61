"""Film titles as MovieLens writes them ('Matrix, The (1999)') as a title people say and a year, and found by both."""

import re
import unicodedata
from collections import defaultdict

import polars as pl

from latentcrs.data.dataset import PreparedDataset

YEAR_AT_END = r"\s*\((\d{4})(?:\s*[-–]\s*(?:\d{4})?)?\s*\)\s*$"
ARTICLES = "The|An|A|Le|La|Les|L'|Il|Lo|Gli|I|El|Los|Las|Das|Der|Die|Un|Une|Una|Ein|Eine|Den|Det|De|Het|O|Os|As"
# The whole title, with an alternative title in parentheses perhaps, and the alternative titles themselves.
ARTICLE_LAST = rf"^([^()]+), ({ARTICLES})(\s*\(.*)?$"
ARTICLE_LAST_INSIDE = rf"\(((?:a\.k\.a\. )?)([^()]+), ({ARTICLES})\)"
YEARS_APART = 1
"""Catalogues disagree about a film's year by the date of its festival and of its release."""


def split_title(column: str) -> list[pl.Expr]:
    """Expressions for `title` (without the trailing year, its article in front) and `year` (Int32, null if none)."""
    whole = pl.col(column).str.strip_chars()
    title = (
        whole.str.replace(YEAR_AT_END, "")
        .str.replace(ARTICLE_LAST, "${2} ${1}${3}")
        .str.replace_all(ARTICLE_LAST_INSIDE, "(${1}${3} ${2})")
        .str.replace_all(r"(^|\()L' ", "${1}L'")
    )
    return [title.alias("title"), whole.str.extract(YEAR_AT_END).cast(pl.Int32).alias("year")]


def says(words: str, key: str) -> bool:
    """Whether `words` hold the title with this key, as whole words."""
    return f" {key} " in f" {title_key(words)} "


def title_key(title: str) -> str:
    """A title as it is compared: no accents, no punctuation, no leading article, lower case."""
    plain = unicodedata.normalize("NFKD", title.replace("&", " and ")).encode("ascii", "ignore").decode().lower()
    key = " ".join(re.findall(r"[a-z0-9]+", plain.replace("'", "")))
    return re.sub(r"^(the|an|a) (?=.)", "", key) or title.strip().lower()


class FilmIndex:
    """Finds items of a data set by title, aliases in parentheses included, and year where there is one."""

    def __init__(self, dataset: PreparedDataset) -> None:
        year = next((pl.col(name) for name, kind in dataset.info.columns.items() if kind == "year"), pl.lit(None))
        self._films: dict[str, list[tuple[str, int | None]]] = defaultdict(list)
        said, of_title = split_title("title")
        rows = dataset.items.select("item_id", said.fill_null(""), pl.coalesce(year.cast(pl.Int32), of_title))
        for identity, title, released in rows.iter_rows():
            bare = re.sub(r"\s*\([^()]*\)", "", title)
            for form in {title_key(form) for form in (bare, *re.findall(r"\(([^()]*)\)", title))}:
                self._films[form.removeprefix("aka ")].append((identity, released))

    def find(self, title: str, year: int | None) -> str | None:
        """The film with this title whose year is nearest, at most one apart; None where there is none.

        A title without a year has to be the only one of its name.
        """
        films = self._films.get(title_key(title), [])
        if year is None or all(released is None for _, released in films):
            return films[0][0] if len(films) == 1 else None
        near = [(abs(released - year), item) for item, released in films if released is not None]
        apart, item = min(near, default=(YEARS_APART + 1, None))
        return item if apart <= YEARS_APART else None
