"""Claims about requests that people made: what is asked, what leaves the ranking, and how each system ranks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from latentcrs.base.errors import UserError
from latentcrs.behaviour.comentions import CoMentions
from latentcrs.cli.main import app
from latentcrs.data import PreparedDataset
from latentcrs.evaluate.human_requests import HumanRequest, gather_requests
from latentcrs.evaluate.opened import EvaluationBundle
from latentcrs.evaluate.people import OURS, SAY_BACK, SourceRequests, Systems, evaluate_people, measured
from latentcrs.recommend import Recommender
from latentcrs.systems.ease import EASE, L2, TALK_WEIGHT

TITLES = ["Toy Story", "The Matrix", "Big", "Alien", "Heat", "Speed"]
LOG = ["0 1 2 3", "0 1 3 4", "0 2 3 5", "1 2 3 4", "5 4 2 0"]
"""Each person's items; the last two are for validation and test."""


def turn(speaker: str, text: str, *items: str) -> dict[str, Any]:
    return {"speaker": speaker, "text": text, "items": [{"title": title} for title in items]}


def write(path: Path, *lines: Any) -> Path:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
    return path


TALK = [
    {"id": "b", "turns": [turn("ann", "Like Heat or Solaris?", "Heat", "Solaris"), turn("shop", "Speed!", "Speed")]},
    {"id": "c", "turns": [turn("bob", "Heat again?", "Heat"), turn("shop", "Speed, Alien!", "Speed", "Alien")]},
    {"id": "d", "turns": [turn("cem", "More of Solaris.", "Solaris"), turn("shop", "Big!", "Big")]},
]
DIALOGUE = {
    "turns": [
        turn("dee", "I love Heat and Tampopo.", "Heat", "Tampopo"),
        turn("shop", "Heat is great. Speed, then.", "Heat", "Speed"),
        turn("dee", "More of that?"),
        turn("shop", "Alien. Or Stalker, or Speed again.", "Alien", "Stalker", "Speed"),
    ]
}


@pytest.fixture
def shop(tmp_path: Path) -> PreparedDataset:
    """Six films, five people in the log, three conversations to learn from."""
    log = [f"u{user},{item},{place}" for user, items in enumerate(LOG) for place, item in enumerate(items.split())]
    (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\n" + "\n".join(log) + "\n")
    pl.DataFrame({"item_id": list("012345"), "title": TITLES}).write_csv(tmp_path / "items.csv")
    command = ["data", "prepare", "own", "--interactions", str(tmp_path / "log.csv")]
    command += ["--items", str(tmp_path / "items.csv"), "--core", "1", "--out", str(tmp_path / "shop")]
    command += ["--conversations", str(write(tmp_path / "talk.jsonl", *TALK))]
    assert CliRunner().invoke(app, command, catch_exceptions=False).exit_code == 0
    return PreparedDataset(tmp_path / "shop")


def number(dataset: PreparedDataset, title: str) -> int:
    return [*dataset.items["title"], *dataset.outside["title"]].index(title)


def read(dataset: PreparedDataset, name: str, path: Path, **options: Any) -> list[HumanRequest]:
    return gather_requests(dataset, [f"{name}={path}"], **options)[name]


def test_a_dialogue_asks_for_every_item_that_is_suggested_new_or_again(shop: PreparedDataset, tmp_path: Path) -> None:
    requests = read(shop, "redial", write(tmp_path / "d.jsonl", DIALOGUE))
    titles = shop.items["title"]
    assert [(titles[r.target], r.is_new) for r in requests] == [
        ("Heat", False), ("Speed", True), ("Speed", False), ("Alien", True),
    ]  # fmt: skip
    last = requests[-1]
    assert last.text == "I love Heat and Tampopo. More of that?"
    assert [titles[item] for item in last.named] == ["Heat", "Speed"]
    assert last.titles == 3  # Tampopo is known to nobody, and named all the same
    (both, *_) = reversed(read(shop, "redial", tmp_path / "d.jsonl", context="both"))
    assert both.text == "I love Heat and Tampopo. Heat is great. Speed, then. More of that?"


def test_what_was_named_leaves_the_ranking_of_new_targets_and_saying_it_back_wins_over_all(
    shop: PreparedDataset, tmp_path: Path
) -> None:
    requests = read(shop, "redial", write(tmp_path / "d.jsonl", DIALOGUE))
    put = SourceRequests(Systems(shop, None), requests)
    left_out, left_in = put.ranks(SAY_BACK)
    assert left_in.tolist() == [1, 6, 1, 6]  # what was not named is tied for the last place
    assert left_out.tolist() == [6, 5, 6, 4]  # the named ones stand behind all others
    result = evaluate_people(shop.path, [f"redial={tmp_path / 'd.jsonl'}"]).sources["redial"]
    assert (result.n, result.n_all) == (2, 4)
    assert result.all[SAY_BACK].means["recall@1"] == 0.5
    assert result.group_sizes == {"titles 2": 1, "titles 3+": 1, "words <15": 2}


def test_equal_scores_count_against_the_target(shop: PreparedDataset) -> None:
    requests = [HumanRequest("Anything.", [], [], target, 0) for target in range(6)]
    ranks, _ = SourceRequests(Systems(shop, None), requests).ranks("popularity")
    counts = shop.training_counts
    assert ranks.tolist() == [(counts >= counts[target]).sum() for target in range(6)]


def test_co_mentions_are_scored_as_their_formula_says(shop: PreparedDataset) -> None:
    heat, solaris = number(shop, "Heat"), number(shop, "Solaris")
    assert solaris == 6
    talk = CoMentions.build(shop.mentions, shop.info.items, len(shop.outside))
    (bonus,) = talk.bonus([[heat, solaris]]).toarray()
    # Two conversations name Heat, both with Speed, one with Alien; two name Solaris, with Heat and Speed, and Big.
    share = (talk.suggested + 0.5) / (talk.suggested + 0.5).sum()
    expected = {"Speed": 2 / 22 + 1 / 22, "Alien": 1 / 22, "Big": 1 / 22}
    for title, value in expected.items():
        item = number(shop, title)
        assert bonus[item] == pytest.approx(np.log1p(value / (0.3 * share[item])), abs=1e-5)


def test_ease_solves_its_ridge_regression_over_log_and_conversations(shop: PreparedDataset) -> None:
    def one(things: list[int]) -> list[float]:
        return [float(thing in things) for thing in range(7)]

    log = [one([int(item) for item in items.split()[:-2]]) for items in LOG]
    talked = [one([number(shop, title) for title in titles]) for titles in (
        ["Heat", "Solaris", "Speed"], ["Heat", "Speed", "Alien"], ["Solaris", "Big"],
    )]  # fmt: skip
    X = np.array([*log, *(np.array(talked) * np.sqrt(TALK_WEIGHT))])
    for item in range(6):  # each column by itself: regress it on all others
        others = [thing for thing in range(7) if thing != item]
        A = X[:, others]
        weights = np.linalg.solve(A.T @ A + L2 * np.eye(6), A.T @ X[:, item])
        np.testing.assert_allclose(EASE(shop, with_talks=True).B[others, item], weights, atol=1e-6)


def test_descriptions_lose_their_tags_and_the_title_that_was_added_later(tmp_path: Path) -> None:
    (tmp_path / "ml").mkdir()
    (tmp_path / "ml" / "movies.dat").write_text(
        "7::Total Recall (1990)::Sci-Fi\n8::Big (1988)::Comedy\n9::Heat (1995)::Crime\n"
    )
    rows = [f"{user}::{item}::5::{item}" for user in (1, 2, 3) for item in (7, 8, 9)]
    (tmp_path / "ml" / "ratings.dat").write_text("\n".join(rows) + "\n")
    command = [
        "data",
        "prepare",
        "ml-1m",
        "--from",
        str(tmp_path / "ml"),
        "--core",
        "1",
        "--out",
        str(tmp_path / "D"),
    ]
    assert CliRunner().invoke(app, command, catch_exceptions=False).exit_code == 0
    row = {
        "title": "[TOMT] [Movie][1990s] A man on Mars",
        "text": "A dream.\nEdit: it is total recall!",
        "ml1m_item": "7",
    }
    found = read(
        PreparedDataset(tmp_path / "D"), "tomt", write(tmp_path / "t.jsonl", row, {**row, "ml1m_item": None})
    )
    assert [request.text for request in found] == ["[1990s] A man on Mars A dream. Edit: it is it!"]


def test_suggestions_of_open_dialogues_are_found_by_title_in_the_last_tenth(
    shop: PreparedDataset, tmp_path: Path
) -> None:
    rows = [{"context": [f"Number {n}."], "entity": [], "rec": ["Big"]} for n in range(18)]
    rows += [{"context": ["I saw Heat.", "And Speed?"], "entity": ["Heat", "Al Pacino"], "rec": ["Alien", "Speed"]}]
    rows += [{"context": ["Books?"], "entity": [], "rec": ["Jane Eyre"]}]
    found = read(shop, "opendialkg", write(tmp_path / "o.jsonl", *rows))
    assert [(shop.items["title"][r.target], r.is_new, r.titles) for r in found] == [
        ("Alien", True, 1),
        ("Speed", False, 2),
    ]


def review(item: str, title: str, text: str, time: int) -> dict[str, Any]:
    product = {"title": title, "brand": "Acme", "price": None, "main_category": "Toys"}
    return {"parent_asin": item, "rating": 5.0, "timestamp_ms": time * 1000, "review_full": text, "product": product}


def test_reviews_become_a_log_and_the_newest_one_a_request_without_the_words_of_its_title(tmp_path: Path) -> None:
    people = [
        {
            "user_id": f"u{user}",
            "history": [review(f"{user}{n}", f"Thing {n} {user}", "secretword", n) for n in range(3)],
            "heldout": review(f"{user}9", "Zebra Puzzle", "My kids love this zebra PUZZLE with stripes.", 9),
        }
        for user in range(3)
    ]  # fmt: skip
    again = {
        "user_id": "u0",
        "history": [review("0a", "Older", "secretword", -2)],
        "heldout": review("0b", "Old", "", -1),
    }
    path = write(tmp_path / "training.jsonl", *people, again, {"user_id": "broken"})
    command = ["data", "prepare", "amazon-2023-sample", "--from", str(path), "--out", str(tmp_path / "D")]
    assert CliRunner().invoke(app, command, catch_exceptions=False).exit_code == 0
    dataset = PreparedDataset(tmp_path / "D")
    assert (dataset.info.users, dataset.info.items) == (3, 14)
    assert sum(dataset.info.dropped.values()) == 1
    assert not dataset.items["text"].str.contains("secretword").any()
    (first, *others) = read(dataset, "reviews", path)
    assert len(others) == 2
    assert "zebra" not in first.text.lower() and "puzzle" not in first.text.lower() and "stripes" in first.text
    assert dataset.items["item_id"].gather(first.history).to_list() == ["0a", "0b", "00", "01", "02"]
    assert dataset.items["item_id"][first.target] == "09"


def test_lines_of_your_own_are_asked_where_they_are_for_testing(shop: PreparedDataset, tmp_path: Path) -> None:
    line = {"history": ["4"], "target": "5", "split": "test", "text": "Buses."}
    (request,) = read(shop, "own", write(tmp_path / "own.jsonl", line, {**line, "split": "train"}))
    assert (request.history, request.target, request.text) == ([4], 5, "Buses.")
    with pytest.raises(UserError, match="line 1: the catalogue has no item '99'"):
        read(shop, "own", write(tmp_path / "own.jsonl", {**line, "target": "99"}))
    with pytest.raises(UserError, match="line 1: 'text' is missing"):
        read(shop, "own", write(tmp_path / "own.jsonl", {"history": [], "target": "5", "split": "test"}))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--on", "twitter=x"], "no source 'twitter'"),
        (["--on", "redial"], "wants a path"),
        (["--on", "redial=nowhere"], "does not exist"),
        (["--with", "crm"], "crm needs a bundle"),
        (["--with", "magic"], "no system 'magic'"),
        (["--only", "latentcrs-b"], "no system 'latentcrs-b' here"),
    ],
)
def test_a_mistake_is_one_sentence(
    shop: PreparedDataset, options: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LATENTCRS_DATA", raising=False)
    with pytest.raises(UserError, match=told):
        CliRunner().invoke(app, ["evaluate", "people", str(shop.path), *options], catch_exceptions=False)


def test_a_data_set_alone_prints_json_and_markdown(shop: PreparedDataset, tmp_path: Path) -> None:
    command = ["evaluate", "people", str(shop.path), "--on", f"redial={write(tmp_path / 'd.jsonl', DIALOGUE)}"]
    told = json.loads(CliRunner().invoke(app, [*command, "--json"], catch_exceptions=False).stdout)
    systems = told["sources"]["redial"]["new"]
    assert set(systems) == {"popularity", "suggestions", "co-mention", "ease", "ease-talk", "bm25"}
    assert set(systems["bm25"]["means"]) == {
        "recall@1", "recall@5", "recall@10", "recall@20", "ndcg@5", "ndcg@20",
    }  # fmt: skip
    some = CliRunner().invoke(app, [*command, "--json", "--only", "ease,bm25"], catch_exceptions=False).stdout
    assert set(json.loads(some)["sources"]["redial"]["new"]) == {"ease", "bm25"}
    page = CliRunner().invoke(app, [*command, "--markdown"], catch_exceptions=False).stdout
    assert "| co-mention | " in page and "(GPT-4, recorded)" in page


def test_latentcrs_ranks_a_persons_request_as_it_recommends(
    bundle: Path, small_movielens_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTCRS_CACHE", str(small_movielens_cache))
    opened = EvaluationBundle(bundle, device="cpu")
    systems = Systems(opened.dataset, opened)
    asked, recommender = opened.dataset.requests.filter(pl.col("split") == "test").head(8), Recommender(opened.bundle)
    ids, requests, clear = opened.dataset.items["item_id"], [], []
    for row, text in enumerate(asked["text"]):
        history = [row, row + 20, row + 40]
        first = recommender.recommend(ids.gather(history).to_list(), text, k=4)
        clear.append(min(first[1].score - first[2].score, first[2].score - first[3].score) > 5e-2)
        target = ids.to_list().index(first[2].item_id)
        requests.append(HumanRequest(text, history, history, target, 3))
    # Where two differ in the last digits only, encoding one history or many may swap them.
    ranks = SourceRequests(systems, requests).ranks(OURS)[0].tolist()
    assert [rank for rank, apart in zip(ranks, clear, strict=True) if apart] == [3] * sum(clear) and sum(clear) > 4
    names = ["popularity", "ease", "bm25", "text", "behaviour", OURS, "latentcrs-f"]
    result = measured(systems, requests, names, "own")
    assert result.new[OURS].means["recall@5"] == 1 and not result.new[OURS].p
    assert set(result.new["bm25"].p) == {"recall@5", "recall@20", "ndcg@20"}
    assert "co-mention" not in systems.names()  # no conversation was taken in
