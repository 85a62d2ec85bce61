"""`latentcrs train`: a prepared data set in, a model bundle out."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from latentcrs.base.progress import say, show
from latentcrs.cli.options import Device, Engine, Workers


def train(
    dataset: Annotated[Path, Argument(help="A prepared data set.")],
    out: Annotated[Path, Option(help="The folder to write the bundle to.")],
    preset: Annotated[str, Option(help="default, or paper: everything as published.")] = "default",
    set_: Annotated[list[str] | None, Option("--set", help="A setting over the preset, e.g. em.alpha_m=1.")] = None,
    device: Device = "auto",
    fresh: Annotated[bool, Option("--fresh", help="Train anew what an earlier run has left.")] = False,
    engine: Engine = "local",
    workers: Workers = None,
    checkpoints: Annotated[
        str | None, Option(help="Folder or URL of what a stopped run goes on from; by default in the cache.")
    ] = None,
) -> None:
    """Train LatentCRS on a prepared data set: behaviour encoder, intents, EM.

    Requests are simulated first for splits that have none. A run that was stopped goes on with the same command.
    `--engine ray` starts Ray on this machine, or joins the cluster of $RAY_ADDRESS, whose workers have to reach
    `--checkpoints`; a worker that dies is replaced, and training goes on from there.

    Example: latentcrs train data/ml-1m --out models/ml-1m
    """
    from latentcrs import train as run  # late: PyTorch takes seconds, `--help` must not
    from latentcrs.base.places import local_place
    from latentcrs.data.dataset import MANIFEST, PreparedDataset
    from latentcrs.fit.training import work_folder
    from latentcrs.hear.language import foreign_catalogue
    from latentcrs.scale.engine import group_of

    embedded = not any(setting.startswith("text_encoder=") for setting in set_ or ())
    command = shlex.join(["latentcrs", *sys.argv[1:]])
    folder = local_place(checkpoints or work_folder())
    with group_of(engine, folder, workers, device) as together:
        # On a cluster the workers say what they have, which this machine need not.
        here = device if together is None or device == "cpu" else "auto"
        told = (dataset / MANIFEST).is_file() and embedded  # else `run` says what is missing
        if told and (foreign := foreign_catalogue(PreparedDataset(dataset).items["text"].to_list())):
            say(f"note: {foreign}")
        info = run(dataset, out, preset, set_ or [], here, fresh, command, folder, together)
    stages = {"behaviour": "behaviour", "inference": "inference model", "generative": "with words", "em": "after EM"}
    stages["calibrated"] = "calibrated"
    found = ", ".join(
        f"{words} {info.report[stage]['validation_ndcg@20']:.4f}"
        for stage, words in stages.items()
        if stage in info.report
    )
    show(
        f"Wrote the bundle {out} ({info.config.preset}, {info.report['intents']} intents). "
        f"Validation NDCG@20: {found}.\n"
        f"Next: latentcrs evaluate one-turn {out}   or   latentcrs chat {out}"
    )
