"""Recommendations and conversations for other programs: HTTP, OpenAI's format, MCP, and a web page."""

PREFIX = "/api/v1"
"""Where the endpoints of the native API are."""
