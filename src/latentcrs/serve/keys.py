"""API keys: a file of their hashes, and whose key a request has."""

import hashlib
import hmac
import logging
import re
import secrets
from pathlib import Path

from latentcrs.base.errors import UserError
from latentcrs.base.files import atomic_file

LOG = logging.getLogger("latentcrs.serve")
PREFIX = "lcrs_"
NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
RESTRICTED = "no-dataset-users"
LINE = re.compile(rf"(?P<name>{NAME.pattern})\s+sha256:(?P<digest>[0-9a-f]{{64}})(?P<restricted>\s+{RESTRICTED})?")


class Keys:
    """The keys of one file: lines of a name and a hash; `#` begins a comment. A name may have several keys, so that
    one can be replaced by another. The file is read again when it changes: what is taken out is refused at once.
    Where it cannot be read then, or a line of it is no key, the last list that was good goes on, and the log says so.

    Behind a hash `no-dataset-users` may stand: for this name, whichever of its keys is used, the people of the data
    set that was trained on are nobody.

    A key is 256 random bits, which nobody finds by trying, so one SHA-256 keeps it, no slow hash.
    """

    def __init__(self, path: Path) -> None:
        """
        Raises:
            UserError: the file cannot be read, or a line of it is no key.
        """
        self.path = path
        self._read_at: tuple[int, int] | None = None
        self._hashes: list[tuple[str, bytes]] = []
        self._restricted: frozenset[str] = frozenset()
        self._wrong = ""
        self._read()

    def owner_of(self, key: str) -> str | None:
        """The name whose key this is; None for nobody's. Takes as long for a wrong key as for a right one."""
        self._refresh()
        given, owner = _digest(key), None
        for name, digest in self._hashes:
            if hmac.compare_digest(digest, given):
                owner = name
        return owner

    def knows_dataset(self, owner: str) -> bool:
        """Whether an owner may have the histories of the data set that was trained on."""
        self._refresh()
        return owner not in self._restricted

    @property
    def names(self) -> list[str]:
        """Whose keys there are, a name for each key."""
        self._refresh()
        return [name for name, _ in self._hashes]

    def _refresh(self) -> None:
        try:
            self._read()
        except UserError as error:  # nobody who asks has done anything wrong, or is to know of it
            if str(error) != self._wrong:
                LOG.error("the keys file cannot be used, the last good list goes on: %s", error)
            self._wrong = str(error)

    def _read(self) -> None:
        try:
            found = self.path.stat()
            at = found.st_mtime_ns, found.st_size
            if at != self._read_at:
                self._hashes, self._restricted = _parsed(self.path, self.path.read_text("utf-8"))
                if self._wrong:
                    LOG.info("the keys file is good again")
                self._read_at, self._wrong = at, ""
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(
                f"The keys file {self.path} cannot be read ({error.__class__.__name__}); make one with 'latentcrs "
                "keys new NAME'."
            ) from None


def new_key(path: Path, name: str, dataset_users: bool = True) -> str:
    """Make a key for `name` and add its hash to the file, which is made where there is none; the key, which is kept
    nowhere. `dataset_users`: it may have the histories of the data set that was trained on.

    Raises:
        UserError: no such name is possible, or the file cannot be read.
    """
    if not NAME.fullmatch(name):
        raise UserError(f"A key's name has 1 to 64 letters, digits, dots, dashes and underscores, not {name!r}.")
    lines = _lines(path)
    key = PREFIX + secrets.token_urlsafe(32)
    _write(path, [*lines, f"{name} sha256:{_digest(key).hex()}{'' if dataset_users else f' {RESTRICTED}'}"])
    return key


def remove_keys(path: Path, name: str) -> int:
    """Take all keys of `name` out of the file; how many there were.

    Raises:
        UserError: the file cannot be read.
    """
    lines = _lines(path)
    kept = [line for line in lines if (line.split() or [""])[0] != name]
    _write(path, kept)
    return len(lines) - len(kept)


def _lines(path: Path) -> list[str]:
    if not path.exists():
        return []
    Keys(path)  # it is a file of keys
    return path.read_text("utf-8").splitlines()


def _write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as temporary:
        temporary.touch(mode=0o600)
        temporary.write_text("".join(f"{line}\n" for line in lines), "utf-8")


def _parsed(path: Path, text: str) -> tuple[list[tuple[str, bytes]], frozenset[str]]:
    """Names with their hashes, and the names that are restricted."""
    found, restricted = [], set()
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.split("#")[0].strip()
        match = LINE.fullmatch(bare)
        if match is not None:
            found.append((match["name"], bytes.fromhex(match["digest"])))
            if match["restricted"]:
                restricted.add(match["name"])
        elif bare:
            raise UserError(f"{path}, line {number}: a key is written as 'NAME sha256:' and 64 hexadecimal digits.")
    return found, frozenset(restricted)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()
