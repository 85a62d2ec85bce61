"""Film titles as MovieLens writes them ('Matrix, The (1999)') turned into a title people say and a year."""

from __future__ import annotations

import polars as pl

YEAR_AT_END = r"\s*\((\d{4})(?:\s*[-–]\s*(?:\d{4})?)?\s*\)\s*$"
ARTICLES = "The|An|A|Le|La|Les|L'|Il|Lo|Gli|I|El|Los|Las|Das|Der|Die|Un|Une|Una|Ein|Eine|Den|Det|De|Het|O|Os|As"
# The whole title, with an alternative title in parentheses perhaps, and the alternative titles themselves.
ARTICLE_LAST = rf"^([^()]+), ({ARTICLES})(\s*\(.*)?$"
ARTICLE_LAST_INSIDE = rf"\(((?:a\.k\.a\. )?)([^()]+), ({ARTICLES})\)"


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
