"""Work on Ray's workers: the same results as in one process, in bounded memory, through dead workers."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from latentcrs.base.errors import UserError
from latentcrs.base.spread import Spread, here
from latentcrs.cli.main import app
from latentcrs.data import DatasetInfo, PreparedDataset
from latentcrs.data.dataset import write_manifest
from latentcrs.recommend.bulk import recommend_all
from latentcrs.scale.engine import engine_of
from latentcrs.scale.ray_workers import AHEAD, ray_cluster
from latentcrs.text import embed, missing_texts, open_encoder, warm
from latentcrs.text.cache import EmbeddingCache

WORKERS = 2


@pytest.fixture(scope="module")
def spread() -> Iterator[Spread]:
    """Two workers on a cluster of this machine."""
    with ray_cluster(WORKERS), engine_of("ray", WORKERS, "cpu") as running:
        yield running


def test_every_piece_has_one_result_whoever_does_it(spread: Spread) -> None:
    def open_job() -> Callable[[int], tuple[int, int, int]]:
        return lambda number: (number, number**2, os.getpid())

    found = list(spread(open_job, range(50)))
    assert sorted(row[:2] for row in found) == sorted(row[:2] for row in here(open_job, range(50)))
    processes = {row[2] for row in found}
    assert len(processes) == WORKERS and os.getpid() not in processes


def test_pieces_are_read_only_as_workers_become_free(spread: Spread) -> None:
    read = 0

    def pieces() -> Iterator[int]:
        nonlocal read
        while read < 100:
            read += 1
            yield read

    def open_job() -> Callable[[int], int]:
        return lambda number: number

    for done, _ in enumerate(spread(open_job, pieces()), 1):
        assert read <= done + AHEAD * WORKERS
    assert done == 100


def test_a_worker_that_dies_is_replaced_and_nothing_is_lost(spread: Spread, tmp_path: Path) -> None:
    died = tmp_path / "died"

    def open_job() -> Callable[[int], int]:
        def job(number: int) -> int:
            if number == 7 and not died.exists():
                died.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return number

        return job

    assert sorted(spread(open_job, range(20))) == list(range(20))
    assert died.exists()


def test_a_mistake_found_on_a_worker_is_the_same_sentence_here(spread: Spread, tmp_path: Path) -> None:
    def open_job() -> Callable[[int], int]:
        raise UserError("this cannot be opened.")

    with pytest.raises(UserError, match=r"^this cannot be opened\.$"):
        list(spread(open_job, range(3)))


def test_workers_that_ray_does_not_have_are_refused(spread: Spread) -> None:
    with pytest.raises(UserError, match="too few for 99 workers"), engine_of("ray", 99, "cpu"):
        pass


def test_workers_that_this_machine_does_not_have_are_refused_before_ray_starts() -> None:
    with pytest.raises(UserError, match="processors, too few for 9999 workers"), engine_of("ray", 9999, "cpu"):
        pass


def test_all_users_get_the_same_file_from_ray_as_from_one_process(
    bundle: Path, tmp_path: Path, spread: Spread
) -> None:
    recommend_all(bundle, tmp_path / "here.parquet", k=10, block=40)
    recommend_all(bundle, tmp_path / "ray.parquet", k=10, block=40, spread=spread)
    assert (tmp_path / "ray.parquet").read_bytes() == (tmp_path / "here.parquet").read_bytes()


def test_texts_get_the_same_vectors_from_ray_and_only_those_that_are_missing_are_encoded(
    small_movielens: Path, small_movielens_cache: Path, tmp_path: Path, spread: Spread
) -> None:
    texts = PreparedDataset(small_movielens).items["text"].to_list()[:60]
    encoder = open_encoder("minilm", "cpu")
    one_process = embed(texts, encoder, small_movielens_cache / "embeddings")
    assert warm(texts[:20], encoder, cache=tmp_path) == 20  # what a stopped run left
    assert missing_texts(texts, encoder, tmp_path) == texts[20:]
    opener = partial(open_encoder, "minilm", "cpu")
    assert warm(texts, encoder, spread, opener, tmp_path) == 40
    store = EmbeddingCache(encoder.id, tmp_path)
    assert len(store) == 60
    store.close()
    on_ray = embed(texts, open_encoder("minilm", "cpu"), tmp_path)
    assert (one_process * on_ray).sum(1).min() > 0.99
    np.testing.assert_allclose(on_ray, one_process, atol=2e-2)  # bfloat16 or int8, in other batches


def test_both_commands_run_on_ray(
    bundle: Path, tmp_path: Path, spread: Spread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTCRS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "dataset"
    folder.mkdir()
    items = {"item_id": ["a", "b", "c"], "title": ["A", "B", "C"], "text": ["a comedy", None, "a western"]}
    pl.DataFrame(items).write_parquet(folder / "items.parquet")
    write_manifest(
        folder,
        DatasetInfo(
            name="tiny", source="", terms="", command="", threshold=None, core=1, users=1, items=3, interactions=3,
            columns={},
        ),
    )  # fmt: skip
    engine = ["--engine", "ray", "--workers", str(WORKERS), "--device", "cpu", "--json"]
    embedded = CliRunner().invoke(app, ["embed", str(folder), *engine], catch_exceptions=False)
    assert embedded.exit_code == 0, embedded.output
    assert {"encoded": 3, "width": 384}.items() <= json.loads(embedded.stdout).items()
    out = tmp_path / "users.parquet"
    ranked = CliRunner().invoke(
        app, ["recommend-all", str(bundle), "--out", str(out), *engine], catch_exceptions=False
    )
    assert ranked.exit_code == 0, ranked.output
    assert json.loads(ranked.stdout)["users"] == len(pl.read_parquet(out)) > 0


def test_another_model_on_a_worker_is_refused_by_name(tmp_path: Path, spread: Spread) -> None:
    opener = partial(open_encoder, "http://127.0.0.1:9/v1#other")
    with pytest.raises(UserError, match="A worker has another model by this name: other-"):
        warm(["a film"], open_encoder("minilm", "cpu"), spread, opener, tmp_path)
