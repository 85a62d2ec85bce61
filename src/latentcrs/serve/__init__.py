"""Recommendations and conversations for other programs: HTTP, OpenAI's format, MCP, and a web page."""
