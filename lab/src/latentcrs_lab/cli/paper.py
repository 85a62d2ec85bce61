"""`latentcrs-lab ablation`, `sensitivity`, `curves` and `intent-map`: the experiments of the paper."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from latentcrs.cli.options import LAST_SEED, Device


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command("ablation")(ablation)
    app.command("sensitivity")(sensitivity)
    app.command("curves")(curves)
    app.command("intent-map")(intent_map)


def ablation(
    dataset: Annotated[Path, typer.Argument(help="A prepared data set.")],
    preset: Annotated[str, typer.Option(help="default or paper.")] = "paper",
    names: Annotated[str | None, typer.Option("--only", help="Only these rows of the table, with commas.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Lay KEY=VALUE over the preset, in every row.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
    device: Device = "auto",
) -> None:
    """Train the model without one of its parts after the other, as Table 5 of the paper and further.

    What was trained before is not trained again.

    Example: latentcrs-lab ablation data/ml-1m --preset default
    """
    from latentcrs.evaluate.tables import print_rows
    from latentcrs_lab.paper.ablation import ablations  # late: PyTorch takes seconds
    from latentcrs_lab.report.tables import ABLATION_HEADER, ablation_rows

    only = [name.strip() for name in names.split(",")] if names else None
    result = ablations(dataset, preset, set_ or [], device, only).as_json()
    if as_json:
        print(json.dumps(result))
    else:
        print_rows(f"Ablations on {result['dataset']}, {preset} preset", ABLATION_HEADER, ablation_rows(result))


def sensitivity(
    dataset: Annotated[Path, typer.Argument(help="A prepared data set.")],
    preset: Annotated[str, typer.Option(help="default or paper.")] = "paper",
    names: Annotated[str | None, typer.Option("--only", help="Of K, alpha_m, alpha_e, kl; with commas.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the points as JSON.")] = False,
    device: Device = "auto",
) -> None:
    """Train at every value of K, alpha^M, alpha^E and lambda in turn, as Figure 3 of the paper.

    What was trained before is not trained again.

    Example: latentcrs-lab sensitivity data/ml-1m
    """
    from latentcrs.evaluate.tables import print_rows
    from latentcrs_lab.paper.sensitivity import sensitivity as run  # late: PyTorch takes seconds

    only = [name.strip() for name in names.split(",")] if names else None
    result = run(dataset, preset, device=device, names=only).as_json()
    if as_json:
        print(json.dumps(result))
        return
    for name, points in result["curves"].items():
        rows = [
            [f"{point['value']:g}", f"{point['test']['recall@5']:.4f}", f"{point['test']['ndcg@20']:.4f}"]
            for point in points
        ]
        print_rows(f"{name}, test split", (name, "Recall@5", "NDCG@20"), rows)


def curves(
    bundle: Annotated[Path, typer.Argument(help="A model bundle.")],
    seed: Annotated[int, typer.Option(min=0, max=LAST_SEED, help="Of simulated users and samples.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the points as JSON.")] = False,
    device: Device = "auto",
) -> None:
    """How accuracy changes with the conditions told, the items of a history, and how often the target was chosen.

    Example: latentcrs-lab curves models/ml-1m
    """
    from latentcrs.evaluate.opened import EvaluationBundle  # late: PyTorch takes seconds
    from latentcrs.evaluate.tables import print_rows, title_of
    from latentcrs_lab.paper.curves import by_conditions, by_history, by_interactions

    opened = EvaluationBundle(bundle, device=device)
    found = {
        "conditions": by_conditions(opened, seed),
        "history": by_history(opened, seed),
        "interactions": by_interactions(opened),
    }
    if as_json:
        print(json.dumps({name: [point.as_json() for point in points] for name, points in found.items()}))
        return
    for name, points in found.items():
        rows = [[title_of(one.system), one.at, f"{one.n:,}", f"{one.recall:.4f}"] for one in points]
        print_rows(f"By {name}, test split", ("system", name, "requests", "Recall@5"), rows)


def intent_map(
    bundle: Annotated[Path, typer.Argument(help="A model bundle.")],
    out: Annotated[Path, typer.Option(help="Write intents.png, intents.html and intents.json into this folder.")],
    split: Annotated[str, typer.Option(help="Whose requests to count: train, valid or test.")] = "train",
    by: Annotated[str | None, typer.Option(help="The category column to tell intents apart by.")] = None,
    dataset: Annotated[Path | None, typer.Option(help="Where the data set lies, if it was moved.")] = None,
    device: Device = "auto",
) -> None:
    """A map of a bundle's intents: one circle each, alike ones near, as a picture and as a page to explore.

    Example: latentcrs-lab intent-map models/ml-1m --out intents
    """
    from latentcrs.base.errors import UserError
    from latentcrs.base.progress import say
    from latentcrs.evaluate.intents import describe_intents  # late: PyTorch takes seconds
    from latentcrs.recommend import load_bundle
    from latentcrs_lab.paper.intent_map import write_map

    if out.is_file():
        raise UserError(f"{out} is a file; --out wants a folder.")
    for path in write_map(describe_intents(load_bundle(bundle, device), dataset, split, by), out):
        say(f"wrote {path}")
