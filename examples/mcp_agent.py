"""What an agent does with the MCP server of a bundle: ask, look closer, remember, ask again.

    python examples/mcp_agent.py models/ml-1m

Your agent's language model chooses the tools by their descriptions; here a script does, so that it needs none.
"""

import asyncio
import sys
import tempfile

from mcp import Client, StdioServerParameters


async def main(bundle: str) -> None:
    """One errand for one user, over standard input and output."""
    with tempfile.TemporaryDirectory() as folder:
        server = StdioServerParameters(command="latentcrs", args=["mcp", bundle, "--db", f"{folder}/events.db"])
        async with Client(server) as client:
            print("tools:", *(tool.name for tool in (await client.list_tools()).tools))
            wanted = {"user": "me", "request": "something funny", "k": 3}
            first = await client.call_tool("recommend", wanted)
            print(first.content[0].text)
            best = first.structured_content["items"][0]["item_id"]
            why = await client.call_tool("explain", {"item": best, "user": "me", "request": "something funny"})
            print(why.content[0].text)
            await client.call_tool("remember_event", {"user": "me", "item": best, "kind": "seen"})
            again = await client.call_tool("recommend", wanted)
            print("and now:", *(item["title"] for item in again.structured_content["items"]), sep="\n  ")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
