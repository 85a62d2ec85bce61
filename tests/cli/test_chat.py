"""`latentcrs chat`: a conversation through pipes and on a terminal, and what stands behind it."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

import latentcrs
from latentcrs.converse.display import ItemDisplay, plain
from latentcrs.converse.prompt import PROMPT, ChatLoop
from latentcrs.converse.terminal import LONGEST_REQUEST, TerminalChat, joined
from latentcrs.errors import UserError
from latentcrs.recommend import Reason, Recommendation, Recommender
from latentcrs.recommend.users import trained_dataset, user_history

pty = pytest.importorskip("pty", reason="pseudo-terminals are Unix's")
COMMAND = [sys.executable, "-c", "from latentcrs.cli.main import main; main()", "chat"]


def piped(bundle: Path, said: bytes, *options: str) -> subprocess.CompletedProcess[str]:
    """The command with `said` piped into it, on a terminal of 80 columns."""
    environment = {**os.environ, "COLUMNS": "80", "PYTHONUTF8": "1"}
    done = subprocess.run(
        [*COMMAND, str(bundle), *options], input=said, capture_output=True, env=environment, timeout=120, check=False
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture(scope="module")
def recommender(small_bundle: Path) -> Recommender:
    return latentcrs.load(small_bundle)


@pytest.fixture
def chat(recommender: Recommender) -> TerminalChat:
    return TerminalChat(recommender, [recommender.find_item("Toy Story")], k=4)


def run(chat: TerminalChat, *lines: str, width: int = 80) -> str:
    """What the loop prints for these lines."""
    with open(os.devnull, "w") as nowhere:
        console = Console(file=nowhere, width=width, record=True)
        ChatLoop(chat, console).run(lines)
    return console.export_text()


def test_a_piped_conversation_answers_every_line_and_ends_with_the_input(small_bundle: Path) -> None:
    said = "a comedy from the eighties\n\n[red]x[/red] <script>alert(1)</script>\n/why 1\n/like 2\nsomething darker\n"
    done = piped(small_bundle, said.encode(), "--user", "1", "--likes", "Toy Story", "--k", "3")
    assert done.returncode == 0 and done.stderr == ""
    assert "You are user 1. Your history, newest first: " in " ".join(done.stdout.split())
    assert "For: a comedy from the eighties" in done.stdout
    assert "Say something" in done.stdout  # the empty line
    assert "[red]x[/red] <script>alert(1)</script>" in " ".join(done.stdout.split())
    assert "Noted: you like" in done.stdout
    assert done.stdout.count("\n 3  ") == 3 and "\n 4  " not in done.stdout
    assert "you> " not in done.stdout
    assert "\x1b" not in done.stdout


def test_bytes_that_are_no_text_do_not_end_the_conversation(small_bundle: Path) -> None:
    done = piped(small_bundle, b"a \xff\xfe caf\xc3\xa9 film \x1b[2J\n/quit\nnever read\n")
    assert done.returncode == 0, done.stderr
    assert "café" in done.stdout and "\x1b" not in done.stdout and "never read" not in done.stdout


def test_an_unknown_user_is_one_sentence_and_exit_code_2(small_bundle: Path) -> None:
    done = piped(small_bundle, b"", "--user", "[bold]nobody[/bold]")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "has no user '[bold]nobody[/bold]'" in done.stderr


def test_a_data_set_that_is_gone_or_another_is_one_sentence(recommender: Recommender, tmp_path: Path) -> None:
    info = recommender.bundle.info
    with pytest.raises(UserError, match="no longer at"):
        trained_dataset(info, tmp_path / "elsewhere")
    copy = Path(shutil.copytree(info.dataset.path, tmp_path / "copy"))
    assert user_history(trained_dataset(info, copy), "1")
    manifest = copy / "dataset.json"
    manifest.write_text(
        manifest.read_text("utf-8").replace(info.dataset.checksums["items.parquet"], "0" * 64), "utf-8"
    )
    with pytest.raises(UserError, match=r"no longer the data set .*items\.parquet differs"):
        trained_dataset(info, copy)


def test_on_a_terminal_there_is_a_prompt_and_ctrl_d_leaves(small_bundle: Path) -> None:
    screen, code = typed(small_bundle, ["something scary\n", "\x04"])
    assert code == 0 and "For: something scary" in screen and "Goodbye." in screen


def test_ctrl_c_at_the_prompt_leaves_politely(small_bundle: Path) -> None:
    screen, code = typed(small_bundle, ["\x03"])
    assert code == 0 and "Goodbye." in screen and "Traceback" not in screen


def typed(bundle: Path, keys: list[str]) -> tuple[str, int]:
    """The command on a pseudo-terminal: each of `keys` is sent when the prompt stands."""
    child, terminal = pty.fork()
    if child == 0:
        os.execve(sys.executable, [*COMMAND, str(bundle)], {**os.environ, "TERM": "xterm", "COLUMNS": "100"})
    screen, sent, deadline = "", 0, time.monotonic() + 60
    try:
        while select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0]:
            try:
                screen += os.read(terminal, 4096).decode("utf-8", "replace")
            except OSError:  # what Linux says when the other side is closed
                _, status = os.waitpid(child, 0)
                return screen, os.waitstatus_to_exitcode(status)
            if screen.count(PROMPT) > sent and sent < len(keys):
                time.sleep(0.2)  # the prompt is printed just before the keyboard is read
                os.write(terminal, keys[sent].encode())
                sent += 1
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise AssertionError(f"no end after a minute; on the screen: {screen[-500:]}")
    finally:
        os.close(terminal)


def test_words_add_up_and_nothing_is_shown_twice(chat: TerminalChat) -> None:
    first = chat.turn("a comedy")
    second = chat.turn("from the eighties!")
    third = chat.turn("with a dog")
    assert chat.request == "a comedy. from the eighties! with a dog"
    assert chat.answer == third
    seen = [item.item_id for item in (*first, *second, *third)]
    assert len(set(seen)) == 12 and not set(seen) & set(chat.history)


def test_what_is_liked_counts_as_history_from_then_on(chat: TerminalChat) -> None:
    answer = chat.turn("a comedy")
    chat.like(["2", "4"])
    chat.like(["2"])
    assert chat.past == [*chat.history, answer[1].item_id, answer[3].item_id]
    chat.start_over()
    assert chat.past == chat.history and not chat.shown and not chat.said


@pytest.mark.parametrize("number", ["0", "5", "-1", "two", "²", ""])
def test_a_number_that_is_not_on_the_list_is_refused(chat: TerminalChat, number: str) -> None:
    with pytest.raises(UserError, match="nothing is on the list"):
        chat.numbered(number)
    chat.turn("a comedy")
    with pytest.raises(UserError, match="numbers 1 to 4"):
        chat.like(["1", number])
    assert not chat.liked


def test_ctrl_c_during_a_turn_stops_the_turn_only(chat: TerminalChat, monkeypatch: pytest.MonkeyPatch) -> None:
    recommend = Recommender.recommend

    def interrupted(self: Recommender, history: object, request: str, *rest: object, **named: object) -> object:
        if "slow" in request:
            raise KeyboardInterrupt
        return recommend(self, history, request, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Recommender, "recommend", interrupted)
    told = run(chat, "a comedy", "something slow", "a drama")
    assert "does not count" in told and chat.said == ["a comedy", "a drama"] and len(chat.shown) == 8


def test_when_everything_was_shown_the_chat_says_so(chat: TerminalChat) -> None:
    chat.k = len(chat.recommender.bundle.items)
    assert "Nothing is left" in run(chat, "anything", "more")


def test_commands_that_do_not_fit_are_explained(chat: TerminalChat) -> None:
    told = run(chat, "/like", "/why", "/why 1", "/nothing", "/help", "/history", "/QUIT", "never read")
    assert "/like wants the number" in told and "/why wants the number" in told
    assert "Nothing is on the list yet" in told and "There is no /nothing" in told
    assert "start over" in told and "Toy Story (1995)" in told and "never read" not in told


@pytest.mark.parametrize("width", [40, 80, 140])
def test_lists_fit_the_terminal_and_keep_one_line_a_reason(chat: TerminalChat, width: int) -> None:
    lines = run(chat, "a comedy from the eighties", width=width).splitlines()
    assert all(len(line) <= width for line in lines)
    assert any(chat.answer[3].title[:8] in line for line in lines)


def test_titles_and_reasons_are_shown_as_they_are(chat: TerminalChat) -> None:
    item_id = chat.history[0]
    reason = Reason(words=["[bold]a[/bold]"], because_of=["\x1b[31mB\x07"])
    item = Recommendation(item_id, "[red]C[/red]", 1.0, reason)
    with open(os.devnull, "w") as nowhere:
        console = Console(file=nowhere, width=140, record=True)
        display = ItemDisplay(chat.recommender.bundle)
        console.print(display.answer([item], 140), display.reason(item), plain("[link]"))
    told = console.export_text()
    for literal in ("[red]C[/red]", "[bold]a[/bold]", "[31mB", "[link]"):
        assert literal in told
    assert "\x1b" not in told and "\x07" not in told


def test_a_long_conversation_keeps_its_newest_words() -> None:
    said = [f"sentence {number} of many" for number in range(200)]
    request = joined(said)
    assert request.endswith("sentence 198 of many. sentence 199 of many")
    assert "sentence 3 " not in request and len(request) <= LONGEST_REQUEST
    assert joined([]) == "" and joined(["x" * 5000]) == "x" * 5000
