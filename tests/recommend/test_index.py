"""Claims about the item index: exact, whatever share of the items may be returned, or near to it where it says so."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import latentcrs
from latentcrs.base.checkpoint import load_tensors, save_tensors
from latentcrs.base.errors import UserError
from latentcrs.base.files import sha256_of
from latentcrs.recommend import Recommender, load_bundle
from latentcrs.recommend.index import GATHER_BELOW, GATHER_HALF_BELOW, MULTIPLE, ItemIndex, Kind, best, kind_for
from latentcrs.recommend.index_lists import NearLists, joined

Floats = NDArray[np.float32]
EXACT: list[Kind] = ["full", "half"]


def halved(vectors: Floats) -> Floats:
    """As half precision keeps them."""
    return vectors.astype(np.float16).astype(np.float32)


def by_sorting(
    vectors: Floats, query: Floats, k: int, passing: NDArray[np.bool_], bonus: Floats | None = None
) -> tuple[list[int], Floats]:
    scores = vectors @ query + (0 if bonus is None else bonus)
    order = [int(item) for item in np.argsort(-scores, kind="stable") if passing[item]][:k]
    return order, scores[order]


@pytest.mark.parametrize("kind", EXACT)
@settings(max_examples=100, deadline=None)
@given(
    n=st.integers(1, 300),
    width=st.integers(1, 33),
    k=st.integers(1, 40),
    share=st.floats(0, 1),
    seed=st.integers(0, 999),
)
def test_the_top_is_what_sorting_every_score_gives(
    kind: Kind, n: int, width: int, k: int, share: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    vectors, query = (rng.normal(size=shape).astype(np.float32) for shape in ((n, width), width))
    index = ItemIndex.build(vectors, kind)
    kept = halved(vectors) if kind == "half" else vectors
    bonus = rng.integers(0, 3, n).astype(np.float32)
    everything = np.ones(n, bool)
    # Once as drawn, once with few enough that they are gathered.
    for passing in (rng.random(n) < share, rng.random(n) < share * GATHER_BELOW, everything, None):
        for added in (None, bonus):
            items, scores = index.top(query, k, passing, added)
            order, expected = by_sorting(kept, query, k, everything if passing is None else passing, added)
            # By their scores rather than by name: of two that are nearly equal, rounding chooses the first.
            assert len(set(items.tolist())) == len(items) == len(order)
            assert passing is None or passing[items].all()
            plus = 0 if added is None else added[items]
            assert scores == pytest.approx(kept[items] @ query + plus, rel=1e-4, abs=1e-5)
            assert scores == pytest.approx(expected, rel=1e-4, abs=1e-5)
    assert index.scores(query) == pytest.approx(kept @ query, rel=1e-4, abs=1e-5)
    assert index.rows(np.array([n - 1]))[0, :width].tolist() == kept[n - 1].tolist()


@pytest.mark.parametrize("share", [0.001, 0.1, GATHER_HALF_BELOW, 0.5, 0.97, 0.9999, 1.0])
def test_half_precision_is_exact_on_every_way_that_it_takes(share: float) -> None:
    rng = np.random.default_rng(0)
    vectors, query = (rng.normal(size=shape).astype(np.float32) for shape in ((20_000, 20), 20))
    index, passing = ItemIndex.build(vectors, "half"), rng.random(20_000) < share
    assert index.vectors.dtype == np.float16 and index.vectors.shape[1] % MULTIPLE == 0
    items, scores = index.top(query, 100, passing)
    order, expected = by_sorting(halved(vectors), query, 100, passing)
    assert sorted(items.tolist()) == sorted(order)
    assert scores == pytest.approx(expected, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("count", [11, 12, 13])
def test_both_sides_of_the_border_between_gathering_and_searching_agree(count: int) -> None:
    rng = np.random.default_rng(0)
    vectors, query = (rng.normal(size=shape).astype(np.float32) for shape in ((100, 4), 4))
    passing = np.zeros(100, bool)
    passing[rng.permutation(100)[:count]] = True
    items, _ = ItemIndex.build(vectors).top(query, 50, passing)
    assert items.tolist() == by_sorting(vectors, query, 50, passing)[0]
    assert len(items) == count


@pytest.mark.parametrize("kind", [*EXACT, "lists"])
def test_nothing_that_passes_gives_nothing(kind: Kind) -> None:
    vectors = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    for bonus in (None, np.ones(20, np.float32)):
        nothing = ItemIndex.build(vectors, kind).top(np.ones(3, np.float32), 5, np.zeros(20, bool), bonus)
        assert [len(part) for part in nothing] == [0, 0]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(1, 70))
def test_of_equals_those_come_that_come_first(scores: list[int], k: int) -> None:
    array = np.array(scores, np.float32)
    assert best(None, array, k, None)[0].tolist() == np.argsort(-array, kind="stable")[:k].tolist()


def test_the_kind_follows_the_size() -> None:
    assert [kind_for(*size) for size in ((3_500, 385), (1_000_000, 64), (10_000_000, 64))] == [
        "full",
        "half",
        "lists",
    ]


def test_numbers_too_large_for_half_precision_are_kept_whole() -> None:
    vectors = np.array([[70_000.0], [69_999.0]], np.float32)
    assert ItemIndex.build(vectors, "half").top(np.ones(1, np.float32), 2)[1].tolist() == [70_000.0, 69_999.0]


@pytest.fixture(scope="module")
def real(recommender: Recommender) -> tuple[Floats, Floats]:
    """Some 670 real films thirty times each with noise, and what real sentences ask of them."""
    rng, vectors = np.random.default_rng(0), recommender.bundle.index.rows(np.arange(len(recommender.bundle.items)))
    copies = vectors[rng.integers(0, len(vectors), 20_000)]
    copies += 0.3 * vectors.std(0) * rng.standard_normal(copies.shape, np.float32)
    said = [
        "a comedy",
        "something scary",
        "war",
        "for the children",
        "an old western",
        "romance",
        "space",
        "a musical",
    ]
    histories = [recommender.item_numbers(recommender.bundle.items["item_id"][at : at + 5]) for at in range(8)]
    X = recommender.text_encoder.encode(said)
    return copies, np.stack([query.vector for query in recommender.read_many(histories, said, X)])


@pytest.fixture(scope="module")
def lists(real: tuple[Floats, Floats]) -> ItemIndex:
    return ItemIndex.build(real[0], "lists")


def recall(index: ItemIndex, real: tuple[Floats, Floats], passing: NDArray[np.bool_] | None) -> float:
    vectors, queries = real
    every = np.ones(len(vectors), bool)
    found = [
        len(
            np.intersect1d(
                index.top(q, 50, passing)[0], by_sorting(vectors, q, 50, every if passing is None else passing)[0]
            )
        )
        for q in queries
    ]
    return float(np.mean(found)) / 50


@pytest.mark.parametrize("share", [None, 0.02, 0.2, 0.7])
def test_lists_find_nearly_all_of_the_true_top_of_real_vectors(
    lists: ItemIndex, real: tuple[Floats, Floats], share: float | None
) -> None:
    passing = None if share is None else np.random.default_rng(1).random(len(real[0])) < share
    assert recall(lists, real, passing) > 0.95


def test_lists_answer_with_scores_that_are_right_and_items_that_pass(
    lists: ItemIndex, real: tuple[Floats, Floats]
) -> None:
    vectors, queries = real
    passing = np.random.default_rng(2).random(len(vectors)) < 0.5
    items, scores = lists.top(queries[0], 50, passing)
    assert passing[items].all() and len(items) == 50 and (np.diff(scores) <= 0).all()
    assert scores == pytest.approx(vectors[items] @ queries[0], rel=0.01, abs=0.02)


@pytest.mark.parametrize("k", [1, 50, 20_000])
def test_lists_are_read_as_comparing_their_items_one_by_one_would(
    lists: ItemIndex, real: tuple[Floats, Floats], k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many threads at once as there are queries, each with a history of its own that is not to come back."""
    monkeypatch.setattr("latentcrs.recommend.index.GATHERED", 0)  # else so few items are compared one by one
    vectors, queries = real
    assert lists.lists is not None
    near: NearLists = lists.lists

    def compared(query: Floats) -> bool:
        history = lists.top(query, 30)[0][::3]
        passing = np.ones(len(vectors), bool)
        passing[history] = False
        looked_into = np.isin(np.arange(len(near.centres)), near.near(query, min(k + len(history), len(vectors))))
        of_list = np.repeat(np.arange(len(near.centres)), np.diff(near.starts))
        there = passing & looked_into[of_list][near.rows]
        items, scores = lists.top(query, k, passing)
        order, expected = by_sorting(halved(vectors), query, k, there)
        assert there[items].all() and len(items) == len(order) == len(set(items.tolist()))
        return bool(np.allclose(scores, expected, rtol=1e-4, atol=1e-4))

    with ThreadPoolExecutor(len(queries)) as threads:
        assert all(threads.map(compared, np.repeat(queries, 3, axis=0)))


def test_what_the_query_likes_may_all_be_forbidden(lists: ItemIndex, real: tuple[Floats, Floats]) -> None:
    vectors, queries = real
    scores = vectors @ queries[0]
    passing = scores < np.quantile(scores, 0.4)
    items, found = lists.top(queries[0], 50, passing)
    assert len(items) == 50 and passing[items].all()
    assert found.mean() > np.quantile(scores[passing], 0.9)  # not the true top, yet far up


def test_lists_are_exact_where_a_bonus_is_given(lists: ItemIndex, real: tuple[Floats, Floats]) -> None:
    vectors, queries = real
    bonus = 5 * (np.random.default_rng(3).random(len(vectors)) < 0.1).astype(np.float32)
    items, _ = lists.top(queries[0], 50, None, bonus)
    assert sorted(items.tolist()) == sorted(
        by_sorting(halved(vectors), queries[0], 50, np.ones(len(vectors), bool), bonus)[0]
    )


def test_every_item_is_in_one_list(lists: ItemIndex) -> None:
    assert lists.lists is not None
    near: NearLists = lists.lists
    assert np.sort(near.items).tolist() == list(range(20_000))
    assert near.items[near.rows].tolist() == list(range(20_000))
    assert near.starts[0] == 0 and near.starts[-1] == 20_000
    assert joined(np.array([3, 9]), np.array([5, 10])).tolist() == [3, 4, 9]


@pytest.mark.parametrize("kind", ["full", "half", "lists"])
def test_a_saved_index_comes_back_the_same_and_stays_in_its_file(tmp_path: Path, kind: Kind) -> None:
    rng = np.random.default_rng(0)
    vectors, query = (rng.normal(size=shape).astype(np.float32) for shape in ((3000, 20), 20))
    built = ItemIndex.build(vectors, kind)
    built.save(tmp_path / "index.faiss")
    loaded = ItemIndex.load(tmp_path / "index.faiss")
    assert loaded.kind == built.kind == kind
    assert loaded.vectors.tolist() == built.vectors.tolist()
    assert loaded.top(query, 9)[0].tolist() == built.top(query, 9)[0].tolist()
    assert "index.faiss" in Path("/proc/self/maps").read_text()
    (tmp_path / "index.faiss").unlink()  # a newer one takes its name while this one is searched
    assert loaded.top(query, 9)[0].tolist() == built.top(query, 9)[0].tolist()


def test_an_index_of_another_kind_is_refused_in_a_sentence(tmp_path: Path) -> None:
    other = faiss.IndexFlatL2(4)
    faiss.write_index(other, str(tmp_path / "other.faiss"))
    with pytest.raises(UserError, match=r"another kind .*train again\.$"):
        ItemIndex.load(tmp_path / "other.faiss")
    (tmp_path / "broken.faiss").write_bytes(b"IxFI nothing more")
    with pytest.raises(UserError, match="no index that can be read"):
        ItemIndex.load(tmp_path / "broken.faiss")


def test_lists_of_another_index_are_refused_and_those_of_an_older_one_removed(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(300, 20)).astype(np.float32)
    path, lists = tmp_path / "index.faiss", tmp_path / "index.lists.safetensors"
    ItemIndex.build(vectors, "lists").save(path)
    shutil.copy(lists, tmp_path / "kept")
    ItemIndex.build(vectors[:200], "half").save(path)
    assert not lists.exists() and ItemIndex.load(path).kind == "half"
    shutil.copy(tmp_path / "kept", lists)
    with pytest.raises(UserError, match="belongs to another index"):
        ItemIndex.load(path)
    ItemIndex.build(vectors, "lists").save(path)
    tensors, _ = load_tensors(lists)
    tensors["starts"][1] = 301  # would be read beyond its end
    save_tensors(lists, tensors, {})
    with pytest.raises(UserError, match="belongs to another index"):
        ItemIndex.load(path)


@pytest.mark.parametrize("kind", ["half", "lists"])
def test_a_bundle_with_the_index_of_a_large_catalogue_recommends_the_same(
    bundle: Path, recommender: Recommender, tmp_path: Path, kind: Kind
) -> None:
    grown = tmp_path / "grown"
    shutil.copytree(bundle, grown)
    every = np.arange(len(recommender.bundle.items))
    for name, vectors in (
        ("index.faiss", recommender.bundle.index.rows(every)),
        ("behaviour.faiss", recommender.bundle.generative.V.numpy()),
    ):
        ItemIndex.build(vectors, kind).save(grown / name)
    manifest = json.loads((grown / "bundle.json").read_text())
    manifest["checksums"] = {path.name: sha256_of(path) for path in grown.iterdir() if path.name != "bundle.json"}
    (grown / "bundle.json").write_text(json.dumps(manifest))
    assert load_bundle(grown).index.kind == kind
    large = latentcrs.load(grown, text_encoder=recommender.text_encoder)
    history = recommender.bundle.items["item_id"].head(4).to_list()
    for request in ("a comedy for the whole family", ""):
        ours, theirs = (one.recommend(history, request, 10) for one in (large, recommender))
        assert len({a.item_id for a in ours} & {b.item_id for b in theirs}) >= 9
        assert ours[0].reason == theirs[0].reason
