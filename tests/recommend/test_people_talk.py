"""Claims about a recommender that learnt from people's conversations, and about titles in requests."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from latentcrs import train
from latentcrs.data import PreparedDataset
from latentcrs.data.conversations import import_conversations
from latentcrs.recommend import Recommender, load


@pytest.fixture(scope="module")
def talked(
    small_movielens: Path,
    small_movielens_cache: Path,
    shared_data: Callable[..., Path],
    settings: list[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Recommender:
    """A bundle of 250 people's log and 300 conversations."""
    folder = tmp_path_factory.mktemp("talk")
    shutil.copytree(small_movielens, folder / "dataset")
    shutil.copytree(small_movielens_cache / "embeddings", folder / "cache" / "embeddings")
    with (shared_data("redial-train") / "train_data.jsonl").open(encoding="utf-8") as lines:
        (folder / "train_data.jsonl").write_text("".join(islice(lines, 300)), "utf-8")
    import_conversations(folder / "dataset", folder / "train_data.jsonl")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LATENTCRS_CACHE", str(folder / "cache"))
        train(folder / "dataset", folder / "bundle", settings=settings, device="cpu")
    return load(folder / "bundle")


def popular(recommender: Recommender, count: int) -> list[int]:
    """The most chosen items whose titles no other item has."""
    order = np.argsort(-recommender.bundle.generative.log_popularity.numpy(), kind="stable")
    titles = recommender.bundle.items["title"]
    return [int(n) for n in order if (titles == titles[int(n)]).sum() == 1 and " " in titles[int(n)]][:count]


def test_titles_that_are_said_join_the_history_and_are_not_recommended_back(bundle: Path) -> None:
    recommender = load(bundle)
    one, other = popular(recommender, 2)
    titles = recommender.bundle.items["title"]
    request = f"We loved {titles[one]} and {titles[other]}, what should we watch tonight?"
    query = recommender.read(np.zeros(0, np.int64), request, recommender.embed(request))
    assert sorted(query.past) == sorted(query.left_out) == sorted([one, other])
    found = {each.title for each in recommender.recommend(request=request, k=50)}
    assert len(found) == 50 and not found & {titles[one], titles[other]}


def test_who_names_a_few_things_gets_what_is_like_them_before_what_all_people_like(bundle: Path) -> None:
    near, far = load(bundle), load(bundle)
    far.bundle.info.config.model.closeness = 0.0
    titles, gained = near.bundle.items["title"], []
    for number in popular(near, 12):
        request = f"something like {titles[number]}"
        close = near._closeness.to(np.array([number]))
        assert close is not None and close.argmax() == number and close.mean() == pytest.approx(0, abs=1e-3)
        both = (
            [near.find_item(found.title) for found in one.recommend(request=request, k=10)] for one in (near, far)
        )
        gained.append(np.subtract(*(close[near.item_numbers(ids)].mean() for ids in both)))
    assert np.mean(gained) > 0.3 and min(gained) > -0.1
    assert near.recommend(request="a comedy") == far.recommend(request="a comedy")  # where nothing is named


def test_words_of_an_items_text_rank_it_higher(bundle: Path) -> None:
    recommender = load(bundle)
    number = popular(recommender, 30)[-1]
    words = str(recommender.bundle.items["text"][number]).split()
    request = " ".join(word for word in words if word.isalpha() and len(word) > 6)[:200]
    query = recommender.read(np.zeros(0, np.int64), request, recommender.embed(request))
    assert query.bonus is not None and query.bonus.argmax() == number
    assert (query.scores() >= query.scores()[number]).sum() <= 5


def test_what_is_talked_of_and_not_sold_is_known_counts_and_is_never_recommended(talked: Recommender) -> None:
    outside, n = talked.bundle.outside, len(talked.bundle.items)
    assert outside is not None and len(outside) > 100
    reader = talked.bundle.reader
    assert reader is not None and reader.comentions is not None
    told = np.asarray((reader.comentions.C[n:] > 0).sum(1)).ravel()
    thing = int(told.argmax())
    title, year, _ = outside.row(thing)
    request = f"I really liked {title} ({year})"
    assert n + thing in talked.named_in(request)
    query = talked.read(np.zeros(0, np.int64), request, talked.embed(request))
    silent = talked.read(np.zeros(0, np.int64), "I really liked that", talked.embed("I really liked that"))
    assert query.bonus is not None and silent.bonus is not None
    beside = np.flatnonzero(reader.comentions.C[n + thing].toarray().ravel())
    assert query.bonus[beside].mean() > silent.bonus[beside].mean()
    assert title not in {each.title for each in talked.recommend(request=request, k=n)}


def test_people_in_conversations_are_no_users(talked: Recommender, small_movielens: Path) -> None:
    assert talked.bundle.info.dataset.users == PreparedDataset(small_movielens).info.users


def test_intents_shown_are_those_of_what_is_recommended(bundle: Path) -> None:
    recommender = load(bundle)
    query = recommender.read(np.zeros(0, np.int64), "a comedy", recommender.embed("a comedy"))
    numbers, scores = query.top(5)
    posterior = recommender.posterior(query, numbers)
    np.testing.assert_allclose(posterior.sum(1), 1, rtol=1e-4)
    np.testing.assert_allclose(recommender.believed(query, numbers), posterior.mean(0), rtol=1e-5)
    labels = recommender.bundle.intents["label"].to_list()
    for place, found in enumerate(recommender.with_reasons(query, numbers, scores)):
        assert set(found.reason.intents) <= {labels[j] for j in np.argsort(-posterior[place])[:2]}
