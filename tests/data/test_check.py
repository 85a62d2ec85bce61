from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from latentcrs.base.errors import UserError
from latentcrs.cli.main import app
from latentcrs.data.dialect import Dialect, field_counts
from latentcrs.data.lines import readable, scan_json_lines

HEADER = "user_id,item_id,rating,timestamp\n"
ITEMS = "item_id,title,genre\na,Alpha,x\nb,Beta,y\nc,Gamma,x\n"


def report(*arguments: object) -> dict[str, Any]:
    """The JSON report of `latentcrs data check`; problems by kind. What is too small to be prepared is refused."""
    done = CliRunner().invoke(app, ["data", "check", *map(str, arguments), "--json"])
    told = json.loads(done.stdout)
    assert (told["refused"] is None) == (done.exception is None), done.exception
    return {**told, "problems": {problem["kind"]: problem for problem in told["problems"]}}


def places(problem: dict[str, Any]) -> list[str]:
    return [f"{example['file']}:{example['line']}" for example in problem["examples"]]


@pytest.fixture
def own(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Checks a log and a catalogue given as text or bytes."""

    def run(
        log: str | bytes, items: str | bytes = ITEMS, names: tuple[str, str] = ("log.csv", "items.csv"), *more: Any
    ):
        for name, content in zip(names, (log, items), strict=True):
            (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return report("--interactions", tmp_path / names[0], "--items", tmp_path / names[1], *more)

    return run


def test_every_problem_is_reported_at_once_with_its_line(own: Callable[..., dict[str, Any]]) -> None:
    rows = [
        "u,a,5,10",
        "u,b,five,20",
        "u,zzz,5,30",
        "u,a,4,40",
        ",a,5,50",
        "u,c,5,soon",
        "u,b,5,",
        "v,a,5,9",
        "v,c,5,8",
    ]
    found = own(HEADER + "\n".join(rows) + "\n", ITEMS + "d,,x\na,Again,x\n,Nameless,x\n")
    assert {kind: places(problem) for kind, problem in found["problems"].items()} == {
        "unreadable rating": ["log.csv:3"],
        "item not in the catalogue": ["log.csv:4"],
        "repeats a user and item": ["log.csv:5"],
        "no user": ["log.csv:6"],
        "unreadable timestamp": ["log.csv:7"],
        "timestamp missing": ["log.csv:8"],
        "timestamp earlier than the user's row before": ["log.csv:10"],
        "title missing": ["items.csv:5"],
        "second catalogue row of one item": ["items.csv:6"],
        "catalogue row without an id": ["items.csv:7"],
    }
    assert (found["rows"], found["usable"], found["items"]) == (9, 4, 4)
    kept = {kind for kind, problem in found["problems"].items() if problem["effect"] == "kept"}
    assert kept == {"timestamp missing", "timestamp earlier than the user's row before", "title missing"}


def test_a_clean_log_has_no_problems(own: Callable[..., dict[str, Any]]) -> None:
    assert own(HEADER + "u,a,5,1\nu,b,5,2\nv,c,3,1\n")["problems"] == {}


def test_examples_are_few_and_the_file_has_them_all(own: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    log = HEADER + "".join(f"u,none-{number},5,1\n" for number in range(50)) + "u,a,5,2\n"
    for name in ("all.csv", "all.jsonl", "all.parquet"):
        found = own(log, ITEMS, ("log.csv", "items.csv"), "--out", tmp_path / name)
    problem = found["problems"]["item not in the catalogue"]
    assert problem["count"] == 50 and places(problem) == ["log.csv:2", "log.csv:3", "log.csv:4"]
    written = pl.read_csv(tmp_path / "all.csv")
    assert sorted(written["line"]) == list(range(2, 52))
    assert len(pl.read_ndjson(tmp_path / "all.jsonl")) == len(pl.read_parquet(tmp_path / "all.parquet")) == 50


def test_a_log_without_timestamps_says_so_once(own: Callable[..., dict[str, Any]]) -> None:
    found = own("user_id,item_id\nu,a\nu,b\n")
    assert found["problems"]["no timestamps at all"]["count"] == 1


def test_nothing_usable_is_exit_code_2_and_the_report_is_still_printed(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(HEADER + "u,zzz,5,1\n")
    (tmp_path / "items.csv").write_text(ITEMS)
    arguments = ["--interactions", str(tmp_path / "log.csv"), "--items", str(tmp_path / "items.csv")]
    done = CliRunner().invoke(app, ["data", "check", *arguments])
    assert isinstance(done.exception, UserError)
    assert "item not in the catalogue" in done.stdout and "log.csv:2" in done.stdout


def test_a_row_with_too_many_fields_is_found_among_quoted_ones(own: Callable[..., dict[str, Any]]) -> None:
    items = 'item_id,title,genre\na,"Alpha, the first",x\nb,Beta, the second,y\nc,"Gam""ma, x",y\n'
    found = own(HEADER + "u,a,5,1\nu,b,5,2,extra\nu,c,5,3\n", items)
    problem = [p for p in found["problems"].values() if p["kind"] == "too many fields"]
    assert [place for one in problem for place in places(one)]
    assert found["usable"] == 2 and found["items"] == 3


def test_too_many_fields_are_not_guessed_where_values_span_lines(tmp_path: Path) -> None:
    torn, spanning = tmp_path / "torn.csv", tmp_path / "spanning.csv"
    torn.write_text('a,b\n1,2\n1,2,3\n"1,1",2\n')
    spanning.write_text('a,b\n1,"2\n3,4,5"\n1,2,3\n')

    def lines(path: Path) -> list[tuple[int, bool]]:
        return field_counts(path, Dialect(",")).select("fields", "broken").collect().rows()

    assert lines(torn) == [(2, False), (2, False), (3, False), (2, False)]
    assert [broken for _, broken in lines(spanning)] == [False, True, False, False]


def test_broken_json_lines_are_named_and_the_others_kept(own: Callable[..., dict[str, Any]]) -> None:
    log = ['{"user_id": 1, "item_id": "a"}', '{"user_id": 1, "item_id": ', "[1]", '{"user_id": 1, "item_id": "b"}']
    items = ['{"item_id": "a", "title": "A"}', "oops", '{"item_id": "b", "title": "B"}']
    found = own("\n".join(log) + "\n", "\n".join(items), ("log.jsonl", "items.jsonl"))
    assert found["usable"] == 2 and found["items"] == 2
    broken = [
        place for problem in found["problems"].values() if "JSON" in problem["kind"] for place in places(problem)
    ]
    assert sorted(broken) == ["items.jsonl:2", "log.jsonl:2", "log.jsonl:3"]


def test_a_truncated_gzip_is_named_and_kept_up_to_there(own: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    rows = [f"user-{number % 977},{'abc'[number % 3]},5,{number * 7919 % 100_003}" for number in range(60_000)]
    whole = gzip.compress((HEADER + "\n".join(rows) + "\n").encode())
    found = own(whole[: len(whole) // 2], ITEMS, ("log.csv.gz", "items.csv"))
    line = found["problems"]["truncated gzip"]["examples"][0]["line"]
    assert 10_000 < line < 50_000
    assert found["rows"] == line - 2  # the header is line 1, and the line it names is the first one lost
    command = ["data", "prepare", "own", "--interactions", str(tmp_path / "log.csv.gz"), "--user-core", "3"]
    command += ["--items", str(tmp_path / "items.csv"), "--out", str(tmp_path / "out"), "--json"]
    prepared = CliRunner().invoke(app, command)
    assert prepared.exception is None, prepared.exception
    assert json.loads(prepared.stdout)["dropped"]["truncated gzip"] == 1


def test_latin_1_in_a_utf_8_table_is_reported_with_its_line_and_kept(own: Callable[..., dict[str, Any]]) -> None:
    items = ITEMS.encode() + "d,Am\u00e9lie,x\n".encode("latin-1")
    found = own(HEADER + "u,a,5,1\nu,d,5,2\n", items)
    problem = found["problems"]["wrong encoding"]
    assert places(problem) == ["items.csv:5"] and problem["effect"] == "kept"
    assert "0xe9" in problem["examples"][0]["detail"]
    assert found["usable"] == 2


@pytest.fixture
def movielens(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Checks a folder in the layout of MovieLens-1M."""

    def run(movies: bytes, ratings: bytes) -> dict[str, Any]:
        (tmp_path / "movies.dat").write_bytes(movies)
        (tmp_path / "ratings.dat").write_bytes(ratings)
        return report("ml-1m", "--from", tmp_path)

    return run


MOVIES = "1::Am\u00e9lie (2001)::Comedy\n2::Toy Story (1995)::Animation\n"
RATINGS = b"1::1::5::100\n1::2::4::200\n"


def test_movielens_is_latin_1_and_a_line_in_utf_8_is_reported(movielens: Callable[..., dict[str, Any]]) -> None:
    assert movielens(MOVIES.encode("latin-1"), RATINGS)["problems"] == {}
    assert places(movielens(MOVIES.encode("utf-8"), RATINGS)["problems"]["wrong encoding"]) == ["movies.dat:1"]
    control = movielens(MOVIES.encode("latin-1") + b"3::Film\x9d (1990)::Drama\n", RATINGS)
    assert places(control["problems"]["wrong encoding"]) == ["movies.dat:3"]


def test_malformed_movielens_rows_are_reported_together(movielens: Callable[..., dict[str, Any]]) -> None:
    ratings = RATINGS + b"1::2\n2::1::good::5\n2::1::5::5::9\n3::9::5::5\n2::2::3::4\n"
    found = movielens(MOVIES.encode("latin-1") + b"broken\n", ratings)
    lines = sorted(place for problem in found["problems"].values() for place in places(problem))
    assert lines == ["movies.dat:3", "ratings.dat:3", "ratings.dat:4", "ratings.dat:5", "ratings.dat:6"]
    assert found["usable"] == 3


def test_movielens_1m_is_clean(shared_data: Callable[..., Path]) -> None:
    found = report("ml-1m", "--from", shared_data("ml-1m"))
    assert found["problems"] == {}
    assert found["rows"] == found["usable"] == 1_000_208


def test_a_file_that_is_fine_is_read_where_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "fine.csv"
    path.write_text("a,\u00e9\n" * 100_000, "utf-8")
    text = readable(path, tmp_path / "workspace")
    assert text.path == path and text.problems == []
    assert not (tmp_path / "workspace").exists()


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    path = tmp_path / "excel.csv"
    path.write_bytes(b"\xef\xbb\xbfuser_id,item_id\n")
    assert readable(path, tmp_path).path.read_bytes() == b"user_id,item_id\n"


def test_wrong_bytes_are_found_in_every_block_of_a_long_file(tmp_path: Path) -> None:
    lines = [b"plain ascii and nothing else on this line"] * 90_000
    for number in (0, 40_000, 89_999):
        lines[number] = b"caf\xe9"
    (tmp_path / "long.txt").write_bytes(b"\n".join(lines))
    text = readable(tmp_path / "long.txt", tmp_path / "workspace")
    assert [problem.line for problem in text.problems] == [1, 40_001, 90_000]
    repaired = text.path.read_text("utf-8").split("\n")
    assert len(repaired) == 90_000 and repaired[40_000] == "caf\ufffd"


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "picture.csv").write_bytes(b"\x89PNG\0\0\0")
    with pytest.raises(UserError, match="is not a text file"):
        readable(tmp_path / "picture.csv", tmp_path)


def test_json_lines_keep_their_numbers_over_blank_lines_and_breaks(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"a": {"b": 1}}\n\n{"a": \n"text"\n{"a": null}\n')
    rows = scan_json_lines(path, {"b": "$.a.b"}).collect()
    assert rows.rows() == [(1, "1", None), (3, None, "broken JSON"), (4, None, "broken JSON"), (5, None, None)]


def test_a_log_by_url_and_a_file_with_capitals_are_checked_as_they_are_prepared(tmp_path: Path) -> None:
    log = pl.DataFrame({"user_id": ["a", "a", "b"], "item_id": ["1", "2", "1"], "timestamp": [1, 2, 3]})
    log.write_parquet(tmp_path / "LOG.PARQUET")
    pl.DataFrame({"item_id": ["1", "2"], "title": ["One", "Two"]}).write_csv(tmp_path / "items.csv")
    for interactions in (str(tmp_path / "LOG.PARQUET"), f"file://{tmp_path}/LOG.PARQUET"):
        files = ["--interactions", interactions, "--items", f"file://{tmp_path}/items.csv"]
        ran = CliRunner().invoke(app, ["data", "check", *files, "--json"])
        assert isinstance(ran.exception, UserError), (ran.output, ran.exception)  # too small for the core
        assert json.loads(ran.stdout)["usable"] == 3
