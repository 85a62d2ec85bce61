"""The lexical extractor on real films, and on what the simulated user asks of them."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from latentcrs.data import PreparedDataset
from latentcrs.language.extract import LexicalExtractor
from latentcrs.simulate.attributes import AttributesUser


@pytest.fixture(scope="module")
def dataset(small_movielens: Path) -> PreparedDataset:
    return PreparedDataset(small_movielens)


@pytest.fixture(scope="module")
def films(dataset: PreparedDataset) -> LexicalExtractor:
    return LexicalExtractor(dataset.items, dataset.info.columns)


def test_what_is_heard_in_simulated_requests_is_true_of_their_targets(
    dataset: PreparedDataset, films: LexicalExtractor
) -> None:
    asked = dataset.requests.filter(pl.col("split") == "valid")
    columns = dataset.info.columns
    passing = []
    for text, target in asked.select("text", "target").iter_rows():
        found = [heard.rule.expression(columns) for heard in films.extract(text).rules]
        item = dataset.items[target]
        passing.append(not found or item.select(pl.all_horizontal(found)).item())
    assert len(passing) > 200
    assert np.mean(passing) >= 0.97


def test_what_simulated_users_say_is_heard(dataset: PreparedDataset, films: LexicalExtractor) -> None:
    asked = dataset.requests.filter(pl.col("split") == "valid")
    numbers = [asked[name].to_numpy() for name in ("user", "cut", "target")]
    spoken = AttributesUser(dataset, 0).speak(*numbers)
    said = heard = 0
    for text, conditions in zip(spoken.texts, (said.conditions for said in spoken.said), strict=True):
        found = films.extract(text)
        values = [(f.rule.column, f.rule.value) for f in (*found.rules, *found.wishes)]
        for condition in conditions:
            if condition.operator == "has":
                said += 1
                heard += any(
                    column == condition.column and isinstance(value, list) and condition.value in value
                    for column, value in values
                )
    assert said > 200
    assert heard / said >= 0.95


def test_ten_thousand_characters_take_no_longer_for_their_order(films: LexicalExtractor) -> None:
    natural = "I want a comdy from the 90s with Tom Hnaks about submarines, no horror or war, ideally by Spilberg. "
    for text in (natural, "maybe comedy ", "comedy if possible ", "with a ", "no not without ", "- ", "John Jhon "):
        begun = time.process_time()
        films.extract((text * 10_000)[:10_000])
        assert time.process_time() - begun < 2, text
