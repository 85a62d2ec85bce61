"""Everything that goes wrong, as a problem document (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from latentcrs.base.errors import UserError
from latentcrs.serve.errors import ServiceError, TooMany
from latentcrs.store.database import StoreUnavailable

LOG = structlog.stdlib.get_logger("latentcrs.serve")
MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 20
PLAIN = {
    404: "There is nothing at this address.",
    405: "This address takes other methods; the header Allow has them.",
}
"""What is said where an error of the framework has its status's name alone."""


class Fault(BaseModel):
    """What is wrong with one part of a request. where: the names that lead to it."""

    where: list[str | int]
    message: str


class Problem(BaseModel):
    """A problem document. detail: one sentence for people. request_id: finds the request in the log."""

    model_config = ConfigDict(json_schema_extra={"description": "What went wrong (RFC 9457)."})

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    request_id: str = ""
    errors: list[Fault] = Field(default_factory=list)


def problem_of(error: Exception, request_id: str = "") -> tuple[Problem, dict[str, str]]:
    """The problem document of an error, and its headers. What was not foreseen says nothing of itself."""
    headers: dict[str, str] = {}
    faults: list[Fault] = []
    if isinstance(error, RequestValidationError):
        status, detail = 422, "The request does not fit this endpoint; errors says where."
        found = error.errors()[:MOST_ERRORS]
        faults = [Fault(where=[_shown(part) for part in each["loc"]], message=str(each["msg"])) for each in found]
    elif isinstance(error, HTTPException):
        status, detail, headers = error.status_code, str(error.detail), dict(error.headers or {})
        detail = PLAIN.get(status, detail) if detail == HTTPStatus(status).phrase else detail
    elif isinstance(error, StoreUnavailable):
        LOG.error("the store cannot be used", reason=str(error))
        status, detail = 503, "Conversations cannot be read or kept just now."
        headers["Retry-After"] = "5"
    elif isinstance(error, UserError):
        status, detail = (error.status if isinstance(error, ServiceError) else 422), str(error)
        if isinstance(error, TooMany):
            headers["Retry-After"] = str(error.retry_after)
    else:
        status, detail = 500, "This is a fault of the server; its log has the request by its id."
    title = HTTPStatus(status).phrase
    problem = Problem(title=title, status=status, detail=_text(detail), request_id=request_id, errors=faults)
    return problem, headers


def told(error: Exception) -> str:
    """What people read of an error."""
    return problem_of(error)[0].detail


def response(problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """A problem document as HTTP carries it."""
    content = problem.model_dump(exclude={"errors"} if not problem.errors else None)
    return JSONResponse(content, problem.status, dict(headers or {}), MEDIA_TYPE)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may answer with these problems."""
    schema = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": schema} for status in statuses}


def _shown(part: object) -> str | int:
    return part if isinstance(part, int) else _text(str(part))


def _text(text: str) -> str:
    """`text` without what UTF-8 cannot say."""
    return text.encode("utf-8", "replace").decode("utf-8")
