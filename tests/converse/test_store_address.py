"""Where the conversation store is: its address, and what can be wrong with that."""

from __future__ import annotations

import logging
import os
import stat
import sys
from pathlib import Path

import pytest

from latentcrs.base.errors import UserError
from latentcrs.store.conversations import ConversationStore
from latentcrs.store.database import place, store_url

SECRET = "pass-and-w0rd"


def test_the_default_is_a_file_of_the_platform_or_what_the_variable_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LATENTCRS_STORE", raising=False)
    monkeypatch.setattr("platformdirs.user_data_dir", lambda name: str(tmp_path / name))
    assert place(ConversationStore().url) == str(tmp_path / "latentcrs" / "conversations.sqlite")
    monkeypatch.setenv("LATENTCRS_STORE", str(tmp_path / "a.sqlite"))
    assert place(ConversationStore().url) == str(tmp_path / "a.sqlite")
    monkeypatch.setenv("LATENTCRS_STORE", f"sqlite:///{tmp_path}/b%23.sqlite")
    assert place(ConversationStore().url) == str(tmp_path / "b#.sqlite")
    monkeypatch.chdir(tmp_path)
    assert place(ConversationStore("c.sqlite").url) == str(tmp_path / "c.sqlite")
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "c.sqlite").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("mysql://user:{secret}@host/name", "cannot be kept in 'mysql'; give a path, sqlite:///conversations.sqlite"),
        ("postgres://user:{secret}@host/name", r"'postgres'; give .* postgresql\+psycopg://user:password@host"),
        ("postgresql+psycopg2://user:{secret}@host/name", r"'postgresql\+psycopg2'; give a path"),
        ("postgresql://user:{secret}", "URL of the conversation store cannot be read; give a path"),
        ("postgresql://user:1@{secret}/name@host/name", "special characters in its password are written as in %40"),
        ("postgresql://user:1@{secret}@host/name", "special characters in its password are written as in %40"),
        ("postgresql+psycopg://user:{secret}@host:port/name", "URL of the conversation store cannot be read"),
        ("sqlite://", "wants a file, not ''"),
        ("sqlite:///:memory:", "wants a file, not ':memory:'"),
        (":memory:", "wants a file, not ':memory:'"),
        ("sqlite:///file:a?mode=memory&uri=true", "wants a file, not 'file:a'"),
    ],
)
def test_a_wrong_address_is_refused_and_no_password_shown(
    address: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(UserError, match=message) as refused:
        ConversationStore(address.format(secret=SECRET))
    assert SECRET not in str(refused.value) and SECRET not in caplog.text
    assert "\n" not in str(refused.value)


def test_postgresql_without_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(UserError, match=r"need the package psycopg; install it: pip install 'latentcrs\[postgres\]'"):
        ConversationStore(f"postgresql://user:{SECRET}@localhost/name")


def test_a_postgresql_address_is_shown_without_user_and_password() -> None:
    url = store_url(f"postgresql://someone:{SECRET}%40@host:5433/name?sslmode=require")
    assert place(url) == "postgresql://host:5433/name"
    assert url.password == f"{SECRET}@" and url.drivername == "postgresql+psycopg"
