"""Takes up a new bundle that was put in the place of the one served, while people talk: looks, loads, swaps."""

import time
from collections.abc import Callable
from threading import Event, Thread
from typing import Literal

import structlog

from latentcrs.base.errors import UserError
from latentcrs.serve.served import State, fingerprint_of, state_of
from latentcrs.serve.service import Service

LOG = structlog.stdlib.get_logger("latentcrs.serve")
Outcome = Literal["served", "refused"]


class BundleWatch:
    """Looks every few seconds whether another bundle lies where the service's came from.

    One whose files stay the same from one look to the next (it may be being copied) is loaded and tried beside the
    old one, and then served. One that cannot be is named in the log and left alone until its files change.
    """

    def __init__(self, service: Service, seconds: float, on_outcome: Callable[[Outcome], None]) -> None:
        """`seconds`: between looks; 0 looks never. `on_outcome`: called after each bundle that was found."""
        self._service, self._seconds, self._on_outcome = service, seconds, on_outcome
        self._judged: State = service.served.state
        self._last_look: State = self._judged
        self._ended = Event()

    def begin(self) -> None:
        """Begin to look, in a thread of its own."""
        if self._seconds > 0:
            Thread(target=self._run, name="bundle watch", daemon=True).start()

    def end(self) -> None:
        """Look no more."""
        self._ended.set()

    def look(self) -> Outcome | None:
        """What came of the bundle that lies there; None where it is the one served, or not yet still, or none."""
        found = state_of(self._service.folder)
        still, self._last_look = found == self._last_look, found
        if not found or not still or found == self._judged:
            return None
        self._judged = found
        outcome = self._swapped()
        if outcome is not None:
            self._on_outcome(outcome)
        return outcome

    def _run(self) -> None:
        while not self._ended.wait(self._seconds):
            self.look()

    def _swapped(self) -> Outcome | None:
        service, began = self._service, time.perf_counter()
        try:
            if fingerprint_of(service.folder) == service.served.fingerprint:
                return None  # the same one, copied or touched
            served = service.open_bundle()
            served.prove(service.served)
        except Exception as error:
            foreseen = isinstance(error, (UserError, OSError))
            why = {"reason": str(error)} if foreseen else {"exc_info": error}
            LOG.error("a new bundle cannot be served, the old one stays", **why)
            return "refused"
        names = [one.recommender.bundle.info.dataset.name for one in (service.served, served)]
        if names[0] != names[1]:
            LOG.warning("events and items in the store are those of another data set", before=names[0], now=names[1])
        service.take_up(served)
        about = {"bundle": service.bundle_name, "fingerprint": served.fingerprint}
        LOG.info("another bundle is served", **about, seconds=round(time.perf_counter() - began, 1))
        return "served"
