"""How long a request may take to arrive, and an answer to be read: half of either holds no connection for ever."""

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

SECONDS = 30.0
"""From the beginning of a connection, or of its next request, until that is here whole."""
UNREAD_SECONDS = 60.0
"""In which the system takes nothing of an answer, as its client reads none of the megabytes that the system has."""
LARGEST_HEAD = 64 << 10
"""Bytes in front of a request's body."""
ANSWERS = {408: b"408 Request Timeout", 431: b"431 Request Header Fields Too Large"}


class PromptProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # which of two it is, uvicorn finds out
    """uvicorn's protocol, but that it ends connections of requests that come late or never end, and unread ones."""

    _waiting: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _head = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        transport.set_write_buffer_limits(
            high=0
        )  # so that `pause_writing` hears of all that the system does not take
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        self._is_read()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._look_again()

    def resume_writing(self) -> None:
        self._is_read()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        before, unread = self.cycle, self.cycle is not None and self.cycle.more_body
        super().data_received(data)
        new = self.cycle is not before
        whole = (new or unread) and not self.cycle.more_body
        websocket = self.transport.get_protocol() is not self
        if whole or websocket or self.transport.is_closing():
            self._wait_no_more()
        else:
            self._wait()
        self._head = 0 if new or unread else self._head + len(data)
        if self._head > LARGEST_HEAD:
            self._refuse(431)

    def _look_again(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._unread = self.loop.call_later(UNREAD_SECONDS, self._let_go_unless_read, left)

    def _let_go_unless_read(self, left: int) -> None:
        if self.transport.get_write_buffer_size() < left:
            self._look_again()
        else:
            self.transport.abort()

    def _is_read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _wait(self) -> None:
        if self._waiting is None:
            self._waiting = self.loop.call_later(SECONDS, self._refuse, 408)

    def _wait_no_more(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _refuse(self, status: int) -> None:
        self._wait_no_more()
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            head = b"HTTP/1.1 " + ANSWERS[status]
            self.transport.write(head + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()
