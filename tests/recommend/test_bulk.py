"""Every user's best items in one file: what `Recommender` says to each, whatever stops the run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from typer.testing import CliRunner

from latentcrs.base.errors import UserError
from latentcrs.base.spread import here
from latentcrs.cli.main import app
from latentcrs.data import Histories, PreparedDataset
from latentcrs.recommend import Recommender, best, bulk
from latentcrs.recommend.bulk import recommend_all, user_blocks


@pytest.fixture(scope="module")
def dataset(small_movielens: Path) -> PreparedDataset:
    return PreparedDataset(small_movielens)


@pytest.fixture(scope="module")
def written(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """The file for all users, ten items each."""
    out = tmp_path_factory.mktemp("bulk") / "users.parquet"
    recommend_all(bundle, out, k=10, block=64)
    assert [path.name for path in out.parent.iterdir()] == ["users.parquet"]
    return pl.read_parquet(out)


def history(dataset: PreparedDataset, user: int) -> list[str]:
    return (
        dataset.items["item_id"].gather(dataset.sequence[dataset.offsets[user] : dataset.offsets[user + 1]]).to_list()
    )


def test_every_user_has_one_row_in_order_with_k_items_best_first_and_none_of_the_history(
    written: pl.DataFrame, dataset: PreparedDataset
) -> None:
    assert written["user_id"].to_list() == dataset.user_ids.to_list()
    assert set(written["item_id"].list.len()) == set(written["score"].list.len()) == {10}
    assert set(written["item_id"].list.n_unique()) == {10}
    for user, (item_ids, scores) in enumerate(written.select("item_id", "score").iter_rows()):
        assert scores == sorted(scores, reverse=True)
        assert not set(item_ids) & set(history(dataset, user))


def test_the_rows_are_what_the_recommender_says_to_each_without_a_request(
    written: pl.DataFrame, dataset: PreparedDataset, recommender: Recommender
) -> None:
    longest, shortest = int(dataset.lengths.argmax()), int(dataset.lengths.argmin())
    for user in {0, 63, 64, dataset.info.users - 1, longest, shortest}:
        one_by_one = recommender.recommend(history(dataset, user), "", 10)
        assert written["item_id"][user].to_list() == [answer.item_id for answer in one_by_one]
        assert written["score"][user].to_list() == pytest.approx([answer.score for answer in one_by_one], rel=1e-4)


def test_the_lists_explode_into_one_row_for_each_rank(written: pl.DataFrame) -> None:
    assert len(written.explode("item_id", "score")) == 10 * len(written)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_blocks_hold_the_whole_history_of_each_user_however_the_log_is_cut(
    dataset: PreparedDataset, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "ROWS", 50)
    seen = 0
    for block in user_blocks(dataset, size):
        assert block.first == seen and len(block.user_ids) == len(block.histories) <= size
        for row in range(len(block.histories)):
            start = block.histories.offsets[row]
            items = block.histories.items[start : start + block.histories.lengths[row]]
            user = seen + row
            np.testing.assert_array_equal(items, dataset.sequence[dataset.offsets[user] : dataset.offsets[user + 1]])
        seen += len(block.user_ids)
    assert seen == dataset.info.users


@pytest.mark.parametrize(("items", "tile"), [(50, 16_384), (4000, 16_384), (4000, 1500), (4000, 30), (200, 1)])
@pytest.mark.parametrize("k", [1, 20])
def test_the_best_of_tiles_are_the_best_of_all(
    items: int, tile: int, k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(best.ITEMS_AT_ONCE, "cpu", tile)
    monkeypatch.setitem(best.USERS_AT_ONCE, "cpu", 7)
    draw = np.random.default_rng(items + tile)
    S, V = (torch.from_numpy(draw.normal(size=(n, 8)).astype(np.float32)) for n in (20, items))
    past = Histories.from_lists([draw.integers(0, items, size).tolist() for size in range(0, 200, 10)])
    found, scores, counts = best.best_items(S, V, k, past)
    whole = (S @ V.T).numpy()
    whole[past.pairs()] = -np.inf
    np.testing.assert_array_equal(counts, np.minimum(np.isfinite(whole).sum(1), k))
    order = np.argsort(-whole, axis=1, kind="stable")[:, :k]
    for user, count in enumerate(counts):
        np.testing.assert_array_equal(found[user, :count], order[user, :count])
        np.testing.assert_allclose(scores[user, :count], whole[user, order[user, :count]], rtol=1e-5)


def test_who_has_fewer_items_left_than_k_gets_those(bundle: Path, dataset: PreparedDataset, tmp_path: Path) -> None:
    recommend_all(bundle, tmp_path / "all.parquet", k=10_000)
    lists = pl.read_parquet(tmp_path / "all.parquet")["item_id"]
    left = [dataset.info.items - len(set(history(dataset, user))) for user in range(dataset.info.users)]
    assert lists.list.len().to_list() == left


class Stopped(Exception):
    """What stops a run in a test."""


def stopping_after(blocks: int) -> Callable[..., Iterator[Any]]:
    def spread(open_job: Callable[[], Callable[[Any], Any]], pieces: Iterable[Any]) -> Iterator[Any]:
        for number, result in enumerate(here(open_job, pieces)):
            if number == blocks:
                raise Stopped
            yield result

    return spread


def test_a_stopped_run_leaves_no_file_and_goes_on_where_it_was(
    bundle: Path, written: pl.DataFrame, tmp_path: Path
) -> None:
    out = tmp_path / "users.parquet"
    with pytest.raises(Stopped):
        recommend_all(bundle, out, k=10, block=64, spread=stopping_after(2))
    assert not out.exists()
    done = recommend_all(bundle, out, k=10, block=64)
    assert done.resumed == 128
    assert pl.read_parquet(out).equals(written)
    assert [path.name for path in tmp_path.iterdir()] == ["users.parquet"]


def test_what_a_stopped_run_left_is_not_taken_for_another_k(bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "users.parquet"
    with pytest.raises(Stopped):
        recommend_all(bundle, out, k=10, block=64, spread=stopping_after(2))
    assert recommend_all(bundle, out, k=3, block=64).resumed == 0
    assert set(pl.read_parquet(out)["item_id"].list.len()) == {3}


def test_the_command_writes_the_file_and_says_so(bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "users.parquet"
    ran = CliRunner().invoke(app, ["recommend-all", str(bundle), "--out", str(out), "--k", "3", "--json"])
    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.stdout)
    assert told["users"] == len(pl.read_parquet(out)) and told["k"] == 3 and told["out"] == str(out)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--dataset", "nowhere"], "no longer at nowhere"),
        (["--engine", "abacus"], "There is no engine 'abacus'; choose local or ray"),
        (["--workers", "2"], "--workers wants --engine ray"),
        (["--device", "tpu"], "There is no device 'tpu'"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_sentence(
    bundle: Path, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    ran = CliRunner().invoke(
        app, ["recommend-all", str(bundle), "--out", str(tmp_path / "users.parquet"), *arguments]
    )
    assert isinstance(ran.exception, UserError) and sentence in str(ran.exception)
    assert not any(tmp_path.iterdir())


def test_a_folder_is_no_place_for_the_file(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder"):
        recommend_all(bundle, tmp_path)
