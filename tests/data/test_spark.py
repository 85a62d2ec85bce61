"""Claims about `data prepare --engine spark`: the same data set, row by row, and the same sentences for bad input."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from latentcrs.base.errors import UserError
from latentcrs.cli.main import app
from latentcrs.data import PreparedDataset
from latentcrs.data.spark import SparkEngine
from needs import require

SPARK = ["--engine", "spark", "--master", "local[2]"]
SPARK += ["--spark-conf", "spark.driver.memory=1g", "--spark-conf", "spark.sql.shuffle.partitions=2"]


@pytest.fixture(scope="module")
def java() -> None:
    """Java, which PySpark runs on."""
    where = os.environ.get("JAVA_HOME")
    require(shutil.which(f"{where}/bin/java" if where else "java"), "there is no Java: apt-get install default-jre")


@pytest.fixture(scope="module")
def log(shared_data: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real likes of discs as a folder of Parquet with all that can go wrong in a row, and their catalogue beside it.

    Ratings, times with ties and gaps, rows that repeat a user and item, items without a catalogue row, ids with
    blanks, and parts of different lengths whose rows are in no order.
    """
    source = shared_data("cds-2018")
    rows = pl.read_csv(source / "interactions.csv", infer_schema=False).head(12_000).with_row_index("n")
    number = pl.col("n").cast(pl.Int64)
    times = pl.when(number % 97 != 0).then((number * 7919 % 5) * 1_000_000).cast(pl.Datetime("us"))
    rows = rows.select(
        pl.format(" {} ", pl.col(rows.columns[1])).alias("user_id"),
        pl.when(number % 211 == 0).then(pl.lit("ghost")).otherwise(pl.col(rows.columns[2])).alias("item_id"),
        (1.0 + number * 31 % 5).alias("rating"),
        times.alias("timestamp"),
        pl.col("n").alias("unused"),
    )
    again = rows.gather_every(9).with_columns(pl.lit(5.0).alias("rating"), pl.col("timestamp") - pl.duration(days=1))
    rows = pl.concat([rows, again]).sample(fraction=1.0, shuffle=True, seed=7)
    folder = tmp_path_factory.mktemp("a log") / "of 100% discs"  # a name that a URL has to write otherwise
    folder.mkdir()
    rows[:900].write_parquet(folder / "part-1.parquet")
    rows[900:9_000].write_parquet(folder / "part-0.parquet")
    rows[9_000:].drop("unused").write_parquet(folder / "part-2.parquet")
    (folder / "_SUCCESS").touch()
    pl.read_csv(source / "items.csv", infer_schema=False).write_parquet(folder.parent / "items.parquet")
    return folder


def prepare(log: Path | str, items: Path | str, out: Path | str, *options: str) -> str:
    """The command line's `data prepare own`; what it says."""
    files = ["--interactions", str(log), "--items", str(items), "--out", str(out)]
    ran = CliRunner().invoke(app, ["data", "prepare", "own", *files, *options])
    if ran.exception is not None:
        raise ran.exception
    return ran.output


def assert_same(one: PreparedDataset, other: PreparedDataset) -> None:
    """Every table equal, row by row and type by type; what was dropped in whatever order."""
    assert one.interactions.equals(other.interactions) and one.interactions.schema == other.interactions.schema
    assert one.user_ids.equals(other.user_ids)
    assert one.items.equals(other.items) and one.items.schema == other.items.schema
    left_out = [pl.read_parquet(dataset.path / "dropped.parquet") for dataset in (one, other)]
    assert left_out[0].sort(pl.all()).equals(left_out[1].sort(pl.all()))
    assert one.info.dropped == other.info.dropped
    different = {"command", "checksums", "name"}
    assert one.info.model_dump(exclude=different) == other.info.model_dump(exclude=different)


def test_a_folder_of_parquet_gives_the_same_data_set_on_polars_and_on_spark(
    java: None, log: Path, tmp_path: Path
) -> None:
    items = log.parent / "items.parquet"
    core = ["--threshold", "3", "--user-core", "3", "--item-core", "1"]
    prepare(log, items, tmp_path / "polars", *core)
    urls = [f"file://{path}" for path in (log, items, tmp_path / "spark")]  # as fsspec writes them: nothing quoted
    prepare(*urls, *core, *SPARK, "--work", str(tmp_path / "w"))
    polars, spark = PreparedDataset(tmp_path / "polars"), PreparedDataset(tmp_path / "spark")
    assert polars.info.interactions > 1000
    reasons = polars.info.dropped
    for reason in (
        "item not in the catalogue",
        "rating below the threshold",
        "repeats a user and item",
        "outside the k-core",
    ):
        assert reasons[reason] > 20
    assert polars.interactions["timestamp"].null_count() > 0
    ties = polars.interactions.select(pl.struct("user", "timestamp").is_duplicated().sum()).item()
    assert ties > 20
    assert_same(polars, spark)
    assert not list((tmp_path / "w").iterdir()), "the workspace is emptied"


def test_any_source_runs_on_spark_its_text_read_here(
    java: None, small_movielens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SparkEngine, "few", 20)  # who leaves the core is joined, as where a million leave
    raw = small_movielens.parent / "raw"
    ran = CliRunner().invoke(
        app,
        ["data", "prepare", "ml-1m", "--from", str(raw), "--item-core", "10", "--out", str(tmp_path / "d"), *SPARK],
        catch_exceptions=False,
    )
    assert ran.exit_code == 0
    assert_same(PreparedDataset(small_movielens), PreparedDataset(tmp_path / "d"))


@pytest.mark.parametrize("engine", [[], SPARK], ids=["polars", "spark"])
def test_bad_input_is_one_sentence_and_the_same_on_both(
    engine: list[str], log: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if engine:
        request.getfixturevalue("java")
    items = log.parent / "items.parquet"

    def told(place: Path | str) -> str:
        with pytest.raises(UserError) as error:
            prepare(place, items, tmp_path / "out", *engine)
        assert "\n" not in str(error.value) and not (tmp_path / "out").exists()
        return str(error.value)

    good = pl.read_parquet(log / "part-1.parquet")
    for name in ("torn", "renamed", "retyped", "nameless", "empty"):
        (tmp_path / name).mkdir()
        if name != "empty":
            good.write_parquet(tmp_path / name / "a.parquet")
    (tmp_path / "torn" / "b.parquet").write_bytes((log / "part-1.parquet").read_bytes()[:999])
    good.rename({"item_id": "thing"}).write_parquet(tmp_path / "renamed" / "b.parquet")
    good.with_columns(pl.col("rating").cast(pl.String)).write_parquet(tmp_path / "retyped" / "b.parquet")
    good.rename({"item_id": "thing"}).write_parquet(tmp_path / "nameless" / "a.parquet")
    assert "b.parquet cannot be read as parquet" in told(tmp_path / "torn")
    assert "b.parquet has no column 'item_id', which" in told(tmp_path / "renamed")
    assert "b.parquet has 'rating' as String, and" in told(tmp_path / "retyped")
    assert "has no column for the item" in told(tmp_path / "nameless")
    assert "holds no .parquet files" in told(tmp_path / "empty")
    assert "does not exist" in told(f"file://{tmp_path}/nothing")
    assert "scheme that is not known; use file://, s3:// or gs://" in told("nope://bucket/log")


def test_what_spark_lacks_is_said_before_anything_is_read(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items, out = log.parent / "items.parquet", tmp_path / "out"
    with pytest.raises(UserError, match="wants --work URL with --master spark://head:7077"):
        prepare(log, items, out, "--engine", "spark", "--master", "spark://head:7077")
    with pytest.raises(UserError, match="belong to --engine spark"):
        prepare(log, items, out, "--master", "local[2]")
    with pytest.raises(UserError, match="no engine 'dask'"):
        prepare(log, items, out, "--engine", "dask")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(UserError, match=r"Java 17 or later, and JAVA_HOME \(.*\) has none"):
        prepare(log, items, out, *SPARK)
    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="Java 17 or later, and the PATH has none"):
        prepare(log, items, out, *SPARK)
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(UserError, match=r"pip install 'latentcrs\[spark\]'"):
        prepare(log, items, out, *SPARK)


def test_a_data_set_is_copied_by_url_whole_or_not_at_all(small_movielens: Path, tmp_path: Path) -> None:
    def copy(source: str, target: str) -> None:
        ran = CliRunner().invoke(app, ["data", "copy", source, target])
        if ran.exception is not None:
            raise ran.exception

    bucket = "memory://bucket/movies"  # a store of objects, as far as fsspec is concerned
    copy(str(small_movielens), bucket)
    copy(bucket, str(tmp_path / "back"))
    assert_same(PreparedDataset(small_movielens), PreparedDataset(tmp_path / "back"))
    assert PreparedDataset(tmp_path / "back").requests.height > 0

    import fsspec

    store = fsspec.filesystem("memory")
    with store.open("/bucket/movies/users.parquet", "ab") as stream:
        stream.write(b"x")
    with pytest.raises(UserError, match=r"users\.parquet has changed since it was written"):
        copy(bucket, str(tmp_path / "torn"))
    assert not (tmp_path / "torn").exists()
    with store.open("/bucket/other/thesis.txt", "wb") as stream:
        stream.write(b"three years of work")
    with pytest.raises(UserError, match="holds other files"):
        copy(str(small_movielens), "memory://bucket/other")


def test_the_package_and_its_help_load_neither_spark_nor_pandas() -> None:
    code = "import sys, latentcrs, latentcrs.cli.main, latentcrs.data.prepare; "
    code += "print(sorted({'pyspark', 'pandas', 'py4j'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
