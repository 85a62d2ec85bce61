"""Requests for the splits of a prepared data set that have none: simulated, written, reported."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from latentcrs.base.draws import mixed, uniform
from latentcrs.base.errors import UserError
from latentcrs.base.progress import Step, step
from latentcrs.data.dataset import REQUESTS_SCHEMA, SPLITS, PreparedDataset
from latentcrs.data.request_rows import request_rows
from latentcrs.llm.model import ChatModel
from latentcrs.users.attributes import AttributesUser
from latentcrs.users.dialogue import SimulatedUser, dialogues_of
from latentcrs.users.open import check_user, open_user
from latentcrs.users.plot import PlotUser
from latentcrs.users.role_play import RolePlayUser

_SAMPLE, _PLOTS = 7, 9  # the streams of random numbers used here
_PLOTS_TOGETHER, _CALLS_TOGETHER = 500, 8  # openings between two steps of the progress bar


@dataclass(frozen=True)
class FillReport:
    """What `fill_requests` wrote and what it kept."""

    written: pl.DataFrame  # `REQUESTS_SCHEMA`
    kept: pl.DataFrame | None  # requests that were there and stay
    redrawn: int  # sentences that gave their title away and were drawn again
    without_conditions: int  # requests for items of which the catalogue says nothing that could be said
    by_model: bool = False  # a language model spoke
    failed: int = 0  # requests for which a language model gave no usable answer: neutral words stand there


def fill_requests(
    dataset: PreparedDataset, seed: int = 0, augmentations: int = 5, noun: str | None = None, force: bool = False,
    user: str = "attributes", model: ChatModel | None = None, sample: int | None = None, plots: float = 0.0,
) -> FillReport | None:  # fmt: skip
    """Let `user` speak for every split without requests and write them beside those that are there.

    user: "attributes", "plot", a plug-in, or "llm", played by `model` (one call per row, kept in the data set's
    folder: a run that was interrupted goes on where it stopped). sample: at most so many rows of each split, the same
    ones every time. noun: what an item is called (attributes). `force` replaces all. plots: for this share of the
    training and validation rows, of items that have a text, `plot` speaks as well: a model that only ever heard
    conditions does not understand people who tell what an item is about. Returns None when nothing was missing.

    Raises:
        UserError: there is no such user, it has no model, or the model answers nothing from the beginning.
    """
    check_user(user, model)
    missing = list(SPLITS) if force else list(dataset.missing_splits)
    if not missing:
        return None
    kept = None if force or not dataset.has_requests else dataset.requests
    rows = request_rows(dataset, seed, augmentations).filter(pl.col("split").is_in(missing))
    if sample is not None:
        rows = _sampled(rows, sample, seed)
    with step("simulated requests", total=len(rows)) as running:
        running.note("reading the catalogue")
        redrawn = without = failed = 0
        if user == "attributes":
            spoken = AttributesUser(dataset, seed, noun).request(rows, running.advance)
            requests = _as_requests(rows, [request.text for request in spoken], user)
            redrawn = sum(request.leaked for request in spoken)
            without = sum(not request.conditions for request in spoken)
            if plots:
                teller = PlotUser(dataset, seed)
                told, leaked = _opened(dataset, teller, _tellable(rows, teller, plots, seed), "plot", running)
                requests, redrawn = pl.concat([requests, told]), redrawn + leaked
        else:
            speaker = open_user(user, dataset, seed, model)
            requests, redrawn = _opened(dataset, speaker, rows, user, running)
            if isinstance(speaker, PlotUser):
                without = sum(not speaker.has_something_to_tell(item) for item in requests["target"])
            if isinstance(speaker, RolePlayUser):
                failed = speaker.failed
        running.note(f"{len(requests):,} written")
    dataset.write_requests(requests if kept is None else pl.concat([kept, requests]))
    return FillReport(requests, kept, redrawn, without, user == "llm", failed)


def _as_requests(rows: pl.DataFrame, texts: Sequence[str], source: str) -> pl.DataFrame:
    """`rows` (user, cut, target, split) with what was said for each, as `REQUESTS_SCHEMA`."""
    history, text = pl.lit(None, pl.List(pl.Int32)), pl.Series(texts, dtype=pl.String)
    requests = rows.with_columns(history=history, text=text, source=pl.lit(source))
    return requests.select([pl.col(name).cast(kind) for name, kind in REQUESTS_SCHEMA.items()])


def _sampled(rows: pl.DataFrame, most: int, seed: int) -> pl.DataFrame:
    """At most `most` rows of each split, in their order. A smaller sample is part of a larger one."""
    keys = pl.Series("key", mixed(seed, _SAMPLE, rows["user"], rows["cut"]))
    return rows.with_columns(keys).filter(pl.col("key").rank("ordinal").over("split") <= most).drop("key")


def _tellable(rows: pl.DataFrame, teller: PlotUser, share: float, seed: int) -> pl.DataFrame:
    """A `share` of the training and validation rows, of those of items with something to tell."""
    drawn = pl.Series(uniform(mixed(seed, _PLOTS, rows["user"], rows["cut"])) < share)
    chosen = rows.filter(drawn & (pl.col("split") != "test"))
    return chosen.filter(pl.Series([teller.has_something_to_tell(item) for item in chosen["target"].to_list()]))


def _opened(
    dataset: PreparedDataset, user: SimulatedUser, rows: pl.DataFrame, source: str, running: Step
) -> tuple[pl.DataFrame, int]:
    """Requests that are the openings of conversations with `user`, and how many sentences leaked before them."""
    texts, leaked = list[str](), 0
    for batch in rows.iter_slices(_CALLS_TOGETHER if source == "llm" else _PLOTS_TOGETHER):
        dialogues = dialogues_of(dataset, batch)
        user.speak(dialogues)
        # A key that is not accepted, an address where nobody is: rather said now than after thousands of rows.
        if isinstance(user, RolePlayUser) and user.failed == len(texts) + len(batch) and user.last_error:
            raise UserError(f"The language model answered nothing: {user.last_error}")
        texts += [dialogue.said[0] for dialogue in dialogues]
        leaked += sum(dialogue.leaks for dialogue in dialogues)
        running.note("")
        running.advance(len(batch))
    return _as_requests(rows, texts, source), leaked
