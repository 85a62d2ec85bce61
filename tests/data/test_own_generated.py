"""Claims about tables that nobody made: whatever their columns, types, encodings and damage, they end in a sentence.

`LATENTCRS_EXAMPLES` says how many tables are made, others every time; by default the same 200.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from latentcrs.base.errors import UserError
from latentcrs.data.check import check
from latentcrs.data.guessed import guessed_mapping
from latentcrs.data.prepare import prepare
from latentcrs.data.sources.own import read_own

EXAMPLES = os.environ.get("LATENTCRS_EXAMPLES")
SCRAPS = st.one_of(
    st.sampled_from(
        ["", "-", "—", "n/a", "12,99 €", "$5-$7", "1.299", "007", "17.0", "['a', 'b']", '{"a": {"b": 1}}']
    ),
    st.sampled_from(["[1, 2", "{x}", "array(['a'])", "13/09/2020", "2020-13-45", "20200913", "1e999", "nan", "-inf"]),
    st.sampled_from(
        ["2020-09-13T12:26:40+25:99", "Sep 31, 2020", "purchase", "refund", "up", "★★★", "4/5", "TRUE", "½"]
    ),
    st.text(max_size=8),
    st.integers().map(str),
    st.floats().map(str),
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": SCRAPS,
    "number": st.one_of(st.integers(-(2**40), 2**40), st.none()),
    "fraction": st.one_of(st.floats(), st.none()),
    "flag": st.one_of(st.booleans(), st.none()),
    "list": st.one_of(st.none(), st.lists(st.text(max_size=4), max_size=3)),
    "vector": st.lists(st.floats(), max_size=3),
    "struct": st.fixed_dictionaries({"id": st.integers(0, 9), "name": st.one_of(st.none(), st.text(max_size=4))}),
    "structs": st.lists(st.fixed_dictionaries({"name": st.text(max_size=3), "n": st.integers(0, 3)}), max_size=2),
    "bytes": st.binary(max_size=6),
    "moment": st.one_of(st.none(), st.datetimes()),
    "day": st.dates(),
    "clock": st.times(),
    "span": st.timedeltas(),
    "nothing": st.none(),
}
NAMES = st.one_of(
    st.sampled_from(
        ["user_id", "item_id", "rating", "timestamp", "order", "event", "title", "type", "text", "id", ""]
    ),
    st.text(min_size=1, max_size=6),
)


@st.composite
def tables(draw: st.DrawFn, named: tuple[str, ...]) -> dict[str, list[Any]]:
    """Columns of one length: mostly those that are `named`, with good ids more often than not, and others."""
    rows = draw(st.integers(0, 12))
    columns: dict[str, list[Any]] = {}
    for name in named:
        if draw(st.integers(0, 9)):
            ids = draw(st.booleans()) or draw(st.booleans())
            good = st.integers(0, 4).map(lambda n: f"x{n}")
            columns[name] = draw(st.lists(good if ids else SCRAPS, min_size=rows, max_size=rows))
    for name in draw(st.lists(NAMES, max_size=4)):
        kind = draw(st.sampled_from(sorted(VALUES)))
        columns.setdefault(name, draw(st.lists(VALUES[kind], min_size=rows, max_size=rows)))
    return columns


@st.composite
def files(draw: st.DrawFn, named: tuple[str, ...]) -> tuple[str, bytes]:
    """The name and the bytes of a file that holds a table, or what is left of it."""
    columns = draw(tables(named))
    form = draw(st.sampled_from(["csv", "csv", "csv", "jsonl", "json", "parquet"]))
    frame = pl.DataFrame({name: pl.Series(name, values, strict=False) for name, values in columns.items()})
    if form == "parquet":
        with tempfile.NamedTemporaryFile() as copy:
            frame.write_parquet(copy.name)
            content = Path(copy.name).read_bytes()
    elif form == "csv":
        separator = draw(st.sampled_from([",", ";", "\t", "|"]))
        rows = [list(columns), *(list(row) for row in frame.rows())]
        quoted = draw(st.booleans())
        cells = [[written(value, separator, quoted) for value in row] for row in rows]
        content = "\n".join(separator.join(row) for row in cells).encode(
            draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252", "utf-32"])), "replace"
        )
    else:
        records = [json.dumps(row, default=str) for row in frame.to_dicts()]
        text = "\n".join(records) if form == "jsonl" else "[" + ",\n".join(records) + "]"
        content = text.encode("utf-8", "replace")
    name = f"{'_'.join(named[:1])}.{form}"
    damage = draw(st.sampled_from(["none", "none", "none", "cut", "bytes", "gzip", "cut gzip", "empty", "returns"]))
    place = random.Random(draw(st.integers(0, 999)))
    if "gzip" in damage:
        name, content = f"{name}.gz", gzip.compress(content)
    if "cut" in damage:
        content = content[: place.randrange(len(content) + 1)]
    if damage == "bytes":
        content = bytes(place.randrange(256) if place.random() < 0.05 else byte for byte in content)
    if damage == "returns":
        content = content.replace(b"\n", b"\r")
    return name, b"" if damage == "empty" else content


def written(value: Any, separator: str, quoted: bool) -> str:
    """A cell, quoted as CSV wants it or as careless programs write it."""
    text = "" if value is None else str(value)
    if quoted and any(mark in text for mark in (separator, '"', "\n")):
        return '"' + text.replace('"', '""') + '"'
    return text


@settings(
    max_examples=int(EXAMPLES or 200),
    derandomize=EXAMPLES is None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
@given(
    files(("user_id", "item_id", "rating", "timestamp", "event")),
    files(("item_id", "title", "price")),
    st.integers(1, 3),
)
def test_no_table_ends_in_a_traceback_and_check_and_prepare_agree(
    log: tuple[str, bytes], items: tuple[str, bytes], core: int
) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        paths = [folder / name for name, _ in (log, items)]
        for path, (_, content) in zip(paths, (log, items), strict=True):
            path.write_bytes(content)

        def outcome(use: Any) -> Any:
            try:
                return use(read_own(paths[0], paths[1], None, folder / "work"))
            except UserError as error:
                return str(error)

        (folder / "check").mkdir()
        checked = outcome(lambda raw: check(raw, folder / "check", user_core=core))
        prepared = outcome(lambda raw: prepare(raw, folder / "out", user_core=core))
        if isinstance(prepared, str):
            assert prepared == (checked if isinstance(checked, str) else checked.refused)
            return
        info = prepared.dataset.info
        assert checked.refused is None and checked.notes == info.notes and checked.dropped == info.dropped
        assert (checked.users, checked.left, checked.interactions) == (info.users, info.items, info.interactions)
        (folder / "guess").mkdir()
        text = outcome(lambda raw: guessed_mapping(raw, folder / "guess"))
        (folder / "map.toml").write_text(text, "utf-8")
        read_own(paths[0], paths[1], folder / "map.toml", folder / "work")
