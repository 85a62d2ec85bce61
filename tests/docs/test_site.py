"""Claims about the site: it is built with every page of the code's own, and no link in it leads nowhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import latentcrs
from once import made_once
from pages import GENERATED, ROOT
from reference import write_reference

BUNDLE = ROOT / "tests" / "kept" / "format-1" / "bundle"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the site is built from, with the generated pages, in a folder of its own."""

    def make(folder: Path) -> None:
        shutil.copytree(ROOT / "docs", folder / "docs")
        shutil.copy(ROOT / "mkdocs.yml", folder)
        for part in ("src", "tools"):
            (folder / part).symlink_to(ROOT / part)
        write_reference(folder / "docs" / "reference", BUNDLE)

    return made_once(tmp_path_factory, "site", make)


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "zensical"), "build", "--strict", "--clean"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})


def test_the_site_is_built_and_every_link_leads_somewhere(sources: Path) -> None:
    built = build(sources)
    assert built.returncode == 0, built.stdout + built.stderr
    site = sources / "build" / "site"
    python = (site / "reference" / "python" / "index.html").read_text("utf-8")
    public = set(latentcrs.__all__) - {"__version__"}
    assert public == set(re.findall(r'<h3 id="latentcrs\.(\w+)"', python)) and "Recommender.recommend_many" in python
    assert '<span class="gp">&gt;&gt;&gt; </span>' in python and "<blockquote>" not in python
    for name in GENERATED:
        assert (site / "reference" / name.removesuffix(".md") / "index.html").is_file()


def test_a_link_that_leads_nowhere_ends_the_build(sources: Path, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Home\n\n[gone](gone.md), [nor](#nor)\n", "utf-8")
    (tmp_path / "mkdocs.yml").write_text("site_name: one\nsite_dir: build\nnav: [index.md]\n", "utf-8")
    broken = build(tmp_path)
    assert broken.returncode and "2 issues found" in broken.stderr + broken.stdout


def test_every_page_stands_in_the_navigation(sources: Path) -> None:
    def pages(part: object) -> set[str]:
        if isinstance(part, str):
            return {part}
        return set().union(*map(pages, part.values() if isinstance(part, dict) else part))  # type: ignore[arg-type]

    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    assert pages(settings["nav"]) | {settings["exclude_docs"]} == {
        path.relative_to(sources / "docs").as_posix() for path in (sources / "docs").rglob("*.md")
    }


def test_the_reference_has_every_command_setting_and_endpoint(sources: Path) -> None:
    reference = sources / "docs" / "reference"
    commands, settings, http = (
        (reference / f"{name}.md").read_text("utf-8") for name in ("commands", "settings", "http")
    )
    headings = set(re.findall(r"^## latentcrs (.+)$", commands, re.MULTILINE))
    assert {
        "train",
        "chat",
        "serve",
        "data prepare",
        "data check",
        "evaluate one-turn",
        "evaluate people",
    } <= headings
    assert "| `--keys-file <path>` |" in commands
    assert "| `em.epochs` | `7` | `50` |" in settings and "| `model.intents` | `256` | `512` |" in settings
    assert "## POST /api/v1/conversations/{id}/turns" in http and "### RecommendedItem" in http
