"""Claims about `latentcrs-lab report`: real steps are taken once, and again where inputs changed; pages have them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from latentcrs.base.errors import UserError
from latentcrs.cli.main import app as product
from latentcrs.evaluate import one_turn, tables
from latentcrs.evaluate.multi_turn_tables import markdown_of
from latentcrs.evaluate.people import evaluate_people
from latentcrs.evaluate.people_tables import people_markdown
from latentcrs.evaluate.talks import multi_turn
from latentcrs_lab.cli.main import app
from latentcrs_lab.paper.published import PUBLISHED, published, published_counts
from latentcrs_lab.report.pages import OPENED, PLACE, fill_pages, write_page
from latentcrs_lab.report.run import read_record, records_of, run_steps
from latentcrs_lab.report.steps import LAB, PARTS, PRODUCT, SCRIPT, Plan, Step, chosen
from latentcrs_lab.report.tables import PIECES, one_turn_of, people_of, pieces_of, talks_of

ROOT = Path(__file__).resolve().parents[3]
COMMAND = [sys.executable, "-c", "from latentcrs_lab.cli.main import main; main()", "report"]


def refusal(*words: object) -> str:
    """What `latentcrs-lab report` says where it refuses."""
    ran = CliRunner().invoke(app, ["report", *map(str, words)])
    assert isinstance(ran.exception, UserError), ran.output
    return str(ran.exception)


def shown(name: str, data: Path) -> Step:
    """A real step that takes a second."""
    return Step(f"ml-1m/{name}", "data", ((PRODUCT, "data", "show", str(data), "--json"),), (data,))


@pytest.fixture
def data(small_movielens: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_movielens, tmp_path / "out" / "data" / "ml-1m"))


def test_a_killed_run_goes_on_where_it_was_and_fills_the_pages(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LATENTCRS_DATA", raising=False)  # no data set but the bundle's: none is trained on
    page = tmp_path / "site" / "README.md"
    page.parent.mkdir()
    page.write_text(
        "# Ours\n\n<!-- report intents -->\n<!-- /report -->\n\n<!-- report people-tomt -->old<!-- /report -->"
    )
    words = [*COMMAND, "--out", str(tmp_path / "out"), "--bundle", f"ml-1m={bundle}", "--into", str(page.parent)]
    words += ["--only", "intents", "--only", "data"]
    kept = tmp_path / "out" / "steps" / "ml-1m"
    with (tmp_path / "log").open("w") as log:
        first = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
        try:
            while not (kept / "intents.json").exists():
                assert first.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.02)
        finally:
            os.killpg(first.pid, signal.SIGKILL)
            first.wait()
    assert not (kept / "data.json").exists() and "old" in page.read_text()
    before = (kept / "intents.json").stat().st_mtime_ns
    subprocess.run(words, check=True, capture_output=True)
    assert (kept / "intents.json").stat().st_mtime_ns == before
    record, text = json.loads((kept / "intents.json").read_text()), page.read_text()
    assert f"{record['result']['lift']:.1f} times" in text and ">old<" in text
    assert record["command"] == ["latentcrs evaluate intents models/ml-1m"]
    assert record["hardware"]["cores"] and record["seconds"] > 0 and record["peak_mib"] > 50
    whole = (tmp_path / "out" / "report.md").read_text()
    assert "```sh\nlatentcrs data show data/ml-1m\n```" in whole and "### Do intents hear words?" in whole


def test_what_reads_a_changed_input_is_taken_again_and_nothing_else(data: Path, tmp_path: Path) -> None:
    plan = Plan(tmp_path / "out")
    other = Path(shutil.copytree(data, tmp_path / "out" / "data" / "other"))
    steps = [shown("one", data), shown("two", other)]
    assert run_steps(plan, steps) == []
    before = records_of(plan, steps)
    assert before["ml-1m/one"]["result"]["manifest"]["users"] == 249
    manifest = data / "dataset.json"
    manifest.write_text(manifest.read_text().replace('"users": 249', '"users": 248'))
    assert run_steps(plan, steps) == []
    after = records_of(plan, steps)
    assert after["ml-1m/one"]["result"]["manifest"]["users"] == 248
    assert after["ml-1m/two"] == before["ml-1m/two"]
    longer = replace(steps[1], commands=((PRODUCT, "data", "show", str(other), "--json", "--help"),))
    assert "printed no JSON" in run_steps(plan, [longer])[0]  # another command is another step


def test_what_fails_is_said_in_a_sentence_and_the_rest_is_done(data: Path, tmp_path: Path) -> None:
    plan, nowhere = Plan(tmp_path / "out"), tmp_path / "out" / "models" / "ml-1m"
    train = (PRODUCT, "train", str(data), "--out", str(nowhere), "--set", "model.intents=none")
    steps = [
        Step("ml-1m/trained", "trained", (train,), (data,), nowhere),
        Step("ml-1m/intents", "intents", ((PRODUCT, "evaluate", "intents", str(nowhere), "--json"),), (nowhere,)),
        shown("data", data),
    ]
    failed, left_out = run_steps(plan, steps)
    assert failed.startswith("ml-1m/trained failed: latentcrs train data/ml-1m") and "model.intents" in failed
    assert left_out == "ml-1m/intents was left out: it needs models/ml-1m."
    assert list(records_of(plan, steps)) == ["ml-1m/data"]


def test_a_step_stands_behind_what_it_needs_and_an_only_takes_that_along(tmp_path: Path) -> None:
    for name in ("ml-1m", "redial-train", "redial-valid", "cds-2018"):
        (tmp_path / "raw" / name).mkdir(parents=True)
    every = Plan(tmp_path, tmp_path / "raw", llm="local").steps()
    assert {step.dataset for step in every} == {"ml-1m", "redial", "cds-2018"}
    assert {step.part for step in every} | {"heard"} == set(PARTS)
    names = [step.name for step in chosen(every, [])]
    assert sorted(names) == sorted(step.name for step in every) and names[2] == "ml-1m/people"
    assert [step.name for step in chosen(every, ["ml-1m/people"])] == names[:3]
    ready = {path for step in every for path in step.reads if (tmp_path / "raw") in path.parents}
    for step in chosen(every, ["additions"]):
        assert set(step.reads) <= ready
        ready |= {step.makes} if step.makes else set()


def test_every_command_of_a_report_is_one_that_exists(tmp_path: Path) -> None:
    for name in ("ml-1m", "redial-train", "redial-valid", "heard"):
        (tmp_path / name).mkdir()
    steps = Plan(tmp_path, tmp_path, llm="local").steps()
    commands = {words[:3] for step in steps for words in step.commands}
    for program, *words in commands:
        if program == SCRIPT:
            assert Path(words[0]).is_file()
            continue
        typed = [word for word in words if not word.startswith(("/", "-"))]
        ran = CliRunner().invoke({PRODUCT: product, LAB: app}[program], [*typed, "--help"])
        assert ran.exit_code == 0, (program, typed, ran.output)


def test_tables_of_a_record_are_those_that_the_command_prints(
    bundle: Path, small_movielens_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTCRS_CACHE", str(small_movielens_cache))
    monkeypatch.setenv("LATENTCRS_TRAINING", str(tmp_path))
    monkeypatch.setattr(one_turn, "SYSTEMS", ("popularity", "behaviour", "latentcrs-b", "latentcrs-f"))
    ranked = one_turn.evaluate_one_turn(bundle, device="cpu")
    talked = multi_turn(bundle, ("b", "popularity"), n=20, device="cpu")
    assert tables.markdown(one_turn_of(kept(ranked))) == tables.markdown(ranked)
    assert markdown_of(talks_of(kept(talked))) == markdown_of(talked)


def test_tables_of_people_are_those_that_the_command_prints(
    bundle: Path, ids: Callable[[str], str], tmp_path: Path
) -> None:
    said = tmp_path / "said.jsonl"
    wanted = {"animated toys": "Toy Story", "a space opera": "Alien"}
    lines = [{"text": text, "target": ids(title), "history": [], "split": "test"} for text, title in wanted.items()]
    said.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = evaluate_people(bundle, [f"own={said}"], device="cpu", only=["bm25", "latentcrs-b"])
    assert people_markdown(people_of(kept(found))) == people_markdown(found)


def kept(result: object) -> dict[str, object]:
    return {"result": json.loads(json.dumps(result.as_json()))}  # type: ignore[attr-defined]


def test_no_figure_between_markers_was_typed(tmp_path: Path) -> None:
    """README and documentation have what the records beside the laboratory's page give, to the letter."""
    records = json.loads((ROOT / "lab" / "notes" / "figures.json").read_text("utf-8"))
    pieces, found = pieces_of(records), set()
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        text = page.read_text("utf-8")
        assert len(OPENED.findall(text)) == 2 * len(PLACE.findall(text)), page
        for _, name, filled, _ in PLACE.findall(text):
            assert name in PIECES, f"{page}: {name}"
            found.add(name)
            assert pieces[name] is None or filled.strip() == pieces[name], f"{page}: {name}"
    assert {"people-short", "one-turn-short", "people-redial"} <= found


def test_the_page_of_all_figures_has_every_record(tmp_path: Path) -> None:
    records = json.loads((ROOT / "lab" / "notes" / "figures.json").read_text("utf-8"))
    steps = [Step(name, record["part"], (), ()) for name, record in records.items()]
    write_page(steps, records, tmp_path / "figures.md")
    text = (tmp_path / "figures.md").read_text("utf-8")
    for record in records.values():
        assert record["command"][-1] in text or record["part"] in ("prepared", "trained", "without", "map", "stills")
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text):
        assert (tmp_path / picture).stat().st_size > 5_000


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<!-- report nothing -->\n<!-- /report -->", "no piece 'nothing' of a report"),
        ("<!-- report intents -->\n", "begins with <!-- report NAME -->"),
        ("# No place\n", "has a place for a report"),
    ],
)
def test_a_place_that_cannot_be_filled_is_named(text: str, why: str, tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(text)
    with pytest.raises(UserError, match=re.escape(why)):
        fill_pages(tmp_path, {})
    assert page.read_text() == text


def test_what_is_asked_wrongly_is_refused_in_a_sentence(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LATENTCRS_DATA", raising=False)
    ours = ("--out", tmp_path / "out", "--bundle", f"ml-1m={bundle}")
    assert "no part, data set or step 'table-9' here; the parts are one-turn" in refusal(*ours, "--only", "table-9")
    assert refusal("--out", tmp_path / "out").startswith("There is nothing to report of")
    assert "write NAME=FOLDER" in refusal("--out", tmp_path / "out", "--bundle", str(bundle))
    (tmp_path / "own" / "models" / "ml-1m").mkdir(parents=True)
    assert "is a folder of its own" in refusal("--out", tmp_path / "own", "--bundle", f"ml-1m={bundle}", "--list")
    record = tmp_path / "out" / "steps" / "ml-1m" / "data.json"
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text('{"mine": 1}')
    assert "is no record of 'latentcrs-lab report'" in refusal(*ours, "--only", "data")
    assert record.read_text() == '{"mine": 1}'
    assert read_record(Plan(tmp_path), "ml-1m/people") is None


def test_the_papers_tables_are_whole() -> None:
    for dataset in PUBLISHED:
        assert len(published("one-turn", dataset)) == 4 and len(published("sampled", dataset)) == 8
        assert len(published("multi-turn", dataset)) == 11 and len(published("tokens", dataset)) == 6
        assert published_counts(dataset)["users"] > 6000
    assert published("one-turn", None) == {} and published("tokens", "another") == {}
