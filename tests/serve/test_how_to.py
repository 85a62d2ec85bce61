"""The how-tos are followed as they are written: against a server, and with what it leaves in its store."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import polars as pl
import pytest
from listening import listening
from typer.testing import CliRunner

from latentcrs.base.files import sha256_of
from latentcrs.cli.main import app
from latentcrs.serve.app import create_app
from latentcrs.serve.settings import Settings
from needs import require
from pages import ROOT, blocks, commands_in

HOW_TO = ROOT / "docs" / "how-to"


class Shop(NamedTuple):
    """A folder as the how-tos have it (`models/shop`, `data/shop`, `shop.sqlite`), and a server of it."""

    folder: Path
    address: str
    item: str


@pytest.fixture(scope="module")
def followed(shop: Path, small_movielens: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("how-to")
    for source, name in ((shop, "models/ml-1m"), (shop, "models/shop"), (small_movielens, "data/shop")):
        shutil.copytree(source, folder / name)
    branded(folder / "models" / "shop")
    item = pl.read_parquet(shop / "items.parquet")["item_id"][0]
    (folder / "changes.jsonl").write_text(f'{{"item_id": "{item}", "price": 9.5}}\n', "utf-8")
    (folder / "prices.csv").write_text(f"item_id,price\n{item},8.5\n", "utf-8")
    settings = Settings(bundle=folder / "models" / "ml-1m", db=str(folder / "shop.sqlite"), page=False, device="cpu")
    with listening(create_app(settings)) as port:
        yield Shop(folder, f"localhost:{port}", item)


def branded(bundle: Path) -> None:
    """Give the items of a bundle a maker, which OpenAI's feed demands."""
    items = pl.read_parquet(bundle / "items.parquet").with_columns(brand=pl.lit("Acme"))
    items.write_parquet(bundle / "items.parquet")
    manifest = json.loads((bundle / "bundle.json").read_text("utf-8"))
    manifest["dataset"]["columns"]["brand"] = "category"
    manifest["checksums"]["items.parquet"] = sha256_of(bundle / "items.parquet")
    (bundle / "bundle.json").write_text(json.dumps(manifest), "utf-8")


def run_python(page: str, shop: Shop) -> str:
    """What the Python of a page prints, said to our server in place of the usual address."""
    shown = io.StringIO()
    for block in blocks(HOW_TO / page, "python"):
        source = re.sub(r"(localhost|127\.0\.0\.1):8000", shop.address, block.text)
        with contextlib.redirect_stdout(shown):
            exec(compile(source, page, "exec"), {})
    return shown.getvalue()


def test_the_commands_of_curl_are_answered(followed: Shop) -> None:
    require(shutil.which("curl"), "there is no curl: apt-get install curl")
    answers: list[str] = []
    for page in ("serve.md", "shop-rules.md"):
        for block in blocks(HOW_TO / page):
            for line in block.text.replace("\\\n", " ").splitlines():
                if block.language in ("sh", "console") and re.match(r"(\$ )?curl ", line):
                    asked = (
                        line.removeprefix("$ ")
                        .replace("curl ", "curl -sf ", 1)
                        .replace("/items/17", f"/items/{followed.item}")
                    )
                    asked = asked.replace("localhost:8000", followed.address)
                    if len(answers) == 1:
                        asked = re.sub(
                            r"(?<=conversations/)[\w-]+", re.findall(r'"id":"([\w-]+)"', answers[0])[0], asked
                        )
                    done = subprocess.run(["bash", "-c", asked], cwd=followed.folder, capture_output=True, text=True)
                    assert done.returncode == 0, asked
                    answers.append(done.stdout)
    assert len(answers) == 5 and '"title"' in answers[1] and '"changed":1' in answers[3]


def test_the_clients_in_python_talk_with_the_server(followed: Shop) -> None:
    assert len(run_python("serve.md", followed).splitlines()) == 5
    talked = run_python("chat-clients.md", followed)
    assert "\n\n1. " in talked and len(re.findall(r"\b19\d\d\b", talked)) >= 5


def test_what_a_server_gathered_is_counted_exported_and_prepared_again(
    followed: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = {"item_id": followed.item, "kind": "purchase"}
    told = httpx.post(f"http://{followed.address}/api/v1/users/somebody/events", json=event)
    assert told.is_success, told.text
    monkeypatch.chdir(followed.folder)
    done: dict[str, str] = {}
    for page in ("shop-rules.md", "retrain.md"):
        for block in blocks(HOW_TO / page, "sh"):
            for _, *words in commands_in(block.text):
                if words[0] in ("items", "stats", "export", "data"):
                    ran: Any = CliRunner().invoke(app, words, catch_exceptions=False)
                    assert ran.exit_code == 0, (words, ran.output)
                    done[" ".join(words[:2])] = ran.output
    assert len(done) == 6, done
    log = pl.read_csv(followed.folder / "log.csv", infer_schema=False)
    assert ("somebody", followed.item) in set(zip(log["user_id"], log["item_id"], strict=True))
    assert (followed.folder / "data" / "new" / "dataset.json").is_file()
    assert all((followed.folder / name).stat().st_size for name in ("feed.jsonl", "products.jsonl", "items.jsonl"))
