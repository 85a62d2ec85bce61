"""The tools of the MCP server, by the official client: in process, over standard input and output, and over HTTP."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import jsonschema
import pytest
from listening import listening
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, Tool
from typer.testing import CliRunner

from latentcrs.base.errors import UserError
from latentcrs.cli.main import app
from latentcrs.serve.keys import Keys, new_key
from latentcrs.serve.mcp import http_app, server
from latentcrs.serve.mcp_tools import CatalogueTools
from latentcrs.serve.service import Service
from latentcrs.store.conversations import ConversationStore

COMMAND = [sys.executable, "-c", "from latentcrs.cli.main import main; main()", "mcp"]


@pytest.fixture(scope="module")
def service(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    store = ConversationStore(str(tmp_path_factory.mktemp("mcp") / "store.db"))
    yield Service(bundle, store)
    store.close()


def calls(where: Any, *calls: tuple[str, dict[str, Any]]) -> list[CallToolResult]:
    """The results of calls to a server (in process), one after the other in one session."""

    async def run() -> list[CallToolResult]:
        async with Client(where) as client:
            return [await client.call_tool(name, arguments) for name, arguments in calls]

    return anyio.run(run)


def call(service: Service, name: str, **arguments: Any) -> dict[str, Any]:
    """The structured answer of one call, which must not fail."""
    (result,) = calls(server(service), (name, arguments))
    assert not result.is_error, said(result)
    structured: dict[str, Any] = result.structured_content
    return structured


def refused(service: Service, name: str, **arguments: Any) -> str:
    """What is said to a call that must fail."""
    (result,) = calls(server(service), (name, arguments))
    assert result.is_error and result.structured_content is None
    return said(result)


def said(result: CallToolResult) -> str:
    (content,) = result.content
    assert content.type == "text"
    return content.text


def tools(service: Service) -> dict[str, Tool]:
    async def run() -> dict[str, Tool]:
        async with Client(server(service)) as client:
            return {tool.name: tool for tool in (await client.list_tools()).tools}

    return anyio.run(run)


def test_schemas_are_made_of_the_catalogue(service: Service) -> None:
    listed = tools(service)
    assert list(listed) == ["recommend", "search_items", "explain", "remember_event"]
    where = listed["recommend"].input_schema["properties"]["where"]["properties"]
    assert set(where) == {"title", "text", *service.recommender.bundle.columns}
    genres = set(service.recommender.bundle.items["genres"].explode().drop_nulls())
    assert set(where["genres"]["properties"]["none_of"]["items"]["enum"]) == genres
    assert set(where["genres"]["properties"]) == {"any_of", "all_of", "none_of"}
    assert set(where["year"]["properties"]) == {"at_least", "at_most"}
    assert "enum" not in where["director"]["properties"]["any_of"]["items"]  # there are too many
    for tool in listed.values():
        jsonschema.Draft202012Validator.check_schema(tool.input_schema)
        assert tool.output_schema is not None and "$ref" not in str(tool.input_schema) + str(tool.output_schema)
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint is (tool.name != "remember_event")


def test_answers_are_what_their_schemas_say(service: Service) -> None:
    listed = tools(service)
    for name, arguments in (
        ("recommend", {"likes": ["Toy Story"], "request": "funny"}),
        ("search_items", {"words": "star wars"}),
        ("explain", {"item": "Fargo", "likes": ["Heat"]}),
        ("remember_event", {"user": "schemas", "item": "Fargo"}),
    ):
        jsonschema.validate(arguments, listed[name].input_schema)
        jsonschema.validate(call(service, name, **arguments), listed[name].output_schema or {})


def test_every_recommended_item_passes_the_conditions(service: Service) -> None:
    where = {"genres": {"any_of": ["Comedy"], "none_of": ["Romance"]}, "year": {"at_least": 1985, "at_most": 1995}}
    found = call(service, "recommend", request="a good laugh", where=where, k=20)
    assert len(found["items"]) == 20 and not found["note"]
    for item in found["items"]:
        assert "Comedy" in item["facts"]["genres"] and "Romance" not in item["facts"]["genres"]
        assert 1985 <= item["facts"]["year"] <= 1995 and item["why"]


def test_likes_may_be_ids_or_titles_with_or_without_their_year(service: Service) -> None:
    by_title = call(service, "recommend", likes=["Toy Story (1995)", "babe"])
    ids = [service.recommender.find_item(title) for title in ("Toy Story", "Babe")]
    assert by_title == call(service, "recommend", likes=ids)
    assert by_title != call(service, "recommend")
    assert not set(ids) & {item["item_id"] for item in by_title["items"]}


def test_what_is_excluded_stays_out(service: Service) -> None:
    first = call(service, "recommend", k=3)["items"]
    rest = call(service, "recommend", k=3, exclude=[first[0]["item_id"], first[1]["title"]])["items"]
    assert rest[0] == first[2]


def test_null_is_taken_for_what_was_left_out(service: Service) -> None:
    nothing = {"request": None, "user": None, "where": {"genres": None, "year": {"at_least": None}}, "k": None}
    assert call(service, "recommend", **nothing) == call(service, "recommend")


def test_too_few_are_explained(service: Service) -> None:
    where = {"director": {"any_of": ["alfred hitchcock"]}, "year": {"at_least": 1990}}
    (result,) = calls(server(service), ("recommend", {"where": where}))
    assert said(result) == (
        "Nothing that is left passes all of: year >= 1990; director: Alfred Hitchcock. Leave one out."
    )
    assert result.structured_content["items"] == []


def test_an_explanation_ranks_any_item(service: Service) -> None:
    best = call(service, "recommend", likes=["Toy Story"], request="animated fun", k=1)["items"][0]
    explained = call(service, "explain", item=best["item_id"], likes=["Toy Story"], request="animated fun")
    assert explained["rank"] <= 2 and explained["of"] == len(service.recommender.bundle.items)
    assert explained["item"]["why"] == best["why"]
    other = call(service, "explain", item="Psycho", likes=["Toy Story"], request="animated fun")
    assert other["rank"] > 20 and "motel" in other["about"].lower()


def test_what_is_remembered_counts_from_then_on(service: Service) -> None:
    fargo = service.recommender.find_item("Fargo")
    assert call(service, "remember_event", user="cleo", item="Fargo")["history"] == 1
    assert call(service, "recommend", user="cleo") == call(service, "recommend", likes=[fargo])
    first = call(service, "recommend", user="cleo")["items"][0]["item_id"]
    assert call(service, "remember_event", user="cleo", item=first, kind="seen")["history"] == 1
    assert first not in {item["item_id"] for item in call(service, "recommend", user="cleo", k=20)["items"]}
    assert call(service, "remember_event", user="cleo", item="Fargo", kind="removed")["history"] == 0


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("recommend", {"likes": ["Fargoo"]}, r"no item with the id or title 'Fargoo'; did you mean 'Fargo'"),
        ("recommend", {"where": {"director": {"any_of": ["Alfred Hitchcok"]}}}, "did you mean 'Alfred Hitchcock'?"),
        (
            "recommend",
            {"where": {"genres": {"any_of": ["Comdy"]}}},
            r"where.genres.any_of.0: input should be .*'Comedy'",
        ),
        ("recommend", {"genre": "Comedy"}, "genre: there is no such property"),
        ("recommend", {"k": 0}, "k: input should be greater than or equal to 1"),
        ("search_items", {"where": "Comedy"}, "where: input should be"),
        ("explain", {}, "item: field required"),
        ("remember_event", {"user": "dora", "item": "Fargo", "kind": "hated"}, "kind: input should be 'like'"),
        ("remember_event", {"user": "\0", "item": "Fargo"}, "printable"),
    ],
)
def test_a_mistake_is_answered_with_what_would_be_right(
    service: Service, name: str, arguments: dict[str, Any], sentence: str
) -> None:
    assert re.search(sentence, refused(service, name, **arguments))


def test_a_fault_of_the_server_says_nothing_of_itself(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the secret path /etc/latentcrs")

    monkeypatch.setattr(service, "search", broken)
    assert "on the side of the server" in refused(service, "search_items")
    assert "secret" not in refused(service, "search_items")


def test_a_tool_that_does_not_exist_is_an_error_of_the_protocol(service: Service) -> None:
    async def run() -> None:
        async with Client(server(service)) as client:
            with pytest.raises(MCPError, match="no tool 'buy'; there are recommend"):
                await client.call_tool("buy", {})

    anyio.run(run)


def test_an_item_that_joined_later_is_a_tool_s_item_too(bundle: Path, tmp_path: Path) -> None:
    store = ConversationStore(str(tmp_path / "store.db"))
    service = Service(bundle, store)
    running = server(service)
    calls(running, ("search_items", {}))
    Service(bundle, store).add_items([{"item_id": "new", "title": "A Brand\nNew Film", "genres": ["Comedy"]}])
    service.served.growing.catch_up()  # however long it takes: a call waits a second for it
    searched, explained = calls(running, ("search_items", {"words": "brand new"}), ("explain", {"item": "new"}))
    assert searched.structured_content["items"][0]["item_id"] == "new"
    assert said(searched).startswith("1. A Brand New Film") and not explained.is_error
    store.close()


def test_the_catalogue_is_changed_by_agents_that_may(bundle: Path, tmp_path: Path) -> None:
    store = ConversationStore(str(tmp_path / "store.db"))
    service = Service(bundle, store)
    assert "put_items" not in {tool.name for tool in CatalogueTools(service).all()}
    new = {"item_id": "new", "title": "A Brand New Film", "genres": ["Comedy"]}
    changes = {"items": [new, {"item_id": "1", "hidden": True}]}
    wrong, nameless = {"items": [{"item_id": "2", "genres": 7}]}, {"items": [{"title": "Of No Id"}]}
    managed = server(service, manages=True)
    said_so = [("put_items", rows) for rows in (changes, wrong, nameless)]
    put, refused, unknown, found = calls(managed, *said_so, ("explain", {"item": "new"}))
    assert put.structured_content == {"added": 1, "changed": 1} and not found.is_error
    assert refused.is_error and "genres" in said(refused)
    assert unknown.is_error and "item_id" in said(unknown)
    found_now = {row["item_id"] for row in service.search("toy story", [], 5, "")}
    assert service.item("1")["hidden"] and "1" not in found_now
    store.close()


SESSION = [
    ("recommend", {"likes": ["Toy Story"], "where": {"genres": {"none_of": ["Animation"]}}}),
    ("search_items", {"words": "star wars", "k": 2}),
    ("explain", {"item": "Fargo", "likes": ["Heat"]}),
    ("remember_event", {"user": "eve", "item": "Fargo"}),
    ("recommend", {"likes": ["no such film at all"]}),
]


def answers(results: list[CallToolResult]) -> list[Any]:
    assert [result.is_error for result in results] == [False, False, False, False, True]
    told = json.dumps([result.structured_content for result in results[:4]])
    return json.loads(told, parse_float=lambda number: round(float(number), 3))  # processes round the last digits


def test_over_standard_input_and_output(service: Service, bundle: Path, tmp_path: Path) -> None:
    arguments = [*COMMAND[1:], str(bundle), "--db", str(tmp_path / "store.db"), "--device", "cpu"]
    started = StdioServerParameters(command=COMMAND[0], args=arguments)
    assert answers(calls(started, *SESSION)) == answers(calls(server(service), *SESSION))


def test_over_streamable_http(service: Service, bundle: Path, tmp_path: Path) -> None:
    arguments = ["--transport", "http", "--port", "0", "--db", str(tmp_path / "store.db"), "--device", "cpu"]
    process = subprocess.Popen([*COMMAND, str(bundle), *arguments], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        address = next(found[1] for line in process.stderr if (found := re.search(r"MCP at (\S+/mcp)", line)))
        assert answers(calls(address, *SESSION)) == answers(calls(server(service), *SESSION))
    finally:
        process.terminate()
        assert process.wait(20) in (0, -15)


def test_standard_output_is_the_protocol_s_alone(bundle: Path, tmp_path: Path) -> None:
    """A client of an older version: one JSON object a line, nothing else."""
    started = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18",'
    started += '"capabilities":{},"clientInfo":{"name":"old","version":"1"}}}\n'
    started += '{"jsonrpc":"2.0","method":"notifications/initialized"}\n'
    arguments = '{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"recommend","arguments":{"k":2}}}'
    command = [*COMMAND, str(bundle), "--db", str(tmp_path / "store.db"), "--device", "cpu"]
    with subprocess.Popen(command, stdin=-1, stdout=-1, stderr=-1, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(f"{started}{arguments}\n")
        process.stdin.flush()
        lines = [process.stdout.readline(), process.stdout.readline()]
        process.stdin.close()
        lines += process.stdout.readlines()
    assert [re.search(r'"id":\s*(\d)', line)[1] for line in lines] == ["1", "2"]  # type: ignore[index]
    assert '"structuredContent"' in lines[1] and process.returncode == 0


def test_other_machines_are_not_let_in_without_keys(bundle: Path) -> None:
    ran = CliRunner().invoke(app, ["mcp", str(bundle), "--transport", "http", "--host", "0.0.0.0"])
    assert isinstance(ran.exception, UserError) and "say with --keys-file who may ask" in str(ran.exception)


def test_over_http_with_keys_each_owner_has_users_of_their_own(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    keys = {name: new_key(file, name) for name in ("ann", "bob")}

    async def asked(address: str, key: str) -> CallToolResult:
        headers = {"Authorization": f"Bearer {key}"}
        async with (
            httpx2.AsyncClient(headers=headers) as http,
            Client(streamable_http_client(address, http_client=http)) as client,
        ):
            kind = {"user": "guest", "item": "1", "kind": "like"}
            return await client.call_tool("remember_event", kind)

    with listening(http_app(service, "127.0.0.1", Keys(file))) as port:
        address = f"http://127.0.0.1:{port}/mcp"
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": keys["ann"]}):
            answer = httpx2.post(address, json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, headers=headers)
            assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
        result = anyio.run(asked, address, keys["ann"])
        assert not result.is_error, said(result)
    assert service.history("ann", "guest") and not service.history("bob", "guest")
