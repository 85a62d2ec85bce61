"""A hand-made catalogue of films, and what was heard about it in words."""

from __future__ import annotations

import polars as pl

from latentcrs.data import ColumnKind
from latentcrs.language.extract import Heard

COLUMNS: dict[str, ColumnKind] = {
    "year": "year",
    "genres": "multi-category",
    "certificate": "category",
    "director": "multi-category",
    "actors": "multi-category",
    "plot": "text",
}
PLOTS = [
    "A submarine hunts for gold.",
    "Two thieves plan a heist in Paris.",
    "A boy meets a robot and travels through time.",
    "Zombies take over a small town.",
]
FILMS = [
    ("Toy Story", 1995, ["Animation", "Children's", "Comedy"], "G", ["John Lasseter"], ["Tom Hanks", "Tim Allen"]),
    ("Star Wars", 1977, ["Action", "Sci-Fi", "War"], "PG", ["George Lucas"], ["Harrison Ford", "Mark Hamill"]),
    ("Psycho", 1960, ["Horror", "Thriller"], "R", ["Alfred Hitchcock"], ["Anthony Perkins"]),
    ("Vertigo", 1958, ["Mystery", "Thriller"], "PG", ["Alfred Hitchcock"], ["James Stewart"]),
    ("Scary Movie", 2000, ["Comedy", "Horror"], "R", ["Keenen Wayans"], ["Anna Faris"]),
    ("The Piano", 1993, ["Drama", "Romance"], "R", ["Jane Campion"], ["Holly Hunter"]),
    ("Unforgiven", 1992, ["Western"], "R", ["Clint Eastwood"], ["Clint Eastwood", "Gene Hackman"]),
    ("Absolute Power", 1997, ["Thriller"], "R", ["Clint Eastwood"], ["Clint Eastwood", "Gene Hackman"]),
    ("Pale Rider", 1985, ["Western"], "R", ["Clint Eastwood"], ["Clint Eastwood", "Michael Moriarty"]),
    ("In the Line of Fire", 1993, ["Action", "Thriller"], "R", ["Wolfgang Petersen"], ["Clint Eastwood"]),
    ("Cabaret", 1972, ["Musical", "Drama"], "PG", ["Bob Fosse"], ["Liza Minnelli"]),
    ("Sleepless in Seattle", 1993, ["Comedy", "Romance"], "PG", ["Nora Ephron"], ["Tom Hanks", "Meg Ryan"]),
    ("Cats Don't Dance", 1997, ["Animation", "Children's", "Musical"], "G", ["Mark Dindal"], ["Scott Bakula"]),
    ("Jaws", 1975, ["Action", "Horror"], "PG", ["Steven Spielberg"], ["Roy Scheider"]),
    ("Hook", 1991, ["Adventure", "Fantasy"], "PG-13", ["Steven Spielberg"], ["Robin Williams", "Julia Roberts"]),
    ("Fargo", 1996, ["Crime", "Drama"], "R", ["Joel Coen"], ["Frances McDormand"]),
    ("Laura", 1944, ["Crime", "Film-Noir"], "PG", ["Otto Preminger"], ["Gene Tierney"]),
    ("Hoop Dreams", 1994, ["Documentary"], "PG-13", ["Steve James"], ["William Gates"]),
]


def catalogue(rows: list[tuple[str, int, list[str], str, list[str], list[str]]]) -> pl.DataFrame:
    names = ["title", "year", "genres", "certificate", "director", "actors"]
    frame = pl.DataFrame(rows, schema=names, orient="row")
    plots = [PLOTS[i % len(PLOTS)] for i in range(len(frame))]
    return frame.with_columns(
        pl.Series("plot", plots), text=pl.concat_str("title", pl.lit(". "), pl.Series("plot", plots))
    )


def rules(heard: Heard) -> set[str]:
    return {str(found.rule) for found in heard.rules}


def wishes(heard: Heard) -> set[str]:
    return {str(found.rule) for found in heard.wishes}
