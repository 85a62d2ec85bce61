"""The web page in a real browser (Chromium), before a real server with a small bundle."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest
from other_bundle import NEW, TITLED_ANEW, changed, put

from latentcrs.base.files import sha256_of
from needs import require

pytest.importorskip("nicegui", reason="the page needs the extra 'web'")
playwright = pytest.importorskip("playwright.sync_api", reason="a browser is driven by playwright")

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

    from latentcrs.serve.service import Service

HOSTILE = '<script>document.title="owned"</script>"\'&lt; <img src=x onerror=alert(1)>'
SERVER = """
import sys, time
from pathlib import Path
import polars as pl
import uvicorn
from latentcrs.store.conversations import ConversationStore
from latentcrs.serve.app import create_app
from latentcrs.serve.service import Service
from latentcrs.serve.settings import Settings

bundle, port, db, hostile, given = sys.argv[1:]
settings = Settings.model_validate_json(given).model_copy(update={"bundle": Path(bundle), "db": db})
service = Service(settings.bundle, ConversationStore(db))
items = service.recommender.bundle.items
title = pl.when(pl.col("year") == 1977).then(hostile + pl.col("title")).otherwise("title")
service.recommender.bundle.items = items.with_columns(title=title)
turn = service.turn

def sometimes_slow(owner, id, utterance, *rest):
    if "slowly" in utterance:
        time.sleep(3.2)
    if "endlessly" in utterance:
        time.sleep(7)
    return turn(owner, id, utterance, *rest)

service.turn = sometimes_slow
uvicorn.run(create_app(settings, service), host="127.0.0.1", port=int(port), log_level="warning")
"""


class Server:
    """A server process that can be ended and started again on its port."""

    def __init__(self, bundle: Path, folder: Path, **given: object) -> None:
        """`given`: settings of the server."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        settings = json.dumps({"bundle": str(bundle), **given})
        self._arguments = [str(bundle), str(self.port), str(folder / "talks.db"), HOSTILE, settings]
        self._log = folder / "server.log"

    def start(self) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "NICEGUI"))}
        with self._log.open("a") as log:
            command = [sys.executable, "-c", SERVER, *self._arguments]
            self._process = subprocess.Popen(command, env=kept, stdout=log, stderr=log)
        deadline = time.monotonic() + 120
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                with urlopen(f"{self.url}health/live", timeout=5):
                    return
            except (URLError, OSError):
                time.sleep(0.1)
        pytest.fail(f"the server did not start:\n{self._log.read_text()}")

    def recommend(self) -> int:
        """The status of a recommendation asked for by the API."""
        request = Request(f"{self.url}api/v1/recommendations", b"{}", {"Content-Type": "application/json"})
        try:
            with urlopen(request, timeout=20) as answer:
                return int(answer.status)
        except HTTPError as error:
            return error.code

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="module")
def server(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(bundle, tmp_path_factory.mktemp("web"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    require(found, "there is no Chromium: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        options = ["--no-sandbox", "--disable-dev-shm-usage"]
        # Chromium ends where its folder of temporary files has a path too long for a socket's.
        short = os.environ | {"TMPDIR": "/tmp"}
        browser = driver.chromium.launch(executable_path=found, args=options, env=dict(short))
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser, server: Server) -> Iterator[BrowserContext]:
    """A browser of its own whose pages may speak to the server alone, and must not complain."""
    yield from watched(browser, server, {"width": 1280, "height": 860})


@pytest.fixture
def phone(browser: Browser, server: Server) -> Iterator[BrowserContext]:
    yield from watched(browser, server, {"width": 375, "height": 780})


def watched(browser: Browser, server: Server, viewport: dict[str, int]) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport=viewport)
    context.set_default_timeout(30_000)
    outside: list[str] = []
    complaints: list[str] = []

    def route(route: playwright.Route) -> None:
        if route.request.url.startswith((server.url, "data:")):
            route.continue_()
        else:
            outside.append(route.request.url)
            route.abort()

    context.route("**/*", route)
    context.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    context.on("dialog", lambda dialog: complaints.append(f"a dialog: {dialog.message}"))
    yield context
    context.close()
    assert outside == []
    assert complaints == []


def opened(context: BrowserContext, server: Server) -> Page:
    page = context.new_page()
    page.goto(server.url)
    page.locator(".welcome, .said").first.wait_for()
    return page


def say(page: Page, words: str) -> None:
    answers = page.locator(".answer").count()
    page.locator(".composer textarea").fill(words)
    page.keyboard.press("Enter")
    answered(page, answers + 1)


def answered(page: Page, count: int) -> None:
    """Wait until so many answers are there in full."""
    expect(page.locator(".answer")).to_have_count(count)
    expect(page.locator(".thinking")).to_have_count(0)


def expect(locator: playwright.Locator) -> playwright.LocatorAssertions:
    return playwright.expect(locator)


playwright.expect.set_options(timeout=30_000)


def chips(page: Page, sort: str = "rule") -> list[str]:
    return page.locator(f".chip.{sort} .edit > span:last-child").all_inner_texts()


def titles(page: Page) -> list[str]:
    return page.locator(".list:not(.old) .title").all_inner_texts()


def test_a_whole_conversation_with_rules_cards_and_history(context: BrowserContext, server: Server) -> None:
    page = opened(context, server)
    expect(page.locator(".example")).to_have_count(3)
    page.locator(".example").first.click()
    answered(page, 1)
    assert len(titles(page)) == 5
    first = chips(page)
    assert first
    say(page, "no horror please, ideally a comedy")
    assert any("not Horror" in chip for chip in chips(page))
    assert any("Comedy" in chip for chip in chips(page, "wish"))

    # A chip that is removed is no longer in force, and the list is another.
    before = titles(page)
    page.get_by_role("button", name=re.compile("Remove the rule: .*not Horror")).click()
    answered(page, 3)
    assert not any("not Horror" in chip for chip in chips(page))
    assert titles(page) != before

    # The intents believed in are named by items and sized.
    bars = page.locator(".bar-row:visible")
    expect(bars).to_have_count(5)
    assert all(page.locator(".bar-titles").all_inner_texts())

    # Cards: seen and refused stay marked, more like this asks again.
    page.locator(".list:not(.old) .card").nth(0).get_by_role("button", name="I've seen it").click()
    expect(page.locator(".card.marked.seen")).to_have_count(1)
    page.locator(".list:not(.old) .card").nth(1).get_by_role("button", name="Not for me").click()
    expect(page.locator(".card.marked.refuse")).to_have_count(1)
    liked = titles(page)[2]
    page.locator(".list:not(.old) .card").nth(2).get_by_role("button", name="More like this").click()
    answered(page, 4)
    assert liked not in titles(page)
    expect(page.locator(".history .past-title", has_text=liked)).to_have_count(1)

    # The history: an item by its title, and out again.
    page.locator(".history input").fill("matrix")
    page.get_by_role("button", name="Add The Matrix").click()
    taken_out = page.get_by_role("button", name="Remove The Matrix")
    taken_out.click()
    expect(taken_out).to_have_count(0)


def test_a_rule_is_edited_and_added_in_a_dialog_that_escape_closes(context: BrowserContext, server: Server) -> None:
    page = opened(context, server)
    say(page, "a drama from the 1990s")
    page.get_by_role("button", name=re.compile("Edit the rule: year")).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)

    page.get_by_role("button", name=re.compile("Edit the rule: year")).click()
    dialog.get_by_label("From").fill("1985")
    dialog.get_by_label("To").fill("1989")
    dialog.get_by_role("button", name="Apply").click()
    answered(page, 2)
    assert "year 1985 to 1989" in chips(page)
    assert "year 1990 to 1999" not in chips(page)
    years = page.locator(".list:not(.old) .facts").all_inner_texts()
    assert all(re.match("198[5-9]", facts) for facts in years)

    page.get_by_role("button", name="Add a rule").click()
    dialog.get_by_label("From").fill("3000")
    dialog.get_by_label("To").fill("3001")
    dialog.get_by_role("button", name="Apply").click()
    expect(dialog.get_by_role("alert")).to_have_text("No movie of the catalogue passes this rule.")


def test_what_cannot_hold_is_said(context: BrowserContext, server: Server) -> None:
    page = opened(context, server)
    say(page, "a western from the 1990s with Bruce Willis")
    expect(page.locator(".notice.careful")).to_be_visible()
    expect(page.locator(".chip.relaxed").first).to_contain_text("relaxed")
    expect(page.locator(".card .fails").first).to_be_visible()


def test_reload_keeps_the_conversation_and_start_over_begins_another(context: BrowserContext, server: Server) -> None:
    page = opened(context, server)
    say(page, "a comedy from the 1990s")
    shown, rules = titles(page), chips(page)
    page.reload()
    answered(page, 1)
    assert titles(page) == shown
    expect(page.locator(".chip.rule")).to_have_count(len(rules))
    assert page.evaluate("Object.keys(sessionStorage).filter((key) => !key.startsWith('__nicegui'))") == [
        "latentcrs.conversation"
    ]
    page.get_by_role("button", name="Start over").click()
    expect(page.locator(".welcome")).to_be_visible()
    expect(page.locator(".chip")).to_have_count(0)
    page.get_by_role("button", name="Conversations").click()
    page.get_by_role("dialog").get_by_role("button", name="a comedy from the 1990s").first.click()
    answered(page, 1)
    assert titles(page) == shown


def test_two_tabs_talk_apart(context: BrowserContext, server: Server) -> None:
    one, other = opened(context, server), opened(context, server)
    say(one, "a comedy from the 1990s")
    say(other, "a war film")
    assert chips(one) != chips(other)
    expect(one.locator(".said")).to_have_count(1)
    expect(other.locator(".said")).to_have_count(1)


def test_hostile_titles_and_words_are_text(context: BrowserContext, server: Server) -> None:
    page = opened(context, server)
    words = f"{HOSTILE} **bold** [a](javascript:alert(1))"
    say(page, words)
    expect(page.locator(".said .words")).to_have_text(words)
    say(page, "start over")
    say(page, "only films from 1977")
    assert all(title.startswith(HOSTILE) for title in titles(page))
    page.locator(".history input").fill("<script>")
    page.locator(".found button").first.click()
    kept = page.locator(".history .past-title", has_text="<script>")
    expect(kept.first).to_contain_text(HOSTILE)
    say(page, "more like the first one")
    page.get_by_role("button", name="Conversations").click()
    expect(page.locator(".held-words").first).to_contain_text("<script>")
    page.keyboard.press("Escape")
    marked_up = ".log script, .log img, .log a, .log strong, .side script, .side img, .held script, .held img"
    assert page.locator(marked_up).count() == 0
    assert page.title() == "LatentCRS"


def test_a_phone_has_room_for_all_of_it(phone: BrowserContext, server: Server) -> None:
    page = opened(phone, server)
    say(page, "a comedy from the 1990s, no romance, not with Jim Carrey, ideally animated")
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    wide = "[...document.querySelectorAll('.top *, .log *')].filter((e) => e.getBoundingClientRect().right > 375.5)"
    assert page.evaluate(f"{wide}.map((e) => e.className)") == []
    panel = page.locator(".side")
    expect(panel).to_be_hidden()
    page.get_by_role("button", name="Intents and history").click()
    expect(panel).to_be_visible()
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()


def test_everything_is_reached_by_keyboard(context: BrowserContext, server: Server) -> None:
    page = opened(context, server)
    page.locator(".composer textarea").click()
    page.keyboard.type("a drama")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("from the 1980s")
    assert page.locator(".composer textarea").input_value() == "a drama\nfrom the 1980s"
    page.keyboard.press("Enter")
    answered(page, 1)
    page.get_by_role("button", name="I've seen it").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".card.marked.seen")).to_have_count(1)
    unnamed = "[...document.querySelectorAll('button')].filter((b) => !(b.ariaLabel || b.innerText.trim()))"
    assert page.evaluate(f"{unnamed}.length") == 0


def test_an_answer_that_takes_long_says_how_long(context: BrowserContext, server: Server) -> None:
    page = opened(context, server)
    page.locator(".composer textarea").fill("slowly, a comedy")
    page.keyboard.press("Enter")
    expect(page.locator(".thinking .seconds")).to_contain_text(re.compile(r"thinking… \d s"))
    page.locator(".composer textarea").fill("no romance")  # what is said meanwhile comes next
    page.keyboard.press("Enter")
    answered(page, 2)
    expect(page.locator(".said").last).to_have_text("no romance")


def test_light_and_dark_follow_the_system_until_told(browser: Browser, server: Server) -> None:
    context = browser.new_context(color_scheme="dark")
    page = opened(context, server)
    expect(page.locator("body")).to_have_class(re.compile("body--dark"))
    page.get_by_role("button", name="Light or dark").click()
    expect(page.locator("body")).to_have_class(re.compile("body--light"))
    page.reload()
    expect(page.locator("body")).to_have_class(re.compile("body--light"))
    context.close()


def test_the_page_goes_on_with_another_bundle(bundle: Path, tmp_path: Path, browser: Browser) -> None:
    place = shutil.copytree(bundle, tmp_path / "movies")
    server = Server(place, tmp_path, watch_seconds=0.1)
    server.start()
    try:
        for context in watched(browser, server, {"width": 1280, "height": 860}):
            page = opened(context, server)
            say(page, "a comedy from the 90s")
            rules = chips(page)
            assert not any(title.endswith(NEW) for title in titles(page))
            put(changed(bundle, tmp_path / "new", title=TITLED_ANEW), place)
            served = sha256_of(place / "bundle.json")[:12]
            while served not in urlopen(f"{server.url}health", timeout=5).read().decode():
                time.sleep(0.1)
            say(page, "what else?")
            assert len(titles(page)) == 5 and all(title.endswith(NEW) for title in titles(page))
            assert chips(page) == rules and rules
    finally:
        server.stop()


def test_a_lost_connection_is_said_and_the_conversation_comes_back(browser: Browser, server: Server) -> None:
    context = browser.new_context()
    try:
        page = opened(context, server)
        say(page, "a comedy from the 1990s")
        shown = titles(page)
        server.stop()
        expect(page.locator("#popup")).to_be_visible()
        server.start()
        expect(page.locator("#popup")).to_be_hidden(timeout=60_000)
        answered(page, 1)
        assert titles(page) == shown
        say(page, "something older")
    finally:
        context.close()


def test_with_keys_the_page_asks_for_one(browser: Browser, bundle: Path, tmp_path: Path) -> None:
    from latentcrs.serve.keys import new_key

    key = new_key(tmp_path / "keys", "ann")
    server = Server(bundle, tmp_path, keys_file=str(tmp_path / "keys"))
    server.start()
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(server.url)
        page.get_by_label("API key").last.fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert").filter(has_text="not known")).to_be_visible()
        page.get_by_label("API key").last.fill(key)
        page.keyboard.press("Enter")
        page.locator(".welcome").wait_for()
        say(page, "a comedy")
        assert key not in page.content() + page.evaluate("JSON.stringify({...sessionStorage, ...localStorage})")
        page.reload()
        answered(page, 1)
        page.goto(f"{server.url}numbers")
        expect(page.get_by_text("with the key of ann")).to_be_visible()
        cells = page.locator("tr").filter(has_text=re.compile(r"^20\d\d-")).locator("td")
        assert cells.all_inner_texts()[1:4] == ["1", "1", "0"]
        assert "comedy" not in page.locator(".numbers").inner_text()
        stranger = context.new_page()
        stranger.goto(f"{server.url}numbers")
        expect(stranger.get_by_label("API key").last).to_be_visible()
        assert stranger.locator("table").count() == 0
    finally:
        context.close()
        server.stop()


def test_turns_of_the_page_count_with_those_of_the_api(browser: Browser, bundle: Path, tmp_path: Path) -> None:
    server = Server(bundle, tmp_path, turn_rate="3/hour", turn_seconds=4)
    server.start()
    context = browser.new_context()
    try:
        page = opened(context, server)
        # A turn that takes too long is kept, and shown when it is there.
        page.locator(".composer textarea").fill("a comedy, endlessly")
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Look again").click()
        expect(page.get_by_role("alert").filter(has_text="kept all the same")).to_be_visible()
        expect(page.locator(".said")).to_have_count(1)
        time.sleep(4)
        page.get_by_role("button", name="Look again").click()
        answered(page, 1)
        assert chips(page) == ["genres: Comedy"]

        assert server.recommend() == 200
        say(page, "no romance")
        assert server.recommend() == 429
        page.locator(".composer textarea").fill("older")
        page.keyboard.press("Enter")
        refused = page.get_by_role("alert").filter(has_text="More than 3 turns")
        expect(refused.get_by_role("button", name="Try again")).to_be_visible()
        refused.get_by_role("button", name="Try again").click()
        expect(page.locator(".said")).to_have_count(3)
        expect(refused).to_have_count(1)
    finally:
        context.close()
        server.stop()


def test_a_catalogue_is_called_by_what_it_is_about(fresh: Service) -> None:
    from latentcrs.web.labels import Labels

    labels = Labels(fresh)
    assert (labels.noun, labels.nouns, labels.a_noun, labels.known) == ("movie", "movies", "a movie", "I've seen it")
    assert labels.column("esrb_rating") == "ESRB rating" and labels.column("release_date") == "release date"
    assert labels.rule("year >= 1990") == "year ≥ 1990" and labels.rule("year 1990 to 1999") == "year 1990 to 1999"
    fresh.add_items([{"item_id": "new", "title": "New", "year": 1999.0, "genres": ["Comedy"]}])
    fails = ["genres: Drama", "director: Ridley Scott"]
    assert labels.failing("new", fails) == "Does not fit: genres: Drama · Not known: director"
