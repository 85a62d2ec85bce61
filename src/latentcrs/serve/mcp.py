"""The MCP server: `CatalogueTools` as any agent calls them, over standard input and output or streamable HTTP."""

import logging
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

import anyio
import mcp.types as types
import uvicorn
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from latentcrs import __version__
from latentcrs.base.errors import UserError
from latentcrs.serve.arrival import PromptProtocol
from latentcrs.serve.errors import TooSlow
from latentcrs.serve.keys import Keys
from latentcrs.serve.mcp_tools import CatalogueTool, CatalogueTools
from latentcrs.serve.service import Service
from latentcrs.serve.threads import Threads

LOG = logging.getLogger("latentcrs.serve")
INSTRUCTIONS = (
    "Recommendations from one catalogue, {catalogue}, by what people did and by what they say. Recommend only what "
    "these tools return. Ask what the person likes, and hand it over as `likes`; say who it is with `user` to have "
    "events remembered. Results carry item ids, which every other tool takes."
)
LARGEST_BODY = 1 << 20
"""Bytes of a request over HTTP."""
AT_ONCE, SECONDS = 4, 120.0
"""Calls that are worked on at once, and how long one is waited for."""
OWNER = "latentcrs.owner"  # whose key a request has, in its scope
FAILED = "This did not work, for a reason on the side of the server; its log says more. The arguments were fine."


def server(service: Service, owner: str = "", manages: bool = False) -> Server[dict[str, Any]]:
    """An MCP server with the tools of one service. `owner`: whose users and events it sees, where a request over HTTP
    does not say (`KeyGuard`). manages: whether they change the catalogue.
    """

    @cache
    def tools_of(owner: str) -> dict[str, CatalogueTool]:
        return {tool.name: tool for tool in CatalogueTools(service, owner, manages).all()}

    tools = tools_of(owner)
    listed = [_announced(tool) for tool in tools.values()]
    threads = Threads(AT_ONCE, SECONDS)

    async def list_tools(
        context: ServerRequestContext[dict[str, Any]], params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(tools=listed)

    async def call_tool(
        context: ServerRequestContext[dict[str, Any]], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        asking = owner if context.request is None else context.request.scope.get(OWNER, owner)
        tool = tools_of(asking).get(params.name)
        if tool is None:
            has = ", ".join(tools)
            raise MCPError(types.INVALID_PARAMS, f"There is no tool {params.name!r}; there are {has}.")
        try:
            return await threads.run(asking, lambda: _called(tool, params.arguments or {}))
        except TooSlow as error:
            return types.CallToolResult(content=[types.TextContent(text=str(error))], is_error=True)

    return Server(
        "latentcrs",
        version=__version__,
        title=f"LatentCRS: {service.bundle_name}",
        instructions=INSTRUCTIONS.format(catalogue=service.bundle_name),
        get_tool_input_schema=lambda name: tools[name].input_schema if name in tools else None,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def serve_stdio(service: Service, manages: bool = False) -> None:
    """Answer on standard output what comes in on standard input, until that ends."""

    async def run() -> None:
        answering = server(service, manages=manages)
        async with stdio_server() as (read, write):
            await answering.run(read, write, answering.create_initialization_options())

    anyio.run(run)


class KeyGuard:
    """ASGI middleware that lets in whom a key belongs to: `Authorization: Bearer KEY`, as the HTTP API has it."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scheme, _, key = Headers(scope=scope).get("authorization", "").partition(" ")
            owner = self._keys.owner_of(key.strip()) if scheme.lower() == "bearer" else None
            if owner is None:
                said = {"error": "An API key is needed: Authorization: Bearer KEY."}
                return await JSONResponse(said, 401, {"WWW-Authenticate": "Bearer"})(scope, receive, send)
            scope[OWNER] = owner
        await self._app(scope, receive, send)


def http_app(service: Service, host: str, keys: Keys | None = None, manages: bool = False) -> ASGIApp:
    """The app that answers at /mcp (streamable HTTP); with `keys` whoever has one, each with users of their own."""
    answering = server(service, manages=manages)
    app = answering.streamable_http_app(host=host, stateless_http=True, max_request_body_size=LARGEST_BODY)
    if keys is None:
        return app
    service.people.knows_dataset = keys.knows_dataset
    return KeyGuard(app, keys)


def serve_http(service: Service, host: str, port: int, keys: Keys | None = None, manages: bool = False) -> None:
    """Answer at http://host:port/mcp until a signal ends it. `port`: 0 for any that is free; see `http_app`."""
    app = http_app(service, host, keys, manages)
    config = uvicorn.Config(app, host=host, port=port, log_level="warning", lifespan="on", http=PromptProtocol)
    with config.bind_socket() as listening:
        listening.listen()  # who reads the address below may call at once
        address, taken = listening.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        print(f"MCP at http://{shown}:{taken}/mcp; Ctrl-C ends it", file=sys.stderr, flush=True)
        uvicorn.Server(config).run(sockets=[listening])


def _announced(tool: CatalogueTool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=tool.input_schema,
        output_schema=tool.output_schema,
        annotations=types.ToolAnnotations(
            read_only_hint=not tool.changes, destructive_hint=False, idempotent_hint=True, open_world_hint=False
        ),
    )


def _called(tool: CatalogueTool, arguments: Mapping[str, object]) -> types.CallToolResult:
    """The tool's answer, or what went wrong in words that the agent can act on."""
    try:
        answer, words = tool.call(arguments)
    except UserError as error:
        return types.CallToolResult(content=[types.TextContent(text=str(error))], is_error=True)
    except Exception:
        LOG.exception("the tool %s failed", tool.name)
        return types.CallToolResult(content=[types.TextContent(text=FAILED)], is_error=True)
    structured = answer.model_dump(mode="json")
    return types.CallToolResult(content=[types.TextContent(text=words)], structured_content=structured)
