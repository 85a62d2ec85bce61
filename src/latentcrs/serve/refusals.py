"""What is refused, as the clients of a path read it: in OpenAI's format below /v1, as problem documents elsewhere."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from latentcrs.base.errors import UserError
from latentcrs.serve.openai_format import ErrorAnswer, ErrorBody
from latentcrs.serve.problems import problem_of, response

OPENAI = "/v1"
"""Where OpenAI's format is."""
KINDS: dict[int, tuple[str, str | None]] = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("permission_error", None),
    404: ("invalid_request_error", "not_found"),
    405: ("invalid_request_error", "method_not_supported"),
    409: ("conflict_error", None),
    413: ("invalid_request_error", "request_too_large"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
}
"""Status -> type and code."""
ONE_CHOICE = "This server gives one choice for each request; leave n out."


class OpenAIError(HTTPException):
    """An error with the parameter that it is about and a code of OpenAI's."""

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(status, message)
        self.param, self.code = param, code


def error_answer(error: Exception, request_id: str = "") -> tuple[ErrorAnswer, int, dict[str, str]]:
    """An error's body, status and headers. What was not foreseen says nothing of itself."""
    problem, headers = problem_of(error, request_id)
    status, message, param = problem.status, problem.detail, None
    if isinstance(error, RequestValidationError):
        first = problem.errors[0]
        param = ".".join(str(part) for part in first.where if part != "body") or None
        message = ONE_CHOICE if param == "n" else f"{param or 'body'}: {first.message}."
    status = 400 if status == 422 else status
    kind, code = KINDS.get(status, ("server_error" if status >= 500 else "invalid_request_error", None))
    if isinstance(error, OpenAIError):
        param, code = error.param, error.code or code
    return ErrorAnswer(error=ErrorBody(message=message, type=kind, param=param, code=code)), status, headers


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
