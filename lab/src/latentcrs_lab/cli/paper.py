"""`latentcrs-lab ablation`, `sensitivity`, `paper` and `intent-map`: the experiments of the paper."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from latentcrs.cli.options import LAST_SEED, MOST, Device, a_model


def register(app: typer.Typer) -> None:
    """Add these commands to `app`."""
    app.command("ablation")(ablation)
    app.command("sensitivity")(sensitivity)
    app.command("paper")(paper)
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
    from latentcrs_lab.paper.page import ABLATION_HEADER, ablation_rows

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
    out: Annotated[Path | None, typer.Option(help="Draw the curves into this PNG.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the points as JSON.")] = False,
    device: Device = "auto",
) -> None:
    """Train at every value of K, alpha^M, alpha^E and lambda in turn, as Figure 3 of the paper.

    What was trained before is not trained again.

    Example: latentcrs-lab sensitivity data/ml-1m --out sensitivity.png
    """
    from latentcrs.evaluate.tables import print_rows
    from latentcrs_lab.paper.figures import draw_sensitivity
    from latentcrs_lab.paper.sensitivity import sensitivity as run  # late: PyTorch takes seconds

    only = [name.strip() for name in names.split(",")] if names else None
    result = run(dataset, preset, device=device, names=only).as_json()
    if out is not None:
        draw_sensitivity(result, out)
    if as_json:
        print(json.dumps(result))
        return
    for name, points in result["curves"].items():
        rows = [
            [f"{point['value']:g}", f"{point['test']['recall@5']:.4f}", f"{point['test']['ndcg@20']:.4f}"]
            for point in points
        ]
        print_rows(f"{name}, test split", (name, "Recall@5", "NDCG@20"), rows)


def paper(
    dataset: Annotated[Path, typer.Argument(help="A prepared data set.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the page and of what the run keeps; DATASET-paper by default.")
    ] = None,
    only: Annotated[str | None, typer.Option(help="Only these steps, with commas; --list-steps names them.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="Lay KEY=VALUE over every preset.")] = None,
    list_steps: Annotated[bool, typer.Option("--list-steps", help="Name the steps and end.")] = False,
    llm: Annotated[
        str | None,
        typer.Option(callback=a_model, help="For variant V, Table 6 and the user llm: 'local', or an address."),
    ] = None,
    n: Annotated[int, typer.Option(min=2, max=MOST, help="Sampled requests and conversations.")] = 500,
    seed: Annotated[int, typer.Option(min=0, max=LAST_SEED, help="Of simulated users and samples.")] = 0,
    beside: Annotated[
        str | None, typer.Option(help="Data set of the paper beside ours: ml-1m, video-games or cds.")
    ] = None,
    device: Device = "auto",
) -> None:
    """Every table and figure of the paper on one data set, in one run that can be interrupted: a Markdown page, and
    the same as one HTML file with its pictures inside.

    Example: latentcrs-lab paper data/ml-1m --out results/ml-1m
    """
    from latentcrs.base.errors import UserError
    from latentcrs.base.progress import show
    from latentcrs.llm import open_chat_model
    from latentcrs_lab.paper import STEPS, evaluate_paper  # late: PyTorch takes seconds

    if list_steps:
        print("\n".join(STEPS))
        return
    steps = [name.strip() for name in only.split(",")] if only else list(STEPS)
    if unknown := [name for name in steps if name not in STEPS]:
        raise UserError(f"There is no step {unknown[0]!r}; choose of {', '.join(STEPS)}.")
    folder = out or dataset.resolve().with_name(f"{dataset.resolve().name}-paper")
    model = None if llm is None else open_chat_model(llm)
    page = evaluate_paper(dataset, folder, steps, set_ or [], model, n, seed, beside, device)
    for path in (page, page.with_suffix(".html")):
        show(f"wrote {path}")


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
