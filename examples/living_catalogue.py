"""Add items to the catalogue of a running server, change them, and hide them: in force with the next request.

    python examples/living_catalogue.py models/ml-1m

What is said of an item stands in columns of the catalogue, here in that of MovieLens-1M for the plot.
"""

import sys

from serving import serving

from latentcrs.serve.client import Client

NEW = [
    {"item_id": "new-1", "title": "The Lighthouse Keeper's Robot", "plot": "A robot tends a lighthouse by the sea."},
    {"item_id": "new-2", "title": "Night Ferry", "plot": "Strangers on a ferry tell each other ghost stories."},
]


def main(bundle: str) -> None:
    """Add two items, change what one is about, hide the other; ask each time."""
    with serving(bundle) as address, Client(address) as client:

        def ask(request: str) -> None:
            print(f"{request}:", ", ".join(found["title"] for found in client.recommend(request, k=3)))

        print("added", client.add_items(NEW))
        ask("ghost stories told on a ferry at night")
        ask("a robot in a lighthouse by the sea")
        client.change_item("new-2", title="Night Train", plot="Strangers on a train plan a robbery of its mail.")
        ask("a train robbery planned by strangers")
        client.change_item("new-1", hidden=True)
        ask("a robot in a lighthouse by the sea")
        # A whole list at once, as a shop's export has it: what is known is changed, the rest is added.
        print("added and changed", client.put_items([{"item_id": "new-1", "hidden": False}]))


if __name__ == "__main__":
    main(sys.argv[1])
