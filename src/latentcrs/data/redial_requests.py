"""Turns the real dialogues of ReDial into requests for a data set of films, matched by title and year."""

from __future__ import annotations

import re
import tempfile
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from latentcrs.data.dataset import PreparedDataset, Split
from latentcrs.data.lines import LineProblem, readable
from latentcrs.data.sources.redial import MENTION, Dialogue, dialogue_files, read_dialogues
from latentcrs.data.titles import split_title

YEARS_APART = 1
"""Catalogues disagree about a film's year by the date of its festival and of its release."""
UNSAYABLE = "another movie"
"""Stands for a mention that would give the target's title away ("Toy Story 2" when the target is "Toy Story")."""


def redial_requests(path: Path, dataset: PreparedDataset, split: Split = "test") -> list[dict[str, Any]]:
    """One request per film that a recommender suggested and the seeker liked, for films of `dataset`.

    The words are the seeker's own, before anybody mentions that film, mentions replaced by titles and without the
    target's own; `history` is what the seeker liked of the films mentioned before, as far as `dataset` has them.
    Dialogues in which the seeker said nothing before are left out.

    Returns:
        Rows with history (item ids), target (item id), split, text, dialogue: the lines that `data prepare
        --requests` reads.

    Raises:
        UserError: there are no dialogues at `path`.
    """
    films = FilmIndex(dataset)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="latentcrs-") as workspace:
        for file in dialogue_files(path):
            for dialogue in read_dialogues(readable(file, Path(workspace))):
                if not isinstance(dialogue, LineProblem):
                    rows += dialogue_requests(dialogue, films, split)
    return rows


def dialogue_requests(dialogue: Dialogue, films: FilmIndex, split: Split) -> Iterator[dict[str, Any]]:
    """The requests in one dialogue."""
    mentioned = dialogue.first_mentions()
    titles, found = films.match(dialogue.movies)
    asked: set[str] = set()
    for movie, place in mentioned.items():
        target = found.get(movie)
        if target is None or target in asked or movie not in dialogue.liked & dialogue.suggested:
            continue
        text = words_before(dialogue, place, titles, titles[movie])
        liked = [
            found[other] for other, at in mentioned.items() if at < place and other in dialogue.liked & found.keys()
        ]
        if text and target not in liked:
            asked.add(target)
            history = list(dict.fromkeys(liked))
            yield {"history": history, "target": target, "split": split, "text": text, "dialogue": dialogue.identity}


def words_before(dialogue: Dialogue, place: int, titles: dict[str, str], target: str) -> str:
    """What the seeker said before message `place`, less the messages that say the title `target` in plain words."""
    never = title_key(target)

    def name(mention: re.Match[str]) -> str:
        title = titles.get(mention[1], "")
        return UNSAYABLE if not title or says(title, never) else title

    said = [words for by_seeker, words in dialogue.said[:place] if by_seeker]
    told = [MENTION.sub(name, words).strip() for words in said if not says(MENTION.sub(" . ", words), never)]
    return " ".join(words for words in told if words)


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

    def match(self, movies: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
        """Titles without years, and the items, of ReDial's films: (film id -> title, film id -> item id)."""
        frame = pl.DataFrame({"raw": list(movies.values())}, schema={"raw": pl.String}).select(*split_title("raw"))
        titles = dict(zip(movies, frame["title"], strict=True))
        years = dict(zip(movies, frame["year"], strict=True))
        matched = {movie: self.find(titles[movie], years[movie]) for movie in movies}
        return titles, {movie: item for movie, item in matched.items() if item is not None}

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
