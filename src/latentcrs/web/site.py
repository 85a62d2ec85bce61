"""What the pages of one server share: the service, what it is called, who may use it and how much."""

from collections.abc import Callable
from dataclasses import dataclass

from latentcrs.serve.limits import Rates
from latentcrs.serve.service import Service
from latentcrs.serve.threads import Threads
from latentcrs.web.labels import Labels


@dataclass(frozen=True)
class Site:
    """rates, threads: those of the API, so that what is done on pages counts with what is done there. longest:
    characters of an utterance. owner_of: whose an API key is, None for a wrong one; None without keys.
    """

    service: Service
    labels: Labels
    rates: Rates
    threads: Threads
    longest: int
    owner_of: Callable[[str], str | None] | None
