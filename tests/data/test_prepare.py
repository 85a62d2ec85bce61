"""Claims about preparing a data set: filtering, the k-core, order, numbering, and what is dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import narwhals as nw
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latentcrs.base.errors import UserError
from latentcrs.data import PreparedDataset
from latentcrs.data.core import k_core
from latentcrs.data.dropped import BELOW_THRESHOLD, DUPLICATE, OUTSIDE_CORE, UNKNOWN_ITEM
from latentcrs.data.engine import PolarsEngine
from latentcrs.data.prepare import prepare
from latentcrs.data.raw import RawData, raw_interactions
from latentcrs.data.selection import TOO_SHORT
from latentcrs.data.sources import SOURCES
from latentcrs.data.sources.own import read_own

Row = tuple[str, str, float | None, int | None]


def raw_of(rows: list[Row], items: list[str] | None = None, **options: object) -> RawData:
    """Raw data of (user, item, rating, timestamp) rows; every item has a catalogue row unless `items` says which."""
    schema = {"user_id": pl.String, "item_id": pl.String, "rating": pl.Float64, "timestamp": pl.Int64}
    log = pl.DataFrame(rows, schema=schema, orient="row").with_row_index("line", offset=1)
    ids = items if items is not None else sorted({row[1] for row in rows})
    catalogue = pl.DataFrame({"item_id": ids, "title": [f"Title of {item}" for item in ids]})
    return RawData("rows", "a test", "none", raw_interactions(log.lazy()), catalogue, **options)  # type: ignore[arg-type]


def histories(dataset: PreparedDataset) -> dict[str, list[str]]:
    """user id -> item ids in order."""
    named = dataset.interactions.with_columns(
        dataset.user_ids.gather(dataset.interactions["user"]).alias("who"),
        dataset.items["item_id"].gather(dataset.interactions["item"]).alias("what"),
    )
    return {who: what for (who,), what in ((key, part["what"].to_list()) for key, part in named.group_by("who"))}


def brute_force_core(pairs: set[tuple[int, int]], user_core: int, item_core: int) -> set[tuple[int, int]]:
    while True:
        users, items = Counter(user for user, _ in pairs), Counter(item for _, item in pairs)
        left = {(user, item) for user, item in pairs if users[user] >= user_core and items[item] >= item_core}
        if left == pairs:
            return left
        pairs = left


IDS: dict[str, Callable[[int], int | str]] = {
    "small numbers": lambda number: number,
    "large numbers, one below zero": lambda number: 9_876_543_210 * number - 1,
    "text": lambda number: f"A{number:013}",
}


@pytest.mark.parametrize("held", [True, False], ids=["held in memory", "read in every round"])
@settings(max_examples=60, deadline=None)
@given(
    st.sets(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=60),
    st.integers(1, 5),
    st.integers(1, 5),
    st.sampled_from(sorted(IDS)),
)
def test_the_k_core_is_the_one_that_peeling_by_hand_leaves(
    tmp_path_factory: pytest.TempPathFactory,
    held: bool,
    pairs: set[tuple[int, int]],
    user_core: int,
    item_core: int,
    ids: str,
) -> None:
    engine = PolarsEngine(tmp_path_factory.getbasetemp())
    engine.held = len(pairs) if held else -1
    engine.few = len(pairs) % 7  # joins where more leave at once
    kind = pl.String if ids == "text" else pl.Int64
    rows = [(IDS[ids](user), IDS[ids](item)) for user, item in sorted(pairs)]
    log = pl.LazyFrame(rows, schema={"user": kind, "item": kind}, orient="row")
    users, items = k_core(nw.from_native(log), user_core, item_core, engine)
    expected = brute_force_core(pairs, user_core, item_core)
    for side, found in enumerate((users, items)):
        rows_of = Counter(IDS[ids](pair[side]) for pair in expected)
        assert dict(found.iter_rows()) == rows_of and found.columns[1] == "rows"
        assert found.dtypes == [kind, pl.Int64]


@pytest.mark.parametrize("kind", [pl.Int32, pl.String])
def test_the_core_of_a_real_log_does_not_depend_on_where_its_rows_are(
    kind: type[pl.DataType], shared_data: Callable[..., Path], tmp_path: Path
) -> None:
    """Many rounds, in most of which few leave; two parts at least, and rows let go on the way."""
    raw = read_own(
        *(shared_data("video-games-2018") / f"{part}.parquet" for part in ("interactions", "items")), None, tmp_path
    )
    pairs = raw.interactions.select(pl.col("user_id", "item_id").rank("dense").cast(pl.Int32)).unique()
    log = nw.from_native(pairs.rename({"user_id": "user", "item_id": "item"}).cast(kind).collect().lazy())
    cores = []
    for held in (32_000_000, 0):
        engine = PolarsEngine(tmp_path)
        engine.held = held
        cores.append([side.sort(side.columns[0]) for side in k_core(log, 8, 8, engine)])
    for one, other in zip(*cores, strict=True):
        assert one.equals(other) and len(one) > 0 and one["rows"].min() == 8


def test_movielens_1m_has_the_users_and_items_of_the_paper_s_protocol(
    shared_data: Callable[..., Path], tmp_path: Path
) -> None:
    raw = SOURCES["ml-1m"].read(shared_data("ml-1m"), tmp_path)
    dataset = prepare(raw, tmp_path / "ml-1m").dataset
    # Counted independently (awk over ratings.dat): ratings of 4 and 5 of users with five of them or more.
    assert (dataset.info.users, dataset.info.items, dataset.info.interactions) == (6034, 3533, 575_271)
    assert dataset.info.dropped[BELOW_THRESHOLD] + dataset.info.dropped[OUTSIDE_CORE] + 575_271 == 1_000_208
    log = dataset.interactions
    assert log.equals(log.sort("user", "position"))
    ordered = log.select((pl.col("timestamp").diff().over("user") >= 0).fill_null(True).all()).item()
    assert ordered
    assert dataset.lengths.min() >= 5
    toy_story = dataset.items.row(by_predicate=pl.col("title") == "Toy Story", named=True)
    assert toy_story["year"] == 1995 and "Animation" in toy_story["genres"]
    assert toy_story["director"] == ["John Lasseter"]
    assert "Joss Whedon" in toy_story["writers"]
    assert toy_story["text"].startswith("Toy Story (1995). genres: Animation, Children's, Comedy.")


@pytest.mark.parametrize(
    ("name", "ending", "counts"),
    [("video-games-2018", "parquet", (50_546, 16_859, 440_264)), ("cds-2018", "csv", (2_655, 5_470, 22_506))],
)
def test_real_logs_prepare_as_own_data_without_a_mapping(
    name: str, ending: str, counts: tuple[int, int, int], shared_data: Callable[..., Path], tmp_path: Path
) -> None:
    folder = shared_data(name)
    raw = read_own(folder / f"interactions.{ending}", folder / f"items.{ending}", None, tmp_path)
    info = prepare(raw, tmp_path / name).dataset.info
    assert (info.users, info.items, info.interactions) == counts


def test_preparing_twice_gives_the_same_bytes(shared_data: Callable[..., Path], tmp_path: Path) -> None:
    folder = shared_data("cds-2018")
    checksums = [
        prepare(
            read_own(folder / "interactions.csv", folder / "items.csv", None, tmp_path), tmp_path / name
        ).dataset.info.checksums
        for name in ("once", "again")
    ]
    assert checksums[0] == checksums[1]


def test_history_is_ordered_by_time_then_by_row(tmp_path: Path) -> None:
    rows: list[Row] = [
        ("u", "late", 5, 30),
        ("u", "tied first", 5, 20),
        ("u", "tied second", 5, 20),
        ("u", "early", 5, 10),
        ("u", "no time", 5, None),
    ]
    dataset = prepare(raw_of(rows, item_core=1), tmp_path / "d").dataset
    assert histories(dataset) == {"u": ["no time", "early", "tied first", "tied second", "late"]}
    assert dataset.interactions["position"].to_list() == [0, 1, 2, 3, 4]


def test_users_are_numbered_by_id_numbers_in_their_own_order(tmp_path: Path) -> None:
    rows: list[Row] = [(user, item, 5, 0) for user in ("10", "2", "1") for item in "abcde"]
    dataset = prepare(raw_of(rows), tmp_path / "d", item_core=3).dataset
    assert dataset.user_ids.to_list() == ["1", "2", "10"]


def test_nothing_is_lost_silently(tmp_path: Path) -> None:
    rows: list[Row] = [("u", item, 5, 0) for item in "abcde"]
    rows += [("u", "a", 4, 1), ("u", "ghost", 5, 2), ("u", "f", 2, 3), ("v", "a", 5, 4)]
    raw = raw_of(rows, items=[*"abcdef", "never seen"], item_core=1)
    dataset = prepare(raw, tmp_path / "d").dataset
    assert dataset.info.dropped == {
        UNKNOWN_ITEM: 1,
        BELOW_THRESHOLD: 1,
        DUPLICATE: 1,
        OUTSIDE_CORE: 1,
        "catalogue row without interactions": 2,
    }
    written = pl.read_parquet(tmp_path / "d" / "dropped.parquet").sort("line")
    assert written.select("line", "user_id", "item_id", "reason").rows() == [
        (6, "u", "a", DUPLICATE),
        (7, "u", "ghost", UNKNOWN_ITEM),
    ]
    assert histories(dataset) == {"u": list("abcde")}


def test_of_repeated_rows_the_earliest_is_kept(tmp_path: Path) -> None:
    rows: list[Row] = [("u", "b", 5, 2), ("u", "a", 4, 9), ("u", "a", 5, 1), ("u", "c", 5, 3)]
    dataset = prepare(raw_of(rows), tmp_path / "d", user_core=3, item_core=1).dataset
    assert histories(dataset) == {"u": ["a", "b", "c"]}
    assert dataset.interactions["rating"].to_list() == [5, 5, 5]


def test_a_history_too_short_for_train_valid_and_test_is_dropped_and_counted(tmp_path: Path) -> None:
    rows: list[Row] = [("short", item, 5, 0) for item in "ab"] + [("u", item, 5, 0) for item in "abc"]
    dataset = prepare(raw_of(rows), tmp_path / "d", user_core=1, item_core=1).dataset
    assert dataset.info.dropped == {TOO_SHORT: 2} and dataset.user_ids.to_list() == ["u"]


def test_without_ratings_every_interaction_counts(tmp_path: Path) -> None:
    rows: list[Row] = [("u", item, None, 0) for item in "abcde"]
    dataset = prepare(raw_of(rows, has_ratings=False), tmp_path / "d", threshold=4, item_core=1).dataset
    assert dataset.info.threshold is None and dataset.info.interactions == 5


def test_items_without_a_title_show_their_id(tmp_path: Path) -> None:
    raw = raw_of([("u", item, 5, 0) for item in "abc"])
    items = raw.items.with_columns(title=pl.Series(["Alpha", None, "  "]))
    nameless = RawData("rows", "a test", "none", raw.interactions, items)
    dataset = prepare(nameless, tmp_path / "d", user_core=3, item_core=1).dataset
    assert dataset.items["title"].to_list() == ["Alpha", "b", "c"]
    assert dataset.info.dropped == {"title missing (the id stands in)": 2}


def test_many_small_parts_give_the_same_data_set_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[Row] = [(f"u{n % 37}", f"i{n * 7 % 23}", float(3 + n % 3), n % 11) for n in range(2000)]
    whole = prepare(raw_of(rows), tmp_path / "whole").dataset.interactions
    monkeypatch.setattr("latentcrs.data.engine.ROWS_AT_ONCE", 50)
    parts = prepare(raw_of(rows), tmp_path / "parts").dataset.interactions
    assert parts.equals(whole) and len(whole) > 200


@pytest.mark.parametrize(
    ("options", "message"),
    [({"threshold": 9}, "--threshold 9"), ({"user_core": 50}, "lower --user-core")],
)
def test_when_nothing_is_left_the_error_says_what_to_change(
    options: dict[str, int], message: str, tmp_path: Path
) -> None:
    raw = raw_of([("u", item, 5, 0) for item in "abcde"], item_core=1)
    with pytest.raises(UserError, match=message):
        prepare(raw, tmp_path / "d", **options)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_failing_import_leaves_nothing_behind(tmp_path: Path) -> None:
    def refuse(folder: Path) -> None:
        assert PreparedDataset(folder).info.users == 1
        raise UserError("no")

    with pytest.raises(UserError, match="no"):
        prepare(raw_of([("u", item, 5, 0) for item in "abcde"], item_core=1), tmp_path / "d", finish=refuse)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_something_else_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("three years of work")
    with pytest.raises(UserError, match="holds other files"):
        prepare(raw_of([("u", item, 5, 0) for item in "abcde"], item_core=1), tmp_path)
    assert (tmp_path / "thesis.txt").exists()
