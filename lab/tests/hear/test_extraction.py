"""Claims about the labelled utterances and about what an extractor's figures mean."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from latentcrs.base.errors import UserError
from latentcrs.cli.main import app as product
from latentcrs.data import ColumnKind, PreparedDataset
from latentcrs.data.rules import Rule
from latentcrs.evaluate.predicates import Predicate, canonical
from latentcrs.hear import Heard, HeardRule
from latentcrs.llm import Call
from latentcrs_lab.cli.main import app
from latentcrs_lab.hear.extraction import evaluate_extraction
from latentcrs_lab.hear.utterances import SETS, Utterance, fitting_set, read_utterances

COLUMNS: dict[str, ColumnKind] = {
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
    found = canonical(rule(*said), COLUMNS)
    assert found == {Predicate("rule", column, test, values) for column, test, values in expected}


def test_a_wish_is_another_predicate_than_a_rule_with_the_same_words() -> None:
    said = rule("genres", "is", "Comedy")
    assert canonical(said, COLUMNS).isdisjoint(canonical(said, COLUMNS, "wish"))


class Rehearsed:
    """Hears what it was told to hear."""

    name = "rehearsed"

    def __init__(self, answers: Mapping[str, Heard]) -> None:
        self.answers, self.before = answers, list[Sequence[str]]()

    def extract(self, utterance: str, before: Sequence[str] = (), call: Call | None = None) -> Heard:
        self.before.append(before)
        return self.answers.get(utterance, Heard())


def heard(
    *rules: Rule, wishes: Sequence[Rule] = (), dropped: Sequence[Rule] = (), unknown: Sequence[str] = ()
) -> Heard:
    return Heard(
        rules=tuple(HeardRule(rule=one) for one in rules),
        wishes=tuple(HeardRule(rule=one) for one in wishes),
        dropped=tuple(dropped),
        unknown=tuple(unknown),
    )


COMEDY, DRAMA, NINETIES = (
    rule("genres", "is", "Comedy"),
    rule("genres", "is", "Drama"),
    rule("year", "between", [1990, 1999]),
)
SET = [
    Utterance(id="1", source="ours", text="right", rules=(COMEDY, NINETIES), unknown=("in French",)),
    Utterance(id="2", source="ours", text="soft heard as hard", rules=(), wishes=(COMEDY,)),
    Utterance(id="3", source="ours", text="one missing, one extra", rules=(COMEDY, NINETIES)),
    Utterance(id="4", source="ours", text="taken back", before=("a drama",), rules=(), dropped=(DRAMA,)),
    Utterance(id="5", source="ours", text="hello", rules=()),
]
ANSWERS = {
    "right": heard(rule("year", "is", list(range(1990, 2000))), rule("genres", "has all", ["comedy"]), unknown=["x"]),
    "soft heard as hard": heard(COMEDY),
    "one missing, one extra": heard(COMEDY, DRAMA),
    "taken back": heard(dropped=[DRAMA]),
    "hello": heard(unknown=["hello"]),
}


def test_figures_of_known_errors() -> None:
    extractor = Rehearsed(ANSWERS)
    result = evaluate_extraction(extractor, SET, COLUMNS)
    # labelled: 2 + 1 + 2 + 1 + 0; heard: 2 + 1 + 2 + 1 + 0; right: 2 + 0 + 1 + 1 + 0
    assert (result.all.labelled, result.all.heard, result.all.right) == (6, 6, 4)
    assert result.all.precision == result.all.recall == result.all.f1 == pytest.approx(4 / 6)
    assert (result.said["rule"].labelled, result.said["rule"].heard, result.said["rule"].right) == (4, 5, 3)
    assert result.said["rule"].f1 == pytest.approx(2 * 3 / 9)
    assert (result.said["wish"].labelled, result.said["wish"].heard, result.said["wish"].f1) == (1, 0, 0)
    assert result.said["dropped"].f1 == 1
    assert (result.columns["year"].recall, result.columns["year"].precision) == (0.5, 1)
    assert set(result.columns) == {"genres", "year"}
    assert result.exact == pytest.approx(3 / 5)
    assert result.unknown == {"labelled": 1, "noticed": 1, "alarmed": 1}
    assert [mistake.id for mistake in result.mistakes] == ["2", "3"]
    assert result.mistakes[0].missing == ("wish genres any comedy",)
    assert result.mistakes[0].extra == ("rule genres any comedy",)
    assert result.mistakes[1].missing == ("rule year in 1990..1999",)
    assert extractor.before[3] == ("a drama",)
    json.dumps(result.as_json(), allow_nan=False)


def test_intervals_hold_the_figure_and_shrink_to_it_where_nothing_varies() -> None:
    result = evaluate_extraction(Rehearsed(ANSWERS), SET, COLUMNS)
    for name, value in (("precision", result.all.precision), ("recall", result.all.recall), ("f1", result.all.f1)):
        low, high = result.all.ci95[name]
        assert 0 <= low < value < high <= 1
    assert result.exact_ci95[0] < result.exact < result.exact_ci95[1]
    perfect = evaluate_extraction(Rehearsed(ANSWERS), SET[:1], COLUMNS)
    assert perfect.all.ci95["f1"] == perfect.exact_ci95 == (1, 1)
    deaf = evaluate_extraction(Rehearsed({}), SET, COLUMNS)
    assert (deaf.all.precision, deaf.all.recall, deaf.all.f1) == (0, 0, 0)


def test_the_sets_are_large_real_and_distinct() -> None:
    utterances = [one for path in SETS.values() for one in read_utterances(path)]
    assert len(utterances) >= 230
    assert sum(one.source == "redial" for one in utterances) >= 70
    assert len({one.id for one in utterances}) == len({one.text.lower() for one in utterances}) == len(utterances)
    assert all(one.origin for one in utterances if one.source == "redial")
    assert not any("@" in one.text and any(c.isdigit() for c in one.text.split("@")[1][:2]) for one in utterances)


@pytest.fixture(scope="module")
def prepared(
    shared_data: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], PreparedDataset]:
    """The whole real catalogue that a set is labelled over."""

    def prepare(name: str) -> PreparedDataset:
        raw, arguments = CATALOGUES[name]
        folder, out = shared_data(raw), tmp_path_factory.mktemp(name) / "dataset"
        paths = [word if word.startswith("--") or n == 0 else str(folder / word) for n, word in enumerate(arguments)]
        ran = CliRunner().invoke(product, ["data", "prepare", *paths, "--out", str(out)], catch_exceptions=False)
        assert ran.exit_code == 0, ran.output
        return PreparedDataset(out)

    return prepare


@pytest.mark.parametrize("name", SETS)
def test_every_labelled_value_stands_in_the_catalogue(name: str, prepared: Callable[[str], PreparedDataset]) -> None:
    dataset = prepared(name)
    columns = dataset.info.columns
    assert fitting_set(columns) == SETS[name]
    known = {
        column: set(
            dataset.items[column].explode().drop_nulls().unique()
            if kind == "multi-category"
            else dataset.items[column].drop_nulls().unique()
        )
        for column, kind in columns.items()
        if kind in ("category", "multi-category")
    }
    for utterance in read_utterances(SETS[name], columns):  # refuses a label that makes no sense on the columns
        for label in utterance.predicates:
            values = label.value if isinstance(label.value, list) else [label.value]
            assert set(values) <= known.get(label.column, set(values)), utterance.id
            if label.op == "contains":
                assert dataset.items.filter(label.expression(columns)).height, utterance.id


GOOD = '{"id": "1", "source": "ours", "text": "hello", "rules": []}'


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "Invalid JSON"),
        ('{"id": "2", "source": "ours", "text": "hello"}', "rules"),
        ('{"id": "2", "source": "mine", "text": "hello", "rules": []}', "source"),
        ('{"id": "2", "source": "ours", "text": "hello", "rules": [], "wish": []}', "wish"),
        ('{"id": "2", "source": "ours", "text": "x", "rules": [{"column": "year", "op": "=", "value": 1}]}', "op"),
        (
            '{"id": "2", "source": "ours", "text": "x", "rules": [{"column": "mood", "op": "is", "value": "x"}]}',
            "mood",
        ),
        (GOOD, "earlier line"),
    ],
    ids=["json", "missing", "source", "extra", "operator", "column", "id"],
)
def test_a_broken_line_is_refused_with_file_and_line(line: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text(f"{GOOD}\n\n{line}\n", "utf-8")
    with pytest.raises(UserError, match=rf"own\.jsonl, line 3: .*{said}"):
        read_utterances(path, COLUMNS)


def test_a_set_that_is_absent_empty_or_about_other_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        read_utterances(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n", "utf-8")
    with pytest.raises(UserError, match="no utterances"):
        read_utterances(tmp_path / "empty.jsonl")
    with pytest.raises(UserError, match="movies, games, albums"):
        fitting_set({"colour": "category"})


def test_the_command_prints_a_table_the_errors_and_json(
    small_movielens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.jsonl"
    own.write_text("\n".join(one.model_dump_json() for one in SET), "utf-8")

    def lexical(items: pl.DataFrame, columns: Mapping[str, ColumnKind]) -> Rehearsed:
        assert "title" in items.columns and "genres" in columns
        return Rehearsed(ANSWERS)

    monkeypatch.setattr("latentcrs.hear.open.Hearer", lexical)
    command = ["extraction", str(small_movielens), "--set", str(own)]
    shown = CliRunner().invoke(app, [*command, "--errors"], catch_exceptions=False)
    assert shown.exit_code == 0
    assert "60.0% of 5 utterances" in shown.output and "missing: wish genres any comedy" in shown.output
    printed = CliRunner().invoke(app, [*command, "--json"], catch_exceptions=False)
    result = json.loads(printed.stdout)
    assert result["n"] == 5 and result["set"] == "own" and result["all"]["f1"] == pytest.approx(4 / 6)
    with pytest.raises(UserError, match="choose lexical"):
        CliRunner().invoke(app, [*command, "--extractor", "psychic"], catch_exceptions=False)
