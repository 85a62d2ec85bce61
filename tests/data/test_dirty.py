"""Claims about logs and catalogues with faults: every file of the set `dirty` ends as its README says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from latentcrs.base.errors import UserError
from latentcrs.cli.main import app
from latentcrs.data import PreparedDataset

CLEAN_LOG, CLEAN_ITEMS = "log.csv", "items.csv"
TOGETHER = {"semi_log.csv": "semi_items.csv", "floatid_log.csv": "intid_items.csv", "case_log.csv": "case_items.csv"}
LOGS = (
    *("events.csv", "log.csv", "nested.jsonl", "nohead.csv", "order_num.csv", "r_ten.csv", "repeat.csv", "ties.csv"),
    *("t_compact.csv", "t_eu.csv", "t_slashd.csv", "t_utcname.csv", "tab_log.csv", *TOGETHER),
)
REFUSED = ("nohead.csv", "floatid_log.csv", "case_log.csv")


@dataclass
class Outcome:
    """What `data check` and `data prepare` said of a log and a catalogue."""

    told: dict[str, Any]  # the report of the check; empty where the files could not be read
    notes: str
    error: str | None
    dataset: PreparedDataset | None


@pytest.fixture
def bring(shared_data: Callable[..., Path], tmp_path: Path) -> Callable[..., Outcome]:
    """Checks and prepares a file of the set with the clean other one; both have to say the same."""

    def run(name: str, mapping: str = "", *options: str) -> Outcome:
        folder = shared_data("dirty")
        log = name if name in LOGS else CLEAN_LOG
        items = TOGETHER.get(name, CLEAN_ITEMS) if name in LOGS else name
        files = ["--interactions", str(folder / log), "--items", str(folder / items), *options]
        if mapping:
            (tmp_path / "mapping.toml").write_text(mapping)
            files += ["--mapping", str(tmp_path / "mapping.toml")]
        out = tmp_path / f"out-{len(list(tmp_path.iterdir()))}"
        checked = CliRunner().invoke(app, ["data", "check", *files, "--json"])
        prepared = CliRunner().invoke(app, ["data", "prepare", "own", *files, "--out", str(out), "--json"])
        for ran in (checked, prepared):
            assert ran.exception is None or isinstance(ran.exception, UserError), ran.exception
        assert str(checked.exception) == str(prepared.exception)
        told = json.loads(checked.stdout) if checked.stdout else {}
        if prepared.exception is not None:
            return Outcome(told, "\n".join(told.get("notes", [])), str(prepared.exception), None)
        dataset = PreparedDataset(out)
        info = dataset.info
        assert told["notes"] == info.notes and told["dropped"] == info.dropped and told["refused"] is None
        counted = {"users": info.users, "items": info.items, "interactions": info.interactions}
        assert told["prepared"] == counted
        return Outcome(told, "\n".join(info.notes), None, dataset)

    return run


def all_files() -> list[str]:
    """The files of the set by name, without those that only go with another."""
    return sorted(
        {*LOGS, "dash_price.csv", "eur_price.csv", "items.csv", "json_some.csv", "latin1.csv", "pyrepr.csv"}
        | {"semi_items.csv", "stock.csv", "struct_items.parquet", "tmdb.csv"}
    )


@pytest.mark.parametrize("name", all_files())
def test_check_and_prepare_agree_over_every_file(name: str, bring: Callable[..., Outcome]) -> None:
    outcome = bring(name)
    assert (outcome.error is not None) == (name in REFUSED)
    if outcome.dataset is not None and name not in ("events.csv", "r_ten.csv"):
        # One thing is wrong with each file, and none of it costs a row.
        assert outcome.dataset.info.interactions == 134 and outcome.dataset.info.items == 30


def test_the_set_holds_no_file_that_is_not_tried(shared_data: Callable[..., Path]) -> None:
    present = {path.name for path in shared_data("dirty").iterdir()} - {"README.md", *TOGETHER.values()}
    assert present <= set(all_files())


@pytest.mark.parametrize("name", ["pyrepr.csv", "tmdb.csv", "json_some.csv", "struct_items.parquet"])
def test_lists_in_any_notation_are_their_values(name: str, bring: Callable[..., Outcome]) -> None:
    outcome = bring(name)
    assert outcome.dataset is not None
    genres = outcome.dataset.items["genres"]
    assert outcome.dataset.info.columns["genres"] == "multi-category"
    assert set(genres.explode().drop_nulls()) == {"Action", "Comedy", "Drama", "Horror", "Sci-Fi"}
    assert genres.to_list()[1] == ["Action", "Drama"]
    assert (genres.null_count() > 0) == (name == "json_some.csv")
    assert "genres" in outcome.notes


def test_prices_are_numbers(bring: Callable[..., Outcome]) -> None:
    dash, euro, semicolons = (bring(name) for name in ("dash_price.csv", "eur_price.csv", "semi_items.csv"))
    for outcome in (dash, euro, semicolons):
        assert outcome.dataset is not None and outcome.dataset.info.columns["price"] == "number"
        assert outcome.dataset.items["price"][1] == 6.99
    assert dash.dataset is not None and dash.dataset.items["price"].null_count() == 10
    assert "10 of 30 values only stand for none ('—')" in dash.notes
    assert "commas stand before decimals" in euro.notes and "currencies are taken off (€)" in euro.notes


def test_order_numbers_are_no_positions(bring: Callable[..., Outcome]) -> None:
    assert "column order is not taken for the position: its numbers come back" in bring("order_num.csv").notes


@pytest.mark.parametrize(
    ("name", "first", "said"),
    [
        ("t_eu.csv", 1_599_999_960, "read day first ('13/09/2020 12:26')"),
        ("t_slashd.csv", 1_600_000_000, ""),
        ("t_utcname.csv", 1_600_000_000, ""),
        ("t_compact.csv", 1_599_955_200, "digits are read as a date"),
    ],
)
def test_times_are_read(name: str, first: int, said: str, bring: Callable[..., Outcome]) -> None:
    outcome = bring(name, "[ratings]\nthreshold = 1\n")
    assert outcome.dataset is not None and said in outcome.notes
    assert outcome.dataset.interactions["timestamp"].min() == first
    assert outcome.dataset.interactions["timestamp"].null_count() == 0


def test_the_threshold_follows_the_scale(bring: Callable[..., Outcome]) -> None:
    outcome = bring("r_ten.csv")
    assert outcome.dataset is not None and outcome.dataset.info.threshold == 8
    assert "taken for a scale up to 10; those of 8 and more count as liked" in outcome.notes
    mapped = bring("r_ten.csv", "[ratings]\nthreshold = 5\n").dataset
    assert mapped is not None and mapped.info.threshold == 5


def test_refunds_are_never_likes_and_kinds_are_said(bring: Callable[..., Outcome], shared_data: Any) -> None:
    outcome = bring("events.csv", "", "--user-core", "3")
    assert outcome.dataset is not None and outcome.dataset.info.events == {"cart": 2, "purchase": 4, "view": 1}
    assert "refund takes away earlier cart, purchase, view; remove takes away earlier cart" in outcome.notes
    log = pl.read_csv(shared_data("dirty") / "events.csv", infer_schema=False)
    refunded = log.filter(pl.col("event").is_in(["refund", "remove"])).select("user_id", "item_id")
    kept = outcome.dataset.interactions.select(
        outcome.dataset.user_ids.gather(outcome.dataset.interactions["user"]).alias("user_id"),
        outcome.dataset.items["item_id"].gather(outcome.dataset.interactions["item"]).alias("item_id"),
    )
    assert len(kept) > 50 and len(kept.join(refunded, on=["user_id", "item_id"], how="semi")) == 0
    bought = bring("events.csv", "[events.weights]\npurchase = 3\n", "--user-core", "1")
    assert bought.told["dropped"]["event of a kind that does not count"] > 100


def test_latin_1_is_decoded_and_said(bring: Callable[..., Outcome]) -> None:
    outcome = bring("latin1.csv")
    assert outcome.dataset is not None
    assert "\ufffd" not in "".join(outcome.dataset.items["title"])
    [problem] = outcome.told["problems"]
    assert problem["kind"] == "wrong encoding" and "is read as cp1252" in problem["examples"][0]["detail"]


def test_separators_are_recognised(bring: Callable[..., Outcome]) -> None:
    assert "fields separated by semicolons" in bring("semi_log.csv").notes
    assert "fields separated by tabs" in bring("tab_log.csv").notes


def test_a_missing_header_is_asked_about(bring: Callable[..., Outcome]) -> None:
    outcome = bring("nohead.csv")
    assert "The first line looks like data" in str(outcome.error) and "is there no header?" in str(outcome.error)
    named = bring("nohead.csv", '[interactions]\nheader = ["user_id", "item_id", "rating", "timestamp"]\n')
    assert named.dataset is not None and named.dataset.info.interactions == 134


@pytest.mark.parametrize(
    ("name", "same", "words"),
    [("floatid_log.csv", "number", "all would be without .0"), ("case_log.csv", "case", "without regard to case")],
)
def test_ids_that_nearly_match_are_told_with_the_option(
    name: str, same: str, words: str, bring: Callable[..., Outcome]
) -> None:
    refused = bring(name)
    assert words in str(refused.error) and f"--same-ids {same}" in str(refused.error)
    for outcome in (bring(name, "", "--same-ids", same), bring(name, f'[ids]\nsame = ["{same}"]\n')):
        assert outcome.dataset is not None and outcome.dataset.info.interactions == 134


def test_ties_and_a_file_sorted_by_item_are_warned_of(bring: Callable[..., Outcome]) -> None:
    notes = bring("ties.csv").notes
    assert "100% of the rows have the same time as another row of their user" in notes
    assert "the file is sorted by item" in notes


def test_nested_json_is_read_by_its_fields(bring: Callable[..., Outcome]) -> None:
    notes = bring("nested.jsonl").notes
    assert "nested objects are read as user.id, item.id" in notes and "user is read from column user.id" in notes


def test_repeats_are_kept_where_the_mapping_says_so(bring: Callable[..., Outcome]) -> None:
    once = bring("repeat.csv")
    assert once.dataset is not None and not once.dataset.repeats
    assert once.dataset.info.dropped["repeats a user and item"] == 138 and "keep them" in once.notes
    again = bring("repeat.csv", "[interactions]\nrepeats = true\n")
    assert again.dataset is not None and again.dataset.repeats
    assert again.dataset.info.interactions == 2 * 134
    assert "repeats a user and item" not in again.dataset.info.dropped and "are kept" in again.notes


def test_stock_is_yes_or_no_and_a_number(bring: Callable[..., Outcome]) -> None:
    outcome = bring("stock.csv")
    assert outcome.dataset is not None
    assert (
        outcome.dataset.info.columns["in_stock"] == "category" and outcome.dataset.info.columns["stock"] == "number"
    )
    assert set(outcome.dataset.items["in_stock"]) == {"yes", "no"}
