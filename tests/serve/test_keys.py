"""API keys: hashed at rest, whose they are, and what a server without them may not do."""

from __future__ import annotations

import hmac
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from latentcrs.base.errors import UserError
from latentcrs.cli.main import app
from latentcrs.serve.keys import Keys, new_key, remove_keys
from latentcrs.serve.run import check
from latentcrs.serve.service import Service
from latentcrs.serve.settings import Settings

Serve = Callable[..., TestClient]
Keyed = tuple[TestClient, dict[str, dict[str, str]]]


def test_a_key_is_kept_as_a_hash_that_only_the_owner_reads(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    key = new_key(file, "shop")
    assert len(key) >= 43 and key not in file.read_text() and stat.S_IMODE(file.stat().st_mode) == 0o600
    keys = Keys(file)
    assert keys.owner_of(key) == "shop"
    for wrong in ("", "shop", key[:-1], key + "x", key.swapcase(), file.read_text().split(":")[1].strip(), "\ud800"):
        assert keys.owner_of(wrong) is None


def test_a_key_is_compared_with_all_in_constant_time_whosever_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "keys.txt"
    given = [new_key(file, f"shop{number}") for number in range(5)]
    keys, compared = Keys(file), [0]
    compare = hmac.compare_digest

    def counting(one: bytes, other: bytes) -> bool:
        assert len(one) == len(other) == 32
        compared[0] += 1
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counting)
    for key in (*given, "", "x", given[0][:-1], "x" * 100_000):
        compared[0] = 0
        keys.owner_of(key)
        assert compared[0] == len(given)


def test_keys_are_replaced_and_revoked_while_the_server_runs(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    old = new_key(file, "shop")
    file.write_text(f"# who may use it\n\n{file.read_text()}", "utf-8")
    keys = Keys(file)
    new, other = new_key(file, "shop"), new_key(file, "museum")
    assert [keys.owner_of(key) for key in (old, new, other)] == ["shop", "shop", "museum"]
    assert remove_keys(file, "shop") == 2
    assert [keys.owner_of(key) for key in (old, new, other)] == [None, None, "museum"]
    assert file.read_text().startswith("# who may use it\n")


def test_a_file_that_holds_something_else_is_refused_by_its_line(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    file.write_text("# keys\nshop lcrs_plain\n")
    with pytest.raises(UserError, match=r"keys.txt, line 2: a key is written as"):
        Keys(file)
    with pytest.raises(UserError, match="cannot be read"):
        Keys(tmp_path / "none.txt")
    with pytest.raises(UserError, match="name has 1 to 64"):
        new_key(file, "a b")


def test_without_a_key_or_with_a_wrong_one_nothing_is_answered(keyed: Keyed) -> None:
    http, headers = keyed
    schema = http.get("/openapi.json").json()["paths"]
    asked = 0
    for path, methods in schema.items():
        for method in methods:
            if path.startswith("/health"):
                continue
            for given in ({}, {"Authorization": "Bearer lcrs_wrong"}, {"Authorization": "Basic eDp5"}):
                answer = http.request(method, path, headers=given, json={})
                assert answer.status_code == 401, f"{method} {path}"
                assert answer.headers["www-authenticate"] == "Bearer"
                asked += 1
    assert asked > 60
    assert http.get("/health").status_code == 200 and http.get("/metrics", headers=headers["bob"]).status_code == 200


def test_one_key_never_sees_what_is_anothers(keyed: Keyed) -> None:
    http, headers = keyed
    alice, bob = headers["alice"], headers["bob"]
    at = f"/api/v1/conversations/{http.post('/api/v1/conversations', json={'user': 'u'}, headers=alice).json()['id']}"
    http.post(f"{at}/turns", json={"utterance": "my secret wish"}, headers=alice)
    item = http.get("/api/v1/items?k=1", headers=alice).json()[0]["item_id"]
    http.post("/api/v1/users/u/events", json={"item_id": item}, headers=alice)
    rule = {"rule": {"column": "year", "op": ">", "value": 1990}}
    for method, path, body in (
        ("GET", at, None),
        ("DELETE", at, None),
        ("POST", f"{at}/again", None),
        ("GET", f"{at}/intents", None),
        ("POST", f"{at}/turns", {"utterance": "hello"}),
        ("POST", f"{at}/turns", {"utterance": "my secret wish", "number": 1}),
        ("POST", f"{at}/marks", {"kind": "like", "places": [0]}),
        ("POST", f"{at}/rules", rule),
        ("DELETE", f"{at}/rules/0", None),
        ("PUT", f"{at}/variant", {"variant": "b"}),
        ("DELETE", f"/api/v1/users/u/events/{item}", None),
    ):
        answer = http.request(method, path, json=body, headers=bob)
        assert answer.status_code == 404, f"{method} {path}"
        assert "secret" not in answer.text
    assert (
        http.get("/api/v1/conversations?user=u", headers=bob).json()
        == []
        == http.get("/api/v1/users/u/history", headers=bob).json()
    )
    assert http.delete("/api/v1/users/u", headers=bob).json() == {"forgotten": 0}
    assert http.get(at, headers=alice).json()["owner"] == "alice"
    assert http.delete("/api/v1/users/u", headers=alice).json() == {"forgotten": 2}


def test_a_restricted_key_learns_nothing_of_the_people_of_the_data_set(
    serve: Serve, fresh: Service, tmp_path: Path
) -> None:
    file = tmp_path / "keys.txt"
    shop, partner = new_key(file, "shop"), new_key(file, "partner", dataset_users=False)
    http = serve(fresh, keys_file=file)
    item, seen = fresh.recommender.bundle.items["item_id"][0], {}
    for key in (shop, partner):
        headers = {"Authorization": f"Bearer {key}"}
        at = http.post("/api/v1/conversations", json={"user": "5"}, headers=headers).headers["location"]
        http.post("/api/v1/users/5/events", json={"item_id": item}, headers=headers)
        kept = http.get("/api/v1/users/5/export", headers=headers).json()
        began = http.get(at, headers=headers).json()["session"]["history"]
        wanted = http.post("/api/v1/recommendations", json={"user": "5"}, headers=headers).json()
        seen[key] = [len(kept["history"]), len(began), any(one["because_of"] for one in wanted)]
        gone = http.delete(f"/api/v1/users/5/events/{fresh.people.trained('', '5')[0]}", headers=headers)
        seen[key].append(gone.status_code)
    assert seen[partner] == [1, 0, True, 404]  # what it reported itself is all
    assert seen[shop][0] > 5 and seen[shop][1] > 5 and seen[shop][3] == 204
    new_key(file, "partner")  # another key of the name is restricted all the same
    assert not Keys(file).knows_dataset("partner") and Keys(file).knows_dataset("shop")


def test_no_key_is_in_an_answer(keyed: Keyed) -> None:
    http, headers = keyed
    key = headers["alice"]["Authorization"].removeprefix("Bearer ")
    for path in (
        "/nothing",
        "/api/v1/conversations/none",
        "/api/v1/conversations",
        "/metrics",
        "/api/v1/users//history",
    ):
        answer = http.get(path, headers=headers["alice"])
        assert key not in answer.text + str(answer.headers)
    assert key not in http.get("/api/v1/conversations", headers={"Authorization": f"Bearer {key}x"}).text


def test_only_this_machine_is_listened_to_without_keys(bundle: Path, tmp_path: Path) -> None:
    db, file = str(tmp_path / "c.sqlite"), tmp_path / "keys.txt"
    for host in ("0.0.0.0", "::", "example.org"):
        with pytest.raises(UserError, match="could read every conversation: give --keys-file"):
            check(Settings(bundle=bundle, host=host, db=db, port=0))
    for host in ("127.0.0.1", "localhost", "::1"):
        if host != "::1":
            check(Settings(bundle=bundle, host=host, db=db, port=0))
    check(Settings(bundle=bundle, host="0.0.0.0", db=db, port=0, insecure=True))
    file.write_text("")
    with pytest.raises(UserError, match="has no keys"):
        check(Settings(bundle=bundle, host="0.0.0.0", db=db, port=0, keys_file=file))
    new_key(file, "shop")
    check(Settings(bundle=bundle, host="0.0.0.0", db=db, port=0, keys_file=file))


def test_the_command_shows_a_key_once(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    ran = CliRunner().invoke(app, ["keys", "new", "shop", "--keys-file", str(file)])
    key = ran.stdout.strip()
    assert ran.exit_code == 0 and Keys(file).owner_of(key) == "shop"
    CliRunner().invoke(app, ["keys", "new", "partner", "--no-dataset-users", "--keys-file", str(file)])
    assert Keys(file).knows_dataset("shop") and not Keys(file).knows_dataset("partner")
    listed = CliRunner().invoke(app, ["keys", "list", "--keys-file", str(file)])
    assert listed.stdout == "shop\npartner\n"
    assert CliRunner().invoke(app, ["keys", "remove", "shop", "--keys-file", str(file)]).exit_code == 0
    assert isinstance(
        CliRunner().invoke(app, ["keys", "remove", "shop", "--keys-file", str(file)]).exception, UserError
    )
