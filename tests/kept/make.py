"""Writes the bundle and the data set of today's format that are kept beside this file, for later versions to read.

Run `python tests/kept/make.py` when a format is counted up; those of older formats stay, as they were written.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import polars as pl

import latentcrs
from latentcrs.recommend.bundle import FORMAT

HERE = Path(__file__).parent
KINDS = ("harbour", "desert", "forest", "city")
THINGS = ("Ferry", "Signal", "Orchard", "Tunnel", "Kite", "Clockmaker")
SETTINGS = {
    "behaviour": {
        "network": {"width": 8, "length": 10},
        "training": {"epochs": 3, "min_steps": 0},
    },
    "model": {"intents": 4, "hidden": 8, "text_hidden": 8, "text_width": 8},
    "em": {"epochs": 3, "min_steps": 0},
}
ASKED = [(["0", "4"], ""), (["1"], "a quiet story in the desert"), ([], "something in a city, after 1990")]
"""Histories and requests; what was recommended then is in `answers.json`."""


def frames() -> tuple[pl.DataFrame, pl.DataFrame]:
    """People who mostly stay with one kind of an invented catalogue."""
    draw = random.Random(7)
    items = pl.DataFrame(
        [
            (str(number), f"The {thing} of the {kind.title()}", kind, 1980 + number)
            for number, (thing, kind) in enumerate((thing, kind) for thing in THINGS for kind in KINDS)
        ],
        schema=["item_id", "title", "place", "year"],
        orient="row",
    )
    rows = []
    for person in range(40):
        own = [number for number in range(len(items)) if number % len(KINDS) == person % len(KINDS)]
        others = draw.sample([number for number in range(len(items)) if number not in own], 2)
        chosen = [*draw.sample(own, 4), *others]
        draw.shuffle(chosen)
        rows += [(f"p{person}", str(number), 1_600_000_000 + place) for place, number in enumerate(chosen)]
    return pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row"), items


if __name__ == "__main__":
    folder = HERE / f"format-{FORMAT}"
    data = latentcrs.Dataset.from_frames(*frames(), out=folder / "dataset")
    model = latentcrs.LatentCRS(**SETTINGS, device="cpu", fresh=True).fit(data)
    model.save(folder / "bundle")
    manifest = folder / "bundle" / "bundle.json"
    told = json.loads(manifest.read_text("utf-8"))
    told["dataset"]["path"] = "dataset"  # nobody else has the folder that this was made in
    manifest.write_text(json.dumps(told, indent=2) + "\n", "utf-8")
    answers = [[found.item_id for found in model.recommend(history, request, k=5)] for history, request in ASKED]
    (folder / "answers.json").write_text(json.dumps(answers) + "\n", "utf-8")
