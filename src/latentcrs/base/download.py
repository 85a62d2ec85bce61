"""One address to one file: streamed, resumed where it stopped, tried again, checked."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import httpx2
from filelock import FileLock
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt

from latentcrs.base.errors import UserError
from latentcrs.base.progress import Step, step

# A server that says nothing for this long is taken for gone; a slow one that still sends is not.
TIMEOUT = httpx2.Timeout(60.0, connect=15.0)


class _TryAgain(Exception):
    """The server could not answer now (429 or 5xx), or stopped in the middle."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


def download(url: str, target: Path, checksum: str | None = None, attempts: int = 6, pause: float = 1.0) -> Path:
    """Download `url` to `target` and return it; a `target` that is there already with the right checksum is kept.

    The bytes go to `target` + ".part" first. An interrupted download goes on from there the next time, if the server
    still has the same file (`If-Range`) and knows ranges; otherwise it starts again. `checksum` is "md5:..." or
    "sha256:...". A file that was put together from two downloads and fails its checksum is fetched once more in one.

    Args:
        attempts: how often to try before giving up.
        pause: seconds before the second attempt; doubled each time, unless the server names a time (Retry-After).

    Raises:
        UserError: the address cannot be reached, answers with an error, or sends something else than expected.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # Two processes that append to one .part would spoil it for both.
    with FileLock(target.with_name(f".{target.name}.lock")):
        if target.is_file() and checksum is not None and _digest(target, checksum) == checksum:
            return target
        part = target.with_name(f"{target.name}.part")
        resumed = part.exists()
        _download_part(url, part, attempts, pause)
        if checksum is not None and _digest(part, checksum) != checksum and resumed:
            _forget(part)
            _download_part(url, part, attempts, pause)
        if checksum is not None and (found := _digest(part, checksum)) != checksum:
            _forget(part)
            raise UserError(f"{url} sent a file with the checksum {found}, not {checksum}; nothing was kept.")
        part.replace(target)
        _validator(part).unlink(missing_ok=True)
    return target


def published_md5(url: str) -> str | None:
    """The checksum that lies beside `url` as `url`.md5 ("md5:..."), or None where there is none."""
    try:
        answer = httpx2.get(f"{url}.md5", timeout=TIMEOUT, follow_redirects=True)
    except httpx2.TransportError:
        return None
    found = re.search(r"\b[0-9a-fA-F]{32}\b", answer.text) if answer.status_code == 200 else None
    return f"md5:{found[0].lower()}" if found else None


def _download_part(url: str, part: Path, attempts: int, pause: float) -> None:
    """Bring `part` to the full length of the file at `url`."""
    retrying = Retrying(
        retry=retry_if_exception_type((_TryAgain, httpx2.TransportError)),
        stop=stop_after_attempt(attempts),
        wait=_wait(pause),
        reraise=True,
    )
    name = url.rsplit("/", 1)[-1]
    try:
        with step(f"fetch {name} (MB)") as bar, httpx2.Client(timeout=TIMEOUT, follow_redirects=True) as client:
            for attempt in retrying:
                with attempt:
                    _stream(client, url, part, bar)
    except (_TryAgain, httpx2.TransportError) as error:
        kept = (
            f" {part.stat().st_size:,} bytes are kept; the same command goes on from there." if part.exists() else ""
        )
        raise UserError(f"{url} could not be fetched: {error or type(error).__name__}.{kept}") from None
    except httpx2.InvalidURL as error:
        raise UserError(f"{url} is not an address that can be fetched: {error}.") from None


def _stream(client: httpx2.Client, url: str, part: Path, bar: Step) -> None:
    """One attempt: ask for what is missing in `part` and append it."""
    have = part.stat().st_size if part.exists() else 0
    # Compressed transfer would make the byte positions of a range ambiguous.
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if _validator(part).exists():
            headers["If-Range"] = _validator(part).read_text("utf-8")
    with client.stream("GET", url, headers=headers) as answer:
        status = answer.status_code
        if status == 416:
            _, total = _content_range(answer)
            if total == have:
                return
            _forget(part)
            raise _TryAgain("the server has a shorter file than was fetched so far")
        if status == 429 or status >= 500:
            after = answer.headers.get("Retry-After", "")
            raise _TryAgain(f"the server answers {status}", float(after) if after.isdigit() else None)
        if status not in (200, 206):
            raise UserError(f"{url} answers {status} {answer.reason_phrase}.")
        start, total = _content_range(answer) if status == 206 else (0, None)
        if start not in (0, have):
            _forget(part)
            raise _TryAgain("the server sent another range than it was asked for")
        if total is None and answer.headers.get("Content-Length", "").isdigit():
            total = int(answer.headers["Content-Length"]) + start
        validator = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
        if validator and not validator.startswith("W/"):
            _validator(part).write_text(validator, "utf-8")
        else:
            _validator(part).unlink(missing_ok=True)
        if total:
            bar.total(total / 1e6)
        bar.at(start / 1e6)
        with part.open("r+b" if start else "wb") as stream:
            stream.seek(start)
            for chunk in answer.iter_raw():
                stream.write(chunk)
                bar.advance(len(chunk) / 1e6)
    if total is not None and part.stat().st_size < total:
        raise _TryAgain(f"the connection ended after {part.stat().st_size:,} of {total:,} bytes")


def _content_range(answer: httpx2.Response) -> tuple[int, int | None]:
    """Start and total size out of a Content-Range header; total None where the server does not say it."""
    found = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", answer.headers.get("Content-Range", ""))
    if not found:
        return -1, None
    return int(found[1] or 0), int(found[2]) if found[2] != "*" else None


def _wait(pause: float) -> Callable[[RetryCallState], float]:
    def seconds(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        named = error.after if isinstance(error, _TryAgain) else None
        return min(named, 120.0) if named is not None else pause * 2 ** (state.attempt_number - 1)

    return seconds


def _digest(path: Path, checksum: str) -> str:
    """The checksum of `path` in the same notation as `checksum`."""
    algorithm = checksum.split(":", 1)[0]
    with path.open("rb") as stream:
        return f"{algorithm}:{hashlib.file_digest(stream, algorithm).hexdigest()}"


def _validator(part: Path) -> Path:
    """The file that remembers which version of the remote file `part` is a piece of."""
    return part.with_name(f"{part.name}.version")


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _validator(part).unlink(missing_ok=True)
