"""`latentcrs recommend-all`: every user's best items, as one Parquet file."""

import json
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from latentcrs.base.progress import show
from latentcrs.cli.options import MOST, Device, Engine, Workers


def recommend_all(
    bundle: Annotated[Path, Argument(help="A model bundle.")],
    out: Annotated[Path, Option(help="The Parquet file to write.")],
    k: Annotated[int, Option(min=1, max=MOST, help="How many items for each user.")] = 20,
    dataset: Annotated[
        Path | None, Option(help="The data set that the bundle was trained on, if it was moved.")
    ] = None,
    device: Device = "auto",
    engine: Engine = "local",
    workers: Workers = None,
    as_json: Annotated[bool, Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Rank the catalogue for every user by behaviour alone, without what each chose before.

    One row for each user: user_id, and the lists item_id and score, best first. Stop it at any time: the same
    command goes on from there. `--engine ray` starts Ray on this machine, or joins the cluster of $RAY_ADDRESS.

    Example: `latentcrs recommend-all models/ml-1m --out users.parquet --k 20`
    """
    from latentcrs.base.device import resolve_device
    from latentcrs.recommend.bulk import recommend_all as run  # late: PyTorch takes seconds
    from latentcrs.scale.engine import engine_of

    with engine_of(engine, workers, device) as spread:
        # On a cluster the workers say what they have, which this machine need not.
        place = resolve_device(device).type if engine == "local" else device
        found = run(bundle, out, k, dataset, place, spread)
    per_second = (found.users - found.resumed) / found.seconds
    if as_json:
        told = {"out": str(found.out), "users": found.users, "resumed": found.resumed, "k": found.k}
        speed = {"seconds": round(found.seconds, 3), "users_per_second": round(per_second, 1)}
        print(json.dumps(told | speed))
        return
    before = f" ({found.resumed:,} were there from a run that was stopped)" if found.resumed else ""
    took = f"in {found.seconds:.1f} s ({per_second:,.0f} users a second)"
    show(f"Wrote {found.out}: {found.k} items for each of {found.users:,} users{before}, {took}.")
