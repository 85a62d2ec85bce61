"""The library of the tutorial, which belongs to nobody: 216 invented books, 2,400 loans of 300 invented readers.

python lab/scripts/invented_library.py docs/tutorial
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import polars as pl

GENRES: dict[str, dict[str, str]] = {
    "Mystery": {
        "author": "Ada Holm, Piet Verhoeven, Ruth Calder",
        "first": "Silent, Locked, Cold, Ninth, Crooked, Midnight, Last, Broken, Hidden",
        "second": "Harbour, Guest, Alibi, Chapel, Witness, Boathouse, Letter, Clockmaker, Ferry, Auction",
        "about": "a murder, a missing heir, a stolen painting, a detective who cannot sleep, a village with secrets",
    },
    "Fantasy": {
        "author": "Mira Solberg, Tomas Aldea, Wren Ashby",
        "first": "Glass, Winter, Hollow, Burning, Silver, Thorn, Forgotten, Salt, Raven",
        "second": "Dragon, Throne, Sword, Crown, Witch, Lantern, Gate, Prophecy, Forest, Queen",
        "about": "a dragon, a forbidden spell, a queen in exile, a map that changes, a thief at court",
    },
    "Science fiction": {
        "author": "R. N. Okafor, Lena Petrov, Sam Ito",
        "first": "Zero, Second, Quiet, Red, Orbital, Distant, Binary, Deep, Frozen",
        "second": "Colony, Signal, Harvest, Ark, Earth, Machine, Horizon, Station, Eclipse, Memory",
        "about": "a generation ship, a robot with memories, first contact, a colony on Mars, a clone",
    },
    "Romance": {
        "author": "Clara Bonnet, Isla Reyes, June Okada",
        "first": "Summer, Wrong, Secret, Lisbon, Snowbound, Second, Little, Accidental, Sunday",
        "second": "Wedding, Letters, Bakery, Promise, Neighbour, Kiss, Inn, Wager, Garden, Waltz",
        "about": "a wedding, an old flame, a holiday by the sea, rival bakers, letters that went astray",
    },
    "History": {
        "author": "Giles Marchant, Noor Rahimi, Edith Lange",
        "first": "Iron, Silk, Lost, Plague, Wool, Stolen, Golden, Bitter, Northern",
        "second": "Roads, Fleet, Empire, Winter, Ledger, Barricades, Canals, Siege, Harvests, Merchants",
        "about": "a revolution, merchants at sea, a city under siege, the first railways, an empire's end",
    },
    "Travel": {
        "author": "Hanna Ek, Joao Prado, Mei Tanaka",
        "first": "Slow, Far, Open, Blue, High, Empty, Wandering, Northern, Tea",
        "second": "Trains, Islands, Mountains, Rivers, Deserts, Roads, Ferries, Steppe, Coast, Passes",
        "about": "trains, a walk of a thousand miles, islands without cars, the mountains, the desert by bicycle",
    },
}
MOODS = ("funny", "dark", "gentle", "fast")
EACH = 36  # books of a genre


def library(seed: int = 5) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The log of loans and the catalogue, the same for the same seed."""
    draw, books = random.Random(seed), []
    for genre, words in GENRES.items():
        author, first, second, about = (words[name].split(", ") for name in ("author", "first", "second", "about"))
        for title in draw.sample([f"The {one} {other}" for one in first for other in second], EACH):
            text = f"A {draw.choice(MOODS)} book about {draw.choice(about)}."
            year, pages = draw.randint(1960, 2024), draw.randrange(120, 640, 10)
            books.append((f"b{len(books) + 1:03}", title, draw.choice(author), genre, year, pages, text))
    names = ["item_id", "title", "author", "genre", "year", "pages", "description"]
    catalogue = pl.DataFrame(books, schema=names, orient="row")
    by_genre = {genre: [row[0] for row in books if row[3] == genre] for genre in GENRES}
    loans = []
    for reader in range(300):
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
