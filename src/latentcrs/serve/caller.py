"""Who a request is from, and whether they may ask it now: FastAPI dependencies."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from latentcrs.serve.keys import Keys
from latentcrs.serve.limits import Rates

BEARER = HTTPBearer(auto_error=False, description="An API key, where the server has keys.")


class Callers:
    """The dependencies of one server. keys: None where anybody may ask, as owner ""."""

    def __init__(self, keys: Keys | None, rates: Rates) -> None:
        self.keys, self.rates = keys, rates

    async def known(
        self, request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]
    ) -> None:
        """Find the request's owner, which others read with `owner_of`.

        Raises:
            HTTPException: 401, no key or a wrong one.
            TooMany: too many requests.
        """
        address = address_of(request)
        owner = ""
        if self.keys is not None:
            found = self.keys.owner_of(given.credentials) if given is not None else None
            if found is None:
                await self._spend("requests", caller("", address))
                raise HTTPException(
                    401, "An API key is needed: Authorization: Bearer KEY.", {"WWW-Authenticate": "Bearer"}
                )
            owner = found
        request.state.owner = owner
        request.state.caller = caller(owner, address)
        await self._spend("requests", request.state.caller)

    async def turn(self, request: Request) -> None:
        """Count a turn.

        Raises:
            TooMany: too many turns.
        """
        await self._spend("turns", request.state.caller)

    async def turn_on_post(self, request: Request) -> None:
        """Count a turn where the request makes one. Raises as `turn`."""
        if request.method == "POST":
            await self.turn(request)

    async def _spend(self, what: str, caller: str) -> None:
        if self.rates.limits(what):  # a thread, for the counts may be kept elsewhere
            await run_in_threadpool(self.rates.spend, what, caller)


def caller(owner: str, address: str) -> str:
    """Whose rates are counted: the key's owner's, without keys those of an address."""
    return f"key {owner}" if owner else f"address {address}"


def address_of(request: Request) -> str:
    """Where a request comes from; "" where nobody knows."""
    return request.client.host if request.client else ""


def owner_of(request: Request) -> str:
    """Whose request it is, behind `Callers.known`."""
    owner: str = request.state.owner
    return owner


async def _owner(request: Request) -> str:
    return owner_of(request)  # asynchronous, for what is not is taken to a thread


Owner = Annotated[str, Depends(_owner)]
