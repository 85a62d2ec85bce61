"""The loop of a shop: what people did goes into the next training, whose bundle takes the place of the one served."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from other_bundle import put
from typer.testing import CliRunner

from brief import SETTINGS
from latentcrs.cli.main import app
from latentcrs.data import PreparedDataset
from latentcrs.serve.service import Service
from latentcrs.serve.swap import BundleWatch
from latentcrs.store.conversations import ConversationStore
from latentcrs.store.events import Event

NEW = {"item_id": "new", "title": "Silicon Hearts", "genres": ["Comedy"], "year": 2031.0}


def run(*words: object) -> str:
    ran = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert ran.exit_code == 0, ran.output
    return ran.output


def test_what_people_did_is_exported_prepared_trained_on_and_served(
    bundle: Path, small_movielens: Path, small_movielens_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTCRS_CACHE", str(small_movielens_cache))
    db, place = tmp_path / "shop.sqlite", shutil.copytree(bundle, tmp_path / "movies")
    service = Service(place, ConversationStore(str(db)))
    trained = PreparedDataset(small_movielens)
    name, (user, other) = trained.info.name, trained.user_ids.head(2).to_list()
    chosen = [*service.recommender.bundle.items["item_id"].head(5).to_list(), "new"]
    service.add_items([NEW])
    for item_id in chosen:
        service.remember("", "ann", item_id, "purchase")
    gone, known = service.history("", user)[0], service.history("", other)[0]
    service.remember("", user, gone, "refuse")
    service.remember("", other, "new", "seen")

    log, items = tmp_path / "log.csv", tmp_path / "items.csv"
    run("export", "events", db, "--dataset", small_movielens, "--out", log)
    run("export", "items", place, "--db", db, "--out", items)
    said = ["--interactions", log, "--items", items, "--name", name]
    told = run("data", "prepare", "own", *said, "--out", tmp_path / "new")
    assert "purchase (4)" in told and "refuse takes away" in told
    prepared = PreparedDataset(tmp_path / "new")
    assert prepared.info.columns == trained.info.columns
    assert set(prepared.user_ids) == {*trained.user_ids, "ann"}
    assert prepared.info.interactions == trained.info.interactions + len(chosen) - 1

    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    run("train", tmp_path / "new", "--out", tmp_path / "next", "--device", "cpu", *settings)
    outcomes: list[str] = []
    watch = BundleWatch(service, 0, outcomes.append)
    put(tmp_path / "next", place)
    assert [watch.look(), watch.look()] == [None, "served"] and outcomes == ["served"]
    assert service.people.trained("", "ann") == chosen
    assert gone not in service.people.trained("", user) and known in service.people.trained("", other)
    assert "new" not in service.people.trained("", other)
    assert service.recommender.bundle.trained_items == len(service.recommender.bundle.items)
    assert service.recommend(user="ann", request="comedy", k=3)


def test_a_log_names_a_data_set_where_the_store_has_several(tmp_path: Path) -> None:
    db = tmp_path / "shop.sqlite"
    store = ConversationStore(str(db))
    refused = CliRunner().invoke(app, ["export", "events", str(db), "--out", str(tmp_path / "log.csv")])
    assert "The store has no events." in str(refused.exception)
    at = datetime(2026, 5, 1, 12, 30, 1, tzinfo=UTC)
    for owner, catalogue, kind in (("a", "films", "like"), ("b", "films", "seen"), ("b", "games", "click")):
        store.add_event(owner, catalogue, "ann", Event(item_id="1", kind=kind, at=at))
    several = CliRunner().invoke(app, ["export", "events", str(db), "--out", str(tmp_path / "log.csv")])
    assert "name one with --catalogue: films, games." in str(several.exception)
    run("export", "events", db, "--owner", "b", "--catalogue", "games", "--out", tmp_path / "log.parquet")
    assert pl.read_parquet(tmp_path / "log.parquet").rows() == [("ann", "1", "click", at)]
