"""The sample that the demo fetches, without a network."""

from __future__ import annotations

from itertools import takewhile
from pathlib import Path

from latentcrs.data.fetch import fetch
from latentcrs.data.known import SAMPLE


def fetch_sample(movielens: Path, folder: Path) -> None:
    """Put raw files into the demo's `folder`: people of MovieLens-1M in the layout of MovieLens-100K."""
    raw = folder / "written"
    raw.mkdir()
    with (movielens / "ratings.dat").open(encoding="latin-1") as log, (raw / "ml-100k.inter").open("w") as part:
        part.write("user_id:token\titem_id:token\trating:float\ttimestamp:float\n")
        part.writelines(
            line.replace("::", "\t") for line in takewhile(lambda line: int(line.split("::")[0]) <= 60, log)
        )
    with (
        (movielens / "movies.dat").open(encoding="latin-1") as films,
        (raw / "ml-100k.item").open("w", encoding="utf-8") as part,
    ):
        part.write("item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n")
        for line in films:
            item, title, genres = line.strip().split("::")
            part.write(f"{item}\t{title[:-7]}\t{title[-5:-1]}\t{genres.replace('|', ' ')}\n")
    fetch(SAMPLE, folder / "demo" / "raw", local=raw)
