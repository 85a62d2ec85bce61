"""Nested columns: structs and JSON objects become columns of their own, lists in any notation become lists."""

import ast
import json
import re
from collections.abc import Iterable, Mapping
from functools import reduce
from typing import Any

import polars as pl

DEEPEST = 4
"""How many levels of objects inside objects are taken apart."""
NAMES = ("name", "title", "label", "value", "text", "tag", "key", "id")
"""The field that stands for an object in a list, the first that is there."""
NOTATION = r"^\s*(?:\[[\s\S]*\]|\([\s\S]*\)|\{[\s\S]*\}|array\([\s\S]*\))\s*$"
ENOUGH = 0.5  # the share of values in list notation from which a column is one of lists


def json_paths(records: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    """column -> keys that lead to it, of every value in `records` that is no object; in the order they come up.

    Names that would clash with ours are left out.
    """
    found: dict[str, tuple[str, ...]] = {}

    def walk(value: Mapping[str, Any], keys: tuple[str, ...]) -> None:
        for key, inner in value.items():
            path = (*keys, key)
            if isinstance(inner, dict) and len(path) < DEEPEST and inner:
                walk(inner, path)
            elif inner is not None or ".".join(path) not in nested:
                found.setdefault(".".join(path), path)
            if isinstance(inner, dict) and inner:
                nested.add(".".join(path))

    nested: set[str] = set()
    for record in records:
        walk(record, ())
    # Null in one record and an object in the next: it is the object's fields that say something.
    empty = {name for name in nested if name in found and not any(_plain(record, found[name]) for record in records)}
    return {name: keys for name, keys in found.items() if name not in ("line", "problem", *empty)}


def _plain(record: Mapping[str, Any], keys: tuple[str, ...]) -> bool:
    value = _at(record, keys)
    return value is not None and not isinstance(value, dict)


def flat_columns(rows: pl.LazyFrame, file: str, ours: tuple[str, ...]) -> tuple[dict[str, pl.Expr], list[str]]:
    """name -> how it is read from `rows`: fields of structs by `column.field`, binary text as text; and notes.

    What holds nothing that can be said (bytes, unknown objects) is left out.
    """
    columns: dict[str, pl.Expr] = {}
    notes: list[str] = []

    def add(name: str, read: pl.Expr, kind: Any) -> None:
        if isinstance(kind, pl.Struct):
            for inner in kind.fields:
                add(f"{name}.{inner.name}", read.struct.field(inner.name), inner.dtype)
        elif kind == pl.Binary:
            binary.append(name)
        elif kind in (pl.Object, pl.Unknown):
            notes.append(f"{file}: column {name} is left out (type {kind})")
        elif isinstance(kind, pl.Decimal):
            columns[name] = read.cast(pl.Float64)
        else:
            columns[name] = read

    binary: list[str] = []
    schema = rows.collect_schema()
    for name, kind in schema.items():
        if name not in ours:
            add(name, pl.col(name), kind)
            if isinstance(kind, pl.Struct):
                parts = [column for column in columns if column.startswith(f"{name}.")]
                notes.append(
                    f"{file}: the nested column {name} is read as {', '.join(parts) or 'nothing: it is empty'}"
                )
    for name in binary:
        sample = rows.select(pl.col(name) if name in schema else _field(name)).head(1000).collect().to_series()
        if is_text(sample):
            # Some writers do not say that their bytes are text.
            columns[name] = (pl.col(name) if name in schema else _field(name)).cast(pl.String, strict=False)
            notes.append(f"{file}: column {name} holds bytes, read as text in UTF-8")
        else:
            notes.append(f"{file}: column {name} is left out (bytes that are no text)")
    return columns, notes


def _field(name: str) -> pl.Expr:
    first, *others = name.split(".")
    return reduce(lambda read, field: read.struct.field(field), others, pl.col(first))


def is_text(values: pl.Series) -> bool:
    """Whether all of these bytes are text in UTF-8."""
    try:
        texts = [value.decode("utf-8") for value in values.drop_nulls()]
    except UnicodeDecodeError:
        return False
    return bool(texts) and all(text.isprintable() for text in texts)


def unnest(frame: pl.DataFrame, keep: tuple[str, ...]) -> tuple[pl.DataFrame, list[str]]:
    """`frame` with JSON objects as columns `column.field` and lists as lists, but for `keep`; and what was done."""
    notes: list[str] = []
    columns: list[pl.Series] = []
    for values in frame:
        if values.name in keep:
            columns.append(values)
        elif values.dtype == pl.String and share_in_notation(values) > 0:
            columns += apart(values, notes)
        elif isinstance(values.dtype, (pl.List, pl.Array)):
            columns += of_lists(values, notes)
        elif values.dtype in (pl.Time, pl.Duration):
            columns.append(
                values.cast(pl.Int64).cast(pl.Float64) / 1e9 if values.dtype == pl.Time else values.dt.total_seconds()
            )
            notes.append(f"column {values.name} is read in seconds")
        else:
            columns.append(values)
    names: set[str] = set()
    for place, values in enumerate(columns):
        name = values.name
        while name in names:
            name += "_"
        names.add(name)
        columns[place] = values.alias(name)
    return pl.DataFrame(columns), notes


def share_in_notation(values: pl.Series) -> float:
    """The share of present strings in brackets of any kind."""
    present = values.drop_nulls()
    present = present.filter(present.str.strip_chars() != "")
    return float(present.str.contains(NOTATION).mean() or 0.0)  # type: ignore[arg-type]


def apart(values: pl.Series, notes: list[str]) -> list[pl.Series]:
    """A column of strings as one of lists, as one for each field, or as it is where brackets mean nothing."""
    distinct = values.drop_nulls().unique()
    parsed = {text: read_notation(text) for text in distinct if re.match(NOTATION, text)}
    objects = [value for value in parsed.values() if isinstance(value, dict)]
    lists = [value for value in parsed.values() if isinstance(value, list)]
    filled = distinct.filter(distinct.str.strip_chars() != "")
    least = ENOUGH * len(filled)
    if objects and len(objects) >= least and len(objects) > len(lists):
        if all(_is_set(value) for value in objects):
            return [_lists(values, {text: list(one) for text, one in parsed.items() if isinstance(one, dict)}, notes)]
        paths = json_paths(objects)
        notes.append(
            f"column {values.name} holds objects, read as {', '.join(f'{values.name}.{name}' for name in paths)}"
        )
        return [
            values.replace_strict(
                list(parsed),
                [_text(_at(value, keys)) for value in parsed.values()],
                default=None,
                return_dtype=pl.String,
            ).alias(f"{values.name}.{name}")
            for name, keys in paths.items()
        ]
    if lists and len(lists) >= least:
        if numbers_only(lists):
            notes.append(f"column {values.name} is left out (lists of numbers)")
            return []
        return [_lists(values, {text: value for text, value in parsed.items() if isinstance(value, list)}, notes)]
    return [values]


def _lists(values: pl.Series, parsed: Mapping[str, list[Any]], notes: list[str]) -> pl.Series:
    """`values` as List(String): what is parsed; anything else is one entry, or cut at '|' and ';'."""
    notes.append(f"column {values.name} holds lists, read row by row")
    lists = {text: spoken(value) for text, value in parsed.items()}
    others = values.drop_nulls().unique()
    for text in others.filter(~others.is_in(list(lists))):
        lists[text] = [part.strip() for part in re.split(r"[|;]", text) if part.strip()]
    known = pl.DataFrame(
        {"text": list(lists), "list": list(lists.values())}, schema={"text": pl.String, "list": pl.List(pl.String)}
    )
    return (
        values.to_frame("text").join(known, on="text", how="left", maintain_order="left")["list"].alias(values.name)
    )


def of_lists(values: pl.Series, notes: list[str]) -> list[pl.Series]:
    """A column of lists as List(String), lists of structs by the field that names them; [] where it is left out."""
    inner: Any = values.dtype.inner  # type: ignore[attr-defined]
    if isinstance(values.dtype, pl.Array):
        values = values.arr.to_list()
    while isinstance(inner, (pl.List, pl.Array)):
        values = pl.Series(values.name, [_flat(value) for value in values.to_list()], strict=False)
        if not isinstance(values.dtype, pl.List):
            return []
        inner = values.dtype.inner
    if isinstance(inner, pl.Struct):
        names = [part.name for part in inner.fields]
        named = next((name for name in NAMES if name in names), next(iter(names), None))
        if named is None:
            notes.append(f"column {values.name} is left out (empty)")
            return []
        notes.append(f"column {values.name} holds objects, read by their {named}")
        values = values.list.eval(pl.element().struct.field(named))
        inner = values.dtype.inner  # type: ignore[attr-defined]
    if inner.is_float() or inner in (pl.Binary, pl.Object) or isinstance(inner, (pl.Struct, pl.List)):
        notes.append(f"column {values.name} is left out (lists of {inner})")
        return []
    return [values.cast(pl.List(pl.String))]


def _flat(value: Any) -> list[Any] | None:
    if value is None:
        return None
    return [entry for part in value for entry in (part if isinstance(part, list) else [part])]


def read_notation(text: str) -> Any:
    """The list or dict that a text in brackets is, as JSON, Python, NumPy or PostgreSQL write it; else None."""
    text = text.strip()
    array = re.match(r"array\((.*?)(?:,\s*dtype=[^)]*)?\)$", text, re.DOTALL)
    if array:
        text = array[1]
    # NumPy prints no commas between strings, which Python would read as one string.
    text = re.sub(r"""(?<=['"])\s+(?=['"])""", ", ", text)
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        value = _encodable(value)
        if isinstance(value, (list, tuple, set, frozenset)):
            return sorted(value, key=str) if isinstance(value, (set, frozenset)) else list(value)
        if isinstance(value, dict):
            return json.loads(json.dumps(value, skipkeys=True, default=str))  # keys as text
        return None
    inside = text[1:-1]
    if text[0] in "[{" and not re.search(r"[\[\]{}:]", inside):
        parts = [part.strip().strip("'\"") for part in inside.split(",")]
        return [part for part in parts if part and part.lower() not in ("nan", "none", "null")]
    return None


def spoken(entries: list[Any]) -> list[str]:
    """The entries of one list in words; an object by the field that names it."""
    words = []
    for entry in entries:
        if isinstance(entry, dict):
            entry = next((entry[n] for n in NAMES if entry.get(n) is not None), next(iter(entry.values()), None))
        if isinstance(entry, (list, tuple)):
            words += spoken(list(entry))
        elif entry is not None and entry == entry and not isinstance(entry, dict):  # not NaN either
            words.append(str(entry))
    return words


def numbers_only(lists: Iterable[list[Any]]) -> bool:
    """Whether the lists hold nothing but numbers with fractions (a vector), some at least."""
    entries = [entry for value in lists for entry in value]
    return bool(entries) and all(isinstance(entry, float) for entry in entries)


def _is_set(value: Mapping[Any, Any]) -> bool:
    """Whether an object only marks its keys, each with the same true value."""
    return len(value) > 0 and all(mark is True or mark is None for mark in value.values())


def _encodable(value: Any) -> Any:
    """A value without halves of surrogate pairs, which an escape can write and no file can hold."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, dict):
        return {_encodable(key): _encodable(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return type(value)(_encodable(one) for one in value)
    return value


def _at(value: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)
