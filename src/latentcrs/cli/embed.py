"""`latentcrs embed`: warm the text cache for a data set, so that nothing later waits for the text encoder."""

import json
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from typer import Argument, Option

from latentcrs.base.progress import console, err_console
from latentcrs.cli.options import Device, Engine, Workers, an_encoder


def embed(
    dataset: Annotated[Path, Argument(help="The folder of a prepared data set.")],
    encoder: Annotated[
        str,
        Option(
            callback=an_encoder,
            help="minilm, st:NAME_OR_FOLDER, prompteol:FOLDER, the folder of a model, or https://host/v1#MODEL.",
        ),
    ] = "minilm",
    device: Device = "auto",
    engine: Engine = "local",
    workers: Workers = None,
    as_json: Annotated[bool, Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Encode the texts of a data set's items and requests, once.

    Says first what it will cost in this process. Stop it at any time: what was encoded is kept. `--engine ray`
    starts Ray on this machine, or joins the cluster of $RAY_ADDRESS; the cache stays here. An endpoint's key is in
    $LATENTCRS_EMBEDDINGS_KEY.

    Example: `latentcrs embed ml-1m --encoder minilm`
    """
    from latentcrs.data import PreparedDataset
    from latentcrs.scale.engine import engine_of
    from latentcrs.text.cache import cache_path, missing_texts
    from latentcrs.text.cache import embed as vectors_of
    from latentcrs.text.cost import cost_of, duration
    from latentcrs.text.encoders import LocalEncoder, Precision, open_encoder
    from latentcrs.text.shards import warm

    prepared = PreparedDataset(dataset)
    model = open_encoder(encoder, device)
    groups = {"items": prepared.items["text"].fill_null("").to_list()}
    if prepared.has_requests:
        groups["requests"] = prepared.requests["text"].to_list()
    else:
        err_console.print(f"No requests yet: 'latentcrs simulate {dataset}' writes some.", soft_wrap=True)
    texts = [text for group in groups.values() for text in group]
    missing = missing_texts(texts, model)
    if missing and engine == "local":
        err_console.print(f"To encode with {model.id}: {cost_of(missing, model)}.", soft_wrap=True)
    began = time.monotonic()
    with engine_of(engine, workers, device) as spread:
        # Workers on other processors compute as this one does.
        alike: Precision = "auto"
        if isinstance(model, LocalEncoder):
            alike = "int8" if model.int8 else "float"
        there = partial(open_encoder, encoder, device, alike)
        warm(missing, model, spread, there if engine != "local" else None)
    seconds = time.monotonic() - began
    width = vectors_of(texts[:1], model, name=None).shape[1]  # out of the cache: an endpoint need not be asked
    result = {
        "encoder": model.id,
        "width": width,
        **{name: len(group) for name, group in groups.items()},
        "encoded": len(missing),
        "seconds": round(seconds, 2),
        "cache": str(cache_path(model.id)),
    }
    if as_json:
        typer.echo(json.dumps(result))
        return
    counts = " and ".join(f"{len(group):,} {name}" for name, group in groups.items())
    done = f"{len(missing):,} encoded in {duration(seconds)}" if missing else "all were there already"
    console.print(f"{counts}: {done}, {width} wide, in {cache_path(model.id)}", soft_wrap=True, highlight=False)
