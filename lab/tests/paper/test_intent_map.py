"""Claims about the map of intents: it is the same every time, and its page stays text and asks nobody."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from latentcrs.evaluate.intents import IntentsReport, describe_intents, project
from latentcrs.recommend import Recommender, load_bundle
from latentcrs_lab.cli.main import app
from latentcrs_lab.paper.intent_map import LABELS, map_of, page_of, write_map

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> $\\frac$ & co"


@pytest.fixture(scope="module")
def cached(small_movielens_cache: Path) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LATENTCRS_CACHE", str(small_movielens_cache))
        yield


@pytest.fixture(scope="module")
def report(cached: object, recommender: Recommender) -> IntentsReport:
    return describe_intents(recommender.bundle)


@pytest.fixture(scope="module")
def hostile(cached: object, bundle: Path) -> IntentsReport:
    """What is told where every title tries to break out of the page."""
    loaded = load_bundle(bundle)
    loaded.items = loaded.items.with_columns(title=pl.concat_str(pl.lit(HOSTILE), pl.col("title")))
    return describe_intents(loaded)


class Page(HTMLParser):
    """The tags and the addresses of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [str(value) for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]


def test_the_map_is_the_same_every_time_and_its_labels_do_not_overlap(report: IntentsReport) -> None:
    rows = np.random.default_rng(0).normal(size=(60, 8))
    assert (project(rows) == project(rows)).all()
    laid = map_of(report)
    assert 0 < len(laid.labels) <= LABELS
    for place, one in enumerate(laid.labels):
        for other in laid.labels[place + 1 :]:
            apart = 5 * (len(one.text) + len(other.text)) / 2
            assert abs(one.x - other.x) >= apart or abs(one.y - other.y) >= 12
    areas = [(intent.users, radius) for intent, radius in zip(laid.intents, laid.radii, strict=True)]
    assert areas == sorted(areas, reverse=True)


def test_a_title_cannot_break_out_of_the_page(hostile: IntentsReport) -> None:
    text = page_of(hostile)
    page = Page(text)
    assert page.tags.count("script") == 2 and "img" not in page.tags
    details = json.loads(re.search(r'application/json">(.*?)</script>', text, re.S)[1])
    assert any(title.startswith(HOSTILE) for intent in details.values() for title in intent["items"])
    assert "innerHTML" not in text


def test_the_page_asks_the_network_for_nothing(report: IntentsReport) -> None:
    text = page_of(report)
    assert Page(text).addresses == []
    assert "default-src 'none'" in text and "http" not in text.replace("http-equiv", "")


def test_hostile_titles_are_drawn_and_three_whole_files_written(hostile: IntentsReport, tmp_path: Path) -> None:
    write_map(hostile, tmp_path / "maps")
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == [
        "intents.html", "intents.json", "intents.png",
    ]  # fmt: skip
    assert (tmp_path / "maps" / "intents.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_writes_the_map_also_without_the_data_set(bundle: Path, tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["intent-map", str(bundle), "--out", str(tmp_path / "map"), "--device", "cpu"])
    assert ran.exit_code == 0 and (tmp_path / "map" / "intents.html").is_file()
    loaded = load_bundle(bundle)
    loaded.info.dataset.path = str(tmp_path / "gone")
    assert all(radius > 0 for radius in map_of(describe_intents(loaded)).radii)
