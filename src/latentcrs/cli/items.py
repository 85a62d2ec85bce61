"""`latentcrs items`: adds, changes and hides items of a catalogue while it is served."""

import json
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from latentcrs.base.errors import UserError
from latentcrs.base.progress import err_console
from latentcrs.cli.options import a_store

AT_ONCE = 1000


def items(
    bundle: Annotated[Path, Argument(help="The bundle that is served.")],
    file: Annotated[Path, Argument(help="Items by item_id, with what is new of each: .csv, .jsonl, .parquet.")],
    db: Annotated[str, Option(callback=a_store, help="The servers' store. [default: LATENTCRS_STORE]")] = "",
) -> None:
    """Change items of running servers, hide them (a column `hidden`: true or false), and add those that the catalogue
    does not have. An empty cell leaves what is; null in JSON lines takes it away.

    Example: latentcrs items models/shop prices.csv --db shop.sqlite
    """
    from latentcrs.serve.service import Service
    from latentcrs.store.conversations import ConversationStore

    rows = _rows(file)
    service = Service(bundle, ConversationStore(db), device="cpu")
    counts = [service.put_items(rows[start : start + AT_ONCE]) for start in range(0, len(rows), AT_ONCE)]
    added, changed = (sum(count[place] for count in counts) for place in (0, 1))
    err_console.print(f"{file}: {added:,} items added, {changed:,} changed.", highlight=False, soft_wrap=True)


def _rows(file: Path) -> list[dict[str, Any]]:
    import polars as pl

    try:
        if file.suffix == ".jsonl":
            rows = [json.loads(line) for line in file.read_text("utf-8").splitlines() if line.strip()]
        else:
            table = pl.read_parquet(file) if file.suffix == ".parquet" else pl.read_csv(file, infer_schema=False)
            rows = [{name: value for name, value in row.items() if value is not None} for row in table.to_dicts()]
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise UserError(f"{file} cannot be read: {error}") from None
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or not row.get("item_id"):
            raise UserError(f"{file}: row {number} has no item_id.")
        row["item_id"] = str(row["item_id"])
        if (hidden := str(row.get("hidden")).lower()) in ("true", "false"):
            row["hidden"] = hidden == "true"
    return rows
