"""Where rates are counted for several processes together: what is missing there, and when nobody answers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from latentcrs.base.errors import UserError
from latentcrs.serve.errors import TooMany
from latentcrs.serve.limits import Rates
from latentcrs.serve.run import check
from latentcrs.serve.service import Service
from latentcrs.serve.settings import Settings
from latentcrs.store.conversations import ConversationStore

NOBODY = "redis://someone:s3cr%40t@127.0.0.1:1/0"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (NOBODY, r"counted at redis://127.0.0.1:1/0: nobody answers there"),
        ("redis://:s3cr/t@host:1", r"counted at 'redis://host:1': give memory://, or redis://user:password@host"),
        ("s3cr", r"counted at 's3cr': give memory://"),
    ],
)
def test_an_address_where_nothing_can_be_counted_is_refused_and_no_password_shown(url: str, message: str) -> None:
    pytest.importorskip("redis")
    with pytest.raises(UserError, match=message) as refused:
        Rates("2/minute", "", url)
    assert "s3cr%" not in str(refused.value) and "s3cr/" not in str(refused.value)


@pytest.mark.parametrize(
    "rate",
    [
        "0/minute",
        "0 per day",
        "5/0minute",
        "-1/minute",
        "1/minute;0/hour",
        "nan/minute",
        "9" * 400 + "/hour",
        "x",
        " ",
    ],
)
def test_a_rate_that_is_none_is_refused_where_the_server_starts(bundle: Path, tmp_path: Path, rate: str) -> None:
    for given in ({"turn_rate": rate}, {"request_rate": rate}):
        settings = Settings(bundle=bundle, db=str(tmp_path / "c.sqlite"), port=0, **given)
        with pytest.raises(UserError, match="120/minute"):
            check(settings)


@pytest.mark.parametrize(
    "url", ["mongodb://h/0", "memcached://h", "async+redis://h", "file:///x", "", "://", "redis://h:x"]
)
def test_rates_are_counted_in_memory_or_in_redis_and_nowhere_else(url: str) -> None:
    pytest.importorskip("redis")
    with pytest.raises(UserError, match="give memory://, or redis://"):
        Rates("2/minute", "", url)


@pytest.mark.parametrize("given", [{"talks": True}, {"rules": "llm"}])
def test_what_needs_a_language_model_is_refused_without_one(
    bundle: Path, tmp_path: Path, given: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LATENTCRS_LLM_URL", raising=False)
    store = ConversationStore(str(tmp_path / "c.sqlite"))
    with pytest.raises(UserError, match="needs a language model; name one with --llm"):
        Service(bundle, store, **given)
    for llm in (None, "none", ""):
        with pytest.raises(UserError, match="needs a language model; name one with --llm"):
            check(Settings(bundle=bundle, db=str(tmp_path / "c.sqlite"), port=0, llm=llm, **given))


@pytest.mark.parametrize(
    "llm", ["gpt", "ftp://host/v1", "http://", "http://[::1", "http://h:99999/v1", "http://h:x/v1"]
)
def test_an_address_of_no_language_model_is_refused_before_any_process_is_started(
    bundle: Path, tmp_path: Path, llm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTCRS_LLM_MODEL", "tiny")
    with pytest.raises(UserError, match="language model"):
        check(Settings(bundle=bundle, db=str(tmp_path / "c.sqlite"), port=0, llm=llm, workers=2))


def test_the_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(UserError, match=r"need the package redis; install it: pip install 'latentcrs\[redis\]'"):
        Rates("2/minute", "", NOBODY)


def test_rates_are_counted_alone_while_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("redis")
    with monkeypatch.context() as patch:
        patch.setattr("limits.storage.RedisStorage.check", lambda self: True)  # it answered at the start
        rates = Rates("2/minute", "", NOBODY)
    for _ in range(2):
        rates.spend("turns", "alice")
    with pytest.raises(TooMany, match="More than 2 turns in 60 seconds"):
        rates.spend("turns", "alice")
    rates.spend("turns", "bob")
