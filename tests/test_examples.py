"""Claims about the scripts of `examples`: each runs as its first lines say, and does what it is there to show."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import latentcrs
from latentcrs.data import PreparedDataset
from latentcrs.systems.open import SystemParts, open_baseline, system_names
from latentcrs.text import open_encoder
from latentcrs.users import fill_requests
from latentcrs.users.open import open_user

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
KEPT = Path(__file__).parent / "kept"
sys.path[:0] = [str(KEPT), str(EXAMPLES)]
import make  # noqa: E402


def run(script: str, bundle: Path, folder: Path) -> str:
    """What a script prints over a bundle."""
    commands = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": commands, "LATENTCRS_STORE": str(folder / "store.db")}
    ran = subprocess.run(
        [sys.executable, str(EXAMPLES / script), str(bundle)], capture_output=True, text=True, env=environment
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_every_script_is_told_of_and_tested() -> None:
    told, here = (EXAMPLES / "README.md").read_text("utf-8"), Path(__file__).read_text("utf-8")
    scripts = {path.stem for path in EXAMPLES.glob("*.py")} - {"serving"}
    assert all(f"({name}.py)" in told and name in here for name in scripts) and len(scripts) >= 4


def test_own_data_is_fitted_asked_kept_and_talked_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTCRS_CACHE", str(tmp_path / "cache"))
    for name, frame in zip(("log.csv", "items.csv"), make.frames(), strict=True):
        frame.write_csv(tmp_path / name)
    files = [str(tmp_path / name) for name in ("log.csv", "items.csv", "model")]
    importlib.import_module("own_data").main(*files, **make.SETTINGS)
    shown = capsys.readouterr().out
    assert "Dataset(40 users, 24 items, 240 interactions)" in shown and "shape: (6, 5)" in shown
    assert len(latentcrs.load(tmp_path / "model").recommend(k=3)) == 3


def test_a_served_bundle_is_talked_with_through_the_openai_package(bundle: Path, tmp_path: Path) -> None:
    shown = run("openai_chat.py", bundle, tmp_path)
    assert shown.count("> ") == 3 and "1. **" in shown and "Musical" in shown.splitlines()[-1]


def test_items_are_added_changed_and_hidden_while_a_server_runs(bundle: Path, tmp_path: Path) -> None:
    added, ferry, lighthouse, train, hidden, put = run("living_catalogue.py", bundle, tmp_path).splitlines()
    assert added == "added 2" and "Night Ferry" in ferry and "Lighthouse Keeper" in lighthouse
    assert "Night Train" in train and "Lighthouse Keeper" not in hidden and put == "added and changed (0, 1)"


def test_an_agent_asks_looks_closer_remembers_and_asks_again(bundle: Path, tmp_path: Path) -> None:
    pytest.importorskip("mcp")
    shown = run("mcp_agent.py", bundle, tmp_path)
    first = next(line for line in shown.splitlines() if line.startswith("1. ")).removeprefix("1. ").split(" (")[0]
    assert "tools: recommend search_items explain" in shown
    assert first not in shown.partition("and now:")[2]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package of plug-ins, installed as anybody would, but into a folder of its own."""
    source = shutil.copytree(EXAMPLES / "plugins", tmp_path / "source")
    command = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([sys.executable, *command, "--target", str(tmp_path / "site"), str(source)], check=True)
    monkeypatch.syspath_prepend(tmp_path / "site")


def test_a_package_of_plug_ins_brings_an_encoder_a_system_and_a_user(
    installed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTCRS_CACHE", str(tmp_path / "cache"))
    shutil.copytree(KEPT / "format-1" / "dataset", tmp_path / "dataset")
    dataset = PreparedDataset(tmp_path / "dataset")
    assert "newest" in system_names() and open_encoder("hashing:32").width == 32

    fill_requests(dataset, user="terse", force=True)
    places = dict(zip(dataset.items["item_id"], dataset.items["place"], strict=True))
    said = zip(dataset.requests["text"], dataset.items["item_id"].gather(dataset.requests["target"]), strict=True)
    assert all(text == places[item] for text, item in said) and set(dataset.requests["source"]) == {"terse"}

    model = latentcrs.LatentCRS(**make.SETTINGS, text_encoder="hashing:64", device="cpu").fit(dataset)
    model.save(tmp_path / "model")
    again = latentcrs.load(tmp_path / "model")
    assert again.bundle.info.text_encoder.id == "hashing-64"
    assert again.recommend(request="a forest") == model.recommend(request="a forest")

    newest = open_baseline("newest", SystemParts(dataset, model, behaviour=lambda histories: None))  # type: ignore[arg-type,return-value]
    assert newest.scores(dataset.requests[:3]).shape == (3, 24)
    assert open_user("terse", dataset).name == "terse"
