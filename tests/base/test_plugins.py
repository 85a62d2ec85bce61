"""Claims about what other packages plug in."""

from __future__ import annotations

from pathlib import Path

import pytest

from installed import install
from latentcrs.base.errors import UserError
from latentcrs.base.plugins import is_plugged_in, load_plugin, plugin_names

SHOP = "[latentcrs.systems]\nnewest = shop:open_newest\n"


def test_a_plugin_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "shop", "def open_newest(parts): return parts", SHOP)
    assert "newest" in plugin_names("system") and is_plugged_in("system", "newest")
    assert not is_plugged_in("user", "newest")
    assert load_plugin("system", "newest")("parts") == "parts"


def test_a_missing_plugin_is_told_with_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "shop", "", SHOP)
    with pytest.raises(UserError, match=r"no system 'newer'; choose of popularity, .*newest.*\. Install more\.$"):
        load_plugin("system", "newer", own=["popularity"], hint="Install more.")


def test_a_name_that_two_packages_have_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "shop", "", SHOP)
    install(tmp_path, monkeypatch, "other", "", SHOP.replace("shop:", "other:"))
    with pytest.raises(UserError, match="comes from other and shop; uninstall"):
        load_plugin("system", "newest")


@pytest.mark.parametrize(("code", "why"), [("import nowhere", "No module named 'nowhere'"), ("", "open_newest")])
def test_a_plugin_that_cannot_be_imported_is_one_sentence(
    code: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, "broken", code, SHOP.replace("shop:", "broken:"))
    with pytest.raises(UserError, match=f"'newest' of broken cannot be loaded: .*{why}"):
        load_plugin("system", "newest")
