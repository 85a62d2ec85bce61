"""How a server is set up: addresses, limits, what is logged. One JSON text hands it to worker processes."""

import socket
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

VARIABLE = "LATENTCRS_SERVE_SETTINGS"
"""The environment variable by which worker processes are told their settings."""
DAY = 86_400
"""Seconds: no wait is longer, and infinity is none."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Settings(BaseModel):
    """Settings of one server.

    keys_file: who may use it; None: anybody who reaches it, under one owner. hosts: names by which it may be called,
    "*" for all; by default those of this machine. origins: web sites whose scripts may call it (CORS), none by
    default. llm, rules, talks: see `open_conversation`. body_bytes, utterance_characters: the longest that is read.
    turn_rate, request_rate: how many of each an owner (without keys: an address) may make, as in "120/minute";
    "off" for no limit, "" for the default: none without keys. rates_url: where counts are kept, as the package
    `limits` names it: memory counts in each worker alone. turn_seconds: after which a turn is answered with 504; it
    is finished and kept all the same. patience: seconds that a turn waits for another one of its conversation.
    shutdown_seconds: that turns under way have to finish. turns_at_once: threads that answer turns. live:
    conversations kept in memory. heartbeat: seconds between signs of life in a stream. watch_seconds: between
    looks for another bundle in the place of this one, 0 for none. log_words: what people say may be in the log.
    image_hosts: whose pictures of items are shown, on the page and in Markdown. policy: the TOML of what always holds
    and goes first. asks: conversations ask back. beside, beside_share: another bundle, and the share of new
    conversations that are held with it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    bundle: Path
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    workers: int = Field(default=1, ge=1, le=256)
    db: str = ""
    keys_file: Path | None = None
    insecure: bool = False
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    llm: str | None = None
    rules: Literal["lexical", "llm"] = "lexical"
    talks: bool = False
    device: str = "auto"
    page: bool = True
    openai: bool = True
    body_bytes: int = Field(default=1 << 20, ge=1024)
    utterance_characters: int = Field(default=4000, ge=1)
    turn_rate: str = ""
    request_rate: str = ""
    rates_url: str = "memory://"
    turn_seconds: float = Field(default=120.0, gt=0, le=DAY)
    patience: float = Field(default=60.0, gt=0, le=DAY)
    shutdown_seconds: int = Field(default=30, ge=0, le=DAY)
    turns_at_once: int = Field(default=0, ge=0, le=1000)
    live: int = Field(default=1000, ge=1)
    heartbeat: float = Field(default=15.0, gt=0, le=DAY)
    watch_seconds: float = Field(default=5.0, ge=0, le=DAY)
    log_words: bool = False
    policy: Path | None = None
    image_hosts: frozenset[str] = frozenset()
    asks: bool = True
    beside: Path | None = None
    beside_share: float = Field(default=0.5, ge=0, le=1)

    @property
    def allowed_hosts(self) -> frozenset[str]:
        """The names (without port, lower case) that a request may call this server by; "*" stands for all."""
        own = (*LOOPBACK, self.host, socket.gethostname())
        return frozenset(name.lower() for name in self.hosts or own)

    @property
    def rates(self) -> tuple[str, str]:
        """Turns and requests that are allowed, "" for no limit."""
        defaults = ("120/minute", "1200/minute") if self.keys_file is not None else ("off", "off")
        turns, requests = self.turn_rate or defaults[0], self.request_rate or defaults[1]
        return ("" if turns == "off" else turns), ("" if requests == "off" else requests)

    @property
    def threads(self) -> int:
        """Turns worked on at once: few without a language model, for they compute; many with one, for they wait."""
        return self.turns_at_once or (32 if self.llm not in (None, "", "none") else 4)
