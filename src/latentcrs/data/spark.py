"""PySpark as the engine of preparing, for a log that outgrows one machine; its parts lie where all workers reach."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import narwhals as nw
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from latentcrs.base.places import file_system, is_url, protocols, told_in_a_sentence
from latentcrs.data.engine import Engine, Plan
from latentcrs.data.raw import RAW_INTERACTIONS_SCHEMA, LogTable, RawData
from latentcrs.data.tables import LINE, PROBLEM

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

PLACE = "__file__"


class SparkEngine(Engine):
    """Lazy frames of PySpark. What is kept lies as folders of Parquet in `work`, which every worker can reach."""

    few = 1000  # each id is a call into Java

    def __init__(self, session: SparkSession, work: str) -> None:
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException

        self.session, self.work = session, work.rstrip("/")
        self.failures = (PySparkException, Py4JError, pl.exceptions.PolarsError, OSError)
        self._held = 0

    def log(self, raw: RawData) -> nw.LazyFrame:
        table = raw.table
        remote = "file" not in protocols(file_system(self.work)[0])
        if table is None or (remote and not is_url(table.files[0])):
            # Text is repaired line by line, and a file of this machine is no worker's: read here, then handed over.
            return self._handed_over(raw.interactions, "raw")
        return nw.from_native(self._read_table(table))

    def _read_table(self, table: LogTable) -> DataFrame:
        """The Parquet files of `table` in the raw schema: Spark reads, and one process's reader takes each batch."""
        from pyspark.sql import functions as F

        columns = [*(f"`{name}`" for name in table.columns), "_metadata.file_path as " + PLACE]
        rows = self.session.read.parquet(*map(for_hadoop, table.files))
        rows = rows.selectExpr(*columns, "_metadata.row_index as " + LINE)
        # How Spark writes a URL differs from place to place, so it is asked which files it reads.
        theirs = [row[0] for row in rows.select(PLACE).distinct().collect()]
        ours = (whereabouts(for_hadoop(place)) for place in table.files)
        before = dict(zip(ours, accumulate([0, *table.rows[:-1]]), strict=True))
        offsets = {place: before[whereabouts(unquote(place))] for place in theirs}
        starts = self.table(pl.DataFrame({PLACE: [*offsets], "start": pl.Series(offsets.values(), dtype=pl.Int64)}))
        numbered = rows.join(F.broadcast(starts.to_native()), PLACE).withColumn(LINE, F.expr(f"{LINE} + start + 1"))
        numbered = numbered.drop(PLACE, "start")
        read, raw = table.read, pl.DataFrame(schema=RAW_INTERACTIONS_SCHEMA).to_arrow().schema

        def in_raw_schema(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                frame = pl.DataFrame(pa.Table.from_batches([batch])).lazy()
                frame = frame.with_columns(pl.lit(None, dtype=pl.String).alias(PROBLEM))
                yield from read(frame).collect().to_arrow().cast(raw).to_batches()

        kinds = {pl.String: "string", pl.Float64: "double", pl.Int64: "long"}
        wanted = ", ".join(f"`{name}` {kinds[kind]}" for name, kind in RAW_INTERACTIONS_SCHEMA.items())
        return numbered.mapInArrow(in_raw_schema, wanted)

    def table(self, frame: pl.DataFrame) -> nw.LazyFrame:
        self._held += 1
        return self._handed_over(frame.lazy(), f"table-{self._held}")

    def keep(self, frame: nw.LazyFrame, name: str) -> nw.LazyFrame:
        place, native = for_hadoop(f"{self.work}/{name}"), frame.to_native()
        native.write.mode("overwrite").parquet(place)
        return nw.from_native(self.session.read.schema(native.schema).parquet(place))  # without a job to look

    def keep_by_user(
        self, log: nw.LazyFrame, rows: NDArray[Any], plan: Plan, name: str, on_part: Callable[[int], None]
    ) -> nw.LazyFrame:
        kept = self.keep(plan(log), name)
        on_part(int(rows.sum()))
        return kept

    def forget(self, name: str) -> None:
        system, path = file_system(f"{self.work}/{name}")
        system.rm(path, recursive=True)

    def save(self, frame: nw.LazyFrame, path: Path) -> None:
        """Spark writes parts, which keep its order by their names; here they become one file, batch by batch."""
        self._held += 1
        name = f"saved-{self._held}"
        schema = self.keep(frame, name).collect_schema()
        target = pl.DataFrame(schema=schema.to_polars()).to_arrow().schema
        system, folder = file_system(f"{self.work}/{name}")
        with pq.ParquetWriter(path, target, compression="zstd") as writer:
            for part in sorted(part for part in system.find(folder) if part.endswith(".parquet")):
                with system.open(part, "rb") as stream:
                    for batch in pq.ParquetFile(stream).iter_batches(1 << 20):
                        writer.write_table(pa.Table.from_batches([batch]).cast(target))
        self.forget(name)

    def save_by_user(
        self, log: nw.LazyFrame, rows: NDArray[Any], plan: Plan, path: Path, on_part: Callable[[int], None]
    ) -> None:
        self.save(plan(log), path)
        on_part(int(rows.sum()))

    def collect(self, frame: nw.LazyFrame) -> pl.DataFrame:
        return frame.collect(backend="polars").to_native()

    def _handed_over(self, frame: pl.LazyFrame, name: str) -> nw.LazyFrame:
        """A frame of this machine as one of Spark: in the workspace, as a folder of one part."""
        place = f"{self.work}/{name}"
        system, path = file_system(place)
        with tempfile.NamedTemporaryFile(suffix=".parquet") as copy:
            frame.sink_parquet(copy.name)
            with told_in_a_sentence(place):
                system.makedirs(path, exist_ok=True)
                system.put_file(copy.name, f"{path}/part-0.parquet")
        return nw.from_native(self.session.read.parquet(for_hadoop(place)))


def whereabouts(url: str) -> str:
    """A URL without scheme: the bucket and path, or the path of a file."""
    return "/" + url.partition(":")[2].lstrip("/")


def for_hadoop(place: str) -> str:
    """`place` as Spark's file systems name it: S3 by its scheme s3a, a path as the URL of a file."""
    if place.startswith("s3://"):
        return "s3a://" + place.removeprefix("s3://")
    if is_url(place):
        return place
    return "file://" + place
