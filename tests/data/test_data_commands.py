"""Claims about the commands `latentcrs data prepare`, `list` and `show`, as a person or a program runs them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from latentcrs.cli.main import main


def run(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str, str]:
    """Run the command line in this process: (exit code, stdout, stderr)."""
    monkeypatch.setattr("sys.argv", ["latentcrs", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    captured = capsys.readouterr()
    code = stopped.value.code
    return (code if isinstance(code, int) else int(code is not None)), captured.out, captured.err


@pytest.fixture
def shop(tmp_path: Path) -> list[str]:
    """A log of three users and six items, as options of `data prepare own`."""
    log, shelf = tmp_path / "log.csv", tmp_path / "shelf.jsonl"
    rows = [f"{user},{item},{n}" for user in "abc" for n, item in enumerate("123456")]
    log.write_text("\n".join(["user,sku,time", *rows, "a,99,7"]))
    shelf.write_text("\n".join(json.dumps({"sku": n, "name": f"Thing {n}", "tags": ["t", n]}) for n in "123456"))
    return ["--interactions", str(log), "--items", str(shelf)]


def test_own_data_is_prepared_and_shown(
    shop: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "set")
    code, text, _ = run(["data", "prepare", "own", *shop, "--out", out], monkeypatch, capsys)
    assert code == 0 and "item not in the catalogue" in text and f"written to {out}" in text.replace("\n", "")
    code, text, _ = run(["data", "show", out, "--json"], monkeypatch, capsys)
    told = json.loads(text)
    assert code == 0 and told["statistics"]["interactions"] == 18
    assert told["manifest"]["columns"] == {"tags": "multi-category"}
    assert told["manifest"]["command"].startswith("latentcrs data prepare own --interactions")
    assert run(["data", "show", out], monkeypatch, capsys)[0] == 0


def test_requests_written_elsewhere_come_in_with_prepare(
    shop: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    requests = tmp_path / "requests.jsonl"
    requests.write_text(json.dumps({"user_id": "a", "target": "6", "split": "test", "text": "a sixth thing"}))
    out = str(tmp_path / "set")
    arguments = ["data", "prepare", "own", *shop, "--requests", str(requests), "--out", out]
    assert run(arguments, monkeypatch, capsys)[0] == 0
    told = json.loads(run(["data", "show", out, "--json"], monkeypatch, capsys)[1])
    assert told["requests"] == {"test": 1}


def test_every_source_is_listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = run(["data", "list", "--json"], monkeypatch, capsys)
    names = set(json.loads(text))
    assert code == 0 and {"ml-100k", "ml-1m", "ml-latest-small", "ml-32m", "amazon-2023", "own"} <= names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data", "prepare", "ml-2m", "--out", "x"], "No source is called 'ml-2m'"),
        (["data", "prepare", "ml-1m", "--out", "x"], "wants --from PATH"),
        (["data", "prepare", "own", "--out", "x"], "wants --interactions FILE and --items FILE"),
        (["data", "show", "nowhere"], "is not a prepared data set"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LATENTCRS_DATA", raising=False)
    code, _, error = run(arguments, monkeypatch, capsys)
    assert code == 2 and message in error and "Traceback" not in error


def test_an_error_shows_square_brackets_as_they_are(
    shop: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log.csv").write_text("a,b\n1,2\n")
    code, _, error = run(["data", "prepare", "own", *shop, "--out", str(tmp_path / "x")], monkeypatch, capsys)
    assert code == 2 and '[interactions] user = "COLUMN"' in error
