"""Claims about what is told of intents: items, words and sizes are those of the bundle, and the page stays text."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from typer.testing import CliRunner

from latentcrs.base.errors import UserError
from latentcrs.cli.main import app
from latentcrs.data import PreparedDataset
from latentcrs.evaluate.intent_categories import agreement, map_column
from latentcrs.evaluate.intent_words import Corpus, distinctive
from latentcrs.evaluate.intents import IntentsReport, describe_intents, known_items, profiles
from latentcrs.fit.rows import request_rows, training_sequences
from latentcrs.recommend import Bundle, Recommender, load_bundle


@pytest.fixture(scope="module")
def cached(small_movielens_cache: Path) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LATENTCRS_CACHE", str(small_movielens_cache))
        yield


@pytest.fixture(scope="module")
def report(cached: object, recommender: Recommender) -> IntentsReport:
    return describe_intents(recommender.bundle)


def test_shares_are_the_models_own_probabilities(
    report: IntentsReport, recommender: Recommender, small_movielens: Path
) -> None:
    bundle, dataset = recommender.bundle, PreparedDataset(small_movielens)
    rows = request_rows(dataset, "train", bundle.behaviour, recommender.text_encoder)
    with torch.inference_mode():
        q = bundle.inference.log_q(bundle.behaviour.encode_tensor(training_sequences(dataset))).exp().mean(0)
        f = bundle.generative(rows.S, rows.X())[0].exp().mean(0)
    users = [intent.users for intent in report.intents]
    requests = [intent.requests for intent in report.intents]
    np.testing.assert_allclose(users, q.numpy(), atol=1e-5)
    np.testing.assert_allclose(requests, f.numpy(), atol=1e-5)
    assert sum(users) == pytest.approx(1) and sum(requests) == pytest.approx(1)


def test_items_are_known_ones_that_belong_here_more_than_elsewhere(
    report: IntentsReport, recommender: Recommender
) -> None:
    model, titles = recommender.bundle.generative, recommender.bundle.items["title"].to_list()
    known = {titles[v] for v in known_items(model.log_popularity.numpy())}
    with torch.inference_mode():
        g = (model.intent_vectors() @ model.item_vectors().T).numpy()
    above = g - g.mean(0)
    number = {title: v for v, title in enumerate(titles)}
    for intent in report.intents:
        assert set(intent.items) <= known
        belongs = [above[intent.number, number[title]] for title in intent.items]
        assert np.mean(belongs) > above[intent.number].mean()


def test_distances_of_profiles_are_those_of_scores_over_the_catalogue(recommender: Recommender) -> None:
    model = recommender.bundle.generative
    with torch.inference_mode():
        g = (model.intent_vectors() @ model.item_vectors().T).double().numpy()
    g = g - g.mean(0)
    g -= g.mean(1, keepdims=True)
    g /= np.linalg.norm(g, axis=1, keepdims=True)
    rows = profiles(recommender.bundle)
    np.testing.assert_allclose(rows @ rows.T, g @ g.T, atol=1e-4)


def test_words_are_those_said_while_an_intent_was_active() -> None:
    texts = [f"a scary film number {i}" for i in range(40)] + [f"a western film number {i}" for i in range(40)]
    f = np.repeat([[0.9, 0.1], [0.2, 0.8]], 40, axis=0)
    corpus = Corpus(texts, list(range(80)))
    y, y2 = (np.asarray(corpus.counts.T @ weights).T for weights in (f, f * f))
    z = distinctive(y, y2)
    scary, western = corpus.terms.index("scary"), corpus.terms.index("western")
    assert z[0, scary] > 3 and z[1, western] > 3 and z[0, western] < -3
    assert "film" not in corpus.terms


def test_a_word_of_one_item_tells_of_no_intent() -> None:
    texts = ["with a submarine please"] * 30 + ["with a dragon please"] * 30
    assert Corpus(texts, [7] * 30 + list(range(30))).terms == ["dragon"]


def test_names_stay_whole_and_plurals_meet_their_singular() -> None:
    texts = ["Comedies with Tom Hanks", "a comedy with Tom Hanks", "Comedy for my Game Boy Advance"] * 10
    terms = Corpus(texts, list(range(30)), ["Game Boy Advance"]).terms
    assert sorted(terms) == ["Game Boy Advance", "Tom Hanks", "comedy"]


def test_agreement_is_one_where_each_intent_has_a_value_of_its_own() -> None:
    items = pl.DataFrame({"title": [str(i) for i in range(40)], "genre": ["a", "b", "c", "d"] * 10})
    top = np.arange(40).reshape(10, 4).T  # intent j: the items of value j
    found = agreement(items, "genre", top)
    assert found.share == 1
    assert 0.25 < found.shuffled < 0.7


def test_intents_are_told_apart_by_genres_and_not_by_people(report: IntentsReport, recommender: Recommender) -> None:
    assert report.column == "genres"
    bundle = recommender.bundle
    told = {intent.category for intent in report.intents}
    assert len(told) >= 5 and told <= set(bundle.items["genres"].explode())  # which ones is a matter of rounding
    top = np.zeros((2, 5), np.int64)
    with pytest.raises(UserError, match="choose a category column"):
        map_column(bundle.items, bundle.columns, top, "plot")


def test_without_the_data_set_items_and_map_are_left(bundle: Path, tmp_path: Path) -> None:
    loaded: Bundle = load_bundle(bundle)
    loaded.info.dataset.path = str(tmp_path / "gone")
    found = describe_intents(loaded)
    assert "words and sizes are left out" in found.notes[0]
    assert all(intent.items and not intent.words and intent.users is None for intent in found.intents)


def test_another_data_set_is_refused(recommender: Recommender, small_movielens: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(small_movielens, other)
    manifest = json.loads((other / "dataset.json").read_text("utf-8"))
    manifest["checksums"]["items.parquet"] = "0" * 64
    (other / "dataset.json").write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(UserError, match="is no longer the data set that this bundle was trained on"):
        describe_intents(recommender.bundle, other)


def test_the_command_prints_one_intent_and_refuses_a_number_it_does_not_have(cached: object, bundle: Path) -> None:
    told = CliRunner().invoke(app, ["intents", str(bundle), "--intent", "3"])
    assert told.exit_code == 0 and "Intent 3:" in told.output and "Nearest intents" in told.output
    refused = CliRunner().invoke(app, ["intents", str(bundle), "--intent", "99"])
    assert isinstance(refused.exception, UserError) and "0 to 15" in str(refused.exception)


def test_the_command_prints_every_intent_as_json(cached: object, bundle: Path) -> None:
    told = CliRunner().invoke(app, ["intents", str(bundle), "--json", "--split", "test"])
    found = json.loads(told.stdout.splitlines()[-1])
    assert sorted(intent["number"] for intent in found["intents"]) == list(range(16))
    assert found["split"] == "test" and sum(intent["requests"] for intent in found["intents"]) == pytest.approx(1)
