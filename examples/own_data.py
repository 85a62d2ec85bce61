"""Your own data in Python: two tables in, a recommender out.

    python examples/own_data.py log.csv catalogue.csv models/shop

The log has a row for each choice (who, what, when), the catalogue one for each item (id, title, anything else).
"""

import sys
from typing import Any

import pandas as pd

import latentcrs


def main(log: str, catalogue: str, out: str, **settings: Any) -> None:
    """Train on the two files, ask in several ways, and keep the model in the folder `out`."""
    interactions, items = pd.read_csv(log), pd.read_csv(catalogue)
    data = latentcrs.Dataset.from_frames(interactions, items)
    print(data, data.info.columns)

    model = latentcrs.LatentCRS(**settings).fit(data)
    liked = model.bundle.items["title"][:2].to_list()
    for found in model.recommend(history=liked, request="something funny, from the nineties", k=3):
        print(f"{found.title}: {found.reason}")
    print(model.recommend_many([liked, []], ["a drama", "anything new"], k=3))
    print("like", liked[0], "are", [title for _, title, _ in model.similar_items(liked[0], k=3)])
    print("why", liked[1], "after", liked[0], "-", model.explain(liked[1], history=liked[:1]).reason)

    model.save(out)
    talk = latentcrs.conversation(out, likes=liked[:1])
    print(talk.reply("a comedy, please").text)


if __name__ == "__main__":
    main(*sys.argv[1:4])
