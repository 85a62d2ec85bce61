"""Claims about reading raw files: MovieLens in all its layouts, and your own."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from latentcrs.base.errors import UserError
from latentcrs.data.prepare import prepare
from latentcrs.data.raw import RAW_INTERACTIONS_SCHEMA
from latentcrs.data.sources import SOURCES
from latentcrs.data.sources.own import read_own

LOG = [("1", "10", "5", "100"), ("1", "20", "3", "200"), ("2", "10", "4", "150")]
FLAGS = ["0"] * 19
LAYOUTS = {
    "ml-100k": {
        "u.data": "\n".join("\t".join(row) for row in LOG),
        "u.item": "\n".join(
            [
                "|".join(["10", "Léon (1994)", "01-Jan-1994", "", "", *FLAGS[:8], "1", *FLAGS[9:]]),
                "|".join(["20", "Matrix, The (1999)", "", "", "", "0", "1", *FLAGS[2:]]),
            ]
        ),
    },
    "ml-1m": {
        "ratings.dat": "\n".join("::".join(row) for row in LOG),
        "movies.dat": "10::Léon (1994)::Drama\n20::Matrix, The (1999)::Action",
    },
    "ml-latest-small": {
        "ratings.csv": "userId,movieId,rating,timestamp\n" + "\n".join(",".join(row) for row in LOG),
        "movies.csv": 'movieId,title,genres\n10,Léon (1994),Drama\n20,"Matrix, The (1999)",Action\n',
    },
}
LAYOUTS["ml-32m"] = LAYOUTS["ml-latest-small"]
RECBOLE = {
    "ml-100k.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    + "\n".join("\t".join(row) for row in LOG),
    "ml-100k.item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    "10\tLéon\t1994\tDrama\n20\tMatrix, The\t1999\tAction\n",
}


def write_layout(folder: Path, files: dict[str, str]) -> Path:
    """Write the files as GroupLens does: Latin-1 where the layout is old."""
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text, "latin-1" if name in ("u.item", "movies.dat") else "utf-8")
    return folder


def zipped(folder: Path) -> Path:
    target = folder.with_suffix(".zip")
    with zipfile.ZipFile(target, "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"{folder.name}/{file.name}")
    return target


@pytest.mark.parametrize("form", ["folder", "folder inside a folder", "zip"])
@pytest.mark.parametrize(("name", "files"), [*LAYOUTS.items(), ("ml-100k", RECBOLE)])
def test_every_movielens_layout_reads_the_same(name: str, files: dict[str, str], form: str, tmp_path: Path) -> None:
    path = write_layout(tmp_path / "data" / name, files)
    path = {"folder": path, "folder inside a folder": path.parent, "zip": zipped(path)}[form]
    (tmp_path / "work").mkdir()
    raw = SOURCES[name].read(path, tmp_path / "work")
    log = raw.interactions.collect()
    assert log.schema == RAW_INTERACTIONS_SCHEMA
    assert log.select("user_id", "item_id", "rating", "timestamp", "problem").rows() == [
        (user, item, float(rating), int(time), None) for user, item, rating, time in LOG
    ]
    assert raw.items.select("item_id", "title", "year").rows() == [("10", "Léon", 1994), ("20", "The Matrix", 1999)]
    assert raw.items["genres"].to_list() == [["Drama"], ["Action"]]


def test_lines_that_cannot_be_read_are_named_with_their_problem(tmp_path: Path) -> None:
    files = {**LAYOUTS["ml-1m"], "ratings.dat": "1::10::five::1\n1::10\n\n::10::4::1\n1::20::4::1::9\n1::20::4::7\n"}
    raw = SOURCES["ml-1m"].read(write_layout(tmp_path / "d", files), tmp_path)
    assert raw.interactions.select("line", "problem").collect().rows() == [
        (1, "unreadable rating"),
        (2, "unreadable rating"),
        (4, "no user"),
        (5, "too many fields"),
        (6, None),
    ]


def test_a_film_that_cannot_be_read_is_left_out_and_named(tmp_path: Path) -> None:
    files = {**LAYOUTS["ml-1m"], "movies.dat": "10::Léon (1994)\n20::Matrix, The (1999)::Action\r\n"}
    raw = SOURCES["ml-1m"].read(write_layout(tmp_path / "d", files), tmp_path)
    assert raw.items["item_id"].to_list() == ["20"] and raw.items["genres"].to_list() == [["Action"]]
    [problem] = raw.problems
    assert (problem.path.name, problem.line) == ("movies.dat", 1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "nowhere", "does not exist"),
        (lambda folder: write_layout(folder / "empty", {"README": "x"}), "does not hold ratings.dat and movies.dat"),
        (lambda folder: write_layout(folder / "d", {"a.zip": "no zip"}) / "a.zip", "is no zip file"),
        (lambda folder: write_layout(folder / "d", {**LAYOUTS["ml-1m"], "movies.dat": "x\n"}), "holds no films"),
    ],
)
def test_a_wrong_movielens_path_is_told_in_one_sentence(
    make: Callable[[Path], Path], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        SOURCES["ml-1m"].read(make(tmp_path), tmp_path)


TABLE = {"user": ["u", "u", "v"], "parent_asin": ["a", "b", "a"], "stars": [5.0, 3.5, 4.0], "time": [10, 20, 15]}
SHELF = {"asin": ["a", "b"], "name": ["Alpha", "Beta"], "tags": ["x|y", "y"]}


def write_table(path: Path, columns: dict[str, list]) -> Path:
    """Write `columns` in the format of the ending."""
    frame = pl.DataFrame(columns)
    if path.name.endswith(".parquet"):
        frame.write_parquet(path)
        return path
    text = frame.write_csv() if ".csv" in path.suffixes else "\n".join(json.dumps(row) for row in frame.to_dicts())
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl", "csv.gz", "jsonl.gz"])
def test_own_data_reads_in_every_format_by_usual_column_names(ending: str, tmp_path: Path) -> None:
    log = write_table(tmp_path / f"log.{ending}", TABLE)
    raw = read_own(log, write_table(tmp_path / f"shelf.{ending}", SHELF), None, tmp_path)
    assert raw.interactions.select("user_id", "item_id", "rating", "timestamp").collect().rows() == [
        ("u", "a", 5.0, 10),
        ("u", "b", 3.5, 20),
        ("v", "a", 4.0, 15),
    ]
    assert raw.items.columns == ["item_id", "title", "tags"] and raw.has_ratings


def test_a_mapping_names_columns_and_kinds(tmp_path: Path) -> None:
    log = write_table(tmp_path / "log.csv", {"who": ["u"], "what": ["a"], "nr": [7], "user": ["not this"]})
    shelf = write_table(
        tmp_path / "shelf.csv", {"what": ["a"], "title": ["a tag"], "called": ["Alpha"], "size": ["M"]}
    )
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(
        '[interactions]\nuser = "who"\nitem = "what"\nposition = "nr"\n'
        '[items]\nitem = "what"\ntitle = "called"\n[items.kinds]\nsize = "category"\n'
    )
    raw = read_own(log, shelf, mapping, tmp_path)
    assert raw.interactions.select("user_id", "item_id", "order").collect().rows() == [("u", "a", 7)]
    assert raw.items.row(0, named=True) == {"item_id": "a", "title": "Alpha", "title_": "a tag", "size": "M"}
    assert raw.kinds == {"size": "category"} and not raw.has_ratings


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (["1520640000", "1520640001"], 1520640000),
        (["1520640000123", "1520640001000"], 1520640000),
        (["1520640000.5", "1520640001.0"], 1520640000),
        (["2018-03-10", "2018-03-11"], 1520640000),
        (["2018-03-10 00:00:00", "2018-03-11 00:00:00"], 1520640000),
        (["2018-03-10T01:00:00+01:00", "2018-03-11T01:00:00+01:00"], 1520640000),
        (["2018-03-10T00:00:00Z", "2018-03-11T00:00:00Z"], 1520640000),
    ],
)
def test_times_in_any_usual_form_become_seconds(written: list[str], seconds: int, tmp_path: Path) -> None:
    log = write_table(tmp_path / "log.csv", {"user": ["u", "u"], "item": ["a", "a"], "timestamp": written})
    frame = read_own(log, write_table(tmp_path / "shelf.csv", SHELF), None, tmp_path).interactions.collect()
    assert frame["timestamp"][0] == seconds and frame["timestamp"].is_sorted() and frame["order"].is_sorted()
    assert frame["problem"].to_list() == [None, None]


def test_rows_of_own_data_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("user,item,rating,timestamp\nu,a,good,1\n,a,4,1\nu,,4,1\nu,a,4,soon\nu,a,4,\nu,a\n")
    raw = read_own(log, write_table(tmp_path / "shelf.csv", SHELF), None, tmp_path)
    assert raw.interactions.select("line", "problem").collect().rows() == [
        (2, "unreadable rating"),
        (3, "no user"),
        (4, "no item"),
        (5, "unreadable timestamp"),
        (6, None),
        (7, None),
    ]


def test_a_truncated_gzip_keeps_what_could_be_read_and_says_so(tmp_path: Path) -> None:
    rows = "".join(f"u,i{n % 7},{n}\n" for n in range(20_000))
    whole = gzip.compress(("user,item,timestamp\n" + rows).encode())
    log = tmp_path / "log.csv.gz"
    log.write_bytes(whole[: len(whole) // 2])
    shelf = write_table(tmp_path / "shelf.csv", {"item": [f"i{n}" for n in range(7)], "title": list("abcdefg")})
    dataset = prepare(read_own(log, shelf, None, tmp_path), tmp_path / "out").dataset
    assert dataset.info.interactions == 7
    assert dataset.info.dropped["truncated gzip"] == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("log.xlsx", "x", r"ending that is not known; use \.csv"),
        ("log.csv", "", "is empty"),
        ("log.csv", "customerx,item\n1,2\n", r"no column for the user \(user_id, user.*it has customerx, item"),
        ("log.jsonl", "[1]\n", "holds no JSON objects"),
        ("log.parquet", "not parquet", "cannot be read as parquet"),
    ],
)
def test_a_file_that_is_no_log_is_told_in_one_sentence(name: str, content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=message) as raised:
        read_own(tmp_path / name, write_table(tmp_path / "shelf.csv", SHELF), None, tmp_path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[interactions\n", "is not TOML"),
        ('[interactions]\nuzer = "x"\n', "interactions.uzer"),
        ('[interactions]\nuser = "nobody"\n', "no column 'nobody' for user; it has user, parent_asin"),
        ('[items.kinds]\ntags = "list"\n', "no kind 'list'"),
        ('[items.kinds]\ncolour = "text"\n', "no column 'colour'"),
    ],
)
def test_a_wrong_mapping_is_told_in_one_sentence(toml: str, message: str, tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(toml)
    log, shelf = write_table(tmp_path / "log.csv", TABLE), write_table(tmp_path / "shelf.csv", SHELF)
    with pytest.raises(UserError, match=message):
        read_own(log, shelf, mapping, tmp_path)
