"""OpenAI's chat format, by the official client against a real server."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from listening import listening
from markdown_it import MarkdownIt
from openai import AsyncOpenAI, OpenAI
from starlette.testclient import TestClient

from latentcrs.llm import ChatModel, ChatRequest, Completion, ModelError
from latentcrs.serve.app import create_app
from latentcrs.serve.keys import new_key
from latentcrs.serve.markdown import EscapedWords, escaped, markdown
from latentcrs.serve.service import Service
from latentcrs.serve.settings import Settings
from latentcrs.store.conversations import ConversationStore
from latentcrs.store.session import Turn, TurnItem

Messages = list[dict[str, Any]]


@dataclass
class Endpoint:
    """A running server: its address, its service, and the keys of two owners."""

    url: str
    service: Service
    keys: tuple[str, str]
    keys_file: Path

    def client(self, key: int = 0, **options: Any) -> OpenAI:
        return OpenAI(base_url=self.url, api_key=self.keys[key], max_retries=0, **options)


@contextmanager
def serving(bundle: Path, folder: Path, model: ChatModel | None = None) -> Iterator[Endpoint]:
    """A server in a thread, its store and keys in `folder`."""
    folder.mkdir(exist_ok=True)
    keys_file = folder / "keys"
    keys = new_key(keys_file, "ann"), new_key(keys_file, "bob")
    store = ConversationStore(str(folder / "store.db"))
    service = Service(bundle, store, model=model, talks=model is not None)
    settings = Settings(bundle=bundle, keys_file=keys_file, page=False, turn_rate="off", request_rate="off")
    with listening(create_app(settings, service)) as port:
        yield Endpoint(f"http://127.0.0.1:{port}/v1", service, keys, keys_file)
    store.close()


@pytest.fixture(scope="module")
def endpoint(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with serving(bundle, tmp_path_factory.mktemp("openai")) as running:
        yield running


@dataclass
class Chat:
    """One chat window: it sends everything that was said, as chat clients do."""

    client: OpenAI
    messages: Messages = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)

    def say(self, words: str) -> dict[str, Any]:
        """Say something; what the answer has beside its text."""
        self.messages.append({"role": "user", "content": words})
        return self.send()

    def send(self) -> dict[str, Any]:
        completion = self.client.chat.completions.create(model="movies", messages=self.messages, **self.options)
        content = completion.choices[0].message.content
        self.messages.append({"role": "assistant", "content": content})
        return extra(completion.choices[0].message) | {"content": content}

    def back_to(self, place: int) -> None:
        """Take back everything from one of one's own messages on."""
        del self.messages[2 * place :]


@pytest.fixture
def chat(endpoint: Endpoint, request: pytest.FixtureRequest) -> Chat:
    """A chat of a user that no other test has."""
    return Chat(endpoint.client(), options={"user": request.node.name[:200]})


def extra(message: Any) -> dict[str, Any]:
    found: dict[str, Any] = message.model_extra["latentcrs"]
    return found


def utterances(endpoint: Endpoint, conversation: str, owner: str = "ann") -> list[str]:
    return [turn.utterance for turn in endpoint.service.conversation(owner, conversation).turns]


def test_a_conversation_builds_on_what_was_said_before(chat: Chat, endpoint: Endpoint) -> None:
    first = chat.say("a comedy please")
    second = chat.say("only from the 1990s")
    assert first["rules"] == ["genres: Comedy"] and second["rules"] == ["genres: Comedy", "year 1990 to 1999"]
    assert (second["conversation"], second["turn"]) == (first["conversation"], 2)
    others = chat.say("something else")
    shown = {item["item_id"] for item in (*first["items"], *second["items"])}
    assert others["items"] and shown.isdisjoint(item["item_id"] for item in others["items"])
    for number, item in enumerate(second["items"], 1):
        row = endpoint.service.item(item["item_id"])
        assert "Comedy" in row["genres"] and 1990 <= row["year"] <= 1999 and item["year"] == row["year"]
        assert f"{number}. **{escaped(item['title'])}** ({item['year']}) — " in second["content"]


def test_an_answer_has_what_the_format_asks_for(endpoint: Endpoint) -> None:
    completion = endpoint.client().chat.completions.create(
        model="movies", messages=[{"role": "user", "content": "a war film"}]
    )
    (choice,) = completion.choices
    assert completion.object == "chat.completion" and completion.model == "movies" and completion.created > 1.7e9
    assert choice.finish_reason == "stop" and choice.message.role == "assistant"
    assert completion.usage is not None and completion.usage.prompt_tokens == 3
    assert completion.usage.total_tokens == 3 + completion.usage.completion_tokens > 10


def test_the_same_messages_again_are_the_same_turn(chat: Chat, endpoint: Endpoint) -> None:
    chat.say("a comedy please")
    once = chat.say("something else")
    del chat.messages[-1]
    again = chat.send()
    assert again == once
    assert utterances(endpoint, once["conversation"]) == ["a comedy please", "something else"]


def test_the_same_messages_at_the_same_time_are_one_turn(chat: Chat, endpoint: Endpoint) -> None:
    def ask(_: int) -> dict[str, Any]:
        return Chat(endpoint.client(), options=chat.options).say("a thriller with a twist")

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, range(6)))
    assert all(answer == answers[0] for answer in answers)
    assert utterances(endpoint, answers[0]["conversation"]) == ["a thriller with a twist"]


def test_an_edited_message_begins_a_branch_and_leaves_the_old_one(chat: Chat, endpoint: Endpoint) -> None:
    chat.say("a comedy please")
    old = chat.say("only from the 1990s")
    before, kept = list(chat.messages), chat.say("nothing with Jim Carrey")
    chat.back_to(1)
    branch = chat.say("only from the 1980s")
    assert branch["rules"] == ["genres: Comedy", "year 1980 to 1989"]
    assert branch["conversation"] != old["conversation"]
    assert utterances(endpoint, branch["conversation"]) == ["a comedy please", "only from the 1980s"]
    assert chat.say("without romance")["conversation"] == branch["conversation"]
    chat.messages = before
    assert chat.say("nothing with Jim Carrey") == kept


def test_another_answer_than_ours_begins_a_branch(chat: Chat) -> None:
    first = chat.say("a comedy please")
    chat.messages[-1]["content"] = "I am another model, and I say Babe."
    second = chat.say("older ones")
    assert second["conversation"] != first["conversation"] and second["turn"] == 2
    del chat.messages[-1]
    assert chat.send() == second


def test_a_client_that_lost_nothing_but_spaces_goes_on(chat: Chat) -> None:
    first = chat.say("a comedy please")
    chat.messages[-1]["content"] = chat.messages[-1]["content"].replace("\n\n", "\n") + "\n"
    assert chat.say("older ones")["conversation"] == first["conversation"]


def test_a_conversation_goes_on_after_a_restart(bundle: Path, tmp_path: Path) -> None:
    with serving(bundle, tmp_path / "one") as first:
        chat = Chat(first.client())
        before = chat.say("a comedy please")
        key = first.keys[0]
    with serving(bundle, tmp_path / "one") as second:
        chat.client = OpenAI(base_url=second.url, api_key=key, max_retries=0)
        after = chat.say("only from the 1990s")
        assert (after["conversation"], after["turn"]) == (before["conversation"], 2)
    with serving(bundle, tmp_path / "another") as third:  # which has never heard of it
        chat.client = third.client()
        taken_up = chat.say("without romance")
        assert taken_up["turn"] == 3 and taken_up["rules"] == [*after["rules"], "genres: not Romance"]
        chat.messages = [{"role": "user", "content": f"older {number}"} for number in range(60)]
        with pytest.raises(openai.BadRequestError, match="too long to be taken up"):
            chat.send()


def test_a_stream_says_the_same_as_a_whole_answer(chat: Chat, endpoint: Endpoint) -> None:
    messages: Messages = [{"role": "user", "content": "a comedy please"}]
    chunks = list(
        endpoint.client().chat.completions.create(
            model="movies", messages=messages, stream=True, stream_options={"include_usage": True}, **chat.options
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    whole = chat.say("a comedy please")
    assert text == whole["content"] and len(chunks) >= 3
    assert chunks[0].choices[0].delta.role == "assistant" and len({chunk.id for chunk in chunks}) == 1
    *_, last, counted = chunks
    assert last.choices[0].finish_reason == "stop" and extra(last.choices[0].delta) == {
        name: value for name, value in whole.items() if name != "content"
    }
    assert not counted.choices and counted.usage is not None
    assert counted.usage.completion_tokens > len(whole["items"])


def test_many_stream_at_once_by_the_asynchronous_client(endpoint: Endpoint) -> None:
    async def ask(client: AsyncOpenAI, words: str) -> tuple[str, dict[str, Any]]:
        text, last = "", {}
        stream = await client.chat.completions.create(
            model="movies", messages=[{"role": "user", "content": words}], stream=True
        )
        async for chunk in stream:
            text += chunk.choices[0].delta.content or ""
            last = (chunk.choices[0].delta.model_extra or {}).get("latentcrs", last)
        return text, last

    async def all_of_them() -> Sequence[tuple[str, dict[str, Any]]]:
        async with AsyncOpenAI(base_url=endpoint.url, api_key=endpoint.keys[0], max_retries=0) as client:
            genres = ("comedies", "thrillers", "westerns", "musicals", "war films", "horror")
            return await asyncio.gather(*(ask(client, f"some {genre}") for genre in genres))

    answers = asyncio.run(all_of_them())
    assert len({answer["conversation"] for _, answer in answers}) == 6
    assert all(text.count("\n") == len(answer["items"]) + 1 for text, answer in answers)


def test_the_bundle_is_the_one_model(endpoint: Endpoint) -> None:
    client = endpoint.client()
    assert [model.id for model in client.models.list()] == ["movies"]
    assert client.models.retrieve("movies").owned_by == "latentcrs"
    with pytest.raises(openai.NotFoundError, match="no model 'gpt-5'; this server has 'movies'") as failed:
        client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "hi"}])
    assert (failed.value.code, failed.value.param) == ("model_not_found", "model")


def test_more_than_one_choice_is_refused(endpoint: Endpoint) -> None:
    with pytest.raises(openai.BadRequestError, match="one choice") as failed:
        endpoint.client().chat.completions.create(model="movies", messages=[{"role": "user", "content": "hi"}], n=2)
    assert (failed.value.param, failed.value.type) == ("n", "invalid_request_error")


def test_a_wrong_key_is_refused_before_anything_is_read(endpoint: Endpoint) -> None:
    client = OpenAI(base_url=endpoint.url, api_key="lcrs_wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError, match="API key") as failed:
        client.models.list()
    assert failed.value.code == "invalid_api_key" and "lcrs_wrong" not in str(failed.value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"model": "movies"}',
        b'{"model": "movies", "messages": []}',
        b'{"messages": [{"role": 1}]}',
    ],
)
def test_a_body_that_is_no_request_is_an_error_of_the_format(endpoint: Endpoint, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {endpoint.keys[0]}", "Content-Type": "application/json"}
    answer = httpx2.post(f"{endpoint.url}/chat/completions", content=body, headers=headers)
    assert answer.status_code == 400
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_what_is_refused_before_any_route_is_an_error_of_the_format(endpoint: Endpoint) -> None:
    key, long = {"Authorization": f"Bearer {endpoint.keys[0]}"}, b" " * 1_100_000
    for status, method, path, headers, body in (
        (413, "POST", "/chat/completions", {}, long),
        (413, "POST", "/chat/completions", {}, (long[:100_000] for _ in range(11))),
        (400, "POST", "/chat/completions", {"Host": "evil.example"}, b"{}"),
        (403, "POST", "/chat/completions", {"Origin": "https://evil.example"}, b"{}"),
        (404, "GET", "/nothing", {}, b""),
        (405, "PUT", "/models", {}, b"{}"),
    ):
        answer = httpx2.request(method, endpoint.url + path, headers=key | headers, content=body)
        assert answer.status_code == status, answer.text
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    problem = httpx2.get(endpoint.url.removesuffix("/v1") + "/v1x", headers={"Host": "evil.example"})
    assert problem.headers["content-type"] == "application/problem+json"
    with pytest.raises(openai.APIStatusError, match="at most 1048576 bytes") as refused:
        endpoint.client().chat.completions.create(
            model="movies", messages=[{"role": "user", "content": "a" * 1_100_000}]
        )
    assert refused.value.status_code == 413 and refused.value.code == "request_too_large"


def test_the_server_says_how_long_an_utterance_may_be(bundle: Path, endpoint: Endpoint) -> None:
    settings = Settings(bundle=bundle, page=False, utterance_characters=20)
    with TestClient(create_app(settings, endpoint.service), base_url="http://localhost") as http:
        for words, status in (("a" * 20, 200), ("a" * 21, 400)):
            body = {"model": "movies", "messages": [{"role": "user", "content": words}]}
            assert http.post("/v1/chat/completions", json=body).status_code == status


def test_an_utterance_that_is_too_long_is_refused_before_the_stream_begins(chat: Chat) -> None:
    chat.options["stream"] = True
    with pytest.raises(openai.BadRequestError, match="at most 4000 characters"):
        chat.say("a comedy " * 500)


def test_what_a_recommender_has_no_use_for_changes_nothing(chat: Chat, endpoint: Endpoint) -> None:
    plain = chat.say("a comedy please")
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    chat.messages = [{"role": "system", "content": "Only recommend westerns, in French."}]
    chat.options |= {
        "temperature": 2,
        "seed": 1,
        "max_tokens": 1,
        "tools": [tool],
        "tool_choice": "auto",
        "stop": "1",
    }
    chat.options |= {
        "logit_bias": {"1": 5},
        "response_format": {"type": "json_object"},
        "n": 1,
        "metadata": {"a": "b"},
    }
    assert chat.say("a comedy please") == plain


def test_the_words_among_several_parts_of_a_message_are_read(chat: Chat) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    chat.messages = [{"role": "user", "content": [{"type": "text", "text": "a comedy please"}, picture]}]
    assert chat.send()["rules"] == ["genres: Comedy"]


def test_a_named_conversation_takes_the_newest_message_alone(endpoint: Endpoint) -> None:
    client = endpoint.client()
    one, other = ({"extra_headers": {"X-Conversation-Id": name}} for name in ("kitchen", "attic"))
    said = [Chat(client, options=one).say(words) for words in ("a comedy please", "only from the 1990s", "others")]
    assert [answer["turn"] for answer in said] == [1, 2, 3]
    assert said[2]["rules"] == ["genres: Comedy", "year 1990 to 1999"]
    assert Chat(client, options=other).say("others")["turn"] == 1
    direct = {"extra_headers": {"X-Conversation-Id": said[0]["conversation"]}}
    assert Chat(client, options=direct).say("others")["turn"] == 4
    direct["extra_headers"]["X-Stainless-Retry-Count"] = "1"
    assert Chat(client, options=direct).say("others")["turn"] == 4


def test_a_named_conversation_may_be_sent_whole_or_by_its_end(endpoint: Endpoint) -> None:
    chat = Chat(endpoint.client(), options={"extra_headers": {"X-Conversation-Id": "whole"}})
    chat.say("a comedy please")
    second = chat.say("only from the 1990s")
    del chat.messages[-1]
    assert chat.send() == second
    del chat.messages[:2]  # a client whose window of messages has moved on
    third = chat.say("without romance")
    assert (third["conversation"], third["turn"]) == (second["conversation"], 3)


def test_what_one_owner_said_is_not_another_s(endpoint: Endpoint) -> None:
    ann, bob = Chat(endpoint.client(0)), Chat(endpoint.client(1))
    mine, theirs = ann.say("an animation for two"), bob.say("an animation for two")
    assert mine["conversation"] != theirs["conversation"]
    stolen = Chat(endpoint.client(1), options={"extra_headers": {"X-Conversation-Id": mine["conversation"]}})
    assert stolen.say("others")["turn"] == 1
    assert utterances(endpoint, mine["conversation"]) == ["an animation for two"]


def test_the_history_of_the_user_counts(endpoint: Endpoint) -> None:
    seen = endpoint.service.history("ann", "1")
    answer = Chat(endpoint.client(), options={"user": "1"}).say("something for tonight")
    assert seen and any(item["because_of"] for item in answer["items"])
    assert {item["item_id"] for item in answer["items"]}.isdisjoint(seen)


TITLES = [
    "<script>alert('x')</script>",
    "*Batteries* _not_ **included** `here`",
    "[click](javascript:alert(1)) ![img](http://evil.test/x.png)",
    "# Heading | cell $x^2$ ~~gone~~",
    "a\n\n## b\n- c\r\n> d",
    "www.evil.test and http://evil.test <http://evil.test>",
    "1984",
    "<img src=x onerror=alert(1)> &lt;b&gt; \\*",
]


@pytest.mark.parametrize("title", TITLES)
def test_a_title_stays_text_in_markdown(title: str) -> None:
    item = TurnItem(item_id="1", title=title, score=1.0, because_of=[title])
    turn = Turn(number=1, utterance="", kind="request", variant="f", text=f"{title} – noted.", items=[item])
    html = (
        MarkdownIt("commonmark", {"html": True})
        .enable(["table", "strikethrough"])
        .render(markdown(turn, lambda _: 1999))
    )
    tags = {"p", "ol", "li", "strong"}
    assert set(_tags(html)) == tags, html
    shown = " ".join(title.split()).replace("&lt;b&gt;", "<b>")
    assert _text(html).count(shown) == 3


def _tags(html: str) -> list[str]:
    found: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: found.append(tag)  # type: ignore[method-assign]
    parser.feed(html)
    return found


def _text(html: str) -> str:
    found: list[str] = []
    parser = HTMLParser()
    parser.handle_data = found.append  # type: ignore[method-assign]
    parser.feed(html)
    return " ".join("".join(found).split())


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_text_in_pieces_is_escaped_like_the_whole(size: int) -> None:
    text = "# See <script> and *this* at www.evil.test or http://evil.test/a_b, [x](y) 1. end"
    words = EscapedWords()
    pieces = [words.write(text[at : at + size]) for at in range(0, len(text), size)]
    assert "".join([*pieces, words.end()]) == escaped(text)


class Wordsmith:
    """A language model that words replies piece by piece, and breaks off where it is told to."""

    id = model = "wordsmith"
    breaks_off = False

    def complete(self, request: ChatRequest) -> Completion:
        for piece in ("Here a", "re *som", "e* fi", "lms. ", "These are", " new."):
            if request.on_text is not None:
                request.on_text(piece)
            if self.breaks_off and piece == "These are":
                raise ModelError("cut short", "it broke off")
        return Completion("Here are *some* films. These are new.", 90, 5, 1.0, "wordsmith")


@pytest.mark.parametrize("breaks_off", [False, True])
def test_what_a_language_model_says_streams_and_is_recognised_again(
    bundle: Path, tmp_path: Path, breaks_off: bool
) -> None:
    model = Wordsmith()
    model.breaks_off = breaks_off
    with serving(bundle, tmp_path, model) as running:
        messages: Messages = [{"role": "user", "content": "a comedy please"}]
        chunks = list(running.client().chat.completions.create(model="movies", messages=messages, stream=True))
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        whole, broken = " These are new.\n\n1. ", " \nWith Comedy:"
        assert text.startswith("Here are \\*some\\* films." + (broken if breaks_off else whole))
        chat = Chat(running.client(), [*messages, {"role": "assistant", "content": text}])
        answer = chat.say("older ones")
        assert answer["turn"] == 2 and answer["conversation"] == extra(chunks[-1].choices[0].delta)["conversation"]


def test_the_llm_command_talks_with_it(endpoint: Endpoint, tmp_path: Path) -> None:
    """https://llm.datasette.io, which knows the server from its file of further models alone."""
    model = {"model_id": "films", "model_name": "movies", "api_base": endpoint.url, "api_key_name": "films"}
    (tmp_path / "extra-openai-models.yaml").write_text(json.dumps([model]))  # JSON is YAML
    (tmp_path / "keys.json").write_text(json.dumps({"films": endpoint.keys[0]}))

    def llm(*arguments: str) -> str:
        command = [sys.executable, "-m", "llm", "prompt", "--model", "films", *arguments]
        ran = subprocess.run(
            command, env=os.environ | {"LLM_USER_PATH": str(tmp_path)}, capture_output=True, text=True
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    assert llm("a funny film").startswith("With Comedy:\n\n1. **")
    assert llm("--continue", "only from the 1990s").startswith("With Comedy and year 1990 to 1999:\n\n1. **")
    told = llm("--continue", "--no-stream", "older ones")
    assert told.count("\n") == 7
    spoken = [stored.words for stored in endpoint.service.conversations("ann")]
    assert spoken.count("a funny film") == 1


def test_the_schema_of_the_server_says_what_is_sent(endpoint: Endpoint) -> None:
    schema = httpx2.get(endpoint.url.removesuffix("/v1") + "/openapi.json").json()
    for path in ("/v1/models", "/v1/models/{id}", "/v1/chat/completions"):
        for operation in schema["paths"][path].values():
            assert "422" not in operation["responses"] and "4XX" in operation["responses"]
    kinds = schema["paths"]["/v1/chat/completions"]["post"]["responses"]["200"]["content"]
    assert set(kinds) == {"application/json", "text/event-stream"}


def test_a_turn_reads_no_more_of_the_store_the_longer_the_talk_is(
    chat: Chat, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    load = ConversationStore.load

    def counted(store: ConversationStore, *which: Any) -> Any:
        found = load(store, *which)
        read.append(len(found.turns))
        return found

    monkeypatch.setattr(ConversationStore, "load", counted)
    turns_read = []
    for number in range(1, 31):
        chat.say(f"a {('comedy', 'drama', 'thriller')[number % 3]}, please ({number})")
        turns_read.append(sum(read))
        read.clear()
    assert max(turns_read) <= 1 and sum(turns_read) > 20
    # Another process, or this one after a restart, reads them once, and then no more than they do.
    again = Chat(chat.client, chat.messages, chat.options)
    endpoint.service._live.renew()
    with serving_again(endpoint) as restarted:
        again.client = restarted
        again.say("a western")
        assert 30 <= sum(read) <= 45
        read.clear()
        assert again.say("a musical")["turn"] == 32 and sum(read) <= 1


@contextmanager
def serving_again(endpoint: Endpoint) -> Iterator[OpenAI]:
    """The client of a second server over the same store."""
    service = Service(endpoint.service.folder, ConversationStore(str(endpoint.service.store.url)))
    settings = Settings(bundle=service.folder, page=False, turn_rate="off", request_rate="off")
    settings = settings.model_copy(update={"keys_file": endpoint.keys_file})
    with listening(create_app(settings, service)) as port:
        yield OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=endpoint.keys[0], max_retries=0)
    service.store.close()
