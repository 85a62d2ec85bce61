"""Ids in paths: each is one segment, percent-encoded, whatever characters it has."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import unquote

from fastapi import Path
from pydantic import BeforeValidator
from starlette.types import Scope

LONGEST_ID = 200
KEPT = re.compile("%(?=25|2[Ff])")


def keep_slashes(scope: Scope) -> None:
    """Leave what is written %2F in a request's path written so, and %25 with it, until `PathId` reads them: decoded
    by the server, a slash in an id would be one between segments.
    """
    raw = scope.get("raw_path", b"").decode("latin-1")
    if KEPT.search(raw) and unquote(raw) == scope["path"]:
        scope["path"] = unquote(KEPT.sub("%25", raw))


def _read(segment: object) -> object:
    if isinstance(segment, str):
        return re.sub("%2[Ff]", "/", segment).replace("%25", "%")
    return segment


PathId = Annotated[str, BeforeValidator(_read), Path(min_length=1, max_length=LONGEST_ID)]
"""An id in a path, as it was before it was percent-encoded."""
