"""What is refused, as the clients of a path read it: in OpenAI's format below /v1, as problem documents elsewhere."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from latentcrs.base.errors import UserError
from latentcrs.serve.openai_errors import error_answer
from latentcrs.serve.problems import problem_of, response

OPENAI = "/v1"
"""Where OpenAI's format is."""


def refusal(path: str, error: Exception, request_id: str = "") -> JSONResponse:
    """The answer to a request for `path` that ended in `error`."""
    if path == OPENAI or path.startswith(f"{OPENAI}/"):
        answer, status, headers = error_answer(error, request_id)
        return JSONResponse(answer.model_dump(), status, headers)
    return response(*problem_of(error, request_id))


async def refused(request: Request, error: Exception) -> JSONResponse:
    """A handler of exceptions that answers with `refusal`."""
    return refusal(request.url.path, error, getattr(request.state, "request_id", ""))


def add_refusals(app: FastAPI) -> None:
    """Answer every error of `app` that is foreseen so; `guard.Guard` does so for the others."""
    for kind in (RequestValidationError, HTTPException, UserError):
        app.exception_handler(kind)(refused)
