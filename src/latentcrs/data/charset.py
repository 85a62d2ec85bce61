"""Finds out in which encoding a text file is written."""

import codecs
import re

from charset_normalizer import from_bytes

from latentcrs.base.errors import UserError

MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
WESTERN = "cp1252"
WORDS = re.compile(rb"[A-Za-z\x80-\xff]+")


def wide_encoding(head: bytes) -> str | None:
    """UTF-16 or UTF-32 where `head`, the first bytes of a file, is in it, with or without its mark; else None."""
    for mark, name in MARKS:
        if head.startswith(mark):
            return name if name != "utf-8" else None
    even, odd = head[0::2], head[1::2]
    if len(odd) >= 4:
        # Text in Latin letters has a zero in every second byte.
        if odd.count(0) > 0.4 * len(odd) and even.count(0) < 0.1 * len(even):
            return "utf-16-le"
        if even.count(0) > 0.4 * len(even) and odd.count(0) < 0.1 * len(odd):
            return "utf-16-be"
    return None


def narrow_encoding(sample: bytes) -> str:
    """The likely encoding of `sample`: lines that are neither ASCII nor UTF-8.

    Where other bytes are scattered among Latin letters it is Windows' Western one (Latin-1 with a few more signs):
    letters of the others cannot be told from it by so little. Where they make the words, statistics tell.
    """
    words = WORDS.findall(sample)
    letters, others = sum(map(len, words)), sum(len(word) - len(word.translate(None, _HIGH)) for word in words)
    if others > 0.4 * letters:
        best = from_bytes(sample).best()
        if best is not None:
            return codecs.lookup(best.encoding).name
    return WESTERN


_HIGH = bytes(range(0x80, 0x100))


def known_encoding(name: str, where: str) -> str:
    """The codec called `name`.

    Raises:
        UserError: there is none for text.
    """
    try:
        codec = codecs.lookup(name)
        "".encode(codec.name)
    except (LookupError, ValueError):
        examples = "utf-8, cp1252, utf-16, shift_jis, ..."
        raise UserError(f"{where}: there is no encoding {name!r}; use {examples}") from None
    return codec.name
