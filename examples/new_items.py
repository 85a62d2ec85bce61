"""Add items to the catalogue of a running server: they are recommendable at once, by what is said of them.

python examples/new_items.py models/ml-1m
"""

import sys

from serving import serving

from latentcrs.serve.client import Client

NEW = [
    {"item_id": "new-1", "title": "The Lighthouse Keeper's Robot", "plot": "A robot tends a lighthouse by the sea."},
    {"item_id": "new-2", "title": "Night Ferry", "plot": "Strangers on a ferry tell each other ghost stories."},
]


def main(bundle: str) -> None:
    """Add two items, then ask for one of them, with and without a conversation."""
    with serving(bundle) as address, Client(address) as client:
        print("added", client.add_items(NEW))
        for found in client.recommend("ghost stories told on a ferry at night", k=3):
            print(found["title"], "-", found["why"])
        talk = client.begin()
        turn = client.say(talk, "a robot in a lighthouse by the sea")
        print(turn.text, [item.title for item in turn.items])


if __name__ == "__main__":
    main(sys.argv[1])
