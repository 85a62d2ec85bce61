"""Claims about the labelled messages, and the figures of `heard` by a hearer that says what a test wants."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from latentcrs.base.errors import UserError
from latentcrs.cli.main import app
from latentcrs.data import ColumnKind, PreparedDataset
from latentcrs.data.rules import Rule
from latentcrs.evaluate.heard import THRESHOLDS, ExtractorHearer, evaluate_heard, figures_of, read_labels, trade_off
from latentcrs.evaluate.predicates import Predicate, canonical
from latentcrs.hear import Heard
from latentcrs.hear.hearer import HARD, Hearer
from latentcrs.hear.reading import Context, HeardRule, HeardTitle, Reading
from latentcrs.llm import Call, ModelError
from latentcrs_lab.hear import SETS

ITEMS = pl.DataFrame(
    {
        "title": ["Alien", "Babe", "Speed"],
        "year": [1979, 1995, 1994],
        "genres": [["Horror", "Sci-Fi"], ["Comedy"], ["Action"]],
    }
)
COLUMNS: Any = {"year": "year", "genres": "multi-category"}


KINDS: dict[str, ColumnKind] = {
    "genres": "multi-category",
    "platform": "category",
    "year": "year",
    "price": "number",
    "plot": "text",
}
INF = math.inf
CATALOGUES = {
    "movies": ("ml-1m", ["ml-1m", "--from", ""]),
    "games": ("video-games-2018", ["own", "--interactions", "interactions.parquet", "--items", "items.parquet"]),
    "albums": ("cds-2018", ["own", "--interactions", "interactions.csv", "--items", "items.csv"]),
}


def rule(column: str, op: str, value: object) -> Rule:
    return Rule.model_validate({"column": column, "op": op, "value": value})


def genre(*values: str, op: Any = "has any") -> HeardRule:
    return HeardRule(rule=Rule(column="genres", op=op, value=list(values)))


def label(*values: str, op: str = "has any", kind: str = "rule") -> dict[str, Any]:
    return {"column": "genres", "op": op, "value": list(values), "kind": kind}


class Scripted:
    """Hears each text as a test says."""

    def __init__(self, readings: dict[str, Reading]) -> None:
        self.readings, self.contexts = readings, dict[str, Context]()

    def read(self, utterance: str, context: Context) -> Reading:
        self.contexts[utterance] = context
        return self.readings[utterance]


def message(text: str, *rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": text, "text": text, "rules": list(rules), **more}


CANONICAL: list[tuple[tuple[str, str, object], set[tuple[str, str, tuple[object, ...]]]]] = [
    (("genres", "is", "Comedy"), {("genres", "any", ("comedy",))}),
    (("genres", "has any", ["Comedy"]), {("genres", "any", ("comedy",))}),
    (("genres", "has any", ["Drama", "COMEDY"]), {("genres", "any", ("comedy", "drama"))}),
    (("genres", "has all", ["Drama", "Comedy"]), {("genres", "any", ("drama",)), ("genres", "any", ("comedy",))}),
    (("genres", "is", ["Drama", "Comedy"]), {("genres", "any", ("drama",)), ("genres", "any", ("comedy",))}),
    (("genres", "not", ["Drama", "War"]), {("genres", "not", ("drama",)), ("genres", "not", ("war",))}),
    (("genres", "contains", "Rock"), {("genres", "contains", ("rock",))}),
    (("platform", "is", ["PC", "Mac"]), {("platform", "any", ("mac", "pc"))}),
    (("year", "between", [1999, 1990]), {("year", "in", ((1990, 1999),))}),
    (("year", "is", 1994), {("year", "in", ((1994, 1994),))}),
    (("year", "between", [1994, 1994]), {("year", "in", ((1994, 1994),))}),
    (("year", "is", list(range(1990, 2000))), {("year", "in", ((1990, 1999),))}),
    (("year", "is", [1981, 1960, 1961, 1980]), {("year", "in", ((1960, 1961), (1980, 1981)))}),
    (("year", "<", 1980), {("year", "in", ((-INF, 1979),))}),
    (("year", "<=", 1979), {("year", "in", ((-INF, 1979),))}),
    (("year", ">", 1989), {("year", "in", ((1990, INF),))}),
    (("year", ">=", 1989.5), {("year", "in", ((1990, INF),))}),
    (("year", "not", [1980, 1981, 1982]), {("year", "not", ((1980, 1982),))}),
    (("price", "<", 30), {("price", "<", (30.0,))}),
    (("price", "between", [40, 30]), {("price", "between", (30.0, 40.0))}),
    (("text", "contains", "Submarines"), {("text", "contains", ("submarine",))}),
    (("title", "contains", "submarine"), {("text", "contains", ("submarine",))}),
    (("plot", "contains", ["submarine"]), {("text", "contains", ("submarine",))}),
    (("text", "not", ["drugs", "gun"]), {("text", "not", ("drug",)), ("text", "not", ("gun",))}),
]


@pytest.mark.parametrize(("said", "expected"), CANONICAL, ids=str)
def test_rules_that_mean_the_same_are_one_predicate(
    said: tuple[str, str, object], expected: set[tuple[str, str, tuple[object, ...]]]
) -> None:
    found = canonical(rule(*said), KINDS)
    assert found == {Predicate("rule", column, test, values) for column, test, values in expected}


def test_a_wish_is_another_predicate_than_a_rule_with_the_same_words() -> None:
    said = rule("genres", "is", "Comedy")
    assert canonical(said, KINDS).isdisjoint(canonical(said, KINDS, "wish"))


def test_the_sets_are_large_real_and_distinct() -> None:
    lines = [line for path in SETS.values() for line in read_labels(path)]
    assert len(lines) >= 230 and sum(line["source"] == "redial" for line in lines) >= 70
    assert len({line["id"] for line in lines}) == len({line["text"].lower() for line in lines}) == len(lines)
    assert all(line["origin"] for line in lines if line["source"] == "redial")
    assert not any("@" in line["text"] and any(c.isdigit() for c in line["text"].split("@")[1][:2]) for line in lines)
    assert {label["kind"] for line in lines for label in line["rules"]} == {"rule", "wish", "taken back"}


@pytest.fixture(scope="module")
def prepared(
    shared_data: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], PreparedDataset]:
    """The whole real catalogue that a set is labelled over."""

    def prepare(name: str) -> PreparedDataset:
        raw, arguments = CATALOGUES[name]
        folder, out = shared_data(raw), tmp_path_factory.mktemp(name) / "dataset"
        paths = [word if word.startswith("--") or n == 0 else str(folder / word) for n, word in enumerate(arguments)]
        ran = CliRunner().invoke(app, ["data", "prepare", *paths, "--out", str(out)], catch_exceptions=False)
        assert ran.exit_code == 0, ran.output
        return PreparedDataset(out)

    return prepare


@pytest.mark.parametrize("name", SETS)
def test_every_labelled_value_stands_in_the_catalogue(name: str, prepared: Callable[[str], PreparedDataset]) -> None:
    dataset = prepared(name)
    columns = dataset.info.columns
    known = {
        column: set(
            dataset.items[column].explode().drop_nulls().unique()
            if kind == "multi-category"
            else dataset.items[column].drop_nulls().unique()
        )
        for column, kind in columns.items()
        if kind in ("category", "multi-category")
    }
    for line in read_labels(SETS[name]):
        for label in line["rules"]:
            labelled = rule(label["column"], label["op"], label["value"])
            fitting = dataset.items.filter(labelled.expression(columns))  # refuses what makes no sense on the columns
            values = labelled.value if isinstance(labelled.value, list) else [labelled.value]
            assert set(values) <= known.get(labelled.column, set(values)), line["id"]
            assert labelled.op != "contains" or fitting.height, line["id"]


def test_a_language_model_is_measured_as_the_heads_are_and_its_failures_are_counted() -> None:
    class Model:
        name = "llm"

        def extract(self, utterance: str, context: Context | None = None, call: Call | None = None) -> Heard:
            if utterance == "silence":
                raise ModelError("invalid", "no answer")
            assert context is not None and context.before == ("a drama",)
            return Heard(rules=(genre("Comedy"),))

    hearer = ExtractorHearer(Model())
    lines = [message("a comedy", label("Comedy"), before=["a drama"]), message("silence", label("Comedy"))]
    figures = evaluate_heard(hearer, ITEMS, COLUMNS, lines).figures
    assert (figures["recall"], figures["precision"], hearer.failed) == (0.5, 1, 1)


def test_the_opposite_the_uninvited_and_a_liking_are_told_apart() -> None:
    hearer = Scripted(
        {
            "right": Reading(rules=(genre("Comedy"),)),
            "opposite": Reading(rules=(genre("Horror"),)),
            "uninvited": Reading(rules=(genre("Action"),)),
            "liking": Reading(rules=(genre("Comedy"),)),
        }
    )
    lines = [
        message("right", label("Comedy")),
        message("opposite", label("Horror", op="not")),
        message("uninvited"),
        message("liking", label("Comedy", kind="wish")),
    ]
    figures = evaluate_heard(hearer, ITEMS, COLUMNS, lines).figures
    assert figures["n"] == 4
    assert figures["opposites_per_100"] == 25
    assert figures["uninvited_per_100"] == 75  # the opposite was not asked for either
    assert figures["likings_made_rules_per_100"] == 25
    assert figures["precision"] == 1 / 4 and figures["recall"] == 1 / 3
    assert figures["f1"] == pytest.approx(2 / 7) and figures["f1_without_kind"] == pytest.approx(4 / 7)
    assert figures["state"] is None


def test_titles_count_by_what_is_made_of_them_and_acts_when_any_is_right() -> None:
    hearer = Scripted(
        {
            "like Alien": Reading(titles=(HeardTitle(number=0, stance="liked"),), acts=("inform", "request")),
            "Babe, no": Reading(titles=(HeardTitle(number=1, stance="liked"),), acts=("accept",)),
        }
    )
    lines = [
        message("like Alien", mentions=[{"title": "Alien (1979)", "stance": "wants_similar"}], act="request"),
        message("Babe, no", mentions=[{"title": "Babe", "stance": "disliked"}], act="reject"),
    ]
    figures = evaluate_heard(hearer, ITEMS, COLUMNS, lines).figures
    assert (figures["titles"], figures["titles_exactly"], figures["titles_noticed"]) == (0.5, 0, 1)
    assert (figures["acts"], figures["acts_each"]) == (0.5, 1.5)


def test_what_is_in_force_is_compared_after_every_turn_and_a_stale_rule_is_counted() -> None:
    def seeker(text: str, *rules: dict[str, Any], reset: bool = False) -> dict[str, Any]:
        force = {"rules": list(rules), "wishes": []}
        return {"role": "seeker", "text": text, "act": "request", "reset": reset, "mentions": [], "in_force": force}

    dialogue = {
        "id": "d",
        "turns": [
            seeker("horror", label("Horror")),
            {"role": "recommender", "text": "Alien?", "titles": ["Alien (1979)"]},
            seeker("now comedy", label("Comedy"), reset=True),
            seeker("or action", label("Action"), reset=True),
        ],
    }
    hearer = Scripted(
        {
            "horror": Reading(rules=(genre("Horror"),)),
            "now comedy": Reading(rules=(genre("Comedy"),), continues="turns"),
            "or action": Reading(rules=(genre("Action"),), continues="continues"),
        }
    )
    figures = evaluate_heard(hearer, ITEMS, COLUMNS, [dialogue]).figures
    # Nothing is both Comedy and Action here, so the later rule replaces what it contradicts.
    assert figures["state"] == 1
    assert (figures["stale_after_reset"], figures["resets"]) == (0, 2)
    assert hearer.contexts["now comedy"].listed == (0,)
    assert hearer.contexts["now comedy"].asking and not hearer.contexts["horror"].asking


def test_a_stale_rule_after_a_turn_is_counted() -> None:
    force = {"rules": [label("Comedy")], "wishes": []}
    first = {"rules": [{"column": "year", "op": "<", "value": 1999}], "wishes": []}
    turns = [
        {"role": "seeker", "text": "old", "act": "request", "reset": False, "mentions": [], "in_force": first},
        {"role": "seeker", "text": "comedy", "act": "request", "reset": True, "mentions": [], "in_force": force},
    ]
    old = HeardRule(rule=Rule(column="year", op="<", value=1999.0))
    hearer = Scripted({"old": Reading(rules=(old,)), "comedy": Reading(rules=(genre("Comedy"),))})
    tally = evaluate_heard(hearer, ITEMS, COLUMNS, [{"id": "d", "turns": turns}])
    assert (tally.figures["state"], tally.figures["stale_after_reset"]) == (0.5, 1)


def test_figures_of_messages_and_dialogues_are_one_set() -> None:
    hearer = Scripted({"a": Reading(rules=(genre("Comedy"),)), "b": Reading(rules=(genre("Comedy"),))})
    messages = evaluate_heard(hearer, ITEMS, COLUMNS, [message("a", label("Comedy"))])
    force = {"rules": [label("Comedy")], "wishes": []}
    turn = {"role": "seeker", "text": "b", "act": "request", "reset": False, "mentions": [], "in_force": force}
    dialogues = evaluate_heard(hearer, ITEMS, COLUMNS, [{"id": "d", "turns": [turn]}])
    figures = figures_of({"messages": messages, "dialogues": dialogues})
    assert (figures["n"], figures["f1"], figures["state"]) == (2, 1.0, 1.0)
    assert set(figures["files"]) == {"messages", "dialogues"}


@pytest.mark.parametrize(
    ("content", "said"),
    [("", "no lines"), ("{", "line 1 is not JSON"), ('{"text": "a", "rules": []}\n{"x": 1}', "line 2 is neither")],
)
def test_a_file_that_holds_no_labels_is_refused_with_its_line(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text(content, "utf-8")
    with pytest.raises(UserError, match=said):
        read_labels(file)
    with pytest.raises(UserError, match="does not exist"):
        read_labels(tmp_path / "none.jsonl")


def test_labels_are_read_as_they_are_written(tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text(json.dumps(message("a", label("Comedy"))) + "\n\n", "utf-8")
    assert read_labels(file)[0]["text"] == "a"


def test_the_higher_the_threshold_the_fewer_rules_filter() -> None:
    hearer = Hearer(ITEMS, COLUMNS)
    said = ["a comedy please", "maybe some horror", "something scary", "comedy would be nice", "any comedies?"]
    lines = [message(text, label("Comedy", "Horror", "Action")) for text in said]
    rows = trade_off(hearer, lambda: evaluate_heard(hearer, ITEMS, COLUMNS, lines))
    kept = [row["rules_that_filter"] for row in rows]
    assert [row["threshold"] for row in rows] == list(THRESHOLDS) and hearer.hard == HARD
    assert kept == sorted(kept, reverse=True) and kept[0] > kept[-1]  # type: ignore[operator, type-var]


def test_the_command_hears_a_set_of_the_package_and_lists_its_mistakes(small_movielens: Path) -> None:
    command = ["evaluate", "heard", str(small_movielens), "--labels", str(SETS["movies"])]
    shown = CliRunner().invoke(app, [*command, "--errors"], catch_exceptions=False)
    assert "movies.jsonl over" in shown.output and "missing:" in shown.output
    figures = json.loads(CliRunner().invoke(app, [*command, "--json"], catch_exceptions=False).stdout)
    assert figures["n"] == 175 and figures["f1_without_kind"] > 0.5


def test_the_simulated_users_requests_are_heard(small_movielens: Path) -> None:
    printed = CliRunner().invoke(app, ["evaluate", "heard", str(small_movielens), "--simulated", "60", "--json"])
    figures = json.loads(printed.stdout)
    assert figures["n"] == 60 and figures["f1"] > 0.85 and figures["f1"] >= figures["f1_rules"]
