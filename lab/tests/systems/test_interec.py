"""Claims about InteRecAgent: plans do what they say, a critic may send one back, and a bad plan costs no answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from numpy.typing import NDArray
from prompted_stubs import Scripted, answered, by_behaviour, dialogue, opened, requests_of, titles

from latentcrs.data import Histories, PreparedDataset
from latentcrs.data.ranking import ranks_of_scores
from latentcrs.hear import Hearer
from latentcrs.llm import ModelError
from latentcrs.llm.local_model import LocalModel
from latentcrs.llm.schema import strict_schema
from latentcrs.recommend import Recommender
from latentcrs_lab.systems.interec import InteRecAgent
from latentcrs_lab.systems.interec.demonstrations import Demonstrations
from latentcrs_lab.systems.interec.plan import Plans

GOOD = {"good": True, "advice": ""}
PREFERENCE = {"tool": "rank", "by": "preference", "prefer": [], "unwanted": []}


def condition(column: str, op: str, *value: Any) -> dict[str, Any]:
    return {"column": column, "op": op, "value": list(value)}


def plan(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"steps": list(steps)}


def filtered(*conditions: dict[str, Any]) -> dict[str, Any]:
    return {"tool": "filter", "where": list(conditions)}


def agent(small_movielens: Path, recommender: Recommender, *plans: Any) -> tuple[InteRecAgent, Scripted]:
    """The agent with a model that makes these plans in turn, and a critic that is content."""
    waiting = list(plans)
    model = Scripted({"interec plan": lambda _: waiting.pop(0), "interec critic": GOOD})
    return opened(InteRecAgent, small_movielens, recommender, model), model


def has(column: str, *values: str) -> pl.Expr:
    """How many of the values an item lists in a column."""
    return pl.col(column).fill_null([]).list.set_intersection(list(values)).list.len()


@pytest.mark.parametrize(
    ("conditions", "passes"),
    [
        ([condition("genres", "any", "Comedy", "Horror")], has("genres", "Comedy", "Horror") > 0),
        ([condition("genres", "all", "Comedy", "Romance")], has("genres", "Comedy", "Romance") == 2),
        (
            [condition("year", "between", 1980, 1989), condition("genres", "not", "Drama", "Action")],
            pl.col("year").is_between(1980, 1989) & (has("genres", "Drama", "Action") == 0),
        ),
        ([condition("year", "between", 1999)], pl.col("year") == 1999),
        ([condition("year", "not between", 1996, 1980)], ~pl.col("year").is_between(1980, 1996)),
        ([condition("director", "any", "Spielberg")], has("director", "Steven Spielberg") > 0),
        ([condition("director", "not", "Spielberg")], has("director", "Steven Spielberg") == 0),
        ([condition("certificate", "any", "G")], pl.col("certificate") == "G"),
        (
            [condition("text", "any", "spaceship")],
            pl.col("text").str.to_lowercase().str.contains(r"\bspaceships?\b"),
        ),
    ],
)
def test_a_filter_keeps_what_meets_its_conditions(
    small_movielens: Path, recommender: Recommender, conditions: list[dict[str, Any]], passes: pl.Expr
) -> None:
    system, _ = agent(small_movielens, recommender, plan(filtered(*conditions), PREFERENCE))
    talk = dialogue(system, "please")
    keeps = system.dataset.items.select(passes.fill_null(False)).to_series().to_numpy()
    expected = [item for item in by_behaviour(system, talk) if keeps[item]]
    assert 0 < len(expected) < len(keeps) - len(talk.history)
    assert answered(system, talk)[: len(expected)] == expected[:5]
    assert f"{len(expected)} candidates are left" in system.words(talk)


def test_similar_items_are_ranked_by_how_similar_they_are(small_movielens: Path, recommender: Recommender) -> None:
    steps = [
        {"tool": "similar", "to": ["Star Wars: A New Hope", "No Such Film"]},
        {"tool": "rank", "by": "similarity", "prefer": [], "unwanted": []},
    ]
    system, _ = agent(small_movielens, recommender, plan(*steps))
    talk = dialogue(system, "something like Star Wars")
    items, model = system.dataset.items, recommender.bundle.generative
    seed = items["title"].to_list().index("Star Wars: Episode IV - A New Hope")
    both = [torch.nn.functional.cosine_similarity(each, each[seed], dim=1) for each in (model.V, model.T)]
    alike = ((both[0] + both[1]) / 2).detach().numpy()
    open_items = [item for item in np.argsort(-alike).tolist() if item in set(by_behaviour(system, talk)) - {seed}]
    assert answered(system, talk) == open_items[:5]
    report = system.report()
    assert (report["titles"], report["match_rate"], report["used: similar"]) == (2, 0.5, 1)


def test_ranking_hears_what_is_preferred_unwanted_and_popular(
    small_movielens: Path, recommender: Recommender
) -> None:
    T = recommender.bundle.generative.T.numpy()

    def behaviour(histories: Histories) -> NDArray[np.float32]:
        """More of what came last, (B, n): one that a single item surely changes, as a brief training may not."""
        newest = [int(histories[slice(row, row + 1)].pairs()[1][-1]) for row in range(len(histories))]
        return T[newest] @ T.T

    waiting: list[Any] = []
    model = Scripted({"interec plan": lambda _: waiting.pop(0), "interec critic": GOOD})
    system = InteRecAgent(PreparedDataset(small_movielens), recommender, behaviour, model)
    talk = dialogue(system, "please")
    best = by_behaviour(system, talk)
    liked, unwanted = best[-1], best[0]
    rank = {"tool": "rank", "prefer": titles(system, [liked]), "unwanted": titles(system, [unwanted])}
    waiting += [plan(rank | {"by": "preference"}), plan(PREFERENCE | {"by": "popularity"})]
    scores = behaviour(Histories.from_lists([[*talk.history.tolist(), liked]]))[0]
    allowed = [item for item in best if item not in (liked, unwanted)]
    first = answered(system, talk, "more")
    assert first == sorted(allowed, key=lambda item: -scores[item])[:5] != allowed[:5]
    counts = system.dataset.training_counts
    most = sorted((-counts[item], item) for item in best if item not in first)
    assert [-counts[item] for item in answered(system, talk)] == [count for count, _ in most[:5]]


def test_a_query_changes_nothing_and_its_answer_is_kept(small_movielens: Path, recommender: Recommender) -> None:
    query = {"tool": "query", "titles": ["Matrix, The"], "where": [condition("genres", "any", "Western")]}
    system, model = agent(small_movielens, recommender, plan(query, PREFERENCE))
    talk = dialogue(system, "what is The Matrix about?")
    westerns = int(system.dataset.items["genres"].list.contains("Western").sum())
    assert answered(system, talk) == by_behaviour(system, talk)[:5]
    assert "The Matrix | 1999 |" in system.words(talk) and f"{westerns} items, such as" in system.words(talk)
    assert "- query genres: Western; Matrix, The: The Matrix | 1999 |" in model.prompts("interec critic")[0]


def test_the_critic_sends_a_plan_back_once(small_movielens: Path, recommender: Recommender) -> None:
    drama, comedy = (plan(filtered(condition("genres", "any", genre)), PREFERENCE) for genre in ("Drama", "Comedy"))
    system, model = agent(small_movielens, recommender, drama, comedy)
    model.says["interec critic"] = {"good": False, "advice": "Filter by comedy."}
    talk = dialogue(system, "a comedy")
    genres = system.dataset.items["genres"].to_list()
    assert all("Comedy" in genres[item] for item in answered(system, talk))
    assert [call.purpose for call, _ in model.asked] == ["interec plan", "interec critic", "interec plan"]
    first, second = model.prompts("interec plan")
    assert "was not good enough" not in first and second.splitlines()[-2] == "why: Filter by comedy."
    assert "- filter genres: Drama: " in second and "- rank by preference" in second
    assert system.report()["sent_back"] == 1 and system.tokens(talk) == (30, 6)


@pytest.mark.parametrize(
    ("made", "counted"),
    [
        (plan(), "empty_plans"),
        ("not a plan", "invalid_plans"),
        (plan({"tool": "dance"}), "invalid_plans"),
        (
            plan(
                filtered(condition("year", "between", 1990)),
                filtered(condition("year", "not between", 1990, 1991)),
                PREFERENCE,
            ),
            "nothing_left",
        ),
        (plan(filtered(condition("actors", "any", "Nobody At All")), PREFERENCE), "nothing_left"),
    ],
)
def test_a_plan_that_comes_to_nothing_leaves_behaviour(
    small_movielens: Path, recommender: Recommender, made: Any, counted: str
) -> None:
    system, _ = agent(small_movielens, recommender, made, made)  # an invalid one is asked for twice
    talk = dialogue(system, "please")
    assert answered(system, talk) == by_behaviour(system, talk)[:5]
    report = system.report()
    names = ("empty_plans", "invalid_plans", "nothing_left")
    assert {name: report[name] for name in names} == {name: float(name == counted) for name in names}


def test_a_failing_model_is_counted_and_leaves_behaviour(small_movielens: Path, recommender: Recommender) -> None:
    system, model = agent(small_movielens, recommender, plan(filtered(condition("genres", "any", "Western"))))
    model.says["interec critic"] = ModelError("timeout", "late")
    talk = dialogue(system, "a western")
    genres = system.dataset.items["genres"].to_list()
    assert all("Western" in genres[item] for item in answered(system, talk, "no")[:2])  # without the critic too
    model.says["interec plan"] = ModelError("rate limited", "429")
    assert answered(system, talk) == by_behaviour(system, talk, talk.shown[:1])[:5]
    report = system.report()
    assert (report["calls"], report["failed_calls"], report["failed: rate limited"]) == (3, 2, 1)
    assert (report["unranked"], report["invalid_plans"]) == (0.5, 0.5)


def test_in_one_turn_the_list_comes_first_and_behaviour_behind(
    small_movielens: Path, recommender: Recommender
) -> None:
    model = Scripted({"interec critic": GOOD})
    model.says["interec plan"] = plan(filtered(condition("genres", "any", "Western")), PREFERENCE)
    system = opened(InteRecAgent, small_movielens, recommender, model)
    requests = requests_of(system, 5)
    histories, scores = system.dataset.request_histories(requests), system.scores(requests)
    west = system.dataset.items["genres"].list.contains("Western").to_numpy()
    behaved = system.behaviour(histories)
    for row in range(5):
        past = histories[slice(row, row + 1)].pairs()[1]
        order = [item for item in np.argsort(-behaved[row], kind="stable").tolist() if item not in past]
        first = [item for item in order if west[item]][:20]
        if len(first) < 20:  # filled up by behaviour, which is what stands behind them anyway
            first += [item for item in order if item not in first]
        expected = first[:20] + [item for item in order if item not in first[:20]]
        target = np.array([expected[30]])
        assert ranks_of_scores(torch.from_numpy(scores[[row]]), target, histories[slice(row, row + 1)]) == [31]
        assert [item for item in np.argsort(-scores[row], kind="stable").tolist() if item not in past] == expected


def test_a_planner_that_hears_what_people_ask_for_finds_it(small_movielens: Path, recommender: Recommender) -> None:
    system, model = agent(small_movielens, recommender)
    lexical = Hearer(system.dataset.items, system.dataset.info.columns)

    def heard(prompt: str) -> dict[str, Any]:
        """What a good model would plan, for conditions that are values or years."""
        rules = [each.rule for each in lexical.extract(prompt.rsplit("the person: ", 1)[1]).rules]
        said = [condition(rule.column, "any", *rule.value) for rule in rules if rule.op == "has any"]
        said += [condition("year", "between", *map(int, rule.value)) for rule in rules if rule.op == "between"]
        return plan(*[filtered(each) for each in said[:4]], PREFERENCE)

    model.says["interec plan"] = heard
    requests = requests_of(system, 60)
    histories, targets = system.dataset.request_histories(requests), requests["target"].to_numpy().astype(np.int64)
    plain = ranks_of_scores(torch.from_numpy(system.behaviour(histories)), targets, histories)
    ranks = ranks_of_scores(torch.from_numpy(system.scores(requests)), targets, histories)
    assert (ranks <= 5).mean() > 0.6 > 3 * (plain <= 5).mean()
    assert system.report()["invalid_plans"] == 0


def test_demonstrations_are_plans_that_work_and_the_nearest_are_shown(
    small_movielens: Path, recommender: Recommender
) -> None:
    system, _ = agent(small_movielens, recommender)
    plans = Plans(system.dataset.items, system.dataset.info.columns)
    popular = system.dataset.items.filter(pl.col("title").is_in(["The Matrix", "Toy Story"])).to_dicts()
    demonstrations = Demonstrations(plans, popular, "movie", recommender.text_encoder)
    nobody = dialogue(system, "please")
    for each in demonstrations.all:
        steps = plans.steps(plans.schema.model_validate_json(each.plan))
        found = system._tools.run(steps, system._talks[id(nobody)])
        assert found.ranked(), each
        assert not found.counts["unfit"] and found.counts["matched"] == found.counts["titles"], each
    assert len({each.request for each in demonstrations.all}) == len(demonstrations.all) > 30
    shown = [each.request for each in demonstrations.nearest("i want an alfred hitchcock film")]
    assert "Alfred Hitchcock movies, please" in shown and len(shown) == 3
    assert any("1980s" in each.request for each in demonstrations.nearest("got anything from the eighties?"))


def test_a_schema_is_one_that_any_decoder_takes_whatever_the_columns() -> None:
    items = pl.DataFrame(
        {
            "title": ["A", "B"] * 40,
            "query": ["x", None] * 40,  # columns are called what their owners like
            "text of it": [f"value {number}" for number in range(80)],
            "price": [1.5, 2.0] * 40,
        }
    )
    plans = Plans(items, {"query": "category", "text of it": "category", "price": "number"})
    strict_schema(plans.schema)
    made = plan(
        filtered(
            condition("query", "any", "x"),
            condition("text of it", "not", "value"),
            condition("price", "between", 1, 1.5),
        )
    )
    (step,) = plans.steps(plans.schema.model_validate(made))
    said = [str(rule) for rule in step.rules]
    assert said[::2] == ["query: x", "price 1 to 1.5"] and said[1].count("value") == 80
    with pytest.raises(ValueError, match="query"):
        plans.schema.model_validate(plan(filtered(condition("query", "any", "y"))))
    nothing = Plans(items.select("title"), {})
    strict_schema(nothing.schema)


def test_the_embedded_model_makes_plans(small_movielens: Path, recommender: Recommender, smollm2: Path) -> None:
    system = opened(InteRecAgent, small_movielens, recommender, LocalModel(smollm2, timeout=300))
    talk = dialogue(system, "a horror film from the 1980s")
    shown = answered(system, talk)
    report = system.report()
    assert len(set(shown)) == 5 and not set(shown) & set(talk.history.tolist())
    assert report["plans"] >= 1 and report["invalid_plans"] == 0 and report["steps"] >= 1
    assert system.tokens(talk)[0] > 500
