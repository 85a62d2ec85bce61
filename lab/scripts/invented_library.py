"""The library of the tutorial, which nobody has to ask for: 72 invented books, 1,300 loans of 160 invented readers.

python lab/scripts/invented_library.py docs/tutorial
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import polars as pl

GENRES = {
    "Mystery": (
        ["Ada Holm", "Piet Verhoeven"],
        ["Harbour Lights", "The Locked Boathouse", "A Key for Nobody", "The Night Ferry", "Low Tide",
         "The Ninth Guest", "Ink and Arsenic", "The Clockmaker's Alibi", "Cold Chapel", "The Silent Auction",
         "Eleven Steps", "Fog Signal"],
        ["a murder", "a missing heir", "a stolen painting", "a detective who cannot sleep"],
    ),
    "Fantasy": (
        ["Mira Solberg", "Tomas Aldea"],
        ["The Glass Dragon", "Salt and Sorcery", "The Winter Throne", "A Crown of Moths", "The Last Cartographer",
         "Thornkeep", "The River Witch", "Ashes of the Old King", "The Moon Gate", "Daughter of Storms",
         "The Hollow Sword", "Nine Lanterns"],
        ["a dragon", "a forbidden spell", "a queen in exile", "a map that changes"],
    ),
    "Science fiction": (
        ["R. N. Okafor", "Lena Petrov"],
        ["The Orbit Garden", "Signal from Europa", "Zero Harvest", "The Second Earth", "Machines of Mercy",
         "Sleepers on the Ark", "The Quiet Colony", "Red Dust", "A Clock for Mars", "The Copy", "Deep Field",
         "Tomorrow's Orphans"],
        ["a generation ship", "a robot with memories", "first contact", "a colony on Mars"],
    ),
    "Romance": (
        ["Clara Bonnet", "Isla Reyes"],
        ["Letters from Lisbon", "The Florist's Wager", "Two Tickets North", "A Summer in Nice", "The Wrong Wedding",
         "Snowed In", "The Bakery on Elm Street", "Second Chances", "Dancing with the Neighbour",
         "The Lighthouse Inn", "Yes, Again", "Postcards to Anna"],
        ["a wedding", "an old flame", "a holiday by the sea", "rival bakers"],
    ),
    "History": (
        ["Giles Marchant", "Noor Rahimi"],
        ["The Spice Routes", "Iron and Steam", "The Year of Barricades", "Empire of Wool", "The Lost Fleet",
         "Daughters of the Mill", "The Silk Ledger", "A Nation of Canals", "The Plague Winter", "Before the Wall",
         "The Salt Tax", "Castles of Rain"],
        ["a revolution", "merchants at sea", "a city under siege", "the first railways"],
    ),
    "Travel": (
        ["Hanna Ek", "Joao Prado"],
        ["Slow Train to Tbilisi", "Islands without Cars", "Across the Steppe", "Walking the Danube",
         "A Winter in Oslo", "The Long Way to Lhasa", "Desert by Bicycle", "Ferries of the Aegean",
         "The Andes on Foot", "Tea Roads", "North of Everything", "Forty Rivers"],
        ["trains", "a walk of a thousand miles", "islands", "the mountains"],
    ),
}  # fmt: skip
MOODS = ("funny", "dark", "slow and gentle", "fast")


def library(seed: int = 5) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The catalogue and the log of loans, the same for the same seed."""
    draw = random.Random(seed)
    books = []
    for genre, (authors, titles, about) in GENRES.items():
        for title in titles:
            text = f"A {draw.choice(MOODS)} book about {draw.choice(about)}."
            year, pages = draw.randint(1960, 2024), draw.randrange(120, 640, 10)
            books.append((f"b{len(books) + 1:02}", title, draw.choice(authors), genre, year, pages, text))
    names = ["item_id", "title", "author", "genre", "year", "pages", "description"]
    catalogue = pl.DataFrame(books, schema=names, orient="row")
    by_genre = {genre: [row[0] for row in books if row[3] == genre] for genre in GENRES}
    loans = []
    for reader in range(160):
        first, second = draw.sample(list(GENRES), 2)
        others = [book for genre in GENRES if genre not in (first, second) for book in by_genre[genre]]
        taken = [*draw.sample(by_genre[first], 5), *draw.sample(by_genre[second], 2), draw.choice(others)]
        draw.shuffle(taken)
        day = draw.randrange(18_000, 19_500)
        for book in taken:
            day += draw.randrange(1, 30)
            loans.append((f"r{reader + 1:03}", book, day * 86_400))
    log = pl.DataFrame(loans, schema=["user_id", "item_id", "timestamp"], orient="row")
    return log.with_columns(pl.from_epoch("timestamp").dt.strftime("%Y-%m-%d")), catalogue


if __name__ == "__main__":
    log, catalogue = library()
    log.write_csv(Path(sys.argv[1]) / "loans.csv")
    catalogue.write_csv(Path(sys.argv[1]) / "books.csv")
