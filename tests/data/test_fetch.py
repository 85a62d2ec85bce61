from __future__ import annotations

import gzip
import hashlib
import io
import json
import zipfile
from pathlib import Path

import pytest
from range_server import Behaviour, RangeServer
from typer.testing import CliRunner

from latentcrs.base.download import download, published_md5
from latentcrs.base.errors import UserError
from latentcrs.cli.main import app
from latentcrs.data import known as known_module
from latentcrs.data.fetch import MARKER, default_folder, fetch, unzip
from latentcrs.data.known import KnownDataset, RemoteFile, amazon_category, known_dataset

BYTES = bytes(range(256)) * 4096  # 1 MiB, and no two blocks of it in the same place look alike to a shifted resume
MD5 = "md5:" + hashlib.md5(BYTES).hexdigest()
RATINGS = b"1::1193::5::978300760\n"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LATENTCRS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def zipped(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)
    return packed.getvalue()


def movielens(url: str, archive: bytes, checksum: str | None = None) -> KnownDataset:
    checksum = checksum or "sha256:" + hashlib.sha256(archive).hexdigest()
    return KnownDataset(
        name="ml-1m",
        about="a test",
        files=(RemoteFile(f"{url}/ml-1m.zip", checksum),),
        layouts=(("ratings.dat", "movies.dat"),),
        terms="for tests only",
        source="ml-1m",
    )


ARCHIVE = zipped(**{"ml-1m__ratings.dat": RATINGS, "ml-1m__movies.dat": b"1193::Film (1975)::Drama\n"})


def test_a_download_that_breaks_off_twice_goes_on_from_where_it_stopped(tmp_path: Path) -> None:
    behaviour = Behaviour({"/file": BYTES}, cuts=[300_000, 300_000])
    with RangeServer(behaviour) as server:
        path = download(f"{server.url}/file", tmp_path / "file", MD5, pause=0)
    assert path.read_bytes() == BYTES
    assert [wanted for _, wanted in behaviour.asked] == [None, "bytes=300000-", "bytes=600000-"]
    assert [left.name for left in tmp_path.iterdir() if not left.name.startswith(".")] == ["file"]


def test_a_download_goes_on_in_the_next_run(tmp_path: Path) -> None:
    behaviour = Behaviour({"/file": BYTES}, cuts=[400_000])
    with RangeServer(behaviour) as server:
        with pytest.raises(UserError, match="400,000 bytes are kept"):
            download(f"{server.url}/file", tmp_path / "file", MD5, attempts=1)
        assert not (tmp_path / "file").exists()
        download(f"{server.url}/file", tmp_path / "file", MD5, attempts=1)
    assert (tmp_path / "file").read_bytes() == BYTES
    assert behaviour.asked[-1] == ("/file", "bytes=400000-")


def test_a_file_that_changed_on_the_server_is_not_put_together_from_two_versions(tmp_path: Path) -> None:
    behaviour = Behaviour({"/file": b"x" * len(BYTES)}, cuts=[400_000])
    with RangeServer(behaviour) as server:
        with pytest.raises(UserError):
            download(f"{server.url}/file", tmp_path / "file", attempts=1)
        behaviour.files["/file"], behaviour.etag = BYTES, '"two"'
        download(f"{server.url}/file", tmp_path / "file", attempts=1)
    assert (tmp_path / "file").read_bytes() == BYTES


def test_a_changed_file_that_the_server_does_not_tell_apart_is_caught_by_its_checksum(tmp_path: Path) -> None:
    behaviour = Behaviour({"/file": b"x" * len(BYTES)}, etag=None, cuts=[400_000])
    with RangeServer(behaviour) as server:
        with pytest.raises(UserError):
            download(f"{server.url}/file", tmp_path / "file", MD5, attempts=1)
        behaviour.files["/file"] = BYTES
        download(f"{server.url}/file", tmp_path / "file", MD5, attempts=1)
    assert (tmp_path / "file").read_bytes() == BYTES


def test_a_server_without_ranges_is_asked_for_the_whole_file_again(tmp_path: Path) -> None:
    behaviour = Behaviour({"/file": BYTES}, ranges=False, cuts=[400_000])
    with RangeServer(behaviour) as server:
        download(f"{server.url}/file", tmp_path / "file", MD5, pause=0)
    assert (tmp_path / "file").read_bytes() == BYTES


def test_a_part_that_is_complete_already_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(BYTES)
    with RangeServer(Behaviour({"/file": BYTES})) as server:
        download(f"{server.url}/file", tmp_path / "file", MD5, attempts=1)
    assert (tmp_path / "file").read_bytes() == BYTES


def test_a_part_longer_than_the_file_is_thrown_away(tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(BYTES + b"more")
    with RangeServer(Behaviour({"/file": BYTES})) as server:
        download(f"{server.url}/file", tmp_path / "file", MD5, pause=0)
    assert (tmp_path / "file").read_bytes() == BYTES


def test_overload_and_server_errors_are_tried_again(tmp_path: Path) -> None:
    behaviour = Behaviour({"/file": BYTES}, statuses=[503, 429, 500])
    with RangeServer(behaviour) as server:
        download(f"{server.url}/file", tmp_path / "file", MD5, pause=60)  # Retry-After: 0 counts, not the pause
    assert len(behaviour.asked) == 4


def test_a_missing_file_is_not_tried_again(tmp_path: Path) -> None:
    behaviour = Behaviour({})
    with RangeServer(behaviour) as server, pytest.raises(UserError, match="answers 404"):
        download(f"{server.url}/file", tmp_path / "file")
    assert len(behaviour.asked) == 1


def test_a_wrong_checksum_leaves_nothing_behind(tmp_path: Path) -> None:
    with (
        RangeServer(Behaviour({"/file": b"something else"})) as server,
        pytest.raises(UserError, match="checksum md5:"),
    ):
        download(f"{server.url}/file", tmp_path / "file", MD5)
    assert [left.name for left in tmp_path.iterdir() if not left.name.startswith(".")] == []


def test_the_md5_that_lies_beside_a_file_is_read_in_both_usual_notations() -> None:
    digest = MD5.removeprefix("md5:")
    files = {"/a.zip.md5": f"{digest.upper()}  a.zip\n".encode(), "/b.zip.md5": f"MD5 (b.zip) = {digest}".encode()}
    with RangeServer(Behaviour(files)) as server:
        assert published_md5(f"{server.url}/a.zip") == MD5
        assert published_md5(f"{server.url}/b.zip") == MD5
        assert published_md5(f"{server.url}/c.zip") is None


def test_a_fetched_archive_is_unpacked_without_its_top_folder_and_not_fetched_twice(tmp_path: Path) -> None:
    behaviour = Behaviour({"/ml-1m.zip": ARCHIVE})
    with RangeServer(behaviour) as server:
        known = movielens(server.url, ARCHIVE)
        first = fetch(known, tmp_path / "ml-1m", pause=0)
        again = fetch(known, tmp_path / "ml-1m", pause=0)
    assert (tmp_path / "ml-1m" / "ratings.dat").read_bytes() == RATINGS
    assert [path.name for path in first.files] == ["movies.dat", "ratings.dat"]
    assert again.already_there and len(behaviour.asked) == 1
    assert json.loads((tmp_path / "ml-1m" / MARKER).read_text())["terms"] == "for tests only"


def test_an_archive_with_the_wrong_contents_leaves_no_folder(tmp_path: Path) -> None:
    archive = zipped(readme=b"moved")
    with (
        RangeServer(Behaviour({"/ml-1m.zip": archive})) as server,
        pytest.raises(UserError, match=r"ratings.dat and movies.dat, and there is readme"),
    ):
        fetch(movielens(server.url, archive), tmp_path / "ml-1m")
    assert not (tmp_path / "ml-1m").exists()


def test_an_archive_cannot_write_outside_its_folder(tmp_path: Path) -> None:
    for name in ("../escaped", "/escaped", "a/../../escaped", "..\\escaped"):
        packed = tmp_path / "evil.zip"
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("fine", b"")
            archive.writestr(name, b"got out")
        folder = tmp_path / "target"
        folder.mkdir(exist_ok=True)
        with pytest.raises(UserError, match="outside its own folder"):
            unzip(packed, folder)
        assert list(folder.iterdir()) == []


def test_a_truncated_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "half.zip").write_bytes(ARCHIVE[: len(ARCHIVE) // 2])
    (tmp_path / "target").mkdir()
    with pytest.raises(UserError, match="damaged"):
        unzip(tmp_path / "half.zip", tmp_path / "target")


def test_amazon_files_are_fetched_as_they_are_and_read_to_their_end(tmp_path: Path) -> None:
    good = gzip.compress(b'{"rating": 5}\n' * 1000)
    files = {"/Gift_Cards.jsonl.gz": good, "/meta_Gift_Cards.jsonl.gz": good[:-20]}
    official = amazon_category("Gift_Cards")
    with RangeServer(Behaviour(files)) as server:
        remote = tuple(RemoteFile(f"{server.url}/{one.name}") for one in official.files)
        known = KnownDataset(official.name, "a test", remote, official.layouts, "terms", "amazon-2023")
        with pytest.raises(UserError, match=r"meta_Gift_Cards.jsonl.gz is damaged"):
            fetch(known, tmp_path / "gift", pause=0)
        files["/meta_Gift_Cards.jsonl.gz"] = good
        fetched = fetch(known, tmp_path / "gift", pause=0)
    assert [path.name for path in fetched.files] == ["Gift_Cards.jsonl.gz", "meta_Gift_Cards.jsonl.gz"]
    assert default_folder(official).name == "amazon-2023-Gift_Cards"


def test_a_local_copy_is_checked_before_it_is_taken(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "ratings.dat").write_bytes(RATINGS)
    known = movielens("http://127.0.0.1:9", ARCHIVE)
    with pytest.raises(UserError, match=r"is not ml-1m"):
        fetch(known, tmp_path / "out", copy)
    (copy / "movies.dat").write_bytes(b"")
    assert {path.name for path in fetch(known, tmp_path / "out", copy).files} == {"ratings.dat", "movies.dat"}
    (tmp_path / "ml-1m.zip").write_bytes(ARCHIVE)
    assert fetch(known, tmp_path / "out2", tmp_path / "ml-1m.zip").files[1].read_bytes() == RATINGS


def test_a_folder_with_other_files_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="holds other files"):
        fetch(movielens("http://127.0.0.1:9", ARCHIVE), tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_every_known_data_set_has_a_secure_address_terms_and_a_source_that_reads_it() -> None:
    from latentcrs.data.sources import SOURCES

    for name in [*known_module.KNOWN, "amazon-2023:Video_Games"]:
        known = known_dataset(name)
        assert known.terms and known.layouts
        assert all(file.url.startswith("https://") for file in known.files)
        assert known.source in SOURCES


def test_an_unknown_name_or_category_is_refused_with_what_there_is() -> None:
    with pytest.raises(UserError, match="ml-100k"):
        known_dataset("movielens")
    with pytest.raises(UserError, match="Video_Games"):
        known_dataset("amazon-2023:VideoGames")


def test_without_a_terminal_the_terms_have_to_be_accepted_by_the_flag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    behaviour = Behaviour({"/ml-1m.zip": ARCHIVE})
    with RangeServer(behaviour) as server:
        monkeypatch.setitem(known_module.KNOWN, "ml-1m", movielens(server.url, ARCHIVE))
        arguments = ["data", "fetch", "ml-1m", "--out", str(tmp_path / "ml-1m")]
        refused = CliRunner().invoke(app, arguments)
        assert isinstance(refused.exception, UserError) and "--accept-terms" in str(refused.exception)
        assert behaviour.asked == []
        accepted = CliRunner().invoke(app, [*arguments, "--accept-terms"])
    assert accepted.exit_code == 0, accepted.exception
    assert "latentcrs data prepare ml-1m --from" in accepted.output
    assert "for tests only" in accepted.stderr
