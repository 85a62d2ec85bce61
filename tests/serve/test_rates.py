"""Where rates are counted for several processes together: what is missing there, and when nobody answers."""

from __future__ import annotations

import sys

import pytest

from latentcrs.errors import UserError
from latentcrs.serve.errors import TooMany
from latentcrs.serve.limits import Rates

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
