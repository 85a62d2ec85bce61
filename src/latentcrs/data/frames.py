"""Makes a prepared data set of data frames in memory: pandas, Polars, Arrow, whatever Narwhals reads."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import narwhals as nw
import polars as pl

from latentcrs.base.errors import UserError, first_line
from latentcrs.base.places import fetched
from latentcrs.base.progress import say
from latentcrs.data.copies import copy_dataset
from latentcrs.data.dataset import PreparedDataset
from latentcrs.data.mapping import Mapping, mapping_of, read_mapping
from latentcrs.data.nested import flat_columns
from latentcrs.data.prepare import prepare
from latentcrs.data.raw import RawData
from latentcrs.data.requests import import_requests
from latentcrs.data.sources.log_form import identifier
from latentcrs.data.sources.own import read_own, read_tables
from latentcrs.data.tables import LINE, OURS, Table, with_problem


class Dataset(PreparedDataset):
    """A prepared data set: who chose what in which order, the catalogue, and requests. `Dataset(folder)` opens one.

    >>> data = Dataset.from_frames(interactions, items)
    >>> data
    Dataset(80 users, 671 items, 4,866 interactions)
    >>> data.info.columns["genres"]
    'multi-category'
    """

    @classmethod
    def from_frames(
        cls,
        interactions: Any,
        items: Any,
        requests: Any = None,
        *,
        out: str | Path | None = None,
        mapping: dict[str, Any] | str | Path | None = None,
        threshold: float | None = None,
        user_core: int | None = None,
        item_core: int | None = None,
    ) -> Dataset:
        """Check and prepare data frames as `latentcrs data prepare own` does files; what is guessed is said.

        Args:
            interactions: the log, a row for each choice: who (`user_id`), what (`item_id`), and where there is one a
                `timestamp`, a `rating`, an `event`, a `position`. Other usual names are found too.
            items: the catalogue: `item_id`, `title`, and any columns about the items.
            requests: what people said who wanted an item: `user_id` (or `history`, a list of item ids), `target`,
                `split` (train, valid, test) and `text`. Without them a simulated user says something.
            out: the folder to keep the data set in; without one it goes when the data set does.
            mapping: what each column is, and its kind, where that is guessed wrong: a dictionary with the sections of
                the TOML file (`{"interactions": {"user": "who"}}`), or the path of one.
            threshold, user_core, item_core: the lowest rating that counts; the fewest choices of a user (at least 3)
                and of an item that stay. By default four fifths of the scale, 5 and 1.

        Raises:
            UserError: no data frame, a column that has to be there is not, nothing is left, requests that cannot be
                used, or `out` holds something else.
        """
        said = _said(mapping)
        raw = read_tables(_table(interactions, "interactions"), _table(items, "items"), said, {})
        kept = None
        if out is None:
            kept = tempfile.TemporaryDirectory(prefix="latentcrs-")
            out = Path(kept.name) / "frames"
        with tempfile.TemporaryDirectory(prefix="latentcrs-") as workspace:
            lines = None if requests is None else Path(workspace) / "requests.jsonl"
            if lines is not None:
                _request_rows(requests).write_ndjson(lines)
            _prepare(
                raw, Path(out), lines, "requests", "latentcrs.Dataset.from_frames", threshold, user_core, item_core
            )
        dataset = cls(out)
        dataset._kept = kept
        return dataset

    _kept: tempfile.TemporaryDirectory[str] | None = None  # removed with this object

    def save(self, path: str | Path) -> Dataset:
        """Copy this data set to the folder or URL `path`, to be read by `Dataset(path)` and every command.

        Raises:
            UserError: something else lies there, or it cannot be reached.
        """
        copy_dataset(str(self.path), str(path))
        return Dataset(path)

    def __repr__(self) -> str:
        info = self.info
        return f"Dataset({info.users:,} users, {info.items:,} items, {info.interactions:,} interactions)"


def prepare_files(
    interactions: str | Path,
    items: str | Path,
    out: str | Path,
    requests: str | Path | None = None,
    *,
    mapping: dict[str, Any] | str | Path | None = None,
    threshold: float | None = None,
    user_core: int | None = None,
    item_core: int | None = None,
) -> Dataset:
    """What `latentcrs data prepare own` does with files (CSV, Parquet, JSON lines): `Dataset.from_frames` on files,
    written to the folder `out`. requests: JSON lines.

    Raises:
        UserError: as `Dataset.from_frames`, or a file cannot be read.

    >>> latentcrs.prepare(folder / "log.csv", folder / "items.csv", folder / "films")
    Dataset(80 users, 671 items, 4,866 interactions)
    """
    lines = None if requests is None else Path(requests)
    with tempfile.TemporaryDirectory(prefix="latentcrs-") as workspace:
        raw = read_own(interactions, fetched(items, Path(workspace) / "fetched"), _said(mapping), Path(workspace))
        _prepare(raw, Path(out), lines, None, "latentcrs.prepare", threshold, user_core, item_core)
    return Dataset(out)


def _said(mapping: dict[str, Any] | str | Path | None) -> Mapping:
    if isinstance(mapping, dict):
        return mapping_of(mapping, "mapping")
    return read_mapping(None if mapping is None else Path(mapping))


def _prepare(
    raw: RawData,
    out: Path,
    requests: Path | None,
    called: str | None,
    command: str,
    threshold: float | None,
    user_core: int | None,
    item_core: int | None,
) -> None:
    """Prepare `raw` at `out`, and tell what was guessed. requests: JSON lines, `called` so in messages."""

    def finish(folder: Path) -> None:
        if requests is not None:
            import_requests(folder, requests, raw, called)

    prepared = prepare(
        raw, out, threshold=threshold, user_core=user_core, item_core=item_core, command=command, finish=finish
    )
    for note in prepared.dataset.info.notes:
        say(f"note: {note}")


def as_polars(frame: Any, name: str) -> pl.DataFrame:
    """Any data frame as one of Polars. A named index of pandas is a column; a column of mixed values is text.

    Raises:
        UserError: it is no data frame, or two of its columns are called alike.
    """
    index = getattr(getattr(frame, "index", None), "names", None)
    if index is not None and any(level is not None for level in index):
        frame = frame.reset_index()
    try:
        known: Any = nw.from_native(frame)
        if isinstance(known, nw.LazyFrame):
            return pl.DataFrame(known.collect("polars").to_native())
        if not isinstance(known, nw.DataFrame):
            raise TypeError
        return pl.DataFrame([_series(known[column]) for column in known.columns])
    except TypeError:
        raise UserError(
            f"{name}: a {type(frame).__name__} is no data frame; give one of pandas, Polars, Arrow or the like."
        ) from None
    except (nw.exceptions.NarwhalsError, pl.exceptions.PolarsError, ValueError) as error:
        raise UserError(f"{name} cannot be read: {first_line(error)}.") from None


def _series(column: Any) -> pl.Series:
    """One column; what pandas keeps as objects of several types is text, as it would be in a file."""
    name = str(column.name)
    try:
        return pl.Series(name, column.to_polars())
    except Exception:  # Arrow has an error for each kind of mixture
        texts = [
            None if gone else str(value)
            for value, gone in zip(column.to_list(), column.is_null().to_list(), strict=True)
        ]
        return pl.Series(name, texts, dtype=pl.String)


def _table(frame: Any, name: str) -> Table:
    """A frame as tables of files are opened."""
    rows = with_problem(as_polars(frame, name).lazy().with_row_index(LINE, offset=1), pl.lit(None, dtype=pl.String))
    columns, notes = flat_columns(rows, name, OURS)
    return Table(name, rows, columns, notes=notes)


def _request_rows(frame: Any) -> pl.DataFrame:
    """Requests as the lines of a file have them: ids as text."""
    rows = as_polars(frame, "requests")
    ids = [
        identifier(pl.col(name), rows.schema[name]).alias(name)
        for name in ("user_id", "target")
        if name in rows.columns
    ]
    if "history" in rows.columns and isinstance(rows.schema["history"], pl.List):
        ids.append(pl.col("history").cast(pl.List(pl.String)))
    return rows.with_columns(ids)
