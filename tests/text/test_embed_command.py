"""`latentcrs embed` and `latentcrs models list`, as a person calls them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from latentcrs.data import DatasetInfo, PreparedDataset
from latentcrs.data.dataset import write_manifest
from latentcrs.text import LocalEncoder
from latentcrs.text.cache import EmbeddingCache
from latentcrs.text.cost import cost_of, duration


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", "from latentcrs.cli.main import main; main()", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def dataset(tmp_path: Path, sentences: list[str]) -> Path:
    """Three items (one of them without text) and four requests, two of them the same."""
    folder = tmp_path / "dataset"
    folder.mkdir()
    items = {"item_id": ["a", "b", "c"], "title": ["A", "B", "C"], "text": ["a comedy", None, "a western"]}
    pl.DataFrame(items).write_parquet(folder / "items.parquet")
    info = DatasetInfo(
        name="tiny", source="", terms="", command="", threshold=None, core=1, users=1, items=3, interactions=3,
        columns={},
    )  # fmt: skip
    write_manifest(folder, info)
    count = 4
    requests = {
        "user": [0] * count, "cut": [2] * count, "history": [None] * count, "target": [1] * count,
        "split": ["test"] * count, "text": [*sentences[:3], sentences[0]], "source": ["attributes"] * count,
    }  # fmt: skip
    PreparedDataset(folder).write_requests(pl.DataFrame(requests))
    return folder


def test_embed_warms_the_cache_once_and_says_what_it_costs(
    dataset: Path, minilm: LocalEncoder, own_cache: Path
) -> None:
    first = run("embed", str(dataset), "--device", "cpu", "--json")
    assert first.returncode == 0, first.stderr
    assert "To encode with minilm-" in first.stderr and "6 texts, about" in first.stderr
    told = json.loads(first.stdout)
    assert (told["items"], told["requests"], told["encoded"], told["width"]) == (3, 4, 6, 384)
    store = EmbeddingCache(minilm.id)
    assert len(store) == 6 and str(store.path) == told["cache"]
    store.close()
    again = run("embed", str(dataset), "--device", "cpu")
    assert again.returncode == 0, again.stderr
    assert "3 items and 4 requests: all were there already" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--encoder", "nonsense"], "There is no encoder 'nonsense'"),
        (["--device", "tpu"], "There is no device 'tpu'"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(dataset: Path, arguments: list[str], words: str) -> None:
    done = run("embed", str(dataset), *arguments)
    assert done.returncode == 2
    assert words in done.stderr and "Traceback" not in done.stderr


def test_models_list_names_the_embedded_encoder() -> None:
    done = run("models", "list", "--json")
    assert done.returncode == 0, done.stderr
    assert {"spec": "minilm", "width": 384}.items() <= json.loads(done.stdout)[0].items()


def test_a_cost_is_extrapolated_from_a_sample(minilm: LocalEncoder, sentences: list[str]) -> None:
    cost = cost_of(sentences * 100, minilm)
    assert cost.texts == 400
    assert cost.tokens == pytest.approx(100 * minilm.count_tokens(sentences).sum(), rel=0.1)
    assert cost.seconds > 0
    assert cost_of([], minilm).tokens == 0
    assert [duration(s) for s in (0.1, 60, 600, 9000)] == ["1 s", "60 s", "10 min", "2.5 h"]
