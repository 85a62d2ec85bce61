"""Claims about the Python interface: data frames in, a recommender out, and every example of its docstrings."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import latentcrs
from brief import SETTINGS
from latentcrs.data import PreparedDataset
from latentcrs.intent import load_config

Frames = tuple[pl.DataFrame, pl.DataFrame]
MODULES = {
    *("__init__", "base.errors", "converse.open", "data.frames", "data.rules", "estimator"),
    *("hear.open", "recommend.recommender"),
}
"""Modules whose public names are the front door."""
BRIEFER = [*SETTINGS, "model.calibrated=false"]
"""Nothing here is about calibration."""


@pytest.fixture(scope="module")
def frames(small_movielens: Path) -> Frames:
    """A log and a catalogue as a shop has them: of `small_movielens`."""
    dataset = PreparedDataset(small_movielens)
    ids = {
        "user_id": dataset.user_ids.gather(dataset.interactions["user"]),
        "item_id": dataset.items["item_id"].gather(dataset.interactions["item"]),
    }
    log = pl.DataFrame({**ids, **dataset.interactions.select("timestamp", "rating").to_dict()})
    return log, dataset.items.drop("text")


@pytest.fixture(scope="module")
def few(frames: Frames) -> Frames:
    """The choices of eighty people: trained on within seconds."""
    log, items = frames
    people = log["user_id"].unique(maintain_order=True).head(80)
    return log.filter(pl.col("user_id").is_in(people.implode())), items


@pytest.fixture(scope="module")
def brief() -> dict[str, Any]:
    """The settings of `BRIEFER` by keyword."""
    config = load_config(settings=BRIEFER).model_dump()
    found = {name: config[name] for name in ("behaviour", "model", "em")}
    found["model"]["calibrated"] = False  # a dump leaves out what is off
    return found


@pytest.fixture(scope="module")
def cached(small_movielens_cache: Path) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LATENTCRS_CACHE", str(small_movielens_cache))
        yield


@pytest.fixture(scope="module")
def model(few: Frames, brief: dict[str, Any], cached: None) -> latentcrs.Recommender:
    return latentcrs.LatentCRS(**brief, device="cpu").fit(latentcrs.Dataset.from_frames(*few))


def test_what_is_public_can_be_had_and_importing_the_package_imports_no_pytorch() -> None:
    script = (
        "import sys, latentcrs; assert not {'torch', 'polars', 'numpy'} & set(sys.modules);"
        "[getattr(latentcrs, name) for name in latentcrs.__all__]; assert dir(latentcrs) == sorted(latentcrs.__all__)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    with pytest.raises(AttributeError, match="no attribute 'recommended'"):
        latentcrs.recommended  # noqa: B018


def test_every_public_name_has_an_example_that_runs() -> None:
    for name in set(latentcrs.__all__) - {"__version__"}:
        public = getattr(latentcrs, name)
        assert public.__module__.removeprefix("latentcrs.") in MODULES
        assert any(test.examples for test in doctest.DocTestFinder().find(public)), name


@pytest.mark.parametrize("module", sorted(MODULES))
def test_every_example_of_a_docstring_runs(
    module: str,
    model: latentcrs.Recommender,
    few: Frames,
    brief: dict[str, Any],
    cached: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    interactions, items = few
    interactions.write_csv(tmp_path / "log.csv")
    items.with_columns(pl.col(pl.List(pl.String)).list.join("|")).write_csv(tmp_path / "items.csv")
    whole = latentcrs.LatentCRS

    def briefly(**settings: Any) -> latentcrs.LatentCRS:
        return whole(**{**settings, **brief}, device="cpu")

    monkeypatch.setattr(latentcrs, "LatentCRS", briefly)
    names = {
        "latentcrs": latentcrs,
        "Dataset": latentcrs.Dataset,
        "LatentCRS": briefly,
        "interactions": interactions,
        "items": items,
        "folder": tmp_path,
        "settings": BRIEFER,
        "model": model,
        "data": latentcrs.Dataset.from_frames(*few),
    }
    tests = doctest.DocTestFinder(exclude_empty=True).find(
        importlib.import_module(f"latentcrs.{module}".removesuffix(".__init__")), extraglobs=names
    )
    examples = [test for test in tests if test.examples]
    assert examples
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for test in examples:
        assert runner.run(test).failed == 0, test.name


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(lambda frame: frame.lazy(), id="polars, lazy"),
        pytest.param(lambda frame: frame.to_arrow(), id="arrow"),
        pytest.param(lambda frame: frame.to_pandas(), id="pandas"),
        pytest.param(lambda frame: frame.to_pandas().set_index(frame.columns[0]), id="pandas, index"),
    ],
)
def test_every_kind_of_frame_makes_the_same_data_set(
    frames: Frames, shape: Callable[[pl.DataFrame], Any], small_movielens: Path
) -> None:
    made = latentcrs.Dataset.from_frames(*map(shape, frames), item_core=10)
    before = PreparedDataset(small_movielens)
    assert made.interactions.equals(before.interactions) and made.items.equals(before.items)


def test_a_column_of_mixed_values_is_read_as_in_a_file() -> None:
    """pandas keeps what is an id here and a number there as objects."""
    people = [f"u{number}" for number in range(6)]
    log = pd.DataFrame(
        {
            "user_id": np.repeat(people, 5),
            "item_id": [1, "2a", 3.0, "d", 5] * 6,
            "timestamp": pd.Timestamp("2020-01-01"),
        }
    )
    items = pd.DataFrame({"item_id": [1, "2a", "3.0", "d", 5], "title": list("ABCDE"), "price": [1.0, None, 3, 4, 5]})
    made = latentcrs.Dataset.from_frames(log, items)
    assert (made.info.users, made.info.items) == (6, 5) and made.info.columns == {"price": "number"}


def test_what_cannot_be_a_data_set_is_one_sentence(frames: Frames) -> None:
    log, items = frames
    for wrong, sentence in [
        (("log.csv", items), "interactions: a str is no data frame"),
        ((log.drop("item_id"), items), "interactions has no column for the item"),
        ((log, items.clear()), "holds no items"),
        ((log.with_columns(pl.lit("x").alias("item_id")), items), "No row of .* is usable"),
    ]:
        with pytest.raises(latentcrs.UserError, match=sentence):
            latentcrs.Dataset.from_frames(*wrong)
    with pytest.raises(latentcrs.UserError, match=r"mapping: interactions.who: .*a mapping has"):
        latentcrs.Dataset.from_frames(log, items, mapping={"interactions": {"who": "user_id"}})


def test_requests_come_from_a_frame_and_wrong_ones_are_named(frames: Frames) -> None:
    log, _ = frames
    last = log.group_by("user_id", maintain_order=True).last()
    said = last.select("user_id", pl.col("item_id").alias("target"), split=pl.lit("test"), text=pl.lit("a film"))
    made = latentcrs.Dataset.from_frames(*frames, said.head(100).to_pandas())
    assert len(made.requests) == 100 and made.missing_splits == ["train", "valid"]
    with pytest.raises(latentcrs.UserError, match=r"requests:1: user nobody is not in the log"):
        latentcrs.Dataset.from_frames(*frames, said.head(1).with_columns(user_id=pl.lit("nobody")))


def test_a_data_set_goes_with_its_object_unless_it_is_kept(frames: Frames, tmp_path: Path) -> None:
    made = latentcrs.Dataset.from_frames(*frames)
    place, users = made.path, made.info.users
    kept = made.save(tmp_path / "shop")
    assert place.is_dir()
    del made
    assert not place.exists() and kept.info.users == users
    assert latentcrs.Dataset.from_frames(*frames, out=tmp_path / "films").path == tmp_path / "films"


def test_settings_are_those_of_a_preset(brief: dict[str, Any]) -> None:
    assert latentcrs.LatentCRS("paper", em={"epochs": 3}).config == load_config("paper", ["em.epochs=3"])
    for wrong, sentence in [({"em": {"epoch": 3}}, "em.epoch = 3: there is no such setting"), ({"k": 1}, "k = 1")]:
        with pytest.raises(latentcrs.UserError, match=sentence):
            latentcrs.LatentCRS(**wrong)


def test_a_fitted_model_is_the_one_that_train_writes(
    few: Frames, model: latentcrs.Recommender, cached: None, tmp_path: Path
) -> None:
    data = latentcrs.Dataset.from_frames(*few, out=tmp_path / "data")
    latentcrs.train(data.path, tmp_path / "trained", settings=BRIEFER, device="cpu")
    model.save(tmp_path / "saved")
    trained, saved = (latentcrs.load(tmp_path / name) for name in ("trained", "saved"))
    wanted = [(["Toy Story"], "a comedy from the nineties"), ([], "something scary"), (["Alien", "Fargo"], "")]
    for history, request in wanted:
        answers = [one.recommend(history, request, k=20) for one in (model, trained, saved)]
        assert answers[0] == answers[1] == answers[2]
    assert trained.bundle.info.checksums == saved.bundle.info.checksums


def test_many_are_recommended_what_each_is(model: latentcrs.Recommender) -> None:
    histories = [["Toy Story"], [], ["Alien", "Fargo"], ["Babe"], []]
    requests = ["a comedy", "something scary like Alien", "", None, "not Toy Story again"]
    many = model.recommend_many(histories, requests, k=4, exclude=["Heat"])
    for place, (history, request) in enumerate(zip(histories, requests, strict=True)):
        one = model.recommend(history, request or "", k=4, exclude=["Heat"])
        rows = many.filter(pl.col("query") == place)
        assert rows["title"].to_list() == [found.title for found in one]
        assert rows["rank"].to_list() == [1, 2, 3, 4]
        assert rows["score"].to_list() == pytest.approx([found.score for found in one], abs=1e-4)
    assert model.recommend_many([]).is_empty()
    with pytest.raises(latentcrs.UserError, match="2 histories and 1 requests"):
        model.recommend_many([[], []], ["a comedy"])


def test_items_are_meant_by_id_or_by_title(model: latentcrs.Recommender) -> None:
    items = model.bundle.items
    toy_story = items.row(by_predicate=pl.col("title") == "Toy Story", named=True)
    number = items["item_id"].to_list().index(toy_story["item_id"])
    meant = [toy_story["item_id"], int(toy_story["item_id"]), float(toy_story["item_id"]), "toy  STORY"]
    meant.append(f"Toy Story ({toy_story['year']})")
    assert model.find_items(meant).tolist() == [number] * len(meant)
    with pytest.raises(latentcrs.UserError, match="id or title 'Toy Stry'; did you mean 'Toy Story'"):
        model.recommend(["Toy Stry"])
    with pytest.raises(latentcrs.UserError, match=r"history is a list of item ids or titles: \['Heat'\]"):
        model.recommend("Heat")


def test_what_a_stranger_tries_first_works_or_is_told_what_would(model: latentcrs.Recommender, few: Frames) -> None:
    one = model.recommend(["Toy Story"], None, k=2)
    assert one == model.recommend(["Toy Story", "sold out"], k=2, unknown="leave out")
    assert str(one[0]).startswith(f"{one[0].title} [{one[0].item_id}]: ")
    for wrong, sentence in [
        (lambda: latentcrs.LatentCRS().fit(few[0]), r"not a DataFrame: latentcrs.Dataset.from_frames"),
        (lambda: model.recommend(where="year > 1990"), "where is a Rule, .* not 'year > 1990'"),
        (lambda: model.recommend(request=["a comedy"]), "not a list"),
        (lambda: model.recommend(["sold out"]), "no item with the id or title 'sold out'"),
        (lambda: model.recommend([], unknown="skip"), "unknown is 'refuse' or 'leave out', not 'skip'"),
        (lambda: model.recommend_many(["Heat", "Babe"]), r"each of histories is a list"),
    ]:
        with pytest.raises(latentcrs.UserError, match=sentence):
            wrong()


def test_items_that_joined_changed_or_are_hidden_are_saved_so(model: latentcrs.Recommender, tmp_path: Path) -> None:
    model.save(tmp_path / "before")
    grown = latentcrs.load(tmp_path / "before")
    grown.add_items(pl.DataFrame({"item_id": ["new"], "title": ["Toys at War"], "genres": [["Animation", "War"]]}))
    heat = grown.find_items(["Heat"])[0]
    grown.change_items([{"item_id": grown.bundle.items["item_id"][int(heat)], "hidden": True}])
    grown.change_items([{"item_id": grown.find_item("Babe"), "title": "Babe, the Gallant Pig"}])
    grown.save(tmp_path / "after")
    after = latentcrs.load(tmp_path / "after")
    assert after.bundle.trained_items == len(model.bundle.items) == len(after.bundle.items) - 1
    for request in ("an animated war film", "a comedy"):
        assert after.recommend(["Toy Story"], request, k=10) == grown.recommend(["Toy Story"], request, k=10)
    assert after.explain("Toys at War", ["Toy Story"], "war").item_id == "new"
    assert after.hidden == {heat} and after.find_item("Gallant Pig") == grown.find_item("Gallant Pig")
    assert "Heat" not in after.recommend_many([[]], k=len(after.bundle.items))["title"]
