from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from latentcrs.base.errors import UserError
from latentcrs.cli.main import app
from latentcrs.data import PreparedDataset

ITEMS = "abcdefgh"
# Every user has four items or more that count; "h" is liked by nobody, "ghost" is too short for the data set.
LOG = {
    "ann": "abcde",
    "bob": "edcba",
    "7": "abcd",
    "ghost": "ab",
}
Prepare = Callable[..., PreparedDataset]


@pytest.fixture
def prepare(tmp_path: Path) -> Prepare:
    """Prepares the log above with a file of requests (objects, or lines as they are)."""
    rows = [f"{user},{item},5,{time}" for user, items in LOG.items() for time, item in enumerate(items)]
    rows += ["ann,f,2,99"]  # disliked: in the log, and filtered out
    (tmp_path / "log.csv").write_text("user_id,item_id,rating,timestamp\n" + "\n".join(rows) + "\n")
    (tmp_path / "items.csv").write_text("item_id,title\n" + "".join(f"{item},Title {item}\n" for item in ITEMS))

    def run(*lines: Any) -> PreparedDataset:
        texts = [line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines]
        (tmp_path / "requests.jsonl").write_text("".join(f"{text}\n" for text in texts), "utf-8")
        command = ["data", "prepare", "own", "--interactions", str(tmp_path / "log.csv")]
        command += ["--items", str(tmp_path / "items.csv"), "--requests", str(tmp_path / "requests.jsonl")]
        command += ["--user-core", "3", "--item-core", "1", "--out", str(tmp_path / "out")]
        done = CliRunner().invoke(app, command)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return PreparedDataset(tmp_path / "out")

    return run


def request(split: str = "test", target: Any = "e", user_id: Any = "ann", **other: Any) -> dict[str, Any]:
    return {"user_id": user_id, "target": target, "split": split, "text": "something quiet", **other}


def visitor(history: Any, target: Any = "e", **other: Any) -> dict[str, Any]:
    return {"history": history, "target": target, "split": "test", "text": "something quiet", **other}


def ids(dataset: PreparedDataset, rows: list[int]) -> list[str]:
    return dataset.items["item_id"].gather(rows).to_list()


def histories(dataset: PreparedDataset) -> list[str]:
    """The histories behind the requests, as item ids in a row."""
    found = dataset.request_histories(dataset.requests)
    return [
        "".join(ids(dataset, found.items[start : start + length].tolist()))
        for start, length in zip(found.offsets, found.lengths, strict=True)
    ]


def test_the_history_of_a_request_is_what_the_user_did_before_its_target(prepare: Prepare) -> None:
    dataset = prepare(
        request("test", "e"),
        request("valid", "d"),
        request("train", "c"),
        request("train", "a"),
        request("test", "a", "bob"),
    )
    assert histories(dataset) == ["abcd", "abc", "ab", "", "edcb"]
    assert dataset.requests["split"].to_list() == ["test", "valid", "train", "train", "test"]
    assert ids(dataset, dataset.requests["target"].to_list()) == list("edcaa")
    assert dataset.requests["source"].unique().to_list() == ["imported"]
    assert dataset.requests["history"].null_count() == 5


def test_ids_may_be_numbers_and_blank_lines_are_passed_over(prepare: Prepare) -> None:
    dataset = prepare("", request("test", "d", user_id=7), "   ", request("valid", "c", user_id="7"))
    assert histories(dataset) == ["abc", "ab"]


def test_visitors_bring_their_own_history_which_may_be_empty(prepare: Prepare) -> None:
    dataset = prepare(visitor(["b", "a"]), visitor([]), request())
    assert histories(dataset) == ["ba", "", "abcd"]
    assert dataset.requests["user"].is_null().to_list() == [True, True, False]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{not json", "is not JSON"),
        ('["a list"]', "is not a JSON object"),
        ({"user_id": "ann", "split": "test", "text": "x"}, "'target' is missing"),
        (request(target=["e"]), "'target' is"),
        (request(target=True), "'target' is true"),
        (request(text=5), "'text' is 5; it has to be a string"),
        (request(text="  "), "'text' is empty"),
        (request(split="dev"), '"dev" is none of train, valid, test'),
        (visitor("ab"), "'history' is \"ab\"; it has to be a list of item ids"),
        (visitor(["a", None]), "'history.1' is null"),
        ({"target": "e", "split": "test", "text": "x"}, "neither user_id"),
        (request(history=["a"]), "both user_id and history"),
        (request(user_id="zoe"), "user zoe is not in the log"),
        (request(target="zzz"), "item zzz, is not in the catalogue"),
        (request(target="h"), "user ann never had the target, item h"),
        (request("train", "e"), "lies in the test part of user ann, and the split says train: it would leak"),
        (request("train", "d"), "lies in the valid part of user ann, and the split says train: it would leak"),
        (request("valid", "e"), "it would leak"),
        (request("test", "d"), "it would leak"),
        (request("test", "a"), "lies in the train part of user ann, and the split says test: the model was trained"),
        (request("valid", "a"), "the model was trained on it"),
        (visitor(["a"], "zzz"), "item zzz, is not in the catalogue"),
        (visitor(["a", "zzz"]), "item zzz of the history is not in the catalogue"),
        (visitor(["e", "a"]), "is in the history already"),
    ],
)
def test_a_wrong_request_is_refused_with_its_line_and_nothing_is_written(
    prepare: Prepare, tmp_path: Path, line: Any, words: str
) -> None:
    with pytest.raises(UserError) as caught:
        prepare(request(), "", line)
    told = str(caught.value)
    assert "requests.jsonl:3: " in told and words in told
    assert "1 of 2 requests" in told
    assert not (tmp_path / "out").exists()


def test_all_wrong_lines_are_named_at_once_up_to_twenty(prepare: Prepare) -> None:
    with pytest.raises(UserError) as caught:
        prepare(*[request(user_id=f"nobody-{number}") for number in range(29)], "{", request())
    told = str(caught.value)
    assert told.startswith("30 of 31 requests")
    assert told.count("requests.jsonl:") == 20
    assert "nobody-0 " in told and "nobody-19 " in told and "nobody-20 " not in told
    assert told.endswith("... and 10 more")


def test_what_filtering_removed_is_dropped_counted_and_listed(prepare: Prepare) -> None:
    dataset = prepare(
        request(),
        request("test", "b", user_id="ghost"),
        request("train", "f"),
        visitor(["a"], "h"),
        visitor(["f", "a", "f", "h"]),
    )
    assert len(dataset.requests) == 2
    assert histories(dataset) == ["abcd", "a"]
    counts = {reason: count for reason, count in dataset.info.dropped.items() if "requests" in reason}
    assert counts == {
        "requests removed: the user was filtered out": 1,
        "requests removed: the target was filtered out": 2,
        "items left out of requests' histories: filtered out": 3,
    }
    dropped = pl.read_parquet(dataset.path / "dropped.parquet").filter(pl.col("file") == "requests.jsonl")
    assert dropped.select("line", "item_id").rows() == [(2, "b"), (3, "f"), (4, "h"), (5, "f"), (5, "f"), (5, "h")]


def test_a_target_the_user_had_but_did_not_like_is_dropped_not_refused(prepare: Prepare, tmp_path: Path) -> None:
    log = (tmp_path / "log.csv").read_text()
    (tmp_path / "log.csv").write_text(log + "bob,f,5,50\n")
    dataset = prepare(request("train", "f"), request())
    assert dataset.info.dropped["requests removed: the user's interaction with the target was filtered out"] == 1
    assert len(dataset.requests) == 1


def test_requests_of_which_none_is_left_are_an_error(prepare: Prepare, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="None of the 1 requests"):
        prepare(visitor(["a"], "h"))
    with pytest.raises(UserError, match="holds no requests"):
        prepare()
    assert not (tmp_path / "out").exists()


def test_bytes_that_are_not_utf_8_are_refused_with_their_line(prepare: Prepare, tmp_path: Path) -> None:
    prepare(request())
    before = (tmp_path / "out" / "dataset.json").read_bytes()
    raw = json.dumps(request(text="caf\u00e9"), ensure_ascii=False).encode("latin-1")
    (tmp_path / "latin.jsonl").write_bytes(json.dumps(request()).encode() + b"\n" + raw + b"\n")
    command = ["data", "prepare", "own", "--interactions", str(tmp_path / "log.csv")]
    command += ["--items", str(tmp_path / "items.csv"), "--requests", str(tmp_path / "latin.jsonl")]
    done = CliRunner().invoke(app, [*command, "--out", str(tmp_path / "out")])
    assert isinstance(done.exception, UserError)
    assert "latin.jsonl:2: wrong encoding: byte 0xe9" in str(done.exception)
    assert (tmp_path / "out" / "dataset.json").read_bytes() == before


def test_requests_for_movielens_come_back_with_true_histories(
    shared_data: Callable[..., Path], tmp_path: Path
) -> None:
    from latentcrs.data.prepare import prepare as prepare_data
    from latentcrs.data.requests import import_requests
    from latentcrs.data.sources import SOURCES

    raw = SOURCES["ml-1m"].read(shared_data("ml-1m"), tmp_path)
    dataset = prepare_data(raw, tmp_path / "ml-1m").dataset
    log = dataset.interactions.with_columns(pl.len().over("user").alias("length"))
    behind = pl.col("length") - pl.col("position")
    split = (
        pl.when(behind == 1).then(pl.lit("test")).when(behind == 2).then(pl.lit("valid")).otherwise(pl.lit("train"))
    )
    sample = log.with_columns(split.alias("split"), text=pl.lit("x")).sample(20_000, seed=1)
    sample.select(
        dataset.user_ids.gather(sample["user"]).cast(pl.Int64),
        dataset.items["item_id"].gather(sample["item"]).alias("target"),
        "split",
        "text",
    ).write_ndjson(tmp_path / "requests.jsonl")
    imported = import_requests(dataset.path, tmp_path / "requests.jsonl", raw)
    assert len(imported.dropped) == 0
    assert imported.requests["cut"].to_list() == sample["position"].to_list()
    assert imported.requests["user"].to_list() == sample["user"].to_list()
